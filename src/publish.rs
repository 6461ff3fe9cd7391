//! The MQTT side of the contract: what is published, when, and in which order.
//!
//! Topics below `<prefix>/<node>`:
//!
//! | topic | payload | retained | QoS |
//! |---|---|---|---|
//! | `available` | `online` / `offline` (also the last will, and while the model's device is gone) | yes | 1 |
//! | `<camera>/available` | `online` / `offline` | yes | 1 |
//! | `<camera>/status` | JSON, see [`payload::status`] | yes | 1 |
//! | `<camera>/<watch>/probabilities` | JSON, see [`payload::probabilities`] | no | 0 |
//! | `<camera>/<watch>/<label>/state` | `ON` / `OFF` | yes | 1 |
//! | `<camera>/<watch>/<label>/event` | JSON, see [`payload::event`] | no | 1 |
//!
//! [`run`] owns the [`Outbox`]. It ends when its input closes: what is left is sent until the
//! grace period is over, then everything goes `offline` and the link is closed.

pub mod discovery;
pub mod mqtt;
pub mod outbox;
pub mod payload;
pub mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use self::outbox::{Next, Outbox};
use self::payload::Load;
use self::topics::Topics;
use crate::clock::Clock;
use crate::model::{CameraChange, CameraId, Event, EventKind, LabelKey, ModelState, NodeId};
use crate::status::{Stage, Status};
use crate::watch::{Notice, WatchSet};

/// How often a running camera's numbers are published.
const STATUS_EVERY: Duration = Duration::from_secs(30);

/// One message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// QoS 1: [`LinkEvent::Acked`] follows. Else QoS 0.
    pub confirmed: bool,
    /// The connection it was meant for: a later one must not send it, because everything is
    /// sent afresh then.
    pub connection: u64,
}

/// What the link to the broker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Connection number `connection` stands.
    Connected {
        connection: u64,
    },
    Disconnected,
    /// The one confirmed message in flight has arrived.
    Acked,
}

/// The publisher's channel ends and settings.
pub struct Publisher {
    pub inbox: mpsc::Receiver<Notice>,
    pub link: mpsc::Sender<Message>,
    pub events: mpsc::Receiver<LinkEvent>,
    pub status: Arc<Status>,
    pub clock: Clock,
    pub node: NodeId,
    pub topics: Topics,
    /// Most events kept while the broker cannot be reached.
    pub capacity: usize,
    /// How long the end may take for what is left.
    pub grace: Duration,
}

/// Runs until the alert stage has ended and what is left is sent or the grace is over. Returns
/// the number of events that were not delivered.
pub async fn run(publisher: Publisher) -> usize {
    let Publisher { mut inbox, link, mut events, status, clock, node, topics, capacity, grace } =
        publisher;
    let outbox = Outbox::new(capacity);
    let mut desk = Desk {
        outbox,
        link,
        status,
        clock,
        node,
        topics,
        connection: 0,
        known: BTreeSet::new(),
        labels: BTreeSet::new(),
        cameras: BTreeMap::new(),
    };
    desk.outbox.retain(desk.topics.available(), payload::ONLINE);
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        desk.send_next();
        tokio::select! {
            notice = inbox.recv() => match notice {
                Some(notice) => desk.take(notice),
                None => break,
            },
            event = events.recv() => match event {
                Some(event) => desk.link_event(&event),
                // Only a daemon that is going down drops the link first.
                None => return desk.outbox.waiting(),
            },
            _ = ticks.tick() => desk.refresh_statuses(),
        }
    }
    desk.close(&mut events, Instant::now() + grace).await
}

/// A camera's last change, and its counts when its status was last published.
struct CameraDesk {
    change: CameraChange,
    analysed: u64,
    cpu: Duration,
    since: Instant,
}

/// The state of the publisher.
struct Desk {
    outbox: Outbox,
    link: mpsc::Sender<Message>,
    status: Arc<Status>,
    clock: Clock,
    node: NodeId,
    topics: Topics,
    connection: u64,
    /// The cameras of the watches in force; others are not spoken of any more.
    known: BTreeSet<CameraId>,
    /// The labels whose states are retained.
    labels: BTreeSet<LabelKey>,
    cameras: BTreeMap<CameraId, CameraDesk>,
}

