//! The layers, in order: defaults, the files, the environment.
//!
//! [`parse`] is a function of its arguments. The `config` crate puts the layers together; what they
//! say is read by the sections.

use ::config::builder::DefaultState;
use ::config::{ConfigBuilder, ValueKind};
use jiff::tz::TimeZone;

use super::environment::environment;
use super::keys;
use super::layer::Layer;
use super::problem::{Place, Problem, Problems, Report};
use super::secret::Surroundings;
use super::section::{self, Section};
use super::{
    Config, WatchConfig, broker, camera, commands, embeddings, history, settings, snapshots,
    taught, watch, web,
};

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
    name: section::DEFAULTS,
    text: r#"
        [model]
        bundle = "mini"
        device = "auto"
        precision = "auto"
        max_batch = 16
        gpu_memory = 0
        max_wait = "0s"
        [mqtt]
        url = "mqtt://127.0.0.1:1883"
        version = "3.1.1"
        prefix = "seewhen"
        discovery = "homeassistant"
        outbox = 10000
        [history]
        keep = "30d"
        max_size = 256
        [snapshots]
        topic = true
        keep = "10d"
        max_size = 1024
        quality = 85
        [embeddings]
        enabled = true
        keep = "30d"
        max_size = 2048
        pictures = false
        [taught]
        [commands]
        enabled = true
        persist = true
        [web]
        listen = "127.0.0.1:8480"
    "#,
};

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
    let environment = environment(&surroundings.variables, &report);
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
    let zone = settings::timezone(root, surroundings);
    let model = settings::model(root, surroundings);
    let mqtt = broker::read(root, surroundings);
    let history = history::read(root, surroundings);
    // With a wrong zone what goes by it can still be checked.
    let clock = zone.clone().unwrap_or(TimeZone::UTC);
    let snapshots = snapshots::read(root, surroundings, &clock);
    let embeddings = embeddings::read(root, surroundings, &clock);
    let taught = taught::read(root, surroundings);
    let commands = commands::read(root, surroundings);
    let web = web::read(root, surroundings);
    let none = "no camera; add [[camera]] with id and source";
    let cameras = root.entries("camera", keys::CAMERA, Some(none));
    let known: Vec<String> =
        cameras.iter().filter_map(|camera| camera.peek("id", super::value::text)).collect();
    let watches = root.entries("watch", keys::WATCH, None);
    if watches.is_empty() {
        root.warning("watch", "no watch, so nothing is looked for; add [[watch]]");
    }
    let read_cameras: Vec<_> = cameras.iter().map(|one| camera::read(one, surroundings)).collect();
    let read_watches: Vec<_> = watches.iter().map(|one| watch::read(one, &known, &clock)).collect();
    let zone = zone?;
    let config = Config {
        node: node?,
        model: model?,
        mqtt: mqtt?,
        history: history?,
        snapshots: snapshots?,
        embeddings: embeddings?,
        taught: taught?,
        commands: commands?,
        web: web?,
        cameras: read_cameras.into_iter().collect::<Option<_>>()?,
        watches: read_watches.into_iter().collect::<Option<_>>()?,
    };
    warn_unwatched(&config, &cameras);
    if zone.is_unknown() && config.watches.iter().any(WatchConfig::has_schedule) {
        root.warning(
            "timezone",
            "this system has no time zone, so `active` goes by UTC; write the one that is meant, \
             such as timezone = \"Europe/Vienna\"",
        );
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const REFERENCE: &str = include_str!("../../config/seewhen.toml");

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Surroundings {
            folder: "/etc/seewhen".into(),
            host: "gate.example.org".into(),
            zone: TimeZone::UTC,
            variables: variables.iter().map(own).collect::<BTreeMap<_, _>>(),
            read: |_| Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    fn reference(text: &str) -> Loaded {
        let files = [File { name: "seewhen.toml", text }];
        parse(&files, &surroundings(&[("PORCH_PASSWORD", "open")])).expect("a right configuration")
    }

    #[test]
    fn the_reference_shows_every_key() {
        let sections = [
            keys::TOP,
            keys::MODEL,
            keys::MQTT,
            keys::HISTORY,
            keys::SNAPSHOTS,
            keys::COMMANDS,
            keys::WEB,
            keys::CAMERA,
            keys::REGION,
            keys::WATCH,
            keys::LABEL,
        ];
        for key in sections.concat() {
            let shown = [format!("\n{key} ="), format!("\n# {key} ="), format!("\n#> {key} =")];
            let inline = [format!("{{ {key} ="), format!(", {key} =")];
            let header = [format!("[{key}]"), format!("[watch.{key}]")];
            let mut ways = shown.iter().chain(&inline).chain(&header);
            assert!(ways.any(|way| REFERENCE.contains(way)), "{key} is not in config/seewhen.toml");
        }
    }

    #[test]
    fn the_reference_is_right_about_defaults() {
        let defaults_written_out = REFERENCE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.contains(" = ") => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect::<String>();
        assert_ne!(defaults_written_out, REFERENCE);
        let found = reference(REFERENCE);
        assert_eq!(found, reference(&defaults_written_out));
        assert_eq!(found.warnings, []);
        assert_eq!(found.config.cameras[0].id.as_str(), "porch");
    }

    #[test]
    fn the_environment_comes_last() {
        let files = [
            File { name: "a.toml", text: "node = \"a\"\n[mqtt]\nprefix = \"a\"\noutbox = 7" },
            File {
                name: "b.toml",
                text: "node = \"b\"\n[[camera]]\nid = \"x\"\nsource = \"test:\"",
            },
        ];
        let variables = [
            ("SEEWHEN_NODE", "from-environment"),
            ("SEEWHEN_MODEL__MAX_BATCH", "4"),
            ("SEEWHEN_MQTT__PASSWORD", "00123"),
            ("SEEWHEN_MQTT__USER", "me"),
            ("SEEWHEN_WEB__LISTEN", ""),
            ("SEEWHEN_COMMANDS__ENABLED", "false"),
            ("SEEWHEN_MODEL_DIR", "/models"),
            ("SEEWHEN_PORT", "tcp://10.0.0.1:80"),
        ];
        let Loaded { config, warnings } = parse(&files, &surroundings(&variables)).expect("right");
        assert_eq!(config.node.as_str(), "from-environment");
        assert_eq!((config.model.max_batch, config.model.dir), (4, None));
        assert_eq!((config.mqtt.prefix.as_str(), config.mqtt.outbox), ("a", 7));
        assert_eq!((config.web.listen, config.commands.enabled), (None, false));
        let password = config.mqtt.broker.password.expect("a password");
        assert_eq!(password.reveal(), "00123", "an environment variable is a text");
        let shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[1].starts_with("environment SEEWHEN_PORT: is no key"), "{shown:?}");
    }

    #[test]
    fn the_node_is_the_host_by_default() {
        let text = "[[camera]]\nid = \"x\"\nsource = \"test:\"";
        let node = |host: &str| {
            let surroundings = Surroundings { host: host.into(), ..surroundings(&[]) };
            let loaded = parse(&[File { name: "a.toml", text }], &surroundings).expect("right");
            loaded.config.node.as_str().to_owned()
        };
        assert_eq!(node("gate.example.org"), "gate");
        assert_eq!(node("tor für 1"), "tor-f-r-1");
        assert_eq!(node(""), "seewhen");
    }
}
