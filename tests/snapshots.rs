//! The picture of an event is the very frame that started it: on the topic, in the file, and named in
//! the event.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

#[path = "support/alerting.rs"]
mod alerting;
#[path = "support/publishing.rs"]
mod publishing;

use std::path::Path;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use jiff::tz::TimeZone;
use ndarray::Array2;
use seewhen::clip::{EncodeError, ImageEncoder};
use seewhen::clock::Clock;
use seewhen::infer::engine::Engine;
use seewhen::infer::{self, Inference};
use seewhen::mailbox::{WhenFull, mailbox};
use seewhen::model::{
    CameraId, Captured, Embedding, Frame, LabelId, Moment, NodeId, Picture, View, WallTime, WatchId,
};
use seewhen::publish::snapshots::{self, Limits, Snapshots};
use seewhen::publish::{LinkEvent, Message, Shots};
use seewhen::status::Status;
use seewhen::watch::{
    Label, LabelRule, Observation, Probabilities, ScoreKind, Scored, Watch, WatchScore, WatchSet,
    WatchedCamera,
};
use tokio::sync::{mpsc, watch};

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
            enabled: true,
        };
        Label { id: LabelId::try_new(id).unwrap(), rule: Some(rule) }
    };
    Arc::new(WatchSet {
        cameras: vec![WatchedCamera {
            id: camera(),
            enabled: true,
            view_check: None,
            stale_after: Duration::from_secs(60),
        }],
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            enabled: true,
            cameras: vec![camera()],
            labels: [label("quick", 0), label("slow", 2), label("secret", 0)].into(),
            score: ScoreKind::Sigmoid,
            matrix: Array2::zeros((3, 1)),
            taught: Default::default(),
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
    let watch = &rules.watches[0];
    let probabilities = Probabilities::new(watch.labels.clone(), [probability; 3]);
    let score = WatchScore::new(watch.id.clone(), probabilities);
    let Frame { camera, captured, picture, .. } = frame(second);
    Observation::Scored(Scored {
        camera,
        captured,
        unchanged: false,
        problem: None,
        scores: vec![score],
        look: Arc::new(seewhen::watch::Look { tiles: Vec::new(), embeddings: [].into() }),
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
    let (observe, notices) = alerting::start(set(), None);
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
        let status_too = status.clone();
        let inference = Inference {
            frames,
            engine,
            sets,
            out,
            status: status_too,
            max_wait,
            clock,
            keeping: None,
            remembering: None,
        };
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
