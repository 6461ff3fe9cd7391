//! What the broker still has to hear: the newest value of every retained topic, and events in
//! order. Pure: no I/O, no clock.
//!
//! Several messages are in flight at once, told apart by a token; each leaves on its PUBACK. One key
//! has one in flight: a retained topic, or a camera for its events, so that a camera's events
//! arrive in order whatever becomes of one of them. An event that happens goes before the states that
//! change with it: a broker that collects small packets answers the first of them at once, and the
//! others when that answer is confirmed. After a reconnect every retained topic is sent afresh (a broker
//! may have lost them), then the events that were not acknowledged, in order. A full outbox drops its
//! oldest event and counts it. Pictures ([`pictures`]) go when nothing else has to.

mod pictures;

use std::collections::{BTreeMap, VecDeque};

use self::pictures::Pictures;
use crate::model::{CameraId, Event};

/// Most messages in flight. The link's queue has room for them, and for what is not confirmed.
pub const IN_FLIGHT: u16 = 15;

#[derive(Debug)]
struct Retained {
    payload: Vec<u8>,
    /// The broker has not been sent this payload in this connection.
    dirty: bool,
    in_flight: bool,
}

/// An event that the broker has not confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub event: Event,
    /// Its place in the history; `None` when it is in memory only.
    pub stored: Option<i64>,
    /// Its number among those that were given to the history; 0 for one of an earlier life.
    pub number: u64,
    /// It could not be sent when it happened.
    pub queued: bool,
}

/// A camera's events, oldest first, each with its place in the order of all.
#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<(u64, Waiting)>,
    /// The first is in flight.
    in_flight: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum InFlight {
    Retained(String),
    EventOf(CameraId),
}

/// The next message to send, with its token. An empty retained payload clears its topic.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    Retained { token: u64, topic: String, payload: &'a [u8] },
    Event { token: u64, event: &'a Event, queued: bool },
}

/// What has arrived at the broker.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrived {
    Event(Box<Waiting>),
    /// An empty payload did: the topic is no more.
    Cleared(String),
}

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    retained: BTreeMap<String, Retained>,
    pictures: Pictures,
    queues: BTreeMap<CameraId, Queue>,
    in_flight: BTreeMap<u64, InFlight>,
    capacity: usize,
    waiting: usize,
    tokens: u64,
    numbers: u64,
    connected: bool,
    dropped: u64,
}

