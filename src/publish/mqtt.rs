//! The link to the broker, over rumqttc. The only file that knows it.
//!
//! rumqttc is used as a transport and nothing more: every connection gets a fresh client, so no
//! message of an old one lingers in its queues; what must arrive is kept by the outbox, which
//! sends it again. Ends when the publisher closes its end, after a clean disconnect.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions,
    NetworkOptions, Outgoing, Packet, QoS, Transport,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{LinkEvent, Message, payload};
use crate::backoff::Backoff;
use crate::config::{Broker, Secret};

/// Notices a dead broker within one and a half of these.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A connection this long was a good one: the back-off starts over.
const STABLE: Duration = Duration::from_secs(30);
/// rumqttc's own request queue; [`Message`]s wait in the channel before it.
const REQUESTS: usize = 8;

/// The link's channel ends and settings.
pub struct Link {
    pub broker: Broker,
    pub client_id: String,
    /// Where `offline` goes when the connection is lost.
    pub will_topic: String,
    pub messages: mpsc::Receiver<Message>,
    pub events: mpsc::Sender<LinkEvent>,
    pub backoff: Backoff,
}

#[derive(Default)]
struct Flight {
    asked: Mutex<VecDeque<u64>>,
    sent: Mutex<BTreeMap<u16, u64>>,
}

/// How one connection ended.
enum Life {
    /// The publisher has closed its end.
    Over,
    Lost(ConnectionError),
}

/// Connects, and connects again, until the publisher is gone.
pub async fn run(mut link: Link) {
    let address = format!("{}:{}", link.broker.host, link.broker.port);
    let mut attempt = 0;
    let mut connection = 0;
    loop {
        connection += 1;
        let born = Instant::now();
        let Life::Lost(error) = run_once(&mut link, connection).await else { return };
        if link.events.send(LinkEvent::Disconnected).await.is_err() {
            return;
        }
        attempt = if born.elapsed() >= STABLE { 0 } else { attempt };
        let wait = link.backoff.delay(attempt, fastrand::f64());
        attempt += 1;
        let reason = explain(&error);
        tracing::warn!(broker = address, reason, attempt, ?wait, "no connection to the broker");
        if !pause(&mut link.messages, wait).await {
            return;
        }
    }
}

/// Sleeps; `false` when the publisher has gone meanwhile. Messages that still come were meant
/// for the lost connection and are sent afresh on the next.
async fn pause(messages: &mut mpsc::Receiver<Message>, wait: Duration) -> bool {
    let end = Instant::now() + wait;
    loop {
        match tokio::time::timeout_at(end, messages.recv()).await {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// One connection. Both loops live as long as it does: rumqttc's poll is never cut off half-way.
async fn run_once(link: &mut Link, connection: u64) -> Life {
    let (client, mut eventloop) = AsyncClient::new(options(link), REQUESTS);
    // Small messages that wait for each other's acknowledgement cost 40 ms each.
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    eventloop.set_network_options(network);
    let events = &link.events;
    let messages = &mut link.messages;
    let flight = Flight::default();
    tokio::select! {
        life = listen(eventloop, events, connection, &flight) => life,
        () = forward(client, messages, connection, &flight) => Life::Over,
    }
}

/// Passes on what the broker says, until the connection ends.
async fn listen(
    mut eventloop: EventLoop,
    events: &mpsc::Sender<LinkEvent>,
    n: u64,
    flight: &Flight,
) -> Life {
    loop {
        let event = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                tracing::info!("connected to the broker");
                LinkEvent::Connected { connection: n }
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                match flight.sent.lock().unwrap_or_else(PoisonError::into_inner).remove(&ack.pkid) {
                    Some(token) => LinkEvent::Acked { token },
                    None => continue,
                }
            }
            Ok(Event::Outgoing(Outgoing::Publish(pkid))) => {
                if pkid != 0
                    && let Some(token) =
                        flight.asked.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
                {
                    flight.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(pkid, token);
                }
                continue;
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return Life::Over,
            Ok(_) => continue,
            Err(error) => return Life::Lost(error),
        };
        if events.send(event).await.is_err() {
            tracing::debug!("the publisher has gone; finishing the connection");
        }
    }
}

/// Hands messages to the connection. When the publisher closes its end it says goodbye and then
/// waits to be ended by [`listen`], which sees the goodbye go out.
async fn forward(
    client: AsyncClient,
    messages: &mut mpsc::Receiver<Message>,
    connection: u64,
    flight: &Flight,
) {
    while let Some(message) = messages.recv().await {
        if message.connection != connection {
            continue;
        }
        if message.confirmed {
            flight.asked.lock().unwrap_or_else(PoisonError::into_inner).push_back(message.token);
        }
        let qos = if message.confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        if client.publish(message.topic, qos, message.retain, message.payload).await.is_err() {
            break;
        }
    }
    // Not connected: there is nobody to say goodbye to, and nothing more to do.
    let goodbye = client.disconnect();
    if tokio::time::timeout(Duration::from_secs(1), goodbye).await.is_ok_and(|sent| sent.is_ok()) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn options(link: &Link) -> MqttOptions {
    let broker = &link.broker;
    let mut options = MqttOptions::new(&link.client_id, &broker.host, broker.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(true);
    options.set_inflight(16);
    options.set_last_will(LastWill::new(
        &link.will_topic,
        payload::OFFLINE,
        QoS::AtLeastOnce,
        true,
    ));
    if let Some(user) = &broker.user {
        options.set_credentials(user, broker.password.as_ref().map_or("", Secret::reveal));
    }
    if broker.tls {
        // The system's roots; a broker that cannot prove itself is refused, never fallen back from.
        options.set_transport(Transport::tls_with_default_config());
    }
    options
}

/// What went wrong, with what to do where that is known.
fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => "the broker refused user and password: check mqtt.user and mqtt.password".to_owned(),
        ConnectionError::Io(error) => error.to_string(),
        ConnectionError::NetworkTimeout => "no answer in time".to_owned(),
        other => other.to_string(),
    }
}
