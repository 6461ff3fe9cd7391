//! What Home Assistant has been told, and what it says: that it has started, and what an earlier life
//! of this node told it. Pure; the publisher sends what comes of it.

use std::time::Duration;

use tokio::time::Instant;

use super::discovery::{Discovery, Messages, update};
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
    vec![birth(prefix), format!("{prefix}/device/+/config")]
}

fn birth(prefix: &str) -> String {
    format!("{prefix}/status")
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct HomeAssistant {
    /// Empty: it is not told anything.
    prefix: String,
    /// What it is to know; `None` before the first watches.
    messages: Option<Messages>,
    greeting: Option<Instant>,
}

impl HomeAssistant {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix, messages: None, greeting: None }
    }

    fn discovery<'a>(&'a self, topics: &'a Topics, node: &'a NodeId) -> Discovery<'a> {
        let version = env!("CARGO_PKG_VERSION");
        Discovery { prefix: &self.prefix, topics, node, version, commands: false }
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
