//! Payloads, to the byte.

use std::time::Duration;

use super::*;
use crate::model::{
    CameraId, CameraState, Captured, EventKind, LabelKey, Moment, ProblemKind, WatchId,
};
use crate::watch::Label;

fn label(id: &str) -> LabelId {
    LabelId::try_new(id).unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_event_has_every_field_of_the_contract() {
    let sample = Event {
        id: "1.000-c-w-l".into(),
        kind: EventKind::End,
        key: LabelKey {
            camera: CameraId::try_new("c").unwrap(),
            watch: WatchId::try_new("w").unwrap(),
            label: label("l"),
        },
        start_time: WallTime(1.0004),
        end_time: Some(WallTime(3.5)),
        frame_time: WallTime(4.0),
        probability: 0.1,
        top_probability: 0.9,
        threshold: 0.8,
        probabilities: [(label("l"), 0.1), (label("rest"), 0.9)].into(),
        tile: Some(Region { x: 0.437_5, y: 0.0, width: 0.562_5, height: 1.0 }),
        model: "mini".into(),
        suppressed: None,
        snapshot: Some("gate/c/2026-11-26/03-10-04.000-w-l.jpg".into()),
    };
    let node = NodeId::try_new("gate").unwrap();
    assert_eq!(
        text(event(&sample, Some(&node), true)),
        r#"{"id":"1.000-c-w-l","type":"end","node":"gate","camera":"c","watch":"w","label":"l","start_time":1.0,"end_time":3.5,"frame_time":4.0,"probability":0.1,"top_probability":0.9,"threshold":0.8,"probabilities":{"l":0.1,"rest":0.9},"tile":{"x":0.4375,"y":0.0,"width":0.5625,"height":1.0},"model":"mini","queued":true,"suppressed":null,"snapshot":"gate/c/2026-11-26/03-10-04.000-w-l.jpg"}"#
    );
    let first = WallTime(0.5);
    let suppressed =
        Some(Suppressed { count: 2, top_probability: 0.95, first, last: WallTime(0.75) });
    let told = text(event(&Event { suppressed, ..sample }, Some(&node), false));
    let expected = r#""suppressed":{"count":2,"top_probability":0.95,"first":0.5,"last":0.75},"#;
    assert!(told.contains(expected), "{told}");
}

#[test]
fn probabilities_and_status() {
    let labels = ["b", "a"].map(|id| Label { id: label(id), rule: None });
    let p = Probabilities::new(labels.into(), [0.25, 0.75]);
    assert_eq!(
        text(probabilities(WallTime(2.5), &p, Some("mini"))),
        r#"{"time":2.5,"probabilities":{"a":0.75,"b":0.25},"model":"mini"}"#
    );
    let change = CameraChange {
        camera: CameraId::try_new("c").unwrap(),
        state: CameraState::Retrying,
        reason: "refused".to_owned(),
        attempt: 2,
        captured: Captured { at: Moment(Duration::ZERO), time: WallTime(7.0) },
    };
    let work = Work {
        strategy: Some(DecodeStrategy::KeyFrames),
        key_interval: Some(Duration::from_millis(2000)),
        decoder: Some("avdec_h264".into()),
        note: None,
    };
    let key = |id: &str| LabelKey {
        camera: CameraId::try_new(id).unwrap(),
        watch: WatchId::try_new("w").unwrap(),
        label: label("l"),
    };
    let shadows = [(key("c"), 4)];
    let (kind, since) = (ProblemKind::Moved, WallTime(8.000_4));
    let problem = Some(Problem { kind, reason: "another view", since });
    let load = Load { fps: 1.999_9, dropped: 3, unchanged: 5, cpu: 0.017_04, work, problem };
    assert_eq!(
        text(status(&change, &load, &shadows)),
        r#"{"state":"retrying","reason":"refused","attempt":2,"since":7.0,"fps":2.0,"dropped":3,"unchanged":5,"strategy":"keyframes","key_interval":2.0,"decoder":"avdec_h264","cpu":0.017,"problem":"moved","problem_reason":"another view","problem_since":8.0,"shadow":{"w/l":4}}"#
    );
}

#[test]
fn what_home_assistant_shows_besides() {
    let status = NodeStatus {
        version: "1.2.3",
        model: "mini",
        provider: Some("openvino"),
        precision: None,
        fps: 7.996,
        outbox: 2,
        history: Some("the disk is full"),
        snapshots: None,
        commands: &[("done", 3), ("too_large", 0)],
    };
    assert_eq!(
        text(node_status(&status)),
        r#"{"version":"1.2.3","model":"mini","provider":"openvino","precision":null,"fps":8.0,"outbox":2,"history":"the disk is full","snapshots":null,"commands":{"done":3,"too_large":0}}"#
    );
    assert_eq!(
        text(attributes(Some(0.9), 0.8, Some(WallTime(2.000_4)))),
        r#"{"probability":0.9,"threshold":0.8,"since":2.0}"#
    );
    assert_eq!(
        text(attributes(None, 0.8, None)),
        r#"{"probability":null,"threshold":0.8,"since":null}"#
    );
    assert_eq!([threshold(0.8), threshold(1.0), threshold(0.005)], ["0.8", "1", "0.005"]);
}
