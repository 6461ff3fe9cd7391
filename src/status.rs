//! Counters that every stage writes and the publisher, the watchdog and the log read.
//!
//! Atomics, and locks that are held for one copy: writing never waits for work, and no reader sees
//! more than numbers. What a number means is decided where it is read.

pub mod board;
mod latency;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::board::Board;
use self::latency::Latency;
pub use self::latency::Spread;
use crate::command::Outcome;
use crate::model::{CameraId, DecodeStrategy, LabelKey};

/// One camera's frames, from decoder to score.
#[derive(Debug, Default)]
pub struct CameraStatus {
    received: AtomicU64,
    sampled: AtomicU64,
    replaced: AtomicU64,
    analysed: AtomicU64,
    failed: AtomicU64,
    unchanged: AtomicU64,
    effort: Mutex<Effort>,
    /// Somebody wants to see the next frame.
    asked: AtomicBool,
    /// Its view is to be learnt anew.
    renewed: AtomicBool,
}

/// How a source gets its frames, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Work {
    /// How much is decoded; none for sources that are not coded.
    pub strategy: Option<DecodeStrategy>,
    /// The longest time between key frames lately.
    pub key_interval: Option<Duration>,
    /// What decodes.
    pub decoder: Option<Arc<str>>,
    /// What people should know although frames flow.
    pub note: Option<Arc<str>>,
}

/// What a camera's decoding takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effort {
    pub work: Work,
    /// What the capture thread has taken of a processor, decoding included.
    pub cpu: Duration,
}

fn take(flag: &AtomicBool) -> bool {
    // Reading is cheaper than swapping, and there is hardly ever an ask.
    flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::Relaxed)
}

/// The numbers of a [`CameraStatus`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CameraCounts {
    /// Frames that reached us, decoded or not.
    pub received: u64,
    /// Frames that were due for analysis.
    pub sampled: u64,
    /// Sampled frames that a newer one replaced before the worker came to them.
    pub replaced: u64,
    /// Frames that were scored.
    pub analysed: u64,
    /// Frames that the encoder refused.
    pub failed: u64,
    /// Scored frames that were like the one before and not encoded again.
    pub unchanged: u64,
}

impl CameraStatus {
    pub fn frame_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub fn frame_sampled(&self) {
        self.sampled.fetch_add(1, Ordering::Relaxed);
    }

    pub fn frame_replaced(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
    }

    pub fn frame_analysed(&self) {
        self.analysed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn frame_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn frame_unchanged(&self) {
        self.unchanged.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether somebody asked to see this frame. An ask is for one frame.
    pub fn take_ask(&self) -> bool {
        take(&self.asked)
    }

    /// Whether its view is to be learnt anew, from this frame on. Said once.
    pub fn take_renewal(&self) -> bool {
        take(&self.renewed)
    }

    /// Told by the capture thread about itself.
    pub fn tell_effort(&self, effort: Effort) {
        *self.effort.lock().unwrap_or_else(PoisonError::into_inner) = effort;
    }

    pub fn effort(&self) -> Effort {
        self.effort.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn counts(&self) -> CameraCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CameraCounts {
            received: read(&self.received),
            sampled: read(&self.sampled),
            replaced: read(&self.replaced),
            analysed: read(&self.analysed),
            failed: read(&self.failed),
            unchanged: read(&self.unchanged),
        }
    }
}

/// What runs the model, and in which numbers, in the words of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsOn {
    pub provider: String,
    pub precision: String,
}

/// The events of a label that have started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventCounts {
    pub told: u64,
    /// While it was a shadow label.
    pub shadow: u64,
}

/// The whole node.
#[derive(Debug, Default)]
pub struct Status {
    /// Held to look a camera up, never while anything else happens.
    cameras: Mutex<BTreeMap<CameraId, Arc<CameraStatus>>>,
    batches: AtomicU64,
    encoded: AtomicU64,
    turns: AtomicU64,
    turned: Mutex<Option<Instant>>,
    ignored: AtomicU64,
    /// By label; held for one step of a count.
    events: Mutex<BTreeMap<LabelKey, EventCounts>>,
    commands: [AtomicU64; Outcome::ALL.len()],
    runs_on: Mutex<Option<RunsOn>>,
    stages: [Latency; Stage::ALL.len()],
    board: Board,
}

/// Where the time between a frame and its message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From a frame's capture to the start of its batch: decoding, and waiting for the batch before.
    Waiting,
    /// From pixels to the model's input, a batch.
    Preprocess,
    /// The model, a batch.
    Model,
    /// From a frame's capture to the broker's word that its event has arrived.
    Delivered,
}

impl Stage {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Preprocess, Self::Model, Self::Delivered];

    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Preprocess => "preprocess",
            Self::Model => "model",
            Self::Delivered => "delivered",
        }
    }
}

impl Status {
    /// What was last seen and said.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// A frame or a batch spent so long in `stage`.
    pub fn took(&self, stage: Stage, time: Duration) {
        self.stages[stage as usize].add(time);
    }

