//! Certificates made on the spot: a CA, and what it issues.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate is for.
pub enum For<'a> {
    Server(&'a str),
    ExpiredServer(&'a str),
    Client,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes the CA's certificate to `NAME.pem` in `folder`.
    pub fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}.pem")), self.0.pem()).unwrap();
    }

    /// Writes a new certificate and its key to `NAME.pem` and `NAME.key` in `folder`.
    pub fn issue(&self, folder: &Path, name: &str, what: &For<'_>) {
        let (hosts, usage) = match what {
            For::Server(host) | For::ExpiredServer(host) => {
                (vec![(*host).to_owned()], ExtendedKeyUsagePurpose::ServerAuth)
            }
            For::Client => (Vec::new(), ExtendedKeyUsagePurpose::ClientAuth),
        };
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        if matches!(what, For::ExpiredServer(_)) {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
