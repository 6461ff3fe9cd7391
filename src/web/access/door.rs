//! What every request has to keep to, and what every answer says about itself.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, ORIGIN,
    REFERRER_POLICY, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Access, Refusal};
use crate::web::Shared;

/// Most bytes of a request's body.
const MOST: usize = 128 * 1024;
/// For a request's body to arrive.
const PATIENCE: Duration = Duration::from_secs(15);
/// Most bytes of an error's words that are put into JSON.
const LONGEST_ERROR: usize = 4096;

/// Said with every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    // No other site shows our pictures.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// See the module.
pub(in crate::web) async fn door(
    State(web): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let kept_from_caches = path.starts_with("/api/") || path == "/metrics";
    let response = match enter(&web.access, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let mut response = in_json(response).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if kept_from_caches {
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

/// The request as the handlers may have it, with all of its body.
async fn enter(access: &Access, request: Request) -> Result<Request, Refusal> {
    let host = host(&request);
    // Probes call by whatever name they like, and learn nothing that matters.
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    if !probe && !access.is_called(&host) {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "no page for {:?}; add the name to web.hosts in the configuration",
                name(&host)
            ),
        ));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(request);
    }
    if access.is_foreign(request.headers(), &host) {
        let reason = "another site asks for this; only the page itself may";
        return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
    }
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: Option<usize> = length.and_then(|text| text.parse().ok());
    if length.is_some_and(|length| length > MOST) {
        return Err(too_large());
    }
    let comes =
        length.is_some_and(|length| length > 0) || parts.headers.contains_key(TRANSFER_ENCODING);
    if comes && !is_json(&parts.headers) {
        let reason = "what is sent must be JSON: Content-Type: application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let arriving = tokio::time::timeout(PATIENCE, to_bytes(body, MOST)).await;
    let Ok(arrived) = arriving else {
        let reason = format!("what is sent must be here within {PATIENCE:?}");
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, reason));
    };
    // Too long, or broken off, which nobody hears of.
    let body = arrived.map_err(|_| too_large())?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn too_large() -> Refusal {
    let reason = format!("what is sent is too large; at most {} KiB", MOST / 1024);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// What the page was called by, as `name:port`; empty when that is not said.
fn host(request: &Request) -> String {
    let said = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let said = said.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    said.unwrap_or_default().to_ascii_lowercase()
}

/// Without its port, and an IPv6 address without its brackets.
fn name(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    let without_port = host.rsplit_once(':').map_or(host, |(name, _)| name);
    without_port.trim_end_matches('.')
}

impl Access {
    /// Whether the page may be called so. A site that lets its own name lead here would otherwise be
    /// the page for a browser, which is what matters where everybody is let in. It cannot do that with
    /// an address.
    fn is_called(&self, host: &str) -> bool {
        let name = name(host);
        let everybody = !self.is_open() && self.hosts.is_empty();
        everybody
            || name == "localhost"
            || name.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|known| known == name)
    }

    /// Whether a browser says that another site is behind the request.
    fn is_foreign(&self, headers: &HeaderMap, host: &str) -> bool {
        // Where browsers send it, it is right behind any proxy.
        if let Some(site) = headers.get("sec-fetch-site") {
            return site != "same-origin" && site != "none";
        }
        let Some(origin) = headers.get(ORIGIN) else { return false };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let Some((_, authority)) = origin.split_once("://") else { return true };
        let same = authority == host && !host.is_empty();
        !same && !self.hosts.iter().any(|known| known == name(authority))
    }
}

/// Errors that no handler wrote (a wrong path, query or method) in the form that all have.
async fn in_json(response: Response) -> Response {
    let mut status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || is_json(response.headers()) {
        return response;
    }
    // One status for all that is malformed.
    if status == StatusCode::UNPROCESSABLE_ENTITY {
        status = StatusCode::BAD_REQUEST;
    }
    let (mut parts, body) = response.into_parts();
    let words = to_bytes(body, LONGEST_ERROR).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let reason = match (status, words.trim()) {
        (StatusCode::NOT_FOUND, "") => "there is nothing here",
        (StatusCode::METHOD_NOT_ALLOWED, "") => "this method is for other things; see Allow",
        (_, "") => status.canonical_reason().unwrap_or("it failed"),
        (_, words) => words,
    };
    let error = Json(json!({ "error": reason })).into_response();
    parts.status = status;
    let (error, body) = error.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(error.headers);
    Response::from_parts(parts, body)
}

#[cfg(test)]
#[path = "door/tests.rs"]
mod tests;
