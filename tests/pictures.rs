//! Snapshots of a real daemon at a real broker: on their topic, in their files, over restarts.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![expect(clippy::print_stdout, reason = "it says when it is skipped")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use support::{Broker, Heard, Seewhen};

const SOON: Duration = Duration::from_secs(30);
const TOPIC: &str = "test/picture/snapshot";

/// A label that is on in every frame of a test picture.
fn config(broker: &Broker, snapshots: &str) -> String {
    let label = "[[watch]]\nid = \"w\"\npublish_every = \"1h\"\n[[watch.label]]\nid = \"it\"\nprompts \
                 = [\"a test picture\"]\nthreshold = 0.0001\n[[watch.label]]\nid = \
                 \"rest\"\nprompts = [\"a cat\"]\n";
    format!("{}every = \"100ms\"\n{label}[snapshots]\n{snapshots}\n", support::picture(broker.port))
}

fn start_of_event(heard: &Heard) -> bool {
    heard.json()["type"] == "start"
}

fn file_of(seewhen: &Seewhen, event: &Heard) -> PathBuf {
    let json = event.json();
    let name = json["snapshot"].as_str().unwrap_or_else(|| panic!("no file: {json}"));
    seewhen.folder.path().join("snapshots").join(name)
}

fn read(file: &Path) -> Vec<u8> {
    support::wait_for("the file", SOON, || std::fs::read(file).ok())
}

#[test]
fn a_restart_keeps_it_and_a_camera_that_goes_takes_it_along() {
    let broker = Broker::start();
    let listener = broker.subscribe();
    let seewhen = Seewhen::start(&config(&broker, ""));
    let event = listener.expect("it/event", SOON, start_of_event);
    let jpeg = broker.retained(TOPIC, SOON).unwrap();
    assert_eq!(read(&file_of(&seewhen, &event)), jpeg);
    let old = file_of(&seewhen, &event);
    // Killed: the broker keeps its picture, the disk its file, and a late end its name.
    let folder = seewhen.kill();
    let listener = broker.subscribe();
    let seewhen = Seewhen::start_in(folder, &[]);
    let end = listener.expect("it/event", SOON, |heard| heard.json()["type"] == "end");
    assert_eq!(file_of(&seewhen, &end), old);
    let start = listener.expect("it/event", SOON, start_of_event);
    assert!(file_of(&seewhen, &start) != old && old.exists());
    let new = read(&file_of(&seewhen, &start));
    support::wait_for("the newer one", SOON, || {
        (broker.retained(TOPIC, SOON).unwrap() == new).then_some(())
    });
    // Another camera in its place, while seewhen runs.
    let renamed = config(&broker, "").replace("\"picture\"", "\"other\"");
    seewhen.configure(&renamed);
    seewhen.signal("HUP");
    assert!(broker.retained("test/other/snapshot", SOON).is_some());
    let gone = |topic| broker.retained(topic, Duration::from_secs(1)).is_none();
    support::wait_for("its topic is cleared", SOON, || gone(TOPIC).then_some(()));
    // And while it does not.
    let folder = seewhen.kill();
    std::fs::write(folder.path().join("seewhen.toml"), config(&broker, "")).unwrap();
    let _seewhen = Seewhen::start_in(folder, &[]);
    assert!(broker.retained(TOPIC, SOON).is_some());
    support::wait_for("the other's too", SOON, || gone("test/other/snapshot").then_some(()));
}

