//! Labels that run and are told to nobody, and ends that no frame causes: the stages around the
//! rules.
//!
//! The stages are the real ones; frames and the link to the broker are played.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

#[path = "support/alerting.rs"]
mod alerting;
#[path = "support/publishing.rs"]
mod publishing;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ndarray::Array2;
use seewhen::clock::Clock;
use seewhen::model::{
    CameraChange, CameraId, CameraState, Captured, EventKind, LabelId, Picture, Probability,
    WallTime, WatchId,
};
use seewhen::publish::{LinkEvent, Message};
use seewhen::watch::schedule::{Range, Schedule};
use seewhen::watch::{
    Label, LabelRule, Notice, Observation, Probabilities, ScoreKind, Scored, Watch, WatchScore,
    WatchSet, WatchedCamera,
};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

fn rule(shadow: bool, active: Option<Schedule>) -> LabelRule {
    LabelRule {
        threshold: 0.5,
        clear: 0.4,
        hold: Duration::ZERO,
        consensus: Default::default(),
        cooldown: Duration::ZERO,
        update_every: Duration::ZERO,
        active,
        shadow,
        enabled: true,
    }
}

fn camera() -> CameraId {
    CameraId::try_new("yard").unwrap()
}

fn set(revision: u64, labels: [(&str, LabelRule); 2]) -> Arc<WatchSet> {
    let label = |(id, rule)| Label { id: LabelId::try_new(id).unwrap(), rule: Some(rule) };
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
            labels: labels.map(label).into(),
            score: ScoreKind::Sigmoid,
            matrix: Array2::zeros((2, 1)),
            taught: Default::default(),
            publish_every: Duration::from_secs(3600),
            enabled: true,
        }],
        logit_scale: 1.0,
        logit_bias: 0.0,
        model: "played".into(),
        revision,
    })
}

fn scored(rules: &Arc<WatchSet>, captured: Captured, probabilities: [Probability; 2]) -> Scored {
    let watch = &rules.watches[0];
    let probabilities = Probabilities::new(watch.labels.clone(), probabilities);
    let score = WatchScore::new(watch.id.clone(), probabilities);
    let picture = Arc::new(Picture { width: 0, height: 0, rgb: Vec::new() });
    Scored {
        camera: camera(),
        captured,
        unchanged: false,
        problem: None,
        scores: vec![score],
        look: Arc::new(seewhen::watch::Look { tiles: Vec::new(), embeddings: [].into() }),
        rules: rules.clone(),
        picture,
    }
}

/// What a notice is, in a word or two.
fn word(notice: &Notice) -> String {
    match notice {
        Notice::Event { event, .. } => format!("{} {:?}", event.key.label, event.kind),
        Notice::Shadow(event) => format!("shadow {} {:?}", event.key.label, event.kind),
        Notice::Probabilities { .. } => "probabilities".to_owned(),
        Notice::Watching(set) => format!("watching {}", set.revision),
        Notice::Asked(_) | Notice::Camera(_) | Notice::View { .. } | Notice::Model(_) => {
            "other".to_owned()
        }
    }
}

/// Frames in the media's own time through the alert stage.
async fn notices(frames: Vec<Scored>) -> Vec<String> {
    let (observe, mut told) = alerting::start(frames[0].rules.clone(), None);
    for frame in frames {
        observe.send(Observation::Scored(frame)).await.unwrap();
    }
    drop(observe);
    let mut found = Vec::new();
    while let Some(notice) = tokio::time::timeout(PATIENCE, told.recv()).await.unwrap() {
        found.push(word(&notice));
    }
    found
}

fn at(second: u32) -> Captured {
    let at = Duration::from_secs(second.into());
    Captured { at: seewhen::model::Moment(at), time: WallTime(second.into()) }
}

