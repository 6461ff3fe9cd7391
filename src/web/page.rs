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

/// A file beside `index.html`, served under its own name.
macro_rules! file {
    ($kind:expr, $name:literal) => {
        File { path: concat!("/", $name), kind: $kind, text: include_str!(concat!("page/", $name)) }
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[File] = &[
    File { path: "/", kind: HTML, text: include_str!("page/index.html") },
    file!("text/css; charset=utf-8", "style.css"),
    file!("image/svg+xml", "icon.svg"),
    file!(SCRIPT, "bench.js"),
    file!(SCRIPT, "cameras.js"),
    file!(SCRIPT, "card.js"),
    file!(SCRIPT, "chart.js"),
    file!(SCRIPT, "dom.js"),
    file!(SCRIPT, "events.js"),
    file!(SCRIPT, "eventview.js"),
    file!(SCRIPT, "film.js"),
    file!(SCRIPT, "label.js"),
    file!(SCRIPT, "live.js"),
    file!(SCRIPT, "login.js"),
    file!(SCRIPT, "main.js"),
    file!(SCRIPT, "net.js"),
    file!(SCRIPT, "node.js"),
    file!(SCRIPT, "notice.js"),
    file!(SCRIPT, "past.js"),
    file!(SCRIPT, "pictures.js"),
    file!(SCRIPT, "prompts.js"),
    file!(SCRIPT, "search.js"),
    file!(SCRIPT, "spark.js"),
    file!(SCRIPT, "store.js"),
    file!(SCRIPT, "taught.js"),
    file!(SCRIPT, "teach.js"),
    file!(SCRIPT, "threshold.js"),
    file!(SCRIPT, "tune.js"),
    file!(SCRIPT, "why.js"),
    file!(SCRIPT, "words.js"),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the folder's files, as they are served.
    fn folder() -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/page");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name == "index.html" { "/".to_owned() } else { format!("/{name}") }
        };
        std::fs::read_dir(folder).unwrap().map(name).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        for name in folder() {
            assert!(FILES.iter().any(|file| file.path == name), "{name} is missing in FILES");
        }
    }

    #[test]
    fn the_page_needs_nothing_that_is_not_served() {
        for file in FILES {
            let mut wanted: Vec<&str> = Vec::new();
            for (before, after) in [(" from \"./", "\""), ("src=\"/", "\""), ("href=\"/", "\"")] {
                let parts = file.text.split(before).skip(1);
                wanted.extend(parts.filter_map(|part| part.split(after).next()));
            }
            for name in wanted {
                let path = format!("/{name}");
                assert!(FILES.iter().any(|file| file.path == path), "{}: {name}", file.path);
            }
            // The page's policy allows neither, and a page from elsewhere would not work offline.
            for forbidden in ["https://", "style=\"", "innerHTML", "eval("] {
                assert!(!file.text.contains(forbidden), "{} has {forbidden}", file.path);
            }
        }
    }
}
