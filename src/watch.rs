//! Compiled watches: what the configuration asks for, with the prompts turned into embeddings.
//!
//! A [`WatchSet`] is built completely before it is swapped in (start, reload). A batch takes one
//! snapshot and carries it along, so scoring and alerting never use different rules. Pure: no
//! I/O, no clock.

pub mod explanation;
pub mod schedule;
mod score;

use std::sync::Arc;
use std::time::Duration;

use ndarray::Array2;

pub use self::score::{Probabilities, WatchScore};

use self::explanation::{Explanation, Unknown};
use self::schedule::Schedule;
use crate::model::{
    CameraChange, CameraId, Captured, Embedding, Event, Frame, LabelId, LabelKey, ModelState,
    Picture, Probability, Problem, Region, Shown, WallTime, WatchId,
};

/// When a label fires and when it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelRule {
    /// Fires at or above.
    pub threshold: Probability,
    /// Ends below (hysteresis); at most `threshold`.
    pub clear: Probability,
    /// Must stay at or above `threshold` this long first.
    pub hold: Duration,
    /// How many of the newest frames must be at or above `threshold`.
    pub consensus: Consensus,
    /// After an event has ended, and after the broker has its end, none starts for this long.
    pub cooldown: Duration,
    /// While an event is open, an `update` at most this often; zero for none.
    pub update_every: Duration,
    /// When it may fire; `None`: always.
    pub active: Option<Schedule>,
    /// Its events are for the log alone.
    pub shadow: bool,
    /// Neither it nor its watch is switched off. What is off never fires.
    pub enabled: bool,
}

impl LabelRule {
    /// Whether it may fire at `time`.
    pub fn is_active(&self, time: WallTime) -> bool {
        self.enabled && self.active.as_ref().is_none_or(|schedule| schedule.is_active(time))
    }
}

/// "3 of 5 frames": how many of the newest analysed frames must agree. Default: 1 of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consensus {
    needed: usize,
    of: usize,
}

impl Consensus {
    /// Most frames that one may be asked of.
    pub const MOST: usize = 100;

    /// `None` unless 1 <= `needed` <= `of` <= [`Self::MOST`].
    pub fn try_new(needed: usize, of: usize) -> Option<Self> {
        (1 <= needed && needed <= of && of <= Self::MOST).then_some(Self { needed, of })
    }

    pub fn needed(self) -> usize {
        self.needed
    }

    pub fn of(self) -> usize {
        self.of
    }
}

impl Default for Consensus {
    fn default() -> Self {
        Self { needed: 1, of: 1 }
    }
}

/// One label: without a rule it is background, which takes probability and never fires.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub id: LabelId,
    pub rule: Option<LabelRule>,
}

impl Label {
    /// The rule of a label whose states and events are sent.
    pub fn told(&self) -> Option<&LabelRule> {
        self.rule.as_ref().filter(|rule| !rule.shadow)
    }
}

/// How cosines become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScoreKind {
    /// CLIP: softmax of `logit_scale * cosine` over the watch's labels.
    #[default]
    Softmax,
    /// SigLIP: each label on its own, `sigmoid(logit_scale * cosine + logit_bias)`.
    Sigmoid,
}

/// One watch, ready to score.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    pub id: WatchId,
    pub cameras: Vec<CameraId>,
    /// Shared with what they are given probabilities in.
    pub labels: Arc<[Label]>,
    pub score: ScoreKind,
    /// Unit-length label embeddings, shape `[labels, dim]`, rows in the order of `labels`.
    pub matrix: Array2<f32>,
    pub taught: Taught,
    /// `P/<camera>/<watch>/probabilities` goes out at most this often, trips apart.
    pub publish_every: Duration,
    /// One that is switched off is not scored.
    pub enabled: bool,
}

/// What examples have made of a watch's labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taught {
    /// Labels without prompts, by their place in the watch: their rows of the matrix mean nothing.
    pub unworded: Vec<usize>,
    /// Each for other cameras.
    pub groups: Vec<TaughtGroup>,
}

/// Taught labels, on cameras for which they have learnt the same.
#[derive(Debug, Clone, PartialEq)]
pub struct TaughtGroup {
    pub cameras: Vec<CameraId>,
    /// By their place in the watch.
    pub labels: Vec<usize>,
    /// What is added to the log-odds of the prompts: a row times the embedding, shape `[labels, dim]`…
    pub directions: Array2<f32>,
    /// …and one of these for each row…
    pub biases: Vec<f32>,
    /// …kept within these.
    pub bounds: Vec<(f32, f32)>,
}

impl Taught {
    /// What holds for `camera`; `None` when no label is taught there.
    pub fn on(&self, camera: &CameraId) -> Option<&TaughtGroup> {
        self.groups.iter().find(|group| group.cameras.contains(camera))
    }

    /// Whether the label at `place` goes by examples on some camera.
    pub fn is_taught(&self, place: usize) -> bool {
        self.groups.iter().any(|group| group.labels.contains(&place))
    }
}

/// What the rules need to know of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedCamera {
    pub id: CameraId,
    /// A label that nobody has looked at for this long is not on any more.
    pub stale_after: Duration,
    /// One that is switched off has no frames.
    pub enabled: bool,
    /// What it can show, when it is to be told that it was moved, covered, blinded or is frozen.
    pub view_check: Option<Shown>,
}

/// All watches of a configuration, swapped as one.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchSet {
    pub cameras: Vec<WatchedCamera>,
    pub watches: Vec<Watch>,
    pub logit_scale: f32,
    pub logit_bias: f32,
    /// Name of the bundle, as payloads show it.
    pub model: Arc<str>,
    /// Counts the sets of one run; a later one replaces an earlier one.
    pub revision: u64,
}

