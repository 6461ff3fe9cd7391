//! Commands over a real broker, by topic and as JSON: what they change, what is kept, what is refused.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(clippy::print_stdout, reason = "what a kill left are shown with --nocapture")]

#[path = "support/commands.rs"]
mod bench;
mod support;

use std::time::Duration;

use bench::{Bench, SOON, config, kept, still};
use serde_json::{Value, json};
use support::{Broker, Seewhen};

#[test]
fn a_camera_is_switched_and_a_threshold_set_by_topic() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let seewhen = Seewhen::start(&config(&broker, ""));
    bench.becomes("yard/enabled/state", "ON");
    bench.becomes("yard/garden/bars/threshold/state", "0.0002");
    bench.becomes("yard/garden/bars/state", "ON");

    bench.set("yard/enabled/set", "OFF");
    bench.becomes("yard/enabled/state", "OFF");
    bench.becomes("yard/garden/bars/state", "OFF");
    bench.becomes("yard/available", "offline");
    bench.heard.expect("bars/event", SOON, |heard| heard.json()["type"] == "end");
    bench.heard.expect("yard/status", SOON, |heard| heard.json()["state"] == "disabled");
    let topic = "seewhen/test/yard/enabled/set";
    let reply = bench.heard.expect("/reply", SOON, |heard| heard.json()["topic"] == topic).json();
    let wanted = json!({ "id": null, "topic": topic, "command": "disable", "ok": true,
        "reason": null, "persisted": true, "notes": [], "explanation": null,
        "taught": null });
    assert_eq!(reply, wanted);
    assert!(kept(&seewhen).contains("enabled = false"), "{}", kept(&seewhen));
    let frames = seewhen.log().matches("frames are flowing").count();

    bench.set("yard/enabled/set", "ON");
    bench.becomes("yard/enabled/state", "ON");
    bench.becomes("yard/available", "online");
    bench.becomes("yard/garden/bars/state", "ON");
    assert_eq!(seewhen.log().matches("frames are flowing").count(), frames + 1, "one camera");

    // What is on stays so until it is below `clear`, whatever the threshold.
    bench.set("yard/garden/bars/threshold/set", "0.999999");
    bench.becomes("yard/garden/bars/threshold/state", "0.999999");
    bench.done(json!({ "command": "change_label", "watch": "garden", "label": "bars",
        "clear": 0.999998 }));
    bench.becomes("yard/garden/bars/state", "OFF");
    bench.done(json!({ "command": "change_label", "watch": "garden", "label": "bars",
        "clear": null }));
    bench.set("yard/garden/bars/threshold/set", "0.00005");
    bench.becomes("yard/garden/bars/threshold/state", "0.00005");
    bench.becomes("yard/garden/bars/state", "ON");
    let lowered = |heard: &support::Heard| heard.payload.contains("clear was not below");
    let reply = bench.heard.expect("/reply", SOON, lowered).json();
    assert_eq!(reply["notes"][0], "clear was not below the new threshold and is 0.00004 now");
    assert!(kept(&seewhen).contains("clear = 0.00004\n"), "{}", kept(&seewhen));
    // What was lowered for one threshold is not left for the next.
    bench.set("yard/garden/bars/threshold/set", "0.0003");
    bench.becomes("yard/garden/bars/threshold/state", "0.0003");
    support::wait_for("clear is not kept", SOON, || {
        (!kept(&seewhen).contains("clear")).then_some(())
    });

    for (topic, payload, word) in [
        ("yard/enabled/set", "off", "write ON or OFF"),
        ("ghost/enabled/set", "ON", "no camera \"ghost\"; cameras: street, yard"),
        ("yard/garden/bars/threshold/set", "1.5", "found 1.5; write a probability"),
        ("yard/garden/bars/threshold/set", "NaN", "write a number"),
        ("yard/garden/grass/threshold/set", "0.5", "is background"),
        ("yard/garden/ghost/threshold/set", "0.5", "labels: bars, grass"),
        ("street/garden/bars/threshold/set", "0.5", "not looked for on camera \"street\""),
    ] {
        bench.set(topic, payload);
        let refused = |heard: &support::Heard| {
            heard.json()["reason"].as_str().is_some_and(|reason| reason.contains(word))
        };
        let reply = bench.heard.expect("/reply", SOON, refused).json();
        assert_eq!(reply["topic"], format!("seewhen/test/{topic}"));
    }
    bench.becomes("yard/garden/bars/threshold/state", "0.0003");
}

