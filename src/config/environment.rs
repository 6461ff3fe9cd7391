//! Environment variables as the last layer: `SEEWHEN_NODE`, `SEEWHEN_MQTT__URL`, ….
//!
//! Only single values can be set so; cameras and watches are lists, and the crate would put a
//! table in their place. The values are read by the sections.

use std::collections::BTreeMap;

use ::config::{Environment, Map};

use super::keys;
use super::layer::unknown_key;
use super::problem::{Place, Report};

/// Keys outside any section.
const ALONE: &[&str] = &["node", "timezone"];
/// Sections that are one table.
const SECTIONS: &[(&str, &[&str])] = &[
    ("model", keys::MODEL),
    ("mqtt", keys::MQTT),
    ("history", keys::HISTORY),
    ("snapshots", keys::SNAPSHOTS),
    ("embeddings", keys::EMBEDDINGS),
    ("commands", keys::COMMANDS),
    ("web", keys::WEB),
];
const PREFIX: &str = "SEEWHEN_";
/// Variables of the command line, which are no keys.
const NOT_KEYS: &[&str] = &["SEEWHEN_MODEL_DIR", "SEEWHEN_LOG", "SEEWHEN_CONFIG"];

/// The variables that are keys, for the crate. Others with our prefix are reported: as problems
/// when they look like keys, else as warnings, since a container's runtime may set some (a
/// Kubernetes service called "seewhen" makes `SEEWHEN_PORT`).
pub(super) fn environment(variables: &BTreeMap<String, String>, report: &Report) -> Environment {
    let mut keys_only: Map<String, String> = Map::new();
    for (name, value) in variables {
        let Some(key) = name.strip_prefix(PREFIX).map(str::to_lowercase) else { continue };
        let place = Place::whole(format!("environment {name}"));
        let path = key.replace("__", ".");
        let unknown = |key, known| report.problem(place.clone(), &path, unknown_key(key, known));
        match key.split_once("__") {
            _ if NOT_KEYS.contains(&name.as_str()) => {}
            None if ALONE.contains(&key.as_str()) => {
                drop(keys_only.insert(name.clone(), value.clone()));
            }
            None => report.warning(
                place,
                "",
                "is no key and has no effect; keys are named as in SEEWHEN_MQTT__URL",
            ),
            Some(("camera" | "watch", _)) => report.problem(
                place,
                &path,
                "cameras and watches cannot be set in the environment; write a file in conf.d",
            ),
            Some((section, key)) => match SECTIONS.iter().find(|(known, _)| *known == section) {
                Some((_, known)) if known.contains(&key) => {
                    drop(keys_only.insert(name.clone(), value.clone()));
                }
                Some((_, known)) => unknown(key, known),
                None => {
                    let sections = SECTIONS.iter().map(|(section, _)| *section);
                    let known: Vec<&str> = ALONE.iter().copied().chain(sections).collect();
                    unknown(section, &known);
                }
            },
        }
    }
    Environment::with_prefix("SEEWHEN")
        .prefix_separator("_")
        .separator("__")
        .source(Some(keys_only))
}