impl Desk {
    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Watching(set) => self.watching(&set),
            Notice::Camera(change) => self.camera(change),
            Notice::Model(state) => {
                let available = payload::availability(state == ModelState::Working);
                self.outbox.retain(self.topics.available(), available);
            }
            Notice::Probabilities { camera, watch, time, probabilities, model } => {
                let payload = payload::probabilities(time, &probabilities, Some(&model));
                self.send_now(self.topics.probabilities(&camera, &watch), payload);
            }
            Notice::Event(event) => self.event(event),
        }
    }

    /// Sets the states of new labels, and clears what is retained of labels and cameras that are
    /// gone.
    fn watching(&mut self, set: &WatchSet) {
        let labels: BTreeSet<LabelKey> = set.keys().collect();
        for key in labels.difference(&self.labels) {
            self.outbox.retain(self.topics.state(key), payload::OFF);
        }
        for key in self.labels.difference(&labels) {
            self.outbox.retain(self.topics.state(key), "");
        }
        self.labels = labels;
        let known: BTreeSet<CameraId> =
            set.cameras.iter().map(|camera| camera.id.clone()).collect();
        for camera in self.known.difference(&known) {
            self.cameras.remove(camera);
            self.status.remove(camera);
            self.outbox.retain(self.topics.camera_available(camera), "");
            self.outbox.retain(self.topics.camera_status(camera), "");
        }
        self.known = known;
    }

    fn camera(&mut self, change: CameraChange) {
        let camera = change.camera.clone();
        if !self.known.contains(&camera) {
            return;
        }
        let available = payload::availability(change.available());
        self.outbox.retain(self.topics.camera_available(&camera), available);
        let status = self.status.camera(&camera);
        let (analysed, cpu) = (status.counts().analysed, status.effort().cpu);
        let desk = CameraDesk { change, analysed, cpu, since: Instant::now() };
        self.cameras.insert(camera.clone(), desk);
        self.publish_status(&camera);
    }

    fn refresh_statuses(&mut self) {
        let cameras: Vec<CameraId> = self.cameras.keys().cloned().collect();
        for camera in cameras {
            self.publish_status(&camera);
        }
    }

    fn publish_status(&mut self, camera: &CameraId) {
        let Some(desk) = self.cameras.get_mut(camera) else { return };
        let status = self.status.camera(camera);
        let (counts, effort) = (status.counts(), status.effort());
        let seconds = desk.since.elapsed().as_secs_f64();
        // Too short a time says nothing.
        let rate = |amount: f64| if seconds < 1.0 { 0.0 } else { amount / seconds };
        let load = Load {
            fps: rate(counts.analysed.saturating_sub(desk.analysed) as f64),
            dropped: counts.replaced,
            unchanged: counts.unchanged,
            cpu: rate(effort.cpu.saturating_sub(desk.cpu).as_secs_f64()),
            work: effort.work,
        };
        let payload = payload::status(&desk.change, &load);
        (desk.analysed, desk.cpu, desk.since) = (counts.analysed, effort.cpu, Instant::now());
        self.outbox.retain(self.topics.camera_status(camera), payload);
    }

    fn event(&mut self, event: Event) {
        let state = if event.kind == EventKind::End { payload::OFF } else { payload::ON };
        self.outbox.retain(self.topics.state(&event.key), state);
        tracing::info!(
            camera = %event.key.camera,
            watch = %event.key.watch,
            label = %event.key.label,
            kind = ?event.kind,
            probability = event.probability,
            id = &*event.id,
            "event"
        );
        if self.outbox.push(event) {
            let dropped = self.outbox.dropped();
            tracing::warn!(dropped, "the outbox is full: its oldest event was dropped");
        }
    }

    fn link_event(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Connected { connection } => {
                self.connection = *connection;
                self.outbox.connected();
            }
            LinkEvent::Disconnected => self.outbox.disconnected(),
            LinkEvent::Acked => {
                if let Some(event) = self.outbox.acked() {
                    let took = self.clock.wall().0 - event.frame_time.0;
                    let took = Duration::try_from_secs_f64(took).unwrap_or_default();
                    self.status.took(Stage::Delivered, took);
                }
            }
        }
    }

    /// Gives the link the next confirmed message. It always has room: one is in flight at most,
    /// and the link keeps places for it.
    fn send_next(&mut self) {
        let (topic, payload, retain) = match self.outbox.next_message() {
            None => return,
            Some(Next::Retained { topic, payload }) => (topic.to_owned(), payload.to_vec(), true),
            Some(Next::Event { event, queued }) => (
                self.topics.event(&event.key),
                payload::event(event, Some(&self.node), queued),
                false,
            ),
        };
        let connection = self.connection;
        let message = Message { topic, payload, retain, confirmed: true, connection };
        if self.link.try_send(message).is_err() {
            // As good as a lost connection: everything is sent again on the next one.
            self.outbox.disconnected();
        }
    }

    /// Sends what is worth something only now, or not at all: QoS 0, dropped when nobody is
    /// there or the link is busy.
    fn send_now(&self, topic: String, payload: Vec<u8>) {
        // A place stays free for the confirmed message.
        if self.outbox.is_connected() && self.link.capacity() > 1 {
            let connection = self.connection;
            let message = Message { topic, payload, retain: false, confirmed: false, connection };
            if self.link.try_send(message).is_err() {
                tracing::debug!("probabilities dropped: the link is busy");
            }
        }
    }

    /// Sends what is left, says goodbye, and closes the link.
    async fn close(mut self, events: &mut mpsc::Receiver<LinkEvent>, deadline: Instant) -> usize {
        self.drain(events, deadline).await;
        let left = self.outbox.waiting();
        let cameras: Vec<CameraId> = self.cameras.keys().cloned().collect();
        for camera in cameras {
            self.outbox.retain(self.topics.camera_available(&camera), payload::OFFLINE);
        }
        self.outbox.retain(self.topics.available(), payload::OFFLINE);
        self.drain(events, deadline).await;
        left
    }

    async fn drain(&mut self, events: &mut mpsc::Receiver<LinkEvent>, deadline: Instant) {
        loop {
            self.send_next();
            if self.outbox.is_empty() {
                return;
            }
            match tokio::time::timeout_at(deadline, events.recv()).await {
                Ok(Some(event)) => self.link_event(&event),
                Ok(None) | Err(_) => return,
            }
        }
    }
}
