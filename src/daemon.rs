//! Composition: the only module that makes channels, threads and tasks, and that names adapters.
//!
//! [`run`] loads everything, starts the flow, and then steers it: systemd's notifications, the
//! watchdog, reload on SIGHUP, and the stop on SIGTERM or SIGINT, in flow order with one
//! deadline. [`live`] is the small flow behind `seewhen watch`, [`trial`] what `bench`
//! measures.

mod archive;
pub mod ask;
mod cameras;
mod commands;
pub mod course;
mod flow;
pub mod footage;
mod learning;
pub mod lessons;
pub mod live;
pub mod model;
mod relearn;
pub mod search;
mod system;
pub mod teach;
pub mod trial;
mod views;
mod web;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::commands::Base;
use self::flow::{Flow, Settings};
use self::learning::Learning;
use self::model::Model;
use self::system::{Signals, Watchdog, Wish, interval, notify};
use self::web::{Order, Site};
use self::worker::Worker;
use crate::capture;
use crate::capture::gstreamer::Pace;
use crate::config::{self, Config, Diff, LabelConfig, ModelConfig, OnDisk, WatchConfig};
use crate::embeddings::Tally;
use crate::model::{LabelKey, WatchId};
use crate::status::board::Words;
use crate::status::{Stage, Status};
use crate::watch::WatchSet;

/// The whole stop, from the first camera to the broker, may take this long.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Of which a camera that is taken out by a reload may take this.
const CAMERA_DEADLINE: Duration = Duration::from_secs(5);
/// How often the log sums up what was dropped and analysed.
const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// What `seewhen run` was told.
#[derive(Debug, Clone)]
pub struct Options {
    pub config: PathBuf,
    /// What the command line says about the model, over the configuration.
    pub overrides: Overrides,
}

/// Command line options that win over the configuration, also after a reload.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub bundle: Option<String>,
    pub device: Option<config::Device>,
    pub precision: Option<config::Precision>,
    pub model_dir: Option<PathBuf>,
}

impl Overrides {
    pub fn apply(&self, model: &mut ModelConfig) {
        if let Some(bundle) = &self.bundle {
            model.bundle.clone_from(bundle);
        }
        if let Some(device) = self.device {
            model.device = device;
        }
        if let Some(precision) = self.precision {
            model.precision = precision;
        }
        if let Some(dir) = &self.model_dir {
            model.dir = Some(dir.clone());
        }
    }
}

/// Reads the configuration and puts the command line's word over it; warnings go to the log.
pub fn load_config(path: &Path, overrides: &Overrides) -> anyhow::Result<Config> {
    Ok(load(path, overrides)?.1)
}

/// The same, with the files that it comes from.
fn load(path: &Path, overrides: &Overrides) -> anyhow::Result<(OnDisk, Config)> {
    let disk = OnDisk::read(path)?;
    let loaded = disk.parse()?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let mut config = loaded.config;
    overrides.apply(&mut config.model);
    Ok((disk, config))
}

/// Runs a node until it is told to stop. An error says why it could not start, or what did not
/// end in time.
pub fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before anything that takes long: who asks for a reload meanwhile gets one, and not our end.
    let hangup = runtime.block_on(system::hangup())?;
    let (disk, config) = load(&options.config, &options.overrides)?;
    let base = Base::new(disk)?;
    capture::gstreamer::init()?;
    let model = Arc::new(Model::load(&config.model)?);
    relearn::relearn(&config, &model);
    let learning = Learning::start(&config);
    let set = Arc::new(lessons::watches(&config, &model, &mut model.embedder(), 1)?);
    let status = Arc::new(Status::default());
    let engine = model.engine(config.cameras.len(), &status)?;
    let tally = Arc::new(Tally::default());
    let (keeping, archive) = archive::start(&config, &model, &tally)?.unzip();
    let (remembering, views) = views::start(&config)?.unzip();
    runtime.block_on(async {
        let signals = Signals::listen(hangup)?;
        let settings = Settings {
            engine,
            set: set.clone(),
            status: status.clone(),
            keeping,
            remembering,
            max_wait: config.model.max_wait,
            pace: Pace::Live,
        };
        let flow = Flow::start(&config, settings)?;
        tracing::info!(
            node = %config.node,
            cameras = flow.stages.cameras.count(),
            watches = config.watches.len(),
            bundle = %set.model,
            "seewhen is running"
        );
        notify(&[NotifyState::Ready]);
        status.board().describe(words(&config));
        let (to_daemon, orders) = mpsc::channel(32);
        let site = web::start(&config, &model, &status, &tally, to_daemon)?;
        let keepers = [archive, views].into_iter().flatten().collect();
        let node =
            Node { options, config, base, model, flow, status, keepers, site, orders, learning };
        node.steer(signals).await
    })
}