#[test]
fn without_topic_there_are_files_and_without_files_a_topic() {
    let broker = Broker::start();
    let listener = broker.subscribe();
    let seewhen = Seewhen::start(&config(&broker, ""));
    assert!(broker.retained(TOPIC, SOON).is_some());
    // The picture may be there before its event, which waits for the disk.
    listener.expect("it/event", SOON, start_of_event);
    let folder = seewhen.kill();
    let change = |snapshots| {
        std::fs::write(folder.path().join("seewhen.toml"), config(&broker, snapshots)).unwrap();
    };
    change("topic = false");
    let seewhen = Seewhen::start_in(folder, &[]);
    let gone = || broker.retained(TOPIC, Duration::from_secs(1)).is_none();
    support::wait_for("what an earlier life showed is cleared", SOON, || gone().then_some(()));
    let started = |count| move || (listener.on("it/event").len() >= count).then_some(());
    support::wait_for("a start, an end and a start", SOON, started(3));
    // Files come a moment after their events.
    let days = seewhen.folder.path().join("snapshots/test/picture");
    let kept = || {
        let day = std::fs::read_dir(&days).ok()?.next()?.ok()?.path();
        (std::fs::read_dir(day).ok()?.count() == 2).then_some(())
    };
    support::wait_for("the pictures of both lives", SOON, kept);
    let folder = seewhen.kill();
    let text = config(&broker, "dir = \"\"");
    std::fs::write(folder.path().join("seewhen.toml"), text).unwrap();
    let listener = broker.subscribe();
    let _seewhen = Seewhen::start_in(folder, &[]);
    let start = listener.expect("it/event", SOON, start_of_event);
    assert!(start.json()["snapshot"].is_null());
    assert!(broker.retained(TOPIC, SOON).is_some());
}

/// A broker that ends a connection in which a picture comes still gets every event.
#[test]
fn a_broker_that_takes_no_pictures_gets_events() {
    // Above what Home Assistant is told of a camera, which is 4 kB; the picture has 26.
    let broker = Broker::start_with(|_| "max_packet_size 10000\n".to_owned());
    let listener = broker.subscribe();
    let seewhen = Seewhen::start(&config(&broker, ""));
    listener.expect("it/event", SOON, start_of_event);
    seewhen.expect_log("a picture is left out", Duration::from_secs(60));
    let connected = seewhen.log().matches("connected to the broker").count();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(seewhen.log().matches("connected to the broker").count(), connected, "it is over");
    seewhen.signal("TERM");
    listener.expect("it/event", SOON, |heard| heard.json()["type"] == "end");
}

#[test]
fn a_full_disk_costs_the_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = support::disk::Disk::new(folder.path()) else {
        println!("skipped: a file system can be made by root only");
        return;
    };
    let broker = Broker::start();
    let listener = broker.subscribe();
    // As much as there is; the last write fails.
    let ballast = disk.0.join("ballast");
    let _full = std::fs::write(&ballast, vec![1; 2 * 1024 * 1024]);
    let text = config(&broker, &format!("dir = \"{}\"", disk.0.display()));
    let blink =
        text.replace("threshold = 0.0001", "threshold = 0.0001\nactive = [\"00:00-24:00\"]");
    let seewhen = Seewhen::start(&text);
    listener.expect("it/event", SOON, start_of_event);
    seewhen.expect_log("snapshots cannot be written", SOON);
    assert!(broker.retained(TOPIC, SOON).is_some(), "the topic needs no disk");
    let says = |wanted: &'static str| {
        move |heard: &Heard| heard.json()["snapshots"].as_str().unwrap_or_default().contains(wanted)
    };
    listener.expect("test/status", SOON, says("No space left"));
    // The next event: its camera is configured anew.
    let again = |text: &str| {
        let events = listener.on("it/event").len();
        seewhen.configure(text);
        seewhen.signal("HUP");
        support::wait_for("an end and a start", SOON, || {
            listener.on("it/event").get(events + 1).cloned()
        })
    };
    let moved = |text: &str, every: &str| text.replace("every = \"100ms\"", every);
    let start = again(&moved(&text, "every = \"110ms\""));
    assert!(start.json()["snapshot"].is_null(), "no name while the disk takes nothing");
    std::fs::remove_file(&ballast).unwrap();
    again(&moved(&blink, "every = \"120ms\""));
    seewhen.expect_log("snapshots are kept again", SOON);
    let start = again(&moved(&text, "every = \"130ms\""));
    let file = disk.0.join(start.json()["snapshot"].as_str().unwrap());
    assert!(read(&file).starts_with(&[0xff, 0xd8]));
    assert_eq!(seewhen.log().matches("snapshots cannot be written").count(), 1, "said once");
}
