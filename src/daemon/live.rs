//! The small flow behind `seewhen watch` and `bench`: no broker. What the alert stage tells goes to
//! a callback.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::STOP_DEADLINE;
use super::flow::{Settings, Stages, start_stages};
use super::system::{Signals, hangup};
use crate::capture;
use crate::capture::gstreamer::Pace;
use crate::clip::ImageEncoder;
use crate::config::Camera;
use crate::infer::Keeping;
use crate::infer::engine::Engine;
use crate::model::CameraState;
use crate::status::Status;
use crate::watch::{Notice, WatchSet};

/// What is watched, and how.
pub struct Live {
    pub cameras: Vec<Camera>,
    pub set: WatchSet,
    pub encoder: Box<dyn ImageEncoder>,
    pub pace: Pace,
    /// Where embeddings go, for whoever wants them.
    pub keeping: Option<Keeping>,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Stop,
}

/// Runs until the source has ended, the callback wants no more, or a signal comes. A source that
/// never gave a frame is an error.
pub fn run(
    live: Live,
    mut tell: impl FnMut(&Notice) -> anyhow::Result<Flow>,
) -> anyhow::Result<()> {
    capture::gstreamer::init()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen(hangup().await?)?;
        let (notices, mut told) = mpsc::channel(64);
        let settings = Settings {
            engine: Engine::only(live.encoder),
            set: Arc::new(live.set),
            status: Arc::new(Status::default()),
            keeping: live.keeping,
            remembering: None,
            max_wait: std::time::Duration::ZERO,
            pace: live.pace,
        };
        // Nobody asks.
        let (_, requests) = mpsc::channel(1);
        let mut stages = start_stages(settings, notices, requests, Vec::new())?;
        for camera in &live.cameras {
            stages.cameras.start(camera)?;
        }
        let mut source = SourceState { left: live.cameras.len(), ..SourceState::default() };
        loop {
            let notice = tokio::select! {
                notice = told.recv() => notice,
                _ = signals.next() => break,
            };
            let Some(notice) = notice else { break };
            source.see(&notice);
            if tell(&notice)? == Flow::Stop || source.over() {
                break;
            }
        }
        stop(stages, told, &mut tell).await?;
        source.verdict()
    })
}

/// Stops the flow, and tells what still comes out of it: the ends of open events.
async fn stop(
    stages: Stages,
    mut told: mpsc::Receiver<Notice>,
    tell: &mut impl FnMut(&Notice) -> anyhow::Result<Flow>,
) -> anyhow::Result<()> {
    let Stages { cameras, mut infer, alert, sets } = stages;
    let deadline = Instant::now() + STOP_DEADLINE;
    let stopping = async {
        let stragglers = cameras.stop_all(deadline).await;
        drop(sets);
        infer.ended().await;
        alert.await.context("the alert stage panicked")?;
        if stragglers.is_empty() { Ok(()) } else { bail!("not done: {}", stragglers.join(", ")) }
    };
    let telling = async {
        while let Some(notice) = told.recv().await {
            if tell(&notice)? == Flow::Stop {
                told.close();
            }
        }
        Ok(())
    };
    let both = async { tokio::try_join!(stopping, telling) };
    tokio::time::timeout_at(deadline, both).await.context("the source did not stop in time")??;
    Ok(())
}

/// What became of the sources so far.
#[derive(Debug, Default)]
struct SourceState {
    ran: bool,
    trouble: Option<String>,
    /// Those that have not ended.
    left: usize,
}

impl SourceState {
    fn see(&mut self, notice: &Notice) {
        let Notice::Camera(change) = notice else { return };
        match change.state {
            CameraState::Running => self.ran = true,
            CameraState::Disabled => self.left = self.left.saturating_sub(1),
            CameraState::Stalled | CameraState::Retrying => {
                self.trouble = Some(change.reason.clone());
            }
            CameraState::Connecting => {}
        }
    }

    /// A source that never worked is a mistake to tell, not one to retry for ever.
    fn over(&self) -> bool {
        self.left == 0 || (!self.ran && self.trouble.is_some())
    }

    fn verdict(self) -> anyhow::Result<()> {
        match self.trouble {
            Some(reason) if !self.ran => bail!("no frame from the source: {reason}"),
            _ if self.left == 0 && !self.ran => bail!("the source ended without a frame"),
            _ => Ok(()),
        }
    }
}
