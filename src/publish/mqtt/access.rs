//! The way to the broker: where it is, who we are there, and how the connection is encrypted.

use super::tls::{Security, security};
use crate::config::Broker;

/// What a connection to a broker is made with.
#[derive(Debug, Clone)]
pub struct Access {
    pub(super) broker: Broker,
    pub(super) security: Option<Security>,
}

/// Prepares connections to `broker`.
///
/// # Errors
/// When the certificates cannot be used, which reading the configuration has ruled out.
pub fn access(broker: &Broker) -> Result<Access, rustls::Error> {
    Ok(Access { broker: broker.clone(), security: security(broker)? })
}