impl Outbox {
    /// Keeps at most `capacity` events (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            retained: BTreeMap::new(),
            pictures: Pictures::default(),
            queues: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            capacity: capacity.max(1),
            waiting: 0,
            tokens: 0,
            numbers: 0,
            connected: false,
            dropped: 0,
        }
    }

    /// Sets a retained topic; the same value again is not sent again.
    pub fn retain(&mut self, topic: String, payload: impl Into<Vec<u8>>) {
        let payload = payload.into();
        match self.retained.get_mut(&topic) {
            Some(known) if known.payload == payload => {}
            Some(known) => (known.payload, known.dirty) = (payload, true),
            None => {
                let value = Retained { payload, dirty: true, in_flight: false };
                self.retained.insert(topic, value);
            }
        }
    }

    /// Sets the picture of a retained topic. One that had to be cleared does not any more.
    pub fn show(&mut self, topic: String, jpeg: Vec<u8>) {
        if let Some(clear) = self.retained.get_mut(&topic) {
            clear.dirty = false;
            if !clear.in_flight {
                self.retained.remove(&topic);
            }
        }
        self.pictures.show(topic, jpeg);
    }

    /// Clears the topic of a picture.
    pub fn hide(&mut self, topic: String) {
        self.pictures.remove(&topic);
        self.retain(topic, "");
    }

    /// Whether a picture of `topic` has been set.
    pub fn shows(&self, topic: &str) -> bool {
        self.pictures.has(topic)
    }

    /// The topic and the JPEG of a picture to send now: when no event and no other topic waits.
    pub fn next_picture(&mut self) -> Option<(&str, &[u8])> {
        if self.picture_waits() { self.pictures.next(self.tokens) } else { None }
    }

    /// Whether there is a picture to send.
    pub fn picture_waits(&self) -> bool {
        let sent = |queue: &Queue| queue.in_flight && queue.events.len() == 1;
        self.connected
            && self.pictures.wait()
            && self.queues.values().all(sent)
            && self.retained.values().all(|value| !value.dirty)
    }

    /// Whether `topic` has been set, be it to nothing.
    pub fn retains(&self, topic: &str) -> bool {
        self.retained.contains_key(topic)
    }

    /// Takes an event in. Gives the oldest one where that had to go for it.
    pub fn push(&mut self, number: u64, event: Event, stored: Option<i64>) -> Option<Waiting> {
        self.add(Waiting { event, stored, number, queued: !self.connected })
    }

    /// Takes in an event of an earlier life.
    pub fn push_old(&mut self, event: Event, stored: i64) -> Option<Waiting> {
        self.add(Waiting { event, stored: Some(stored), number: 0, queued: true })
    }

    /// The history has taken event `number` after all. `false`: it is not here any more.
    pub fn stored(&mut self, number: u64, place: i64) -> bool {
        let mut waiting = self.queues.values_mut().flat_map(|queue| &mut queue.events);
        let found = waiting.find(|(_, waiting)| waiting.number == number);
        found.is_some_and(|(_, waiting)| {
            waiting.stored = Some(place);
            true
        })
    }

    fn add(&mut self, waiting: Waiting) -> Option<Waiting> {
        let oldest = if self.waiting >= self.capacity { self.drop_oldest() } else { None };
        self.numbers += 1;
        self.waiting += 1;
        let queue = self.queues.entry(waiting.event.key.camera.clone()).or_default();
        queue.events.push_back((self.numbers, waiting));
        oldest
    }

    /// Those in flight stay: a PUBACK must not be taken for that of the next.
    fn drop_oldest(&mut self) -> Option<Waiting> {
        let idle = |queue: &Queue| usize::from(queue.in_flight);
        let oldest = |queue: &Queue| Some(queue.events.get(idle(queue))?.0);
        let queues = self.queues.values_mut().filter(|queue| oldest(queue).is_some());
        let queue = queues.min_by_key(|queue| oldest(queue))?;
        let (_, waiting) = queue.events.remove(idle(queue))?;
        self.waiting -= 1;
        self.dropped += 1;
        Some(waiting)
    }

    /// What to send now; `None` when there is nothing, all that there is waits for its key, or nobody is
    /// there.
    pub fn next_message(&mut self) -> Option<Next<'_>> {
        if !self.connected || self.in_flight.len() >= usize::from(IN_FLIGHT) {
            return None;
        }
        if let Some(camera) = self.idle(false) {
            return self.send_event(camera);
        }
        let due = |value: &Retained| value.dirty && !value.in_flight;
        match self.retained.iter().find(|(_, value)| due(value)) {
            Some((topic, _)) => self.send_retained(topic.clone()),
            None => self.send_event(self.idle(true)?),
        }
    }

    /// Whose event is next, of the cameras that have none in flight. One that is late counts if `late`.
    fn idle(&self, late: bool) -> Option<CameraId> {
        let first = |queue: &Queue| {
            let (number, waiting) = queue.events.front().filter(|_| !queue.in_flight)?;
            (late || !waiting.queued).then_some(*number)
        };
        let idle = self.queues.iter().filter_map(|(camera, queue)| Some((first(queue)?, camera)));
        idle.min_by_key(|(number, _)| *number).map(|(_, camera)| camera.clone())
    }

    fn send_retained(&mut self, topic: String) -> Option<Next<'_>> {
        let value = self.retained.get_mut(&topic)?;
        // A newer value that comes while this one is in flight makes it dirty again.
        (value.dirty, value.in_flight) = (false, true);
        self.tokens += 1;
        self.in_flight.insert(self.tokens, InFlight::Retained(topic.clone()));
        Some(Next::Retained { token: self.tokens, topic, payload: &value.payload })
    }

    fn send_event(&mut self, camera: CameraId) -> Option<Next<'_>> {
        let queue = self.queues.get_mut(&camera)?;
        let (_, waiting) = queue.events.front()?;
        queue.in_flight = true;
        self.tokens += 1;
        self.in_flight.insert(self.tokens, InFlight::EventOf(camera));
        Some(Next::Event { token: self.tokens, event: &waiting.event, queued: waiting.queued })
    }

    /// The message with `token` has arrived; one of an earlier connection is passed over.
    pub fn acked(&mut self, token: u64) -> Option<Arrived> {
        let arrived = self.in_flight.remove(&token)?;
        self.pictures.confirmed(token);
        match arrived {
            InFlight::EventOf(camera) => {
                let queue = self.queues.get_mut(&camera)?;
                queue.in_flight = false;
                let (_, waiting) = queue.events.pop_front()?;
                if queue.events.is_empty() {
                    self.queues.remove(&camera);
                }
                self.waiting -= 1;
                Some(Arrived::Event(Box::new(waiting)))
            }
            InFlight::Retained(topic) => {
                let value = self.retained.get_mut(&topic)?;
                value.in_flight = false;
                if value.dirty || !value.payload.is_empty() {
                    return None;
                }
                self.retained.remove(&topic);
                (!self.shows(&topic)).then_some(Arrived::Cleared(topic))
            }
        }
    }

    /// Gives the topics of pictures that are not sent any more, because connections ended with them, and
    /// the pictures' sizes in bytes.
    pub fn connected(&mut self) -> Vec<(String, usize)> {
        self.forget_flight();
        self.connected = true;
        self.say_all();
        self.pictures.say_all()
    }

    /// Every retained topic is sent once more, but for pictures.
    pub fn say_all(&mut self) {
        self.retained.values_mut().for_each(|value| value.dirty = true);
    }

    pub fn disconnected(&mut self) {
        self.forget_flight();
        self.connected = false;
        let waiting = self.queues.values_mut().flat_map(|queue| &mut queue.events);
        waiting.for_each(|(_, waiting)| waiting.queued = true);
    }

    fn forget_flight(&mut self) {
        self.in_flight.clear();
        self.queues.values_mut().for_each(|queue| queue.in_flight = false);
        self.retained.values_mut().for_each(|value| value.in_flight = false);
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
            && self.waiting == 0
            && self.retained.values().all(|value| !value.dirty)
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Events that wait and are nowhere but here.
    pub fn unstored(&self) -> usize {
        let waiting = self.queues.values().flat_map(|queue| &queue.events);
        waiting.filter(|(_, waiting)| waiting.stored.is_none()).count()
    }

    /// Events that were dropped because the outbox was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
#[path = "outbox/tests.rs"]
mod tests;
