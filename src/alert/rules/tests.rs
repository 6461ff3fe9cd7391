//! The rules by example; `promises` has what holds over random series.

mod memory;
mod promises;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ndarray::Array2;

use super::*;
use crate::model::{EventKind, LabelId, Picture, WallTime, WatchId};
use crate::watch::schedule::{Range, Schedule};
use crate::watch::{Consensus, Label, Probabilities, ScoreKind, Watch, WatchScore, WatchedCamera};

const STALE: Duration = Duration::from_secs(20);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn rule() -> LabelRule {
    LabelRule {
        threshold: 0.8,
        clear: 0.6,
        hold: ms(0),
        consensus: Consensus::default(),
        cooldown: ms(0),
        update_every: ms(0),
        active: None,
        shadow: false,
        enabled: true,
    }
}

fn agreed(needed: usize, of: usize) -> LabelRule {
    LabelRule { consensus: Consensus::try_new(needed, of).unwrap(), ..rule() }
}

fn schedule(ranges: &[&str], zone: &str) -> Schedule {
    let ranges = ranges.iter().map(|text| Range::parse(text).unwrap()).collect();
    Schedule::new(ranges, TimeZone::get(zone).unwrap())
}

fn set(revision: u64, rule: Option<LabelRule>) -> Arc<WatchSet> {
    let label = |id: &str, rule| Label { id: LabelId::try_new(id).unwrap(), rule };
    Arc::new(WatchSet {
        cameras: CAMERAS
            .map(|id| WatchedCamera {
                id: named(id),
                stale_after: STALE,
                enabled: true,
                view_check: None,
            })
            .into(),
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            cameras: CAMERAS.map(named).into(),
            labels: [label("package", rule), label("nothing", None)].into(),
            score: ScoreKind::Softmax,
            matrix: Array2::zeros((2, 1)),
            taught: Default::default(),
            publish_every: ms(0),
            enabled: true,
        }],
        logit_scale: 100.0,
        logit_bias: 0.0,
        model: "test".into(),
        revision,
    })
}

const CAMERAS: [&str; 2] = ["c", "d"];

fn named(camera: &str) -> CameraId {
    CameraId::try_new(camera).unwrap()
}

fn camera() -> CameraId {
    named("c")
}

/// The label on the camera of this number.
fn key(camera: usize) -> LabelKey {
    let watch = WatchId::try_new("w").unwrap();
    LabelKey { camera: named(CAMERAS[camera]), watch, label: LabelId::try_new("package").unwrap() }
}

fn captured(at: u64) -> Captured {
    Captured { at: Moment(ms(at)), time: WallTime(1000.0 + at as f64 / 1000.0) }
}

fn frame(rules: &Arc<WatchSet>, at: u64, p: f32) -> Scored {
    frame_of(rules, camera(), captured(at), p)
}