#[test]
fn a_snapshot_and_an_explanation_are_had_for_the_asking() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let seewhen = Seewhen::start(&still(&broker));
    bench.becomes("yard/garden/bars/state", "ON");
    let explain =
        json!({ "command": "explain", "camera": "yard", "watch": "garden", "label": "bars" });
    let reply = bench.done(explain.clone());
    assert_eq!(reply["explanation"]["why"], "on", "{reply}");
    assert!(reply["persisted"].is_null(), "nothing was changed: {reply}");
    let unknown =
        json!({ "command": "explain", "camera": "yard", "watch": "garden", "label": "x" });
    assert!(bench.refused(unknown).contains("labels: bars, grass"));

    let files = || {
        let days = std::fs::read_dir(seewhen.folder.path().join("snapshots/test/yard")).ok()?;
        let count =
            |day: std::fs::DirEntry| std::fs::read_dir(day.path()).map_or(0, Iterator::count);
        Some(days.flatten().map(count).sum::<usize>())
    };
    support::wait_for("the picture of the event", SOON, || (files()? == 1).then_some(()));
    bench.done(json!({ "command": "snapshot", "camera": "yard" }));
    support::wait_for("one more", SOON, || (files()? == 2).then_some(()));
    assert!(broker.retained("test/yard/snapshot", SOON).is_some());

    let reply = bench.done(json!({ "command": "learn_view", "camera": "yard" }));
    assert!(reply["notes"][0].as_str().unwrap().contains("two minutes"), "{reply}");
    bench.done(json!({ "command": "disable", "watch": "garden", "label": "bars" }));
    assert_eq!(bench.done(explain)["explanation"]["why"], "disabled");
    bench.done(json!({ "command": "disable", "camera": "yard" }));
    let reason = bench.refused(json!({ "command": "snapshot", "camera": "yard" }));
    assert_eq!(reason, "camera yard is switched off");
    let reason = bench.refused(json!({ "command": "learn_view", "camera": "yard" }));
    assert_eq!(reason, "camera yard is switched off");
}

