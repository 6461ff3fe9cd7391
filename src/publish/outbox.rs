//! What the broker still has to hear: the newest value of every retained topic, and events in
//! order. Pure: no I/O, no clock.
//!
//! One message is in flight at a time; it leaves on its PUBACK. After a reconnect every retained
//! topic is sent afresh (a broker may have lost them), then the events that were not
//! acknowledged, in order. A full outbox drops its oldest event and counts it.

use std::collections::{BTreeMap, VecDeque};

use crate::model::Event;

#[derive(Debug)]
struct Retained {
    payload: Vec<u8>,
    /// The broker has not been sent this payload in this connection.
    dirty: bool,
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    /// It could not be sent when it happened.
    queued: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum InFlight {
    Retained(String),
    Event,
}

/// The next message to send. An empty retained payload clears its topic.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    Retained { topic: &'a str, payload: &'a [u8] },
    Event { event: &'a Event, queued: bool },
}

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    retained: BTreeMap<String, Retained>,
    events: VecDeque<Waiting>,
    capacity: usize,
    in_flight: Option<InFlight>,
    connected: bool,
    dropped: u64,
}

impl Outbox {
    /// Keeps at most `capacity` events (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            retained: BTreeMap::new(),
            events: VecDeque::new(),
            capacity: capacity.max(1),
            in_flight: None,
            connected: false,
            dropped: 0,
        }
    }

    /// Sets a retained topic; the same value again is not sent again.
    pub fn retain(&mut self, topic: String, payload: impl Into<Vec<u8>>) {
        let payload = payload.into();
        match self.retained.get_mut(&topic) {
            Some(known) if known.payload == payload => {}
            Some(known) => *known = Retained { payload, dirty: true },
            None => {
                self.retained.insert(topic, Retained { payload, dirty: true });
            }
        }
    }

    /// Takes an event in. Returns whether the oldest one had to go for it.
    pub fn push(&mut self, event: Event) -> bool {
        let overflow = self.events.len() >= self.capacity;
        if overflow {
            // One in flight stays: its PUBACK must not be taken for that of the next.
            let oldest = usize::from(self.in_flight == Some(InFlight::Event));
            if self.events.remove(oldest).is_some() {
                self.dropped += 1;
            }
        }
        self.events.push_back(Waiting { event, queued: !self.connected });
        overflow
    }

    /// What to send now; `None` while a message is in flight or nobody is there.
    pub fn next_message(&mut self) -> Option<Next<'_>> {
        if !self.connected || self.in_flight.is_some() {
            return None;
        }
        let topic = self.retained.iter().find(|(_, value)| value.dirty).map(|(topic, _)| topic);
        if let Some(topic) = topic.cloned() {
            let value = self.retained.get_mut(&topic)?;
            // A newer value that comes while this one is in flight makes it dirty again.
            value.dirty = false;
            let InFlight::Retained(topic) = self.in_flight.insert(InFlight::Retained(topic)) else {
                return None;
            };
            return Some(Next::Retained { topic, payload: &value.payload });
        }
        let waiting = self.events.front()?;
        self.in_flight = Some(InFlight::Event);
        Some(Next::Event { event: &waiting.event, queued: waiting.queued })
    }

    /// The message in flight has arrived. Gives the event that it was, unless that came late.
    pub fn acked(&mut self) -> Option<Event> {
        match self.in_flight.take()? {
            InFlight::Event => self
                .events
                .pop_front()
                .filter(|waiting| !waiting.queued)
                .map(|waiting| waiting.event),
            InFlight::Retained(topic) => {
                self.settle(&topic);
                None
            }
        }
    }

    pub fn connected(&mut self) {
        self.connected = true;
        self.in_flight = None;
        self.retained.values_mut().for_each(|value| value.dirty = true);
    }

    pub fn disconnected(&mut self) {
        self.connected = false;
        self.in_flight = None;
        self.events.iter_mut().for_each(|waiting| waiting.queued = true);
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_none()
            && self.events.is_empty()
            && self.retained.values().all(|value| !value.dirty)
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.events.len()
    }

    /// Events that were dropped because the outbox was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn settle(&mut self, topic: &str) {
        if self.retained.get(topic).is_some_and(|value| !value.dirty && value.payload.is_empty()) {
            self.retained.remove(topic);
        }
    }
}

#[cfg(test)]
#[path = "outbox/tests.rs"]
mod tests;
