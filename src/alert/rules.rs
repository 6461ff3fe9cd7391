//! The state machine that turns probabilities into events: threshold, consensus, clear, hold,
//! cooldown, schedule.
//!
//! Pure: time comes in with each frame or tick. For every label on every camera,
//!
//! ```text
//!         p >= threshold            p >= threshold, enough frames agree,
//!                                   held long enough, no cooldown
//!   off ----------------> rising ---------------------------------------> on (start)
//!    ^                      | too many frames below,                       | p < clear, no frames,
//!    |                      | or outside the schedule                      | or outside the schedule
//!    +----------------------+----------------------------------------------+ (end; cooldown begins)
//! ```
//!
//! `rules/rise.rs` says how many frames are too many, `rules/quiet.rs` what becomes of stays that the
//! cooldown keeps back, and `rules/explain.rs` why a label is where it is. The schedule goes by the wall clock of each
//! frame or tick, everything else by monotonic time, so that a clock that is set disturbs nothing
//! but the schedule. A rise and an open event never reach beyond the schedule.
//!
//! A start has exactly one end: also when frames stop, the label goes away, or seewhen stops.

mod explain;
mod quiet;
mod rise;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::explain::Surroundings;

use self::explain::Look;
use self::quiet::Quiet;
use self::rise::{Rise, Stay, Vote};
use crate::model::{
    CameraId, Captured, Event, EventKind, LabelId, LabelKey, Moment, Probability, Region,
    Suppressed, WallTime, WatchId, WatchScore,
};
use crate::watch::{LabelRule, Scored, WatchSet};

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
    suppressed: Option<Suppressed>,
}

#[derive(Debug, Clone, Default)]
enum Phase {
    #[default]
    Off,
    Rising(Rise),
    On(OpenEvent),
}

#[derive(Debug, Clone, Default)]
struct LabelMemory {
    phase: Phase,
    quiet: Quiet,
    /// The newest frame that was looked at.
    seen: Captured,
    /// The highest probability since the last event started, and when that was.
    highest: Option<(Probability, WallTime)>,
    /// Events that have started.
    events: u64,
}