    /// What `share` (0 to 1) of the times in `stage` were at most; `None` before the first.
    pub fn at_most(&self, stage: Stage, share: f64) -> Option<Duration> {
        self.stages[stage as usize].at_most(share)
    }

    /// How long things took in `stage`, since the start.
    pub fn spread(&self, stage: Stage) -> Spread {
        self.stages[stage as usize].spread()
    }

    /// The counters of `camera`, from zero the first time.
    pub fn camera(&self, camera: &CameraId) -> Arc<CameraStatus> {
        let mut cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        cameras.entry(camera.clone()).or_default().clone()
    }

    /// The counters of `camera` where it is known, else some that nobody reads: a frame may come to
    /// its end after its camera was taken out.
    pub fn counters(&self, camera: &CameraId) -> Arc<CameraStatus> {
        let cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        cameras.get(camera).cloned().unwrap_or_default()
    }

    /// Asks for the camera's next frame as a snapshot. Never waits, and asking twice before it comes is
    /// asking once. `false` when there is no such camera.
    pub fn ask_snapshot(&self, camera: &CameraId) -> bool {
        self.ask(camera, |status| &status.asked)
    }

    /// Asks that the camera's view be learnt anew, in the same way.
    pub fn renew_view(&self, camera: &CameraId) -> bool {
        self.ask(camera, |status| &status.renewed)
    }

    fn ask(&self, camera: &CameraId, flag: fn(&CameraStatus) -> &AtomicBool) -> bool {
        let cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cameras.get(camera);
        found.inspect(|status| flag(status).store(true, Ordering::Relaxed)).is_some()
    }

    /// Forgets a camera that was taken out of the configuration.
    pub fn remove(&self, camera: &CameraId) {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner).remove(camera);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.retain(|key, _| key.camera != *camera);
    }

    pub fn event_started(&self, key: &LabelKey) {
        self.count_event(key, |counts| counts.told += 1);
    }

    pub fn shadow_event_started(&self, key: &LabelKey) {
        self.count_event(key, |counts| counts.shadow += 1);
    }

    fn count_event(&self, key: &LabelKey, count: impl FnOnce(&mut EventCounts)) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        count(events.entry(key.clone()).or_default());
    }

    pub fn events(&self, key: &LabelKey) -> EventCounts {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.get(key).copied().unwrap_or_default()
    }

    /// Every label that has had an event, in order.
    pub fn all_events(&self) -> Vec<(LabelKey, EventCounts)> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().map(|(key, counts)| (key.clone(), *counts)).collect()
    }

    /// Every camera's numbers, in order of id.
    pub fn counts(&self) -> Vec<(CameraId, CameraCounts)> {
        let cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        cameras.iter().map(|(id, status)| (id.clone(), status.counts())).collect()
    }

    /// A message of the broker's was too large, or came when the publisher was busy.
    pub fn message_ignored(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    pub fn messages_ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// A command came to this end.
    pub fn command(&self, outcome: Outcome) {
        self.commands[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many commands came to each end, by its word.
    pub fn commands(&self) -> Vec<(&'static str, u64)> {
        let count = |end: Outcome| self.commands[end as usize].load(Ordering::Relaxed);
        let ends = Outcome::ALL.map(|end| (end.word(), count(end)));
        ends.into_iter().chain([("ignored", self.messages_ignored())]).collect()
    }

    /// The model was loaded.
    pub fn tell_runs_on(&self, runs_on: RunsOn) {
        *self.runs_on.lock().unwrap_or_else(PoisonError::into_inner) = Some(runs_on);
    }

    /// `None` before the model was loaded.
    pub fn runs_on(&self) -> Option<RunsOn> {
        self.runs_on.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn batch_encoded(&self, frames: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.encoded.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Batches and frames that went through the encoder.
    pub fn encoded(&self) -> (u64, u64) {
        (self.batches.load(Ordering::Relaxed), self.encoded.load(Ordering::Relaxed))
    }

    /// The inference loop came round: what the watchdog watches.
    pub fn worker_turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago that was; `None` before the first time.
    pub fn since_turn(&self) -> Option<Duration> {
        let turned = *self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        turned.map(|at| at.elapsed())
    }

    pub fn worker_turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_keeps_its_counters_until_removed() {
        let status = Status::default();
        let id = CameraId::try_new("porch").unwrap();
        status.camera(&id).frame_received();
        status.camera(&id).frame_received();
        assert_eq!(status.counts()[0].1.received, 2);
        status.counters(&id).frame_received();
        assert_eq!(status.counts()[0].1.received, 3);
        assert!(status.ask_snapshot(&id) && status.ask_snapshot(&id));
        assert!(status.camera(&id).take_ask() && !status.camera(&id).take_ask(), "one frame");
        assert!(!status.camera(&id).take_renewal(), "that was not asked");
        assert!(status.renew_view(&id) && status.camera(&id).take_renewal());
        status.remove(&id);
        assert!(!status.ask_snapshot(&id), "it is no camera any more");
        status.counters(&id).frame_received();
        assert!(status.counts().is_empty());
    }
}
