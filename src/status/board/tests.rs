//! Tests of the board.

use super::*;
use crate::model::{CameraState, Moment};
use crate::watch::{Label, Probabilities, ScoreKind, Watch, WatchedCamera};

fn camera() -> CameraId {
    CameraId::try_new("c").unwrap()
}

fn set() -> Arc<WatchSet> {
    let watch = Watch {
        id: WatchId::try_new("w").unwrap(),
        cameras: vec![camera()],
        labels: [Label { id: LabelId::of_prompt("l"), rule: None }].into(),
        score: ScoreKind::Softmax,
        matrix: ndarray::Array2::zeros((1, 2)),
        taught: Default::default(),
        publish_every: Duration::ZERO,
        enabled: true,
    };
    let stale_after = Duration::from_secs(10);
    Arc::new(WatchSet {
        cameras: vec![WatchedCamera { id: camera(), stale_after, enabled: true, view_check: None }],
        watches: vec![watch],
        logit_scale: 100.0,
        logit_bias: 0.0,
        model: "mini".into(),
        revision: 1,
    })
}

fn scored(time: f64) -> Scored {
    let (rules, watch) = (set(), WatchId::try_new("w").unwrap());
    let probabilities = Probabilities::new(rules.watches[0].labels.clone(), [0.5]);
    Scored {
        camera: camera(),
        captured: Captured { at: Moment(Duration::ZERO), time: WallTime(time) },
        unchanged: false,
        problem: None,
        scores: vec![WatchScore::new(watch, probabilities)],
        look: Arc::new(Look { tiles: Vec::new(), embeddings: [].into() }),
        rules,
        picture: Arc::new(Picture { width: 1, height: 1, rgb: vec![0; 3] }),
    }
}

#[test]
fn a_look_sees_what_is_new() {
    let board = Board::default();
    board.scored(&scored(1.0));
    assert!(board.since(0).cameras.is_empty(), "no watches, no cameras");
    board.watching(&set());
    let first = board.since(0);
    assert_eq!(first.cameras.len(), 1);
    assert!(board.since(first.upto).cameras.is_empty());
    for tenth in 0..20 {
        board.scored(&scored(10.0 + f64::from(tenth) / 10.0));
    }
    let second = board.since(first.upto);
    let (_, seen) = &second.cameras[0];
    assert!((seen.fps() - 10.0).abs() < 1e-6, "{}", seen.fps());
    assert!(seen.newest.as_ref().unwrap().picture.is_none(), "nobody looks");
    board.look();
    board.scored(&scored(13.0));
    assert!(board.one(&camera()).unwrap().newest.unwrap().picture.is_some());
    assert_eq!(board.curves(&camera()).unwrap().len(), 1);
    board.watching(&Arc::new(WatchSet { cameras: Vec::new(), ..(*set()).clone() }));
    assert!(board.one(&camera()).is_none());
}

#[test]
fn labels_are_on_between_start_and_end() {
    let board = Board::default();
    board.watching(&set());
    let (watch, label) = (WatchId::try_new("w").unwrap(), LabelId::of_prompt("l"));
    let key = LabelKey { camera: camera(), watch, label };
    let event = |kind| Event {
        id: "1".into(),
        kind,
        key: key.clone(),
        start_time: WallTime(1.0),
        end_time: None,
        frame_time: WallTime(1.0),
        probability: 0.5,
        top_probability: 0.5,
        threshold: 0.5,
        probabilities: BTreeMap::new(),
        tile: None,
        model: "mini".into(),
        suppressed: None,
        snapshot: None,
    };
    board.event(&event(EventKind::Start));
    assert_eq!(board.on().get(&key), Some(&WallTime(1.0)));
    board.event(&event(EventKind::End));
    assert!(board.on().is_empty());
    assert_eq!(board.since(0).events.len(), 2);
    for _ in 0..1000 {
        board.event(&event(EventKind::Start));
    }
    assert_eq!(board.since(0).events.len(), EVENTS);
    let change = CameraChange {
        camera: camera(),
        state: CameraState::Stalled,
        reason: "no frames".to_owned(),
        attempt: 1,
        captured: Captured::default(),
    };
    board.camera(&change);
    assert_eq!(board.one(&camera()).unwrap().life, Some(change));
}
