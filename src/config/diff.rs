//! What changed between two configurations, for reload.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{
    Broker, Config, EmbeddingsConfig, HistoryConfig, ModelConfig, MqttConfig, SnapshotsConfig, Tls,
    WebConfig,
};
use crate::model::{CameraId, WatchId};

/// What a reload has to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Keys that changed and are read at start only.
    pub restart: Vec<&'static str>,
    /// Keys that hold something else for connections from now on, or whose files do.
    pub renewed: Vec<&'static str>,
    pub cameras_added: Vec<CameraId>,
    pub cameras_removed: Vec<CameraId>,
    pub cameras_changed: Vec<CameraId>,
    /// Added, removed or changed; all watches are swapped as one.
    pub watches_changed: Vec<WatchId>,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// What is different in `new`.
    pub fn diff(&self, new: &Self) -> Diff {
        let (old_cameras, new_cameras) = (&self.cameras, &new.cameras);
        let old_camera = |id: &CameraId| old_cameras.iter().find(|camera| camera.id == *id);
        let added = new_cameras.iter().filter(|camera| old_camera(&camera.id).is_none());
        let removed =
            old_cameras.iter().filter(|old| new_cameras.iter().all(|camera| camera.id != old.id));
        let changed = new_cameras
            .iter()
            .filter(|camera| old_camera(&camera.id).is_some_and(|old| old != *camera));
        let ids = |cameras: Vec<_>| {
            cameras.into_iter().map(|camera: &super::Camera| camera.id.clone()).collect()
        };
        Diff {
            restart: self.restart(new),
            renewed: self.renewed(new),
            cameras_added: ids(added.collect()),
            cameras_removed: ids(removed.collect()),
            cameras_changed: ids(changed.collect()),
            watches_changed: self.watches_changed(new),
        }
    }

    fn watches_changed(&self, new: &Self) -> Vec<WatchId> {
        let not_in = |these: &Self, others: &Self| -> Vec<WatchId> {
            let watches = these.watches.iter().filter(|watch| !others.watches.contains(watch));
            watches.map(|watch| watch.id.clone()).collect()
        };
        let mut found = not_in(new, self);
        found.extend(not_in(self, new));
        found.sort();
        found.dedup();
        found
    }

    /// What is in the files counts, not where they are.
    fn renewed(&self, new: &Self) -> Vec<&'static str> {
        let (old_broker, new_broker) = (&self.mqtt.broker, &new.mqtt.broker);
        let (old, now) = (Files::of(old_broker.tls.as_ref()), Files::of(new_broker.tls.as_ref()));
        let broker = [
            ("mqtt.user", old_broker.user == new_broker.user),
            ("mqtt.password", old_broker.password == new_broker.password),
            ("mqtt.ca_file", old.ca == now.ca),
            ("mqtt.client_cert", old.chain == now.chain),
            ("mqtt.client_key", old.key == now.key),
        ];
        let page = self.web.tls.as_ref().zip(new.web.tls.as_ref());
        let page = page.into_iter().flat_map(|(old, now)| {
            [("web.cert", old.chain == now.chain), ("web.key", old.key == now.key)]
        });
        broker.into_iter().chain(page).filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }

    // Taken apart completely, so that a new field cannot be forgotten here.
    fn restart(&self, new: &Self) -> Vec<&'static str> {
        let ModelConfig {
            bundle,
            device,
            precision,
            dir,
            prompt_cache,
            max_batch,
            gpu_memory,
            max_wait,
        } = &self.model;
        let MqttConfig { broker, prefix, discovery, outbox } = &self.mqtt;
        let HistoryConfig { dir: history_dir, keep, max_size } = &self.history;
        let super::CommandsConfig { enabled, persist, file } = &self.commands;
        // Users and certificates are renewed.
        let Broker { host, port, version, tls, user: _, password: _ } = broker;
        let (model, mqtt) = (&new.model, &new.mqtt);
        let address = (host, port, tls.is_some());
        let new_tls = &mqtt.broker.tls;
        let new_address = (&mqtt.broker.host, &mqtt.broker.port, new_tls.is_some());
        let keys = [
            ("node", self.node == new.node),
            ("model.bundle", *bundle == model.bundle),
            ("model.device", *device == model.device),
            ("model.precision", *precision == model.precision),
            ("model.dir", *dir == model.dir),
            ("model.prompt_cache", *prompt_cache == model.prompt_cache),
            ("model.max_batch", *max_batch == model.max_batch),
            ("model.gpu_memory", *gpu_memory == model.gpu_memory),
            ("model.max_wait", *max_wait == model.max_wait),
            ("mqtt.url", address == new_address),
            ("mqtt.version", *version == mqtt.broker.version),
            ("mqtt.prefix", *prefix == mqtt.prefix),
            ("mqtt.discovery", *discovery == mqtt.discovery),
            ("mqtt.outbox", *outbox == mqtt.outbox),
            ("history.dir", *history_dir == new.history.dir),
            ("history.keep", *keep == new.history.keep),
            ("history.max_size", *max_size == new.history.max_size),
            ("commands.enabled", *enabled == new.commands.enabled),
            ("commands.persist", *persist == new.commands.persist),
            ("commands.file", *file == new.commands.file),
        ];
        let keys = keys
            .into_iter()
            .chain(self.snapshots.restart(&new.snapshots))
            .chain(self.embeddings.restart(&new.embeddings))
            .chain([("taught.dir", self.taught == new.taught)])
            .chain(self.web.restart(&new.web));
        keys.filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}

