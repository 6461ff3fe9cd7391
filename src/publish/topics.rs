//! The topic names of the contract. Pure; every topic that is ever published is made here.

use crate::model::{CameraId, LabelKey, NodeId, WatchId};

/// Topics below `<prefix>/<node>`.
#[derive(Debug, Clone)]
pub struct Topics {
    root: String,
}

impl Topics {
    pub fn new(prefix: &str, node: &NodeId) -> Self {
        Self { root: format!("{prefix}/{node}") }
    }

    /// `online` or `offline`, also the last will.
    pub fn available(&self) -> String {
        format!("{}/available", self.root)
    }

    pub fn camera_available(&self, camera: &CameraId) -> String {
        format!("{}/{camera}/available", self.root)
    }

    pub fn camera_status(&self, camera: &CameraId) -> String {
        format!("{}/{camera}/status", self.root)
    }

    pub fn probabilities(&self, camera: &CameraId, watch: &WatchId) -> String {
        format!("{}/{camera}/{watch}/probabilities", self.root)
    }

    pub fn state(&self, key: &LabelKey) -> String {
        format!("{}/{}/{}/{}/state", self.root, key.camera, key.watch, key.label)
    }

    pub fn event(&self, key: &LabelKey) -> String {
        format!("{}/{}/{}/{}/event", self.root, key.camera, key.watch, key.label)
    }
}
