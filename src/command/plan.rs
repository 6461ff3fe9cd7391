//! From a command to changes of the configuration, for the configuration in force. Pure.
//!
//! Says which cameras, watches and labels there are when one is meant that is not. What the changes lead
//! to is for the configuration's own reader to judge.

use super::{Command, Outcome, Refusal, Target};
use crate::config::{Change, Config, Entry, Place, Problems, Runtime, WatchConfig};
use crate::model::{LabelId, WatchId};

/// Most labels that a watch gets by commands.
const MOST_LABELS: usize = 64;

/// What a plan is made for.
pub struct Ground<'a> {
    pub config: &'a Config,
    pub runtime: &'a Runtime,
    /// Where the files that people write have a label.
    pub written: &'a dyn Fn(&WatchId, &LabelId) -> Option<Place>,
    /// Whether the changes are kept over a restart.
    pub keep: bool,
}

/// What to change. None for commands that change nothing.
///
/// # Errors
/// When there is nothing that it could be about.
pub fn plan(command: &Command, ground: &Ground<'_>) -> Result<Vec<Change>, Refusal> {
    match command {
        Command::Enable(target, on) => {
            let entry = ground.entry(target)?;
            Ok(vec![Change::Key(entry, "enabled".to_owned(), Some((*on).into()))])
        }
        Command::SetThreshold(watch, label, threshold) => {
            ground.label(watch, label)?;
            if ground.rule_is_missing(watch, label) {
                return Err(refuse(format!(
                    "{watch}/{label} is background, which never fires; change_label with threshold \
                     makes it a label that does"
                )));
            }
            let mut changes = ground.old_clear(watch, label);
            changes.push(key(watch, label, "threshold", Some((*threshold).into())));
            Ok(changes)
        }
        Command::AddLabel(watch, label, keys) => {
            let known = ground.watch(watch)?;
            if known.labels.iter().any(|known| known.id == *label) {
                return Err(refuse(format!("{watch}/{label} is there; change_label changes it")));
            }
            if known.labels.len() >= MOST_LABELS {
                return Err(refuse(format!("{watch} has {MOST_LABELS} labels, which is the most")));
            }
            // A label that begins anew has nothing of an earlier one.
            let mut changes = vec![Change::Remove(watch.clone(), label.clone())];
            changes.extend(
                keys.iter().map(|(name, value)| key(watch, label, name, Some(value.clone()))),
            );
            Ok(changes)
        }
        Command::ChangeLabel(watch, label, keys) => {
            ground.label(watch, label)?;
            let named = |name: &str| keys.iter().any(|(key, _)| key == name);
            let follows = named("threshold") && !named("clear");
            let mut changes = if follows { ground.old_clear(watch, label) } else { Vec::new() };
            changes.extend(keys.iter().map(|(name, value)| key(watch, label, name, value.clone())));
            Ok(changes)
        }
        Command::RemoveLabel(watch, label) => {
            ground.known(watch, label)?;
            if let Some(place) = (ground.written)(watch, label) {
                return Err(refuse(format!(
                    "{watch}/{label} is in {place}; disable it, or take it out there and reload"
                )));
            }
            Ok(vec![Change::Remove(watch.clone(), label.clone())])
        }
        Command::Snapshot(camera) | Command::LearnView(camera) => {
            ground.entry(&Target::Camera(camera.clone())).map(|_| Vec::new())
        }
        Command::UndoTeach(watch, label) => ground.known(watch, label).map(|()| Vec::new()),
        Command::Explain(key) | Command::Teach { key, .. } => {
            ground.entry(&Target::Camera(key.camera.clone()))?;
            ground.known(&key.watch, &key.label).map(|_| Vec::new())
        }
    }
}

/// The label whose threshold a command sets without a word on `clear`, which may then have to follow.
pub fn follows(command: &Command) -> Option<(&WatchId, &LabelId, f64)> {
    match command {
        Command::SetThreshold(watch, label, threshold) => Some((watch, label, *threshold)),
        Command::ChangeLabel(watch, label, keys) => {
            let given = |name: &str| keys.iter().find(|(key, _)| key == name);
            let threshold = given("threshold").and_then(|(_, value)| number(value.as_ref()?));
            given("clear").is_none().then_some(())?;
            Some((watch, label, threshold?))
        }
        _ => None,
    }
}