#[test]
fn labels_come_and_go_at_run_time() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let seewhen = Seewhen::start(&config(&broker, ""));
    bench.looked_for("traffic", "cyclist", true);
    let taxi = json!({ "command": "add_label", "watch": "traffic", "label": "taxi",
        "prompts": ["a taxi", "a yellow cab"], "threshold": 0.3, "hold": "0s" });
    assert_eq!(bench.done(taxi.clone())["persisted"], true);
    bench.becomes("street/traffic/taxi/threshold/state", "0.3");
    bench.looked_for("traffic", "taxi", true);
    bench.heard.expect("taxi/event", SOON, |heard| heard.json()["type"] == "start");
    assert!(bench.refused(taxi).contains("traffic/taxi is there"));

    let label = |command: &str| json!({ "command": command, "watch": "traffic", "label": "taxi" });
    bench.done(label("disable"));
    bench.becomes("street/traffic/taxi/state", "OFF");
    bench.done(label("enable"));
    bench.becomes("street/traffic/taxi/state", "ON");
    let mut change = label("change_label");
    change["threshold"] = json!(0.99);
    change["cooldown"] = json!("1h");
    bench.done(change);
    bench.becomes("street/traffic/taxi/threshold/state", "0.99");
    let mut wrong = label("change_label");
    wrong["hold"] = json!("soon");
    let reason = bench.refused(wrong);
    assert!(reason.starts_with("watch[traffic].label[taxi].hold: found \"soon\""), "{reason}");
    let mut back = label("change_label");
    back["cooldown"] = Value::Null;
    bench.done(back);
    assert!(!kept(&seewhen).contains("cooldown"), "{}", kept(&seewhen));

    // It is there after a restart, and gone when it is removed.
    let seewhen = bench.restart(seewhen);
    seewhen.expect_log("changes by commands are in force", SOON);
    bench.looked_for("traffic", "taxi", true);
    bench.done(label("remove_label"));
    bench.becomes("street/traffic/taxi/state", "");
    bench.becomes("street/traffic/taxi/threshold/state", "");
    bench.looked_for("traffic", "taxi", false);
    assert!(!kept(&seewhen).contains("taxi"), "{}", kept(&seewhen));
    assert!(bench.refused(label("remove_label")).contains("labels: cyclist, rest"));
    let reason =
        bench.refused(json!({ "command": "remove_label", "watch": "traffic", "label": "cyclist" }));
    assert!(reason.contains("seewhen.toml:15:6; disable it"), "{reason}");
}

#[test]
fn what_is_not_persisted_goes_with_the_process() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let seewhen = Seewhen::start(&config(&broker, "commands.persist = false"));
    bench.looked_for("garden", "bars", true);
    let threshold = |threshold: f64| {
        json!({ "command": "set_threshold", "watch": "garden", "label": "bars",
            "threshold": threshold })
    };
    let state = "yard/garden/bars/threshold/state";
    assert_eq!(bench.done(threshold(0.7))["persisted"], false);
    bench.becomes(state, "0.7");
    let cat = json!({ "command": "add_label", "watch": "garden", "label": "cat",
        "prompts": ["a cat"], "threshold": 0.5 });
    bench.done(cat);
    bench.looked_for("garden", "cat", true);
    // A change that is kept needs something that is.
    let reason = bench.refused(json!({ "command": "disable", "watch": "garden", "label": "cat",
        "persist": true }));
    assert!(reason.contains("added without being persisted"), "{reason}");
    assert_eq!(kept(&seewhen), "");

    // It outlives a reload, which takes over what has changed in the files.
    seewhen.configure(&config(&broker, "commands.persist = false").replace("0.9", "0.85"));
    seewhen.signal("HUP");
    bench.becomes("street/traffic/cyclist/threshold/state", "0.85");
    bench.becomes(state, "0.7");
    // One that is kept takes the place of one that is not.
    let mut keep = threshold(0.6);
    keep["persist"] = json!(true);
    assert_eq!(bench.done(keep)["persisted"], true);
    bench.becomes(state, "0.6");
    assert_eq!(bench.done(threshold(0.5))["persisted"], false);
    bench.becomes(state, "0.5");

    let seewhen = bench.restart(seewhen);
    bench.becomes(state, "0.6");
    bench.becomes("yard/garden/cat/state", "");
    bench.looked_for("garden", "cat", false);
    let check = support::command()
        .args(["check", "--config"])
        .arg(seewhen.folder.path().join("seewhen.toml"))
        .env("STATE_DIRECTORY", seewhen.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    let file = seewhen.folder.path().join("90-runtime.toml");
    let wanted = format!("with what commands have changed: {}", file.display());
    assert!(said.contains(&wanted), "{said}");

    // What is wrong in it is said as of any file, and changes nothing.
    std::fs::write(&file, "[[camera]]\nid = \"yard\"\nenabled = 3\n").unwrap();
    seewhen.signal("HUP");
    seewhen.expect_log("90-runtime.toml:3:11: camera[yard].enabled: found the number 3", SOON);
    bench.becomes(state, "0.6");
    let mut keep = threshold(0.55);
    keep["persist"] = json!(true);
    let reply = bench.done(keep);
    assert_eq!(reply["persisted"], false, "nobody's file is overwritten: {reply}");
    assert!(reply["notes"][0].as_str().unwrap().contains("changed by somebody else"), "{reply}");
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    // A file where the folder should be: nobody, not even root, can write there.
    let seewhen =
        Seewhen::start(&format!("commands.file = \"seewhen.toml/x.toml\"\n{}", still(&broker)));
    bench.looked_for("garden", "bars", true);
    let off = json!({ "command": "disable", "watch": "garden" });
    let reply = bench.done(off);
    assert_eq!(reply["persisted"], false);
    assert!(reply["notes"][0].as_str().unwrap().starts_with("not persisted: "), "{reply}");
    bench.becomes("yard/garden/bars/state", "OFF");
    seewhen.signal("HUP");
    seewhen.expect_log("the configuration has not changed", SOON);
    bench.done(json!({ "command": "enable", "watch": "garden" }));
    bench.becomes("yard/garden/bars/state", "ON");
}

