//! Promise: what is wrong with what a camera shows is said on its status topic, and with every frame's scores.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

#[path = "support/alerting.rs"]
mod alerting;
#[path = "support/clip.rs"]
mod clip;
mod support;

use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use ndarray::array;
use seewhen::clip::{EncodeError, ImageEncoder};
use seewhen::config;
use seewhen::infer::engine::Engine;
use seewhen::infer::{self, Inference};
use seewhen::mailbox::{WhenFull, mailbox};
use seewhen::model::{
    CameraChange, CameraId, CameraState, Captured, ChangeGate, Embedding, Frame, LabelId, Moment,
    Picture, ProblemKind, Shown, View, WallTime, WatchId,
};
use seewhen::status::Status;
use seewhen::view::shelf::{self, Shelf};
use seewhen::view::{Memo, Sight, Watcher};
use seewhen::watch::{
    Label, Notice, Observation, ScoreKind, Scored, Watch, WatchSet, WatchedCamera,
};
use serde_json::Value;
use support::{Broker, Heard, Seewhen};
use tokio::sync::{mpsc, watch};

const SOON: Duration = Duration::from_secs(60);

/// A picture for 5 s, black for 35 s, and the picture again.
#[test]
fn a_covered_lens_reaches_a_subscriber_and_so_does_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("covered.mp4");
    let part = |pattern: &str, seconds: u32| {
        format!(
            "videotestsrc num-buffers={} pattern={pattern} ! \
             video/x-raw,format=I420,width=320,height=240,framerate=10/1 ! c. ",
            seconds * 10
        )
    };
    let parts = [part("smpte75", 5), part("black", 35), part("smpte75", 40)].concat();
    let chain = "concat name=c ! identity single-segment=true ! x264enc key-int-max=10 ! h264parse ! mp4mux name=m";
    clip::write(&format!("{chain} {parts} m."), &file);
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let config = support::picture(broker.port).replace("test:", file.to_str().unwrap());
    let seewhen = Seewhen::start(
        &(config
            + "[[watch]]\nid = \"w\"\n[[watch.label]]\nid = \"bars\"\nprompts = [\"bars\"]\n\
               threshold = 0.9\n[[watch.label]]\nid = \"rest\"\nprompts = [\"nothing\"]\n"),
    );
    let says = |wanted: Value| {
        move |heard: &Heard| {
            let status = heard.json();
            status["state"] == "running" && status["problem"] == wanted
        }
    };
    let well = subscriber.expect("picture/status", SOON, says(Value::Null)).json();
    assert_eq!(well["problem_reason"], Value::Null);
    let covered = subscriber.expect("picture/status", SOON, says("covered".into())).json();
    assert_eq!(covered["problem_reason"], "the picture is black");
    let since = covered["problem_since"].as_f64().unwrap() - well["since"].as_f64().unwrap();
    assert!((2.0..10.0).contains(&since), "black for {since} s after the start");
    seewhen.expect_log("the picture is black", SOON);
    support::wait_for("the end of it", SOON, || {
        subscriber.on("picture/status").last().filter(|last| says(Value::Null)(last)).map(drop)
    });
    seewhen.expect_log("the view is as usual again", SOON);
    assert_eq!(seewhen.log().matches("the picture is black").count(), 1, "each is logged once");
}

