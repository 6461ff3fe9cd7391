//! The rules by example, and their promises over random series.

use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::model::{WallTime, WatchId};
use crate::watch::{Label, ScoreKind, Watch, WatchedCamera};

const STALE: Duration = Duration::from_secs(20);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn rule() -> LabelRule {
    LabelRule { threshold: 0.8, clear: 0.6, hold: ms(0), cooldown: ms(0), update_every: ms(0) }
}

fn set(revision: u64, rule: Option<LabelRule>) -> Arc<WatchSet> {
    let label = |id: &str, rule| Label { id: LabelId::try_new(id).unwrap(), rule };
    Arc::new(WatchSet {
        cameras: vec![WatchedCamera { id: camera(), stale_after: STALE }],
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            cameras: vec![camera()],
            labels: vec![label("package", rule), label("nothing", None)],
            score: ScoreKind::Softmax,
            matrix: Array2::zeros((2, 1)),
            publish_every: ms(0),
        }],
        logit_scale: 100.0,
        logit_bias: 0.0,
        model: "test".into(),
        revision,
    })
}

fn camera() -> CameraId {
    CameraId::try_new("c").unwrap()
}

fn captured(at: u64) -> Captured {
    Captured { at: Moment(ms(at)), time: WallTime(1000.0 + at as f64 / 1000.0) }
}

fn frame(rules: &Arc<WatchSet>, at: u64, p: f32) -> Scored {
    let label = |id: &str| LabelId::try_new(id).unwrap();
    Scored {
        camera: camera(),
        captured: captured(at),
        scores: vec![WatchScore {
            watch: WatchId::try_new("w").unwrap(),
            probabilities: vec![(label("package"), p), (label("nothing"), 1.0 - p)],
            tiles: Vec::new(),
        }],
        rules: rules.clone(),
    }
}

/// Runs a series of `(milliseconds, probability)` and writes events as `kind@ms`.
fn run(rule: LabelRule, series: &[(u64, f32)]) -> Vec<String> {
    let set = set(1, Some(rule));
    let mut rules = Rules::new(set.clone());
    let mut out = Vec::new();
    for (at, p) in series {
        for event in rules.observe(&frame(&set, *at, *p)) {
            out.push(format!("{:?}@{at}", event.kind));
        }
    }
    out
}

#[track_caller]
fn check(rule: LabelRule, series: &[(u64, f32)], expected: &[&str]) {
    assert_eq!(run(rule, series), expected);
}

#[test]
fn fires_at_the_threshold_and_ends_below_clear() {
    check(rule(), &[(0, 0.79), (1, 0.8), (2, 0.6), (3, 0.59)], &["Start@1", "End@3"]);
}

#[test]
fn an_event_tells_its_whole_stay() {
    let set = set(1, Some(rule()));
    let mut rules = Rules::new(set.clone());
    let mut seen = |at, p| rules.observe(&frame(&set, at, p));
    let start = seen(1000, 0.85).remove(0);
    assert_eq!((start.start_time, start.end_time), (WallTime(1001.0), None));
    assert!(seen(2000, 0.95).is_empty());
    assert!(seen(3000, 0.7).is_empty());
    let end = seen(4000, 0.1).remove(0);
    assert_eq!(end.id, start.id);
    assert_eq!(end.start_time, WallTime(1001.0));
    assert_eq!(end.end_time, Some(WallTime(1003.0)), "the last frame that had not cleared");
    assert_eq!(end.frame_time, WallTime(1004.0));
    assert_eq!((end.probability, end.top_probability), (0.1, 0.95));
    assert_eq!(end.probabilities.len(), 2);
    assert_eq!(&*start.id, "1001.000-c-w-package");
}

#[test]
fn hold_asks_for_a_stay_without_a_gap() {
    let held = LabelRule { hold: ms(100), ..rule() };
    check(held.clone(), &[(0, 0.9), (50, 0.9), (99, 0.9)], &[]);
    check(held.clone(), &[(0, 0.9), (50, 0.7), (60, 0.9), (120, 0.9)], &[]);
    check(held.clone(), &[(0, 0.9), (100, 0.9)], &["Start@100"]);
    check(held, &[(0, 0.9), (30_000, 0.9), (30_100, 0.9)], &["Start@30100"]);
}

#[test]
fn cooldown_counts_from_the_end() {
    let rule = LabelRule { cooldown: ms(1000), ..rule() };
    let series = [(0, 0.9), (100, 0.1), (200, 0.9), (1099, 0.9), (1100, 0.9), (1200, 0.1)];
    check(rule, &series, &["Start@0", "End@100", "Start@1100", "End@1200"]);
}

