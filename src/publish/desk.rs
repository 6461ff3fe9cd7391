//! What the publisher does with each notice, reply and confirmation: topics set afresh, events kept and
//! then sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::outbox::{Arrived, Next, Outbox, Waiting};
use super::payload::{self, Load};
use super::topics::Topics;
use super::{Ask, LinkEvent, Message, Reply, Settled, Undelivered};
use crate::clock::Clock;
use crate::model::{CameraChange, CameraId, Event, EventKind, LabelKey, ModelState, NodeId};
use crate::status::{Stage, Status};
use crate::watch::{Notice, WatchSet};

/// An event that the history has not answered for goes out after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a desk needs of the outside.
pub(super) struct Settings {
    pub(super) link: mpsc::Sender<Message>,
    pub(super) history: mpsc::Sender<Ask>,
    pub(super) status: Arc<Status>,
    pub(super) clock: Clock,
    pub(super) node: NodeId,
    pub(super) topics: Topics,
    pub(super) capacity: usize,
}

/// A camera's last change, and its counts when its status was last published.
struct CameraDesk {
    change: CameraChange,
    analysed: u64,
    cpu: Duration,
    since: Instant,
}

/// An event that the history has been asked to keep.
struct Asked {
    number: u64,
    event: Event,
    since: Instant,
}

/// The state of the publisher.
pub(super) struct Desk {
    outbox: Outbox,
    settings: Settings,
    connection: u64,
    /// The cameras of the watches in force; others are not spoken of any more.
    known: BTreeSet<CameraId>,
    /// The labels whose states are retained.
    labels: BTreeSet<LabelKey>,
    cameras: BTreeMap<CameraId, CameraDesk>,
    /// In the order in which they happened.
    asked: VecDeque<Asked>,
    numbers: u64,
    /// Topics that an earlier life may have left with the broker; `None` until the history has told.
    earlier: Option<Vec<String>>,
}

impl Desk {
    pub(super) fn new(settings: Settings) -> Self {
        let mut desk = Self {
            outbox: Outbox::new(settings.capacity),
            settings,
            connection: 0,
            known: BTreeSet::new(),
            labels: BTreeSet::new(),
            cameras: BTreeMap::new(),
            asked: VecDeque::new(),
            numbers: 0,
            earlier: None,
        };
        desk.retain(desk.settings.topics.available(), payload::ONLINE);
        desk
    }