/// A smooth picture of little contrast, as a hand on the lens is: that this is not how the camera looks as a
/// rule is known to who remembers.
#[test]
fn what_is_usual_outlives_seewhen_and_can_be_learnt_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hand.mp4");
    let hand = "videotestsrc num-buffers=600 pattern=gradient ! videobalance contrast=0.15 ! \
                video/x-raw,format=I420,width=320,height=240,framerate=10/1 ! \
                x264enc key-int-max=10 ! h264parse ! mp4mux";
    clip::write(hand, &file);
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    let config = support::picture(broker.port).replace("test:", file.to_str().unwrap())
        + "every = \"200ms\"\nloop = true\n[[watch]]\nid = \"w\"\n[[watch.label]]\nid = \"a\"\n\
           prompts = [\"a hand\"]\n[[watch.label]]\nid = \"b\"\nprompts = [\"nothing\"]\n";
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("seewhen.toml"), config).unwrap();
    remember(state.path(), "picture");
    remember(state.path(), "removed");
    let kept = state.path().join("views-test");
    let kept = |camera: &str| kept.join(format!("{camera}.json"));
    assert!(kept("picture").is_file() && kept("removed").is_file());

    let seewhen = Seewhen::start_in(state, &[]);
    let says = |wanted: Value| {
        move |heard: &Heard| {
            let status = heard.json();
            status["state"] == "running" && status["problem"] == wanted
        }
    };
    let covered = subscriber.expect("picture/status", SOON, says("covered".into())).json();
    assert_eq!(covered["problem_reason"], "something is in front of the lens");
    assert!(!kept("removed").exists(), "of a camera that is no more nothing is kept");

    let learn = br#"{"command":"learn_view","camera":"picture"}"#;
    broker.publish("seewhen/test/command", learn, false);
    let reply = subscriber.expect("test/reply", SOON, |_| true).json();
    assert_eq!((&reply["ok"], &reply["persisted"]), (&true.into(), &Value::Null), "{reply}");
    support::wait_for("a view that is not known", SOON, || {
        subscriber.on("picture/status").last().filter(|last| says(Value::Null)(last)).map(drop)
    });
    support::wait_for("nothing is kept", SOON, || (!kept("picture").exists()).then_some(()));

    // What cannot be read is said, and costs no more than the two minutes of a beginning.
    std::fs::write(kept("picture"), "{\"version\":1").unwrap();
    let seewhen = Seewhen::start_in(seewhen.kill(), &[]);
    seewhen.expect_log("picture.json: it is damaged", SOON);
    seewhen.expect_log("frames are flowing", SOON);
}

/// Leaves the memory of another view than a hand's in `state`, as seewhen does when it stops.
fn remember(state: &std::path::Path, id: &str) {
    let config = config::load(&state.join("seewhen.toml")).unwrap().config;
    let shown = config.cameras[0].shown();
    let level = |place: u32| ((place % 64 / 5) * (place / 64 / 4) * 37 % 200) as u8;
    let rgb = (0..64 * 36).flat_map(|place| [level(place); 3]).collect();
    let mut picture = Picture { width: 64, height: 36, rgb };
    let mut watcher = Watcher::default();
    for second in 0..180_u8 {
        picture.rgb[0] = second;
        let at = Moment(Duration::from_secs(second.into()));
        watcher.look(Captured { at, ..Captured::default() }, &Sight::of(&picture, View::default()));
    }
    let camera = CameraId::try_new(id).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let time = WallTime(now.as_secs_f64());
    let memo = Memo { camera: camera.clone(), shown, time, learnt: watcher.learnt().unwrap() };
    let (to, inbox) = crossbeam_channel::bounded(1);
    to.send((camera.clone(), Some(memo))).unwrap();
    drop(to);
    let all = [CameraId::try_new("picture").unwrap(), camera];
    shelf::run(&Shelf::new(state, &config.node), &all, &inbox);
}

struct Blind;

impl ImageEncoder for Blind {
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        Ok(pictures.iter().map(|_| Embedding(vec![1.0, 0.0])).collect())
    }

    fn max_batch(&self) -> usize {
        4
    }
}

fn camera() -> CameraId {
    CameraId::try_new("yard").unwrap()
}

fn rules(view_check: bool) -> Arc<WatchSet> {
    let label = |id| Label { id: LabelId::try_new(id).unwrap(), rule: None };
    let stale_after = Duration::from_secs(60);
    Arc::new(WatchSet {
        cameras: vec![WatchedCamera {
            id: camera(),
            stale_after,
            enabled: true,
            view_check: view_check.then_some(Shown(1)),
        }],
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            cameras: vec![camera()],
            labels: [label("thing"), label("nothing")].into(),
            score: ScoreKind::Softmax,
            matrix: array![[1.0, 0.0], [0.0, 1.0]],
            taught: Default::default(),
            publish_every: Duration::from_secs(60),
            enabled: true,
        }],
        logit_scale: 10.0,
        logit_bias: 0.0,
        model: "blind".into(),
        revision: 1,
    })
}

