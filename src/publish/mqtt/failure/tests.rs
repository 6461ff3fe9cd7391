//! Failures that no test on a real broker makes; `tests/tls.rs` makes the others.

use rustls::pki_types::ServerName;

use super::*;
use crate::config::Tls;

fn broker(tls: Option<Tls>) -> Broker {
    let (host, user) = ("broker.example".to_owned(), Some("me".to_owned()));
    Broker { host, port: 1883, version: MqttVersion::V3, tls, user, password: None }
}

#[track_caller]
fn explained(failure: Failure, broker: &Broker, connected: bool, expected: &str) {
    let facts = Facts { broker, client_id: "seewhen-gate", connected };
    let found = failure.explain(&facts);
    assert!(found.contains(expected), "{found}");
    assert!(!found.contains(['"', '\\']), "quotes are escaped in the log: {found}");
}

fn io(kind: ErrorKind) -> Failure {
    Failure::Io(kind.into())
}

fn unsafe_certificate(error: CertificateError) -> Failure {
    Failure::Io(io::Error::new(ErrorKind::InvalidData, TlsError::InvalidCertificate(error)))
}

#[test]
fn without_encryption() {
    let plain = broker(None);
    let lookup = "failed to lookup address information: Name or service not known";
    explained(Failure::Io(io::Error::other(lookup)), &plain, false, "check the host in mqtt.url");
    explained(io(ErrorKind::ConnectionRefused), &plain, false, "nothing listens on port 1883 of");
    explained(io(ErrorKind::HostUnreachable), &plain, false, "broker.example cannot be reached");
    explained(Failure::Silent, &plain, true, "no answer in time");
    explained(Failure::Closed, &plain, false, "a TLS port (usually 8883) does so");
    explained(io(ErrorKind::ConnectionReset), &plain, true, "the broker closed the connection");
    explained(Failure::Closed, &plain, true, "another client has the id seewhen-gate");
    explained(Failure::NotMqtt("odd".into()), &plain, false, "a TLS port (usually 8883) wants");
    explained(Failure::NotMqtt("odd".into()), &plain, true, "what is no MQTT (odd)");
    explained(Failure::TakenOver, &plain, true, "a node of its own");
    explained(Failure::Dismissed("ServerBusy".into()), &plain, true, "ServerBusy");
    explained(Failure::TooLarge(99), &plain, true, "99 bytes");
}

#[test]
fn refused_by_the_broker() {
    let refused = |refusal, broker: &Broker, expected: &str| {
        explained(Failure::Refused(refusal), broker, false, expected);
    };
    let (known, nobody) = (broker(None), Broker { user: None, ..broker(None) });
    refused(Refusal::Login, &known, "check mqtt.user and mqtt.password");
    refused(Refusal::Login, &nobody, "wants a user and a password");
    refused(Refusal::Version, &known, "set mqtt.version to 5");
    refused(Refusal::ClientId, &known, "client id seewhen-gate");
    refused(Refusal::Unavailable, &known, "not available now");
    refused(Refusal::Other("Banned".into()), &known, "Banned");
}

#[test]
fn certificates() {
    let system = broker(Some(Tls::default()));
    let own = broker(Some(Tls { ca: Some(Vec::new()), identity: None }));
    let bad = |error, broker: &Broker, expected: &str| {
        explained(unsafe_certificate(error), broker, false, expected);
    };
    bad(CertificateError::UnknownIssuer, &system, "no CA that this system trusts");
    bad(CertificateError::UnknownIssuer, &own, "not issued by a CA in mqtt.ca_file");
    bad(CertificateError::BadSignature, &own, "was the CA made anew?");
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000));
    let expired = CertificateError::ExpiredContext { time, not_after: time };
    bad(expired, &own, "expired on 2023-11-14T22:13:20Z: renew it");
    let early = CertificateError::NotValidYetContext { time, not_before: time };
    bad(early, &own, "not valid yet but from 2023-11-14T22:13:20Z");
    let presented = vec!["DnsName(\"porch.lan\")".to_owned(), "IpAddress(192.0.2.7)".to_owned()];
    let expected = ServerName::try_from("broker.example").unwrap();
    let other = CertificateError::NotValidForNameContext { expected, presented };
    bad(other, &own, "is for porch.lan, 192.0.2.7, not for broker.example");
    bad(CertificateError::Revoked, &own, "is not accepted");
}

#[test]
fn handshakes() {
    let own = broker(Some(Tls::default()));
    let tls = |error, expected: &str| explained(Failure::Tls(error), &own, false, expected);
    tls(TlsError::AlertReceived(AlertDescription::CertificateRequired), "requires a client");
    tls(TlsError::AlertReceived(AlertDescription::HandshakeFailure), "may require a client");
    tls(TlsError::AlertReceived(AlertDescription::ProtocolVersion), "TLS 1.2 or 1.3");
    let strange = rustls::InvalidMessage::InvalidContentType;
    tls(TlsError::InvalidMessage(strange), "1883 wants mqtt://");
    let ended = Failure::Handshake(ErrorKind::UnexpectedEof.into());
    explained(ended, &own, false, "a port without TLS (usually 1883)");
    explained(Failure::Closed, &own, false, "it may require a client certificate");
}
