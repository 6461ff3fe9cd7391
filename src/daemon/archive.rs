//! The thread that keeps the history of embeddings, where there is to be one.

use std::sync::Arc;

use super::model::Model;
use super::worker::Worker;
use crate::config::Config;
use crate::embeddings::Tally;
use crate::embeddings::writer::{self, Limits, Writer};
use crate::infer::Keeping;

/// Frames that wait for the disk. With their pictures they are large: 32 are about 50 MB of 1080p cameras.
const WAITING: usize = 256;
const WAITING_PICTURES: usize = 32;

/// Starts the thread. It ends when inference has gone, which has the other end.
pub(super) fn start(
    config: &Config,
    model: &Model,
    tally: &Arc<Tally>,
) -> anyhow::Result<Option<(Keeping, Worker)>> {
    let wanted = &config.embeddings;
    let Some(folder) = wanted.dir.clone().filter(|_| wanted.enabled) else { return Ok(None) };
    let capacity = if wanted.pictures { WAITING_PICTURES } else { WAITING };
    let (to, inbox) = crossbeam_channel::bounded(capacity);
    let bundle = model.bundle();
    let writer = Writer {
        inbox,
        folder,
        node: config.node.clone(),
        bundle: bundle.name().to_owned(),
        digest: bundle.digest().to_owned(),
        limits: Limits { keep: wanted.keep, size: wanted.max_size as u64 * 1024 * 1024 },
        pictures: wanted.pictures,
        retry: writer::RETRY,
        tally: tally.clone(),
    };
    let worker = Worker::start("embeddings".to_owned(), move || writer::run(writer))?;
    Ok(Some((Keeping { to, pictures: wanted.pictures, tally: tally.clone() }, worker)))
}
