//! The choice of a setting, by rules that docs/tuning.md tells in words.
//!
//! From marked footage: of all that is tried, the highest F-score over events; among equals the fewest
//! repeats; then the simplest hold and consensus whose run of equally good thresholds leaves room, or where
//! none does the one that leaves most; of that run the threshold nearest to its middle, where the next
//! footage has room on both sides. Room does not count before simplicity: with few stays marked some long
//! consensus always seems to leave more, and is slow at what comes next.
//!
//! From unmarked footage: the lowest threshold that, with every one above it, keeps the promise.

use std::time::Duration;

use super::bounds;
use super::replay::{Stay, replay};
use super::score::{Outcome, outcome};
use super::{Clip, Setting};
use crate::model::Probability;
use crate::watch::Consensus;

/// Tried beside what the label has now, seconds.
const HOLDS: [f64; 6] = [0.0, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Tried likewise: so many of so many frames.
const CONSENSUS: [(usize, usize); 4] = [(1, 1), (2, 3), (3, 5), (6, 10)];
/// From the lowest of a run of thresholds to the highest.
const ROOM: f64 = 0.1;
/// Below and above the even steps: probabilities of some models crowd at the ends.
const LOW: [f32; 8] = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.015];
const HIGH: [f32; 5] = [0.985, 0.99, 0.995, 0.998, 0.999];

/// The thresholds that are tried, in order, `also` among them.
pub fn thresholds(also: &[Probability]) -> Vec<Probability> {
    let even = (1..=49_u8).map(|n| f32::from(2 * n) / 100.0);
    let mut all: Vec<f32> = LOW.into_iter().chain(even).chain(HIGH).chain(also.to_vec()).collect();
    all.sort_by(f32::total_cmp);
    all.dedup();
    all
}

/// One setting, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub setting: Setting,
    pub outcome: Outcome,
}

/// What is suggested from marked footage.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    pub best: Trial,
    /// Lowest and highest threshold that did as well with its hold and consensus.
    pub range: (Probability, Probability),
    /// All thresholds with its hold and consensus, in order.
    pub curve: Vec<Trial>,
    /// What is compared with.
    pub now: Trial,
    /// How many settings were tried.
    pub tried: usize,
}

/// The best setting for marked clips, `now` among those that are tried; `None` when nothing was marked
/// as there. `clear` stays in the ratio that `now` has.
pub fn suggest(clips: &[Clip], now: &Setting) -> Option<Suggestion> {
    let curves = curves(clips, now);
    let tried = curves.iter().map(Vec::len).sum();
    let merit = |trial: &Trial| merit(&trial.outcome);
    let best = curves.iter().flatten().filter_map(merit).max_by(Merit::compare)?;
    let runs: Vec<Run<'_>> = curves.iter().flat_map(|curve| Run::all(curve, best)).collect();
    let widest = runs.iter().map(Run::width).fold(0.0, f64::max);
    let good = runs.iter().filter(|run| run.width() >= widest.min(ROOM));
    // Of equally simple ones the wider.
    let chosen = good
        .min_by(|a, b| a.pains().cmp(&b.pains()).then_with(|| b.width().total_cmp(&a.width())))?;
    Some(Suggestion {
        best: chosen.middle()?.clone(),
        range: chosen.range()?,
        curve: chosen.curve.to_vec(),
        now: Trial { setting: *now, outcome: outcome(clips, now) },
        tried,
    })
}

/// For each hold and consensus the trials of all thresholds.
fn curves(clips: &[Clip], now: &Setting) -> Vec<Vec<Trial>> {
    let ratio = f64::from(now.clear) / f64::from(now.threshold);
    let mut holds: Vec<Duration> = HOLDS.map(Duration::from_secs_f64).to_vec();
    let mut votes: Vec<Consensus> =
        CONSENSUS.iter().filter_map(|(needed, of)| Consensus::try_new(*needed, *of)).collect();
    if !holds.contains(&now.hold) {
        holds.push(now.hold);
    }
    if !votes.contains(&now.consensus) {
        votes.push(now.consensus);
    }
    let thresholds = thresholds(&[now.threshold]);
    let mut curves = Vec::new();
    for hold in holds {
        for consensus in &votes {
            let trial = |threshold: &Probability| {
                let plain = Setting::plain(*threshold, ratio);
                let clear = if *threshold == now.threshold { now.clear } else { plain.clear };
                let setting = Setting { clear, hold, consensus: *consensus, ..plain };
                Trial { setting, outcome: outcome(clips, &setting) }
            };
            curves.push(thresholds.iter().map(trial).collect());
        }
    }
    curves
}

