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
    probabilities: &[(LabelId, Probability)],
    model: Option<&str>,
) -> Vec<u8> {
    let probabilities = probabilities.iter().map(|(id, p)| (id.as_str(), rounded(*p))).collect();
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
mod tests {
    use super::*;
    use crate::model::{
        CameraId, CameraState, Captured, EventKind, LabelKey, Moment, ProblemKind, WatchId,
    };
    use std::time::Duration;

    fn label(id: &str) -> LabelId {
        LabelId::try_new(id).unwrap()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_has_every_field_of_the_contract() {
        let sample = Event {
            id: "1.000-c-w-l".into(),
            kind: EventKind::End,
            key: LabelKey {
                camera: CameraId::try_new("c").unwrap(),
                watch: WatchId::try_new("w").unwrap(),
                label: label("l"),
            },
            start_time: WallTime(1.0004),
            end_time: Some(WallTime(3.5)),
            frame_time: WallTime(4.0),
            probability: 0.1,
            top_probability: 0.9,
            threshold: 0.8,
            probabilities: [(label("l"), 0.1), (label("rest"), 0.9)].into(),
            tile: Some(Region { x: 0.437_5, y: 0.0, width: 0.562_5, height: 1.0 }),
            model: "mini".into(),
            suppressed: None,
            snapshot: Some("gate/c/2026-11-26/03-10-04.000-w-l.jpg".into()),
        };
        let node = NodeId::try_new("gate").unwrap();
        assert_eq!(
            text(event(&sample, Some(&node), true)),
            r#"{"id":"1.000-c-w-l","type":"end","node":"gate","camera":"c","watch":"w","label":"l","start_time":1.0,"end_time":3.5,"frame_time":4.0,"probability":0.1,"top_probability":0.9,"threshold":0.8,"probabilities":{"l":0.1,"rest":0.9},"tile":{"x":0.4375,"y":0.0,"width":0.5625,"height":1.0},"model":"mini","queued":true,"suppressed":null,"snapshot":"gate/c/2026-11-26/03-10-04.000-w-l.jpg"}"#
        );
        let first = WallTime(0.5);
        let suppressed =
            Some(Suppressed { count: 2, top_probability: 0.95, first, last: WallTime(0.75) });
        let told = text(event(&Event { suppressed, ..sample }, Some(&node), false));
        let expected =
            r#""suppressed":{"count":2,"top_probability":0.95,"first":0.5,"last":0.75},"#;
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn probabilities_and_status() {
        let p = [(label("b"), 0.25), (label("a"), 0.75)];
        assert_eq!(
            text(probabilities(WallTime(2.5), &p, Some("mini"))),
            r#"{"time":2.5,"probabilities":{"a":0.75,"b":0.25},"model":"mini"}"#
        );
        let change = CameraChange {
            camera: CameraId::try_new("c").unwrap(),
            state: CameraState::Retrying,
            reason: "refused".to_owned(),
            attempt: 2,
            captured: Captured { at: Moment(Duration::ZERO), time: WallTime(7.0) },
        };
        let work = Work {
            strategy: Some(DecodeStrategy::KeyFrames),
            key_interval: Some(Duration::from_millis(2000)),
            decoder: Some("avdec_h264".into()),
            note: None,
        };
        let key = |id: &str| LabelKey {
            camera: CameraId::try_new(id).unwrap(),
            watch: WatchId::try_new("w").unwrap(),
            label: label("l"),
        };
        let shadows = [(key("c"), 4)];
        let (kind, since) = (ProblemKind::Moved, WallTime(8.000_4));
        let problem = Some(Problem { kind, reason: "another view", since });
        let load = Load { fps: 1.999_9, dropped: 3, unchanged: 5, cpu: 0.017_04, work, problem };
        assert_eq!(
            text(status(&change, &load, &shadows)),
            r#"{"state":"retrying","reason":"refused","attempt":2,"since":7.0,"fps":2.0,"dropped":3,"unchanged":5,"strategy":"keyframes","key_interval":2.0,"decoder":"avdec_h264","cpu":0.017,"problem":"moved","problem_reason":"another view","problem_since":8.0,"shadow":{"w/l":4}}"#
        );
    }

    #[test]
    fn what_home_assistant_shows_besides() {
        let status = NodeStatus {
            version: "1.2.3",
            model: "mini",
            provider: Some("openvino"),
            precision: None,
            fps: 7.996,
            outbox: 2,
            history: Some("the disk is full"),
            snapshots: None,
            commands: &[("done", 3), ("too_large", 0)],
        };
        assert_eq!(
            text(node_status(&status)),
            r#"{"version":"1.2.3","model":"mini","provider":"openvino","precision":null,"fps":8.0,"outbox":2,"history":"the disk is full","snapshots":null,"commands":{"done":3,"too_large":0}}"#
        );
        assert_eq!(
            text(attributes(Some(0.9), 0.8, Some(WallTime(2.000_4)))),
            r#"{"probability":0.9,"threshold":0.8,"since":2.0}"#
        );
        assert_eq!(
            text(attributes(None, 0.8, None)),
            r#"{"probability":null,"threshold":0.8,"since":null}"#
        );
        assert_eq!([threshold(0.8), threshold(1.0), threshold(0.005)], ["0.8", "1", "0.005"]);
    }
}
