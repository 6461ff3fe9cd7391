//! The keys for TLS: who we are for the broker and for the page's visitors, and whom the broker must be
//! known to.
//!
//! The files are read and understood here, so that what cannot be used stops the start and is
//! never fallen back from. Messages never quote what is in a file.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ::config::Value;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, RootCertStore};

use super::secret::{Surroundings, expand};
use super::section::Section;
use super::value::{text, words};

/// How the connection to the broker is encrypted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tls {
    /// The CAs that may have issued the broker's certificate; the system's where there are none.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// What we prove ourselves with, where the broker wants that.
    pub identity: Option<Identity>,
}

/// A certificate, fitting its key.
#[derive(Clone, PartialEq)]
pub struct Identity {
    /// Our certificate first, then those of the CAs between it and one that the broker knows.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

const KEYS: [&str; 3] = ["ca_file", "client_cert", "client_key"];

/// What the keys say, all wrong ones reported. For a broker without TLS there must be none.
pub(super) fn read(mqtt: &Section<'_>, surroundings: &Surroundings) -> Tls {
    let ca = mqtt.get("ca_file", |value| roots(&File::read(value, surroundings)?));
    let identity = identity(mqtt, surroundings, ["client_cert", "client_key"]);
    Tls { ca: ca.flatten(), identity }
}

/// The certificate and the key that two keys of a section name, all that is wrong reported; `None` too
/// where there are none.
pub(super) fn identity(
    section: &Section<'_>,
    surroundings: &Surroundings,
    [cert, own]: [&str; 2],
) -> Option<Identity> {
    let chain = section.get(cert, |value| chain(&File::read(value, surroundings)?));
    let key = section.get(own, |value| private_key(&File::read(value, surroundings)?));
    for (one, other) in [(cert, own), (own, cert)] {
        if given(section, one) && !given(section, other) {
            section.problem(one, format!("is set and {other} is not; both belong together"));
        }
    }
    let (chain, key) = chain.flatten().zip(key.flatten())?;
    let provider = ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
        Ok(_) => return Some(Identity { chain, key: Arc::new(key) }),
        Err(TlsError::InconsistentKeys(_)) => section.problem(
            own,
            format!(
                "is not the key of the certificate in {cert}; take the two that were made together \
                 ({cert} begins with seewhen's own certificate, its CA's follow)"
            ),
        ),
        Err(_) => section.problem(
            own,
            "is a key of a kind that is not supported; have one made with RSA (2048 to 4096 bits), \
             ECDSA (P-256, P-384) or Ed25519",
        ),
    }
    None
}

/// Reports every TLS key, since `url` says that there is no TLS.
pub(super) fn must_be_absent(mqtt: &Section<'_>) {
    for key in KEYS.into_iter().filter(|key| given(mqtt, key)) {
        mqtt.problem(
            key,
            "is for TLS, and url begins with mqtt://; write mqtts:// there (the port is usually \
             8883), or remove this key",
        );
    }
}

/// An empty text counts as not given, so that the environment can take one away.
fn given(mqtt: &Section<'_>, key: &str) -> bool {
    mqtt.has(key) && mqtt.peek(key, text).as_deref() != Some("")
}

/// A file as it was named, and what is in it.
struct File {
    named: String,
    text: String,
}

impl File {
    /// `None` for an empty path.
    fn read(value: &Value, surroundings: &Surroundings) -> Result<Option<Self>, String> {
        if text(value)?.is_empty() {
            return Ok(None);
        }
        let named = words(value)?;
        let path = named.strip_prefix("file:").unwrap_or(&named);
        let path = expand(path, |name| surroundings.look_up(name), str::to_owned)?;
        let path: PathBuf = surroundings.folder.join(path);
        match (surroundings.read)(&path) {
            Ok(text) => Ok(Some(Self { named, text })),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(format!("{named:?} is no text, so it is not in PEM form; {CONVERT}"))
            }
            Err(error) => Err(format!(
                "{named:?} cannot be read: {error}; write the path of a PEM file that is readable \
                 for this user"
            )),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let Self { named, text } = self;
        let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| format!("{named:?} is damaged; a block of it is not PEM"))?;
        if found.is_empty() {
            return Err(format!("{named:?} holds no certificate in PEM form; {CONVERT}"));
        }
        Ok(found)
    }
}

const CONVERT: &str = "it must have lines -----BEGIN CERTIFICATE----- or, for a key, -----BEGIN PRIVATE KEY----- \
     (openssl x509 -inform der, or openssl pkey -inform der, make such from DER)";

fn roots(file: &Option<File>) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
    let Some(file) = file else { return Ok(None) };
    let certificates = file.certificates()?;
    let mut store = RootCertStore::empty();
    for (number, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|_| unreadable(file, number))?;
    }
    Ok(Some(certificates))
}

fn chain(file: &Option<File>) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
    let Some(file) = file else { return Ok(None) };
    let certificates = file.certificates()?;
    for (number, certificate) in certificates.iter().enumerate() {
        ParsedCertificate::try_from(certificate).map_err(|_| unreadable(file, number))?;
    }
    Ok(Some(certificates))
}

fn unreadable(file: &File, number: usize) -> String {
    format!("{:?}: certificate {} in it cannot be understood", file.named, number + 1)
}

fn private_key(file: &Option<File>) -> Result<Option<PrivateKeyDer<'static>>, String> {
    let Some(File { named, text }) = file else { return Ok(None) };
    if text.contains("ENCRYPTED") {
        return Err(format!(
            "{named:?} is protected with a password, which nobody is there to type; write the key \
             without one (openssl pkey -in OLD -out NEW) into a file that only this user can read"
        ));
    }
    // What the parser says may quote the key.
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map(Some)
        .map_err(|_| format!("{named:?} holds no private key in PEM form; {CONVERT}"))
}
