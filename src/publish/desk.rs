//! What the publisher does with each notice, reply and confirmation: topics set afresh, events kept and
//! then sent.

mod commands;
mod keeping;
mod labels;
mod pictures;
mod statuses;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::keeping::Asked;
use self::labels::Attributes;
use self::pictures::Darkroom;
use self::statuses::CameraDesk;
use super::discovery::Messages;
use super::home_assistant::HomeAssistant;
use super::outbox::{Arrived, IN_FLIGHT, Next, Outbox, Waiting};
use super::payload;
use super::{Ask, LinkEvent, Message, Reply, Settings, Settled, Undelivered};
use crate::command::intake::Intake;
use crate::model::{CameraId, EventKind, LabelKey, ModelState};
use crate::status::Stage;
use crate::watch::{Notice, Request, WatchSet};

/// The state of the publisher.
pub(super) struct Desk {
    outbox: Outbox,
    settings: Settings,
    connection: u64,
    /// The cameras of the watches in force; others are not spoken of any more.
    known: BTreeSet<CameraId>,
    /// The labels whose states are retained.
    labels: BTreeMap<LabelKey, Attributes>,
    /// The shadow labels of each camera.
    shadows: BTreeMap<CameraId, Vec<LabelKey>>,
    cameras: BTreeMap<CameraId, CameraDesk>,
    /// In the order in which they happened.
    asked: VecDeque<Asked>,
    numbers: u64,
    /// Topics that an earlier life may have left with the broker; `None` until the history has told.
    earlier: Option<Vec<String>>,
    home_assistant: HomeAssistant,
    /// Name of the bundle.
    model: Arc<str>,
    /// Frames analysed by all cameras when the node's status was last published.
    analysed: (u64, Instant),
    /// Frames that all cameras analysed per second then.
    rate: f64,
    /// Why events are not kept.
    trouble: Option<String>,
    darkroom: Darkroom,
    intake: Intake,
}

impl Desk {
    pub(super) fn new(settings: Settings) -> Self {
        let mut desk = Self {
            outbox: Outbox::new(settings.capacity),
            home_assistant: HomeAssistant::new(
                settings.discovery.clone(),
                settings.shots.shown,
                settings.commands.is_some(),
            ),
            settings,
            connection: 0,
            known: BTreeSet::new(),
            labels: BTreeMap::new(),
            shadows: BTreeMap::new(),
            cameras: BTreeMap::new(),
            asked: VecDeque::new(),
            numbers: 0,
            earlier: None,
            model: "".into(),
            analysed: (0, Instant::now()),
            rate: 0.0,
            trouble: None,
            darkroom: Darkroom::default(),
            intake: Intake::default(),
        };
        desk.retain(desk.settings.topics.available(), payload::ONLINE);
        desk
    }

