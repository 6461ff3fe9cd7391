//! The picture of an event is the very frame that started it: on the topic, in the file, and named in
//! the event. What restarts, full disks, small brokers and cameras that go make of it.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![expect(clippy::print_stdout, reason = "it says when it is skipped")]

#[path = "support/publishing.rs"]
mod publishing;
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use jiff::tz::TimeZone;
use ndarray::Array2;
use seewhen::alert::{self, Alerts};
use seewhen::clip::{EncodeError, ImageEncoder};
use seewhen::clock::Clock;
use seewhen::infer::engine::Engine;
use seewhen::infer::{self, Inference};
use seewhen::mailbox::{WhenFull, mailbox};
use seewhen::model::{
    CameraId, Captured, Embedding, Frame, LabelId, Moment, NodeId, Picture, View, WallTime,
    WatchId, WatchScore,
};
use seewhen::publish::snapshots::{self, Limits, Snapshots};
use seewhen::publish::{LinkEvent, Message, Shots};
use seewhen::status::Status;
use seewhen::watch::{
    Label, LabelRule, Observation, ScoreKind, Scored, Watch, WatchSet, WatchedCamera,
};
use tokio::sync::{mpsc, watch};

use support::{Broker, Heard, Seewhen};

const SOON: Duration = Duration::from_secs(30);
const TOPIC: &str = "test/picture/snapshot";
/// One colour a second.
const COLOURS: [[u8; 3]; 6] =
    [[220, 20, 20], [20, 200, 20], [20, 20, 220], [200, 200, 20], [20, 200, 200], [90, 90, 90]];

fn camera() -> CameraId {
    CameraId::try_new("yard").unwrap()
}

/// "quick" fires at once, "slow" after two seconds.
fn set() -> Arc<WatchSet> {
    let label = |id: &str, hold: u64| {
        let rule = LabelRule {
            threshold: 0.5,
            clear: 0.4,
            hold: Duration::from_secs(hold),
            consensus: Default::default(),
            cooldown: Duration::ZERO,
            update_every: Duration::from_secs(1),
            active: None,
            shadow: id == "secret",
        };
        Label { id: LabelId::try_new(id).unwrap(), rule: Some(rule) }
    };
    Arc::new(WatchSet {
        cameras: vec![WatchedCamera { id: camera(), stale_after: Duration::from_secs(60) }],
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            cameras: vec![camera()],
            labels: vec![label("quick", 0), label("slow", 2), label("secret", 0)],
            score: ScoreKind::Sigmoid,
            matrix: Array2::zeros((3, 1)),
            publish_every: Duration::from_secs(3600),
        }],
        logit_scale: 1.0,
        logit_bias: 0.0,
        model: "played".into(),
        revision: 1,
    })
}

fn frame(second: usize) -> Frame {
    let (width, height) = (64, 48);
    let rgb = COLOURS[second].repeat((width * height) as usize);
    Frame {
        camera: camera(),
        captured: Captured {
            at: Moment(Duration::from_secs(second as u64)),
            time: WallTime(second as f64),
        },
        view: View::default(),
        gate: None,
        picture: Arc::new(Picture { width, height, rgb }),
    }
}

fn scored(rules: &Arc<WatchSet>, second: usize, probability: f32) -> Observation {
    let labels = rules.watches[0].labels.iter().map(|label| (label.id.clone(), probability));
    let score = WatchScore {
        watch: rules.watches[0].id.clone(),
        probabilities: labels.collect(),
        tiles: Vec::new(),
    };
    let Frame { camera, captured, picture, .. } = frame(second);
    Observation::Scored(Scored {
        camera,
        captured,
        unchanged: false,
        scores: vec![score],
        rules: rules.clone(),
        picture,
    })
}

/// Which of the colours a JPEG shows.
fn shown(jpeg: &[u8]) -> usize {
    let pixel = *image::load_from_memory(jpeg).unwrap().to_rgb8().get_pixel(30, 20);
    let far = |colour: &[u8; 3]| -> u32 {
        pixel.0.iter().zip(colour).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    };
    let near = COLOURS.iter().position(|colour| far(colour) < 24);
    near.unwrap_or_else(|| panic!("{pixel:?} is no colour of a frame"))
}

/// Alerting, publishing and the snapshots' thread as they are, fed with `seen`. What was sent, while a
/// frame was on its way and after it.
async fn sent(folder: &Path, seen: Vec<Observation>) -> Vec<Message> {
    let (observe, inbox) = mpsc::channel(64);
    let (out, notices) = mpsc::channel(64);
    let (_set, sets) = watch::channel(set());
    let (_request, requests) = mpsc::channel(1);
    tokio::spawn(alert::run(Alerts { inbox, sets, out, requests, clock: None }));
    let (to, shots) = crossbeam_channel::bounded(8);
    let (developing, developed) = mpsc::channel(8);
    let snapshots = Snapshots {
        inbox: shots,
        out: developing,
        shown: true,
        folder: Some(folder.to_owned()),
        node: NodeId::try_new("gate").unwrap(),
        limits: Limits { keep: Duration::from_secs(3600), size: 1 << 20 },
        quality: 90,
    };
    let thread = Builder::new().spawn(move || snapshots::run(snapshots)).unwrap();
    let shots = Shots { to: Some(to), shown: true, kept: Some(TimeZone::UTC) };
    let (clock, grace) = (Clock::start(), Duration::from_secs(1));
    let (mut messages, events) =
        publishing::start_with(notices, clock, grace, (mpsc::channel(1).0, shots, developed)).await;
    let mut sent = Vec::new();
    for observation in seen {
        observe.send(observation).await.unwrap();
        // Until nothing comes any more: of two pictures of a camera only the newer one is sent.
        while let Ok(Some(message)) =
            tokio::time::timeout(Duration::from_millis(400), messages.recv()).await
        {
            if message.confirmed {
                events.send(LinkEvent::Acked { token: message.token }).await.unwrap();
            }
            sent.push(message);
        }
    }
    drop((observe, messages, events));
    tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    sent
}

