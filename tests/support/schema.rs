//! The published schemas, and which topic has which.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// All of docs/schema, compiled.
pub struct Published {
    schemas: Schemas,
    names: BTreeMap<String, SchemaIndex>,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema")
}

impl Published {
    fn load() -> Self {
        let (mut schemas, mut names) = (Schemas::new(), BTreeMap::new());
        for entry in std::fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "json") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let schema = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let mut compiler = Compiler::new();
                let place = format!("file:///{name}.json");
                compiler.add_resource(&place, schema).unwrap();
                let compiled = compiler.compile(&place, &mut schemas);
                names.insert(name, compiled.unwrap_or_else(|error| panic!("{error:#}")));
            }
        }
        Self { schemas, names }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    fn check(&self, name: &str, payload: &Value) -> Result<(), String> {
        let schema = self.names.get(name).unwrap_or_else(|| panic!("no docs/schema/{name}.json"));
        self.schemas.validate(payload, *schema).map_err(|error| format!("{name}: {error:#}"))
    }
}

thread_local! {
    static PUBLISHED: OnceCell<Published> = const { OnceCell::new() };
}

pub fn with<T>(look: impl FnOnce(&Published) -> T) -> T {
    PUBLISHED.with(|published| look(published.get_or_init(Published::load)))
}

/// Whether `payload` is as the schema `name` has it; else what is wrong.
pub fn check(name: &str, payload: &Value) -> Result<(), String> {
    with(|published| published.check(name, payload))
}

/// The schema of a topic below `seewhen/<node>`.
pub fn of_topic(topic: &str) -> Option<&'static str> {
    let levels: Vec<&str> = topic.split('/').collect();
    match levels[..] {
        ["seewhen", _, "status"] => Some("node-status"),
        ["seewhen", _, "reply"] => Some("reply"),
        ["seewhen", _, _, "status"] => Some("camera-status"),
        ["seewhen", _, _, _, "probabilities"] => Some("probabilities"),
        ["seewhen", _, _, _, _, "attributes"] => Some("attributes"),
        ["seewhen", _, _, _, _, "event"] => Some("event"),
        _ => None,
    }
}

/// Panics when a message is not as its topic's schema has it. An empty one clears its topic.
#[track_caller]
pub fn check_message(topic: &str, payload: &str) {
    let Some(name) = of_topic(topic).filter(|_| !payload.is_empty()) else { return };
    let json = serde_json::from_str(payload).unwrap_or_else(|e| panic!("{topic}: {e}: {payload}"));
    check(name, &json).unwrap_or_else(|error| panic!("{topic}: {error}\n{payload}"));
}
