//! The inference thread: batch → embed → score.
//!
//! Owns the image encoder and the mailbox's receiving end. One snapshot of the watches per
//! batch travels with its scores. Ends when every camera is gone, or nobody wants scores. A
//! frame the encoder refuses is counted and left out; the others of its batch are encoded again
//! without it. A frame that its camera's gate finds unchanged is scored with the embedding of the
//! last one that was encoded; one that is cut into tiles has an embedding for each. While the device
//! is gone frames are let go of, and the alert stage knows; when it stays gone the thread ends.
//! An encoder that prepares the next batch while one runs is given it early, but only when it is
//! full: who waits for more frames must not wait for those of the batch after.

mod early;
pub mod engine;
mod gate;
mod views;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel as crossbeam;
use tokio::sync::{mpsc, watch};

use self::early::{Early, tiles_of, views};
use self::engine::{Engine, Health};
use self::gate::Memory;
pub use self::views::Remembering;
use self::views::Views;
use crate::clip::EncodeError;
use crate::clip::scoring::{Best, Scorer};
use crate::clock::Clock;
use crate::embeddings::{Seen, Tally};
use crate::mailbox::{Batch, Receiver};
use crate::model::{CameraId, Frame, ModelState, Picture, Problem, Region, View};
use crate::status::{Stage, Status};
use crate::watch::{Look, Observation, Probabilities, Scored, Watch, WatchScore, WatchSet};

/// The loop comes round at least this often, so that the watchdog can tell idle from stuck.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the inference thread works with.
pub struct Inference {
    pub frames: Receiver,
    pub engine: Engine,
    pub sets: watch::Receiver<Arc<WatchSet>>,
    pub out: mpsc::Sender<Observation>,
    pub status: Arc<Status>,
    /// Where every frame's embeddings are kept; `None`: nowhere.
    pub keeping: Option<Keeping>,
    /// Where what is learnt of cameras' views outlives this process; `None`: nowhere.
    pub remembering: Option<Remembering>,
    /// How long a batch that is not full waits for more frames.
    pub max_wait: Duration,
    /// `None`: frames carry the media's own time.
    pub clock: Option<Clock>,
}

/// The way into the history of embeddings.
pub struct Keeping {
    pub to: crossbeam::Sender<Seen>,
    /// Frames go along, for their pictures.
    pub pictures: bool,
    pub tally: Arc<Tally>,
}

impl Keeping {
    /// Waits for no disk: what is too much is lost, and counted.
    fn keep(&self, scored: &Scored) {
        let seen = Seen {
            camera: scored.camera.clone(),
            captured: scored.captured,
            embeddings: scored.look.embeddings.clone(),
            picture: self.pictures.then(|| scored.picture.clone()),
        };
        if self.to.try_send(seen).is_err() {
            self.tally.lose();
        }
    }
}

/// A frame, and what the model makes of it.
struct Looked<'a> {
    frame: &'a Frame,
    look: Arc<Look>,
    /// It changed nothing: the look is that of the last encoded frame.
    unchanged: bool,
}

impl Looked<'_> {
    fn scored(
        &self,
        scores: Vec<WatchScore>,
        problem: Option<Problem>,
        rules: &Arc<WatchSet>,
    ) -> Scored {
        Scored {
            camera: self.frame.camera.clone(),
            captured: self.frame.captured,
            unchanged: self.unchanged,
            problem,
            scores,
            look: self.look.clone(),
            rules: rules.clone(),
            picture: self.frame.picture.clone(),
        }
    }
}

/// Runs until the mailbox closes.
pub fn run(mut inference: Inference) {
    let mut views = Views::new(inference.remembering.take());
    work(&mut inference, &mut views);
    views.keep_all();
}

