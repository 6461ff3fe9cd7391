//! The inference thread: batch → embed → score.
//!
//! Owns the image encoder and the mailbox's receiving end. One snapshot of the watches per
//! batch travels with its scores. Ends when every camera is gone, or nobody wants scores. A
//! frame the encoder refuses is counted and left out; the others of its batch are encoded again
//! without it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::clip::scoring::score;
use crate::clip::{EncodeError, ImageEncoder};
use crate::mailbox::{Batch, Receiver};
use crate::model::{Embedding, Frame, Picture, View, WatchScore};
use crate::status::Status;
use crate::watch::{Observation, Scored, WatchSet};

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

/// Runs until the mailbox closes.
pub fn run(mut inference: Inference) {
    let max_size = inference.encoder.max_batch();
    loop {
        inference.status.worker_turned();
        let frames = match inference.frames.next_batch(max_size, inference.max_wait, PATIENCE) {
            Batch::Frames(frames) => frames,
            Batch::Idle => continue,
            Batch::Closed => return,
        };
        let rules = inference.sets.borrow().clone();
        for (frame, embedding) in inference.embed(&frames) {
            inference.status.camera(&frame.camera).frame_analysed();
            let scored = Scored {
                camera: frame.camera.clone(),
                captured: frame.captured,
                scores: score_frame(&rules, frame, &embedding),
                rules: rules.clone(),
            };
            if inference.out.blocking_send(Observation::Scored(scored)).is_err() {
                return;
            }
        }
    }
}

impl Inference {
    /// The frames that could be encoded, each with its embedding.
    fn embed<'a>(&mut self, frames: &'a [Frame]) -> Vec<(&'a Frame, Embedding)> {
        let started = Instant::now();
        match self.encode(frames) {
            Ok(embeddings) => {
                tracing::trace!(frames = frames.len(), took = ?started.elapsed(), "batch encoded");
                frames.iter().zip(embeddings).collect()
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

    fn encode(&mut self, frames: &[Frame]) -> Result<Vec<Embedding>, EncodeError> {
        let pictures: Vec<(&Picture, View)> =
            frames.iter().map(|frame| (&frame.picture, frame.view)).collect();
        let embeddings = self.encoder.encode(&pictures)?;
        self.status.batch_encoded(frames.len());
        Ok(embeddings)
    }
}

fn score_frame(rules: &WatchSet, frame: &Frame, embedding: &Embedding) -> Vec<WatchScore> {
    let (scale, bias) = (rules.logit_scale, rules.logit_bias);
    let watches = rules.for_camera(&frame.camera);
    watches
        .map(|watch| {
            let scores = score(embedding, watch.matrix.view(), watch.score, scale, bias);
            let labels = watch.labels.iter().map(|label| label.id.clone());
            WatchScore {
                watch: watch.id.clone(),
                probabilities: labels.zip(scores.iter().map(|score| score.probability)).collect(),
            }
        })
        .collect()
}
