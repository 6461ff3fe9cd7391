//! How the link proves who the broker is, and who we are.

use std::fmt;
use std::sync::Arc;

use rumqttc::{TlsConfiguration, Transport};
use rustls::{ClientConfig, RootCertStore};

use crate::config::{Broker, Tls};

/// What every connection to a broker is encrypted with.
#[derive(Clone)]
pub(super) struct Security(Arc<ClientConfig>);

/// Shows nothing: there may be a key in it.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Security")
    }
}

/// Prepares what `broker` needs; `None` when its connection is not encrypted.
pub(super) fn security(broker: &Broker) -> Result<Option<Security>, rustls::Error> {
    let Some(tls) = &broker.tls else { return Ok(None) };
    // Named, since another dependency may bring a second provider along.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(tls)?);
    let config = match &tls.identity {
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    Ok(Some(Security(Arc::new(config))))
}

/// A CA of one's own stands in the place of the system's, not beside them.
fn roots(tls: &Tls) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone())?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                tracing::warn!(
                    "this system has no root certificates, so no broker can prove itself: \
                     install ca-certificates, or set mqtt.ca_file"
                );
            }
        }
    }
    Ok(roots)
}

pub(super) fn transport(security: &Security) -> Transport {
    Transport::tls_with_config(TlsConfiguration::Rustls(security.0.clone()))
}
