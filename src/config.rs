//! What the user asked for: text in, [`Config`] out, with every problem at once.
//!
//! Everything in a [`Config`] has been checked; the rest of the program never meets a raw value.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{CameraId, LabelId, NodeId, View, WatchId};
use crate::watch::{LabelRule, ScoreKind};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub node: NodeId,
    pub model: ModelConfig,
    pub mqtt: MqttConfig,
    pub cameras: Vec<Camera>,
    pub watches: Vec<WatchConfig>,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// A name under the models folder, or a path (anything with a '/').
    pub bundle: String,
    pub device: Device,
    /// Where bundles are looked for; `--model-dir` and `SEEWHEN_MODEL_DIR` mean the same.
    pub dir: Option<PathBuf>,
    /// Where prompt embeddings are kept; `None` for the default place.
    pub prompt_cache: Option<PathBuf>,
    /// Most frames encoded in one run of the model.
    pub max_batch: usize,
    /// How long a batch that is not full waits for more frames.
    pub max_wait: Duration,
}

/// What runs the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    #[default]
    Auto,
    Cpu,
    OpenVino,
    Cuda(u32),
    TensorRt(u32),
}

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq)]
pub struct MqttConfig {
    pub broker: Broker,
    /// First topic levels, before the node.
    pub prefix: String,
    /// Home Assistant's discovery prefix; empty turns discovery off.
    pub discovery: String,
    /// Most events kept while the broker cannot be reached.
    pub outbox: usize,
}

/// Where the broker is.
#[derive(Debug, Clone, PartialEq)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// A value that no log, error, page or topic may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `[[camera]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    pub id: CameraId,
    pub source: CameraSource,
    /// One frame is analysed per interval.
    pub every: Duration,
    pub view: View,
    /// A file starts again at its end.
    pub repeat: bool,
    /// No first frame within this time ends the attempt.
    pub connect_timeout: Duration,
    /// No frame for this long ends the connection.
    pub stall_timeout: Duration,
}

/// Where frames come from. `Display` shows it without user name and password.
#[derive(Debug, Clone, PartialEq)]
pub enum CameraSource {
    /// `url` carries no user information; it is in `user` and `password`.
    Rtsp {
        url: String,
        user: Option<String>,
        password: Option<Secret>,
    },
    Http {
        url: String,
        user: Option<String>,
        password: Option<Secret>,
    },
    File(PathBuf),
    V4l2(PathBuf),
    /// GStreamer's test picture; the pattern by name ("smpte", "ball"), empty for the default.
    Test(String),
}

/// `[[watch]]`
#[derive(Debug, Clone, PartialEq)]
pub struct WatchConfig {
    pub id: WatchId,
    pub cameras: Vec<CameraId>,
    /// Each with one `{}`; at least `"{}"` itself.
    pub templates: Vec<String>,
    pub score: ScoreKind,
    pub publish_every: Duration,
    pub labels: Vec<LabelConfig>,
}

/// `[[watch.label]]`
#[derive(Debug, Clone, PartialEq)]
pub struct LabelConfig {
    pub id: LabelId,
    pub prompts: Vec<String>,
    /// `None`: background.
    pub rule: Option<LabelRule>,
}
