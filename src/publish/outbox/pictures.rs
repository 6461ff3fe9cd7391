//! The newest picture of each topic, until the broker has it. Pure.
//!
//! Pictures are retained and not confirmed: brokers would keep confirmed ones for every listener that is
//! away. So nobody says that one has arrived, but a confirmation of anything that was sent after it
//! does. A picture that a connection ended with, maybe because it is larger than the broker takes, is
//! sent once more and then no more.

use std::collections::BTreeMap;

/// How often a picture is sent without a word from the broker.
const TRIES: u8 = 2;

#[derive(Debug)]
struct Shown {
    jpeg: Vec<u8>,
    dirty: bool,
    /// How often it was sent since the broker last proved that it lives.
    tries: u8,
    /// The last token that had been given when it was sent in this connection.
    after: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pictures(BTreeMap<String, Shown>);

impl Pictures {
    /// The picture of `topic` from now on.
    pub(super) fn show(&mut self, topic: String, jpeg: Vec<u8>) {
        self.0.insert(topic, Shown { jpeg, dirty: true, tries: 0, after: None });
    }

    pub(super) fn remove(&mut self, topic: &str) {
        self.0.remove(topic);
    }

    pub(super) fn has(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// Whether one waits to be sent.
    pub(super) fn wait(&self) -> bool {
        self.0.values().any(|shown| shown.dirty)
    }

    /// What to send now; `token` is the last one that was given.
    pub(super) fn next(&mut self, token: u64) -> Option<(&str, &[u8])> {
        let (topic, shown) = self.0.iter_mut().find(|(_, shown)| shown.dirty)?;
        (shown.dirty, shown.after) = (false, Some(token));
        shown.tries += 1;
        Some((topic, &shown.jpeg))
    }

    /// The broker has confirmed `token`, and with it all that it got before.
    pub(super) fn confirmed(&mut self, token: u64) {
        for shown in self.0.values_mut() {
            if shown.after.is_some_and(|after| token > after) {
                shown.tries = 0;
            }
        }
    }

    /// A new connection: each is sent afresh, for the broker may have lost it. Gives those that are
    /// not, with their sizes in bytes.
    pub(super) fn say_all(&mut self) -> Vec<(String, usize)> {
        let mut left_out = Vec::new();
        for (topic, shown) in &mut self.0 {
            if !shown.dirty && shown.tries == TRIES {
                left_out.push((topic.clone(), shown.jpeg.len()));
            }
            (shown.dirty, shown.after) = (shown.tries < TRIES, None);
        }
        left_out
    }
}