impl SnapshotsConfig {
    /// The keys that are read at start only, and whether `new` has the same.
    fn restart(&self, new: &Self) -> [(&'static str, bool); 5] {
        // A new time zone is no reason to: the files' names go by it from the next start on.
        let Self { topic, dir, keep, max_size, quality, zone: _ } = self;
        [
            ("snapshots.topic", *topic == new.topic),
            ("snapshots.dir", *dir == new.dir),
            ("snapshots.keep", *keep == new.keep),
            ("snapshots.max_size", *max_size == new.max_size),
            ("snapshots.quality", *quality == new.quality),
        ]
    }
}

impl WebConfig {
    /// The same.
    fn restart(&self, new: &Self) -> [(&'static str, bool); 7] {
        let Self { listen, token, user, tls, hosts } = self;
        let (name, hash) = user.as_ref().map(|user| (&user.name, &user.password)).unzip();
        let new_user = new.user.as_ref();
        let encrypted = tls.is_some() == new.tls.is_some();
        [
            ("web.listen", *listen == new.listen),
            ("web.token", *token == new.token),
            ("web.user", name == new_user.map(|user| &user.name)),
            ("web.password", hash == new_user.map(|user| &user.password)),
            ("web.cert", encrypted),
            ("web.key", encrypted),
            ("web.hosts", *hosts == new.hosts),
        ]
    }
}

impl EmbeddingsConfig {
    /// The keys that are read at start only, and whether `new` has the same.
    fn restart(&self, new: &Self) -> [(&'static str, bool); 5] {
        // The zone is that of searches, which read the configuration anew.
        let Self { enabled, dir, keep, max_size, pictures, zone: _ } = self;
        [
            ("embeddings.enabled", *enabled == new.enabled),
            ("embeddings.dir", *dir == new.dir),
            ("embeddings.keep", *keep == new.keep),
            ("embeddings.max_size", *max_size == new.max_size),
            ("embeddings.pictures", *pictures == new.pictures),
        ]
    }
}

/// What each of the TLS keys stands for.
struct Files<'a> {
    ca: Option<&'a Vec<CertificateDer<'static>>>,
    chain: Option<&'a Vec<CertificateDer<'static>>>,
    key: Option<&'a PrivateKeyDer<'static>>,
}

impl<'a> Files<'a> {
    fn of(tls: Option<&'a Tls>) -> Self {
        let Some(Tls { ca, identity }) = tls else {
            return Self { ca: None, chain: None, key: None };
        };
        let identity = identity.as_ref();
        Self {
            ca: ca.as_ref(),
            chain: identity.map(|own| &own.chain),
            key: identity.map(|own| &*own.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{File, Surroundings, parse};

    fn config(text: &str) -> Config {
        let surroundings = Surroundings::of_process(Path::new(""));
        let surroundings = Surroundings { variables: Default::default(), ..surroundings };
        parse(&[File { name: "a.toml", text }], &surroundings).expect("right").config
    }

    const OLD: &str = r#"
        node = "gate"
        camera = [{ id = "a", source = "test:" }, { id = "b", source = "test:" }]
        [[watch]]
        id = "w"
        cameras = ["a"]
        label = [{ id = "l", prompts = ["x"], threshold = 0.5 }, { id = "m", prompts = ["y"] }]
    "#;

    #[test]
    fn the_same_is_empty() {
        assert!(config(OLD).diff(&config(OLD)).is_empty());
    }

    #[test]
    fn names_what_changed() {
        let new = OLD
            .replace("\"gate\"", "\"door\"\nmqtt.url = \"mqtts://broker\"\nmqtt.version = \"5\"\nmodel.device = \"cpu\"")
            .replace("{ id = \"a\", source = \"test:\" }", "{ id = \"a\", source = \"test:ball\" }")
            .replace("id = \"b\"", "id = \"c\"")
            .replace("threshold = 0.5", "threshold = 0.6");
        let diff = config(OLD).diff(&config(&new));
        let camera = |id| vec![CameraId::try_new(id).expect("an id")];
        assert_eq!(diff.restart, ["node", "model.device", "mqtt.url", "mqtt.version"]);
        assert_eq!(diff.cameras_changed, camera("a"));
        assert_eq!(diff.cameras_removed, camera("b"));
        assert_eq!(diff.cameras_added, camera("c"));
        assert_eq!(diff.watches_changed, [WatchId::try_new("w").expect("an id")]);
    }

    #[test]
    fn what_says_how_a_label_fires_needs_no_restart() {
        let with = |top: &str, keys: &str| {
            let label = format!("threshold = 0.5, {keys} }}");
            config(&OLD.replacen('\n', top, 1).replace("threshold = 0.5 }", &label))
        };
        let active = "active = [\"08:00-09:00\"]";
        let vienna = "\ntimezone = \"Europe/Vienna\"\n";
        let old = with(vienna, active);
        for new in [
            with(vienna, "active = [\"08:00-09:01\"]"),
            with(vienna, &format!("{active}, for = \"1 of 2 frames\"")),
            with(vienna, &format!("{active}, shadow = true")),
            with("\ntimezone = \"Asia/Tokyo\"\n", active),
        ] {
            let watches_changed = vec![WatchId::try_new("w").expect("an id")];
            assert_eq!(old.diff(&new), Diff { watches_changed, ..Diff::default() });
        }
        assert!(with(vienna, "hold = \"1s\"").diff(&with("\n", "hold = \"1s\"")).is_empty());
    }
}
