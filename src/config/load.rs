//! The layers, in order: defaults, the file, `conf.d/*.toml` beside it, the environment.
//!
//! [`load`] does the I/O; [`parse`] is a function of its arguments. The `config` crate puts the
//! layers together; what they say is read by the sections.

use std::path::{Path, PathBuf};

use ::config::builder::DefaultState;
use ::config::{ConfigBuilder, Environment, Map, ValueKind};

use super::keys;
use super::layer::{Layer, unknown_key};
use super::problem::{Place, Problem, Problems, Report};
use super::secret::Surroundings;
use super::section::Section;
use super::{Config, broker, camera, settings, watch};

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// What works and is probably not meant.
    pub warnings: Vec<Problem>,
}

/// One file's text and the name that problems show.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

/// Lists are filled by their sections: there is no camera before a file names one.
const DEFAULTS: File<'_> = File {
    name: "defaults",
    text: r#"
        [model]
        bundle = "mini"
        device = "auto"
        max_batch = 16
        max_wait = "0s"
        [mqtt]
        url = "mqtt://127.0.0.1:1883"
        prefix = "seewhen"
        discovery = "homeassistant"
        outbox = 1000
    "#,
};

const PREFIX: &str = "SEEWHEN_";
/// Variables of the command line, which are no keys.
const NOT_KEYS: &[&str] = &["SEEWHEN_MODEL_DIR", "SEEWHEN_LOG", "SEEWHEN_CONFIG"];

/// Reads `path`, then `conf.d/*.toml` beside it in the order of their names, then the
/// environment. Reports every problem of all of them.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let report = Report::default();
    let paths = [path.to_owned()].into_iter().chain(drop_ins(folder, &report));
    let texts: Vec<(String, String)> = paths
        .filter_map(|path| Some((path.display().to_string(), read(&path, &report)?)))
        .collect();
    report.finish(Some(()))?;
    let files: Vec<File<'_>> = texts.iter().map(|(name, text)| File { name, text }).collect();
    parse(&files, &Surroundings::of_process(folder))
}

fn drop_ins(folder: &Path, report: &Report) -> Vec<PathBuf> {
    let folder = folder.join("conf.d");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let place = Place::whole(folder.display().to_string());
            report.problem(place, "", format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let visible = |path: &PathBuf| {
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|extension| extension == "toml")
    };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(visible).collect();
    paths.sort();
    paths
}

fn read(path: &Path, report: &Report) -> Option<String> {
    let wrong = |message| {
        report.problem(Place::whole(path.display().to_string()), "", message);
        None
    };
    match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Some(text),
        Ok(Err(_)) => wrong("is not UTF-8 text; save it as UTF-8".to_owned()),
        Err(error) => wrong(format!("cannot be read: {error}; is the path right?")),
    }
}

/// Reads configuration files, the first being the main one, and what surrounds them.
pub fn parse(files: &[File<'_>], surroundings: &Surroundings) -> Result<Loaded, Problems> {
    let (config, warnings) = read_layers(files, surroundings)?;
    Ok(Loaded { config, warnings })
}

fn read_layers(
    files: &[File<'_>],
    surroundings: &Surroundings,
) -> Result<(Config, Vec<Problem>), Problems> {
    let report = Report::default();
    let layers: Vec<Option<Layer>> = [&DEFAULTS]
        .into_iter()
        .chain(files)
        .map(|file| Layer::parse(file.name, file.text, &report))
        .collect();
    let environment = environment(surroundings, &report);
    let Some(layers) = layers.into_iter().collect::<Option<Vec<_>>>() else {
        return report.finish(None);
    };
    let builder = layers
        .into_iter()
        .fold(::config::Config::builder(), ConfigBuilder::<DefaultState>::add_source);
    let merged = builder.add_source(environment).build().map_err(|error| {
        let place = Place::whole("configuration");
        Problems::from(Problem { place, key: String::new(), message: error.to_string() })
    })?;
    let ValueKind::Table(values) = merged.cache.kind else { unreachable!("the root is a table") };
    let main = Place::whole(files.first().map_or("configuration", |file| file.name));
    let config = sections(&Section::root(&values, main, &report), surroundings);
    report.finish(config)
}

fn sections(root: &Section<'_>, surroundings: &Surroundings) -> Option<Config> {
    let node = settings::node(root, surroundings);
    let model = settings::model(root, surroundings);
    let mqtt = broker::read(root, surroundings);
    let cameras = root.entries("camera", keys::CAMERA);
    if cameras.is_empty() && !root.has("camera") {
        root.problem("camera", "no camera; add [[camera]] with id and source");
    }
    let known: Vec<String> =
        cameras.iter().filter_map(|camera| camera.peek("id", super::section::text)).collect();
    let watches = root.entries("watch", keys::WATCH);
    if watches.is_empty() {
        root.warning("watch", "no watch, so nothing is looked for; add [[watch]]");
    }
    let read_cameras: Vec<_> = cameras.iter().map(|one| camera::read(one, surroundings)).collect();
    let read_watches: Vec<_> = watches.iter().map(|one| watch::read(one, &known)).collect();
    let config = Config {
        node: node?,
        model: model?,
        mqtt: mqtt?,
        cameras: read_cameras.into_iter().collect::<Option<_>>()?,
        watches: read_watches.into_iter().collect::<Option<_>>()?,
    };
    warn_unwatched(&config, &cameras);
    Some(config)
}

fn warn_unwatched(config: &Config, sections: &[Section<'_>]) {
    for (camera, section) in config.cameras.iter().zip(sections) {
        let watched = config.watches.iter().any(|watch| watch.cameras.contains(&camera.id));
        if !watched && !config.watches.is_empty() {
            section.warning("id", "no watch looks at this camera; add it to a watch's cameras");
        }
    }
}

/// The variables that are keys, for the crate. Others with our prefix are reported: as problems
/// when they look like keys, else as warnings, since a container's runtime may set some (a
/// Kubernetes service called "seewhen" makes `SEEWHEN_PORT`).
fn environment(surroundings: &Surroundings, report: &Report) -> Environment {
    let mut keys_only: Map<String, String> = Map::new();
    for (name, value) in &surroundings.variables {
        let Some(key) = name.strip_prefix(PREFIX).map(str::to_lowercase) else { continue };
        let place = Place::whole(format!("environment {name}"));
        let path = key.replace("__", ".");
        let unknown = |key, known| report.problem(place.clone(), &path, unknown_key(key, known));
        match key.split_once("__") {
            _ if NOT_KEYS.contains(&name.as_str()) => {}
            None if key == "node" => drop(keys_only.insert(name.clone(), value.clone())),
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
            Some(("model", key)) if !keys::MODEL.contains(&key) => unknown(key, keys::MODEL),
            Some(("mqtt", key)) if !keys::MQTT.contains(&key) => unknown(key, keys::MQTT),
            Some(("model" | "mqtt", _)) => drop(keys_only.insert(name.clone(), value.clone())),
            Some((section, _)) => unknown(section, &["node", "model", "mqtt"]),
        }
    }
    Environment::with_prefix("SEEWHEN")
        .prefix_separator("_")
        .separator("__")
        .source(Some(keys_only))
}
