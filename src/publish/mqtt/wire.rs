//! What the loop needs of a connection, whichever version of MQTT it speaks.

use super::failure::Failure;
use super::{Link, MAX_RECEIVED, v3, v5};
use crate::config::MqttVersion;
use crate::publish::Message;

/// Most that a packet has beside topic and payload.
pub(super) const OVERHEAD: usize = 16;

/// What a connection tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Connected {
        /// The largest packet that the broker takes, where it says so.
        most: Option<usize>,
    },
    /// A message went out, with this packet id; 0 when it is not confirmed.
    Sent {
        pkid: u16,
    },
    Acked {
        pkid: u16,
        /// Why the broker does not want it.
        refused: Option<String>,
    },
    Received {
        topic: String,
        payload: Vec<u8>,
        retained: bool,
    },
    TooLarge {
        topic: String,
        size: usize,
    },
    Subscribed {
        /// The filters that the broker refuses, by their number, and why.
        refused: Vec<(usize, String)>,
    },
    /// Our farewell went out.
    Goodbye,
    Other,
}

impl Heard {
    /// A message; what is too large is not copied.
    pub(super) fn message(topic: String, payload: &[u8], retained: bool) -> Self {
        let size = payload.len();
        if size > MAX_RECEIVED {
            return Self::TooLarge { topic, size };
        }
        Self::Received { topic, payload: payload.to_vec(), retained }
    }

    /// The refused ones among what the broker said to each filter.
    pub(super) fn subscribed(answers: impl Iterator<Item = Option<String>>) -> Self {
        let refused = answers.enumerate().filter_map(|(number, why)| Some((number, why?)));
        Self::Subscribed { refused: refused.collect() }
    }
}

/// Where messages go in. Each method says whether they did.
pub(super) enum Client {
    V3(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

/// Where answers come out.
pub(super) enum EventLoop {
    V3(Box<rumqttc::EventLoop>),
    V5(Box<rumqttc::v5::EventLoop>),
}

/// A fresh client, not connected yet.
pub(super) fn open(link: &Link) -> (Client, EventLoop) {
    match link.broker.version {
        MqttVersion::V3 => {
            let (client, eventloop) = v3::open(link);
            (Client::V3(client), EventLoop::V3(Box::new(eventloop)))
        }
        MqttVersion::V5 => {
            let (client, eventloop) = v5::open(link);
            (Client::V5(client), EventLoop::V5(Box::new(eventloop)))
        }
    }
}

impl EventLoop {
    pub(super) async fn poll(&mut self) -> Result<Heard, Failure> {
        match self {
            Self::V3(eventloop) => v3::poll(eventloop).await,
            Self::V5(eventloop) => v5::poll(eventloop).await,
        }
    }
}

impl Client {
    pub(super) async fn publish(&self, message: Message) -> bool {
        let Message { topic, payload, retain, confirmed, .. } = message;
        match self {
            Self::V3(client) => {
                client.publish(topic, v3::qos(confirmed), retain, payload).await.is_ok()
            }
            Self::V5(client) => {
                client.publish(topic, v5::qos(confirmed), retain, payload).await.is_ok()
            }
        }
    }

    /// Asks for all filters at once, and does not wait.
    pub(super) fn subscribe(&self, filters: &[String]) -> bool {
        match self {
            Self::V3(client) => client.try_subscribe_many(v3::filters(filters)).is_ok(),
            Self::V5(client) => client.try_subscribe_many(v5::filters(filters)).is_ok(),
        }
    }

    pub(super) async fn disconnect(&self) -> bool {
        match self {
            Self::V3(client) => client.disconnect().await.is_ok(),
            Self::V5(client) => client.disconnect().await.is_ok(),
        }
    }
}