fn work(inference: &mut Inference, views: &mut Views) {
    let mut memory = Memory::default();
    let mut ahead = Vec::new();
    while inference.ready() {
        inference.status.worker_turned();
        let largest = inference.engine.largest();
        let mut frames = std::mem::take(&mut ahead);
        if frames.is_empty() {
            frames = match inference.frames.next_batch(largest, inference.max_wait, PATIENCE) {
                Batch::Frames(frames) => frames,
                Batch::Idle => continue,
                Batch::Closed => return,
            };
        }
        inference.show_asked(&frames);
        let rules = inference.sets.borrow().clone();
        let is_known = |camera: &CameraId| rules.cameras.iter().any(|known| known.id == *camera);
        memory.retain(is_known);
        views.retain(is_known);
        // What nobody asks about need not be encoded.
        frames.retain(|frame| rules.wants(&frame.camera));
        if inference.engine.is_away() {
            inference.let_go(&frames);
            continue;
        }
        inference.note_waiting(&frames);
        let looks = inference.look(&frames, &mut memory, &mut ahead);
        let seen: Vec<&Frame> = looks.iter().map(|looked| looked.frame).collect();
        inference.forget_asked(&seen, views);
        let problems = views.look(&rules, &seen).into_iter();
        let scores = score_frames(&rules, &looks).into_iter();
        for (looked, (scores, problem)) in looks.iter().zip(scores.zip(problems)) {
            inference.status.counters(&looked.frame.camera).frame_analysed();
            let scored = looked.scored(scores, problem, &rules);
            inference.status.board().scored(&scored);
            if let Some(keeping) = &inference.keeping {
                keeping.keep(&scored);
            }
            if inference.out.blocking_send(Observation::Scored(scored)).is_err() {
                return;
            }
        }
    }
}

impl Inference {
    /// Loads the model again where it is gone. `false` when it stays gone.
    fn ready(&mut self) -> bool {
        match self.engine.recover(Instant::now(), fastrand::f64()) {
            Health::Working | Health::Away => true,
            Health::Back => {
                tracing::info!("the model is loaded again");
                self.tell(ModelState::Working);
                true
            }
            Health::Gone => {
                tracing::error!(
                    "the model cannot be loaded again in this process; it has to be started anew"
                );
                false
            }
        }
    }

    /// Tells the alert stage. Whether there still is one shows with the next scores.
    fn tell(&self, state: ModelState) {
        if self.out.blocking_send(Observation::Model(state)).is_err() {
            tracing::debug!("nobody listens to the model's state any more");
        }
    }

    /// Hands on the frames that somebody asked to see, whether or not anything is looked for in them.
    fn show_asked(&self, frames: &[Frame]) {
        for frame in frames {
            if self.status.counters(&frame.camera).take_ask()
                && self.out.blocking_send(Observation::Asked(frame.clone())).is_err()
            {
                tracing::debug!("nobody listens to frames any more");
            }
        }
    }

    /// Forgets the views that are to be learnt anew, beginning with these frames.
    fn forget_asked(&self, frames: &[&Frame], views: &mut Views) {
        for Frame { camera, .. } in frames {
            if self.status.counters(camera).take_renewal() {
                tracing::info!(%camera, "its view is learnt anew");
                views.forget(camera);
            }
        }
    }

