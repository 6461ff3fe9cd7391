//! MQTT 5: rumqttc's types, in and out.

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, Packet, PubAckReason,
    SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as CodecError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};

use super::failure::{Failure, Refusal};
use super::heard::Heard;
use super::{Access, KEEP_ALIVE, Link, REQUESTS, tls, v3};
use crate::publish::outbox::IN_FLIGHT;
use crate::publish::payload;

/// The largest packet that the broker may send: it drops others. Room for the largest payload
/// that is handed on, the longest topic and some properties.
const MAX_INCOMING: u32 = 256 << 10;

pub(super) fn open(link: &Link, access: &Access) -> (AsyncClient, EventLoop) {
    AsyncClient::new(options(link, access), REQUESTS)
}

fn options(link: &Link, access: &Access) -> MqttOptions {
    let Access { broker, security } = access;
    let mut options = MqttOptions::new(&link.client_id, &broker.host, broker.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_start(true);
    options.set_outgoing_inflight_upper_limit(IN_FLIGHT);
    options.set_max_packet_size(Some(MAX_INCOMING));
    options.set_network_options(v3::network());
    if let Some(topic) = &link.will_topic {
        let will = LastWill::new(topic, payload::OFFLINE, QoS::AtLeastOnce, true, None);
        options.set_last_will(will);
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

pub(super) fn filters(filters: &[String]) -> impl Iterator<Item = Filter> {
    filters.iter().map(|filter| Filter::new(filter.clone(), QoS::AtLeastOnce))
}

pub(super) async fn poll(eventloop: &mut EventLoop) -> Result<Heard, Failure> {
    // In this version rumqttc waits for a dead network without end. A living one always has
    // something to tell: a ping, at the latest.
    let longest = eventloop.options.keep_alive().max(KEEP_ALIVE) * 2;
    let Ok(event) = tokio::time::timeout(longest, eventloop.poll()).await else {
        return Err(Failure::Silent);
    };
    Ok(match event? {
        Event::Incoming(Packet::ConnAck(ack)) => {
            let most = ack.properties.and_then(|properties| properties.max_packet_size);
            Heard::Connected { most: most.and_then(|most| usize::try_from(most).ok()) }
        }
        Event::Outgoing(Outgoing::Publish(pkid)) => Heard::Sent { pkid },
        Event::Incoming(Packet::PubAck(ack)) => Heard::Acked {
            pkid: ack.pkid,
            refused: match ack.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
                reason => Some(format!("{reason:?}")),
            },
        },
        Event::Incoming(Packet::Publish(message)) => {
            let topic = String::from_utf8_lossy(&message.topic).into_owned();
            Heard::message(topic, &message.payload, message.retain)
        }
        Event::Incoming(Packet::SubAck(ack)) => {
            Heard::subscribed(ack.return_codes.iter().map(|answer| match answer {
                SubscribeReasonCode::Success(_) => None,
                reason => Some(format!("{reason:?}")),
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
            ConnectionError::MqttState(error) => error.into(),
            ConnectionError::Io(error) => Self::Io(error),
            ConnectionError::Timeout(_) => Self::Silent,
            ConnectionError::NotConnAck(_) => Self::NotMqtt("no answer to CONNECT".to_owned()),
            ConnectionError::ConnectionRefused(code) => Self::Refused(refusal(code)),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io(error) | StateError::Deserialization(CodecError::Io(error)) => {
                Self::Io(error)
            }
            StateError::ConnectionAborted => Self::Closed,
            StateError::AwaitPingResp => Self::Silent,
            StateError::Deserialization(CodecError::PayloadSizeLimitExceeded {
                pkt_size, ..
            }) => Self::TooLarge(pkt_size),
            StateError::Deserialization(error) => Self::NotMqtt(error.to_string()),
            StateError::ConnFail { reason } => Self::Refused(refusal(reason)),
            StateError::ServerDisconnect {
                reason_code: DisconnectReasonCode::SessionTakenOver,
                ..
            } => Self::TakenOver,
            StateError::ServerDisconnect { reason_code, .. } => {
                Self::Dismissed(format!("{reason_code:?}"))
            }
            other => Self::Other(other.to_string()),
        }
    }
}

fn refusal(code: ConnectReturnCode) -> Refusal {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => Refusal::Login,
        ConnectReturnCode::RefusedProtocolVersion
        | ConnectReturnCode::UnsupportedProtocolVersion => Refusal::Version,
        ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid => {
            Refusal::ClientId
        }
        ConnectReturnCode::ServiceUnavailable
        | ConnectReturnCode::ServerUnavailable
        | ConnectReturnCode::ServerBusy => Refusal::Unavailable,
        other => Refusal::Other(format!("{other:?}")),
    }
}
