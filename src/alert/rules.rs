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
//! `rules/label.rs` is one label, `rules/watch.rs` those of a watch on a camera. `rules/rise.rs` says how many
//! frames are too many, `rules/quiet.rs` what becomes of stays that the cooldown keeps back, and
//! `rules/explain.rs` why a label is where it is. The schedule goes by the wall clock of each frame or tick,
//! everything else by monotonic time, so that a clock that is set disturbs nothing but the schedule. A rise and
//! an open event never reach beyond the schedule.
//!
//! A start has exactly one end: also when frames stop, the label goes away, or seewhen stops.

mod explain;
mod label;
mod quiet;
mod rise;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::explain::Surroundings;

use self::label::LabelMemory;
use self::watch::WatchMemory;
use crate::model::{CameraId, Captured, Event, LabelKey, Moment, WallTime, WatchId};
use crate::watch::{LabelRule, Scored, Watch, WatchSet};

/// The memory of all labels on all cameras.
#[derive(Debug, Clone)]
pub struct Rules {
    set: Arc<WatchSet>,
    /// Ordered, so that the events of one call come in the same order every time.
    watches: BTreeMap<(CameraId, WatchId), WatchMemory>,
    /// When cameras were last lost: frames from before that may still be on their way.
    lost: BTreeMap<CameraId, Moment>,
}

impl Rules {
    pub fn new(set: Arc<WatchSet>) -> Self {
        Self { set, watches: BTreeMap::new(), lost: BTreeMap::new() }
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
        let old = std::mem::replace(&mut self.set, set.clone());
        let mut events = Vec::new();
        for ((camera, id), mut memory) in std::mem::take(&mut self.watches) {
            let Some(before) = old.watch(&camera, &id) else { continue };
            let (now, off) = (set.watch(&camera, &id), set.is_off(&camera));
            let now_on = now.map(|watch| (watch, !off));
            events.extend(memory.adopt(&camera, before, now_on, &old.model));
            if now.is_some() {
                self.watches.insert((camera, id), memory);
            }
        }
        self.lost.retain(|camera, _| set.cameras.iter().any(|known| known.id == *camera));
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
        let set = self.set.clone();
        for score in &scored.scores {
            if let Some(watch) = set.watch(&scored.camera, &score.watch) {
                let memory = self.memory(&scored.camera, watch);
                events.extend(memory.observe(watch, scored, score, &set.model));
            }
        }
        events
    }

    /// Ends what nobody has looked at for its camera's `stale_after`, and what is outside its
    /// schedule.
    pub fn tick(&mut self, now: Captured) -> Vec<Event> {
        let mut events = self.expire(None, now.at);
        // Frames from before the end may still be on their way: none of them starts an event.
        events.extend(self.end_where(None, Some(now.at), |rule, memory| {
            memory.is_up() && !rule.is_active(now.time)
        }));
        events
    }

    /// The broker has the end of an event of this label, which may be of an earlier life: its cooldown begins
    /// anew.
    pub fn delivered(&mut self, key: &LabelKey, now: Moment) {
        self.change(key, |rule, memory| memory.quiet.delivered(now, rule.cooldown));
    }

    /// An earlier life's newest event of this label ended, or was confirmed, at `last`: what is left of its
    /// cooldown holds.
    pub fn resume(&mut self, key: &LabelKey, last: WallTime, now: Captured) {
        // A time to come is of a clock that was set since.
        let ago = Duration::try_from_secs_f64(now.time.0 - last.0).unwrap_or_default();
        self.change(key, |rule, memory| {
            memory.quiet.delivered(now.at, rule.cooldown.saturating_sub(ago));
        });
    }

    /// Ends everything of a camera whose frames have stopped.
    pub fn camera_lost(&mut self, camera: &CameraId, now: Moment) -> Vec<Event> {
        self.lost.insert(camera.clone(), now);
        for ((of, _), memory) in &mut self.watches {
            if of == camera {
                memory.look = None;
            }
        }
        self.end_where(Some(camera), None, |_, _| true)
    }

    /// Ends everything: seewhen stops.
    pub fn end_all(&mut self) -> Vec<Event> {
        self.end_where(None, None, |_, _| true)
    }

    fn change(&mut self, key: &LabelKey, how: impl FnOnce(&LabelRule, &mut LabelMemory)) {
        let set = self.set.clone();
        let Some(watch) = set.watch(&key.camera, &key.watch) else { return };
        let place = watch.labels.iter().position(|label| label.id == key.label);
        if let Some(place) = place
            && let Some(rule) = &watch.labels[place].rule
        {
            how(rule, &mut self.memory(&key.camera, watch).labels[place]);
        }
    }

    /// What is remembered of a watch in force on a camera.
    fn memory(&mut self, camera: &CameraId, watch: &Watch) -> &mut WatchMemory {
        let memory = self.watches.entry((camera.clone(), watch.id.clone())).or_default();
        memory.labels.resize_with(watch.labels.len(), LabelMemory::default);
        memory
    }

    /// Of one camera, or of all.
    fn expire(&mut self, camera: Option<&CameraId>, now: Moment) -> Vec<Event> {
        let set = self.set.clone();
        let mut events = Vec::new();
        for known in &set.cameras {
            if camera.is_none_or(|camera| known.id == *camera) {
                events.extend(self.end_where(Some(&known.id), None, |_, memory| {
                    now.since(memory.seen.at) > known.stale_after
                }));
            }
        }
        events
    }

    /// Of one camera, or of all. Cooldowns begin at `end`, or with each label's newest frame.
    fn end_where(
        &mut self,
        camera: Option<&CameraId>,
        end: Option<Moment>,
        lost: impl Fn(&LabelRule, &LabelMemory) -> bool,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for ((of, id), memory) in &mut self.watches {
            if camera.is_none_or(|camera| of == camera)
                && let Some(watch) = self.set.watch(of, id)
            {
                events.extend(memory.end_where(of, watch, end, &lost, &self.set.model));
            }
        }
        events
    }
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;
