//! MQTT 3.1.1: rumqttc's types, in and out.

use rumqttc::mqttbytes::Error as CodecError;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions,
    NetworkOptions, Outgoing, Packet, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
};

use super::failure::{Failure, Refusal};
use super::heard::Heard;
use super::{Access, KEEP_ALIVE, Link, REQUESTS, tls};
use crate::publish::outbox::IN_FLIGHT;
use crate::publish::payload;

/// The largest packet that is read. In this version nothing tells the broker, and a retained
/// message that is larger would end every connection.
const MAX_INCOMING: usize = 16 << 20;
/// The protocol's own limit: what is too much is for the broker to say.
const MAX_OUTGOING: usize = 256 << 20;

pub(super) fn open(link: &Link, access: &Access) -> (AsyncClient, EventLoop) {
    let (client, mut eventloop) = AsyncClient::new(options(link, access), REQUESTS);
    eventloop.set_network_options(network());
    (client, eventloop)
}

/// The same for both versions.
pub(super) fn network() -> NetworkOptions {
    // Small messages that wait for each other's acknowledgement cost 40 ms each.
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network
}

fn options(link: &Link, access: &Access) -> MqttOptions {
    let Access { broker, security } = access;
    let mut options = MqttOptions::new(&link.client_id, &broker.host, broker.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(true);
    options.set_inflight(IN_FLIGHT);
    options.set_max_packet_size(MAX_INCOMING, MAX_OUTGOING);
    if let Some(topic) = &link.will_topic {
        options.set_last_will(LastWill::new(topic, payload::OFFLINE, QoS::AtLeastOnce, true));
    }
    if let Some((user, password)) = broker.credentials() {
        options.set_credentials(user, password);
    }
    if let Some(security) = security {
        options.set_transport(tls::transport(security));
    }
    options
}

pub(super) fn qos(confirmed: bool) -> QoS {
    if confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce }
}

pub(super) fn filters(filters: &[String]) -> impl Iterator<Item = SubscribeFilter> {
    filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce))
}

pub(super) async fn poll(eventloop: &mut EventLoop) -> Result<Heard, Failure> {
    Ok(match eventloop.poll().await? {
        Event::Incoming(Packet::ConnAck(_)) => Heard::Connected { most: None },
        Event::Outgoing(Outgoing::Publish(pkid)) => Heard::Sent { pkid },
        Event::Incoming(Packet::PubAck(ack)) => Heard::Acked { pkid: ack.pkid, refused: None },
        Event::Incoming(Packet::Publish(message)) => {
            Heard::message(message.topic, &message.payload, message.retain)
        }
        Event::Incoming(Packet::SubAck(ack)) => {
            Heard::subscribed(ack.return_codes.iter().map(|answer| match answer {
                SubscribeReasonCode::Success(_) => None,
                SubscribeReasonCode::Failure => Some("Failure".to_owned()),
            }))
        }
        Event::Outgoing(Outgoing::Disconnect) => Heard::Goodbye,
        _ => Heard::Other,
    })
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Tls(error) => Self::of_handshake(error),
            ConnectionError::Io(error)
            | ConnectionError::MqttState(
                StateError::Io(error) | StateError::Deserialization(CodecError::Io(error)),
            ) => Self::Io(error),
            ConnectionError::MqttState(StateError::ConnectionAborted) => Self::Closed,
            ConnectionError::NetworkTimeout
            | ConnectionError::FlushTimeout
            | ConnectionError::MqttState(StateError::AwaitPingResp) => Self::Silent,
            ConnectionError::MqttState(StateError::Deserialization(
                CodecError::PayloadSizeLimitExceeded(size),
            )) => Self::TooLarge(size),
            ConnectionError::MqttState(StateError::Deserialization(error)) => {
                Self::NotMqtt(error.to_string())
            }
            ConnectionError::NotConnAck(_) => Self::NotMqtt("no answer to CONNECT".to_owned()),
            ConnectionError::ConnectionRefused(code) => Self::Refused(refusal(code)),
            other => Self::Other(other.to_string()),
        }
    }
}

fn refusal(code: ConnectReturnCode) -> Refusal {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => Refusal::Login,
        ConnectReturnCode::RefusedProtocolVersion => Refusal::Version,
        ConnectReturnCode::BadClientId => Refusal::ClientId,
        ConnectReturnCode::ServiceUnavailable => Refusal::Unavailable,
        other => Refusal::Other(format!("{other:?}")),
    }
}