/// The changes that set `clear` below a threshold which it would not be below else; with a word on it.
/// `tried` is what came of the threshold alone.
pub fn lower_clear(
    watch: &WatchId,
    label: &LabelId,
    threshold: f64,
    tried: Result<&Config, &Problems>,
) -> Option<(Change, String)> {
    let too_high = match tried {
        Ok(config) => {
            let watch = config.watches.iter().find(|known| known.id == *watch)?;
            let label = watch.labels.iter().find(|known| known.id == *label)?;
            label.rule.as_ref().is_some_and(|rule| rule.clear >= rule.threshold)
        }
        Err(problems) => {
            let clear = format!("watch[{watch}].label[{label}].clear");
            problems.as_slice().iter().all(|problem| problem.key == clear)
        }
    };
    let clear = lowered(threshold);
    let change = || key(watch, label, "clear", Some(clear.into()));
    let word = || format!("clear was not below the new threshold and is {clear} now");
    (too_high && clear > 0.0).then(|| (change(), word()))
}

/// As far below as `clear` is by default; six digits, as thresholds are told.
fn lowered(threshold: f64) -> f64 {
    (threshold * 0.8 * 1e6).round() / 1e6
}

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

fn key(watch: &WatchId, label: &LabelId, name: &str, value: Option<toml::Value>) -> Change {
    Change::Key(Entry::Label(watch.clone(), label.clone()), name.to_owned(), value)
}

fn refuse(reason: String) -> Refusal {
    Refusal { outcome: Outcome::Refused, reason }
}

/// Names, but not without end.
fn list<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut ids: Vec<&str> = ids.collect();
    let more = ids.len() > 20;
    ids.truncate(20);
    match (ids.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (_, true) => ids.join(", ") + ", …",
        (_, false) => ids.join(", "),
    }
}

impl Ground<'_> {
    fn entry(&self, target: &Target) -> Result<Entry, Refusal> {
        match target {
            Target::Camera(camera) => {
                let ids = || self.config.cameras.iter().map(|camera| camera.id.as_str());
                if ids().all(|id| id != camera.as_str()) {
                    let known = list(ids());
                    return Err(refuse(format!("no camera \"{camera}\"; cameras: {known}")));
                }
                Ok(Entry::Camera(camera.clone()))
            }
            Target::Watch(watch) => self.watch(watch).map(|_| Entry::Watch(watch.clone())),
            Target::Label(watch, label) => {
                self.label(watch, label).map(|()| Entry::Label(watch.clone(), label.clone()))
            }
        }
    }

    fn watch(&self, watch: &WatchId) -> Result<&WatchConfig, Refusal> {
        let found = self.config.watches.iter().find(|known| known.id == *watch);
        found.ok_or_else(|| {
            let known = list(self.config.watches.iter().map(|watch| watch.id.as_str()));
            refuse(format!("no watch \"{watch}\"; watches: {known}"))
        })
    }

    fn known(&self, watch: &WatchId, label: &LabelId) -> Result<(), Refusal> {
        let known = self.watch(watch)?;
        if known.labels.iter().any(|known| known.id == *label) {
            return Ok(());
        }
        let known = list(known.labels.iter().map(|label| label.id.as_str()));
        Err(refuse(format!("no label \"{label}\" in watch \"{watch}\"; labels: {known}")))
    }

    /// One that can be changed in the way that was asked for.
    fn label(&self, watch: &WatchId, label: &LabelId) -> Result<(), Refusal> {
        self.known(watch, label)?;
        if self.keep && self.runtime.is_passing(watch, label) {
            return Err(refuse(format!(
                "{watch}/{label} was added without being persisted, so its changes cannot be; send \
                 this with \"persist\": false, or remove it and add it anew"
            )));
        }
        Ok(())
    }

    fn rule_is_missing(&self, watch: &WatchId, label: &LabelId) -> bool {
        let watches = self.config.watches.iter().filter(|known| known.id == *watch);
        let mut labels = watches.flat_map(|watch| &watch.labels);
        labels.any(|known| known.id == *label && known.rule.is_none())
    }

    /// Takes back a `clear` that was lowered with an earlier threshold: it is not what anybody wanted.
    fn old_clear(&self, watch: &WatchId, label: &LabelId) -> Vec<Change> {
        let set = |name| number(&self.runtime.of_label(watch, label, name)?);
        match (set("threshold"), set("clear")) {
            (Some(threshold), Some(clear)) if clear == lowered(threshold) => {
                vec![key(watch, label, "clear", None)]
            }
            _ => Vec::new(),
        }
    }
}
