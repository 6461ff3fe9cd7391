//! Promise: what is published is what docs/schema says, to the key. Every end-to-end test checks what it
//! hears; here every schema meets a payload of the code's, and refuses it with anything gone, of another
//! type, or new.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

#[path = "support/schema.rs"]
mod schema;

use std::collections::BTreeMap;
use std::time::Duration;

use seewhen::command::{Answer, Done, Tag, TaughtCounts};
use seewhen::model::{
    CameraChange, CameraId, CameraState, Captured, DecodeStrategy, Event, EventKind, LabelId,
    LabelKey, Moment, NodeId, Problem, ProblemKind, Region, Suppressed, WallTime, WatchId,
};
use seewhen::publish::payload::{self, Load, NodeStatus};
use seewhen::status::Work;
use seewhen::watch::explanation::{Explanation, OpenStay, SeenFrame, Shift, Standing, Verdict};
use seewhen::watch::{Consensus, Label, Probabilities, ScoreKind};
use serde_json::{Value, json};

fn key() -> LabelKey {
    LabelKey {
        camera: CameraId::try_new("porch").unwrap(),
        watch: WatchId::try_new("w").unwrap(),
        label: LabelId::try_new("parcel").unwrap(),
    }
}

fn label(id: &str) -> LabelId {
    LabelId::try_new(id).unwrap()
}

const SUPPRESSED: Suppressed =
    Suppressed { count: 2, top_probability: 0.9, first: WallTime(1.0), last: WallTime(2.0) };

const COMMANDS: [(&str, u64); 7] = [
    ("done", 1),
    ("refused", 2),
    ("malformed", 3),
    ("too_large", 4),
    ("retained", 5),
    ("flooding", 6),
    ("ignored", 7),
];

fn event(kind: EventKind) -> Event {
    Event {
        id: "1.000-porch-w-parcel".into(),
        kind,
        key: key(),
        start_time: WallTime(1.0),
        end_time: (kind == EventKind::End).then_some(WallTime(3.0)),
        frame_time: WallTime(3.5),
        probability: 0.1,
        top_probability: 0.9,
        threshold: 0.8,
        probabilities: BTreeMap::from([(label("parcel"), 0.1), (label("rest"), 0.9)]),
        tile: Some(Region { x: 0.0, y: 0.0, width: 0.5, height: 1.0 }),
        model: "mini".into(),
        suppressed: Some(SUPPRESSED),
        snapshot: Some("gate/porch/1970-01-01/00-00-01.000-w-parcel.jpg".into()),
    }
}

fn change() -> CameraChange {
    CameraChange {
        camera: key().camera,
        state: CameraState::Running,
        reason: String::new(),
        attempt: 1,
        captured: Captured { at: Moment(Duration::ZERO), time: WallTime(1.0) },
    }
}

fn camera_status() -> Vec<u8> {
    let work = Work {
        strategy: Some(DecodeStrategy::KeyFrames),
        key_interval: Some(Duration::from_secs(2)),
        decoder: Some("avdec_h264".into()),
        note: None,
    };
    let (kind, since) = (ProblemKind::Frozen, WallTime(1.0));
    let problem = Some(Problem { kind, reason: "it stands still", since });
    let load = Load { fps: 1.0, dropped: 0, unchanged: 3, cpu: 0.02, work, problem };
    payload::status(&change(), &load, &[(key(), 4)])
}

fn node_status() -> Vec<u8> {
    payload::node_status(&NodeStatus {
        version: "1.2.3",
        model: "mini",
        provider: Some("cpu"),
        precision: Some("original"),
        fps: 8.0,
        outbox: 0,
        history: Some("the disk is full"),
        snapshots: None,
        commands: &COMMANDS,
    })
}

/// With everything that one may have, or with as little.
fn explanation(full: bool) -> Value {
    let only = |value: Standing| full.then_some(value);
    let second = Duration::from_secs(1);
    let (since, until) = (Some(WallTime(0.0)), Some(WallTime(9.0)));
    let explanation = Explanation {
        key: key(),
        verdict: if full { Verdict::On } else { Verdict::Background },
        score: ScoreKind::Softmax,
        taught: if full { vec![label("parcel")] } else { Vec::new() },
        is_blank: false,
        frame: full.then(|| SeenFrame {
            time: WallTime(4.0),
            age: second,
            unchanged: 2,
            probabilities: Probabilities::new(
                ["parcel", "rest"].map(|id| Label { id: label(id), rule: None }).into(),
                [0.9, 0.1],
            ),
        }),
        standing: only(Standing {
            threshold: 0.8,
            clear: 0.6,
            hold: second,
            held: second,
            consensus: Consensus::default(),
            agree: 1,
            cooldown: second,
            cooldown_left: Duration::ZERO,
            schedule: Some(Shift { active: true, since, until }),
            shadow: false,
            open: Some(OpenStay { id: "1".into(), since: WallTime(2.0), top_probability: 0.9 }),
            highest: Some((0.9, WallTime(3.0))),
            events: 3,
            suppressed: Some(SUPPRESSED),
        }),
        camera: full.then(change),
        model: "mini".into(),
        now: WallTime(5.0),
    };
    payload::explanation_fields(&explanation)
}

