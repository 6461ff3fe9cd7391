//! What Home Assistant has been told, and what it says: that it has started, and what an earlier life
//! of this node told it. The publisher sends what comes of it.

use std::time::Duration;

use tokio::time::Instant;

use super::discovery::{Discovery, Messages, filter, update};
use super::topics::Topics;
use crate::model::NodeId;
use crate::watch::WatchSet;

/// After Home Assistant has started, every node waits for a part of this: they are many.
const SPREAD: Duration = Duration::from_secs(5);

/// The topics to listen on: Home Assistant's own state, and the messages for devices, ours among them.
pub(super) fn subscriptions(prefix: &str) -> Vec<String> {
    if prefix.is_empty() {
        return Vec::new();
    }
    vec![birth(prefix), filter(prefix)]
}

fn birth(prefix: &str) -> String {
    format!("{prefix}/status")
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct HomeAssistant {
    /// Empty: it is not told anything.
    prefix: String,
    /// Pictures are shown.
    pictures: bool,
    /// Somebody listens to commands.
    commands: bool,
    /// What it is to know; `None` before the first watches.
    messages: Option<Messages>,
    greeting: Option<Instant>,
}

impl HomeAssistant {
    pub(super) fn new(prefix: String, pictures: bool, commands: bool) -> Self {
        Self { prefix, pictures, commands, messages: None, greeting: None }
    }

    fn discovery<'a>(&'a self, topics: &'a Topics, node: &'a NodeId) -> Discovery<'a> {
        Discovery {
            prefix: &self.prefix,
            topics,
            node,
            version: env!("CARGO_PKG_VERSION"),
            pictures: self.pictures,
            commands: self.commands,
        }
    }

    /// What has to be retained for the watches in force.
    pub(super) fn watching(&mut self, set: &WatchSet, topics: &Topics, node: &NodeId) -> Messages {
        let new = self.discovery(topics, node).messages(set);
        let old = self.messages.replace(new.clone()).unwrap_or_default();
        update(&old, &new)
    }

    /// What has to be retained because of a message that the broker had: entities that an earlier life
    /// told of are named once more, and devices that have gone are cleared.
    pub(super) fn heard(
        &mut self,
        topic: &str,
        payload: &[u8],
        retained: bool,
        (topics, node): (&Topics, &NodeId),
    ) -> Messages {
        if self.prefix.is_empty() {
            return Messages::new();
        }
        if topic == birth(&self.prefix) {
            if payload == b"online" && !retained {
                self.greeting = Some(Instant::now() + SPREAD.mul_f64(fastrand::f64()));
            }
            return Messages::new();
        }
        let Some(messages) = self.messages.as_ref().filter(|_| retained) else {
            return Messages::new();
        };
        if !self.discovery(topics, node).is_own(payload) {
            return Messages::new();
        }
        let old = Messages::from([(topic.to_owned(), payload.to_vec())]);
        let new = messages.get_key_value(topic);
        let new = new.map(|(topic, payload)| (topic.clone(), payload.clone()));
        update(&old, &new.into_iter().collect())
    }

    /// Comes when Home Assistant has started, a random while later.
    pub(super) async fn greeting(&self) {
        match self.greeting {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn greeted(&mut self) {
        self.greeting = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::CameraId;
    use crate::watch::WatchedCamera;

    const NODE: &str = "homeassistant/device/seewhen_gate/config";
    const PORCH: &str = "homeassistant/device/seewhen_gate_porch/config";

    fn set(cameras: &[&str]) -> WatchSet {
        let stale_after = Duration::from_secs(1);
        let camera = |id| WatchedCamera {
            id: CameraId::try_new(id).unwrap(),
            stale_after,
            enabled: true,
            view_check: None,
        };
        WatchSet {
            cameras: cameras.iter().map(|id| camera(id)).collect(),
            watches: Vec::new(),
            logit_scale: 1.0,
            logit_bias: 0.0,
            model: Arc::from("mini"),
            revision: 1,
        }
    }

    fn own() -> (Topics, NodeId) {
        let node = NodeId::try_new("gate").unwrap();
        (Topics::new("seewhen", &node), node)
    }

    #[test]
    fn what_an_earlier_life_told_is_taken_back() {
        let (topics, node) = own();
        let mut home = HomeAssistant::new("homeassistant".to_owned(), true, true);
        let before = home.watching(&set(&["porch"]), &topics, &node);
        assert_eq!(before.keys().collect::<Vec<_>>(), [NODE, PORCH]);
        let mut old: serde_json::Value = serde_json::from_slice(&before[PORCH]).unwrap();
        old["components"]["w_l_state"] =
            serde_json::json!({ "platform": "binary_sensor", "name": "L" });
        let old = old.to_string().into_bytes();
        let own = (&topics, &node);
        let named = home.heard(PORCH, &old, true, own);
        let named: serde_json::Value = serde_json::from_slice(&named[PORCH]).unwrap();
        let wanted = serde_json::json!({ "platform": "binary_sensor" });
        assert_eq!(named["components"]["w_l_state"], wanted, "it removes the entity");
        assert!(home.heard(PORCH, &old, false, own).is_empty(), "that was said just now");
        assert!(home.heard(PORCH, &before[PORCH], true, own).is_empty(), "the same is no news");
        // The camera goes while seewhen is stopped.
        let mut home = HomeAssistant::new("homeassistant".to_owned(), true, true);
        home.watching(&set(&[]), &topics, &node);
        let cleared = Messages::from([(PORCH.to_owned(), Vec::new())]);
        assert_eq!(home.heard(PORCH, &old, true, own), cleared);
        let others = String::from_utf8(old).unwrap().replace("gate", "door").into_bytes();
        assert!(home.heard(PORCH, &others, true, own).is_empty(), "that is another node's");
    }

    #[test]
    fn a_start_is_answered_a_little_later() {
        let (topics, node) = own();
        let mut home = HomeAssistant::new("homeassistant".to_owned(), true, true);
        let mut hear = |topic, payload: &[u8], retained| {
            home.greeting = None;
            assert!(home.heard(topic, payload, retained, (&topics, &node)).is_empty());
            home.greeting
        };
        assert_eq!(hear("homeassistant/status", b"offline", false), None);
        assert_eq!(hear("homeassistant/status", b"online", true), None, "it has been up for long");
        let greeting = hear("homeassistant/status", b"online", false).unwrap();
        assert!(greeting <= Instant::now() + SPREAD);
    }

    #[test]
    fn turned_off_it_says_and_hears_nothing() {
        let (topics, node) = own();
        let mut home = HomeAssistant::new(String::new(), true, true);
        assert!(home.watching(&set(&["porch"]), &topics, &node).is_empty());
        assert!(home.heard(PORCH, b"{}", true, (&topics, &node)).is_empty());
        assert!(subscriptions("").is_empty());
    }
}
