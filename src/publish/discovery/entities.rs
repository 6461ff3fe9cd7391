//! The entities of a node, a camera and a label, with the options of their platforms. Pure.
//!
//! Templates use fields of our own payloads only, all of which are always there.

use serde_json::{Value, json};

use super::Components;
use super::names::{CONNECTION, PROBLEM, Unique};
use crate::model::{CameraId, LabelKey};
use crate::publish::topics::Topics;
use crate::watch::ScoreKind;

/// Sends on what of an event may be of use to an automation. Home Assistant wants `event_type`.
const EVENT: &str = "{{ {'event_type': value_json.type, 'id': value_json.id, \
    'start_time': value_json.start_time, 'end_time': value_json.end_time, \
    'probability': value_json.probability, 'top_probability': value_json.top_probability, \
    'threshold': value_json.threshold, 'tile': value_json.tile, 'queued': value_json.queued, \
    'suppressed': value_json.suppressed, \
    'snapshot': value_json.snapshot} | to_json }}";

const HAS_PROBLEM: &str = "{{ 'ON' if value_json.state in ['stalled', 'retrying', 'failed'] \
    or value_json.problem else 'OFF' }}";

const REASON: &str = "{{ {'status': value_json.state, 'reason': value_json.reason, \
    'attempt': value_json.attempt, 'problem': value_json.problem, \
    'problem_reason': value_json.problem_reason, \
    'problem_since': value_json.problem_since} | to_json }}";

/// Of the node: whether it runs, and what it says of itself.
pub(super) fn of_node(topics: &Topics, unique: Unique<'_>) -> Components {
    let status = topics.node_status();
    let sensor = |what: &str, name: &str, field: &str, more: Value| {
        let mut sensor = json!({
            "platform": "sensor",
            "unique_id": unique.of_node(what),
            "name": name,
            "state_topic": status,
            "value_template": format!("{{{{ value_json.{field} }}}}"),
            "entity_category": "diagnostic",
            "availability": only(topics.available()),
        });
        extend(&mut sensor, more);
        (what.to_owned(), sensor)
    };
    let none = || json!({});
    [
        // Always there, for it is what says whether the rest is.
        ("connection".to_owned(), connection(unique.of_node("connection"), topics.available())),
        sensor("version", "Version", "version", none()),
        sensor("model", "Model", "model", none()),
        sensor("provider", "Provider", "provider", none()),
        sensor("fps", "Frame rate", "fps", measured("fps", 1)),
        sensor("outbox", "Waiting events", "outbox", json!({ "state_class": "measurement" })),
    ]
    .into_iter()
    .collect()
}

/// Of a camera, whatever is looked for in it. All but the labels' are there as long as the node.
pub(super) fn of_camera(topics: &Topics, unique: Unique<'_>, camera: &CameraId) -> Components {
    let status = topics.camera_status(camera);
    let mut entities = [
        ("connection", connection(String::new(), topics.camera_available(camera))),
        (
            "problem",
            json!({
                "platform": "binary_sensor",
                "name": PROBLEM,
                "device_class": "problem",
                "entity_category": "diagnostic",
                "state_topic": status,
                "value_template": HAS_PROBLEM,
                "json_attributes_topic": status,
                "json_attributes_template": REASON,
            }),
        ),
        ("fps", frame_rate(&status)),
        (
            "snapshot",
            json!({
                "platform": "image",
                "name": "Snapshot",
                "image_topic": topics.snapshot(camera),
                "content_type": "image/jpeg",
            }),
        ),
        (
            "enabled",
            json!({
                "platform": "switch",
                "name": "Enabled",
                "state_topic": topics.enabled_state(camera),
                "command_topic": topics.enabled_set(camera),
                "qos": 1,
            }),
        ),
        (LEARN_VIEW, learn_view(topics, camera)),
    ];
    for (what, entity) in &mut entities {
        extend(entity, json!({ "availability": only(topics.available()) }));
        extend(entity, json!({ "unique_id": unique.of_camera(camera, what) }));
    }
    entities.into_iter().map(|(what, entity)| (what.to_owned(), entity)).collect()
}

