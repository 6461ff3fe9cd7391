//! Commands: changes over the configuration's files, taken over as a reload would.
//!
//! Everything is checked and built first, prompt embeddings included; then it is swapped in, then kept,
//! then answered. What is refused changes nothing. A command changes what it says and no more: the files
//! are those that were last read, so that one that somebody is just writing is in nobody's way.

use std::path::PathBuf;
use std::time::Duration;

use super::Node;
use super::teach::Teaching;
use crate::command::plan::{self, Ground, plan};
use crate::command::{Answer, Command, Done, Outcome, Refusal, Request, shortened};
use crate::config::{
    Change, Config, OnDisk, Problem, Problems, Runtime, SnapshotsConfig, write_runtime,
};
use crate::model::{CameraId, LabelKey};

/// Most bytes of all changes together.
const MOST: usize = 256 * 1024;
/// Most characters of the reason why a command was refused.
const LONGEST_REASON: usize = 1000;

/// Most characters of a command in the log.
const LONGEST_LOGGED: usize = 300;
/// For the answer of the rules.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the files say, and what commands have changed since.
pub(super) struct Base {
    pub(super) disk: OnDisk,
    pub(super) runtime: Runtime,
}

impl Base {
    /// Nothing but what is on disk.
    pub(super) fn new(disk: OnDisk) -> anyhow::Result<Self> {
        let runtime = Runtime::read(disk.changes.as_deref())?;
        if disk.changes.is_some() {
            tracing::info!(file = %disk.runtime().display(), "changes by commands are in force");
        }
        Ok(Self { disk, runtime })
    }

    /// `disk` with those changes of ours that are not on it, where they still fit.
    pub(super) fn renewed(&self, disk: OnDisk, on_disk: Config) -> anyhow::Result<(Self, Config)> {
        let new = Self::new(disk)?;
        if !self.runtime.has_passing() {
            return Ok((new, on_disk));
        }
        let runtime = new.runtime.clone().with_passing(&self.runtime);
        match new.disk.parse_with(Some(&runtime.text())) {
            Ok(loaded) => Ok((Self { runtime, ..new }, loaded.config)),
            Err(problems) => {
                let reason = self.reason(&problems);
                tracing::warn!(reason, "what commands changed and did not persist is given up");
                Ok((new, on_disk))
            }
        }
    }

    /// The configuration with other changes.
    fn with(&self, runtime: &Runtime) -> Result<Config, Problems> {
        Ok(self.disk.parse_with(Some(&runtime.text()))?.config)
    }

    /// Problems as whoever sent a command can read them: its own have no place in a file.
    fn reason(&self, problems: &Problems) -> String {
        let own = self.disk.runtime().display().to_string();
        let say = |problem: &Problem| match problem.place.file == own {
            true => format!("{}: {}", problem.key, problem.message),
            false => problem.to_string(),
        };
        problems.as_slice().iter().map(say).collect::<Vec<_>>().join("; ")
    }
}

/// A command, ready to be taken over.
struct Prepared {
    changes: Vec<Change>,
    runtime: Runtime,
    config: Config,
    notes: Vec<String>,
}

impl Node {
    /// Carries a command out, or says why not.
    pub(super) async fn command(&mut self, request: Request) -> Answer {
        let Request { tag, command, persist } = request;
        let keep = persist.unwrap_or(self.config.commands.persist);
        let mut result = self.carry_out(&command, keep).await;
        if let Ok(done) = &result {
            let persisted = done.persisted;
            let command = shortened(&format!("{command:?}"), LONGEST_LOGGED);
            tracing::info!(command, ?persisted, "a command is carried out");
        }
        if let Err(refusal) = &mut result {
            refusal.reason = shortened(&refusal.reason, LONGEST_REASON);
        }
        Answer { tag, result }
    }

    async fn carry_out(&mut self, command: &Command, keep: bool) -> Result<Done, Refusal> {
        let written = |watch: &_, label: &_| self.base.disk.label(watch, label);
        let (config, runtime) = (&self.config, &self.base.runtime);
        let changes = plan(command, &Ground { config, runtime, written: &written, keep })?;
        match command {
            Command::Snapshot(camera) => return self.snapshot(camera),
            Command::LearnView(camera) => return self.learn_view(camera),
            Command::Explain(key) => return self.explain(key).await,
            Command::Teach { key, yes, no } => {
                let teaching = Teaching { key: key.clone(), yes: yes.clone(), no: no.clone() };
                return self.teach(teaching).await;
            }
            Command::UndoTeach(watch, label) => return self.undo_teach(watch, label).await,
            _ => {}
        }
        let Prepared { changes, runtime, config, mut notes } =
            self.prepare(command, changes, keep)?;
        self.take_over(config).await.map_err(|error| refuse(format!("{error:#}")))?;
        let mut persisted = false;
        if keep {
            match self.keep(&runtime).await {
                Ok(()) => persisted = true,
                Err(reason) => {
                    tracing::warn!(reason, "what a command changed could not be persisted");
                    notes.push(format!("not persisted: {reason}"));
                }
            }
        }
        self.base.runtime = match keep && !persisted {
            // In force all the same, until the next start.
            true => self.base.runtime.changed(&changes, false),
            false => runtime,
        };
        Ok(Done { persisted: Some(persisted), notes, ..Done::default() })
    }

