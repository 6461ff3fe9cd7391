//! The page's files, which are in the binary.

use axum::Router;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::Shared;

struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";

const FILES: &[File] = &[File { path: "/", kind: HTML, text: include_str!("page/index.html") }];

pub(super) fn routes() -> Router<Shared> {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = tag(file.text);
        router.route(
            file.path,
            get(move |headers: HeaderMap| async move { send(file, &tag, &headers) }),
        )
    })
}

/// Unchanged files are not sent again.
fn send(file: &File, tag: &str, headers: &HeaderMap) -> Response {
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let about = [(CONTENT_TYPE, file.kind), (CACHE_CONTROL, "no-cache"), (ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, file.text).into_response()
}

fn tag(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