#[tokio::test]
async fn events_of_shadow_labels_are_other_notices() {
    let rules = set(1, [("told", rule(false, None)), ("trial", rule(true, None))]);
    let one = |second, p| scored(&rules, at(second), p);
    let found = notices(vec![one(1, [0.1, 0.9]), one(2, [0.9, 0.1]), one(3, [0.9, 0.9])]).await;
    let expected = [
        "watching 1",
        "probabilities", // the first
        "shadow trial Start",
        "probabilities", // a trip of the label that is told, not the end of the other
        "told Start",
        "shadow trial End",
        "shadow trial Start",
        "told End",
        "shadow trial End",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn whoever_was_told_of_a_start_is_told_of_its_end() {
    let old = set(1, [("a", rule(false, None)), ("b", rule(true, None))]);
    let new = set(2, [("a", rule(true, None)), ("b", rule(false, None))]);
    let frames = vec![scored(&old, at(1), [0.9, 0.9]), scored(&new, at(2), [0.1, 0.1])];
    let found = notices(frames).await;
    let expected =
        ["watching 1", "probabilities", "a Start", "shadow b Start", "a End", "shadow b End"];
    assert_eq!(found[..6], expected);
    assert_eq!(found[6..], ["watching 2"]);
}

#[tokio::test]
async fn an_open_event_ends_when_the_clock_leaves_the_schedule() {
    // Three days from now, when the frame says that it was captured, and not now.
    let (now, day) = (Timestamp::now(), 86_400);
    let then = Timestamp::from_second(now.as_second() + 3 * day).unwrap();
    let range = format!("{} 00:00-24:00", then.strftime("%a"));
    let range = Range::parse(&range).unwrap();
    let active = Some(Schedule::new(vec![range], TimeZone::UTC));
    let rules = set(1, [("told", rule(false, active.clone())), ("trial", rule(true, active))]);
    let clock = Clock::start();
    let (observe, mut told) = alerting::start(rules.clone(), Some(clock));
    let captured = Captured { time: WallTime(then.as_second() as f64), ..clock.captured() };
    let frame = scored(&rules, captured, [0.9, 0.9]);
    observe.send(Observation::Scored(frame)).await.unwrap();
    let mut found = Vec::new();
    while found.last().is_none_or(|last| last != "shadow trial End") {
        let notice = tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
        if let Notice::Event { event, .. } = &notice {
            assert_eq!(event.end_time.is_some(), event.kind == EventKind::End);
        }
        found.push(word(&notice));
    }
    assert_eq!(found[2..], ["told Start", "shadow trial Start", "told End", "shadow trial End"]);
}

/// Everything that is sent until the publisher has ended.
async fn sent(
    messages: &mut mpsc::Receiver<Message>,
    events: &mpsc::Sender<LinkEvent>,
) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(message) = next(messages, events).await {
        found.push(message);
    }
    found
}

/// The next message, which arrives.
async fn next(
    messages: &mut mpsc::Receiver<Message>,
    events: &mpsc::Sender<LinkEvent>,
) -> Option<String> {
    let message = tokio::time::timeout(PATIENCE, messages.recv()).await.unwrap()?;
    if message.confirmed {
        events.send(LinkEvent::Acked { token: message.token }).await.unwrap();
    }
    Some(format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload)))
}

#[tokio::test]
async fn nothing_of_a_shadow_label_is_sent_but_its_probability_and_its_count() {
    let rules = set(1, [("told", rule(false, None)), ("trial", rule(true, None))]);
    let (observe, notices) = alerting::start(rules.clone(), None);
    let (mut messages, events) =
        publishing::start(notices, Clock::start(), Duration::from_secs(10)).await;
    let running = CameraChange {
        camera: camera(),
        state: CameraState::Running,
        reason: String::new(),
        attempt: 1,
        captured: at(0),
    };
    observe.send(Observation::Camera(running)).await.unwrap();
    let counted = |count: u64| format!("\"shadow\":{{\"w/trial\":{count}}}");
    while !next(&mut messages, &events).await.unwrap().contains(&counted(0)) {}
    observe.send(Observation::Scored(scored(&rules, at(1), [0.9, 0.9]))).await.unwrap();
    observe.send(Observation::Scored(scored(&rules, at(2), [0.1, 0.1]))).await.unwrap();
    drop(observe);
    let found = sent(&mut messages, &events).await;
    let of = |label: &str| -> Vec<&String> {
        let topic = format!("seewhen/gate/yard/w/{label}/");
        found.iter().filter(|message| message.starts_with(&topic)).collect()
    };
    assert_eq!(of("trial"), Vec::<&String>::new());
    let mut statuses =
        found.iter().filter(|message| message.starts_with("seewhen/gate/yard/status"));
    assert!(statuses.next_back().unwrap().contains(&counted(1)), "{found:?}");
    let has = |text: &str| of("told").iter().any(|message| message.contains(text));
    assert!(
        has("/event {") && has("\"start\"") && has("\"end\"") && has("/state OFF"),
        "{found:?}"
    );
}

