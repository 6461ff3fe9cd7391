//! Every event that the history holds arrives: with the broker gone, seewhen killed again and again,
//! and the disk full. Prints what was sent, what arrived and how much of it twice.
//!
//! Two cameras with test pictures and a label that is always on, which tells of itself in every frame:
//! about 20 events a second. The listener has a session that outlives the broker.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]
#![expect(clippy::print_stdout, reason = "its counts are its result")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{Broker, Heard, Seewhen, Subscriber, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
/// `id`, `type`, and milliseconds of the frame: updates share the former two.
type Key = (String, String, i64);

fn chaos() -> bool {
    std::env::var_os("SEEWHEN_CHAOS").is_some()
}

/// A broker that keeps what its listener has not had, and the listener.
fn durable() -> (Broker, Subscriber) {
    let broker = Broker::start_with(|folder| {
        format!(
            "persistence true\npersistence_location {}/\nmax_queued_messages 0\n\
             max_inflight_messages 1000\n",
            folder.display()
        )
    });
    let listener = broker.subscribe_with(&["-c", "-i", "listener"]);
    (broker, listener)
}

fn configuration(broker: &Broker) -> String {
    let camera = |id| {
        format!(
            "[[camera]]\nid = \"{id}\"\nsource = \"test:\"\nevery = \"100ms\"\nchange_gate = {{ \
             difference = 0.02, max_age = \"60s\" }}\n"
        )
    };
    format!(
        r#"
node = "test"
[mqtt]
url = "mqtt://127.0.0.1:{port}"
{one}{two}
[[watch]]
id = "w"
publish_every = "1h"
[[watch.label]]
id = "bars"
prompts = ["a test picture"]
threshold = 0.0001
update_every = "1ms"
[[watch.label]]
id = "rest"
prompts = ["a cat"]
"#,
        port = broker.port,
        one = camera("one"),
        two = camera("two"),
    )
}

/// An event as the history or the listener has it.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    key: Key,
    camera: String,
}

fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// What the history holds, in order.
fn held(state: &Path) -> Vec<Event> {
    let history = rusqlite::Connection::open(state.join("history-test.sqlite")).unwrap();
    let query = "SELECT id, kind, frame_time, camera FROM events ORDER BY seq";
    let mut rows = history.prepare(query).unwrap();
    let rows = rows.query_map([], |row| {
        let key = (row.get(0)?, row.get(1)?, milliseconds(row.get(2)?));
        Ok(Event { key, camera: row.get(3)? })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What the listener has heard, in order, copies included.
fn arrived(listener: &Subscriber) -> Vec<Event> {
    let event = |heard: &Heard| {
        let json = heard.json();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        let time = milliseconds(json["frame_time"].as_f64().unwrap());
        Event { key: (text("id"), text("type"), time), camera: text("camera") }
    };
    listener.on("/event").iter().map(event).collect()
}

fn unsettled(state: &Path) -> i64 {
    let history = rusqlite::Connection::open(state.join("history-test.sqlite")).unwrap();
    let query = "SELECT COUNT(*) FROM events WHERE state != 'delivered'";
    history.query_row(query, [], |row| row.get(0)).unwrap()
}

/// All that is held has arrived, first copies of each camera in order, and each start has its end.
fn check(held: &[Event], arrived: &[Event]) {
    let keys: Vec<&Key> = arrived.iter().map(|event| &event.key).collect();
    let distinct: BTreeSet<&Key> = keys.iter().copied().collect();
    println!(
        "held {}, arrived {}, of which twice {}",
        held.len(),
        keys.len(),
        keys.len() - distinct.len()
    );
    let lost: Vec<&Event> = held.iter().filter(|event| !distinct.contains(&event.key)).collect();
    assert!(lost.is_empty(), "{} are lost, such as {:?}", lost.len(), lost[0]);
    for camera in ["one", "two"] {
        let of = |events: &[Event]| {
            let mut seen = BTreeSet::new();
            let of_camera = events.iter().filter(|event| event.camera == camera);
            let first = of_camera.filter(|event| seen.insert(event.key.clone()));
            first.map(|event| event.key.clone()).collect::<Vec<Key>>()
        };
        let known: BTreeSet<Key> = held.iter().map(|event| event.key.clone()).collect();
        let heard: Vec<Key> = of(arrived).into_iter().filter(|key| known.contains(key)).collect();
        assert_eq!(heard, of(held), "the order of {camera}");
    }
    let mut ends: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for Event { key: (id, kind, _), .. } in held {
        let counts = ends.entry(id).or_default();
        counts[0] += usize::from(kind == "start");
        counts[1] += usize::from(kind == "end");
    }
    assert!(ends.values().all(|counts| *counts == [1, 1]), "{ends:?}");
}

#[test]
fn every_event_arrives_whatever_is_killed() {
    let (mut broker, listener) = durable();
    let (kills, outage) = if chaos() { (10, 120) } else { (3, 8) };
    let mut seewhen = Seewhen::start(&configuration(&broker));
    listener.expect("one/w/bars/event", PATIENCE, |_| true);
    sleep(Duration::from_secs(2));
    broker.stop_gently();
    let end = Instant::now() + Duration::from_secs(outage);
    for kill in 0..kills {
        let share = f64::from(kill) + fastrand::f64();
        let moment = end - Duration::from_secs(outage).mul_f64(1.0 - share / f64::from(kills));
        sleep(moment.saturating_duration_since(Instant::now()));
        seewhen = Seewhen::start_in(seewhen.kill(), &[]);
    }
    sleep(end.saturating_duration_since(Instant::now()));
    // However fast this machine makes them.
    let state = seewhen.folder.path();
    wait_for("events that wait", PATIENCE, || (unsettled(state) > 100).then_some(()));
    broker.restart();
    // Also while what has waited goes out.
    for _ in 0..kills {
        sleep(Duration::from_secs(1).mul_f64(1.0 + fastrand::f64()));
        seewhen = Seewhen::start_in(seewhen.kill(), &[]);
    }
    seewhen.expect_log("seewhen is running", PATIENCE);
    let state = seewhen.folder.path().to_owned();
    wait_for("all that has waited", PATIENCE, || (unsettled(&state) < 50).then_some(()));
    let keep = tempfile::tempdir().unwrap();
    let copy = keep.path().join("history-test.sqlite");
    finish_and_copy(seewhen, &state, &copy);
    let held = held(keep.path());
    assert!(held.len() > 100, "{} events are none to speak of", held.len());
    check(&held, &arrived(listener.catch_up()));
}

/// The folder goes with seewhen; its history is copied.
fn finish_and_copy(seewhen: Seewhen, state: &Path, copy: &Path) {
    let mut seewhen = seewhen;
    loop {
        seewhen.signal("TERM");
        seewhen.wait(Duration::from_secs(20));
        if unsettled(state) == 0 {
            break;
        }
        seewhen = Seewhen::start_in(seewhen.kill(), &[]);
        seewhen.expect_log("seewhen is running", PATIENCE);
    }
    let history = rusqlite::Connection::open(state.join("history-test.sqlite")).unwrap();
    history.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
}

#[test]
fn a_full_disk_stops_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = support::disk::Disk::new(folder.path()) else {
        println!("skipped: a file system can be made by root only");
        return;
    };
    let (broker, listener) = durable();
    let state = disk.0.to_str().unwrap();
    let seewhen = Seewhen::start_with(
        &(configuration(&broker) + &format!("[history]\ndir = \"{state}\"\n")),
        &[],
    );
    listener.expect("one/w/bars/event", PATIENCE, |_| true);
    let ballast = disk.0.join("ballast");
    // As much as there is; the last write fails.
    let _full = std::fs::write(&ballast, vec![1; 2 * 1024 * 1024]);
    seewhen.expect_log("cannot be written", PATIENCE);
    let before = arrived(&listener).len();
    wait_for("more than ten events of a full disk", PATIENCE, || {
        (arrived(&listener).len() > before + 10).then_some(())
    });
    std::fs::remove_file(&ballast).unwrap();
    seewhen.expect_log("the history is kept again", PATIENCE);
    sleep(Duration::from_secs(1));
    seewhen.signal("TERM");
    seewhen.wait(Duration::from_secs(20));
    let (held, arrived) = (held(&disk.0), arrived(listener.catch_up()));
    let known: BTreeSet<&Key> = held.iter().map(|event| &event.key).collect();
    let live = arrived.iter().filter(|event| !known.contains(&event.key)).count();
    println!("sent and not kept: {live}");
    // SQLite may find room in its own file while the disk is still full.
    assert!(live > 0);
    let heard: BTreeSet<&Key> = arrived.iter().map(|event| &event.key).collect();
    assert!(held.iter().all(|event| heard.contains(&event.key)), "what is held has arrived");
}

/// A label is taken out while seewhen is down, killed with its event open.
#[test]
fn what_an_earlier_life_left_is_cleared() {
    let broker = Broker::start();
    let seewhen = Seewhen::start(&configuration(&broker));
    let first = broker.subscribe();
    first.expect("one/w/bars/state", PATIENCE, |heard| heard.payload == "ON");
    let folder = seewhen.kill();
    let file = folder.path().join("seewhen.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let config =
        config.replace("id = \"bars\"", "id = \"stripes\"").replace("\"two\"", "\"three\"");
    std::fs::write(&file, config).unwrap();
    let second = broker.subscribe();
    second.expect("one/w/bars/state", PATIENCE, |heard| heard.payload == "ON" && heard.retained);
    let _seewhen = Seewhen::start_in(folder, &[]);
    let empty = |heard: &Heard| heard.payload.is_empty();
    for topic in [
        "one/w/bars/state",
        "one/w/bars/attributes",
        "two/w/bars/state",
        "two/available",
        "two/status",
    ] {
        second.expect(topic, PATIENCE, empty);
    }
    let end = second.expect("one/w/bars/event", PATIENCE, |heard| heard.json()["type"] == "end");
    assert_eq!(end.json()["queued"], true);
    second.expect("one/w/stripes/state", PATIENCE, |heard| heard.payload == "ON");
    let third = broker.subscribe();
    third.expect("one/w/stripes/state", PATIENCE, |heard| heard.retained && heard.payload == "ON");
    assert!(
        third
            .catch_up()
            .heard()
            .iter()
            .all(|heard| !heard.retained || !heard.topic.contains("bars"))
    );
}
