//! The link to the broker, over rumqttc. The only module that knows it.
//!
//! rumqttc is used as a transport and nothing more: every connection gets a fresh client, so no
//! message of an old one lingers in its queues; what must arrive is kept by the outbox, which
//! sends it again. Ends when the publisher closes its end, after a clean disconnect.
//!
//! The loop, the back-off, the tokens and the reasons are the same for both versions of MQTT;
//! what differs is in `v3` and `v5`, behind [`wire`].

mod access;
mod failure;
mod flight;
mod heard;
mod tls;
mod v3;
mod v5;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use self::access::{Access, access};
use self::failure::{Facts, Failure};
use self::flight::Flight;
use self::heard::Heard;
use self::wire::{Client, EventLoop};
use super::{LinkEvent, Message};
use crate::backoff::Backoff;
use crate::command::shortened;
use crate::status::Status;

/// Notices a dead broker within one and a half of these.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A connection this long was a good one: the back-off starts over.
const STABLE: Duration = Duration::from_secs(30);
/// rumqttc's own request queue; [`Message`]s wait in the channel before it.
const REQUESTS: usize = 8;
/// The largest payload that is handed on. What seewhen listens to is words, not pictures.
const MAX_RECEIVED: usize = 64 * 1024;

/// The link's channel ends and settings.
pub struct Link {
    /// For the next connection, of [`access()`].
    pub access: watch::Receiver<Access>,
    pub client_id: String,
    /// Where `offline` goes when the connection is lost; `None`: nobody is told.
    pub will_topic: Option<String>,
    /// Topic filters whose messages are handed on as [`LinkEvent::Received`].
    pub subscriptions: Vec<String>,
    pub messages: mpsc::Receiver<Message>,
    pub events: mpsc::Sender<LinkEvent>,
    pub backoff: Backoff,
    pub status: Arc<Status>,
}

/// How one connection ended.
enum Life {
    /// The publisher has closed its end.
    Over,
    Lost {
        failure: Failure,
        /// The broker had accepted us before.
        connected: bool,
    },
}

/// Connects, and connects again, until the publisher is gone.
pub async fn run(mut link: Link) {
    let mut attempt = 0;
    let mut connection = 0;
    loop {
        connection += 1;
        let born = Instant::now();
        // It is this one's: only what comes after it is a change.
        let access = link.access.borrow_and_update().clone();
        let life = run_once(&mut link, &access, connection).await;
        let Life::Lost { failure, connected } = life else { return };
        if link.events.send(LinkEvent::Disconnected).await.is_err() {
            return;
        }
        attempt = if born.elapsed() >= STABLE { 0 } else { attempt };
        let wait = link.backoff.delay(attempt, fastrand::f64());
        attempt += 1;
        let facts = Facts { broker: &access.broker, client_id: &link.client_id, connected };
        let reason = failure.explain(&facts);
        let address = format!("{}:{}", access.broker.host, access.broker.port);
        tracing::warn!(broker = address, reason, attempt, ?wait, "no connection to the broker");
        if !pause(&mut link, wait).await {
            return;
        }
    }
}

/// One connection, as of [`run`].
///
/// # Errors
/// Why it cannot be had, or was lost.
pub async fn once(mut link: Link) -> Result<(), String> {
    let access = link.access.borrow_and_update().clone();
    let Life::Lost { failure, connected } = run_once(&mut link, &access, 1).await else {
        return Ok(());
    };
    let facts = Facts { broker: &access.broker, client_id: &link.client_id, connected };
    Err(failure.explain(&facts))
}

/// Sleeps, until there is another way in at most; `false` when the publisher has gone meanwhile.
/// Messages that still come were meant for the lost connection and are sent afresh on the next.
async fn pause(link: &mut Link, wait: Duration) -> bool {
    let end = Instant::now() + wait;
    loop {
        tokio::select! {
            message = link.messages.recv() => if message.is_none() {
                return false;
            },
            Ok(()) = link.access.changed() => return true,
            () = tokio::time::sleep_until(end) => return true,
        }
    }
}

/// What both loops of one connection share.
struct Connection<'a> {
    number: u64,
    client: Client,
    subscriptions: &'a [String],
    events: &'a mpsc::Sender<LinkEvent>,
    status: &'a Status,
    /// Held for one step of the books, never while anything waits.
    flight: Mutex<Flight>,
}