#[test]
fn a_kill_leaves_the_old_file_or_the_new_one() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let mut seewhen = Seewhen::start(&still(&broker));
    bench.becomes("yard/garden/bars/state", "ON");
    for round in 1..=4_u64 {
        bench.done(json!({ "command": "enable", "watch": "garden" }));
        let before = bench.heard.on("/reply").len();
        for n in 1..=20 {
            let value = format!("0.{round}{n:02}");
            bench.set("yard/garden/bars/threshold/set", &value);
        }
        let sent = |round: u64, n: u64| 0.1 * round as f64 + 0.001 * n as f64;
        support::wait_for("some are carried out", SOON, || {
            (bench.heard.on("/reply").len() > before + round as usize).then_some(())
        });
        std::thread::sleep(Duration::from_millis(7 * round));
        let folder = seewhen.kill();
        let text = std::fs::read_to_string(folder.path().join("90-runtime.toml")).unwrap();
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
        let found = table["watch"][0]["label"][0]["threshold"].as_float().unwrap();
        let one = (1..=20).any(|n| (sent(round, n) - found).abs() < 1e-9);
        assert!(one, "round {round}: {found}");
        seewhen = bench.start_in(folder);
        let state = serde_json::to_string(&found).unwrap();
        bench.becomes("yard/garden/bars/threshold/state", &state);
        println!("round {round}: killed with {found}");
    }
}

#[test]
fn retained_commands_and_others_that_do_nothing() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    // The broker has it from before the start.
    broker.publish("seewhen/test/yard/enabled/set", b"OFF", true);
    let seewhen = Seewhen::start(&still(&broker));
    let reply = bench.heard.expect("/reply", SOON, |_| true).json();
    let reason = reply["reason"].as_str().unwrap();
    assert!(reason.contains("mosquitto_pub -r -n -t seewhen/test/yard/enabled/set"), "{reason}");
    broker.publish("seewhen/test/yard/enabled/set", b"", true);
    bench.becomes("yard/garden/bars/state", "ON");
    let reason = bench.refused(json!({ "command": "snapshot", "camera": "ghost" }));
    assert!(reason.contains("no camera \"ghost\"; cameras: yard"), "{reason}");
    bench.heard.expect("test/status", SOON, |heard| heard.json()["commands"]["retained"] == 1);
    drop(seewhen);

    let off = Broker::start();
    let bench = Bench::new(&off);
    let _seewhen = Seewhen::start(&format!("commands.enabled = false\n{}", still(&off)));
    bench.becomes("yard/garden/bars/state", "ON");
    bench.set("yard/enabled/set", "OFF");
    std::thread::sleep(Duration::from_secs(2));
    bench.becomes("yard/enabled/state", "ON");
    assert!(bench.heard.catch_up().on("/reply").is_empty());
}
