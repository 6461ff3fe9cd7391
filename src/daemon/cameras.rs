//! The camera threads: one per camera, started and stopped one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::worker::Worker;
use crate::backoff::Backoff;
use crate::capture::gstreamer::{Decoders, Opener, Pace};
use crate::capture::{self, Capture};
use crate::clock::Clock;
use crate::config::Camera;
use crate::mailbox::Sender;
use crate::model::CameraId;
use crate::status::Status;
use crate::stop::{StopHandle, stop};
use crate::watch::Observation;

/// What every camera thread gets a share of. Dropped with the last camera, which closes the flow.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) frames: Sender,
    pub(super) changes: mpsc::Sender<Observation>,
    pub(super) status: Arc<Status>,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
}

struct Running {
    /// Dropping it stops the camera.
    stop: StopHandle,
    worker: Worker,
}

/// All running cameras.
pub(super) struct Cameras {
    ends: Ends,
    running: BTreeMap<CameraId, Running>,
}

impl Cameras {
    pub(super) fn new(ends: Ends) -> Self {
        Self { ends, running: BTreeMap::new() }
    }

    /// Starts a camera, unless it is switched off.
    pub(super) fn start(&mut self, camera: &Camera) -> anyhow::Result<()> {
        if !camera.enabled {
            return Ok(());
        }
        let ends = self.ends.clone();
        let capture = Capture {
            camera: camera.id.clone(),
            view: camera.view,
            every: camera.every,
            mask: camera.mask.clone(),
            gate: camera.gate,
            connect_timeout: camera.connect_timeout,
            stall_timeout: camera.stall_timeout,
            opener: Box::new(Opener {
                source: camera.source.clone(),
                every: camera.every,
                decoders: Decoders::new(camera.decoder),
                network: camera.network,
                region: camera.view.region,
                repeat: camera.repeat,
                pace: ends.pace,
                clock: ends.clock,
            }),
            frames: ends.frames,
            changes: ends.changes,
            status: ends.status.camera(&camera.id),
            clock: ends.clock,
            backoff: Backoff::default(),
            refused: Backoff::after_refusal(),
        };
        let (handle, stop) = stop();
        let worker =
            Worker::start(format!("cap:{}", camera.id), move || capture::run(&capture, &stop))?;
        self.running.insert(camera.id.clone(), Running { stop: handle, worker });
        Ok(())
    }

    /// Stops some cameras together; returns the names of those that were not done in time.
    pub(super) async fn stop(&mut self, ids: &[CameraId], deadline: Instant) -> Vec<String> {
        let stopping: Vec<Running> = ids.iter().filter_map(|id| self.running.remove(id)).collect();
        end(stopping, deadline).await
    }

    /// Stops every camera, and with them the flow behind.
    pub(super) async fn stop_all(self, deadline: Instant) -> Vec<String> {
        end(self.running.into_values().collect(), deadline).await
    }

    pub(super) fn count(&self) -> usize {
        self.running.len()
    }
}

async fn end(cameras: Vec<Running>, deadline: Instant) -> Vec<String> {
    let workers: Vec<Worker> = cameras
        .into_iter()
        .map(|camera| {
            drop(camera.stop);
            camera.worker
        })
        .collect();
    let mut stragglers = Vec::new();
    for mut worker in workers {
        if tokio::time::timeout_at(deadline, worker.ended()).await.is_err() {
            stragglers.push(worker.name().to_owned());
        } else if !worker.join() {
            stragglers.push("a camera thread that panicked".to_owned());
        }
    }
    stragglers
}
