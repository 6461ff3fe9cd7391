//! Tuning: what the rules would have made of footage, and which threshold, hold and consensus suit it.
//!
//! Pure. Footage comes in as [`Clip`]s: when each frame was, how probable the label was in it, and when
//! it was there ([`truth`]), whether that came from a file or from anywhere else. [`replay`] drives the
//! rules of `alert::rules` over it, [`score`] compares the events with what was marked, [`suggest`]
//! chooses, [`bounds`] says how little that may mean, and [`plot`] and [`blocks`] draw it.

pub mod allowance;
pub mod blocks;
pub mod bounds;
pub mod json;
pub mod plot;
pub mod replay;
pub mod score;
pub mod suggest;
pub mod timeline;
mod times;
pub mod truth;

use std::time::Duration;

use self::truth::Marks;
use crate::model::{LabelKey, Probability};
use crate::watch::{Consensus, LabelRule};

/// One analysed frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Seconds, on the clock of the marks: into a file, or since the Unix epoch.
    pub time: f64,
    /// Of the label that is tuned.
    pub probability: Probability,
}

/// Footage of one camera, without a break but for frames that were missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// As people know it: a file, or a camera.
    pub name: String,
    pub key: LabelKey,
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// A label that nobody has looked at for this long is not on any more.
    pub stale_after: Duration,
    /// `None`: nobody has said when the label was there.
    pub marks: Option<Marks>,
}

impl Clip {
    /// How long each frame stands for the time after it, seconds: until the next one, but for a gap in
    /// which nobody looked. The last one stands for as long as the one before it.
    pub fn stood(&self) -> Vec<f64> {
        let most = self.stale_after.as_secs_f64();
        let gaps = self.samples.windows(2).map(|two| (two[1].time - two[0].time).clamp(0.0, most));
        let mut stood: Vec<f64> = gaps.collect();
        if !self.samples.is_empty() {
            stood.push(stood.last().copied().unwrap_or(0.0));
        }
        stood
    }

    /// Seconds in which somebody looked.
    pub fn seconds(&self) -> f64 {
        self.stood().iter().sum()
    }

    /// The part before `share` of its time and the part after it, each with its marks; a stay across
    /// the cut is one in each part.
    pub fn cut(&self, share: f64) -> (Self, Self) {
        let first = self.samples.first().map_or(0.0, |sample| sample.time);
        let last = self.samples.last().map_or(0.0, |sample| sample.time);
        let at = first + (last - first) * share;
        let middle = self.samples.partition_point(|sample| sample.time < at);
        let part = |samples: &[Sample], from, to| Self {
            name: self.name.clone(),
            key: self.key.clone(),
            samples: samples.to_vec(),
            stale_after: self.stale_after,
            marks: self.marks.as_ref().map(|marks| marks.within(from, to)),
        };
        let (early, late) = self.samples.split_at(middle);
        (part(early, f64::NEG_INFINITY, at), part(late, at, f64::INFINITY))
    }
}

/// What is tuned of a label's rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    pub threshold: Probability,
    pub clear: Probability,
    pub hold: Duration,
    pub consensus: Consensus,
}

impl Setting {
    /// What holds for a label when only a threshold is given.
    pub fn plain(threshold: Probability, clear_ratio: f64) -> Self {
        let clear = clear_of(threshold, clear_ratio);
        Self { threshold, clear, hold: Duration::ZERO, consensus: Consensus::default() }
    }

    pub fn of(rule: &LabelRule) -> Self {
        let LabelRule { threshold, clear, hold, consensus, .. } = *rule;
        Self { threshold, clear, hold, consensus }
    }

    /// The rule that is tried: without a cooldown, which would hide false events and true ones alike,
    /// and without a schedule, for footage is not from then.
    pub fn rule(&self) -> LabelRule {
        LabelRule {
            threshold: self.threshold,
            clear: self.clear,
            hold: self.hold,
            consensus: self.consensus,
            cooldown: Duration::ZERO,
            update_every: Duration::ZERO,
            active: None,
            shadow: false,
            enabled: true,
        }
    }

    /// How much there is to explain, the simplest first: neither hold nor consensus, then a hold alone,
    /// then a consensus alone, then both; of each the shorter first.
    pub(crate) fn pains(&self) -> (u8, usize, Duration) {
        let used = u8::from(!self.hold.is_zero()) + u8::from(self.consensus.of() > 1);
        (used, self.consensus.of(), self.hold)
    }
}

/// As many digits as are written into a configuration, so that what was tried is what is pasted.
pub(crate) fn clear_of(threshold: Probability, ratio: f64) -> Probability {
    let clear = f64::from(threshold) * ratio;
    let digits = if clear < 0.01 { 6 } else { 3 };
    let text = format!("{clear:.digits$}");
    text.parse::<Probability>().unwrap_or(threshold).min(threshold)
}

#[cfg(test)]
#[path = "tune/tests.rs"]
mod tests;
