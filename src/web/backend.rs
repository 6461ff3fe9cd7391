//! What the page needs of the rest of seewhen: the daemon has it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::taught::Report;
use crate::command::{Answer, Request};
use crate::model::{CameraId, Event, LabelId, LabelKey, Probability, WatchId};
use crate::watch::{ScoreKind, Watch};

/// What comes later.
pub type Answering<T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send>>;

/// See the module. Nothing here waits in the thread that asks.
pub trait Backend: Send + Sync + 'static {
    /// Carries a command out.
    fn command(&self, request: Request) -> Answering<Answer>;

    /// Turns words into a watch that is only tried out; words of a watch's own labels into that watch, with
    /// what was taught.
    fn compile(&self, trial: Trial) -> Answering<Compiled>;

    /// Events from the history, the newest first.
    fn events(&self, wanted: EventsWanted) -> Answering<Events>;

    /// Does what takes tens of milliseconds of a processor.
    fn beside(&self, work: Box<dyn FnOnce() -> bool + Send>) -> Answering<bool>;

    /// The moments that a text describes.
    fn search(&self, wanted: SearchWanted) -> Answering<SearchFound>;

    /// What words give over the frames of the past.
    fn past(&self, wanted: PastWanted) -> Answering<Past>;

    /// The setting that suits a label, from spans of the past in which it was there: as `seewhen tune --json`
    /// has it, and a plot.
    fn tune(&self, wanted: TuneWanted) -> Answering<Value>;

    /// What a label was taught, how good that is, and which frames are worth to be marked next.
    fn taught(&self, key: LabelKey) -> Answering<Report>;

    /// The small picture of a frame of the past.
    fn thumbnail(&self, camera: CameraId, time: f64) -> Answering<Vec<u8>>;

    /// The bytes of a snapshot's file, from the snapshots' folder on.
    fn snapshot(&self, file: String) -> Answering<Vec<u8>>;
}

/// Words to try out.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Names and prompts.
    pub labels: Vec<(String, Vec<String>)>,
    /// `None`: those of the watch, or none.
    pub templates: Option<Vec<String>>,
    pub score: Option<ScoreKind>,
    /// Its labels compete, but for those of the same names.
    pub watch: Option<WatchId>,
}

/// A watch of no camera, and how it is scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    pub watch: Watch,
    pub scale: f32,
    pub bias: f32,
    /// The bundle.
    pub model: Arc<str>,
    /// What is odd about the prompts.
    pub advice: Vec<String>,
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventsWanted {
    /// Those that started before this, Unix seconds.
    pub before: Option<f64>,
    pub camera: Option<CameraId>,
    pub watch: Option<WatchId>,
    pub label: Option<LabelId>,
    pub limit: usize,
}

/// The newest message of each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Events {
    pub events: Vec<Event>,
    /// There are older ones.
    pub more: bool,
}

/// What is looked for in the past. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchWanted {
    pub text: String,
    /// Empty: all.
    pub cameras: Vec<CameraId>,
    pub from: Option<f64>,
    pub to: Option<f64>,
    pub limit: usize,
}

/// The best first.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchFound {
    /// Frames that were compared.
    pub scanned: u64,
    pub moments: Vec<Moment>,
}

/// Frames of one camera that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    pub camera: CameraId,
    /// The best frame.
    pub time: f64,
    pub from: f64,
    pub to: f64,
    pub cosine: f32,
    /// How many standard deviations above the mean of all that were compared.
    pub deviations: f32,
    /// A picture was kept.
    pub picture: bool,
}

/// Words over the past.
#[derive(Debug, Clone, PartialEq)]
pub struct PastWanted {
    pub compiled: Compiled,
    pub camera: CameraId,
    pub from: f64,
    pub to: f64,
    /// Most points; each stands for as long as the others.
    pub points: usize,
}

/// A label, and when it was there. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneWanted {
    pub key: LabelKey,
    pub from: f64,
    pub to: f64,
    /// In order, apart from each other.
    pub there: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    pub frames: u64,
    /// In order; spans without a frame have none.
    pub points: Vec<PastPoint>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PastPoint {
    /// The frame in which the first label was highest.
    pub time: f64,
    pub frames: u64,
    /// The highest of each label, in the order of the watch.
    pub probabilities: Vec<Probability>,
    /// A picture of that frame was kept.
    pub picture: bool,
}

/// Why something is not to be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Trouble {
    #[error("{0}")]
    NotFound(String),
    /// It cannot be meant so.
    #[error("{0}")]
    Bad(String),
    /// Ask again in a moment.
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Failed(String),
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
