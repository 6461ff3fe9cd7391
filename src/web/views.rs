//! What the API says, as JSON. Times are Unix seconds.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Web;
use crate::model::{CameraId, CameraState, DecodeStrategy, LabelKey, ModelState, WallTime};
use crate::publish::payload::{rounded, seconds};
use crate::status::board::Camera as Pinned;
use crate::status::{Stage, Status};
use crate::watch::{ScoreKind, Watch, WatchSet};

/// This seewhen.
#[derive(Serialize, ToSchema)]
pub(super) struct Node {
    node: String,
    version: &'static str,
    /// The bundle.
    model: Option<String>,
    /// Why the model does not run.
    model_trouble: Option<String>,
    /// What runs the model, and in which numbers.
    provider: Option<String>,
    precision: Option<String>,
    /// Frames analysed per second, of all cameras.
    fps: f64,
    /// What the model takes for a batch, milliseconds.
    batch_ms: Option<Shares>,
    /// From a frame to the broker's confirmation of its event, milliseconds.
    delivered_ms: Option<Shares>,
    broker: Broker,
    /// Events that wait for the broker.
    outbox: usize,
    /// Why events are not kept.
    history: Option<String>,
    /// Why pictures are not kept.
    snapshots: Option<String>,
    /// Why embeddings are not kept.
    embeddings: Option<String>,
    /// Whether things may be changed.
    commands: bool,
    memory_bytes: Option<u64>,
    cameras: usize,
    /// Cameras whose frames flow.
    running: usize,
    time: f64,
}

#[derive(Serialize, ToSchema)]
struct Shares {
    p50: f64,
    p99: f64,
}

#[derive(Serialize, ToSchema)]
struct Broker {
    connected: bool,
    address: String,
}

/// One camera.
#[derive(Serialize, ToSchema)]
pub(super) struct Camera {
    id: String,
    enabled: bool,
    /// `connecting`, `running`, `stalled`, `retrying` or `disabled`.
    state: &'static str,
    reason: String,
    since: Option<f64>,
    /// What is wrong with the view: `covered`, `blinded`, `frozen`, `moved`; null while nothing is.
    problem: Option<&'static str>,
    /// The same for people.
    problem_reason: Option<&'static str>,
    problem_since: Option<f64>,
    fps: f64,
    dropped: u64,
    unchanged: u64,
    strategy: Option<&'static str>,
    decoder: Option<String>,
    /// When the newest frame was captured.
    frame_time: Option<f64>,
    watches: Vec<WatchView>,
}

#[derive(Serialize, ToSchema)]
struct WatchView {
    id: String,
    enabled: bool,
    score: &'static str,
    labels: Vec<Label>,
}

#[derive(Serialize, ToSchema)]
struct Label {
    id: String,
    prompts: Vec<String>,
    /// In the newest frame.
    probability: Option<f64>,
    /// Null for background, which never fires.
    threshold: Option<f64>,
    clear: Option<f64>,
    /// `ON` or `OFF`; null for background and shadow labels.
    state: Option<&'static str>,
    /// Since when it is on.
    since: Option<f64>,
    shadow: bool,
    enabled: bool,
    /// It goes by examples too: `/api/taught` tells of them.
    taught: bool,
}

pub(super) fn node(web: &Web) -> Node {
    let status = &web.status;
    let (told, model) = status.board().told();
    let set = status.board().set();
    let runs_on = status.runs_on();
    let (provider, precision) = runs_on.map(|on| (on.provider, on.precision)).unzip();
    let cameras = status.board().since(0).cameras;
    let runs = |camera: &Pinned| camera.life.as_ref().is_some_and(|life| life.available());
    Node {
        node: web.node.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        model: set.map(|set| set.model.to_string()),
        model_trouble: model.and_then(|state| match state {
            ModelState::Working => None,
            ModelState::Lost(reason) => Some(reason),
        }),
        provider,
        precision,
        fps: hundredths(cameras.iter().map(|(_, camera)| camera.fps()).sum()),
        batch_ms: shares(status, Stage::Model),
        delivered_ms: shares(status, Stage::Delivered),
        broker: Broker { connected: told.connected, address: web.broker.clone() },
        outbox: told.outbox,
        history: told.history,
        snapshots: told.snapshots,
        embeddings: web.tally.trouble(),
        commands: web.commands,
        memory_bytes: memory(),
        cameras: cameras.len(),
        running: cameras.iter().filter(|(_, camera)| runs(camera)).count(),
        time: seconds(web.clock.wall()),
    }
}