    /// Counts frames that nothing could be made of.
    fn let_go<'a>(&self, frames: impl IntoIterator<Item = &'a Frame>) {
        for frame in frames {
            self.status.counters(&frame.camera).frame_failed();
        }
    }

    /// How long frames have waited since they were captured.
    fn note_waiting(&self, frames: &[Frame]) {
        if let Some(clock) = self.clock {
            let now = clock.now();
            for frame in frames {
                self.status.took(Stage::Waiting, now.since(frame.captured.at));
            }
        }
    }

    /// The frames that could be encoded, or need not be, each with what the model makes of it.
    fn look<'a>(
        &mut self,
        frames: &'a [Frame],
        memory: &mut Memory,
        ahead: &mut Vec<Frame>,
    ) -> Vec<Looked<'a>> {
        let mut looks = Vec::with_capacity(frames.len());
        let mut changed = Vec::with_capacity(frames.len());
        for frame in frames {
            match memory.recall(frame) {
                Some(look) => {
                    self.status.counters(&frame.camera).frame_unchanged();
                    looks.push(Looked { frame, look, unchanged: true });
                }
                None => changed.push(frame),
            }
        }
        if changed.is_empty() {
            return looks;
        }
        // What a gate finds in the next frames depends on what becomes of these.
        let gated = frames.iter().any(|frame| frame.gate.is_some());
        for (frame, look) in self.embed(&changed, (!gated).then_some(ahead)) {
            let look = Arc::new(look);
            memory.keep(frame, &look);
            looks.push(Looked { frame, look, unchanged: false });
        }
        looks
    }

    /// The frames that could be encoded. Those of the next batch come into `ahead` if the encoder has
    /// a use for them so early.
    fn embed<'a>(
        &mut self,
        frames: &[&'a Frame],
        ahead: Option<&mut Vec<Frame>>,
    ) -> Vec<(&'a Frame, Look)> {
        let started = Instant::now();
        match self.encode(frames, ahead) {
            Ok(looks) => {
                tracing::trace!(frames = frames.len(), took = ?started.elapsed(), "batch encoded");
                frames.iter().copied().zip(looks).collect()
            }
            Err(EncodeError::Lost(cause)) => {
                tracing::error!(
                    cause,
                    "the model's device is gone; trying to load the model again"
                );
                self.let_go(frames.iter().copied());
                self.tell(ModelState::Lost(cause));
                Vec::new()
            }
            Err(error) if frames.len() == 1 => {
                let camera = &frames[0].camera;
                self.status.counters(camera).frame_failed();
                tracing::warn!(%camera, %error, "a frame could not be encoded");
                Vec::new()
            }
            // Which frame it was is found by encoding each alone.
            Err(_) => frames.chunks(1).flat_map(|one| self.embed(one, None)).collect(),
        }
    }

    fn encode(
        &mut self,
        frames: &[&Frame],
        mut ahead: Option<&mut Vec<Frame>>,
    ) -> Result<Vec<Look>, EncodeError> {
        let tiles: Vec<Vec<Region>> = frames.iter().map(|frame| tiles_of(frame)).collect();
        let shared: Vec<(&Arc<Picture>, View)> = frames
            .iter()
            .zip(&tiles)
            .flat_map(|(frame, tiles)| views(frame.view, tiles).map(|view| (&frame.picture, view)))
            .collect();
        let pictures: Vec<(&Picture, View)> =
            shared.iter().map(|(picture, view)| (&***picture, *view)).collect();
        let largest = self.engine.largest();
        let early = Early { frames: &self.frames, sets: &self.sets, largest };
        let mut embeddings = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(largest) {
            let later = &shared[embeddings.len() + batch.len()..];
            let later =
                later.iter().take(largest).map(|(picture, view)| (Arc::clone(picture), *view));
            let mut next = || match ahead.as_deref_mut().filter(|_| later.len() == 0) {
                Some(ahead) => early.take(ahead),
                None => later.clone().collect(),
            };
            embeddings.extend(self.engine.encode_before(batch, &mut next)?);
            self.status.batch_encoded(batch.len());
            let took = self.engine.took();
            self.status.took(Stage::Preprocess, took.preprocess);
            self.status.took(Stage::Model, took.model);
        }
        let mut embeddings = embeddings.into_iter();
        let look = |tiles: Vec<Region>| {
            let embeddings = embeddings.by_ref().take(tiles.len().max(1)).collect();
            Look { tiles, embeddings }
        };
        Ok(tiles.into_iter().map(look).collect())
    }
}

/// What every watch of each frame's camera says. Each watch's labels are multiplied once with all
/// that its cameras saw, or once for each group of cameras that has learnt something else.
fn score_frames(rules: &WatchSet, looks: &[Looked<'_>]) -> Vec<Vec<WatchScore>> {
    let mut scores: Vec<Vec<WatchScore>> = looks.iter().map(|_| Vec::new()).collect();
    for watch in rules.watches.iter().filter(|watch| watch.enabled) {
        let is_watched = |index: &usize| watch.cameras.contains(&looks[*index].frame.camera);
        let mut left: Vec<usize> = (0..looks.len()).filter(is_watched).collect();
        while let Some(first) = left.first() {
            let scorer = Scorer::of(rules, watch, &looks[*first].frame.camera);
            let alike = |index: &usize| scorer.holds_for(&looks[*index].frame.camera);
            let (together, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(alike);
            let embeddings: Vec<_> =
                together.iter().flat_map(|index| looks[*index].look.embeddings.iter()).collect();
            let mut values = scorer.values(&embeddings).into_iter();
            for index in together {
                let look = &looks[index].look;
                let tiles = values.by_ref().take(look.embeddings.len());
                scores[index].push(score_watch(watch, look, scorer.best(tiles)));
            }
            left = rest;
        }
    }
    scores
}

/// What one watch says of one frame, by each label's best tile.
fn score_watch(watch: &Watch, look: &Look, best: Best) -> WatchScore {
    let tiles = (0..watch.labels.len()).filter_map(|place| look.tiles.get(best.tile(place)));
    WatchScore {
        watch: watch.id.clone(),
        tiles: tiles.copied().collect(),
        probabilities: Probabilities::new(watch.labels.clone(), best.probabilities),
    }
}
