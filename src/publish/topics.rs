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

    pub fn node_status(&self) -> String {
        format!("{}/status", self.root)
    }

    pub fn camera_available(&self, camera: &CameraId) -> String {
        format!("{}/{camera}/available", self.root)
    }

    pub fn camera_status(&self, camera: &CameraId) -> String {
        format!("{}/{camera}/status", self.root)
    }

    /// The newest event's picture.
    pub fn snapshot(&self, camera: &CameraId) -> String {
        format!("{}/{camera}/snapshot", self.root)
    }

    pub fn enabled_state(&self, camera: &CameraId) -> String {
        format!("{}/{camera}/enabled/state", self.root)
    }

    /// Comes in: `ON` or `OFF`.
    pub fn enabled_set(&self, camera: &CameraId) -> String {
        format!("{}/{camera}/enabled/set", self.root)
    }

    /// Comes in: what is asked for, as JSON.
    pub fn command(&self) -> String {
        format!("{}/command", self.root)
    }

    /// What became of a command.
    pub fn reply(&self) -> String {
        format!("{}/reply", self.root)
    }

    pub fn probabilities(&self, camera: &CameraId, watch: &WatchId) -> String {
        format!("{}/{camera}/{watch}/probabilities", self.root)
    }

    pub fn state(&self, key: &LabelKey) -> String {
        self.of_label(key, "state")
    }

    pub fn attributes(&self, key: &LabelKey) -> String {
        self.of_label(key, "attributes")
    }

    pub fn event(&self, key: &LabelKey) -> String {
        self.of_label(key, "event")
    }

    pub fn threshold_state(&self, key: &LabelKey) -> String {
        self.of_label(key, "threshold/state")
    }

    /// Comes in: a number, 0 to 1.
    pub fn threshold_set(&self, key: &LabelKey) -> String {
        self.of_label(key, "threshold/set")
    }

    fn of_label(&self, key: &LabelKey, what: &str) -> String {
        format!("{}/{}/{}/{}/{what}", self.root, key.camera, key.watch, key.label)
    }
}
