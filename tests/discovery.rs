//! Home Assistant's discovery: every message of a rich configuration keeps the rules of
//! `support/discovery.rs`, and the rules notice what is broken.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

#[path = "support/discovery.rs"]
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ndarray::Array2;
use seewhen::command::{self, Command};
use seewhen::model::{
    CameraChange, CameraId, CameraState, Captured, Event, EventKind, LabelId, LabelKey, NodeId,
    Shown, WallTime, WatchId,
};
use seewhen::publish::discovery::{self, Discovery, Messages};
use seewhen::publish::payload::{self, Load, NodeStatus};
use seewhen::publish::topics::Topics;
use seewhen::status::Work;
use seewhen::watch::{Label, LabelRule, Probabilities, ScoreKind, Watch, WatchSet, WatchedCamera};
use serde_json::{Value, json};

use rules::{Contract, problems, required};

fn camera(id: &str) -> CameraId {
    CameraId::try_new(id).unwrap()
}

/// A watch; labels that begin with '-' are background.
fn watch(id: &str, cameras: &[&str], labels: &[&str], score: ScoreKind) -> Watch {
    let rule = LabelRule {
        threshold: 0.8,
        clear: 0.6,
        hold: Duration::ZERO,
        cooldown: Duration::ZERO,
        update_every: Duration::ZERO,
        consensus: Default::default(),
        active: None,
        shadow: false,
        enabled: true,
    };
    let label = |id: &&str| match id.strip_prefix('-') {
        Some(id) => Label { id: LabelId::try_new(id).unwrap(), rule: None },
        None => Label { id: LabelId::try_new(id).unwrap(), rule: Some(rule.clone()) },
    };
    Watch {
        id: WatchId::try_new(id).unwrap(),
        cameras: cameras.iter().map(|id| camera(id)).collect(),
        labels: labels.iter().map(label).collect(),
        score,
        matrix: Array2::zeros((labels.len(), 1)),
        taught: Default::default(),
        publish_every: Duration::ZERO,
        enabled: true,
    }
}

fn set(cameras: &[&str], watches: Vec<Watch>) -> WatchSet {
    let watched = |id: &&str| WatchedCamera {
        id: camera(id),
        stale_after: Duration::ZERO,
        enabled: true,
        view_check: Some(Shown(1)),
    };
    WatchSet {
        cameras: cameras.iter().map(watched).collect(),
        watches,
        logit_scale: 100.0,
        logit_bias: 0.0,
        model: "mini".into(),
        revision: 1,
    }
}

/// One label alone, labels of the same name, ids that differ in '-' and '_' only, ids that read
/// the same when they are joined, the longest ids, a camera that nothing looks at.
fn rich() -> WatchSet {
    let long = "x".repeat(64);
    let soft = ScoreKind::Softmax;
    set(
        &["porch", "front_door", "idle", &long],
        vec![
            watch("porch", &["porch", "front_door"], &["package", "-nothing"], soft),
            watch("day", &["front_door"], &["person", "cat-flap", "cat_flap"], soft),
            watch("night", &["front_door"], &["person", "-dark"], ScoreKind::Sigmoid),
            watch("a", &["front_door"], &["b_c", "problem"], soft),
            watch("a_b", &["front_door"], &["c"], soft),
            watch(&long, &[&long], &[&long], soft),
        ],
    )
}

fn messages(set: &WatchSet) -> Messages {
    let node = NodeId::try_new("gate").unwrap();
    let topics = Topics::new("seewhen", &node);
    Discovery {
        prefix: "homeassistant",
        topics: &topics,
        node: &node,
        version: "1.2.3",
        pictures: true,
        commands: true,
    }
    .messages(set)
}

