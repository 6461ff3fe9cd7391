//! From many cameras to one worker: the newest frame of each camera, served in turn.
//!
//! A shared drop-oldest queue lets one fast camera push out the frames of slow ones; here a
//! camera can only ever replace its own frame. Bounded at one frame per camera. The receiver
//! ends when the last sender is gone and everything left has been taken; senders learn that the
//! receiver is gone. std only; knows nothing of what a frame is for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::model::{CameraId, Frame};

/// What happens to a camera's unread frame when its next one arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The new frame takes its place: live sources.
    Replace,
    /// The sender waits until it is taken: files analysed as fast as possible.
    Wait,
}

/// What became of a frame that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It waits alone.
    Queued,
    /// It took the place of an unread one of the same camera.
    Replaced,
    /// Nobody reads any more.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    latest: HashMap<CameraId, Frame>,
    /// Cameras with a frame in `latest`, longest waiting first.
    order: VecDeque<CameraId>,
    senders: usize,
    receiver_gone: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held for a map operation only, never while a frame is made or used.
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing inside the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The cameras' end.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    when_full: WhenFull,
}

/// The worker's end.
#[derive(Debug)]
pub struct Receiver(Arc<Shared>);

/// A mailbox: one frame per camera.
pub fn mailbox(when_full: WhenFull) -> (Sender, Receiver) {
    let shared = Arc::new(Shared::default());
    shared.lock().senders = 1;
    (Sender { shared: shared.clone(), when_full }, Receiver(shared))
}

impl Sender {
    /// Puts `frame` in. Blocks only under [`WhenFull::Wait`], until the camera's place is free.
    pub fn put(&self, frame: Frame) -> Put {
        let mut state = self.shared.lock();
        while self.when_full == WhenFull::Wait
            && state.latest.contains_key(&frame.camera)
            && !state.receiver_gone
        {
            state = self.shared.wait(state);
        }
        if state.receiver_gone {
            return Put::Closed;
        }
        let camera = frame.camera.clone();
        let replaced = state.latest.insert(camera.clone(), frame);
        if replaced.is_none() {
            state.order.push_back(camera);
        }
        drop(state);
        self.shared.changed.notify_all();
        match replaced {
            None => Put::Queued,
            Some(_) => Put::Replaced,
        }
    }
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self { shared: self.shared.clone(), when_full: self.when_full }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.lock().senders -= 1;
        self.shared.changed.notify_all();
    }
}

/// What the worker got.
#[derive(Debug, PartialEq)]
pub enum Batch {
    /// At least one frame, at most one per camera, longest waiting camera first.
    Frames(Vec<Frame>),
    /// Nothing came within the patience of this call.
    Idle,
    /// All cameras are gone and nothing is left.
    Closed,
}

impl Receiver {
    /// Waits up to `patience` for a first frame, then up to `max_wait` for a fuller batch of at
    /// most `max_size`. With `max_wait` zero a batch is whatever came while the worker was busy.
    pub fn next_batch(&self, max_size: usize, max_wait: Duration, patience: Duration) -> Batch {
        let mut state = self.wait_until(Instant::now() + patience, |state| !state.order.is_empty());
        if state.order.is_empty() {
            return if state.senders == 0 { Batch::Closed } else { Batch::Idle };
        }
        if !max_wait.is_zero() && state.order.len() < max_size {
            drop(state);
            state =
                self.wait_until(Instant::now() + max_wait, |state| state.order.len() >= max_size);
        }
        Batch::Frames(self.take(state, max_size.max(1)))
    }

    /// `size` frames, when that many wait; none otherwise. Waits for nothing.
    pub fn full_batch(&self, size: usize) -> Vec<Frame> {
        let state = self.0.lock();
        if state.order.len() < size { Vec::new() } else { self.take(state, size) }
    }

    /// At most `size` of those who have waited longest.
    fn take(&self, mut state: MutexGuard<'_, State>, size: usize) -> Vec<Frame> {
        let size = state.order.len().min(size);
        let cameras: Vec<_> = state.order.drain(..size).collect();
        let frames = cameras.iter().filter_map(|camera| state.latest.remove(camera)).collect();
        drop(state);
        self.0.changed.notify_all();
        frames
    }

    /// Blocks until `ready`, the deadline, or the last sender is gone.
    fn wait_until(
        &self,
        deadline: Instant,
        ready: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.0.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if ready(&state) || state.senders == 0 || left.is_zero() {
                return state;
            }
            state = self
                .0
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.lock().receiver_gone = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Captured, Moment, Picture, View, WallTime};
    use proptest::prelude::*;

    const NOW: Duration = Duration::ZERO;

    fn frame(camera: &str, n: u64) -> Frame {
        Frame {
            camera: CameraId::try_new(camera).unwrap(),
            captured: Captured { at: Moment(Duration::from_millis(n)), time: WallTime(n as f64) },
            view: View::default(),
            gate: None,
            picture: Arc::new(Picture { width: 1, height: 1, rgb: vec![0; 3] }),
        }
    }

