//! A device that fails: what becomes of alerts, and how inference comes back or ends.
//!
//! The stages are the real ones; the encoder and the link to the broker are played.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

#[path = "support/alerting.rs"]
mod alerting;
#[path = "support/publishing.rs"]
mod publishing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::Duration;

use ndarray::array;
use seewhen::clip::{EncodeError, ImageEncoder};
use seewhen::clock::Clock;
use seewhen::infer::engine::{Engine, Load};
use seewhen::infer::{self, Inference};
use seewhen::mailbox::{Sender, WhenFull, mailbox};
use seewhen::model::{CameraId, Embedding, Frame, LabelId, ModelState, Picture, View, WatchId};
use seewhen::publish::{LinkEvent, Message};
use seewhen::status::Status;
use seewhen::watch::{
    Label, LabelRule, Observation, Probabilities, ScoreKind, Watch, WatchScore, WatchSet,
    WatchedCamera,
};
use tokio::sync::{mpsc, watch};

const PATIENCE: Duration = Duration::from_secs(20);

/// Sees the label in every picture, until the device is gone after `life` calls.
struct Mortal {
    life: usize,
}

impl ImageEncoder for Mortal {
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        self.life = self
            .life
            .checked_sub(1)
            .ok_or_else(|| EncodeError::Lost("CUDA failure 700: illegal memory access".into()))?;
        Ok(pictures.iter().map(|_| Embedding(vec![1.0, 0.0])).collect())
    }

    fn max_batch(&self) -> usize {
        4
    }
}

fn camera() -> CameraId {
    CameraId::try_new("yard").unwrap()
}

fn rules() -> Arc<WatchSet> {
    let label = |id, rule| Label { id: LabelId::try_new(id).unwrap(), rule };
    let rule = LabelRule {
        threshold: 0.5,
        clear: 0.4,
        hold: Duration::ZERO,
        cooldown: Duration::ZERO,
        consensus: Default::default(),
        update_every: Duration::ZERO,
        active: None,
        shadow: false,
        enabled: true,
    };
    Arc::new(WatchSet {
        cameras: vec![WatchedCamera {
            id: camera(),
            stale_after: Duration::from_secs(60),
            enabled: true,
            view_check: None,
        }],
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            cameras: vec![camera()],
            labels: [label("thing", Some(rule)), label("nothing", None)].into(),
            score: ScoreKind::Softmax,
            matrix: array![[1.0, 0.0], [0.0, 1.0]],
            taught: Default::default(),
            publish_every: Duration::from_secs(60),
            enabled: true,
        }],
        logit_scale: 10.0,
        logit_bias: 0.0,
        model: "mortal".into(),
        revision: 1,
    })
}

fn put(frames: &Sender, clock: Clock) {
    frames.put(Frame {
        camera: camera(),
        captured: clock.captured(),
        view: View::default(),
        gate: None,
        picture: Arc::new(Picture { width: 1, height: 1, rgb: vec![0; 3] }),
    });
}

struct Running {
    frames: Sender,
    clock: Clock,
    status: Arc<Status>,
    observed: mpsc::Receiver<Observation>,
    inferring: std::thread::JoinHandle<()>,
}

fn start(life: usize, load: Load) -> Running {
    let (frames, received) = mailbox(WhenFull::Replace);
    let (out, observed) = mpsc::channel(64);
    let (clock, status) = (Clock::start(), Arc::new(Status::default()));
    status.camera(&camera());
    let (_set, sets) = watch::channel(rules());
    let engine = Engine::new(Box::new(Mortal { life }), load);
    let inference = Inference {
        frames: received,
        engine,
        sets,
        out,
        status: status.clone(),
        max_wait: Duration::ZERO,
        clock: Some(clock),
        keeping: None,
        remembering: None,
    };
    let inferring = Builder::new().spawn(move || infer::run(inference)).unwrap();
    Running { frames, clock, status, observed, inferring }
}

/// Puts frames until something is told that `wanted` takes; panics when nothing comes.
fn feed_until<T>(running: &mut Running, wanted: impl Fn(&Observation) -> Option<T>) -> T {
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end {
        put(&running.frames, running.clock);
        std::thread::sleep(Duration::from_millis(20));
        while let Ok(observation) = running.observed.try_recv() {
            if let Some(found) = wanted(&observation) {
                return found;
            }
        }
    }
    panic!("not within {PATIENCE:?}");
}

