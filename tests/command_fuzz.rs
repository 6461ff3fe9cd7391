//! Promise: whatever is sent as a command, seewhen goes on, nothing changes, and it takes no memory.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]

#[path = "support/commands.rs"]
mod bench;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use bench::{Bench, SOON, kept, still};
use fastrand::Rng;
use serde_json::{Value, json};
use support::{Broker, Seewhen};

const SEED: u64 = 20_261_126;
const MESSAGES: u64 = 1_200;
/// Before memory is looked at.
const WARM: u64 = 200;
/// What the heap may grow by, kB.
const GROWTH: u64 = 8 * 1024;

/// A topic and a payload that must change nothing.
fn malformed(random: &mut Rng) -> (String, Vec<u8>) {
    let topic = match random.u8(..10) {
        0 => "yard/enabled/set",
        1 => "yard/garden/bars/threshold/set",
        2 => "../enabled/set",
        3 => "yard/gar\u{202e}den/ü/threshold/set",
        _ => "command",
    };
    let payload = match random.u8(..8) {
        0 => mutated(random),
        1 => mutated(random),
        2 => wrong_type(random).to_string().into_bytes(),
        3 => (0..random.usize(1..2000)).map(|_| random.u8(..)).collect(),
        4 => deep(random),
        5 => huge(random),
        6 => odd(random),
        _ => ghost(random).to_string().into_bytes(),
    };
    // A plain value must not happen to be a right one.
    let payload = if topic.ends_with("/set") { [b"x", &payload[..]].concat() } else { payload };
    (format!("seewhen/test/{topic}"), payload)
}

/// Right but for what it is about, which is not there.
fn ghost(random: &mut Rng) -> Value {
    let id = ["ghost", "../../../etc/passwd", "a/b", "..", "", "yard\0", "ÿard", "$SYS", "+", "#"];
    let id = id[random.usize(..id.len())];
    let commands = [
        json!({ "command": "disable", "camera": id }),
        json!({ "command": "disable", "watch": id }),
        json!({ "command": "disable", "watch": "garden", "label": id }),
        json!({ "command": "set_threshold", "watch": id, "label": "bars", "threshold": 0.5 }),
        json!({ "command": "add_label", "watch": id, "label": "x", "prompts": ["x"] }),
        json!({ "command": "change_label", "watch": id, "label": "bars", "hold": "1s" }),
        json!({ "command": "remove_label", "watch": "garden", "label": id }),
        json!({ "command": "snapshot", "camera": id }),
        json!({ "command": "learn_view", "camera": id }),
        json!({ "command": "explain", "camera": id, "watch": "garden", "label": "bars" }),
    ];
    commands[random.usize(..commands.len())].clone()
}

/// A command on what is not there with some bytes changed: one that is still right does nothing.
fn mutated(random: &mut Rng) -> Vec<u8> {
    let mut command = ghost(random);
    command["id"] = json!("7");
    let mut bytes = command.to_string().into_bytes();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..bytes.len());
        match random.u8(..4) {
            0 => bytes[at] = random.u8(..),
            1 => bytes.insert(at, random.u8(..)),
            2 if bytes.len() > 2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

/// On what is there, with a value that is of no use.
fn wrong_type(random: &mut Rng) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!("0.5"),
        json!(""),
        json!([]),
        json!([[["x"]]]),
        json!({ "a": { "b": 1 } }),
        json!(["a", 1]),
    ];
    let mut value = || values[random.usize(..values.len())].clone();
    let bars = |command: &str, key: &str, value: Value| json!({ "command": command, "watch": "garden", "label": "bars", key: value });
    let new = json!({ "command": "add_label", "watch": "garden", "label": "new",
        "prompts": ["x"], "threshold": 0.5, "colour": value() });
    let commands = [
        bars("set_threshold", "threshold", value()),
        bars("change_label", "prompts", json!({ "not": value() })),
        bars("change_label", "hold", json!([value()])),
        bars("change_label", "shadow", json!([value()])),
        json!({ "command": "disable", "camera": [value()] }),
        json!({ "command": [value()], "camera": "yard" }),
        json!({ "id": { "x": value() }, "command": "disable", "camera": "yard" }),
        json!({ "command": "disable", "camera": "yard", "persist": "no" }),
        json!({ "command": "disable", "camera": "yard", "watch": "garden" }),
        new,
    ];
    commands[random.usize(..commands.len())].clone()
}

