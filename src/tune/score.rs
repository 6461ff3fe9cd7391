//! Events against marks: which stays were found, and which events were false.
//!
//! Counted are stays and events, not frames, because people are told of events. An event finds a span
//! when it was told while the thing was there (or in the time before and after that does not count) and
//! at least half of what counts of its own stay lies in marked spans: a label that is always on finds
//! nothing. A further event in a span that is found already is a repeat, which is neither right nor
//! false. An event that only touches time that does not count is not counted. All others are false.

use super::replay::{Stay, replay};
use super::truth::{Kind, Span, Truth};
use super::{Clip, Setting};
use crate::model::Probability;

/// What became of marked footage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Marked spans.
    pub spans: u32,
    /// Of which an event told.
    pub found: u32,
    pub false_events: u32,
    /// Further events in spans that were found.
    pub repeats: u32,
    /// Spans in which no frame was analysed.
    pub unseen: u32,
    /// Seconds from the start of each found span to when it was told.
    pub delays: Vec<f64>,
    /// Seconds of footage in which the thing was not there.
    pub without: f64,
}

impl Outcome {
    /// Share of the spans that were found; `None` without spans.
    pub fn recall(&self) -> Option<f64> {
        share(self.found, self.spans)
    }

    /// Share of the events that were right; `None` without events.
    pub fn precision(&self) -> Option<f64> {
        share(self.found, self.found + self.false_events)
    }

    /// The harmonic mean of both (F1); `None` when there was nothing to find and nothing was.
    pub fn f_score(&self) -> Option<f64> {
        share(2 * self.found, self.found + self.false_events + self.spans)
    }

    /// The middle one of the delays, seconds.
    pub fn delay(&self) -> Option<f64> {
        let mut delays = self.delays.clone();
        delays.sort_by(f64::total_cmp);
        delays.get(delays.len() / 2).copied()
    }

    pub fn add(&mut self, other: Self) {
        self.spans += other.spans;
        self.found += other.found;
        self.false_events += other.false_events;
        self.repeats += other.repeats;
        self.unseen += other.unseen;
        self.delays.extend(other.delays);
        self.without += other.without;
    }
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

/// What the rules with `setting` make of all clips that are marked.
pub fn outcome(clips: &[Clip], setting: &Setting) -> Outcome {
    let mut sum = Outcome::default();
    for clip in clips {
        let Some(marks) = &clip.marks else { continue };
        let truth = Truth::new(marks);
        let stood = clip.stood();
        let without = clip.samples.iter().zip(&stood);
        let without = without.filter(|(sample, _)| truth.at(sample.time) == Kind::Not);
        let seen = |span: &&Span| {
            let first = clip.samples.partition_point(|sample| sample.time < span.from);
            clip.samples.get(first).is_none_or(|sample| sample.time > span.to)
        };
        let mut one = matched(&replay(clip, setting), &truth, &marks.there, marks.slack);
        one.unseen = marks.there.iter().filter(seen).count() as u32;
        one.without = without.map(|(_, seconds)| seconds).sum();
        sum.add(one);
    }
    sum
}

fn matched(stays: &[Stay], truth: &Truth, spans: &[Span], slack: f64) -> Outcome {
    let mut outcome = Outcome { spans: spans.len() as u32, ..Outcome::default() };
    let mut found = vec![false; spans.len()];
    for stay in stays {
        let tells = |span: &Span| {
            let common = stay.from <= span.to && span.from <= stay.to;
            let early = stay.told < span.from && truth.seconds(stay.told, span.from).1 > 0.0;
            common && !early && stay.told <= span.to + slack
        };
        let mut told = spans.iter().enumerate().filter(|(_, span)| tells(span)).map(|(n, _)| n);
        let (there, not) = truth.seconds(stay.from, stay.to);
        match told.next() {
            Some(_) if not > there => outcome.false_events += 1,
            Some(first) => {
                // Two spans may be near enough for both.
                match std::iter::once(first).chain(told).find(|n| !found[*n]) {
                    Some(n) => {
                        found[n] = true;
                        outcome.found += 1;
                        outcome.delays.push((stay.told - spans[n].from).max(0.0));
                    }
                    None => outcome.repeats += 1,
                }
            }
            None if not > 0.0 || truth.at(stay.told) == Kind::Not => outcome.false_events += 1,
            None => {}
        }
    }
    outcome
}

/// Frames at or above a threshold, against the marks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FrameCounts {
    pub there_above: u64,
    pub there: u64,
    pub not_above: u64,
}

