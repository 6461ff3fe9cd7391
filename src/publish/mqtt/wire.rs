//! What the loop needs of a connection, whichever version of MQTT it speaks.

use super::failure::Failure;
use super::heard::Heard;
use super::{Access, Link, v3, v5};
use crate::config::MqttVersion;
use crate::publish::Message;

/// Most that a packet has beside topic and payload.
pub(super) const OVERHEAD: usize = 16;

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
pub(super) fn open(link: &Link, access: &Access) -> (Client, EventLoop) {
    match access.broker.version {
        MqttVersion::V3 => {
            let (client, eventloop) = v3::open(link, access);
            (Client::V3(client), EventLoop::V3(Box::new(eventloop)))
        }
        MqttVersion::V5 => {
            let (client, eventloop) = v5::open(link, access);
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