    /// Asks for the next frame of a camera.
    fn snapshot(&self, camera: &CameraId) -> Result<Done, Refusal> {
        let SnapshotsConfig { topic, dir, .. } = &self.config.snapshots;
        if !topic && dir.is_none() {
            return Err(refuse("snapshots are off: snapshots.topic is false, snapshots.dir empty"));
        }
        let mut cameras = self.config.cameras.iter();
        let off = cameras.any(|known| known.id == *camera && !known.enabled);
        if off || !self.status.ask_snapshot(camera) {
            return Err(refuse(format!("camera {camera} is switched off")));
        }
        let notes = vec!["it is the next frame that is analysed".to_owned()];
        Ok(Done { notes, ..Done::default() })
    }

    /// Forgets a camera's usual views, for one that was moved on purpose.
    fn learn_view(&self, camera: &CameraId) -> Result<Done, Refusal> {
        let camera = self.config.cameras.iter().find(|known| known.id == *camera);
        let Some(camera) = camera.filter(|camera| camera.view_check) else {
            return Err(refuse("its view is not checked: view_check is false"));
        };
        if !camera.enabled || !self.status.renew_view(&camera.id) {
            return Err(refuse(format!("camera {} is switched off", camera.id)));
        }
        let notes = vec!["its view is learnt from the next frame on, in two minutes".to_owned()];
        Ok(Done { notes, ..Done::default() })
    }

    async fn explain(&self, key: &LabelKey) -> Result<Done, Refusal> {
        let late = || refuse("the rules do not answer; ask again in a moment");
        let told = self.flow.explain(key.clone()).ok_or_else(late)?;
        let told = tokio::time::timeout(PATIENCE, told).await;
        let explanation = told.ok().and_then(Result::ok).ok_or_else(late)?;
        let explanation = explanation.map_err(|unknown| refuse(unknown.to_string()))?;
        Ok(Done { explanation: Some(Box::new(explanation)), ..Done::default() })
    }

    /// Checks changes as configuration. A threshold takes `clear` along.
    fn prepare(
        &self,
        command: &Command,
        mut changes: Vec<Change>,
        keep: bool,
    ) -> Result<Prepared, Refusal> {
        let base = &self.base;
        let mut runtime = base.runtime.changed(&changes, keep);
        let mut tried = base.with(&runtime);
        let mut notes = Vec::new();
        if let Some((watch, label, threshold)) = plan::follows(command)
            && let Some((change, note)) = plan::lower_clear(watch, label, threshold, tried.as_ref())
        {
            changes.push(change);
            runtime = base.runtime.changed(&changes, keep);
            tried = base.with(&runtime);
            notes.push(note);
        }
        let config = tried.map_err(|problems| refuse(base.reason(&problems)))?;
        let kept = runtime.kept_text();
        if kept.len().max(runtime.text().len()) > MOST {
            return Err(refuse(format!("commands may change {MOST} bytes, no more")));
        }
        // The next start has to do without what passes.
        if keep && let Err(problems) = base.disk.parse_with(Some(&kept)) {
            let reason = base.reason(&problems);
            return Err(refuse(format!("it would not hold after a restart: {reason}")));
        }
        Ok(Prepared { changes, runtime, config, notes })
    }

    /// Cameras and watches of `config`, in the way of a reload; the rest needs a restart.
    async fn take_over(&mut self, config: Config) -> anyhow::Result<()> {
        let Config { cameras, watches, .. } = config;
        let config = Config { cameras, watches, ..self.config.clone() };
        let diff = self.config.diff(&config);
        if diff.is_empty() {
            return Ok(());
        }
        let set = self.compile(&config).await?;
        self.swap(config, &diff, set).await
    }

    async fn keep(&mut self, runtime: &Runtime) -> Result<(), String> {
        let (path, text) = (PathBuf::from(self.base.disk.runtime()), runtime.kept_text());
        let known = self.base.disk.changes.clone();
        if known.as_ref() == Some(&text) {
            return Ok(());
        }
        let new = text.clone();
        let write = move || write_runtime(&path, known.as_deref(), &new);
        let written = tokio::task::spawn_blocking(write).await;
        written.map_err(|error| error.to_string())??;
        self.base.disk.changes = Some(text);
        Ok(())
    }
}

pub(super) fn refuse(reason: impl Into<String>) -> Refusal {
    Refusal { outcome: Outcome::Refused, reason: reason.into() }
}
