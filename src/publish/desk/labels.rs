//! The retained topics of labels: their states, and the attributes that go with them.

use std::collections::BTreeMap;

use super::Desk;
use crate::model::{Event, EventKind, LabelKey, Probability, WallTime};
use crate::publish::payload;
use crate::watch::WatchSet;

/// What a label's attributes say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Attributes {
    probability: Option<Probability>,
    threshold: Probability,
    since: Option<WallTime>,
}

impl Desk {
    /// Sets the states of new labels and the thresholds of those that stay, and clears what is
    /// retained of those that are gone.
    pub(super) fn watch_labels(&mut self, set: &WatchSet) {
        let mut labels = BTreeMap::new();
        for (key, rule) in set.told() {
            let known = self.labels.remove(&key);
            if known.is_none() {
                self.retain(self.settings.topics.state(&key), payload::OFF);
            }
            let fresh = Attributes { probability: None, threshold: rule.threshold, since: None };
            let now = Attributes { threshold: rule.threshold, ..known.unwrap_or(fresh) };
            self.retain_attributes(&key, now);
            let threshold = payload::threshold(rule.threshold);
            self.retain(self.settings.topics.threshold_state(&key), threshold);
            labels.insert(key, now);
        }
        for key in std::mem::replace(&mut self.labels, labels).into_keys() {
            self.outbox.retain(self.settings.topics.state(&key), "");
            self.outbox.retain(self.settings.topics.attributes(&key), "");
            self.outbox.retain(self.settings.topics.threshold_state(&key), "");
        }
    }

    /// Sets the state that an event makes.
    pub(super) fn tell_state(&mut self, event: &Event) {
        let ended = event.kind == EventKind::End;
        let state = if ended { payload::OFF } else { payload::ON };
        self.retain(self.settings.topics.state(&event.key), state);
        let attributes = Attributes {
            probability: Some(event.probability),
            // The event's own is that of its start.
            threshold: self.labels.get(&event.key).map_or(event.threshold, |now| now.threshold),
            since: Some(if ended { event.frame_time } else { event.start_time }),
        };
        self.retain_attributes(&event.key, attributes);
        if let Some(known) = self.labels.get_mut(&event.key) {
            *known = attributes;
        }
    }

    fn retain_attributes(&mut self, key: &LabelKey, attributes: Attributes) {
        let Attributes { probability, threshold, since } = attributes;
        let payload = payload::attributes(probability, threshold, since);
        self.retain(self.settings.topics.attributes(key), payload);
    }
}
