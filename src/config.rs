//! What the user asked for: text in, [`Config`] out, with every problem at once.
//!
//! Everything in a [`Config`] has been checked; the rest of the program never meets a raw value.
//! Each section of the file has a module here that owns its types and reads them. Nothing here
//! opens a camera, a model or a connection.

mod broker;
mod camera;
mod commands;
mod diff;
mod disk;
mod embeddings;
mod environment;
mod history;
mod keys;
mod layer;
mod load;
mod password;
mod problem;
mod runtime;
mod secret;
mod section;
mod settings;
mod snapshots;
mod source;
mod taught;
mod tls;
mod value;
mod watch;
mod web;

pub use broker::{Broker, MqttConfig, MqttVersion};
pub use camera::Camera;
pub use commands::CommandsConfig;
pub use diff::Diff;
pub use disk::{OnDisk, load, write_runtime};
pub use embeddings::EmbeddingsConfig;
pub use history::HistoryConfig;
pub use layer::unknown_key;
pub use load::{File, Loaded, parse};
pub use password::PasswordHash;
pub use problem::{Place, Problem, Problems};
pub use runtime::{Change, Entry, Runtime};
pub use secret::{Secret, Surroundings};
pub use settings::{Device, ModelConfig, Precision, parse_device, parse_precision};
pub use snapshots::SnapshotsConfig;
pub use source::{CameraSource, Network, Transport, parse_source};
pub use taught::TaughtConfig;
pub use tls::{Identity, Tls};
pub use watch::{LabelConfig, LabelScore, WatchConfig};
pub use web::{User, WebConfig};

use crate::model::NodeId;

/// The keys of `[[watch.label]]`.
pub const LABEL_KEYS: &[&str] = keys::LABEL;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub node: NodeId,
    pub model: ModelConfig,
    pub mqtt: MqttConfig,
    pub history: HistoryConfig,
    pub snapshots: SnapshotsConfig,
    pub embeddings: EmbeddingsConfig,
    pub taught: TaughtConfig,
    pub commands: CommandsConfig,
    pub web: WebConfig,
    pub cameras: Vec<Camera>,
    pub watches: Vec<WatchConfig>,
}
