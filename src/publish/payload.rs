//! The payloads of the contract, as JSON. Serialisation lives here and not in the vocabulary,
//! so that a change inside cannot change a topic by accident. Pure.

mod explanation;
mod reply;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::explanation::explanation_fields;
pub use self::reply::reply;

use crate::model::{
    CameraChange, DecodeStrategy, Event, LabelId, LabelKey, NodeId, Probability, Problem, Region,
    Suppressed, WallTime,
};
use crate::status::Work;
use crate::watch::Probabilities;

pub const ONLINE: &str = "online";
pub const OFFLINE: &str = "offline";
pub const ON: &str = "ON";
pub const OFF: &str = "OFF";

pub fn availability(available: bool) -> &'static str {
    if available { ONLINE } else { OFFLINE }
}

#[derive(Serialize)]
struct EventPayload<'a> {
    id: &'a str,
    r#type: &'static str,
    node: Option<&'a str>,
    camera: &'a str,
    watch: &'a str,
    label: &'a str,
    start_time: f64,
    end_time: Option<f64>,
    frame_time: f64,
    probability: f64,
    top_probability: f64,
    threshold: f64,
    probabilities: BTreeMap<&'a str, f64>,
    tile: Option<TilePayload>,
    model: &'a str,
    queued: bool,
    suppressed: Option<SuppressedPayload>,
    snapshot: Option<&'a str>,
}

/// An event as JSON. `queued`: it is sent later than it happened. Without a node it is an event
/// of the command line.
pub fn event(event: &Event, node: Option<&NodeId>, queued: bool) -> Vec<u8> {
    json(&EventPayload {
        id: &event.id,
        r#type: event.kind.word(),
        node: node.map(NodeId::as_str),
        camera: event.key.camera.as_str(),
        watch: event.key.watch.as_str(),
        label: event.key.label.as_str(),
        start_time: seconds(event.start_time),
        end_time: event.end_time.map(seconds),
        frame_time: seconds(event.frame_time),
        probability: rounded(event.probability),
        top_probability: rounded(event.top_probability),
        threshold: rounded(event.threshold),
        probabilities: by_name(&event.probabilities),
        tile: event.tile.map(TilePayload::of),
        model: &event.model,
        queued,
        suppressed: event.suppressed.map(SuppressedPayload::of),
        snapshot: event.snapshot.as_deref(),
    })
}

/// What a cooldown kept back before an event.
#[derive(Serialize)]
struct SuppressedPayload {
    count: u64,
    top_probability: f64,
    first: f64,
    last: f64,
}

impl SuppressedPayload {
    fn of(suppressed: Suppressed) -> Self {
        let Suppressed { count, top_probability, first, last } = suppressed;
        let top_probability = rounded(top_probability);
        Self { count, top_probability, first: seconds(first), last: seconds(last) }
    }
}

/// A part of the picture, in fractions of it.
#[derive(Serialize)]
struct TilePayload {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl TilePayload {
    fn of(tile: Region) -> Self {
        let round = |value: f64| (value * 1e4).round() / 1e4;
        let Region { x, y, width, height } = tile;
        Self { x: round(x), y: round(y), width: round(width), height: round(height) }
    }
}

#[derive(Serialize)]
struct ProbabilitiesPayload<'a> {
    time: f64,
    probabilities: BTreeMap<&'a str, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
}

/// A watch's probabilities as JSON; the command line leaves the model out.
pub fn probabilities(
    time: WallTime,
    probabilities: &Probabilities,
    model: Option<&str>,
) -> Vec<u8> {
    let probabilities = probabilities.iter().map(|(id, p)| (id.as_str(), rounded(p))).collect();
    json(&ProbabilitiesPayload { time: seconds(time), probabilities, model })
}

#[derive(Serialize)]
struct StatusPayload<'a> {
    state: &'static str,
    reason: &'a str,
    attempt: u32,
    since: f64,
    fps: f64,
    dropped: u64,
    unchanged: u64,
    strategy: Option<&'static str>,
    key_interval: Option<f64>,
    decoder: Option<&'a str>,
    cpu: f64,
    problem: Option<&'static str>,
    problem_reason: Option<&'static str>,
    problem_since: Option<f64>,
    shadow: BTreeMap<String, u64>,
}

/// What a camera does and takes.
#[derive(Debug, Clone)]
pub struct Load {
    /// Frames analysed per second.
    pub fps: f64,
    /// Frames that a newer one replaced before they were analysed.
    pub dropped: u64,
    /// Frames that were like the last encoded one and took over its embedding.
    pub unchanged: u64,
    /// Share of one processor that capture and decoding took.
    pub cpu: f64,
    pub work: Work,
    /// What is wrong with what it shows.
    pub problem: Option<Problem>,
}