    pub(super) fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Watching(set) => {
                self.settings.status.board().watching(&set);
                self.watching(&set);
            }
            Notice::Camera(change) => self.camera(change),
            Notice::View { camera, problem } => self.view(&camera, problem),
            Notice::Model(state) => {
                self.settings.status.board().model(&state);
                let available = payload::availability(state == ModelState::Working);
                self.retain(self.settings.topics.available(), available);
            }
            Notice::Probabilities { camera, watch, time, probabilities, model } => {
                let payload = payload::probabilities(time, &probabilities, Some(&model));
                self.send_now(self.settings.topics.probabilities(&camera, &watch), payload);
            }
            Notice::Event { mut event, picture } => {
                self.depict(&mut event, picture);
                self.settings.status.board().event(&event);
                self.event(event);
            }
            Notice::Asked(frame) => self.asked_to_see(frame),
            Notice::Shadow(event) => self.shadow_event(&event),
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
        self.watch_labels(set);
        self.shadows.clear();
        for (key, _) in set.shadows() {
            self.shadows.entry(key.camera.clone()).or_default().push(key);
        }
        let known: BTreeSet<CameraId> =
            set.cameras.iter().map(|camera| camera.id.clone()).collect();
        for camera in known.difference(&self.known.clone()) {
            // Until its capture says otherwise: an earlier life may have left it online.
            let topic = self.settings.topics.camera_available(camera);
            if !self.cameras.contains_key(camera) {
                self.retain(topic, payload::OFFLINE);
            }
            if !self.settings.shots.shown {
                // An earlier life may have shown one, killed before the history knew.
                self.outbox.hide(self.settings.topics.snapshot(camera));
            }
        }
        for camera in self.known.difference(&known) {
            self.cameras.remove(camera);
            self.settings.status.remove(camera);
            self.outbox.retain(self.settings.topics.camera_available(camera), "");
            self.outbox.retain(self.settings.topics.camera_status(camera), "");
            if self.settings.shots.shown {
                self.outbox.hide(self.settings.topics.snapshot(camera));
            }
            self.outbox.retain(self.settings.topics.enabled_state(camera), "");
        }
        for camera in &set.cameras {
            let state = if camera.enabled { payload::ON } else { payload::OFF };
            self.retain(self.settings.topics.enabled_state(&camera.id), state);
        }
        self.known = known;
        self.model = set.model.clone();
        self.publish_node_status();
        let Settings { topics, node, .. } = &self.settings;
        let messages = self.home_assistant.watching(set, topics, node);
        self.retain_all(messages);
        self.clear_earlier();
    }

    fn retain_all(&mut self, messages: Messages) {
        for (topic, payload) in messages {
            self.retain(topic, payload);
        }
    }

    /// Clears what an earlier life left with the broker and this one does not speak of.
    fn clear_earlier(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let Settings { topics, shots, .. } = &self.settings;
        let statuses = self.known.iter().map(|camera| topics.camera_status(camera));
        // The newest event's picture stays the newest, whoever sent it.
        let pictures = self.known.iter().filter(|_| shots.shown);
        let spoken_of: BTreeSet<String> =
            statuses.chain(pictures.map(|camera| topics.snapshot(camera))).collect();
        for topic in self.earlier.take().into_iter().flatten() {
            if !self.outbox.retains(&topic) && !spoken_of.contains(&topic) {
                self.outbox.retain(topic, "");
            }
        }
    }

    pub(super) fn link_event(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Connected { connection } => {
                self.connection = *connection;
                self.settings.status.board().node(|node| node.connected = true);
                for (topic, bytes) in self.outbox.connected() {
                    tracing::warn!(
                        topic,
                        bytes,
                        "a picture is left out: connections ended with it; does the broker take no \
                         messages of that size? snapshots.topic = false sends none"
                    );
                }
            }
            LinkEvent::Disconnected => {
                self.settings.status.board().node(|node| node.connected = false);
                self.outbox.disconnected();
            }
            LinkEvent::Received { topic, payload, retained } => {
                if self.command(topic, payload, *retained) {
                    return;
                }
                let Settings { topics, node, .. } = &self.settings;
                let own = (topics, node);
                let messages = self.home_assistant.heard(topic, payload, *retained, own);
                self.retain_all(messages);
            }
            LinkEvent::Acked { token } => match self.outbox.acked(*token) {
                Some(Arrived::Event(waiting)) => self.arrived(&waiting),
                Some(Arrived::Cleared(topic)) => {
                    self.ask(Ask::NoTopic(topic));
                }
                None => {}
            },
        }
    }

    pub(super) async fn greeting(&self) {
        self.home_assistant.greeting().await;
    }

    /// Says everything that is retained once more.
    pub(super) fn say_all(&mut self) {
        self.home_assistant.greeted();
        self.outbox.say_all();
    }

    fn arrived(&self, waiting: &Waiting) {
        if let Some(stored) = waiting.stored {
            self.ask(Ask::Settle { stored, how: Settled::Delivered });
        }
        if waiting.event.kind == EventKind::End {
            let delivered = Request::Delivered(waiting.event.key.clone());
            if self.settings.requests.try_send(delivered).is_err() {
                // Its cooldown counts from its end.
                tracing::debug!("the alert stage is busy, or has ended");
            }
        }
        if !waiting.queued && waiting.event.is_a_frames() {
            let took = self.settings.clock.wall().0 - waiting.event.frame_time.0;
            let took = Duration::try_from_secs_f64(took).unwrap_or_default();
            self.settings.status.took(Stage::Delivered, took);
        }
    }

    /// Gives the link the next confirmed messages. It has room for all that may be in flight.
    pub(super) fn send(&mut self) {
        let waiting = self.outbox.waiting();
        self.settings.status.board().node(|node| node.outbox = waiting);
        while let Some(next) = self.outbox.next_message() {
            let (token, topic, payload, retain) = match next {
                Next::Retained { token, topic, payload } => (token, topic, payload.to_vec(), true),
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
        self.send_picture();
    }

    /// Sends what is worth something only now, or not at all: QoS 0, dropped when nobody is
    /// there or the link is busy.
    fn send_now(&self, topic: String, payload: Vec<u8>) {
        self.send_once(topic, payload, false);
    }

    /// The same, `confirmed` or not. Nobody waits for the confirmation.
    fn send_once(&self, topic: String, payload: Vec<u8>, confirmed: bool) {
        let link = &self.settings.link;
        // Places stay free for the messages that must arrive.
        if self.outbox.is_connected() && link.capacity() > usize::from(IN_FLIGHT) {
            // The outbox knows no token 0.
            let (connection, token) = (self.connection, 0);
            let message = Message { topic, payload, retain: false, confirmed, token, connection };
            if link.try_send(message).is_err() {
                tracing::debug!("a message is dropped: the link is busy");
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