/// A running node, as the steering loop sees it.
struct Node {
    options: Options,
    config: Config,
    base: Base,
    model: Arc<Model>,
    flow: Flow,
    status: Arc<Status>,
    /// They keep embeddings and views, as far as somebody does, and end after inference.
    keepers: Vec<Worker>,
    /// `None` when there is no page.
    site: Option<Site>,
    /// Commands from the page.
    orders: mpsc::Receiver<Order>,
    learning: Learning,
}

impl Node {
    async fn steer(mut self, mut signals: Signals) -> anyhow::Result<()> {
        let mut watchdog = Watchdog::from_systemd();
        let mut summary = interval(SUMMARY_EVERY);
        let mut lessons = interval(learning::LOOK_EVERY);
        summary.tick().await;
        loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => break,
                    Wish::Reload => self.reload().await,
                },
                Some(request) = self.flow.orders.recv() => {
                    let answer = self.command(request).await;
                    self.flow.answer(answer).await;
                }
                Some(Order { request, tell }) = self.orders.recv() => {
                    let answer = self.command(request).await;
                    if tell.send(answer).is_err() {
                        tracing::debug!("who asked has gone");
                    }
                }
                () = watchdog.due() => watchdog.pat(&self.status),
                _ = lessons.tick() => self.look_for_lessons().await,
                _ = summary.tick() => {
                    log_summary(&self.status);
                    if let Some(site) = &self.site {
                        site.tidy();
                    }
                }
                () = self.flow.stages.infer.ended() => bail!("the inference thread ended early"),
            }
        }
        notify(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        signals.exit_on_another();
        let deadline = Instant::now() + STOP_DEADLINE;
        let mut stragglers = self.flow.stop(deadline).await;
        for mut keeper in self.keepers {
            if tokio::time::timeout_at(deadline, keeper.ended()).await.is_err() {
                stragglers.push(keeper.name().to_owned());
            }
        }
        if let Some(site) = self.site {
            stragglers.extend(site.stop(deadline).await);
        }
        log_summary(&self.status);
        if !stragglers.is_empty() {
            bail!("not done within {STOP_DEADLINE:?}: {}", stragglers.join(", "));
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Takes over the configuration as it is now on disk, or changes nothing and says why.
    async fn reload(&mut self) {
        tracing::info!(config = %self.options.config.display(), "reloading");
        let reloading = NotifyState::monotonic_usec_now();
        notify(&[NotifyState::Reloading]);
        if let Ok(now) = reloading {
            notify(&[now]);
        }
        if let Err(error) = self.try_reload().await {
            for line in format!("{error:#}").lines() {
                tracing::error!("{line}");
            }
            tracing::error!("the configuration was not taken over; the running one stays");
        }
        notify(&[NotifyState::Ready]);
    }

    async fn try_reload(&mut self) -> anyhow::Result<()> {
        let (disk, on_disk) = load(&self.options.config, &self.options.overrides)?;
        let (base, mut config) = self.base.renewed(disk, on_disk)?;
        self.options.overrides.apply(&mut config.model);
        let diff = self.config.diff(&config);
        if !diff.restart.is_empty() {
            bail!("changed keys need a restart: {}", diff.restart.join(", "));
        }
        if diff.is_empty() {
            tracing::info!("the configuration has not changed");
        } else {
            // All of it is there before anything changes.
            let (broker, page) = (flow::access(&config)?, web::security(&config)?);
            let set = self.compile(&config).await?;
            self.swap(config, &diff, set).await?;
            self.flow.renew(broker);
            if let Some(site) = &self.site {
                site.secure(page);
            }
        }
        self.base = base;
        Ok(())
    }

    /// Builds the next watches beside the running flow; the text model may take seconds.
    async fn compile(&self, config: &Config) -> anyhow::Result<Arc<WatchSet>> {
        let model = self.model.clone();
        let revision = self.flow.stages.sets.borrow().revision + 1;
        let config = config.clone();
        let built = tokio::task::spawn_blocking(move || {
            lessons::watches(&config, &model, &mut model.embedder(), revision)
        });
        Ok(Arc::new(built.await.context("building the watches panicked")??))
    }

    /// Everything new exists; only now does anything old end.
    async fn swap(
        &mut self,
        config: Config,
        diff: &Diff,
        set: Arc<WatchSet>,
    ) -> anyhow::Result<()> {
        let stages = &mut self.flow.stages;
        let _old: Arc<WatchSet> = stages.sets.send_replace(set);
        let mut leaving = diff.cameras_removed.clone();
        leaving.extend(diff.cameras_changed.iter().cloned());
        let deadline = Instant::now() + CAMERA_DEADLINE;
        for straggler in stages.cameras.stop(&leaving, deadline).await {
            tracing::warn!(straggler, "still stopping");
        }
        for camera in &config.cameras {
            if diff.cameras_added.contains(&camera.id) || diff.cameras_changed.contains(&camera.id)
            {
                stages.cameras.start(camera)?;
            }
        }
        self.status.board().describe(words(&config));
        if let Some(site) = &self.site {
            site.renew(&config);
        }
        self.config = config;
        tracing::info!(
            added = ?diff.cameras_added,
            removed = ?diff.cameras_removed,
            changed = ?diff.cameras_changed,
            watches = ?diff.watches_changed,
            renewed = ?diff.renewed,
            "reloaded"
        );
        Ok(())
    }
}

/// The words of every watch.
fn words(config: &Config) -> BTreeMap<WatchId, Words> {
    let words = |watch: &WatchConfig| {
        let own = |label: &LabelConfig| (label.id.clone(), label.prompts.clone());
        let prompts = watch.labels.iter().map(own).collect();
        (watch.id.clone(), Words { templates: watch.templates.clone(), prompts })
    };
    config.watches.iter().map(words).collect()
}

fn log_summary(status: &Status) {
    let (batches, encoded) = status.encoded();
    tracing::info!(batches, encoded, "so far");
    for stage in Stage::ALL {
        let milliseconds = |share| {
            let time = status.at_most(stage, share)?;
            Some((time.as_secs_f64() * 10_000.0).round() / 10.0)
        };
        if let (Some(half), Some(most)) = (milliseconds(0.5), milliseconds(0.99)) {
            tracing::info!(stage = stage.word(), p50_ms = half, p99_ms = most, "so far");
        }
    }
    for (camera, counts) in status.counts() {
        tracing::info!(
            %camera,
            received = counts.received,
            sampled = counts.sampled,
            analysed = counts.analysed,
            replaced = counts.replaced,
            failed = counts.failed,
            "so far"
        );
    }
    for (LabelKey { camera, watch, label }, counts) in status.all_events() {
        let (events, shadow) = (counts.told, counts.shadow);
        tracing::info!(%camera, %watch, %label, events, shadow, "so far");
    }
}
