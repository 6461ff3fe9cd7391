//! One label on one camera: its phase, and the steps between the phases. The module above draws them.

use std::sync::Arc;
use std::time::Duration;

use super::quiet::Quiet;
use super::rise::{Rise, Stay, Vote};
use crate::model::{
    CameraId, Captured, Event, EventKind, LabelId, LabelKey, Moment, Probability, Region,
    Suppressed, WallTime, WatchId,
};
use crate::watch::{LabelRule, Probabilities, WatchScore};

#[derive(Debug, Clone)]
pub(super) struct OpenEvent {
    pub(super) id: Arc<str>,
    pub(super) stay: Stay,
    threshold: Probability,
    told: Moment,
    /// The newest frame's probabilities, for an end that no frame causes.
    probability: Probability,
    probabilities: Probabilities,
    tile: Option<Region>,
    suppressed: Option<Suppressed>,
}

#[derive(Debug, Clone, Default)]
pub(super) enum Phase {
    #[default]
    Off,
    Rising(Rise),
    On(OpenEvent),
}

#[derive(Debug, Clone, Default)]
pub(super) struct LabelMemory {
    pub(super) phase: Phase,
    pub(super) quiet: Quiet,
    /// The newest frame that was looked at.
    pub(super) seen: Captured,
    /// The highest probability since the last event started, and when that was.
    pub(super) highest: Option<(Probability, WallTime)>,
    /// Events that have started.
    pub(super) events: u64,
}

/// Whose memory it is, and which model's frames it looks at: what its events tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) camera: &'a CameraId,
    pub(super) watch: &'a WatchId,
    pub(super) label: &'a LabelId,
    pub(super) model: &'a Arc<str>,
}

impl Whose<'_> {
    fn key(self) -> LabelKey {
        let Self { camera, watch, label, .. } = self;
        LabelKey { camera: camera.clone(), watch: watch.clone(), label: label.clone() }
    }
}

/// One label's part of a frame.
pub(super) struct Seen<'a> {
    pub(super) captured: Captured,
    pub(super) probability: Probability,
    pub(super) score: &'a WatchScore,
    /// The label's place in the watch.
    pub(super) place: usize,
}

impl Seen<'_> {
    /// Where the label was seen best, when the picture was cut into tiles.
    fn tile(&self) -> Option<Region> {
        self.score.tiles.get(self.place).copied()
    }
}

impl LabelMemory {
    /// Whether there is a stay that may end.
    pub(super) fn is_up(&self) -> bool {
        !matches!(self.phase, Phase::Off) || self.quiet.is_holding_back()
    }

    /// Looks at a frame.
    pub(super) fn step(
        &mut self,
        whose: Whose<'_>,
        rule: &LabelRule,
        seen: &Seen<'_>,
    ) -> Option<Event> {
        self.seen = seen.captured;
        let inside = rule.is_active(seen.captured.time);
        let vote = Vote {
            captured: seen.captured,
            probability: seen.probability,
            above: seen.probability >= rule.threshold,
        };
        self.quiet.see(seen.captured, seen.probability, inside && seen.probability >= rule.clear);
        if self.highest.is_none_or(|(highest, _)| seen.probability >= highest) {
            self.highest = Some((seen.probability, seen.captured.time));
        }
        let rise = match std::mem::take(&mut self.phase) {
            Phase::On(open) => return self.step_on(open, inside, whose, rule, seen),
            _ if !inside => None,
            Phase::Off => Rise::begin(vote, rule.consensus),
            Phase::Rising(rise) => rise.grown(vote),
        };
        self.step_rising(rise?, whose, rule, seen)
    }

    fn step_rising(
        &mut self,
        rise: Rise,
        whose: Whose<'_>,
        rule: &LabelRule,
        seen: &Seen<'_>,
    ) -> Option<Event> {
        let now = seen.captured.at;
        let stay = rise.stay();
        let ready = rise.is_agreed() && now.since(stay.since.at) >= rule.hold;
        let cooling = !self.quiet.left(now).is_zero();
        if ready && cooling {
            self.quiet.hold_back(stay);
        }
        if !ready || cooling {
            self.phase = Phase::Rising(rise);
            return None;
        }
        self.events += 1;
        self.highest = None;
        let open = OpenEvent {
            id: event_id(whose, stay),
            suppressed: self.quiet.told(stay),
            stay: stay.clone(),
            threshold: rule.threshold,
            told: now,
            probability: seen.probability,
            probabilities: seen.score.probabilities.clone(),
            tile: seen.tile(),
        };
        let event = open.event(EventKind::Start, whose, seen.captured);
        self.phase = Phase::On(open);
        Some(event)
    }

    fn step_on(
        &mut self,
        mut open: OpenEvent,
        inside: bool,
        whose: Whose<'_>,
        rule: &LabelRule,
        seen: &Seen<'_>,
    ) -> Option<Event> {
        open.probability = seen.probability;
        open.probabilities = seen.score.probabilities.clone();
        open.tile = seen.tile();
        let now = seen.captured.at;
        if seen.probability < rule.clear || !inside {
            self.quiet.ended(now, rule.cooldown);
            return Some(open.end(whose, seen.captured));
        }
        open.stay.grow(seen.captured, seen.probability);
        let due = !rule.update_every.is_zero() && now.since(open.told) >= rule.update_every;
        let update = due.then(|| {
            open.told = now;
            open.event(EventKind::Update, whose, seen.captured)
        });
        self.phase = Phase::On(open);
        update
    }
}

impl LabelMemory {
    /// What ends an event has happened. The cooldown begins at `end`, or with the newest frame.
    pub(super) fn finish(
        &mut self,
        whose: Whose<'_>,
        end: Option<Moment>,
        cooldown: Duration,
    ) -> Option<Event> {
        self.quiet.stopped();
        let Phase::On(open) = std::mem::take(&mut self.phase) else { return None };
        self.quiet.ended(end.unwrap_or(self.seen.at), cooldown);
        Some(open.end(whose, self.seen))
    }

    /// Goes by another rule from now on: rises anew.
    pub(super) fn go_by(&mut self, rule: &LabelRule, before: &LabelRule) {
        if matches!(self.phase, Phase::Rising(_)) {
            self.phase = Phase::Off;
        }
        self.quiet.stopped();
        if rule.shadow != before.shadow {
            self.quiet.forget();
        }
    }
}

impl OpenEvent {
    fn event(&self, kind: EventKind, whose: Whose<'_>, frame: Captured) -> Event {
        Event {
            id: self.id.clone(),
            kind,
            key: whose.key(),
            start_time: self.stay.since.time,
            end_time: (kind == EventKind::End).then_some(self.stay.last.time),
            frame_time: frame.time,
            probability: self.probability,
            top_probability: self.stay.top,
            threshold: self.threshold,
            probabilities: self.probabilities.by_label(),
            tile: self.tile,
            model: whose.model.clone(),
            suppressed: self.suppressed,
            snapshot: None,
        }
    }

    fn end(&self, whose: Whose<'_>, frame: Captured) -> Event {
        self.event(EventKind::End, whose, frame)
    }
}

/// Unique per node, because a label cannot start twice in one millisecond, and readable.
fn event_id(whose: Whose<'_>, stay: &Stay) -> Arc<str> {
    let Whose { camera, watch, label, .. } = whose;
    format!("{:.3}-{camera}-{watch}-{label}", stay.since.time.0).into()
}