#[test]
fn updates_come_no_faster_than_asked() {
    let rule = LabelRule { update_every: ms(100), ..rule() };
    let series = [(0, 0.9), (50, 0.9), (100, 0.9), (150, 0.7), (210, 0.7)];
    check(rule, &series, &["Start@0", "Update@100", "Update@210"]);
}

#[test]
fn frames_that_stop_end_the_event() {
    let set = set(1, Some(rule()));
    let mut rules = Rules::new(set.clone());
    rules.observe(&frame(&set, 0, 0.9));
    assert!(rules.tick(Moment(STALE)).is_empty());
    let end = rules.tick(Moment(STALE + ms(1))).remove(0);
    assert_eq!((end.kind, end.end_time), (EventKind::End, Some(WallTime(1000.0))));
    assert!(rules.tick(Moment(STALE * 2)).is_empty());
    rules.observe(&frame(&set, 60_000, 0.9));
    let lost = Moment(ms(60_500));
    assert_eq!(rules.camera_lost(&camera(), lost).len(), 1);
    assert!(rules.camera_lost(&camera(), lost).is_empty());
    assert!(rules.observe(&frame(&set, 60_400, 0.9)).is_empty(), "a late frame of the old life");
    rules.observe(&frame(&set, 61_000, 0.9));
    assert_eq!(rules.end_all().len(), 1);
}

#[test]
fn a_label_that_goes_away_ends_and_one_that_stays_goes_on() {
    let first = set(1, Some(rule()));
    let mut rules = Rules::new(first.clone());
    rules.observe(&frame(&first, 0, 0.9));
    let second = set(2, Some(LabelRule { clear: 0.5, ..rule() }));
    assert!(rules.adopt(&second).is_empty());
    assert!(rules.observe(&frame(&second, 1, 0.55)).is_empty(), "the new clear holds");
    assert!(rules.observe(&frame(&first, 2, 0.1)).is_empty(), "a late frame of the old set");
    let events = rules.adopt(&set(3, None));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, EventKind::End);
}

fn series() -> impl Strategy<Value = Vec<(u64, f32)>> {
    // Gaps from one frame to past the stale time; probabilities that often sit on the edges.
    let gap = prop_oneof![8 => 1_u64..400, 1 => 15_000_u64..25_000];
    let edge = prop_oneof![Just(0.8_f32), Just(0.6), Just(0.599), Just(0.799)];
    let p = prop_oneof![4 => 0.0_f32..=1.0, 1 => edge];
    prop::collection::vec((gap, p), 1..120).prop_map(|steps| {
        let mut now = 0;
        steps
            .into_iter()
            .map(|(gap, p)| {
                now += gap;
                (now, p)
            })
            .collect()
    })
}

proptest! {
    /// Whatever comes: starts and ends alternate under one id, an event starts only after an
    /// unbroken hold and outside the cooldown, and everything has ended at the end.
    #[test]
    fn promises(series in series(), hold in 0_u64..500, cooldown in 0_u64..2000) {
        let rule = LabelRule { hold: ms(hold), cooldown: ms(cooldown), update_every: ms(300), ..rule() };
        let set = set(1, Some(rule));
        let mut rules = Rules::new(set.clone());
        let mut open: Option<Event> = None;
        let mut ended_at: Option<u64> = None;
        let mut above_since: Option<u64> = None;
        let mut last = None;
        for (at, p) in series {
            if last.is_some_and(|last| ms(at - last) > STALE) { above_since = None; }
            last = Some(at);
            above_since = if p >= 0.8 { above_since.or(Some(at)) } else { None };
            for event in rules.observe(&frame(&set, at, p)) {
                match event.kind {
                    EventKind::Start => {
                        prop_assert!(open.is_none());
                        prop_assert!(above_since.is_some_and(|since| at - since >= hold));
                        prop_assert!(ended_at.is_none_or(|end| at >= end + cooldown));
                        open = Some(event);
                    }
                    EventKind::Update => prop_assert_eq!(&open.as_ref().unwrap().id, &event.id),
                    EventKind::End => {
                        let start = open.take().unwrap();
                        prop_assert_eq!(&start.id, &event.id);
                        prop_assert!(event.end_time.unwrap() >= start.start_time);
                        prop_assert!(event.top_probability >= 0.8);
                        // A stale end counts its cooldown from the last frame that was seen.
                        ended_at = Some(((event.frame_time.0 - 1000.0) * 1000.0).round() as u64);
                    }
                }
            }
            if open.is_some() { prop_assert!(p >= 0.6); }
        }
        prop_assert_eq!(rules.end_all().len(), usize::from(open.is_some()));
    }
}
