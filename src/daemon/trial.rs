//! Pictures through inference as fast as it takes them: what `seewhen bench` measures.
//!
//! The mailbox, the inference thread and the scores are those of a node; in place of cameras there
//! is one thread that puts the same picture in for each, again and again. Everything has ended when [`run`]
//! returns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::sync::{mpsc, watch};

use super::worker::Worker;
use crate::clip::ImageEncoder;
use crate::infer::engine::Engine;
use crate::infer::{self, Inference};
use crate::mailbox::{Put, Sender, WhenFull, mailbox};
use crate::model::{CameraId, Captured, Frame, Moment, Picture, View, WallTime};
use crate::status::Status;
use crate::watch::WatchSet;

/// What is measured.
pub struct Trial {
    pub encoder: Box<dyn ImageEncoder>,
    /// Of the cameras that frames are put in for.
    pub set: WatchSet,
    pub picture: Arc<Picture>,
}

/// Scored frames a second, over `time`. Not counted are the first three of each camera.
///
/// # Errors
/// When threads cannot be made, or no frame can be scored.
pub fn run(trial: Trial, time: Duration) -> anyhow::Result<f64> {
    let (frames, received) = mailbox(WhenFull::Wait);
    let (out, mut scored) = mpsc::channel(64);
    let cameras: Vec<CameraId> = trial.set.cameras.iter().map(|c| c.id.clone()).collect();
    let (_sets, newest) = watch::channel(Arc::new(trial.set));
    let inference = Inference {
        frames: received,
        engine: Engine::only(trial.encoder),
        sets: newest,
        out,
        status: Arc::new(Status::default()),
        keeping: None,
        remembering: None,
        max_wait: Duration::ZERO,
        clock: None,
    };
    let mut workers = vec![Worker::start("infer".to_owned(), move || infer::run(inference))?];
    // A thread for each would spend the processor's time on waking each other up.
    let (fed, picture) = (cameras.clone(), trial.picture);
    workers.push(Worker::start("feed".to_owned(), move || feed(&frames, &fed, &picture))?);
    // Scores come a batch at a time: only whole rounds say how long a frame takes.
    let mut round = || {
        (0..cameras.len()).try_for_each(|_| scored.blocking_recv().map(drop)).context("no scores")
    };
    for _ in 0..3 {
        round()?;
    }
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < time {
        round()?;
        count += cameras.len();
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    // Without a reader inference ends, and with it the senders.
    drop(scored);
    ensure!(workers.into_iter().all(Worker::join), "a thread panicked");
    Ok(rate)
}

fn feed(frames: &Sender, cameras: &[CameraId], picture: &Arc<Picture>) {
    let started = Instant::now();
    // What is done once in a while has to come round here too.
    let captured = || Captured { at: Moment(started.elapsed()), time: WallTime::default() };
    let frame = |camera: &CameraId| Frame {
        camera: camera.clone(),
        captured: captured(),
        view: View::default(),
        gate: None,
        picture: picture.clone(),
    };
    let mut turns = cameras.iter().cycle().map(frame);
    while turns.next().is_some_and(|frame| frames.put(frame) != Put::Closed) {}
}