impl FrameCounts {
    pub fn recall(&self) -> Option<f64> {
        (self.there > 0).then(|| self.there_above as f64 / self.there as f64)
    }

    pub fn precision(&self) -> Option<f64> {
        let above = self.there_above + self.not_above;
        (above > 0).then(|| self.there_above as f64 / above as f64)
    }
}

/// For each of `thresholds`, which are in order.
pub fn frames(clips: &[Clip], thresholds: &[Probability]) -> Vec<FrameCounts> {
    let mut counts = vec![FrameCounts::default(); thresholds.len()];
    for clip in clips {
        let Some(marks) = &clip.marks else { continue };
        let truth = Truth::new(marks);
        for sample in &clip.samples {
            let kind = truth.at(sample.time);
            let above = thresholds.partition_point(|threshold| *threshold <= sample.probability);
            for (n, count) in counts.iter_mut().enumerate() {
                let above = u64::from(n < above);
                match kind {
                    Kind::There => {
                        count.there += 1;
                        count.there_above += above;
                    }
                    Kind::Not => count.not_above += above,
                    Kind::Unsure => {}
                }
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::truth::Marks;
    use super::*;

    const SPANS: [Span; 2] = [Span { from: 10.0, to: 20.0 }, Span { from: 30.0, to: 34.0 }];

    fn of(stays: &[(f64, f64, f64)]) -> (u32, u32, u32, Vec<f64>) {
        let marks = Marks {
            there: SPANS.to_vec(),
            unsure: vec![Span { from: 50.0, to: 60.0 }],
            slack: 0.5,
        };
        let stays: Vec<Stay> = stays
            .iter()
            .map(|(from, told, to)| Stay { from: *from, told: *told, to: *to, top: 1.0 })
            .collect();
        let found = matched(&stays, &Truth::new(&marks), &marks.there, marks.slack);
        (found.found, found.false_events, found.repeats, found.delays)
    }

    #[test]
    fn what_an_event_counts_as() {
        for (stay, expected, why) in [
            ((11.0, 12.0, 19.0), (1, 0, 0, vec![2.0]), "told in the span"),
            ((9.6, 9.6, 19.0), (1, 0, 0, vec![0.0]), "a little early"),
            ((9.0, 9.0, 19.0), (0, 1, 0, vec![]), "told when nothing was there"),
            ((9.0, 11.0, 19.0), (1, 0, 0, vec![1.0]), "its hold began early"),
            ((18.0, 20.5, 20.5), (1, 0, 0, vec![10.5]), "late, but within the slack"),
            ((18.0, 21.0, 21.0), (0, 1, 0, vec![]), "told when it was gone"),
            ((18.0, 18.0, 29.0), (0, 1, 0, vec![]), "on for long after"),
            ((18.0, 18.0, 22.0), (1, 0, 0, vec![8.0]), "on for a little after"),
            ((11.0, 11.0, 33.0), (1, 0, 0, vec![1.0]), "over both: the second is not news"),
            ((20.2, 20.2, 20.4), (0, 0, 0, vec![]), "in the slack alone"),
            ((52.0, 53.0, 58.0), (0, 0, 0, vec![]), "where nobody was sure"),
            ((52.0, 53.0, 61.0), (0, 1, 0, vec![]), "and beyond it"),
            ((40.0, 40.0, 40.0), (0, 1, 0, vec![]), "a single frame"),
            ((0.0, 0.0, 99.0), (0, 1, 0, vec![]), "always on"),
        ] {
            assert_eq!(of(&[stay]), expected, "{why}");
        }
        let repeats = of(&[(11.0, 11.0, 12.0), (13.0, 13.0, 14.0), (31.0, 31.0, 33.0)]);
        assert_eq!(repeats, (2, 0, 1, vec![1.0, 1.0]));
    }

    #[test]
    fn shares() {
        let outcome = Outcome { spans: 4, found: 3, false_events: 1, ..Outcome::default() };
        assert_eq!((outcome.recall(), outcome.precision()), (Some(0.75), Some(0.75)));
        assert_eq!(outcome.f_score(), Some(0.75));
        let none = Outcome::default();
        assert_eq!((none.recall(), none.precision(), none.f_score()), (None, None, None));
    }
}
