//! The topic names of the contract. Pure; every topic that is ever published is made here.

use crate::model::{CameraId, LabelKey, NodeId, WatchId};

/// What a command that comes in on a topic is about, in the topic's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressed<'t> {
    /// Its payload says.
    Any,
    /// Whether this camera is enabled.
    Enabled(&'t str),
    /// The threshold of a label: camera, watch, label.
    Threshold([&'t str; 3]),
}

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

    /// Comes in: commands of all kinds.
    pub fn command(&self) -> String {
        format!("{}/command", self.root)
    }

    /// What became of each.
    pub fn reply(&self) -> String {
        format!("{}/reply", self.root)
    }

    /// The filters of all topics that commands come in on.
    pub fn commands(&self) -> Vec<String> {
        let ends = ["command", "+/enabled/set", "+/+/+/threshold/set"];
        ends.map(|end| format!("{}/{end}", self.root)).into()
    }

    /// `None` for a topic that takes no commands.
    pub fn addressed<'t>(&self, topic: &'t str) -> Option<Addressed<'t>> {
        let levels = topic.strip_prefix(&self.root)?.strip_prefix('/')?;
        match levels.split('/').collect::<Vec<_>>()[..] {
            ["command"] => Some(Addressed::Any),
            [camera, "enabled", "set"] => Some(Addressed::Enabled(camera)),
            [camera, watch, label, "threshold", "set"] => {
                Some(Addressed::Threshold([camera, watch, label]))
            }
            _ => None,
        }
    }

    fn of_label(&self, key: &LabelKey, what: &str) -> String {
        format!("{}/{}/{}/{}/{what}", self.root, key.camera, key.watch, key.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart_by_their_topics() {
        let topics = Topics::new("a/b", &NodeId::try_new("n").unwrap());
        assert_eq!(
            topics.commands(),
            ["a/b/n/command", "a/b/n/+/enabled/set", "a/b/n/+/+/+/threshold/set"]
        );
        assert_eq!(topics.addressed("a/b/n/command"), Some(Addressed::Any));
        assert_eq!(topics.addressed("a/b/n/c/enabled/set"), Some(Addressed::Enabled("c")));
        let threshold = Some(Addressed::Threshold(["c", "w", "l"]));
        assert_eq!(topics.addressed("a/b/n/c/w/l/threshold/set"), threshold);
        for other in
            ["a/b/n", "a/b/nn/command", "a/b/n/c/enabled/state", "n/command", "a/b/n/x/command"]
        {
            assert_eq!(topics.addressed(other), None, "{other}");
        }
    }
}