/// A camera's state as JSON. `strategy`: how much of the stream is decoded, null while that is
/// not known; `key_interval`: seconds, the longest lately; `decoder`: GStreamer's name of it; `problem`: what is
/// wrong with the view; `shadow`: by `<watch>/<label>`, how many events each shadow label has had.
pub fn status(change: &CameraChange, load: &Load, shadows: &[(LabelKey, u64)]) -> Vec<u8> {
    let shadow =
        |(key, events): &(LabelKey, u64)| (format!("{}/{}", key.watch, key.label), *events);
    let round = |value: f64, parts: f64| (value * parts).round() / parts;
    json(&StatusPayload {
        state: change.state.word(),
        reason: &change.reason,
        attempt: change.attempt,
        since: seconds(change.captured.time),
        fps: round(load.fps, 100.0),
        dropped: load.dropped,
        unchanged: load.unchanged,
        strategy: load.work.strategy.map(DecodeStrategy::word),
        key_interval: load.work.key_interval.map(|length| round(length.as_secs_f64(), 1000.0)),
        decoder: load.work.decoder.as_deref(),
        cpu: round(load.cpu, 10_000.0),
        problem: load.problem.map(|problem| problem.kind.word()),
        problem_reason: load.problem.map(|problem| problem.reason),
        problem_since: load.problem.map(|problem| seconds(problem.since)),
        shadow: shadows.iter().map(shadow).collect(),
    })
}

#[derive(Serialize)]
struct NodeStatusPayload<'a> {
    version: &'a str,
    model: &'a str,
    provider: Option<&'a str>,
    precision: Option<&'a str>,
    fps: f64,
    outbox: usize,
    history: Option<&'a str>,
    snapshots: Option<&'a str>,
    commands: BTreeMap<&'static str, u64>,
}

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct NodeStatus<'a> {
    /// Of seewhen.
    pub version: &'a str,
    /// Name of the bundle.
    pub model: &'a str,
    /// What runs the model and in which numbers; `None` while it is not loaded.
    pub provider: Option<&'a str>,
    pub precision: Option<&'a str>,
    /// Frames analysed per second, of all cameras.
    pub fps: f64,
    /// Events that wait for the broker.
    pub outbox: usize,
    /// Why events are not kept; `None` while they are.
    pub history: Option<&'a str>,
    /// Why pictures are not kept; `None` while they are, or are not to be.
    pub snapshots: Option<&'a str>,
    /// How many commands came to each end.
    pub commands: &'a [(&'static str, u64)],
}

/// A node's state as JSON.
pub fn node_status(status: &NodeStatus<'_>) -> Vec<u8> {
    json(&NodeStatusPayload {
        version: status.version,
        model: status.model,
        provider: status.provider,
        precision: status.precision,
        fps: (status.fps * 100.0).round() / 100.0,
        outbox: status.outbox,
        history: status.history,
        snapshots: status.snapshots,
        commands: status.commands.iter().copied().collect(),
    })
}

#[derive(Serialize)]
struct AttributesPayload {
    probability: Option<f64>,
    threshold: f64,
    since: Option<f64>,
}

/// What goes with a label's state, as JSON. `probability`: of the frame that changed the state or
/// of a later one, `None` before the first; `since`: when the state began, `None` when it has never
/// changed.
pub fn attributes(
    probability: Option<Probability>,
    threshold: Probability,
    since: Option<WallTime>,
) -> Vec<u8> {
    json(&AttributesPayload {
        probability: probability.map(rounded),
        threshold: rounded(threshold),
        since: since.map(seconds),
    })
}

/// A label's threshold as a plain number.
pub fn threshold(threshold: Probability) -> String {
    rounded(threshold).to_string()
}

fn by_name(probabilities: &BTreeMap<LabelId, Probability>) -> BTreeMap<&str, f64> {
    probabilities.iter().map(|(id, p)| (id.as_str(), rounded(*p))).collect()
}

/// Milliseconds are as exact as a frame's time is.
pub fn seconds(time: WallTime) -> f64 {
    (time.0 * 1000.0).round() / 1000.0
}

/// Six digits: enough for thresholds and comparison, without the noise of a widened float.
pub fn rounded(probability: Probability) -> f64 {
    (f64::from(probability) * 1e6).round() / 1e6
}

fn json(payload: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(payload)
        .expect("numbers, strings and maps with string keys always serialise")
}

#[cfg(test)]
#[path = "payload/tests.rs"]
mod tests;