    pub(super) fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Watching(set) => self.watching(&set),
            Notice::Camera(change) => self.camera(change),
            Notice::Model(state) => {
                let available = payload::availability(state == ModelState::Working);
                self.retain(self.settings.topics.available(), available);
            }
            Notice::Probabilities { camera, watch, time, probabilities, model } => {
                let payload = payload::probabilities(time, &probabilities, Some(&model));
                self.send_now(self.settings.topics.probabilities(&camera, &watch), payload);
            }
            Notice::Event(event) => self.event(event),
            Notice::Shadow(event) => log(&event, "event of a shadow label"),
        }
    }

    /// Sets a retained topic. The history knows of it before a broker does, so that a later life can
    /// clear it.
    fn retain(&mut self, topic: String, payload: impl Into<Vec<u8>>) {
        let payload = payload.into();
        if !payload.is_empty() && !self.outbox.retains(&topic) {
            self.ask(Ask::Topic(topic.clone()));
        }
        self.outbox.retain(topic, payload);
    }

    /// Sets the states of new labels and cameras, and clears what is retained of those that are gone.
    fn watching(&mut self, set: &WatchSet) {
        let labels: BTreeSet<LabelKey> = set.told_keys().collect();
        for key in labels.difference(&self.labels.clone()) {
            self.retain(self.settings.topics.state(key), payload::OFF);
        }
        for key in self.labels.difference(&labels) {
            self.outbox.retain(self.settings.topics.state(key), "");
        }
        self.labels = labels;
        let known: BTreeSet<CameraId> =
            set.cameras.iter().map(|camera| camera.id.clone()).collect();
        for camera in known.difference(&self.known.clone()) {
            // Until its capture says otherwise: an earlier life may have left it online.
            let topic = self.settings.topics.camera_available(camera);
            if !self.cameras.contains_key(camera) {
                self.retain(topic, payload::OFFLINE);
            }
        }
        for camera in self.known.difference(&known) {
            self.cameras.remove(camera);
            self.settings.status.remove(camera);
            self.outbox.retain(self.settings.topics.camera_available(camera), "");
            self.outbox.retain(self.settings.topics.camera_status(camera), "");
        }
        self.known = known;
        self.clear_earlier();
    }

    /// Clears what an earlier life left with the broker and this one does not speak of.
    fn clear_earlier(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let spoken_of: BTreeSet<String> =
            self.known.iter().map(|camera| self.settings.topics.camera_status(camera)).collect();
        for topic in self.earlier.take().into_iter().flatten() {
            if !self.outbox.retains(&topic) && !spoken_of.contains(&topic) {
                self.outbox.retain(topic, "");
            }
        }
    }

    fn camera(&mut self, change: CameraChange) {
        let camera = change.camera.clone();
        if !self.known.contains(&camera) {
            return;
        }
        let available = payload::availability(change.available());
        self.retain(self.settings.topics.camera_available(&camera), available);
        let status = self.settings.status.camera(&camera);
        let (analysed, cpu) = (status.counts().analysed, status.effort().cpu);
        let desk = CameraDesk { change, analysed, cpu, since: Instant::now() };
        self.cameras.insert(camera.clone(), desk);
        self.publish_status(&camera);
    }

    pub(super) fn refresh_statuses(&mut self) {
        let cameras: Vec<CameraId> = self.cameras.keys().cloned().collect();
        for camera in cameras {
            self.publish_status(&camera);
        }
    }

    fn publish_status(&mut self, camera: &CameraId) {
        let Some(desk) = self.cameras.get_mut(camera) else { return };
        let status = self.settings.status.camera(camera);
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
        self.retain(self.settings.topics.camera_status(camera), payload);
    }

    /// Sets the label's state at once; the event itself has to be kept first.
    fn event(&mut self, event: Event) {
        let state = if event.kind == EventKind::End { payload::OFF } else { payload::ON };
        self.retain(self.settings.topics.state(&event.key), state);
        log(&event, "event");
        self.numbers += 1;
        let asked = Asked { number: self.numbers, event, since: Instant::now() };
        let keep = Ask::Keep { number: asked.number, event: asked.event.clone() };
        self.asked.push_back(asked);
        if !self.ask(keep) {
            self.send_unkept();
        }
    }

    /// Never waits: `false` when the history has too much to do, or has ended.
    fn ask(&self, ask: Ask) -> bool {
        self.settings.history.try_send(ask).is_ok()
    }

    /// Comes when an event has waited too long to be kept.
    pub(super) async fn overdue(&self) {
        match self.asked.front() {
            Some(first) => tokio::time::sleep_until(first.since + PATIENCE).await,
            None => std::future::pending().await,
        }
    }

    /// Sends what the history does not answer for.
    pub(super) fn send_unkept(&mut self) {
        let unkept = self.asked.len();
        tracing::warn!(unkept, "the history does not answer; events go out before they are kept");
        for Asked { number, event, .. } in std::mem::take(&mut self.asked) {
            let dropped = self.outbox.push(number, event, None);
            self.dropped(dropped);
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Opened(left) => {
                if left.dropped > 0 {
                    let dropped = left.dropped;
                    tracing::warn!(dropped, "the oldest events of the history will not be sent");
                }
                for (place, event) in left.events {
                    let dropped = self.outbox.push_old(event, place);
                    self.dropped(dropped);
                }
                self.earlier = Some(left.topics);
                self.clear_earlier();
            }
            Reply::Kept { number, stored } => self.kept(number, stored),
            // The history has said it in the log.
            Reply::Trouble(_) => {}
        }
    }

    fn kept(&mut self, number: u64, stored: Option<i64>) {
        if self.asked.front().is_some_and(|first| first.number == number) {
            let Some(Asked { event, .. }) = self.asked.pop_front() else { return };
            let dropped = self.outbox.push(number, event, stored);
            self.dropped(dropped);
            return;
        }
        // It went out before.
        if let Some(stored) = stored
            && !self.outbox.stored(number, stored)
        {
            self.ask(Ask::Settle { stored, how: Settled::Delivered });
        }
    }

    fn dropped(&mut self, oldest: Option<Waiting>) {
        let Some(oldest) = oldest else { return };
        let dropped = self.outbox.dropped();
        tracing::warn!(dropped, "the outbox is full: its oldest event was dropped");
        if let Some(stored) = oldest.stored {
            self.ask(Ask::Settle { stored, how: Settled::Dropped });
        }
    }

    pub(super) fn link_event(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Connected { connection } => {
                self.connection = *connection;
                self.outbox.connected();
            }
            LinkEvent::Disconnected => self.outbox.disconnected(),
            // Nothing is subscribed to yet.
            LinkEvent::Received { .. } => {}
            LinkEvent::Acked { token } => match self.outbox.acked(*token) {
                Some(Arrived::Event(waiting)) => self.arrived(&waiting),
                Some(Arrived::Cleared(topic)) => {
                    self.ask(Ask::NoTopic(topic));
                }
                None => {}
            },
        }
    }

    fn arrived(&self, waiting: &Waiting) {
        if let Some(stored) = waiting.stored {
            self.ask(Ask::Settle { stored, how: Settled::Delivered });
        }
        if !waiting.queued {
            let took = self.settings.clock.wall().0 - waiting.event.frame_time.0;
            let took = Duration::try_from_secs_f64(took).unwrap_or_default();
            self.settings.status.took(Stage::Delivered, took);
        }
    }

    /// Gives the link the next confirmed messages. It has room for all that may be in flight.
    pub(super) fn send(&mut self) {
        while let Some(next) = self.outbox.next_message() {
            let (token, topic, payload, retain) = match next {
                Next::Retained { token, topic, payload } => {
                    (token, topic.to_owned(), payload.to_vec(), true)
                }
                Next::Event { token, event, queued } => {
                    let payload = payload::event(event, Some(&self.settings.node), queued);
                    (token, self.settings.topics.event(&event.key), payload, false)
                }
            };
            let connection = self.connection;
            let message = Message { topic, payload, retain, confirmed: true, token, connection };
            if self.settings.link.try_send(message).is_err() {
                // As good as a lost connection: everything is sent again on the next one.
                self.outbox.disconnected();
            }
        }
    }

    /// Sends what is worth something only now, or not at all: QoS 0, dropped when nobody is
    /// there or the link is busy.
    fn send_now(&self, topic: String, payload: Vec<u8>) {
        let link = &self.settings.link;
        // Places stay free for the confirmed messages.
        if self.outbox.is_connected() && link.capacity() > super::outbox::IN_FLIGHT {
            let (connection, token) = (self.connection, 0);
            let message =
                Message { topic, payload, retain: false, confirmed: false, token, connection };
            if link.try_send(message).is_err() {
                tracing::debug!("probabilities dropped: the link is busy");
            }
        }
    }

    pub(super) fn undelivered(&self) -> Undelivered {
        let lost = self.outbox.unstored() + self.asked.len();
        Undelivered { kept: self.outbox.waiting() - self.outbox.unstored(), lost }
    }

    /// Sends what is left, says goodbye, and closes the link.
    pub(super) async fn close(
        mut self,
        events: &mut mpsc::Receiver<LinkEvent>,
        replies: &mut mpsc::Receiver<Reply>,
        deadline: Instant,
    ) -> Undelivered {
        self.drain(events, replies, deadline).await;
        let left = self.undelivered();
        let cameras: Vec<CameraId> = self.known.iter().cloned().collect();
        for camera in cameras {
            self.retain(self.settings.topics.camera_available(&camera), payload::OFFLINE);
        }
        self.retain(self.settings.topics.available(), payload::OFFLINE);
        self.drain(events, replies, deadline).await;
        left
    }

    async fn drain(
        &mut self,
        events: &mut mpsc::Receiver<LinkEvent>,
        replies: &mut mpsc::Receiver<Reply>,
        deadline: Instant,
    ) {
        loop {
            self.send();
            if self.outbox.is_empty() && self.asked.is_empty() {
                return;
            }
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.link_event(&event),
                    None => return,
                },
                Some(reply) = replies.recv() => self.reply(reply),
                () = self.overdue() => self.send_unkept(),
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }
}

fn log(event: &Event, what: &str) {
    tracing::info!(
        camera = %event.key.camera,
        watch = %event.key.watch,
        label = %event.key.label,
        kind = ?event.kind,
        probability = event.probability,
        id = &*event.id,
        "{what}"
    );
}
