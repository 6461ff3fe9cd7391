//! Files over HTTP, with resuming: the only file that knows the HTTP client.
//!
//! What has come stays in the target file; the next call goes on from there. Proxies are taken
//! from the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), certificates from the system.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::time::Duration;

use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// Until a connection stands, and until the server's answer begins.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one answer may take; what came is kept, and the rest asked for again.
const ANSWER: Duration = Duration::from_secs(120);
/// Tries in a row that bring nothing, and the pause between two.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{url} cannot be fetched: {cause}")]
    Network { url: String, cause: String },
    #[error("{url} answers {status}")]
    Status { url: String, status: StatusCode },
    #[error("{url} has more than {most} bytes")]
    TooLarge { url: String, most: u64 },
    #[error("{file} cannot be written: {cause}; what was fetched stays for the next try")]
    Write { file: String, cause: io::Error },
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    /// Unknown when the server does not say.
    pub whole: Option<u64>,
}

/// An HTTP client.
pub struct Client(Agent);

impl Default for Client {
    fn default() -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(Some(ANSWER))
            .http_status_as_error(false)
            .user_agent(concat!("seewhen/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(config.into())
    }
}

impl Client {
    /// Fetches `url` into `target`, going on where that ends; at most `most` bytes.
    ///
    /// # Errors
    /// When the server refuses, several tries in a row bring nothing, or the file cannot be
    /// written.
    pub fn fetch(
        &self,
        url: &str,
        target: &Path,
        most: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), FetchError> {
        let written = |cause| FetchError::Write { file: target.display().to_string(), cause };
        let mut file =
            OpenOptions::new().create(true).append(true).open(target).map_err(written)?;
        let mut failures = 0;
        loop {
            let before = file.metadata().map_err(written)?.len();
            let cause = match self.go_on(url, &mut file, most, progress) {
                Ok(()) => return file.sync_all().map_err(written),
                Err(Trouble::Passing(cause)) => cause,
                Err(Trouble::Status(status)) => {
                    return Err(FetchError::Status { url: shown(url), status });
                }
                Err(Trouble::TooLarge) => {
                    return Err(FetchError::TooLarge { url: shown(url), most });
                }
                Err(Trouble::Write(cause)) => return Err(written(cause)),
            };
            let came = file.metadata().map_err(written)?.len() > before;
            failures = if came { 1 } else { failures + 1 };
            if failures == TRIES {
                return Err(FetchError::Network { url: shown(url), cause });
            }
            std::thread::sleep(PAUSE * failures);
        }
    }

    /// One request for what is missing.
    fn go_on(
        &self,
        url: &str,
        file: &mut File,
        most: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Trouble> {
        let have = file.metadata().map_err(Trouble::Write)?.len();
        let mut request = self.0.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = request.call().map_err(|error| Trouble::Passing(error.to_string()))?;
        let (start, whole) = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = content_range(&response);
                let (start, whole) = range.unwrap_or((have, None));
                if start != have {
                    return Err(Trouble::Passing("the server sent another part".to_owned()));
                }
                (have, whole)
            }
            // All of it: the server does not resume, or there was nothing to resume.
            StatusCode::OK => (0, response.body().content_length()),
            // Nothing behind what is here: it is complete, or its checksum will tell.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(()),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(Trouble::Passing(format!("the server answers {status}")));
            }
            status => return Err(Trouble::Status(status)),
        };
        if start == 0 {
            file.set_len(0).map_err(Trouble::Write)?;
        }
        if whole.is_some_and(|whole| whole > most) {
            return Err(Trouble::TooLarge);
        }
        copy(response, file, Progress { done: start, whole }, most, progress)
    }
}

/// What ended a request.
enum Trouble {
    /// May go away by itself.
    Passing(String),
    Status(StatusCode),
    TooLarge,
    Write(io::Error),
}

fn copy(
    response: Response<Body>,
    file: &mut File,
    mut at: Progress,
    most: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Trouble> {
    let mut body = response.into_body().into_reader();
    let mut block = vec![0; 1 << 17];
    loop {
        progress(at);
        let read = body.read(&mut block).map_err(|error| Trouble::Passing(error.to_string()))?;
        if read == 0 {
            break;
        }
        at.done += read as u64;
        if at.done > most {
            return Err(Trouble::TooLarge);
        }
        file.write_all(&block[..read]).map_err(Trouble::Write)?;
    }
    match at.whole {
        Some(whole) if at.done < whole => {
            Err(Trouble::Passing(format!("the connection ended at byte {}", at.done)))
        }
        _ => Ok(()),
    }
}

/// First byte and whole length of "Content-Range: bytes 100-199/200".
fn content_range(response: &Response<Body>) -> Option<(u64, Option<u64>)> {
    let value = response.headers().get("content-range")?.to_str().ok()?;
    let (range, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, whole.parse().ok()))
}

/// An address without what may be secret in it: user, password and query.
pub fn shown(address: &str) -> String {
    let Ok(mut url) = url::Url::parse(address) else {
        return "an address that cannot be read".to_owned();
    };
    // Both fail only for addresses that have no such parts.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return url.scheme().to_owned();
    }
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_addresses_are_not_shown() {
        assert_eq!(shown("https://me:pw@host/a/b?token=x"), "https://host/a/b");
        assert!(!shown("nonsense pw").contains("pw"));
    }
}
