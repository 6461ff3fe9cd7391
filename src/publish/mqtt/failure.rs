//! Why there is no connection to the broker, in words that say what to do.

use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::config::{Broker, MqttVersion};

/// How an attempt or a connection ended.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    /// The same before the encryption stood.
    Handshake(io::Error),
    Tls(TlsError),
    /// The broker's answer to who we are.
    Refused(Refusal),
    /// The broker hung up.
    Closed,
    /// Somebody with our client id has connected.
    TakenOver,
    /// The broker said farewell, and why.
    Dismissed(String),
    /// No answer in time.
    Silent,
    /// A packet of so many bytes came.
    TooLarge(usize),
    /// What came makes no sense.
    NotMqtt(String),
    Other(String),
}

/// What a broker does not like about a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Login,
    ClientId,
    Version,
    Unavailable,
    Other(String),
}

/// What an explanation depends on.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) broker: &'a Broker,
    pub(super) client_id: &'a str,
    /// The broker had accepted us before.
    pub(super) connected: bool,
}

const NOT_TLS: &str = "what answers there does not speak TLS: check host and port of mqtt.url; a \
                       broker's TLS port is usually 8883, and 1883 wants mqtt://";
const WANTS_CERTIFICATE: &str = "set mqtt.client_cert and mqtt.client_key";

impl Failure {
    /// rumqttc's error of setting TLS up.
    pub(super) fn of_handshake(error: rumqttc::TlsError) -> Self {
        match error {
            rumqttc::TlsError::Io(error) => Self::Handshake(error),
            rumqttc::TlsError::TLS(error) => Self::Tls(error),
            other => Self::Other(other.to_string()),
        }
    }

    /// What went wrong, and what to do where that is known.
    pub(super) fn explain(&self, facts: &Facts<'_>) -> String {
        match self {
            Self::Io(error) | Self::Handshake(error) => match tls_error(error) {
                Some(error) => encryption(error, facts),
                None if hung_up(error) => {
                    facts.hung_up(matches!(self, Self::Handshake(_)), Some(error))
                }
                None => network(error, facts),
            },
            Self::Tls(error) => encryption(error, facts),
            Self::Refused(refusal) => facts.refused(refusal),
            Self::Closed => facts.hung_up(false, None),
            Self::TakenOver => format!(
                "another client has connected to the broker with the id {}: give every seewhen a \
                 node of its own",
                facts.client_id
            ),
            Self::Dismissed(reason) => format!("the broker ended the connection: {reason}"),
            Self::Silent => "no answer in time".to_owned(),
            Self::TooLarge(size) => format!(
                "the broker sent a packet of {size} bytes: somebody publishes what is no command \
                 to a topic that seewhen listens to; where it is retained, clear it"
            ),
            Self::NotMqtt(what) if facts.connected => {
                format!("the broker sent what is no MQTT ({what})")
            }
            Self::NotMqtt(what) => format!(
                "what answers there is no MQTT broker ({what}): check host and port of mqtt.url; \
                 a TLS port (usually 8883) wants mqtts://"
            ),
            Self::Other(what) => what.clone(),
        }
    }
}

impl Facts<'_> {
    fn refused(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::Login if self.broker.user.is_none() => {
                "the broker wants a user and a password: set mqtt.user and mqtt.password".to_owned()
            }
            Refusal::Login => {
                "the broker refused user and password: check mqtt.user and mqtt.password".to_owned()
            }
            Refusal::ClientId => {
                format!("the broker does not take the client id {}", self.client_id)
            }
            Refusal::Version => {
                let (this, other) = match self.broker.version {
                    MqttVersion::V3 => ("3.1.1", "5"),
                    MqttVersion::V5 => ("5", "3.1.1"),
                };
                format!("the broker does not speak MQTT {this}: set mqtt.version to {other}")
            }
            Refusal::Unavailable => "the broker says that it is not available now".to_owned(),
            Refusal::Other(code) => format!("the broker refused the connection: {code}"),
        }
    }

    /// The broker ended the connection without a word.
    fn hung_up(&self, in_handshake: bool, error: Option<&io::Error>) -> String {
        let how = error.map(|error| format!(" ({error})")).unwrap_or_default();
        if self.connected {
            return format!(
                "the broker closed the connection{how}; its own log may say why: it ended, or \
                 another client has the id {}",
                self.client_id
            );
        }
        match &self.broker.tls {
            None => format!(
                "the broker closed the connection before it answered{how}: a TLS port (usually \
                 8883) does so and wants mqtts://; else its own log says why"
            ),
            Some(_) if in_handshake => format!(
                "the broker closed the connection in the TLS handshake{how}: a port without TLS \
                 (usually 1883) does so and wants mqtt://; else its own log says why"
            ),
            Some(tls) if tls.identity.is_none() => format!(
                "the broker closed the connection after the TLS handshake{how}: it may require a \
                 client certificate ({WANTS_CERTIFICATE}); its own log says why"
            ),
            Some(_) => format!(
                "the broker closed the connection after the TLS handshake{how}: it may not accept \
                 the certificate in mqtt.client_cert; its own log says why"
            ),
        }
    }
}

