//! In and out: sessions for people who use the page.

use axum::extract::State;
use axum::http::header::{HeaderName, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rustls::crypto::ring;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::sessions::LONGEST;
use super::{Access, Known, Peer, Refusal, digest, lock};
use crate::config::Secret;
use crate::web::{Shared, Trouble};

/// Longer passwords are a mistake or an attack.
const LONGEST_PASSWORD: usize = 1024;

pub(in crate::web) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(session)).routes(routes!(login)).routes(routes!(logout))
}

/// Who asks.
#[derive(Serialize, ToSchema)]
struct Session {
    /// `open`: nobody has to log in; `granted`: who asks has; `needed`: they have to.
    access: &'static str,
    user: Option<String>,
}

/// Whether who asks may use the page.
#[utoipa::path(get, path = "/api/session", responses((status = 200, body = Session)))]
async fn session(
    State(web): State<Shared>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
) -> Json<Session> {
    let (access, now) = (&web.access, web.clock.now());
    let user = access.session(&headers, now).and(access.user.as_ref());
    let access = match access.admits(&headers, peer, now) {
        Ok(()) if access.is_open() => "open",
        Ok(()) => "granted",
        Err(_) => "needed",
    };
    Json(Session { access, user: user.map(|user| user.name.clone()) })
}

/// Who somebody is. Where the configuration has a token and no user, the token is the password.
#[derive(Deserialize, ToSchema)]
struct Login {
    #[schema(max_length = 1024)]
    user: String,
    #[schema(max_length = 1024)]
    password: String,
}

/// Begins a session: its cookie comes with the answer.
#[utoipa::path(post, path = "/api/login", request_body = Login,
    responses((status = 204), (status = 401), (status = 429)))]
async fn login(
    State(web): State<Shared>,
    Extension(Peer(peer)): Extension<Peer>,
    Json(Login { user, password }): Json<Login>,
) -> Result<Response, Response> {
    let access = &web.access;
    if user.len().max(password.len()) > LONGEST_PASSWORD {
        let reason = format!("user and password have at most {LONGEST_PASSWORD} bytes");
        return Err(Trouble::Bad(reason).into_response());
    }
    if access.is_open() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let too_many = |wait| Refusal::wait("too many logins; wait", wait).into_response();
    lock(&access.logins).attempt(peer, web.clock.now()).map_err(too_many)?;
    if !is_known(&web, &user, Secret::new(password)).await? {
        // Not who: people type passwords into the wrong field.
        tracing::warn!(address = %peer, "a login was refused");
        return Err(Refusal::unknown("user or password are wrong").into_response());
    }
    lock(&access.logins).forgive(peer);
    let mut id = [0; 32];
    if ring::default_provider().secure_random.fill(&mut id).is_err() {
        let reason = "the system gives no random numbers".to_owned();
        return Err(Trouble::Failed(reason).into_response());
    }
    let cookie = lock(&access.sessions).begin(id, web.clock.now());
    tracing::info!(address = %peer, "somebody has logged in");
    Ok(sending(access.set_cookie(&cookie, LONGEST.as_secs())))
}

/// Takes as long whoever it is.
async fn is_known(web: &Shared, user: &str, password: Secret) -> Result<bool, Response> {
    let access = &web.access;
    let Some(Known { name, password: hash }) = &access.user else {
        return Ok(access.is_token(password.reveal()));
    };
    let Some(check) = access.checks.take() else {
        let wait = std::time::Duration::from_secs(1);
        return Err(Refusal::wait("others are just logging in; wait", wait).into_response());
    };
    let hash = hash.clone();
    let matches = web.backend.beside(Box::new(move || {
        let matches = hash.matches(password.reveal());
        drop(check);
        matches
    }));
    let matches = matches.await.map_err(IntoResponse::into_response)?;
    let named = bool::from(digest(name).ct_eq(&digest(user)));
    Ok(matches && named)
}

/// Ends the session.
#[utoipa::path(post, path = "/api/logout", responses((status = 204)))]
async fn logout(State(web): State<Shared>, headers: HeaderMap) -> Response {
    let access = &web.access;
    if let Some(cookie) = access.session(&headers, web.clock.now()) {
        lock(&access.sessions).end(cookie);
    }
    let mut response = sending(access.set_cookie("", 0));
    // Pictures of the page.
    let clear = HeaderValue::from_static("\"cache\"");
    response.headers_mut().insert(HeaderName::from_static("clear-site-data"), clear);
    response
}

fn sending(cookie: String) -> Response {
    (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
}

impl Access {
    fn set_cookie(&self, value: &str, seconds: u64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = &self.cookie;
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }
}