fn answer() -> Answer {
    let tag = Tag { id: Some("1".into()), topic: Some("t".into()), command: Some("enable") };
    let notes = vec!["clear went along".to_owned()];
    let taught = Some(Box::new(TaughtCounts { added: 1, yes: 2, no: 3 }));
    Answer { tag, result: Ok(Done { persisted: Some(true), notes, explanation: None, taught }) }
}

/// A payload with everything in it, for each schema.
fn samples() -> Vec<(&'static str, Value)> {
    let read = |payload: Vec<u8>| serde_json::from_slice(&payload).unwrap();
    let node = NodeId::try_new("gate").unwrap();
    let parcel = [Label { id: label("parcel"), rule: None }];
    let parcel = Probabilities::new(parcel.into(), [0.25]);
    vec![
        ("event", read(payload::event(&event(EventKind::End), Some(&node), true))),
        ("probabilities", read(payload::probabilities(WallTime(1.0), &parcel, Some("mini")))),
        ("camera-status", read(camera_status())),
        ("node-status", read(node_status())),
        ("attributes", read(payload::attributes(Some(0.9), 0.8, Some(WallTime(1.0))))),
        ("explanation", explanation(true)),
        ("reply", read(payload::reply(&answer()))),
    ]
}

#[test]
fn every_schema_takes_what_the_code_writes() {
    let samples = samples();
    for (name, sample) in &samples {
        schema::check(name, sample).unwrap();
    }
    let names: Vec<String> = schema::with(|all| all.names().map(str::to_owned).collect());
    let tried = |name: &String| samples.iter().any(|(tried, _)| tried == name);
    assert!(names.iter().all(tried), "{names:?}");
    // What may be missing is null.
    let start = Event { tile: None, suppressed: None, ..event(EventKind::Start) };
    let start = payload::event(&start, NodeId::try_new("gate").ok().as_ref(), false);
    schema::check("event", &serde_json::from_slice(&start).unwrap()).unwrap();
    let fresh = payload::attributes(None, 0.8, None);
    schema::check("attributes", &serde_json::from_slice(&fresh).unwrap()).unwrap();
    schema::check("explanation", &explanation(false)).unwrap();
}

/// Everywhere in `value`: each change of one place, as the way there and the whole with that change.
fn changed(value: &Value, way: &str, out: &mut Vec<(String, Value)>) {
    let Value::Object(fields) = value else { return };
    // Their keys are the user's labels.
    let open = way.ends_with("probabilities") || way.ends_with("shadow");
    for (name, field) in fields {
        let with = |new: Option<Value>| {
            let mut whole = fields.clone();
            match new {
                Some(new) => whole.insert(name.clone(), new),
                None => whole.remove(name),
            };
            Value::Object(whole)
        };
        if !open {
            out.push((format!("{way}/{name} is gone"), with(None)));
        }
        if !field.is_array() {
            out.push((format!("{way}/{name} is a list"), with(Some(json!([])))));
        }
        let wordy = field.is_string() || field.is_null();
        let wrong = if wordy { json!(3) } else { json!("three") };
        out.push((format!("{way}/{name} is {wrong}"), with(Some(wrong))));
        let mut deeper = Vec::new();
        changed(field, &format!("{way}/{name}"), &mut deeper);
        out.extend(deeper.into_iter().map(|(way, new)| (way, with(Some(new)))));
    }
    let mut more = fields.clone();
    more.insert("a new key".to_owned(), json!(0.5));
    out.push((format!("{way} has a new key"), Value::Object(more)));
}

#[test]
fn every_schema_refuses_anything_else() {
    let mut tried = 0;
    for (name, sample) in samples() {
        let mut all = Vec::new();
        changed(&sample, "", &mut all);
        for (what, payload) in &all {
            assert!(schema::check(name, payload).is_err(), "{name}: {what}: {payload}");
        }
        tried += all.len();
    }
    assert!(tried > 150, "{tried}");
    let mut end = samples().remove(0).1;
    end["end_time"] = Value::Null;
    assert!(schema::check("event", &end).is_err(), "an end without its time");
    end["type"] = json!("start");
    schema::check("event", &end).unwrap();
}

/// For people, too: each key is described, objects are closed, and the list has each file.
#[test]
fn schemas_describe_themselves() {
    fn look(schema: &Value, way: &str) {
        if let Some(properties) = schema["properties"].as_object()
            && schema["required"].is_array()
        {
            assert_eq!(schema["additionalProperties"], false, "{way}");
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{way}/{name} has no description");
            }
        }
        match schema {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| look(field, &format!("{way}/{name}")));
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, way)),
            _ => {}
        }
    }
    let list = std::fs::read_to_string(schema::folder().join("README.md")).unwrap();
    for name in schema::with(|all| all.names().map(str::to_owned).collect::<Vec<_>>()) {
        let text = std::fs::read(schema::folder().join(format!("{name}.json"))).unwrap();
        let schema: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{name}");
        look(&schema, &name);
        assert!(list.contains(&format!("({name}.json)")), "{name} is not in README.md");
    }
}