/// The topics of the contract, written out, with payloads as the daemon makes them.
fn contract(set: &WatchSet) -> Contract {
    let mut published = BTreeMap::new();
    let mut commands = BTreeSet::new();
    let mut publish = |topic: String, payload: Vec<u8>| published.insert(topic, payload);
    let p = "seewhen/gate";
    publish(format!("{p}/available"), b"online".to_vec());
    publish(format!("{p}/status"), node_status());
    commands.insert(format!("{p}/command"));
    for camera in &set.cameras {
        let c = format!("{p}/{}", camera.id);
        publish(format!("{c}/available"), b"online".to_vec());
        publish(format!("{c}/status"), camera_status(&camera.id));
        publish(format!("{c}/snapshot"), vec![0xff, 0xd8]);
        publish(format!("{c}/enabled/state"), b"ON".to_vec());
        commands.insert(format!("{c}/enabled/set"));
        for watch in set.for_camera(&camera.id) {
            let all = Probabilities::new(watch.labels.clone(), vec![0.5; watch.labels.len()]);
            let probabilities = payload::probabilities(WallTime(1.0), &all, Some("mini"));
            publish(format!("{c}/{}/probabilities", watch.id), probabilities);
        }
    }
    for (key, _) in set.told() {
        let l = format!("{p}/{}/{}/{}", key.camera, key.watch, key.label);
        publish(format!("{l}/state"), b"ON".to_vec());
        publish(format!("{l}/attributes"), payload::attributes(Some(0.9), 0.8, None));
        publish(format!("{l}/event"), event(&key));
        publish(format!("{l}/threshold/state"), b"0.8".to_vec());
        commands.insert(format!("{l}/threshold/set"));
    }
    Contract { published, commands }
}

fn node_status() -> Vec<u8> {
    payload::node_status(&NodeStatus {
        version: "1.2.3",
        model: "mini",
        provider: Some("cpu"),
        precision: Some("fp32"),
        fps: 8.0,
        outbox: 0,
        history: None,
        snapshots: None,
        commands: &[],
    })
}

fn camera_status(camera: &CameraId) -> Vec<u8> {
    let change = CameraChange {
        camera: camera.clone(),
        state: CameraState::Running,
        reason: String::new(),
        attempt: 0,
        captured: Captured::default(),
    };
    let work = Work::default();
    let (fps, cpu, problem) = (1.0, 0.0, None);
    payload::status(&change, &Load { fps, dropped: 0, unchanged: 0, cpu, work, problem }, &[])
}

fn event(key: &LabelKey) -> Vec<u8> {
    let event = Event {
        id: "1".into(),
        kind: EventKind::Start,
        key: key.clone(),
        start_time: WallTime(1.0),
        end_time: None,
        frame_time: WallTime(1.0),
        probability: 0.9,
        top_probability: 0.9,
        threshold: 0.8,
        probabilities: BTreeMap::new(),
        tile: None,
        model: "mini".into(),
        suppressed: None,
        snapshot: None,
    };
    payload::event(&event, NodeId::try_new("gate").ok().as_ref(), false)
}

const DOOR: &str = "homeassistant/device/seewhen_gate_front_door/config";
const NODE: &str = "homeassistant/device/seewhen_gate/config";

fn read(messages: &Messages, topic: &str) -> Value {
    serde_json::from_slice(&messages[topic]).unwrap()
}

#[test]
fn every_message_keeps_the_rules() {
    let set = rich();
    let messages = messages(&set);
    assert_eq!(messages.len(), 1 + set.cameras.len());
    let found = problems(&messages, &contract(&set));
    assert!(found.is_empty(), "{found:#?}");
}

/// Changes each entity in a copy of the messages and expects the rules to notice every time.
#[track_caller]
fn expect_noticed(what: &str, word: &str, mut change: impl FnMut(&mut Value) -> bool) {
    let set = rich();
    let (good, contract) = (messages(&set), contract(&set));
    let mut tried = 0;
    for topic in good.keys() {
        let message = read(&good, topic);
        for id in message["components"].as_object().unwrap().keys() {
            let mut broken = message.clone();
            if !change(&mut broken["components"][id]) {
                continue;
            }
            tried += 1;
            let mut messages = good.clone();
            messages.insert(topic.clone(), broken.to_string().into_bytes());
            let found = problems(&messages, &contract);
            let noticed = found.iter().any(|problem| problem.contains(word));
            assert!(noticed, "{what}: {topic} {id}: {found:#?}");
        }
    }
    assert!(tried > 0, "{what} was never tried");
}

fn replace_in(component: &mut Value, key: &str, from: &str, to: &str) -> bool {
    let Some(text) = component[key].as_str() else { return false };
    let changed = text.replacen(from, to, 1);
    let differs = changed != text;
    component[key] = json!(changed);
    differs
}

#[test]
fn the_rules_notice_a_missing_key() {
    for platform in ["binary_sensor", "sensor", "event", "image", "switch", "number", "button"] {
        for key in required(platform) {
            let word = if key == "platform" { "no platform" } else { "is missing" };
            expect_noticed(&format!("{platform} without {key}"), word, |component| {
                component["platform"] == platform
                    && component.as_object_mut().unwrap().remove(key).is_some()
            });
        }
    }
}

