//! Events on their way through the history into the outbox.

use std::time::Duration;

use tokio::time::Instant;

use super::Desk;
use crate::model::{Event, EventKind};
use crate::publish::outbox::Waiting;
use crate::publish::{Ask, Reply, Settled};

/// An event that the history has not answered for goes out after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// An event that the history has been asked to keep.
pub(super) struct Asked {
    number: u64,
    event: Event,
    since: Instant,
}

impl Desk {
    /// An event has to be kept first.
    pub(super) fn event(&mut self, event: Event) {
        if event.kind == EventKind::Start {
            self.settings.status.event_started(&event.key);
        }
        log(&event, "event");
        self.numbers += 1;
        let asked = Asked { number: self.numbers, event, since: Instant::now() };
        let keep = Ask::Keep { number: asked.number, event: Box::new(asked.event.clone()) };
        self.asked.push_back(asked);
        if !self.ask(keep) {
            self.send_unkept();
        }
    }

    /// Of a shadow label: counted and shown, and sent to nobody.
    pub(super) fn shadow_event(&mut self, event: &Event) {
        if event.kind == EventKind::Start {
            self.settings.status.shadow_event_started(&event.key);
            self.publish_status(&event.key.camera);
        }
        log(event, "event of a shadow label");
    }

    /// Never waits: `false` when the history has too much to do, or has ended.
    pub(super) fn ask(&self, ask: Ask) -> bool {
        self.settings.history.try_send(ask).is_ok()
    }

    /// Comes when an event has waited too long to be kept.
    pub(in crate::publish) async fn overdue(&self) {
        match self.asked.front() {
            Some(first) => tokio::time::sleep_until(first.since + PATIENCE).await,
            None => std::future::pending().await,
        }
    }

    /// Sends what the history does not answer for.
    pub(in crate::publish) fn send_unkept(&mut self) {
        let unkept = self.asked.len();
        tracing::warn!(unkept, "the history does not answer; events go out before they are kept");
        for Asked { number, event, .. } in std::mem::take(&mut self.asked) {
            self.put_out(number, event, None);
        }
    }

    pub(in crate::publish) fn reply(&mut self, reply: Reply) {
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
            Reply::Trouble(trouble) => {
                self.trouble = trouble;
                self.publish_node_status();
            }
        }
    }

    pub(super) fn kept(&mut self, number: u64, stored: Option<i64>) {
        if self.asked.front().is_some_and(|first| first.number == number) {
            let Some(Asked { event, .. }) = self.asked.pop_front() else { return };
            self.put_out(number, event, stored);
            return;
        }
        // It went out before.
        if let Some(stored) = stored
            && !self.outbox.stored(number, stored)
        {
            self.ask(Ask::Settle { stored, how: Settled::Delivered });
        }
    }

    /// Gives an event to the outbox, and its label's state with it: earlier, the state would be on the
    /// way first, and the broker's words for both would wait for each other.
    fn put_out(&mut self, number: u64, event: Event, stored: Option<i64>) {
        // The state of a label that has left the configuration meanwhile is cleared.
        if self.labels.contains_key(&event.key) {
            self.tell_state(&event);
        }
        let dropped = self.outbox.push(number, event, stored);
        self.dropped(dropped);
    }

    pub(super) fn dropped(&mut self, oldest: Option<Waiting>) {
        let Some(oldest) = oldest else { return };
        let dropped = self.outbox.dropped();
        tracing::warn!(dropped, "the outbox is full: its oldest event was dropped");
        if let Some(stored) = oldest.stored {
            self.ask(Ask::Settle { stored, how: Settled::Dropped });
        }
    }
}

pub(super) fn log(event: &Event, what: &str) {
    tracing::info!(
        camera = %event.key.camera,
        watch = %event.key.watch,
        label = %event.key.label,
        kind = ?event.kind,
        probability = event.probability,
        id = &*event.id,
        suppressed = event.suppressed.map(|suppressed| suppressed.count),
        "{what}"
    );
}
