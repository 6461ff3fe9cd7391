//! The state machine that turns probabilities into events: threshold, clear, hold, cooldown.
//!
//! Pure: time comes in with each frame or tick. For every label on every camera,
//!
//! ```text
//!         p >= threshold            held long enough, no cooldown
//!   off ----------------> rising ---------------------------------> on (start)
//!    ^                      | p < threshold                          | p < clear, or no frames
//!    +----------------------+----------------------------------------+ (end; cooldown begins)
//! ```
//!
//! A start has exactly one end: also when frames stop, the label goes away, or seewhen stops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    CameraId, Captured, Event, EventKind, LabelId, LabelKey, Moment, Probability, Region,
    WatchScore,
};
use crate::watch::{LabelRule, Scored, WatchSet};

/// A stay above the threshold, from its first frame on.
#[derive(Debug, Clone)]
struct Stay {
    since: Captured,
    last: Captured,
    top: Probability,
}

#[derive(Debug, Clone)]
struct OpenEvent {
    id: Arc<str>,
    stay: Stay,
    threshold: Probability,
    told: Moment,
    /// The newest frame's probabilities, for an end that no frame causes.
    probability: Probability,
    probabilities: BTreeMap<LabelId, Probability>,
    tile: Option<Region>,
}

#[derive(Debug, Clone)]
enum Phase {
    Off,
    Rising(Stay),
    On(OpenEvent),
}

#[derive(Debug, Clone)]
struct LabelMemory {
    phase: Phase,
    /// No event starts before this.
    quiet_until: Moment,
    /// The newest frame that was looked at.
    seen: Captured,
}

/// The memory of all labels on all cameras.
#[derive(Debug)]
pub struct Rules {
    set: Arc<WatchSet>,
    /// Ordered, so that the events of one call come in the same order every time.
    labels: BTreeMap<LabelKey, LabelMemory>,
    /// When cameras were last lost: frames from before that may still be on their way.
    lost: BTreeMap<CameraId, Moment>,
}

/// One label's part of a frame.
struct Seen<'a> {
    captured: Captured,
    probability: Probability,
    score: &'a WatchScore,
}

impl Rules {
    pub fn new(set: Arc<WatchSet>) -> Self {
        Self { set, labels: BTreeMap::new(), lost: BTreeMap::new() }
    }

    /// The watches in force.
    pub fn set(&self) -> &Arc<WatchSet> {
        &self.set
    }

    /// Takes over newer watches. Labels that stay keep their memory; open events of labels that
    /// went away or became background end. An older set changes nothing.
    pub fn adopt(&mut self, set: &Arc<WatchSet>) -> Vec<Event> {
        if set.revision <= self.set.revision {
            return Vec::new();
        }
        let events = self.end_where(|key, _| set.rule(key).is_none());
        self.labels.retain(|key, _| set.rule(key).is_some());
        self.lost.retain(|camera, _| set.cameras.iter().any(|known| known.id == *camera));
        self.set = set.clone();
        events
    }

    /// Looks at one analysed frame. A frame scored under older watches is passed over: its
    /// probabilities say nothing about the labels of now. So is one from before its camera was
    /// lost: it would open an event that no later frame ends.
    pub fn observe(&mut self, scored: &Scored) -> Vec<Event> {
        let mut events = self.adopt(&scored.rules);
        let outdated = scored.rules.revision < self.set.revision;
        let late = self.lost.get(&scored.camera).is_some_and(|lost| scored.captured.at <= *lost);
        if outdated || late {
            return events;
        }
        events.extend(self.expire(Some(&scored.camera), scored.captured.at));
        for score in &scored.scores {
            for (label, probability) in &score.probabilities {
                let key = LabelKey {
                    camera: scored.camera.clone(),
                    watch: score.watch.clone(),
                    label: label.clone(),
                };
                let Some(rule) = self.set.rule(&key) else { continue };
                let seen = Seen { captured: scored.captured, probability: *probability, score };
                let memory = self.labels.entry(key.clone()).or_insert_with(LabelMemory::fresh);
                events.extend(memory.step(&key, rule, &seen, &self.set.model));
            }
        }
        events
    }

    /// Ends what nobody has looked at for its camera's `stale_after`.
    pub fn tick(&mut self, now: Moment) -> Vec<Event> {
        self.expire(None, now)
    }

    /// Ends everything of a camera whose frames have stopped.
    pub fn camera_lost(&mut self, camera: &CameraId, now: Moment) -> Vec<Event> {
        self.lost.insert(camera.clone(), now);
        self.end_where(|key, _| key.camera == *camera)
    }

    /// Ends everything: seewhen stops.
    pub fn end_all(&mut self) -> Vec<Event> {
        self.end_where(|_, _| true)
    }

