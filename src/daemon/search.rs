//! Searches the history of embeddings: a text becomes an embedding, and every processor scans.
//!
//! Needs no running seewhen and disturbs none: the files are only read.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder, ScopedJoinHandle};

use anyhow::{Context as _, anyhow, bail};

use super::model::Model;
use crate::clip::prompts::label_embedding;
use crate::config::Config;
use crate::embeddings::Filter;
use crate::embeddings::product::Query;
use crate::embeddings::ranking::{Hit, Ranking};
use crate::embeddings::reader::{History, Part};
use crate::model::{CameraId, Embedding};

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How many frames were looked at.
    pub frames: u64,
    /// Mean and standard deviation of their cosines.
    pub spread: (f32, f32),
}

/// The history that the configured model made.
///
/// # Errors
/// When there is none to be read, or one of `cameras` is not in it.
pub fn open(config: &Config, model: &Model, cameras: &[CameraId]) -> anyhow::Result<History> {
    let dir = config.embeddings.dir.as_ref().context(
        "no embeddings are kept: embeddings.dir is empty, or neither STATE_DIRECTORY nor HOME is set",
    )?;
    let bundle = model.bundle();
    let history = History::open(dir, &config.node, bundle.digest(), bundle.name())?;
    let known = history.cameras();
    if let Some(unknown) = cameras.iter().find(|camera| !known.contains_key(camera)) {
        let names: Vec<&str> = known.keys().map(CameraId::as_str).collect();
        bail!("there is nothing of camera {unknown} in the history; there is {}", names.join(", "));
    }
    Ok(history)
}

/// What `texts` mean in each of `templates`, averaged: one embedding, as of a label's prompts.
pub fn embedding(
    model: &Model,
    templates: &[String],
    texts: &[String],
) -> anyhow::Result<Embedding> {
    // What somebody looks for is not kept in the prompt cache.
    Ok(label_embedding(templates, texts, &mut model.trying_embedder())?)
}

/// Scans all that `filter` lets through, on `threads` threads.
///
/// # Errors
/// When the embedding is of another length than those of the history, a file that is there cannot be
/// read, or no thread can be started.
pub fn search(
    history: &History,
    embedding: &Embedding,
    filter: &Filter,
    how_many: usize,
    threads: usize,
) -> anyhow::Result<Found> {
    let query = Query::new(embedding);
    let parts = history.parts(filter);
    let threads = threads.clamp(1, parts.len().max(1));
    let parts = Mutex::new(parts.into_iter());
    let rankings = thread::scope(|scope| -> anyhow::Result<Vec<Ranking>> {
        let work = || history.rank(&query, filter, Shared(&parts));
        let start =
            |number| Builder::new().name(format!("search:{number}")).spawn_scoped(scope, work);
        let workers = (0..threads).map(start).collect::<Result<Vec<_>, _>>()?;
        let ended = |worker: ScopedJoinHandle<'_, std::io::Result<Ranking>>| {
            let ranking = worker.join().map_err(|_| anyhow!("a thread of the search panicked"))?;
            Ok(ranking?)
        };
        workers.into_iter().map(ended).collect()
    })?;
    let mut all = Ranking::default();
    rankings.into_iter().for_each(|ranking| all.merge(ranking));
    let (frames, spread) = (all.frames(), all.spread());
    Ok(Found { hits: history.hits(all, how_many), frames, spread })
}

/// Parts that several threads take from, each its next.
struct Shared<'a>(&'a Mutex<std::vec::IntoIter<Part>>);

impl Iterator for Shared<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}