/// A frame every two seconds, each with its own time; what the inference stage says of them.
fn seen(view_check: bool, pictures: impl Iterator<Item = Arc<Picture>>) -> Vec<Scored> {
    let (frames, received) = mailbox(WhenFull::Wait);
    let (out, mut observed) = mpsc::channel(1024);
    let status = Arc::new(Status::default());
    status.camera(&camera());
    let (_set, sets) = watch::channel(rules(view_check));
    let inference = Inference {
        frames: received,
        engine: Engine::only(Box::new(Blind)),
        sets,
        out,
        status,
        max_wait: Duration::ZERO,
        clock: None,
        keeping: None,
        remembering: None,
    };
    let inferring = Builder::new().spawn(move || infer::run(inference)).unwrap();
    let gate = Some(ChangeGate { difference: 0.02, max_age: Duration::from_secs(3600) });
    for (number, picture) in pictures.enumerate() {
        let at = Moment(Duration::from_secs(2 * number as u64));
        let captured = Captured { at, time: WallTime(1000.0 + 2.0 * number as f64) };
        frames.put(Frame { camera: camera(), captured, view: View::default(), gate, picture });
    }
    drop(frames);
    inferring.join().unwrap();
    let mut scored = Vec::new();
    while let Ok(Observation::Scored(one)) = observed.try_recv() {
        scored.push(one);
    }
    scored
}

/// Steps of grey. `grain` changes one pixel, which no gate sees.
fn steps(grain: u8) -> Arc<Picture> {
    let level = |place: usize| if place % 64 < 32 { 60 } else { 160 };
    let mut rgb: Vec<u8> = (0..64 * 36).flat_map(|place| [level(place); 3]).collect();
    rgb[0] = grain;
    Arc::new(Picture { width: 64, height: 36, rgb })
}

#[test]
fn frames_that_a_gate_passes_over_count() {
    // It changes as little as a gate allows, then not at all, then again.
    let changing = (0..100).map(|number| steps(number % 2));
    let still = (0..100).map(|_| steps(7));
    let scored = seen(true, changing.clone().chain(still.clone()).chain(changing.clone()));
    assert_eq!(scored.len(), 300);
    assert!(scored[1..].iter().all(|one| one.unchanged), "the gate finds all of them alike");
    let frozen: Vec<usize> = scored
        .iter()
        .enumerate()
        .filter(|(_, one)| one.problem.is_some())
        .map(|(n, _)| n)
        .collect();
    // The second frame that is the same begins it.
    assert_eq!((frozen[0], *frozen.last().unwrap()), (161, 204));
    let problem = scored[170].problem.unwrap();
    assert_eq!((problem.kind, problem.since), (ProblemKind::Frozen, WallTime(1202.0)));
    assert!(seen(false, still).iter().all(|one| one.problem.is_none()), "it is switched off");
}

#[tokio::test]
async fn a_problem_is_told_once_and_again_after_the_camera_was_away() {
    let scored = seen(true, (0..100).map(|_| steps(7)));
    let (fine, frozen) = (scored[0].clone(), scored[90].clone());
    assert!(fine.problem.is_none() && frozen.problem.is_some());
    let clock = Some(seewhen::clock::Clock::start());
    let (observe, mut notices) = alerting::start(rules(true), clock);
    let (reason, captured) = (String::new(), Captured::default());
    let away = CameraChange {
        camera: camera(),
        state: CameraState::Stalled,
        reason,
        attempt: 1,
        captured,
    };
    for one in [&fine, &frozen, &frozen] {
        observe.send(Observation::Scored(one.clone())).await.unwrap();
    }
    observe.send(Observation::Camera(away)).await.unwrap();
    for one in [&frozen, &fine, &fine] {
        observe.send(Observation::Scored(one.clone())).await.unwrap();
    }
    drop(observe);
    let mut told = Vec::new();
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::View { problem, .. } => {
                told.push(problem.map_or("well", |one| one.kind.word()));
            }
            Notice::Camera(_) => told.push("away"),
            _ => {}
        }
    }
    assert_eq!(told, ["frozen", "away", "frozen", "well"]);
}
