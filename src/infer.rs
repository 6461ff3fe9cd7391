//! The inference thread: batch → embed → score.
//!
//! Owns the image encoder and the mailbox's receiving end. One snapshot of the watches per
//! batch travels with its scores. Ends when every camera is gone, or nobody wants scores. A
//! frame the encoder refuses is counted and left out; the others of its batch are encoded again
//! without it. A frame that its camera's gate finds unchanged is scored with the embedding of the
//! last one that was encoded; one that is cut into tiles has an embedding for each.

mod gate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use self::gate::Memory;
use crate::clip::preprocess::geometry;
use crate::clip::scoring::score;
use crate::clip::{EncodeError, ImageEncoder};
use crate::mailbox::{Batch, Receiver};
use crate::model::{Embedding, Frame, Picture, Probability, Region, View, WatchScore};
use crate::status::Status;
use crate::watch::{Observation, Scored, Watch, WatchSet};

/// The loop comes round at least this often, so that the watchdog can tell idle from stuck.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the inference thread works with.
pub struct Inference {
    pub frames: Receiver,
    pub encoder: Box<dyn ImageEncoder>,
    pub sets: watch::Receiver<Arc<WatchSet>>,
    pub out: mpsc::Sender<Observation>,
    pub status: Arc<Status>,
    /// How long a batch that is not full waits for more frames.
    pub max_wait: Duration,
}

/// What the model made of one frame.
#[derive(Debug)]
struct Look {
    /// The tiles that the frame was cut into; empty when it was not.
    tiles: Vec<Region>,
    /// One for each tile, or one for the whole.
    embeddings: Vec<Embedding>,
}

/// Runs until the mailbox closes.
pub fn run(mut inference: Inference) {
    let max_size = inference.encoder.max_batch();
    let mut memory = Memory::default();
    loop {
        inference.status.worker_turned();
        let mut frames = match inference.frames.next_batch(max_size, inference.max_wait, PATIENCE) {
            Batch::Frames(frames) => frames,
            Batch::Idle => continue,
            Batch::Closed => return,
        };
        let rules = inference.sets.borrow().clone();
        memory.retain(|camera| rules.cameras.iter().any(|known| known.id == *camera));
        // What nobody asks about need not be encoded.
        frames.retain(|frame| rules.for_camera(&frame.camera).next().is_some());
        for (frame, look) in inference.look(&frames, &mut memory) {
            inference.status.camera(&frame.camera).frame_analysed();
            let scored = Scored {
                camera: frame.camera.clone(),
                captured: frame.captured,
                scores: score_frame(&rules, frame, &look),
                rules: rules.clone(),
            };
            if inference.out.blocking_send(Observation::Scored(scored)).is_err() {
                return;
            }
        }
    }
}

impl Inference {
    /// The frames that could be encoded, or need not be, each with what the model makes of it.
    fn look<'a>(
        &mut self,
        frames: &'a [Frame],
        memory: &mut Memory,
    ) -> Vec<(&'a Frame, Arc<Look>)> {
        let mut looks = Vec::with_capacity(frames.len());
        let mut changed = Vec::with_capacity(frames.len());
        for frame in frames {
            match memory.recall(frame) {
                Some(look) => {
                    self.status.camera(&frame.camera).frame_unchanged();
                    looks.push((frame, look));
                }
                None => changed.push(frame),
            }
        }
        for (frame, look) in self.embed(&changed) {
            let look = Arc::new(look);
            memory.keep(frame, &look);
            looks.push((frame, look));
        }
        looks
    }

    /// The frames that could be encoded.
    fn embed<'a>(&mut self, frames: &[&'a Frame]) -> Vec<(&'a Frame, Look)> {
        let started = Instant::now();
        match self.encode(frames) {
            Ok(looks) => {
                tracing::trace!(frames = frames.len(), took = ?started.elapsed(), "batch encoded");
                frames.iter().copied().zip(looks).collect()
            }
            Err(error) if frames.len() == 1 => {
                let camera = &frames[0].camera;
                self.status.camera(camera).frame_failed();
                tracing::warn!(%camera, %error, "a frame could not be encoded");
                Vec::new()
            }
            // Which frame it was is found by encoding each alone.
            Err(_) => frames.chunks(1).flat_map(|one| self.embed(one)).collect(),
        }
    }

    fn encode(&mut self, frames: &[&Frame]) -> Result<Vec<Look>, EncodeError> {
        let tiles: Vec<Vec<Region>> = frames.iter().map(|frame| tiles_of(frame)).collect();
        let pictures: Vec<(&Picture, View)> = frames
            .iter()
            .zip(&tiles)
            .flat_map(|(frame, tiles)| views(frame.view, tiles).map(|view| (&frame.picture, view)))
            .collect();
        let mut embeddings = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(self.encoder.max_batch().max(1)) {
            embeddings.extend(self.encoder.encode(batch)?);
            self.status.batch_encoded(batch.len());
        }
        let mut embeddings = embeddings.into_iter();
        let look = |tiles: Vec<Region>| {
            let embeddings = embeddings.by_ref().take(tiles.len().max(1)).collect();
            Look { tiles, embeddings }
        };
        Ok(tiles.into_iter().map(look).collect())
    }
}

fn tiles_of(frame: &Frame) -> Vec<Region> {
    let Picture { width, height, .. } = frame.picture;
    if !frame.view.tiles || width == 0 || height == 0 {
        return Vec::new();
    }
    geometry::tiles(width, height, frame.view.region)
}

/// How the encoder is to look at a frame: once at each tile, or once at all of it.
fn views(whole: View, tiles: &[Region]) -> impl Iterator<Item = View> {
    let uncut = tiles.is_empty().then_some(View { tiles: false, ..whole });
    let tile = move |tile: &Region| View { region: Some(*tile), fit: whole.fit, tiles: false };
    uncut.into_iter().chain(tiles.iter().map(tile))
}

/// What every watch of the frame's camera says. Of tiles, each label has its best.
fn score_frame(rules: &WatchSet, frame: &Frame, look: &Look) -> Vec<WatchScore> {
    let (scale, bias) = (rules.logit_scale, rules.logit_bias);
    let score_watch = |watch: &Watch| {
        let mut best: Vec<(Probability, usize)> = vec![(0.0, 0); watch.labels.len()];
        for (tile, embedding) in look.embeddings.iter().enumerate() {
            let scores = score(embedding, watch.matrix.view(), watch.score, scale, bias);
            for (best, score) in best.iter_mut().zip(scores) {
                if score.probability > best.0 {
                    *best = (score.probability, tile);
                }
            }
        }
        let labels = watch.labels.iter().map(|label| label.id.clone());
        WatchScore {
            watch: watch.id.clone(),
            probabilities: labels.zip(best.iter().map(|(probability, _)| *probability)).collect(),
            tiles: best.iter().filter_map(|(_, tile)| look.tiles.get(*tile).copied()).collect(),
        }
    };
    rules.for_camera(&frame.camera).map(score_watch).collect()
}
