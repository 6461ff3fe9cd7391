//! Promise: whoever asks why a label is on or off gets the reason of the running seewhen, on the
//! command line and over MQTT, and is told what to do where there is no answer. A real broker, a real
//! seewhen.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

mod support;

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use support::{Broker, Seewhen, command, free_port, picture, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

const WATCH: &str = r#"
every = "200ms"
change_gate = { difference = 0.9, max_age = "1h" }
[[watch]]
id = "room"
[[watch.label]]
id = "bars"
prompts = ["colour bars of a television test picture"]
threshold = 0.0001
[[watch.label]]
id = "street"
prompts = ["an empty street"]
threshold = 0.99
[[watch.label]]
id = "trial"
prompts = ["a test pattern"]
threshold = 0.0001
shadow = true
[[watch.label]]
id = "asleep"
prompts = ["a screen with colours"]
threshold = 0.0001
active = ["ASLEEP"]
[[watch.label]]
id = "rest"
prompts = ["a cat"]
"#;

/// The configuration, with a schedule that it is outside of.
fn configuration(port: u16) -> String {
    let then = jiff::Timestamp::now().as_second() + 3 * 86_400;
    let other = jiff::Timestamp::from_second(then).unwrap().strftime("%a");
    let range = format!("{other} 00:00-24:00");
    format!("timezone = \"UTC\"\n{}{}", picture(port), WATCH.replace("ASLEEP", &range))
}

fn explain(seewhen: &Seewhen, arguments: &[&str]) -> Output {
    let config = seewhen.folder.path().join("seewhen.toml");
    command().arg("explain").args(arguments).arg("--config").arg(config).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The answer as JSON.
fn answer(seewhen: &Seewhen, label: &str) -> Value {
    let output = explain(seewhen, &[label, "--json"]);
    assert!(output.status.success(), "{label}: {}", text(&output.stderr));
    let answer = serde_json::from_slice(&output.stdout).unwrap();
    support::schema::check("explanation", &answer).unwrap();
    answer
}

#[test]
fn the_running_seewhen_says_why() {
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let seewhen = Seewhen::start(&configuration(broker.port));
    subscriber.expect("room/bars/state", PATIENCE, |heard| heard.payload == "ON");
    // By then the gate has found frames alike.
    let on = wait_for("an unchanged frame", PATIENCE, || {
        let on = answer(&seewhen, "picture/room/bars");
        (on["frame"]["unchanged"].as_u64() > Some(1)).then_some(on)
    });
    assert_eq!((&on["state"], &on["why"]), (&"ON".into(), &"on".into()), "{on}");
    assert_eq!(on["rule"]["events"], 1);
    assert!(on["rule"]["event"]["id"].as_str().unwrap().ends_with("-picture-room-bars"));
    assert_eq!(on["camera_status"]["state"], "running");
    assert!(on["sentence"].as_str().unwrap().starts_with("on: probability 0."), "{on}");

    let off = answer(&seewhen, "picture/room/street");
    assert_eq!((&off["state"], &off["why"]), (&"OFF".into(), &"below_threshold".into()));
    let rival = off["rival"]["label"].as_str().unwrap();
    let sentence = off["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("off: probability 0."), "{sentence}");
    assert!(
        sentence.contains("is under the threshold 0.99; it lost to '")
            && sentence.contains(rival)
            && sentence.contains("changed nothing"),
        "{sentence}"
    );
    assert_eq!(off["rule"]["threshold"], 0.99);

    let shadow = answer(&seewhen, "picture/room/trial");
    assert_eq!((&shadow["why"], &shadow["rule"]["shadow"]), (&"on".into(), &true.into()));
    let asleep = answer(&seewhen, "picture/room/asleep");
    assert_eq!(asleep["why"], "outside_schedule");
    assert!(asleep["rule"]["schedule"]["until"].as_f64() > asleep["time"].as_f64());
    assert_eq!(answer(&seewhen, "picture/room/rest")["why"], "background");

    let people = text(&explain(&seewhen, &["picture/room/street"]).stdout);
    assert!(people.starts_with("off: probability") && people.contains("\n  clear "), "{people}");
    for (label, expected) in [
        (
            "picture/room/dog",
            "no label \"dog\" in watch \"room\"; labels: bars, street, trial, asleep, rest",
        ),
        ("picture/hall/street", "no watch \"hall\"; watches: room"),
        ("yard/room/street", "no camera \"yard\"; cameras: picture"),
        ("picture/room/a b", "label: \"a b\" cannot be an id"),
    ] {
        let output = explain(&seewhen, &[label]);
        assert_eq!(output.status.code(), Some(1), "{label}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let wrong = explain(&seewhen, &["picture/room"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text(&wrong.stderr).contains("CAMERA/WATCH/LABEL"));
    // Nobody took the questions for a word of the node's.
    assert!(
        subscriber.catch_up().on("test/available").iter().all(|heard| heard.payload == "online")
    );

    seewhen.signal("TERM");
    seewhen.wait(Duration::from_secs(20));
    let gone = explain(&seewhen, &["picture/room/street"]);
    assert_eq!(gone.status.code(), Some(1));
    let error = text(&gone.stderr);
    assert!(
        error.contains("is seewhen running as node test") && error.contains("no answer"),
        "{error}"
    );
    seewhen.configure(&configuration(free_port()));
    let error = text(&explain(&seewhen, &["picture/room/street"]).stderr);
    assert!(
        error.contains("no connection to the broker") && error.contains("nothing listens"),
        "{error}"
    );
}

/// Whoever has the broker may ask too; what is retained by mistake or makes no sense is refused.
#[test]
fn a_command_is_answered_by_its_id() {
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let publish = |arguments: &[&str], payload: &str| {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &broker.port.to_string()]).args(arguments);
        command.args(["-t", "seewhen/test/command", "-m", payload]);
        assert!(command.status().unwrap().success());
    };
    let question = |id: &str| {
        format!(
            r#"{{"id":"{id}","command":"explain","camera":"picture","watch":"room","label":"street"}}"#
        )
    };
    publish(&["-r"], &question("retained"));
    let _seewhen = Seewhen::start(&configuration(broker.port));
    subscriber.expect("room/bars/state", PATIENCE, |heard| heard.payload == "ON");
    for payload in ["", "{", "[1]", r#"{"id":"x","command":"dance"}"#] {
        publish(&[], payload);
    }
    publish(&[], r#"{"id":7,"command":"explain","camera":"picture","watch":"room"}"#);
    publish(&[], &question("seven"));
    let reply = subscriber.expect("test/reply", PATIENCE, |heard| heard.json()["id"] == "seven");
    assert_eq!(
        (&reply.json()["ok"], &reply.json()["explanation"]["label"]),
        (&true.into(), &"street".into())
    );
    let replies: Vec<Value> =
        subscriber.on("test/reply").iter().map(|heard| heard.json()).collect();
    let done: Vec<&Value> = replies.iter().filter(|reply| reply["ok"] == true).collect();
    assert_eq!(done, [&reply.json()], "{replies:?}");
    let retained = replies.iter().find(|reply| reply["id"] == "retained").unwrap();
    assert!(retained["reason"].as_str().unwrap().contains("clear it"), "{retained}");
    // A message without a payload clears what is retained, and is no command.
    assert_eq!(replies.len(), 6, "{replies:?}");
}

/// A restart is no reason to tell what was told a moment ago.
#[test]
fn a_cooldown_outlives_seewhen() {
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let config = |cooldown: &str| {
        let rest = format!("threshold = 0.0001\ncooldown = \"{cooldown}\"");
        configuration(broker.port).replacen("threshold = 0.0001", &rest, 1)
    };
    let starts = || {
        let events = subscriber.on("room/bars/event");
        events.iter().filter(|heard| heard.json()["type"] == "start").count()
    };
    let rests = |seewhen: &Seewhen| {
        seewhen.expect_log("connected to the broker", PATIENCE);
        wait_for("a frame", PATIENCE, || {
            let why = answer(seewhen, "picture/room/bars");
            why["frame"].is_object().then_some(why)
        })
    };
    let seewhen = Seewhen::start(&config("1h"));
    subscriber.expect("room/bars/state", PATIENCE, |heard| heard.payload == "ON");
    seewhen.signal("TERM");
    assert!(seewhen.wait(PATIENCE).success());

    let seewhen = Seewhen::start_in(seewhen.kill(), &[]);
    let why = rests(&seewhen);
    assert_eq!((&why["why"], starts()), (&"cooldown".into(), 1), "{why}");
    let left = why["rule"]["cooldown"]["left"].as_f64().unwrap();
    assert!((3000.0..=3600.0).contains(&left), "{why}");

    // Without a cooldown it starts at once, and is killed with its event open.
    seewhen.configure(&config("0s"));
    let seewhen = Seewhen::start_in(seewhen.kill(), &[]);
    wait_for("a second event", PATIENCE, || (starts() == 2).then_some(()));
    seewhen.configure(&config("1h"));
    let seewhen = Seewhen::start_in(seewhen.kill(), &[]);
    let why = rests(&seewhen);
    assert_eq!((&why["why"], starts()), (&"cooldown".into(), 2), "{why}");
    wait_for("the end of what was open", PATIENCE, || {
        let events = subscriber.on("room/bars/event");
        (events.iter().filter(|heard| heard.json()["type"] == "end").count() == 2).then_some(())
    });
}