fn deep(random: &mut Rng) -> Vec<u8> {
    let (open, levels) = (["[", "{\"a\":", "[{\"command\":"], random.usize(1..3000));
    open[random.usize(..open.len())].repeat(levels).into_bytes()
}

fn huge(random: &mut Rng) -> Vec<u8> {
    let text = "x".repeat(random.usize(10_000..200_000));
    json!({ "command": "disable", "camera": "yard", "id": text }).to_string().into_bytes()
}

fn odd(random: &mut Rng) -> Vec<u8> {
    let texts =
        ["\u{0}", "\u{feff}{}", "\u{202e}", "🚲", "\u{1b}[31m", "\r\n\r\n", "ＯＦＦ", "%s%n"];
    let text = texts[random.usize(..texts.len())].repeat(random.usize(1..50));
    match random.bool() {
        true => json!({ "command": text, "camera": "yard" }).to_string().into_bytes(),
        false => text.into_bytes(),
    }
}

/// All that the broker keeps, but for the numbers that change by themselves.
fn retained(broker: &Broker) -> BTreeMap<String, String> {
    let subscriber = broker.subscribe();
    subscriber.expect("yard/status", SOON, |heard| heard.retained);
    std::thread::sleep(Duration::from_secs(1));
    let heard = subscriber.heard().into_iter().filter(|heard| heard.retained);
    let kept = heard.filter(|heard| !heard.topic.ends_with("/status"));
    kept.map(|heard| (heard.topic, heard.payload)).collect()
}

/// kB.
fn memory(seewhen: &Seewhen) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", seewhen.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn malformed_commands_change_nothing() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let seewhen = Seewhen::start(&still(&broker));
    bench.becomes("yard/garden/bars/state", "ON");
    let before = retained(&broker);
    assert!(before.len() >= 6, "{before:?}");

    let mut random = Rng::with_seed(SEED);
    let mut warm = 0;
    for n in 0..MESSAGES {
        if n == WARM {
            warm = memory(&seewhen);
        }
        let (topic, payload) = malformed(&mut random);
        broker.publish(&topic, &payload, false);
    }
    let after = memory(&seewhen);
    assert_eq!(retained(&broker), before, "something has changed");
    assert_eq!(kept(&seewhen), "", "something was kept");
    println!("memory: {warm} kB after {WARM} messages, {after} kB after {MESSAGES}");
    assert!(after < warm + GROWTH, "memory: {warm} kB, then {after} kB");

    // Every one was counted, and answers were few.
    let before = bench.heard.on("test/status").len();
    let newest = || bench.heard.on("test/status").get(before..)?.last().cloned();
    let counts = support::wait_for("the next status", SOON, newest).json()["commands"].clone();
    println!("counted: {counts}");
    let all = counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    assert_eq!(all.sum::<u64>(), MESSAGES);
    assert_eq!(counts["done"], 0);
    let replies = bench.heard.on("/reply");
    println!("{} answers", replies.len());
    assert!(replies.len() < MESSAGES as usize / 2, "{} answers", replies.len());
    let longest = replies.iter().map(|reply| reply.payload.len()).max();
    assert!(longest.unwrap() < 8_000, "{longest:?}");
    let log = seewhen.log();
    assert!(!log.contains("panicked"), "{log}");
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 4_000 && !log.contains('\u{202e}'), "a payload in the log, {longest} long");

    // It still listens.
    bench.done(json!({ "command": "disable", "watch": "garden", "label": "bars" }));
    bench.becomes("yard/garden/bars/state", "OFF");
}

#[test]
fn a_flood_of_right_commands_is_slowed_down() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let _seewhen = Seewhen::start(&still(&broker));
    bench.becomes("yard/garden/bars/state", "ON");
    for n in 1..=200 {
        bench.set("yard/garden/bars/threshold/set", &format!("0.{n:03}"));
    }
    let flooding = |heard: &support::Heard| {
        heard.json()["commands"]["flooding"].as_u64().is_some_and(|n| n > 0)
    };
    let counts = bench.heard.expect("test/status", SOON, flooding).json()["commands"].clone();
    println!("counted: {counts}");
    assert!(counts["done"].as_u64().unwrap() > 0);
    // After a rest it takes commands again.
    std::thread::sleep(Duration::from_secs(10));
    bench.done(json!({ "command": "enable", "camera": "yard" }));
}