    fn taken(batch: Batch) -> Vec<(String, f64)> {
        match batch {
            Batch::Frames(frames) => {
                frames.iter().map(|f| (f.camera.to_string(), f.captured.time.0)).collect()
            }
            other => panic!("no frames: {other:?}"),
        }
    }

    #[test]
    fn a_camera_replaces_only_its_own_frame() {
        let (sender, receiver) = mailbox(WhenFull::Replace);
        assert_eq!(sender.put(frame("slow", 1)), Put::Queued);
        assert_eq!(sender.put(frame("fast", 2)), Put::Queued);
        assert_eq!(sender.put(frame("fast", 3)), Put::Replaced);
        let batch = receiver.next_batch(8, NOW, NOW);
        assert_eq!(taken(batch), [("slow".into(), 1.0), ("fast".into(), 3.0)]);
        assert_eq!(receiver.next_batch(8, NOW, NOW), Batch::Idle);
    }

    #[test]
    fn cameras_are_served_in_turn() {
        let (sender, receiver) = mailbox(WhenFull::Replace);
        for camera in ["a", "b", "c"] {
            sender.put(frame(camera, 1));
        }
        assert_eq!(taken(receiver.next_batch(2, NOW, NOW)).len(), 2);
        sender.put(frame("a", 2));
        let cameras: Vec<_> =
            taken(receiver.next_batch(2, NOW, NOW)).into_iter().map(|(camera, _)| camera).collect();
        assert_eq!(cameras, ["c", "a"]);
    }

    #[test]
    fn a_batch_that_is_not_full_is_left_to_fill() {
        let (sender, receiver) = mailbox(WhenFull::Replace);
        for camera in ["a", "b"] {
            sender.put(frame(camera, 1));
        }
        assert_eq!(receiver.full_batch(3), []);
        sender.put(frame("a", 2));
        sender.put(frame("c", 1));
        let full = receiver.full_batch(2);
        assert_eq!(taken(Batch::Frames(full)), [("a".into(), 2.0), ("b".into(), 1.0)]);
        assert_eq!(taken(receiver.next_batch(8, NOW, NOW)), [("c".into(), 1.0)]);
    }

    #[test]
    fn what_is_left_is_read_before_the_end() {
        let (sender, receiver) = mailbox(WhenFull::Replace);
        let second = sender.clone();
        sender.put(frame("a", 1));
        drop(sender);
        drop(second);
        assert_eq!(taken(receiver.next_batch(8, NOW, NOW)).len(), 1);
        assert_eq!(receiver.next_batch(8, NOW, Duration::from_secs(60)), Batch::Closed);
    }

    #[test]
    fn senders_learn_that_nobody_reads() {
        let (sender, receiver) = mailbox(WhenFull::Wait);
        sender.put(frame("a", 1));
        drop(receiver);
        assert_eq!(sender.put(frame("a", 2)), Put::Closed);
    }

    #[test]
    fn waiting_senders_lose_nothing() {
        let (sender, receiver) = mailbox(WhenFull::Wait);
        let writer = std::thread::Builder::new()
            .spawn(move || (0..50).map(|n| sender.put(frame("a", n))).collect::<Vec<_>>())
            .unwrap();
        let mut seen = Vec::new();
        loop {
            match receiver.next_batch(4, NOW, Duration::from_secs(5)) {
                Batch::Frames(frames) => seen.extend(frames.iter().map(|f| f.captured.time.0)),
                Batch::Idle => panic!("the writer is stuck"),
                Batch::Closed => break,
            }
        }
        assert_eq!(seen, (0..50).map(f64::from).collect::<Vec<_>>());
        assert!(writer.join().unwrap().iter().all(|put| *put == Put::Queued));
    }

    proptest! {
        /// However cameras and reads interleave: no camera's frame is lost to another's, each
        /// camera's frames come in order, and its newest one always arrives.
        #[test]
        fn the_newest_frame_of_every_camera_arrives(steps in prop::collection::vec(0_u8..5, 1..200)) {
            let (sender, receiver) = mailbox(WhenFull::Replace);
            let names = ["a", "b", "c", "d"];
            let mut newest: HashMap<String, f64> = HashMap::new();
            let mut seen: HashMap<String, f64> = HashMap::new();
            let mut check = |batch: Batch| {
                if let Batch::Frames(_) = batch {
                    for (camera, time) in taken(batch) {
                        let before = seen.insert(camera, time);
                        assert!(before.is_none_or(|before| before < time));
                    }
                }
            };
            for (n, step) in steps.iter().enumerate() {
                match names.get(usize::from(*step)) {
                    Some(name) => {
                        sender.put(frame(name, n as u64));
                        newest.insert((*name).to_string(), n as f64);
                    }
                    None => check(receiver.next_batch(3, NOW, NOW)),
                }
            }
            check(receiver.next_batch(8, NOW, NOW));
            prop_assert_eq!(seen, newest);
        }
    }
}