/// The memory of all labels on all cameras.
#[derive(Debug, Clone)]
pub struct Rules {
    set: Arc<WatchSet>,
    /// Ordered, so that the events of one call come in the same order every time.
    labels: BTreeMap<LabelKey, LabelMemory>,
    /// The newest frame of each watch on each camera, to explain by.
    looks: BTreeMap<(CameraId, WatchId), Look>,
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
        Self { set, labels: BTreeMap::new(), looks: BTreeMap::new(), lost: BTreeMap::new() }
    }

    /// The watches in force.
    pub fn set(&self) -> &Arc<WatchSet> {
        &self.set
    }

    /// Takes over newer watches. Labels that stay keep their memory, but one whose rule changed
    /// rises anew. Open events end of labels that went away, became background, were switched off, or
    /// became or were a shadow label: whoever was told of a start must be told of its end, and nobody
    /// else. An older set changes nothing.
    pub fn adopt(&mut self, set: &Arc<WatchSet>) -> Vec<Event> {
        if set.revision <= self.set.revision {
            return Vec::new();
        }
        let old = self.set.clone();
        let events = self.end_where(None, |key, _| {
            let on = |rule: &LabelRule| rule.enabled && !set.is_off(&key.camera);
            !set.rule(key).is_some_and(on) || set.is_shadow(key) != old.is_shadow(key)
        });
        self.labels.retain(|key, _| set.rule(key).is_some());
        for (key, memory) in &mut self.labels {
            if set.rule(key) == old.rule(key) {
                continue;
            }
            if matches!(memory.phase, Phase::Rising(_)) {
                memory.phase = Phase::Off;
            }
            memory.quiet.stopped();
            if set.is_shadow(key) != old.is_shadow(key) {
                memory.quiet.forget();
            }
        }
        self.looks.retain(|(camera, id), _| set.for_camera(camera).any(|watch| watch.id == *id));
        self.lost.retain(|camera, _| set.cameras.iter().any(|known| known.id == *camera));
        self.set = set.clone();
        events
    }

    /// Looks at one analysed frame. A frame scored under older watches is passed over: its
    /// probabilities say nothing about the labels of now. So is one from before its camera was
    /// lost: it would open an event that no later frame ends. Taught labels pass over frames in which
    /// something is wrong with the view.
    pub fn observe(&mut self, scored: &Scored) -> Vec<Event> {
        let mut events = self.adopt(&scored.rules);
        let outdated = scored.rules.revision < self.set.revision;
        let late = self.lost.get(&scored.camera).is_some_and(|lost| scored.captured.at <= *lost);
        if outdated || late {
            return events;
        }
        events.extend(self.expire(Some(&scored.camera), scored.captured.at));
        for score in &scored.scores {
            self.note(scored, score);
            for (label, probability) in &score.probabilities {
                let key = LabelKey {
                    camera: scored.camera.clone(),
                    watch: score.watch.clone(),
                    label: label.clone(),
                };
                if scored.problem.is_some() && self.set.is_taught(&key) {
                    // It was taught another view, and says nothing of this one.
                    events.extend(self.end_where(Some(scored.captured.at), |one, _| *one == key));
                    continue;
                }
                let Some(rule) = self.set.rule(&key) else { continue };
                let seen = Seen { captured: scored.captured, probability: *probability, score };
                let memory = self.labels.entry(key.clone()).or_default();
                events.extend(memory.step(&key, rule, &seen, &self.set.model));
            }
        }
        events
    }

    /// Ends what nobody has looked at for its camera's `stale_after`, and what is outside its
    /// schedule.
    pub fn tick(&mut self, now: Captured) -> Vec<Event> {
        let mut events = self.expire(None, now.at);
        let set = self.set.clone();
        // Frames from before the end may still be on their way: none of them starts an event.
        events.extend(self.end_where(Some(now.at), |key, memory| {
            let inside = |rule: &LabelRule| rule.is_active(now.time);
            memory.is_up() && !set.rule(key).is_some_and(inside)
        }));
        events
    }

    /// The broker has the end of an event of this label: its cooldown begins anew.
    pub fn delivered(&mut self, key: &LabelKey, now: Moment) {
        if let Some(rule) = self.set.rule(key) {
            // It may be an event of an earlier life.
            self.labels.entry(key.clone()).or_default().quiet.delivered(now, rule.cooldown);
        }
    }

    /// Ends everything of a camera whose frames have stopped.
    pub fn camera_lost(&mut self, camera: &CameraId, now: Moment) -> Vec<Event> {
        self.lost.insert(camera.clone(), now);
        self.looks.retain(|(of, _), _| of != camera);
        self.end_where(None, |key, _| key.camera == *camera)
    }

    /// Ends everything: seewhen stops.
    pub fn end_all(&mut self) -> Vec<Event> {
        self.end_where(None, |_, _| true)
    }

    fn expire(&mut self, camera: Option<&CameraId>, now: Moment) -> Vec<Event> {
        let set = self.set.clone();
        let limit = |camera: &CameraId| {
            set.cameras.iter().find(|known| known.id == *camera).map(|known| known.stale_after)
        };
        self.end_where(None, |key, memory| {
            camera.is_none_or(|camera| key.camera == *camera)
                && limit(&key.camera).is_some_and(|limit| now.since(memory.seen.at) > limit)
        })
    }

    /// Cooldowns begin at `end`, or with each label's newest frame.
    fn end_where(
        &mut self,
        end: Option<Moment>,
        lost: impl Fn(&LabelKey, &LabelMemory) -> bool,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for (key, memory) in &mut self.labels {
            if !lost(key, memory) {
                continue;
            }
            let cooldown = self.set.rule(key).map_or(Duration::ZERO, |rule| rule.cooldown);
            memory.quiet.stopped();
            if let Phase::On(open) = std::mem::take(&mut memory.phase) {
                memory.quiet.ended(end.unwrap_or(memory.seen.at), cooldown);
                events.push(open.end(key, memory.seen, &self.set.model));
            }
        }
        events
    }
}

impl LabelMemory {
    /// Whether there is a stay that may end.
    fn is_up(&self) -> bool {
        !matches!(self.phase, Phase::Off) || self.quiet.is_holding_back()
    }

    fn step(
        &mut self,
        key: &LabelKey,
        rule: &LabelRule,
        seen: &Seen<'_>,
        model: &Arc<str>,
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
            Phase::On(open) => return self.step_on(open, inside, key, rule, seen, model),
            _ if !inside => None,
            Phase::Off => Rise::begin(vote, rule.consensus),
            Phase::Rising(rise) => rise.grown(vote),
        };
        self.step_rising(rise?, key, rule, seen, model)
    }

    fn step_rising(
        &mut self,
        rise: Rise,
        key: &LabelKey,
        rule: &LabelRule,
        seen: &Seen<'_>,
        model: &Arc<str>,
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
            id: event_id(key, stay),
            suppressed: self.quiet.told(stay),
            stay: stay.clone(),
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
        inside: bool,
        key: &LabelKey,
        rule: &LabelRule,
        seen: &Seen<'_>,
        model: &Arc<str>,
    ) -> Option<Event> {
        open.probability = seen.probability;
        open.probabilities = seen.score.by_label();
        open.tile = seen.score.tile(&key.label);
        let now = seen.captured.at;
        if seen.probability < rule.clear || !inside {
            self.quiet.ended(now, rule.cooldown);
            return Some(open.end(key, seen.captured, model));
        }
        open.stay.grow(seen.captured, seen.probability);
        let due = !rule.update_every.is_zero() && now.since(open.told) >= rule.update_every;
        let update = due.then(|| {
            open.told = now;
            open.event(EventKind::Update, key, seen.captured, model)
        });
        self.phase = Phase::On(open);
        update
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
            suppressed: self.suppressed,
            snapshot: None,
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
