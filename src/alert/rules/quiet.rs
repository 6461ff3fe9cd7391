//! A label's quiet after an event: its cooldown, and the stays that it keeps from becoming events.
//!
//! The cooldown begins with the end of an event, and once more when the broker confirms that end: until
//! then it is not the user who has been told. So what arrives after an outage is followed by as much
//! quiet as ever, and an outage in itself silences nothing.
//!
//! A stay that only the cooldown keeps back ends as an event would: below `clear`, outside the schedule,
//! without frames. Then it is added to what the next event tells. A stay that outlasts the cooldown is
//! told by the event that it becomes.

use std::time::Duration;

use super::rise::Stay;
use crate::model::{Captured, Moment, Probability, Suppressed};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Quiet {
    /// No event starts before this.
    until: Moment,
    /// The stay that would be an event by now.
    held_back: Option<Stay>,
    suppressed: Option<Suppressed>,
}

impl Quiet {
    /// An event has ended.
    pub(super) fn ended(&mut self, at: Moment, cooldown: Duration) {
        self.until = self.until.max(Moment(at.0 + cooldown));
    }

    /// The broker has the end of an event.
    pub(super) fn delivered(&mut self, at: Moment, cooldown: Duration) {
        // Without a cooldown not even the frames count that were on their way meanwhile.
        if !cooldown.is_zero() {
            self.until = self.until.max(Moment(at.0 + cooldown));
        }
    }

    /// How much of the cooldown is left.
    pub(super) fn left(&self, now: Moment) -> Duration {
        self.until.since(now)
    }

    /// A frame of the label; `stays`: it would not end an event.
    pub(super) fn see(&mut self, frame: Captured, probability: Probability, stays: bool) {
        match &mut self.held_back {
            Some(stay) if stays => stay.grow(frame, probability),
            _ => self.stopped(),
        }
    }

    /// This stay would be an event, were it not for the cooldown.
    pub(super) fn hold_back(&mut self, stay: &Stay) {
        self.held_back.get_or_insert_with(|| stay.clone());
    }

    /// Whatever would end an event has happened.
    pub(super) fn stopped(&mut self) {
        let Some(stay) = self.held_back.take() else { return };
        let (first, last) = (stay.since.time, stay.last.time);
        let before = self.suppressed.take();
        let before = before.unwrap_or(Suppressed { count: 0, top_probability: 0.0, first, last });
        self.suppressed = Some(Suppressed {
            count: before.count + 1,
            top_probability: before.top_probability.max(stay.top),
            last,
            ..before
        });
    }

    /// `stay` becomes an event: gives what it has to tell of those before it.
    pub(super) fn told(&mut self, stay: &Stay) -> Option<Suppressed> {
        if self.held_back.as_ref().is_some_and(|held_back| held_back.since == stay.since) {
            self.held_back = None;
        }
        self.stopped();
        self.suppressed.take()
    }

    pub(super) fn is_holding_back(&self) -> bool {
        self.held_back.is_some()
    }

    /// Nobody is to be told of what was suppressed.
    pub(super) fn forget(&mut self) {
        (self.held_back, self.suppressed) = (None, None);
    }

    /// What was suppressed so far, the stay of now among it.
    pub(super) fn suppressed(&self) -> Option<Suppressed> {
        let mut now = self.clone();
        now.stopped();
        now.suppressed
    }
}
