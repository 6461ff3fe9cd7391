//! Promise: docs/openapi.json is what the binary itself says of its API, and says all of it.
//!
//! `BLESS=1` writes the file, for review with `git diff`.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

#[path = "support/http.rs"]
mod http;
#[path = "support/page.rs"]
mod page;

use std::path::Path;

use page::Page;
use serde_json::Value;

#[test]
fn the_document_is_the_binarys() {
    let Page { site, seewhen: _seewhen } = page::start("");
    let document = site.get("/api/openapi.json", &[]).json();
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "BLESS=1 cargo test --test openapi writes it anew");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            check(&format!("{method} {path}"), operation, &document);
        }
    }
    for scheme in ["token", "session"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
}

fn check(what: &str, operation: &Value, document: &Value) {
    assert!(operation["summary"].is_string(), "{what}: what does it do?");
    for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
        let (name, place) = (parameter["name"].as_str().unwrap(), &parameter["in"]);
        let in_path = what.contains(&format!("{{{name}}}"));
        assert_eq!(place, if in_path { "path" } else { "query" }, "{what}: {name}");
    }
    let responses = operation["responses"].as_object().unwrap();
    for (status, response) in responses {
        let described = response["description"].as_str().is_some_and(|words| !words.is_empty());
        assert!(described, "{what}: what does {status} mean?");
        if status.starts_with(['4', '5']) {
            let schema = &response["content"]["application/json"]["schema"];
            assert!(!schema.is_null(), "{what}: what comes with {status}?");
        }
        let text = response.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{what}: {name}");
        }
    }
    let secured = operation["security"].is_array();
    assert_eq!(secured, responses.contains_key("401") && !what.ends_with("/login"), "{what}");
}
