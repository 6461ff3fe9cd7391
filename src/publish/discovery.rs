//! What Home Assistant is told, so that cameras and labels appear there by themselves. Pure.
//!
//! One message of its device discovery (Home Assistant 2024.11 or newer) for the node and one for
//! each camera, retained below its discovery prefix. Keys are written out, not abbreviated.
//! [`update`] says what changes from one set of messages to the next: Home Assistant keeps an
//! entity that a new message only leaves out, so what has gone is named once more, without options.

mod entities;
mod names;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::names::joined;
use super::topics::Topics;
use crate::model::{CameraId, LabelKey, NodeId};
use crate::watch::{ScoreKind, WatchSet};

/// Retained payloads by their topics.
pub type Messages = BTreeMap<String, Vec<u8>>;

/// A device's entities by their ids within it.
type Components = Map<String, Value>;

/// What all messages of a node have in common.
#[derive(Debug, Clone, Copy)]
pub struct Discovery<'a> {
    /// Home Assistant's discovery prefix; empty turns discovery off.
    pub prefix: &'a str,
    pub topics: &'a Topics,
    pub node: &'a NodeId,
    /// Of seewhen.
    pub version: &'a str,
    /// Whether somebody listens on the topics of commands: without, no entity is made for them.
    pub commands: bool,
    /// The same for pictures of events.
    pub pictures: bool,
}

impl Discovery<'_> {
    /// The messages for the watches in force: one for the node, one for each camera.
    pub fn messages(&self, set: &WatchSet) -> Messages {
        if self.prefix.is_empty() {
            return Messages::new();
        }
        let cameras: Vec<&str> = set.cameras.iter().map(|camera| camera.id.as_str()).collect();
        let cameras = set.cameras.iter().map(|camera| {
            let name = names::camera(&camera.id, &cameras);
            (self.topic(Some(&camera.id)), self.camera(&camera.id, &name, set))
        });
        let node = (self.topic(None), self.node());
        std::iter::once(node).chain(cameras).collect()
    }

    /// Whether a retained message is this node's, maybe of an earlier run: such a one is an old
    /// message for [`update`].
    pub fn is_own(&self, payload: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Value>(payload) else { return false };
        let (device, node) = (&message["device"], self.identifier(None));
        device["via_device"] == *node || device["identifiers"][0] == *node
    }

    /// Ids go in as they are: Home Assistant allows no other character here than they do.
    fn topic(&self, camera: Option<&CameraId>) -> String {
        let Self { prefix, node, .. } = self;
        match camera {
            Some(camera) => format!("{prefix}/device/seewhen_{node}_{camera}/config"),
            None => format!("{prefix}/device/seewhen_{node}/config"),
        }
    }

    /// How Home Assistant knows a device again.
    fn identifier(&self, camera: Option<&CameraId>) -> String {
        let own = ["seewhen", self.node.as_str()];
        joined(own.into_iter().chain(camera.map(CameraId::as_str)))
    }

    fn node(&self) -> Vec<u8> {
        let device = json!({
            "identifiers": [self.identifier(None)],
            "name": format!("seewhen {}", self.node),
            "manufacturer": "seewhen",
            "model": "Node",
            "sw_version": self.version,
        });
        let components = entities::of_node(self.topics, self.unique());
        message(&json!({
            "device": device,
            "origin": self.origin(),
            "components": components,
        }))
    }

    fn camera(&self, camera: &CameraId, name: &str, set: &WatchSet) -> Vec<u8> {
        let device = json!({
            "identifiers": [self.identifier(Some(camera))],
            "name": name,
            "manufacturer": "seewhen",
            "model": "Camera",
            "sw_version": self.version,
            "via_device": self.identifier(None),
        });
        let unique = self.unique();
        let mut components = entities::of_camera(self.topics, unique, camera);
        let keys: Vec<(LabelKey, ScoreKind)> = labels(camera, set).collect();
        for (key, score) in &keys {
            let name = names::label(key, keys.iter().map(|(key, _)| key));
            components.extend(entities::of_label(self.topics, unique, key, &name, *score));
        }
        let served = |entity: &Value| match entity["platform"].as_str() {
            Some("image") => self.pictures,
            Some("number" | "switch") => self.commands,
            // Its view is learnt anew, where it is learnt at all.
            Some("button") => self.commands && set.view_check(camera).is_some(),
            _ => true,
        };
        components.retain(|_, entity| served(entity));
        let topics = [self.topics.available(), self.topics.camera_available(camera)];
        message(&json!({
            "device": device,
            "origin": self.origin(),
            // For every entity that does not say otherwise.
            "availability": topics.map(|topic| json!({ "topic": topic })),
            "availability_mode": "all",
            "components": components,
        }))
    }

    fn origin(&self) -> Value {
        json!({ "name": "seewhen", "sw_version": self.version })
    }

    fn unique(&self) -> names::Unique<'_> {
        names::Unique { node: self.node }
    }
}

/// The filter of all topics that [`Discovery::messages`] may have, other programs' included.
pub fn filter(prefix: &str) -> String {
    format!("{prefix}/device/+/config")
}

/// The labels whose events are told on `camera`.
fn labels<'a>(
    camera: &'a CameraId,
    set: &'a WatchSet,
) -> impl Iterator<Item = (LabelKey, ScoreKind)> + 'a {
    set.for_camera(camera).flat_map(move |watch| {
        let told = watch.labels.iter().filter(|label| label.told().is_some());
        told.map(move |label| {
            let (camera, watch_id) = (camera.clone(), watch.id.clone());
            (LabelKey { camera, watch: watch_id, label: label.id.clone() }, watch.score)
        })
    })
}

/// The topics that have to be cleared because their devices have gone.
pub fn removals(old: &Messages, new: &Messages) -> Vec<String> {
    let gone =
        old.iter().filter(|(topic, payload)| !payload.is_empty() && !new.contains_key(*topic));
    gone.map(|(topic, _)| topic.clone()).collect()
}

/// What has to be retained so that `new` holds where `old` did: nothing for messages that are
/// the same, an empty payload for devices that have gone, and in a device's message the names of
/// the entities that it had before.
pub fn update(old: &Messages, new: &Messages) -> Messages {
    let cleared = removals(old, new).into_iter().map(|topic| (topic, Vec::new()));
    let changed = new.iter().filter(|(topic, payload)| old.get(*topic) != Some(payload));
    let changed = changed.map(|(topic, payload)| {
        let before = old.get(topic).map(Vec::as_slice).unwrap_or_default();
        (topic.clone(), with_parting(before, payload))
    });
    cleared.chain(changed).collect()
}

/// `new`, with what only `old` had, each with its platform alone: that removes it.
fn with_parting(old: &[u8], new: &[u8]) -> Vec<u8> {
    let read = |payload| serde_json::from_slice::<Value>(payload).unwrap_or_default();
    let (old, mut new_message) = (read(old), read(new));
    let Some(old) = old["components"].as_object() else { return new.to_vec() };
    let Some(components) = new_message["components"].as_object_mut() else { return new.to_vec() };
    for (id, component) in old {
        if !components.contains_key(id) {
            components.insert(id.clone(), json!({ "platform": component["platform"] }));
        }
    }
    message(&new_message)
}

fn message(message: &Value) -> Vec<u8> {
    message.to_string().into_bytes()
}