#[test]
fn the_rules_notice_what_is_broken() {
    let put = |key: &'static str, value: Value| {
        move |component: &mut Value| {
            component[key] = value.clone();
            true
        }
    };
    expect_noticed("a key of no platform", "not known", put("colour", json!("red")));
    expect_noticed("an empty name", "name is empty", put("name", json!(" ")));
    let other = json!("seewhen_gate_idle_enabled");
    expect_noticed("an id of another", "twice", |component| {
        let differs = component["unique_id"] != other && component["platform"] == "switch";
        component["unique_id"] = other.clone();
        differs
    });
    for key in ["state_topic", "command_topic", "image_topic", "json_attributes_topic"] {
        expect_noticed(key, "not in the contract", |c| replace_in(c, key, "seewhen/", "other/"));
    }
    for key in ["value_template", "json_attributes_template"] {
        expect_noticed(key, "lacks", |c| replace_in(c, key, "value_json.", "value_json.no_"));
        expect_noticed(key, "not balanced", |c| replace_in(c, key, "}}", "}"));
    }
    expect_noticed("a label of another watch", "lacks", |c| {
        replace_in(c, "value_template", "probabilities['", "probabilities['no")
    });
    let status = json!([{ "topic": "seewhen/gate/status" }]);
    expect_noticed("availability", "no availability", put("availability", status));
}

#[test]
fn the_rules_notice_a_broken_device() {
    let set = rich();
    let (good, contract) = (messages(&set), contract(&set));
    let with = |topic: &str, change: &dyn Fn(&mut Value)| {
        let mut message = read(&good, DOOR);
        change(&mut message);
        let mut messages = good.clone();
        messages.remove(DOOR);
        messages.insert(topic.to_owned(), message.to_string().into_bytes());
        problems(&messages, &contract).join("\n")
    };
    assert_eq!(with(DOOR, &|_| {}), "");
    assert!(with("homeassistant/device/a b/config", &|_| {}).contains("no topic"));
    assert!(with(DOOR, &|m| m["device"]["name"] = json!("")).contains("no name"));
    assert!(with(DOOR, &|m| m["device"]["via_device"] = json!("x")).contains("is no device"));
    assert!(with(DOOR, &|m| m["origin"] = Value::Null).contains("origin is missing"));
    assert!(with(DOOR, &|m| m["availability_mode"] = json!("some")).contains("\"some\""));
    assert!(with(DOOR, &|m| m["extra"] = json!(1)).contains("extra is not known"));
}

#[test]
fn entities_are_named_and_go_away_as_promised() {
    let all = messages(&rich());
    let door = read(&all, DOOR);
    assert_eq!(door["device"]["name"], "Front door");
    assert_eq!(door["device"]["via_device"], read(&all, NODE)["device"]["identifiers"][0]);
    let entities = &door["components"];
    for (id, name, unique) in [
        ("porch_package_state", "Package", "seewhen_gate_front.door_porch_package_state"),
        ("day_person_event", "Day person event", "seewhen_gate_front.door_day_person_event"),
        ("night_person_state", "Night person", "seewhen_gate_front.door_night_person_state"),
        ("day_cat-flap_state", "day/cat-flap", "seewhen_gate_front.door_day_cat-flap_state"),
        ("a_b.c_state", "B c", "seewhen_gate_front.door_a_b.c_state"),
        ("a.b_c_state", "C", "seewhen_gate_front.door_a.b_c_state"),
        ("a_problem_state", "A problem", "seewhen_gate_front.door_a_problem_state"),
        ("problem", "Problem", "seewhen_gate_front.door_problem"),
    ] {
        assert_eq!(entities[id]["name"], name);
        assert_eq!(entities[id]["unique_id"], unique);
    }
    assert!(!door.to_string().contains("nothing"), "background does not show");
    let node = json!([{ "topic": "seewhen/gate/available" }]);
    let both = json!([{ "topic": "seewhen/gate/available" },
        { "topic": "seewhen/gate/front_door/available" }]);
    assert_eq!([&door["availability"], &door["availability_mode"]], [&both, &json!("all")]);
    for (id, entity) in entities.as_object().unwrap() {
        let follows = ["_state", "_probability", "_event"].iter().any(|end| id.ends_with(end));
        let expected = if follows { &Value::Null } else { &node };
        assert_eq!(&entity["availability"], expected, "{id}");
    }
    assert_eq!(entities["day_person_threshold"]["min"], 0.01);
    assert_eq!(entities["night_person_threshold"]["step"], 0.001);
}

