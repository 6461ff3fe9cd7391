//! Who may use the page, and from where.
//!
//! [`door`] stands before everything: which names it is called by, which sites ask, what a request may
//! carry, and what every answer says about itself. [`guard`] stands before all that tells or changes
//! something: the token, or the session of somebody who logged in. Without a token or a user in the
//! configuration access is open, and the configuration has seen to it that only this machine can connect.

mod door;
mod limiter;
mod login;
mod places;
mod sessions;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub(super) use self::door::door;
use self::limiter::Limiter;
pub(super) use self::login::routes;
use self::places::Places;
pub(super) use self::places::streams;
use self::sessions::Sessions;
use super::Shared;
use crate::config::{PasswordHash, WebConfig};
use crate::model::Moment;

/// Passwords that are checked at once: each takes 19 MiB and a core.
const MOST_CHECKS: usize = 2;
/// Streams of events that are open at once.
const MOST_STREAMS: usize = 64;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Who is let in. No `Debug`: it holds secrets.
pub struct Access {
    /// Digests: of one length, so that comparing them tells nothing.
    token: Option<[u8; 32]>,
    user: Option<Known>,
    /// Names by which the page may be called.
    hosts: Vec<String>,
    /// The name of the session's cookie: cookies know no ports, and there may be several nodes.
    cookie: String,
    /// Whether the page is served over TLS.
    secure: bool,
    sessions: Mutex<Sessions>,
    logins: Mutex<Limiter>,
    tokens: Mutex<Limiter>,
    checks: Places,
    streams: Places,
}

struct Known {
    name: String,
    password: PasswordHash,
}

impl Access {
    pub fn new(config: &WebConfig) -> Self {
        let user = config.user.as_ref();
        let secure = config.tls.is_some();
        let port = config.listen.map_or(0, |address| address.port());
        // Browsers take a cookie of such a name only from this host itself, over TLS.
        let prefix = if secure { "__Host-" } else { "" };
        Self {
            token: config.token.as_ref().map(|token| digest(token.reveal())),
            user: user
                .map(|user| Known { name: user.name.clone(), password: user.password.clone() }),
            hosts: config.hosts.clone(),
            cookie: format!("{prefix}seewhen-{port}"),
            secure,
            sessions: Mutex::default(),
            logins: Mutex::new(Limiter::logins()),
            tokens: Mutex::new(Limiter::tokens()),
            checks: Places::new(MOST_CHECKS),
            streams: Places::new(MOST_STREAMS),
        }
    }

    /// Whether nobody has to prove anything.
    fn is_open(&self) -> bool {
        self.token.is_none() && self.user.is_none()
    }

    fn is_token(&self, text: &str) -> bool {
        self.token.is_some_and(|token| bool::from(token.ct_eq(&digest(text))))
    }

    /// The session that the request belongs to, where there is one.
    fn session<'h>(&self, headers: &'h HeaderMap, now: Moment) -> Option<&'h str> {
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            texts.flat_map(|text| text.split(';')).filter_map(|one| one.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == self.cookie)?;
        lock(&self.sessions).uses(value, now).then_some(value)
    }

    /// Whether a request with these headers is let in.
    fn admits(&self, headers: &HeaderMap, peer: IpAddr, now: Moment) -> Result<(), Refusal> {
        if self.is_open() {
            return Ok(());
        }
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            let session = self.session(headers, now);
            return session
                .map(|_| ())
                .ok_or_else(|| Refusal::unknown("log in, or send the token"));
        };
        let mut tokens = lock(&self.tokens);
        if let Some(wait) = tokens.wait(peer, now) {
            return Err(Refusal::wait("too many wrong tokens; wait", wait));
        }
        let text = authorization.to_str().unwrap_or_default();
        let (scheme, token) = text.split_once(' ').unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") && self.is_token(token.trim()) {
            return Ok(());
        }
        tokens
            .attempt(peer, now)
            .map_err(|wait| Refusal::wait("too many wrong tokens; wait", wait))?;
        Err(Refusal::unknown("this is not the token (web.token): Authorization: Bearer TOKEN"))
    }
}

/// Lets only those through who may use the page.
pub(super) async fn guard(State(web): State<Shared>, request: Request, next: Next) -> Response {
    let Peer(peer) = peer(&request);
    match web.access.admits(request.headers(), peer, web.clock.now()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn peer(request: &Request) -> Peer {
    // Everything that the server hands on has one; what had none would be one party.
    request.extensions().get().copied().unwrap_or(Peer(IpAddr::from([0, 0, 0, 0])))
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq)]
struct Refusal {
    status: StatusCode,
    reason: String,
    wait: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), wait: None }
    }

    fn unknown(reason: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, reason)
    }

    fn wait(reason: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        let wait = Some(Duration::from_secs(seconds as u64));
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            reason: format!("{reason} {seconds} s"),
            wait,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.reason }))).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"seewhen\"");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        response
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
