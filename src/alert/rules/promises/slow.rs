//! The rules once more, slow and plain: all frames are kept, and counted over.

use std::time::Duration;

use super::super::super::rise::Stay;
use super::super::STALE;
use crate::model::{Captured, EventKind, Moment, Suppressed, WallTime};
use crate::watch::LabelRule;

#[derive(Debug)]
pub(super) struct Open {
    pub(super) stay: Stay,
    pub(super) told: Moment,
    pub(super) shadow: bool,
    pub(super) suppressed: Option<Suppressed>,
}

/// One camera as the slow version sees it.
#[derive(Debug, Default)]
pub(super) struct Slow {
    /// Frames since the last time everything began anew: when, how probable.
    pub(super) history: Vec<(Captured, f32)>,
    pub(super) open: Option<Open>,
    pub(super) seen: Option<Captured>,
    pub(super) quiet_until: Moment,
    /// Frames of the stay that only the cooldown keeps back.
    pub(super) held_back: Vec<(Captured, f32)>,
    /// First frame, last frame and top of the stays that it has kept back.
    pub(super) suppressed: Vec<(Captured, Captured, f32)>,
    pub(super) lost: Option<Moment>,
}

/// Kind, start, end, top, and what was suppressed.
pub(super) type Told = (EventKind, WallTime, Option<WallTime>, f32, Option<Suppressed>);

impl Slow {
    /// The end, if there was anything to end.
    pub(super) fn end(&mut self, cooldown_from: Moment, rule: &LabelRule) -> Option<Told> {
        self.history.clear();
        self.stay_over();
        let Open { stay: Stay { since, last, top }, suppressed, .. } = self.open.take()?;
        self.quiet_until = self.quiet_until.max(Moment(cooldown_from.0 + rule.cooldown));
        Some((EventKind::End, since.time, Some(last.time), top, suppressed))
    }

    pub(super) fn stay_over(&mut self) {
        let frames = std::mem::take(&mut self.held_back);
        if let (Some(first), Some(last)) = (frames.first(), frames.last()) {
            let top = frames.iter().map(|(_, p)| *p).fold(0.0, f32::max);
            self.suppressed.push((first.0, last.0, top));
        }
    }

    pub(super) fn delivered(&mut self, now: Moment, rule: &LabelRule) {
        if rule.cooldown > Duration::ZERO {
            self.quiet_until = self.quiet_until.max(Moment(now.0 + rule.cooldown));
        }
    }

    /// What the stays that were kept back come to.
    pub(super) fn sum(&mut self) -> Option<Suppressed> {
        let stays = std::mem::take(&mut self.suppressed);
        Some(Suppressed {
            count: stays.len() as u64,
            top_probability: stays.iter().map(|(_, _, top)| *top).fold(0.0, f32::max),
            first: stays.first()?.0.time,
            last: stays.last()?.1.time,
        })
    }

    pub(super) fn expire(&mut self, now: Moment, rule: &LabelRule) -> Option<Told> {
        let seen = self.seen.filter(|seen| now.since(seen.at) > STALE)?;
        self.end(seen.at, rule)
    }

    pub(super) fn see(
        &mut self,
        frame: Captured,
        p: f32,
        rule: &LabelRule,
        inside: bool,
    ) -> Vec<Told> {
        let mut told: Vec<Told> = self.expire(frame.at, rule).into_iter().collect();
        self.seen = Some(frame);
        if p < rule.clear || !inside {
            self.stay_over();
        } else if !self.held_back.is_empty() {
            self.held_back.push((frame, p));
        }
        match &mut self.open {
            Some(_) if p < rule.clear || !inside => {
                told.extend(self.end(frame.at, rule));
            }
            Some(open) => {
                open.stay.grow(frame, p);
                let every = rule.update_every;
                if !every.is_zero() && frame.at.since(open.told) >= every {
                    open.told = frame.at;
                    let (since, top) = (open.stay.since.time, open.stay.top);
                    told.push((EventKind::Update, since, None, top, open.suppressed));
                }
            }
            None if !inside => self.history.clear(),
            None => {
                self.history.push((frame, p));
                told.extend(self.start(rule));
            }
        }
        told
    }

    /// Starts an event when the history allows it.
    pub(super) fn start(&mut self, rule: &LabelRule) -> Option<Told> {
        let above = |index: &usize| self.history[*index].1 >= rule.threshold;
        let newest = self.history.len() - 1;
        let window = |until: usize| (until + 1).saturating_sub(rule.consensus.of())..=until;
        let agree = window(newest).filter(above).count() >= rule.consensus.needed();
        let forgiven = rule.consensus.of() - rule.consensus.needed();
        let held = |since: &usize| {
            (*since..=newest).all(|until| {
                let frames = window(until).filter(|index| index >= since);
                frames.filter(|index| !above(index)).count() <= forgiven
            })
        };
        let now = self.history[newest].0;
        let since = (0..=newest).filter(above).find(held)?;
        let stay = &self.history[since..];
        let long_enough = now.at.since(stay[0].0.at) >= rule.hold;
        if !(agree && above(&newest) && long_enough) {
            return None;
        }
        if now.at < self.quiet_until {
            if self.held_back.is_empty() {
                self.held_back = stay.to_vec();
            }
            return None;
        }
        let top = stay.iter().map(|(_, p)| *p).fold(0.0, f32::max);
        let stay = Stay { since: stay[0].0, last: now, top };
        if self.held_back.first().is_some_and(|(first, _)| *first == stay.since) {
            self.held_back.clear();
        }
        self.stay_over();
        let suppressed = self.sum();
        let told = (EventKind::Start, stay.since.time, None, top, suppressed);
        self.open = Some(Open { stay, told: now.at, shadow: rule.shadow, suppressed });
        self.history.clear();
        Some(told)
    }
}