/// What is the higher the better, the first part first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Merit {
    f_score: f64,
    repeats: u32,
}

impl Merit {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.f_score.total_cmp(&other.f_score).then(other.repeats.cmp(&self.repeats))
    }
}

fn merit(outcome: &Outcome) -> Option<Merit> {
    let f_score = outcome.f_score().filter(|_| outcome.spans > 0)?;
    Some(Merit { f_score, repeats: outcome.repeats })
}

/// Neighbouring thresholds of one curve that did equally well: `curve[from..to]`.
struct Run<'a> {
    curve: &'a [Trial],
    from: usize,
    to: usize,
}

impl<'a> Run<'a> {
    fn all(curve: &'a [Trial], best: Merit) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for (n, trial) in curve.iter().enumerate() {
            if merit(&trial.outcome) != Some(best) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.to == n => run.to = n + 1,
                _ => runs.push(Self { curve, from: n, to: n + 1 }),
            }
        }
        runs
    }

    fn trials(&self) -> &'a [Trial] {
        &self.curve[self.from..self.to]
    }

    fn range(&self) -> Option<(Probability, Probability)> {
        let (first, last) = (self.trials().first()?, self.trials().last()?);
        Some((first.setting.threshold, last.setting.threshold))
    }

    fn width(&self) -> f64 {
        self.range().map_or(0.0, |(low, high)| f64::from(high) - f64::from(low))
    }

    fn pains(&self) -> (u8, usize, Duration) {
        self.trials().first().map(|trial| trial.setting.pains()).unwrap_or_default()
    }

    fn middle(&self) -> Option<&'a Trial> {
        let (low, high) = self.range()?;
        let off = |trial: &&Trial| (trial.setting.threshold - (low + high) / 2.0).abs();
        self.trials().iter().min_by(|a, b| off(a).total_cmp(&off(b)))
    }
}

/// What a threshold did on footage of which nobody knows what is in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub setting: Setting,
    pub events: u32,
    /// Seconds in which the label was on.
    pub on: f64,
}

/// A threshold for so many events at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// All thresholds, in order.
    pub curve: Vec<Rate>,
    /// Seconds of footage.
    pub seconds: f64,
    /// The lowest that may be promised: with 95 % confidence there are no more events than allowed.
    pub promised: Option<Rate>,
    /// The lowest at which the footage itself had no more than allowed.
    pub seen: Option<Rate>,
    /// Seconds of footage without an event that a promise takes at least.
    pub needed: f64,
}

/// The threshold for at most `a_day` events a day, with `now`'s hold, consensus and ratio of clear.
pub fn at_most(clips: &[Clip], now: &Setting, a_day: f64) -> Promise {
    let ratio = f64::from(now.clear) / f64::from(now.threshold);
    let rate = |threshold: Probability| {
        let setting = Setting {
            hold: now.hold,
            consensus: now.consensus,
            ..Setting::plain(threshold, ratio)
        };
        let stays: Vec<Stay> = clips.iter().flat_map(|clip| replay(clip, &setting)).collect();
        let on = stays.iter().map(|stay| stay.to - stay.told).sum();
        Rate { setting, events: stays.len() as u32, on }
    };
    let curve: Vec<Rate> = thresholds(&[now.threshold]).into_iter().map(rate).collect();
    let seconds: f64 = clips.iter().map(Clip::seconds).sum();
    let allowed = a_day * seconds / bounds::DAY;
    // A label that is hardly ever off has few events too: that is not what was asked for, and higher
    // thresholds must do as well.
    let lowest = |holds: &dyn Fn(u32) -> bool| {
        let good = |rate: &&Rate| holds(rate.events) && rate.on <= seconds / 2.0;
        curve.iter().rev().take_while(good).last().copied()
    };
    Promise {
        promised: lowest(&|events| bounds::most(events) <= allowed),
        seen: lowest(&|events| f64::from(events) <= allowed),
        needed: bounds::most(0) / a_day * bounds::DAY,
        seconds,
        curve,
    }
}