    fn expire(&mut self, camera: Option<&CameraId>, now: Moment) -> Vec<Event> {
        let set = self.set.clone();
        let limit = |camera: &CameraId| {
            set.cameras.iter().find(|known| known.id == *camera).map(|known| known.stale_after)
        };
        self.end_where(|key, memory| {
            camera.is_none_or(|camera| key.camera == *camera)
                && limit(&key.camera).is_some_and(|limit| now.since(memory.seen.at) > limit)
        })
    }

    fn end_where(&mut self, lost: impl Fn(&LabelKey, &LabelMemory) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        for (key, memory) in &mut self.labels {
            if !lost(key, memory) {
                continue;
            }
            let cooldown = self.set.rule(key).map_or(Duration::ZERO, |rule| rule.cooldown);
            if let Phase::On(open) = std::mem::replace(&mut memory.phase, Phase::Off) {
                memory.quiet_until = Moment(memory.seen.at.0 + cooldown);
                events.push(open.end(key, memory.seen, &self.set.model));
            }
        }
        events
    }
}

impl LabelMemory {
    fn fresh() -> Self {
        Self { phase: Phase::Off, quiet_until: Moment::default(), seen: Captured::default() }
    }

    fn step(
        &mut self,
        key: &LabelKey,
        rule: &LabelRule,
        seen: &Seen<'_>,
        model: &Arc<str>,
    ) -> Option<Event> {
        self.seen = seen.captured;
        match std::mem::replace(&mut self.phase, Phase::Off) {
            Phase::On(open) => self.step_on(open, key, rule, seen, model),
            _ if seen.probability < rule.threshold => None,
            Phase::Off => {
                let stay =
                    Stay { since: seen.captured, last: seen.captured, top: seen.probability };
                self.step_rising(stay, key, rule, seen, model)
            }
            Phase::Rising(stay) => self.step_rising(stay.grown(seen), key, rule, seen, model),
        }
    }

    fn step_rising(
        &mut self,
        stay: Stay,
        key: &LabelKey,
        rule: &LabelRule,
        seen: &Seen<'_>,
        model: &Arc<str>,
    ) -> Option<Event> {
        let now = seen.captured.at;
        if now.since(stay.since.at) < rule.hold || now < self.quiet_until {
            self.phase = Phase::Rising(stay);
            return None;
        }
        let open = OpenEvent {
            id: event_id(key, &stay),
            stay,
            threshold: rule.threshold,
            told: now,
            probability: seen.probability,
            probabilities: seen.score.by_label(),
            tile: seen.score.tile(&key.label),
        };
        let event = open.event(EventKind::Start, key, seen.captured, model);
        self.phase = Phase::On(open);
        Some(event)
    }

    fn step_on(
        &mut self,
        mut open: OpenEvent,
        key: &LabelKey,
        rule: &LabelRule,
        seen: &Seen<'_>,
        model: &Arc<str>,
    ) -> Option<Event> {
        open.probability = seen.probability;
        open.probabilities = seen.score.by_label();
        open.tile = seen.score.tile(&key.label);
        let now = seen.captured.at;
        if seen.probability < rule.clear {
            self.quiet_until = Moment(now.0 + rule.cooldown);
            return Some(open.end(key, seen.captured, model));
        }
        open.stay = open.stay.grown(seen);
        let due = !rule.update_every.is_zero() && now.since(open.told) >= rule.update_every;
        let update = due.then(|| {
            open.told = now;
            open.event(EventKind::Update, key, seen.captured, model)
        });
        self.phase = Phase::On(open);
        update
    }
}

impl Stay {
    fn grown(self, seen: &Seen<'_>) -> Self {
        Self { last: seen.captured, top: self.top.max(seen.probability), ..self }
    }
}

impl OpenEvent {
    fn event(&self, kind: EventKind, key: &LabelKey, frame: Captured, model: &Arc<str>) -> Event {
        Event {
            id: self.id.clone(),
            kind,
            key: key.clone(),
            start_time: self.stay.since.time,
            end_time: (kind == EventKind::End).then_some(self.stay.last.time),
            frame_time: frame.time,
            probability: self.probability,
            top_probability: self.stay.top,
            threshold: self.threshold,
            probabilities: self.probabilities.clone(),
            tile: self.tile,
            model: model.clone(),
        }
    }

    fn end(&self, key: &LabelKey, frame: Captured, model: &Arc<str>) -> Event {
        self.event(EventKind::End, key, frame, model)
    }
}

/// Unique per node, because a label cannot start twice in one millisecond, and readable.
fn event_id(key: &LabelKey, stay: &Stay) -> Arc<str> {
    format!("{:.3}-{}-{}-{}", stay.since.time.0, key.camera, key.watch, key.label).into()
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;
