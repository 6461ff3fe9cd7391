//! The vocabulary: cameras, frames, labels, probabilities, events.
//!
//! Everything that travels between stages is defined here and nowhere else. The types do no
//! I/O, read no clock, and are not `Serialize`: what users see is written by `publish::payload`
//! and by the command line, so the inside can change without breaking a topic.

mod event;
mod problem;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::event::{Event, EventKind, Suppressed};
pub use self::problem::{Problem, ProblemKind, Shown};

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} cannot be an id: use 1 to 64 letters, digits, '-' or '_' (ids become MQTT topic levels)"
)]
pub struct BadId {
    found: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name: 1 to 64 of `A-Z a-z 0-9 - _`.
            pub fn try_new(text: &str) -> Result<Self, BadId> {
                let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadId { found: text.to_owned() })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// One node: one running seewhen, the first level below the topic prefix.
    NodeId
);
id!(
    /// One camera.
    ///
    /// Ids of different kinds do not mix:
    /// ```compile_fail
    /// use seewhen::model::{CameraId, WatchId};
    /// let camera: CameraId = WatchId::try_new("porch").unwrap();
    /// ```
    CameraId
);
id!(
    /// One watch: labels scored together on the same frames.
    WatchId
);
id!(
    /// One label of a watch.
    LabelId
);

impl LabelId {
    /// The label of a prompt on the command line: its name is the prompt, and no topic is ever
    /// made of it.
    pub fn of_prompt(prompt: &str) -> Self {
        Self(prompt.into())
    }
}

/// A point in time for logic: monotonic, since an arbitrary start. With
/// `--as-fast-as-possible` it is the media's own time, so rules behave as they would live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// Time since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A point in time for payloads: seconds since the Unix epoch, UTC (or since the start of the
/// file with `--as-fast-as-possible`).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct WallTime(pub f64);

/// When a frame was captured, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Captured {
    pub at: Moment,
    pub time: WallTime,
}

/// Which frames of a camera are analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// One per interval.
    Interval(Duration),
    /// The ones that the encoder made to stand alone; nothing else is decoded.
    KeyFrames,
}

impl Every {
    /// How long it may be from one analysed frame to the next while all is well.
    pub fn longest(self) -> Duration {
        match self {
            Self::Interval(every) => every,
            // Cameras have a key frame every second or two; the thriftiest, every ten.
            Self::KeyFrames => Duration::from_secs(10),
        }
    }
}

/// What decodes a camera's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecoderChoice {
    /// Hardware where there is some, software when that fails.
    #[default]
    Auto,
    Software,
    /// NVIDIA's, through CUDA.
    Nvcodec,
    /// Intel's and AMD's, through VA-API.
    Va,
    /// Those of small boards, through the kernel.
    V4l2,
}

impl DecoderChoice {
    pub const ALL: [Self; 5] = [Self::Auto, Self::Software, Self::Nvcodec, Self::Va, Self::V4l2];

    /// As the configuration names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Software => "software",
            Self::Nvcodec => "nvcodec",
            Self::Va => "va",
            Self::V4l2 => "v4l2",
        }
    }
}

/// How much of a stream is decoded to get the frames that are analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeStrategy {
    KeyFrames,
    /// Groups of frames up to the one that is due.
    Partial,
    All,
}

impl DecodeStrategy {
    /// As people see it.
    pub fn word(self) -> &'static str {
        match self {
            Self::KeyFrames => "keyframes",
            Self::Partial => "partial",
            Self::All => "all",
        }
    }
}

/// A part of the picture, in fractions of its width and height, from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// How a picture that is not square meets the encoder's square input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// Shortest side to the input size, then the centre (CLIP's own).
    #[default]
    Crop,
    /// Longest side to the input size, the rest filled with the bundle's fill colour.
    Pad,
    /// Both sides to the input size.
    Stretch,
}

/// Which part of a camera's picture is analysed, and how it is made square.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct View {
    pub region: Option<Region>,
    /// `None`: as the model was trained.
    pub fit: Option<Fit>,
    /// Overlapping squares over the region are looked at one by one.
    pub tiles: bool,
}

/// A place in a picture, in fractions of its width and height, from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// An area of a picture: at least three corners; the last is joined to the first.
pub type Polygon = Vec<Point>;

/// When a frame counts as the one before, and is not encoded again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangeGate {
    /// Largest change of brightness anywhere in the picture, as a share of the full range.
    pub difference: f32,
    /// A frame this much newer than the last encoded one is encoded in any case.
    pub max_age: Duration,
}

/// 8-bit RGB pixels, rows top to bottom without padding: `rgb.len() == width * height * 3`.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// One sampled frame of one camera.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub camera: CameraId,
    pub captured: Captured,
    pub view: View,
    pub gate: Option<ChangeGate>,
    /// As it may be seen: what the camera's mask covers is black. Shared, for pixels are many.
    pub picture: Arc<Picture>,
}

/// A unit-length vector in the space that pictures and prompts share.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(pub Vec<f32>);

/// A probability, 0 to 1.
pub type Probability = f32;

/// State of one label on one camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelState {
    On,
    Off,
}

/// Which label of which watch on which camera.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelKey {
    pub camera: CameraId,
    pub watch: WatchId,
    pub label: LabelId,
}

/// Where a camera stands in its life. The words are those of `P/<camera>/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraState {
    Connecting,
    Running,
    Stalled,
    Retrying,
    /// Ended as asked: switched off, or the end of a file that does not loop.
    Disabled,
}

impl CameraState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Running => "running",
            Self::Stalled => "stalled",
            Self::Retrying => "retrying",
            Self::Disabled => "disabled",
        }
    }
}

/// Whether pictures can be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelState {
    Working,
    /// Its device is gone, for this reason.
    Lost(String),
}

/// A change in a camera's life, told by its capture thread.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraChange {
    pub camera: CameraId,
    pub state: CameraState,
    /// Why, in words; empty when there is nothing to explain.
    pub reason: String,
    /// How many attempts to open the source have been made since it last ran well.
    pub attempt: u32,
    pub captured: Captured,
}

impl CameraChange {
    /// Whether frames are flowing.
    pub fn available(&self) -> bool {
        self.state == CameraState::Running
    }
}

#[cfg(test)]
#[path = "model/tests.rs"]
mod tests;