/// A reload that changes a threshold and nothing else.
#[tokio::test]
async fn attributes_follow_the_threshold() {
    let with = |revision, threshold| {
        let changed = LabelRule { threshold, ..rule(false, None) };
        set(revision, [("told", changed), ("other", rule(false, None))])
    };
    let (first, second) = (with(1, 0.5), with(2, 0.75));
    let (observe, notices) = alerting::start(first.clone(), None);
    let (mut messages, events) =
        publishing::start(notices, Clock::start(), Duration::from_secs(10)).await;
    for frame in [
        scored(&first, at(1), [0.9, 0.1]),
        scored(&second, at(2), [0.6, 0.1]),
        scored(&second, at(3), [0.2, 0.1]),
    ] {
        observe.send(Observation::Scored(frame)).await.unwrap();
    }
    let listen = async {
        // The broker is slow: each value is to be seen.
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(observe);
    };
    let ((), found) = tokio::join!(listen, sent(&mut messages, &events));
    let of = |label: &str| -> Vec<&str> {
        let topic = format!("seewhen/gate/yard/w/{label}/attributes ");
        found.iter().filter_map(|message| message.strip_prefix(&topic)).collect()
    };
    let told = of("told");
    let last = told.last().unwrap();
    assert_eq!(*last, r#"{"probability":0.2,"threshold":0.75,"since":3.0}"#, "{told:?}");
    assert!(of("other").iter().all(|text| text.contains("\"threshold\":0.5,")));
    // Nothing but the threshold: no frame comes.
    let (out, notices) = mpsc::channel(8);
    let (mut messages, events) =
        publishing::start(notices, Clock::start(), Duration::from_secs(10)).await;
    for set in [with(1, 0.5), with(2, 0.75)] {
        out.send(Notice::Watching(set)).await.unwrap();
    }
    drop(out);
    let found = sent(&mut messages, &events).await;
    let topic = "seewhen/gate/yard/w/told/attributes ";
    let last = found.iter().rfind(|message| message.starts_with(topic)).unwrap();
    assert!(last.ends_with(r#"{"probability":null,"threshold":0.75,"since":null}"#), "{found:?}");
}

/// A cooldown of a second. The broker confirms an end only after that, and from then on it counts anew.
#[tokio::test]
async fn a_cooldown_counts_from_the_word_of_the_broker() {
    let cooling = LabelRule { cooldown: Duration::from_secs(1), ..rule(false, None) };
    let rules = set(1, [("told", cooling), ("other", rule(false, None))]);
    let clock = Clock::start();
    let (request, requests) = mpsc::channel(8);
    let (observe, notices) = alerting::start_asked(rules.clone(), Some(clock), requests);
    let (mut messages, events) =
        publishing::start_asked(notices, clock, Duration::from_secs(10), request).await;
    let see = |p| {
        let frame = scored(&rules, clock.captured(), [p, 0.1]);
        observe.send(Observation::Scored(frame))
    };
    // The next event, all else confirmed at once.
    let next = async |messages: &mut mpsc::Receiver<Message>| loop {
        let message = messages.recv().await.unwrap();
        if message.topic.ends_with("/event") {
            let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            return (message.token, event);
        }
        if message.confirmed {
            events.send(LinkEvent::Acked { token: message.token }).await.unwrap();
        }
    };
    see(0.9).await.unwrap();
    let (token, event) = next(&mut messages).await;
    assert_eq!((&event["type"], &event["suppressed"]), (&"start".into(), &().into()));
    events.send(LinkEvent::Acked { token }).await.unwrap();
    see(0.1).await.unwrap();
    let (token, event) = next(&mut messages).await;
    assert_eq!(event["type"], "end");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    events.send(LinkEvent::Acked { token }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for p in [0.7, 0.1] {
        see(p).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(1000)).await;
    see(0.9).await.unwrap();
    let (_, event) = tokio::time::timeout(PATIENCE, next(&mut messages)).await.unwrap();
    assert_eq!(event["type"], "start");
    let suppressed = &event["suppressed"];
    assert_eq!((&suppressed["count"], &suppressed["top_probability"]), (&1.into(), &0.7.into()));
    assert!(suppressed["last"].as_f64() < event["start_time"].as_f64());
}