impl WatchSet {
    /// The watches that look at `camera`, switched off or not.
    pub fn for_camera(&self, camera: &CameraId) -> impl Iterator<Item = &Watch> {
        self.watches.iter().filter(move |watch| watch.cameras.contains(camera))
    }

    /// Whether anything is looked for on `camera` now.
    pub fn wants(&self, camera: &CameraId) -> bool {
        !self.is_off(camera) && self.for_camera(camera).any(|watch| watch.enabled)
    }

    /// What `camera` can show, when its view is checked.
    pub fn view_check(&self, camera: &CameraId) -> Option<Shown> {
        self.cameras.iter().find(|known| known.id == *camera)?.view_check
    }

    /// Whether `camera` is switched off.
    pub fn is_off(&self, camera: &CameraId) -> bool {
        self.cameras.iter().any(|known| known.id == *camera && !known.enabled)
    }

    /// The watch of this id, when it looks at `camera`, switched off or not.
    pub fn watch(&self, camera: &CameraId, id: &WatchId) -> Option<&Watch> {
        self.for_camera(camera).find(|watch| watch.id == *id)
    }

    /// The rule of a label, when it exists, looks at this camera and is not background.
    pub fn rule(&self, key: &LabelKey) -> Option<&LabelRule> {
        let watch = self.watch(&key.camera, &key.watch)?;
        watch.labels.iter().find(|label| label.id == key.label)?.rule.as_ref()
    }

    /// Whether a label goes by examples on this camera.
    pub fn is_taught(&self, key: &LabelKey) -> bool {
        let Some(watch) = self.watch(&key.camera, &key.watch) else { return false };
        let place = watch.labels.iter().position(|label| label.id == key.label);
        let group = watch.taught.on(&key.camera);
        place.zip(group).is_some_and(|(place, group)| group.labels.contains(&place))
    }

    /// Whether the events of a label are for the log alone.
    pub fn is_shadow(&self, key: &LabelKey) -> bool {
        self.rule(key).is_some_and(|rule| rule.shadow)
    }

    /// The labels whose states and events are sent, on every camera they look at, with their rules.
    pub fn told(&self) -> impl Iterator<Item = (LabelKey, &LabelRule)> {
        self.firing().filter(|(_, rule)| !rule.shadow)
    }

    /// The labels whose events are counted and not sent, in the same way.
    pub fn shadows(&self) -> impl Iterator<Item = (LabelKey, &LabelRule)> {
        self.firing().filter(|(_, rule)| rule.shadow)
    }

    fn firing(&self) -> impl Iterator<Item = (LabelKey, &LabelRule)> {
        self.watches.iter().flat_map(|watch| {
            let firing =
                watch.labels.iter().filter_map(|label| Some((label, label.rule.as_ref()?)));
            firing.flat_map(move |(label, rule)| {
                watch.cameras.iter().map(move |camera| {
                    let (camera, watch) = (camera.clone(), watch.id.clone());
                    (LabelKey { camera, watch, label: label.id.clone() }, rule)
                })
            })
        })
    }
}

/// What reaches the alert stage.
#[derive(Debug, Clone)]
pub enum Observation {
    Scored(Scored),
    /// A frame that somebody asked to see, scored or not.
    Asked(Frame),
    Camera(CameraChange),
    Model(ModelState),
}

/// What leaves the alert stage, for whoever tells the user.
#[derive(Debug, Clone)]
pub enum Notice {
    /// These watches hold from now on.
    Watching(Arc<WatchSet>),
    Camera(CameraChange),
    /// Something is wrong with what a running camera shows from now on, or nothing any more.
    View {
        camera: CameraId,
        problem: Option<Problem>,
    },
    Model(ModelState),
    Probabilities {
        camera: CameraId,
        watch: WatchId,
        time: WallTime,
        probabilities: Probabilities,
        model: Arc<str>,
    },
    Event {
        event: Event,
        /// The frame that started it; only with a start.
        picture: Option<Arc<Picture>>,
    },
    /// A frame that somebody asked to see.
    Asked(Frame),
    /// An event of a shadow label, which is sent to nobody.
    Shadow(Event),
}

/// What the alert stage is told and asked by those behind it.
pub enum Request {
    /// The broker has the end of an event of this label.
    Delivered(LabelKey),
    Explain {
        key: LabelKey,
        /// Called once; must not wait.
        answer: Answer,
    },
}

/// Where an explanation goes.
pub type Answer = Box<dyn FnOnce(Result<Explanation, Unknown>) + Send>;

/// What the model made of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The tiles that the frame was cut into; empty when it was not.
    pub tiles: Vec<Region>,
    /// One for each tile, or one for the whole.
    pub embeddings: Arc<[Embedding]>,
}

/// One analysed frame: what every watch of its camera says, with the rules it was scored under.
#[derive(Debug, Clone)]
pub struct Scored {
    pub camera: CameraId,
    pub captured: Captured,
    /// It changed nothing: the scores are those of the frame before.
    pub unchanged: bool,
    /// What was wrong with the view in this frame, so that rules may pass over it.
    pub problem: Option<Problem>,
    pub scores: Vec<WatchScore>,
    /// What was scored; shared with the frames that it stands for.
    pub look: Arc<Look>,
    pub rules: Arc<WatchSet>,
    /// What was looked at, masks applied; shared, for pixels are many.
    pub picture: Arc<Picture>,
}