#[test]
fn a_change_clears_what_has_gone() {
    let soft = ScoreKind::Softmax;
    let old = messages(&set(
        &["porch", "yard"],
        vec![watch("w", &["porch", "yard"], &["cat", "dog"], soft)],
    ));
    let new = messages(&set(&["porch"], vec![watch("w", &["porch"], &["cat"], soft)]));
    let (porch, yard) = (
        "homeassistant/device/seewhen_gate_porch/config",
        "homeassistant/device/seewhen_gate_yard/config",
    );
    assert_eq!(discovery::removals(&old, &new), [yard]);
    let update = discovery::update(&old, &new);
    assert_eq!(update.keys().collect::<Vec<_>>(), [porch, yard], "the node's stays as it is");
    assert_eq!(update[yard], b"");
    let components = &read(&update, porch)["components"];
    assert_eq!(components["w_dog_state"], json!({ "platform": "binary_sensor" }));
    assert_eq!(components["w_dog_threshold"], json!({ "platform": "number" }));
    assert_eq!(components["w_cat_state"], read(&new, porch)["components"]["w_cat_state"]);
    assert_eq!(discovery::update(&Messages::new(), &new), new, "the first time");
    // A message that was kept with what had gone by then names it as gone again, and no more.
    let again = discovery::update(&update, &new);
    assert_eq!(read(&again, porch), read(&update, porch));
    assert_eq!(again.keys().collect::<Vec<_>>(), [NODE, porch]);
}

#[test]
fn a_node_knows_its_own_messages() {
    let messages = messages(&rich());
    let is_own = |node: &str, payload: &[u8]| {
        let node = NodeId::try_new(node).unwrap();
        let topics = Topics::new("seewhen", &node);
        let own = Discovery {
            prefix: "homeassistant",
            topics: &topics,
            node: &node,
            version: "",
            pictures: true,
            commands: true,
        };
        assert_eq!(discovery::filter("homeassistant"), "homeassistant/device/+/config");
        own.is_own(payload)
    };
    for message in messages.values() {
        assert!(is_own("gate", message));
        assert!(!is_own("gate_front", message));
    }
    assert!(!is_own("gate", b"no JSON") && !is_own("gate", b"{}"));
    let node = NodeId::try_new("gate").unwrap();
    let topics = Topics::new("seewhen", &node);
    let off = Discovery { prefix: "", ..all(&topics, &node) };
    assert!(off.messages(&rich()).is_empty(), "turned off");
}

fn all<'a>(topics: &'a Topics, node: &'a NodeId) -> Discovery<'a> {
    let prefix = "homeassistant";
    Discovery { prefix, topics, node, version: "", commands: true, pictures: true }
}

#[test]
fn the_button_sends_a_command_where_views_are_checked() {
    let mut set = rich();
    let button = |set: &WatchSet| {
        let button = read(&messages(set), DOOR)["components"]["learn_view"].clone();
        button.is_object().then_some(button)
    };
    let payload = button(&set).unwrap()["payload_press"].as_str().unwrap().to_owned();
    let request = command::parse::json(payload.as_bytes()).unwrap();
    assert_eq!(request.command, Command::LearnView(camera("front_door")));
    set.cameras.iter_mut().for_each(|camera| camera.view_check = None);
    assert_eq!(button(&set), None);
}

/// Nothing is promised that nobody serves.
#[test]
fn without_commands_and_pictures_there_is_nothing_of_them() {
    let node = NodeId::try_new("gate").unwrap();
    let topics = Topics::new("seewhen", &node);
    let all = all(&topics, &node);
    let text = |discovery: Discovery<'_>| {
        let messages = discovery.messages(&rich()).into_values();
        messages.map(|message| String::from_utf8(message).unwrap()).collect::<String>()
    };
    for part in ["/set\"", "\"number\"", "\"switch\"", "\"button\"", "/command\""] {
        assert!(text(all).contains(part), "{part}");
        assert!(!text(Discovery { commands: false, ..all }).contains(part), "{part}");
    }
    for part in ["/snapshot\"", "\"image\""] {
        assert!(text(all).contains(part), "{part}");
        assert!(!text(Discovery { pictures: false, ..all }).contains(part), "{part}");
    }
    assert!(text(Discovery { commands: false, ..all }).contains("\"event\""));
}