/// One connection. Both loops live as long as it does: rumqttc's poll is never cut off half-way.
async fn run_once(link: &mut Link, access: &Access, number: u64) -> Life {
    let (client, eventloop) = wire::open(link, access);
    let connection = Connection {
        number,
        client,
        subscriptions: &link.subscriptions,
        events: &link.events,
        status: &link.status,
        flight: Mutex::default(),
    };
    let messages = &mut link.messages;
    tokio::select! {
        life = connection.listen(eventloop) => life,
        () = connection.forward(messages) => Life::Over,
    }
}

impl Connection<'_> {
    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what the broker says, until the connection ends.
    async fn listen(&self, mut eventloop: EventLoop) -> Life {
        let mut connected = false;
        loop {
            let event = match eventloop.poll().await {
                Ok(Heard::Connected { most }) => {
                    tracing::info!("connected to the broker");
                    connected = true;
                    self.flight().most = most;
                    // The request queue is empty: no message is sent before the publisher knows.
                    if !self.subscriptions.is_empty() && !self.client.subscribe(self.subscriptions)
                    {
                        tracing::warn!(filters = ?self.subscriptions, "cannot be subscribed to");
                    }
                    LinkEvent::Connected { connection: self.number }
                }
                Ok(Heard::Sent { pkid }) => {
                    self.flight().sent(pkid);
                    continue;
                }
                Ok(Heard::Acked { pkid, refused }) => match self.acked(pkid, refused) {
                    Some(event) => event,
                    None => continue,
                },
                Ok(Heard::Received { topic, payload, retained }) => {
                    self.hand_on(LinkEvent::Received { topic, payload, retained });
                    continue;
                }
                Ok(Heard::TooLarge { topic, size }) => {
                    self.status.message_ignored();
                    let topic = shortened(&topic, 100);
                    tracing::warn!(topic, size, "a message larger than 64 KiB is ignored");
                    continue;
                }
                Ok(Heard::Subscribed { refused }) => {
                    for (number, reason) in refused {
                        let filter = self.subscriptions.get(number);
                        tracing::warn!(filter, reason, "the broker refuses a subscription");
                    }
                    continue;
                }
                Ok(Heard::Goodbye) => return Life::Over,
                Ok(Heard::Other) => continue,
                Err(failure) => return Life::Lost { failure, connected },
            };
            if self.events.send(event).await.is_err() {
                tracing::debug!("the publisher has gone; finishing the connection");
            }
        }
    }

    /// A message that the broker has and does not want counts as arrived: it would be refused
    /// again, and hold up all that come after it.
    fn acked(&self, pkid: u16, refused: Option<String>) -> Option<LinkEvent> {
        let confirmed = self.flight().acked(pkid)?;
        if let Some(reason) = refused {
            tracing::warn!(topic = confirmed.topic, reason, "the broker refuses a message");
        }
        Some(LinkEvent::Acked { token: confirmed.token })
    }

    /// Never waits: whoever floods us loses messages, not us the connection.
    fn hand_on(&self, event: LinkEvent) {
        if self.events.try_send(event).is_err() {
            self.status.message_ignored();
            tracing::debug!("a message is ignored: the publisher is busy");
        }
    }

    /// Hands messages to the connection. When the publisher closes its end it says goodbye and
    /// then waits to be ended by [`Self::listen`], which sees the goodbye go out.
    async fn forward(&self, messages: &mut mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            if message.connection != self.number {
                continue;
            }
            if !self.fits(&message) {
                let arrived = LinkEvent::Acked { token: message.token };
                if message.confirmed && self.events.send(arrived).await.is_err() {
                    tracing::debug!("the publisher has gone");
                }
                continue;
            }
            if message.confirmed {
                self.flight().requested(message.token, &message.topic);
            }
            if !self.client.publish(message).await {
                break;
            }
        }
        // Not connected: there is nobody to say goodbye to, and nothing more to do.
        let goodbye = self.client.disconnect();
        if tokio::time::timeout(Duration::from_secs(1), goodbye).await.is_ok_and(|sent| sent) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Whether the broker takes a message of this size; one that it does not would end the
    /// connection, again and again.
    fn fits(&self, message: &Message) -> bool {
        let Message { topic, payload, .. } = message;
        let size = topic.len() + payload.len() + wire::OVERHEAD;
        let most = self.flight().most.unwrap_or(usize::MAX);
        if size > most {
            tracing::warn!(topic, size, most, "a message is larger than the broker takes");
        }
        size <= most
    }
}
