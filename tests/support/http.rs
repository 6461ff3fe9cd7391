//! An HTTP client as small as can be: what it sends is written down to the byte, plain or over TLS.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// As they came, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A page somewhere.
#[derive(Clone)]
pub struct Site {
    pub port: u16,
    tls: Option<Arc<ClientConfig>>,
}

impl Site {
    pub fn plain(port: u16) -> Self {
        Self { port, tls: None }
    }

    /// Over TLS, trusting the CA whose certificate is in this file.
    pub fn encrypted(port: u16, ca: &std::path::Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { port, tls: Some(Arc::new(config)) }
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, b"")
    }

    pub fn post(&self, path: &str, json: &str, headers: &[(&str, &str)]) -> Answer {
        let kind = [("Content-Type", "application/json")];
        self.ask("POST", path, &[&kind, headers].concat(), json.as_bytes())
    }

    /// Sends a request; of an answer that does not end there is the head and what came with it.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let request = [head.as_bytes(), b"\r\n", body].concat();
        self.send(&request).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends these bytes.
    pub fn send(&self, request: &[u8]) -> std::io::Result<Answer> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        match &self.tls {
            None => talk(stream, request),
            Some(config) => {
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let session = ClientConnection::new(config.clone(), name).unwrap();
                talk(StreamOwned::new(session, stream), request)
            }
        }
    }
}

fn talk(mut stream: impl Read + Write, request: &[u8]) -> std::io::Result<Answer> {
    // The answer may come, and the connection end, before all is sent.
    let sent = stream.write_all(request).and_then(|()| stream.flush());
    let mut got = Vec::new();
    let mut piece = [0; 65536];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => got.extend(&piece[..length]),
            Err(error) if got.is_empty() => return Err(sent.err().unwrap_or(error)),
            Err(_) => break,
        }
        if is_endless(&got) {
            break;
        }
    }
    parse(&got).ok_or_else(|| std::io::Error::other(format!("no answer: {got:?}")))
}

fn is_endless(got: &[u8]) -> bool {
    parse(got).is_some_and(|answer| {
        let streams = answer.header("content-type") == Some("text/event-stream");
        streams && !answer.body.is_empty()
    })
}

fn parse(got: &[u8]) -> Option<Answer> {
    let end = got.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&got[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<(String, String)> = lines.filter_map(pair).collect();
    let chunked =
        headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let rest = &got[end + 4..];
    let body = if chunked { unchunked(rest) } else { rest.to_owned() };
    Some(Answer { status, headers, body })
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        rest = &rest[end + 2..];
        if size == 0 || rest.len() < size + 2 {
            body.extend(&rest[..size.min(rest.len())]);
            break;
        }
        body.extend(&rest[..size]);
        rest = &rest[size + 2..];
    }
    body
}