fn frame_rate(status: &str) -> Value {
    with(
        json!({
            "platform": "sensor",
            "name": "Frame rate",
            "entity_category": "diagnostic",
            "state_topic": status,
            "value_template": "{{ value_json.fps }}",
        }),
        measured("fps", 1),
    )
}

/// The command, and the entity that sends it.
const LEARN_VIEW: &str = "learn_view";

fn learn_view(topics: &Topics, camera: &CameraId) -> Value {
    let command = json!({ "command": LEARN_VIEW, "camera": camera.as_str() });
    json!({
        "platform": "button",
        "name": "Learn view",
        "entity_category": "config",
        "command_topic": topics.command(),
        "payload_press": command.to_string(),
        "qos": 1,
    })
}

/// Of a label that fires. They go with their camera's frames, but for the threshold.
pub(super) fn of_label(
    topics: &Topics,
    unique: Unique<'_>,
    key: &LabelKey,
    name: &str,
    score: ScoreKind,
) -> Components {
    let mut entities = [
        (
            "state",
            json!({
                "platform": "binary_sensor",
                "name": name,
                "state_topic": topics.state(key),
                "json_attributes_topic": topics.attributes(key),
                "qos": 1,
            }),
        ),
        (
            "probability",
            with(
                json!({
                    "platform": "sensor",
                    "name": format!("{name} probability"),
                    "state_topic": topics.probabilities(&key.camera, &key.watch),
                    "value_template": percent(key.label.as_str()),
                }),
                measured("%", 1),
            ),
        ),
        (
            "event",
            json!({
                "platform": "event",
                "name": format!("{name} event"),
                "state_topic": topics.event(key),
                "event_types": ["start", "update", "end"],
                "value_template": EVENT,
                "qos": 1,
            }),
        ),
        ("threshold", threshold(topics, key, name, score)),
    ];
    for (what, entity) in &mut entities {
        extend(entity, json!({ "unique_id": unique.of_label(key, what) }));
    }
    // The node and the camera are the device's, so its components need not say them again.
    let id = |what: &str| super::joined([key.watch.as_str(), key.label.as_str(), what]);
    entities.into_iter().map(|(what, entity)| (id(what), entity)).collect()
}

/// Its own state is the rule's, so it does not go with the camera.
fn threshold(topics: &Topics, key: &LabelKey, name: &str, score: ScoreKind) -> Value {
    // What SigLIP says is small for most things that are there.
    let step = if score == ScoreKind::Sigmoid { 0.001 } else { 0.01 };
    json!({
        "platform": "number",
        "name": format!("{name} threshold"),
        "entity_category": "config",
        "state_topic": topics.threshold_state(key),
        "command_topic": topics.threshold_set(key),
        "min": step,
        "max": 1,
        "step": step,
        "qos": 1,
        "availability": only(topics.available()),
    })
}

fn connection(unique_id: String, topic: String) -> Value {
    json!({
        "platform": "binary_sensor",
        "unique_id": unique_id,
        "name": CONNECTION,
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topic,
        "payload_on": crate::publish::payload::ONLINE,
        "payload_off": crate::publish::payload::OFFLINE,
    })
}

/// A label that a message lacks (it may be of older rules) leaves the sensor as it is.
fn percent(label: &str) -> String {
    format!(
        "{{{{ (value_json.probabilities['{label}'] * 100) | round(1) \
         if '{label}' in value_json.probabilities }}}}"
    )
}

fn only(topic: String) -> Value {
    json!([{ "topic": topic }])
}

fn measured(unit: &str, digits: u8) -> Value {
    json!({
        "unit_of_measurement": unit,
        "state_class": "measurement",
        "suggested_display_precision": digits,
    })
}

fn with(mut entity: Value, more: Value) -> Value {
    extend(&mut entity, more);
    entity
}

fn extend(entity: &mut Value, more: Value) {
    if let (Value::Object(entity), Value::Object(more)) = (entity, more) {
        entity.extend(more);
    }
}
