//! The thread that keeps what is learnt of cameras' views, and what an earlier life has left.

use std::collections::HashMap;

use super::worker::Worker;
use crate::clock::Clock;
use crate::config::Config;
use crate::infer::Remembering;
use crate::model::{CameraId, WallTime};
use crate::view::Memo;
use crate::view::shelf::{self, Shelf};

/// News that wait for the disk; a camera has some twice an hour.
const WAITING: usize = 64;

/// Starts the thread, where a history is kept. It ends when inference has gone, which has the other end.
pub(super) fn start(config: &Config) -> anyhow::Result<Option<(Remembering, Worker)>> {
    let Some(dir) = &config.history.dir else { return Ok(None) };
    let shelf = Shelf::new(dir, &config.node);
    let checked = config.cameras.iter().filter(|camera| camera.view_check);
    let cameras: Vec<CameraId> = checked.map(|camera| camera.id.clone()).collect();
    let oldest = WallTime(Clock::start().wall().0 - config.history.keep.as_secs_f64());
    let earlier: HashMap<CameraId, Memo> = cameras
        .iter()
        .filter_map(|camera| Some((camera.clone(), earlier(&shelf, camera, oldest)?)))
        .collect();
    tracing::debug!(cameras = earlier.len(), "usual views are known from before");
    let (to, inbox) = crossbeam_channel::bounded(WAITING);
    let worker = Worker::start("views".to_owned(), move || shelf::run(&shelf, &cameras, &inbox))?;
    Ok(Some((Remembering { earlier, to }, worker)))
}

/// What is known of a camera, unless it is older than anything that is kept.
fn earlier(shelf: &Shelf, camera: &CameraId, oldest: WallTime) -> Option<Memo> {
    let memo = shelf.read(camera).unwrap_or_else(|error| {
        tracing::warn!(%camera, "{error}; its view is learnt anew");
        None
    });
    memo.filter(|memo| memo.time >= oldest)
}