fn shares(status: &Status, stage: Stage) -> Option<Shares> {
    let milliseconds = |share| {
        let time = status.at_most(stage, share)?;
        Some(hundredths(time.as_secs_f64() * 1000.0))
    };
    Some(Shares { p50: milliseconds(0.5)?, p99: milliseconds(0.99)? })
}

/// What this process has in memory, bytes.
pub(super) fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// What is known of `id`, with the watches that look at it.
fn camera(
    web: &Web,
    id: &CameraId,
    pinned: &Pinned,
    set: Option<&WatchSet>,
    on: &BTreeMap<LabelKey, WallTime>,
) -> Camera {
    let counters = web.status.counters(id);
    let (counts, work) = (counters.counts(), counters.effort().work);
    let life = pinned.life.as_ref();
    let off = set.is_some_and(|set| set.is_off(id));
    let connecting = if off { CameraState::Disabled } else { CameraState::Connecting };
    let watches = set.into_iter().flat_map(|set| set.for_camera(id));
    Camera {
        id: id.to_string(),
        enabled: !off,
        state: life.map_or(connecting, |life| life.state).word(),
        reason: life.map(|life| life.reason.clone()).unwrap_or_default(),
        since: life.map(|life| seconds(life.captured.time)),
        problem: pinned.problem.map(|problem| problem.kind.word()),
        problem_reason: pinned.problem.map(|problem| problem.reason),
        problem_since: pinned.problem.map(|problem| seconds(problem.since)),
        fps: hundredths(pinned.fps()),
        dropped: counts.replaced,
        unchanged: counts.unchanged,
        strategy: work.strategy.map(DecodeStrategy::word),
        decoder: work.decoder.as_deref().map(str::to_owned),
        frame_time: pinned.newest.as_ref().map(|newest| seconds(newest.captured.time)),
        watches: watches.map(|watch| watch_view(web, id, watch, pinned, on)).collect(),
    }
}

fn watch_view(
    web: &Web,
    camera: &CameraId,
    watch: &Watch,
    pinned: &Pinned,
    on: &BTreeMap<LabelKey, WallTime>,
) -> WatchView {
    let scores = pinned.newest.iter().flat_map(|newest| &newest.scores);
    let score = scores.into_iter().find(|score| score.watch == watch.id);
    let words = web.status.board().words(&watch.id);
    let label = |(place, label): (usize, &crate::watch::Label)| {
        let (camera, id) = (camera.clone(), label.id.clone());
        let key = LabelKey { camera, watch: watch.id.clone(), label: id };
        // What was scored may be of a moment before the watches of now.
        let probability = score.and_then(|score| score.probabilities.at(place, &label.id));
        let (rule, since) = (label.rule.as_ref(), on.get(&key));
        Label {
            id: label.id.to_string(),
            prompts: words.prompts.get(&label.id).cloned().unwrap_or_default(),
            probability: probability.map(rounded),
            threshold: rule.map(|rule| rounded(rule.threshold)),
            clear: rule.map(|rule| rounded(rule.clear)),
            state: label.told().map(|_| if since.is_some() { "ON" } else { "OFF" }),
            since: since.map(|since| seconds(*since)),
            shadow: rule.is_some_and(|rule| rule.shadow),
            enabled: rule.is_none_or(|rule| rule.enabled),
            taught: watch.taught.is_taught(place),
        }
    };
    WatchView {
        id: watch.id.to_string(),
        enabled: watch.enabled,
        score: match watch.score {
            ScoreKind::Softmax => "softmax",
            ScoreKind::Sigmoid => "sigmoid",
        },
        labels: watch.labels.iter().enumerate().map(label).collect(),
    }
}

/// These cameras, with the watches that hold now.
pub(super) fn cameras(web: &Web, pinned: &[(CameraId, Pinned)]) -> Vec<Camera> {
    let (set, on) = (web.status.board().set(), web.status.board().on());
    pinned.iter().map(|(id, pinned)| camera(web, id, pinned, set.as_deref(), &on)).collect()
}

pub(super) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