fn scored(observation: &Observation) -> Option<()> {
    matches!(observation, Observation::Scored(_)).then_some(())
}

fn state(observation: &Observation) -> Option<ModelState> {
    if let Observation::Model(state) = observation { Some(state.clone()) } else { None }
}

#[test]
fn inference_comes_back_when_the_device_does() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = loads.clone();
    let load: Load = Box::new(move || match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Err("cuda:0 cannot be had".into()),
        _ => Ok(Box::new(Mortal { life: usize::MAX })),
    });
    let mut running = start(2, load);
    feed_until(&mut running, scored);
    let lost = feed_until(&mut running, state);
    assert!(matches!(&lost, ModelState::Lost(cause) if cause.contains("CUDA failure 700")));
    // Said once, whatever goes on coming in.
    assert_eq!(feed_until(&mut running, state), ModelState::Working);
    assert_eq!(loads.load(Ordering::Relaxed), 2);
    feed_until(&mut running, scored);
    let counts = running.status.camera(&camera()).counts();
    assert!(counts.failed > 10, "frames that came in the meantime: {counts:?}");
    drop(running.frames);
    running.inferring.join().unwrap();
}

#[test]
fn inference_ends_when_the_device_stays_away() {
    let mut running = start(0, Box::new(|| Err("cuda:0 cannot be had".into())));
    feed_until(&mut running, state);
    let started = std::time::Instant::now();
    while !running.inferring.is_finished() {
        assert!(started.elapsed() < PATIENCE, "it hangs");
        put(&running.frames, running.clock);
        std::thread::sleep(Duration::from_millis(20));
    }
    running.inferring.join().unwrap();
}

/// Confirms what is sent until each of `wanted`, a topic and a part of its payload, has been, in any
/// order.
async fn payloads(
    messages: &mut mpsc::Receiver<Message>,
    events: &mpsc::Sender<LinkEvent>,
    wanted: &[(&str, &str)],
) {
    let mut missing = wanted.to_vec();
    let found = async {
        while !missing.is_empty() {
            let message = messages.recv().await.expect("the publisher has ended");
            if message.confirmed {
                events.send(LinkEvent::Acked { token: message.token }).await.unwrap();
            }
            let payload = String::from_utf8_lossy(&message.payload);
            missing.retain(|(topic, part)| message.topic != *topic || !payload.contains(part));
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("not all of {wanted:?}"));
}

/// While nobody can look, no label stays on and nothing claims to be available.
#[tokio::test]
async fn nothing_stays_on_while_the_device_is_gone() {
    let clock = Clock::start();
    let (observe, notices) = alerting::start(rules(), Some(clock));
    let (mut messages, events) = publishing::start(notices, clock, Duration::from_secs(1)).await;
    let (available, event) = ("seewhen/gate/available", "seewhen/gate/yard/w/thing/event");
    payloads(&mut messages, &events, &[(available, "online")]).await;
    let rules = rules();
    let watch = &rules.watches[0];
    let probabilities = Probabilities::new(watch.labels.clone(), [0.9, 0.1]);
    let scores = vec![WatchScore::new(watch.id.clone(), probabilities)];
    let captured = clock.captured();
    let picture = Arc::new(Picture { width: 0, height: 0, rgb: Vec::new() });
    let scored = seewhen::watch::Scored {
        camera: camera(),
        captured,
        unchanged: false,
        problem: None,
        scores,
        look: Arc::new(seewhen::watch::Look { tiles: Vec::new(), embeddings: [].into() }),
        rules,
        picture,
    };
    observe.send(Observation::Scored(scored)).await.unwrap();
    payloads(&mut messages, &events, &[(event, "start")]).await;
    let lost = ModelState::Lost("gone".into());
    observe.send(Observation::Model(lost)).await.unwrap();
    payloads(&mut messages, &events, &[(available, "offline"), (event, "end")]).await;
    observe.send(Observation::Model(ModelState::Working)).await.unwrap();
    payloads(&mut messages, &events, &[(available, "online")]).await;
}