/// What TLS says in the clothes of an I/O error.
fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

fn network(error: &io::Error, facts: &Facts<'_>) -> String {
    let Broker { host, port, .. } = facts.broker;
    // The standard library has no kind for it.
    if error.to_string().contains("failed to lookup address") {
        return format!("{error}: no address is known for {host}; check the host in mqtt.url");
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => format!(
            "{error}: nothing listens on port {port} of {host}; is the broker running, and is the \
             port in mqtt.url right?"
        ),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::TimedOut => {
            format!("{error}: {host} cannot be reached")
        }
        _ => error.to_string(),
    }
}

/// What TLS does not like.
fn encryption(error: &TlsError, facts: &Facts<'_>) -> String {
    match error {
        TlsError::InvalidCertificate(error) => certificate(error, facts),
        TlsError::AlertReceived(alert) => alerted(*alert, facts),
        TlsError::InvalidMessage(_)
        | TlsError::InappropriateMessage { .. }
        | TlsError::InappropriateHandshakeMessage { .. } => format!("{NOT_TLS} ({error})"),
        TlsError::PeerIncompatible(_) => format!(
            "the broker has no version or cipher of TLS in common with us ({error}): it must \
             offer TLS 1.2 or 1.3"
        ),
        other => format!("TLS: {other}"),
    }
}

/// What is wrong with the broker's certificate.
fn certificate(error: &CertificateError, facts: &Facts<'_>) -> String {
    let host = &facts.broker.host;
    let own_ca = facts.broker.tls.as_ref().is_some_and(|tls| tls.ca.is_some());
    match error {
        CertificateError::UnknownIssuer if own_ca => {
            "the broker's certificate was not issued by a CA in mqtt.ca_file: put the certificate \
             of the CA there that issued it"
                .to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the broker's certificate was issued by no CA that this system trusts: set \
             mqtt.ca_file to the certificate of the CA that issued it"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "the broker's certificate names a CA that is trusted and was signed with another key: \
             was the CA made anew? Put its newest certificate into mqtt.ca_file"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
            "the broker's certificate expired{}: renew it on the broker, unless the clock of this \
             machine is wrong",
            day(error)
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
            "the broker's certificate is not valid yet{}: check the clocks of both machines",
            day(error)
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = match error {
                CertificateError::NotValidForNameContext { presented, .. } => names(presented),
                _ => "other hosts".to_owned(),
            };
            format!(
                "the broker's certificate is for {names}, not for {host}: write the host in \
                 mqtt.url as the certificate has it, or get one with {host} among its subject \
                 alternative names (its common name does not count)"
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the broker's certificate was not issued for a server: get one whose extended key \
             usage has serverAuth"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the broker uses the certificate of a CA as its own: have that CA issue one for the \
             broker, with CA:FALSE"
                .to_owned()
        }
        other => format!("the broker's certificate is not accepted: {other}"),
    }
}

/// From or until when the certificate is valid.
fn day(error: &CertificateError) -> String {
    let (word, time): (_, &UnixTime) = match error {
        CertificateError::ExpiredContext { not_after, .. } => ("on", not_after),
        CertificateError::NotValidYetContext { not_before, .. } => ("but from", not_before),
        _ => return String::new(),
    };
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
    time.map(|time| format!(" {word} {}", humantime::format_rfc3339_seconds(time)))
        .unwrap_or_default()
}

/// `DnsName("broker")` is `broker`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no host at all".to_owned();
    }
    let plain = |name: &String| match (name.find(['"', '(']), name.rfind(')')) {
        (Some(from), Some(to)) if from < to => name[from..to].trim_matches(['(', '"']).to_owned(),
        _ => name.clone(),
    };
    presented.iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// What the broker does not like.
fn alerted(alert: AlertDescription, facts: &Facts<'_>) -> String {
    let has_own = facts.broker.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
    match alert {
        AlertDescription::CertificateRequired => {
            format!("the broker requires a client certificate: {WANTS_CERTIFICATE}")
        }
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => format!(
            "the broker has no version or cipher of TLS in common with us ({alert:?}): it must \
             offer TLS 1.2 or 1.3"
        ),
        AlertDescription::CertificateExpired if has_own => {
            "the broker says that the certificate in mqtt.client_cert has expired: renew it"
                .to_owned()
        }
        AlertDescription::UnknownCA if has_own => {
            "the broker does not know the CA that issued the certificate in mqtt.client_cert: \
             have one issued by the CA that the broker trusts"
                .to_owned()
        }
        AlertDescription::UnrecognisedName => format!(
            "the broker does not know the name {}: check the host in mqtt.url",
            facts.broker.host
        ),
        _ if has_own => format!(
            "the broker does not accept the certificate in mqtt.client_cert ({alert:?}); its own \
             log says why"
        ),
        _ => format!(
            "the broker refused the TLS handshake ({alert:?}): it may require a client \
             certificate ({WANTS_CERTIFICATE}); its own log says why"
        ),
    }
}

#[cfg(test)]
#[path = "failure/tests.rs"]
mod tests;