/// The event messages of a label: type and file.
fn told(sent: &[Message], label: &str) -> Vec<(String, Option<String>)> {
    let of_label = sent.iter().filter(|m| m.topic.ends_with(&format!("/{label}/event")));
    let read = |message: &Message| {
        let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        (json["type"].as_str().unwrap().to_owned(), json["snapshot"].as_str().map(str::to_owned))
    };
    of_label.map(read).collect()
}

#[tokio::test]
async fn it_shows_the_frame_that_tripped_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let rules = set();
    let seen = [0.1, 0.9, 0.9, 0.9, 0.9, 0.1].into_iter().enumerate();
    let sent = sent(folder.path(), seen.map(|(n, p)| scored(&rules, n, p)).collect()).await;
    let pictures: Vec<&Message> =
        sent.iter().filter(|message| message.topic == "seewhen/gate/yard/snapshot").collect();
    assert!(pictures.iter().all(|message| message.retain && !message.confirmed));
    let shown_on_topic: Vec<usize> = pictures.iter().map(|m| shown(&m.payload)).collect();
    assert_eq!(shown_on_topic, [1, 3], "quick trips in the second frame, slow in the fourth");
    for (label, tripped) in [("quick", 1), ("slow", 3)] {
        let told = told(&sent, label);
        let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("start", "end"), "{kinds:?}");
        let name = format!("gate/yard/1970-01-01/00-00-0{tripped}.000-w-{label}.jpg");
        assert!(told.iter().all(|(_, file)| file.as_deref() == Some(&name)), "{told:?}");
        let jpeg = std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(shown(&jpeg), tripped);
    }
    // The shadow label's trip is shown to nobody.
    let day = folder.path().join("gate/yard/1970-01-01");
    assert_eq!(std::fs::read_dir(day).unwrap().count(), 2);
}

#[tokio::test]
async fn a_frame_that_was_asked_for_is_shown_and_kept_without_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let rules = set();
    let seen = vec![scored(&rules, 0, 0.1), Observation::Asked(frame(4)), scored(&rules, 5, 0.1)];
    let sent = sent(folder.path(), seen).await;
    let pictures = sent.iter().filter(|message| message.topic.ends_with("/snapshot"));
    assert_eq!(pictures.map(|m| shown(&m.payload)).collect::<Vec<_>>(), [4]);
    let jpeg = std::fs::read(folder.path().join("gate/yard/1970-01-01/00-00-04.000.jpg")).unwrap();
    assert_eq!(shown(&jpeg), 4);
    assert!(sent.iter().all(|message| !message.topic.ends_with("/event")));
}

struct Blind;

impl ImageEncoder for Blind {
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        Ok(pictures.iter().map(|_| Embedding(vec![1.0])).collect())
    }

    fn max_batch(&self) -> usize {
        4
    }
}

/// Also of a camera that nothing looks at.
#[test]
fn an_ask_is_for_one_frame_the_next() {
    for watched in [true, false] {
        let mut rules = (*set()).clone();
        if !watched {
            rules.watches.clear();
        }
        let status = Arc::new(Status::default());
        assert!(!status.ask_snapshot(&camera()), "no such camera yet");
        status.camera(&camera());
        let (put, frames) = mailbox(WhenFull::Wait);
        let (out, mut observed) = mpsc::channel(64);
        let (_sets, sets) = watch::channel(Arc::new(rules));
        let engine = Engine::only(Box::new(Blind));
        let (max_wait, clock) = (Duration::ZERO, None);
        let inference =
            Inference { frames, engine, sets, out, status: status.clone(), max_wait, clock };
        assert!(status.ask_snapshot(&camera()));
        let thread = Builder::new().spawn(move || infer::run(inference)).unwrap();
        for second in 0..3 {
            put.put(frame(second));
        }
        drop(put);
        thread.join().unwrap();
        let (mut asked, mut scored) = (Vec::new(), 0);
        while let Ok(observation) = observed.try_recv() {
            match observation {
                Observation::Asked(frame) => asked.push(frame.captured.time.0),
                Observation::Scored(_) => scored += 1,
                Observation::Camera(_) | Observation::Model(_) => {}
            }
        }
        assert_eq!((asked, scored), (vec![0.0], if watched { 3 } else { 0 }));
    }
}

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
    seewhen.expect_log("seewhen is running", SOON);
    let folder = seewhen.kill();
    let days = folder.path().join("snapshots/test/picture");
    let day = std::fs::read_dir(days).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_dir(day).unwrap().count(), 2, "both lives kept theirs");
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
    let broker = Broker::start_with(|_| "max_packet_size 4000\n".to_owned());
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