fn frame_of(rules: &Arc<WatchSet>, camera: CameraId, captured: Captured, p: f32) -> Scored {
    let watch = &rules.watches[0];
    let probabilities = Probabilities::new(watch.labels.clone(), [p, 1.0 - p]);
    Scored {
        camera,
        captured,
        unchanged: false,
        problem: None,
        scores: vec![WatchScore::new(watch.id.clone(), probabilities)],
        look: Arc::new(crate::watch::Look { tiles: Vec::new(), embeddings: [].into() }),
        rules: rules.clone(),
        picture: Arc::new(Picture { width: 0, height: 0, rgb: Vec::new() }),
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
fn cooldown_counts_once_more_from_the_delivery() {
    let rule = LabelRule { cooldown: ms(1000), ..rule() };
    let set = set(1, Some(rule));
    let mut rules = Rules::new(set.clone());
    let starts = |rules: &mut Rules, at, p| {
        rules.observe(&frame(&set, at, p)).iter().any(|event| event.kind == EventKind::Start)
    };
    assert!(starts(&mut rules, 0, 0.9));
    assert!(!starts(&mut rules, 100, 0.1), "the end; the broker is away");
    assert!(starts(&mut rules, 1100, 0.9), "which silences nothing");
    assert!(!starts(&mut rules, 1200, 0.1));
    // It is back, and has both.
    rules.delivered(&key(0), Moment(ms(1900)));
    rules.delivered(&key(0), Moment(ms(2000)));
    assert!(!starts(&mut rules, 2200, 0.9) && !starts(&mut rules, 2999, 0.9));
    assert!(starts(&mut rules, 3000, 0.9));
    // One of an earlier life, before any frame.
    let mut rules = Rules::new(set.clone());
    rules.delivered(&key(0), Moment(ms(500)));
    assert!(!starts(&mut rules, 1499, 0.9) && starts(&mut rules, 1500, 0.9));
}

#[test]
fn the_next_event_tells_what_was_suppressed() {
    let told = |series: &[(u64, f32)]| {
        let set = set(1, Some(LabelRule { cooldown: ms(1000), ..rule() }));
        let mut rules = Rules::new(set.clone());
        let events = series.iter().flat_map(|(at, p)| rules.observe(&frame(&set, *at, *p)));
        let last = events.last().unwrap();
        last.suppressed.map(|s| (s.count, s.top_probability, s.first, s.last))
    };
    let before = [(0, 0.9), (100, 0.1)];
    let with = |more: &[(u64, f32)]| told(&[&before[..], more].concat());
    assert_eq!(with(&[(1100, 0.9)]), None);
    // Two stays; between the first's frames it does not clear.
    let two = [(200, 0.85), (300, 0.7), (400, 0.95), (500, 0.1), (600, 0.8), (700, 0.2)];
    let summary = Some((2, 0.95, captured(200).time, captured(600).time));
    assert_eq!(with(&[&two[..], &[(1200, 0.9)]].concat()), summary);
    // An end tells it too, and the next event does not.
    assert_eq!(with(&[&two[..], &[(1200, 0.9), (1300, 0.1)]].concat()), summary);
    assert_eq!(with(&[&two[..], &[(1200, 0.9), (1300, 0.1), (2300, 0.9)]].concat()), None);
    // A stay that outlasts the cooldown is the event itself.
    assert_eq!(with(&[(900, 0.99), (1100, 0.9)]), None);
    // Not that part of it which the event does not tell.
    let one = Some((1, 0.99, captured(900).time, captured(1100).time));
    assert_eq!(with(&[(900, 0.99), (1000, 0.7), (1100, 0.9)]), one);
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
    assert!(rules.tick(captured(20_000)).is_empty());
    let end = rules.tick(captured(20_001)).remove(0);
    assert_eq!((end.kind, end.end_time), (EventKind::End, Some(WallTime(1000.0))));
    assert!(rules.tick(captured(40_000)).is_empty());
    rules.observe(&frame(&set, 60_000, 0.9));
    let lost = Moment(ms(60_500));
    assert_eq!(rules.camera_lost(&camera(), lost).len(), 1);
    assert!(rules.camera_lost(&camera(), lost).is_empty());
    assert!(rules.observe(&frame(&set, 60_400, 0.9)).is_empty(), "a late frame of the old life");
    rules.observe(&frame(&set, 61_000, 0.9));
    assert_eq!(rules.end_all().iter().map(Event::is_a_frames).collect::<Vec<_>>(), [false]);
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

#[test]
fn what_is_switched_off_ends_and_never_fires() {
    let first = set(1, Some(rule()));
    let off = set(2, Some(LabelRule { enabled: false, ..rule() }));
    let mut camera_off = WatchSet::clone(&first);
    camera_off.revision = 2;
    camera_off.cameras[0].enabled = false;
    for second in [off, Arc::new(camera_off)] {
        let mut rules = Rules::new(first.clone());
        rules.observe(&frame(&first, 0, 0.9));
        let events = rules.adopt(&second);
        assert_eq!((events.len(), events[0].kind), (1, EventKind::End));
        assert!(!second.wants(&camera()) || rules.observe(&frame(&second, 1, 0.9)).is_empty());
        let mut third = WatchSet::clone(&first);
        third.revision = 3;
        let third = Arc::new(third);
        assert_eq!(rules.observe(&frame(&third, 2, 0.9))[0].kind, EventKind::Start);
    }
}

#[test]
fn enough_of_the_newest_frames_must_agree() {
    let (h, l) = (0.9, 0.7);
    let series = |ps: &[f32]| -> Vec<(u64, f32)> { (0..).zip(ps.iter().copied()).collect() };
    check(agreed(3, 5), &series(&[h, h, l, l]), &[]);
    check(agreed(3, 5), &series(&[h, l, h, l, h]), &["Start@4"]);
    check(agreed(3, 5), &series(&[h, l, l, h, h]), &["Start@4"]);
    // The first of five no longer counts, the fourth does.
    check(agreed(3, 5), &series(&[h, l, l, h, l, h, h]), &["Start@6"]);
    check(agreed(3, 5), &series(&[h, l, l, l, h, h]), &[]);
    check(agreed(3, 3), &series(&[h, h, l, h, h, h]), &["Start@5"]);
    // The newest frame is among them, so none below the threshold starts an event.
    let held = LabelRule { hold: ms(2), ..agreed(1, 3) };
    check(held, &series(&[h, l, l, h]), &["Start@3"]);
    // An event ends as ever, and all begins anew.
    check(agreed(2, 3), &series(&[h, h, 0.5, h, h]), &["Start@1", "End@2", "Start@4"]);
}

#[test]
fn frames_below_break_a_hold_when_too_many() {
    let held = LabelRule { hold: ms(50), ..agreed(2, 3) };
    let (h, l) = (0.9, 0.7);
    let forgiven = [(0, h), (10, l), (20, h), (30, h), (40, l), (50, h)];
    check(held.clone(), &forgiven, &["Start@50"]);
    // At 40 two of three are below: the hold begins with the frame at 30.
    let broken = [(0, h), (10, h), (20, l), (30, h), (40, l), (50, h), (79, h), (80, h)];
    check(held.clone(), &broken, &["Start@80"]);
    let set = set(1, Some(held));
    let mut rules = Rules::new(set.clone());
    let events = broken.iter().flat_map(|(at, p)| rules.observe(&frame(&set, *at, *p)));
    assert_eq!(events.map(|event| event.start_time).collect::<Vec<_>>(), [captured(30).time]);
}

/// Seconds after the 2nd of June 2026, a Tuesday, at 18:00 in Vienna.
fn evening(second: f64) -> WallTime {
    let time: Timestamp = "2026-06-02T16:00:00Z".parse().unwrap();
    WallTime(time.as_second() as f64 + second)
}

/// Frames at `(milliseconds, wall time, probability)`.
fn run_at(rule: LabelRule, series: &[(u64, WallTime, f32)]) -> Vec<String> {
    let set = set(1, Some(rule));
    let mut rules = Rules::new(set.clone());
    let one = |(at, time, p): &(u64, WallTime, f32)| {
        let captured = Captured { at: Moment(ms(*at)), time: *time };
        let events = rules.observe(&frame_of(&set, camera(), captured, *p));
        events.into_iter().map(|event| format!("{:?}@{at}", event.kind)).collect::<Vec<_>>()
    };
    series.iter().flat_map(one).collect()
}

#[test]
fn nothing_rises_outside_the_schedule() {
    let active = Some(schedule(&["Tue 18:00-19:00"], "Europe/Vienna"));
    let held = LabelRule { active, hold: ms(1000), ..rule() };
    let series = [
        (0, evening(-1.0), 0.9),
        (1000, evening(0.0), 0.9),
        (1999, evening(0.9), 0.9),
        (2000, evening(1.0), 0.9),
        (3000, evening(3599.9), 0.9),
        (4000, evening(3600.0), 0.9),
        (5000, evening(3601.0), 0.9),
    ];
    assert_eq!(run_at(held.clone(), &series), ["Start@2000", "End@4000"]);
    // Clocks that are set move the schedule, and neither hold nor cooldown.
    let series = [
        (0, evening(1.0), 0.9),
        (500, evening(1800.0), 0.9),
        (1000, evening(1.0), 0.9),
        (1001, evening(-86_400.0), 0.9),
        (1002, evening(1.0), 0.9),
        (2001, evening(1.0), 0.9),
        (2002, evening(1.0), 0.9),
    ];
    let held = LabelRule { cooldown: ms(500), ..held };
    assert_eq!(run_at(held, &series), ["Start@1000", "End@1001", "Start@2002"]);
}

#[test]
fn a_tick_ends_what_is_outside_the_schedule() {
    let active = Some(schedule(&["Tue 18:00-19:00"], "Europe/Vienna"));
    let set = set(1, Some(LabelRule { active, ..rule() }));
    let mut rules = Rules::new(set.clone());
    let at = |at, second| Captured { at: Moment(ms(at)), time: evening(second) };
    let seen =
        |captured, rules: &mut Rules| rules.observe(&frame_of(&set, camera(), captured, 0.9)).len();
    assert_eq!(seen(at(1000, 3597.0), &mut rules), 1);
    assert!(rules.tick(at(2000, 3599.0)).is_empty());
    let end = rules.tick(at(3000, 3600.0)).remove(0);
    assert_eq!((end.kind, end.end_time), (EventKind::End, Some(evening(3597.0))));
    assert!(rules.tick(at(4000, 3601.0)).is_empty());
    assert_eq!(seen(at(2900, 3599.9), &mut rules), 0, "a late frame from before the end");
    assert_eq!(seen(at(4100, 3601.1), &mut rules), 0);
}

#[test]
fn a_changed_rule_begins_to_rise_anew() {
    let held = |hold| Some(LabelRule { hold: ms(hold), ..rule() });
    let (first, same, changed) = (set(1, held(100)), set(2, held(100)), set(3, held(90)));
    let mut rules = Rules::new(first.clone());
    rules.observe(&frame(&first, 0, 0.9));
    assert_eq!(rules.observe(&frame(&same, 100, 0.9)).len(), 1, "the same rule goes on");
    rules.observe(&frame(&same, 110, 0.1));
    rules.observe(&frame(&same, 120, 0.9));
    assert!(rules.observe(&frame(&changed, 215, 0.9)).is_empty());
    assert_eq!(rules.observe(&frame(&changed, 305, 0.9)).len(), 1);
}

#[test]
fn an_event_ends_when_its_label_becomes_a_shadow_and_back() {
    let shadow = |revision, shadow| set(revision, Some(LabelRule { shadow, ..rule() }));
    let sets = [shadow(1, false), shadow(2, true), shadow(3, true), shadow(4, false)];
    let mut rules = Rules::new(sets[0].clone());
    rules.observe(&frame(&sets[0], 0, 0.9));
    assert_eq!(rules.adopt(&sets[1])[0].kind, EventKind::End);
    assert_eq!(rules.observe(&frame(&sets[1], 1, 0.9))[0].kind, EventKind::Start);
    assert!(rules.adopt(&sets[2]).is_empty());
    assert_eq!(rules.adopt(&sets[3])[0].kind, EventKind::End);
    let told: Vec<usize> = sets.iter().map(|set| set.told().count()).collect();
    assert_eq!(told, [2, 0, 0, 2], "one label on two cameras");
}
