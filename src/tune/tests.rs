//! What a suggestion promises.

use proptest::prelude::*;

use super::suggest::{Promise, Suggestion, at_most, suggest};
use super::truth::Span;
use super::*;
use crate::model::{CameraId, LabelId, WatchId};
use crate::tune::bounds::DAY;

pub(super) fn key() -> LabelKey {
    LabelKey {
        camera: CameraId::try_new("clip").unwrap(),
        watch: WatchId::try_new("watch").unwrap(),
        label: LabelId::try_new("label").unwrap(),
    }
}

/// Frames twice a second.
pub(super) fn clip(probabilities: &[f32], there: &[(f64, f64)]) -> Clip {
    let sample = |(n, p): (usize, &f32)| Sample { time: n as f64 / 2.0, probability: *p };
    let there = there.iter().map(|(from, to)| Span { from: *from, to: *to }).collect();
    Clip {
        name: "clip".to_owned(),
        key: key(),
        samples: probabilities.iter().enumerate().map(sample).collect(),
        stale_after: Duration::from_secs(10),
        marks: Some(Marks { there, unsure: Vec::new(), slack: 0.5 }),
    }
}

/// `seconds` of frames at `p`.
fn stretch(p: f32, seconds: usize) -> Vec<f32> {
    vec![p; 2 * seconds]
}

pub(super) fn default() -> Setting {
    Setting::plain(0.5, 0.8)
}

#[track_caller]
fn suggested(clips: &[Clip]) -> Suggestion {
    suggest(clips, &default()).unwrap()
}

#[test]
fn the_middle_of_the_room_between() {
    let seen = [stretch(0.1, 10), stretch(0.34, 5), stretch(0.11, 10)].concat();
    let found = suggested(&[clip(&seen, &[(10.0, 14.5)])]);
    assert_eq!(found.best.outcome.f_score(), Some(1.0));
    assert_eq!(found.now.outcome.f_score(), Some(0.0), "0.5 is never reached");
    // With 0.12 it would not clear at 0.11.
    assert_eq!(found.range, (0.14, 0.34));
    assert_eq!(found.best.setting, Setting::plain(0.24, 0.8), "and neither hold nor consensus");
    assert_eq!(found.best.outcome.delays, [0.0]);
}

#[test]
fn a_hold_where_single_frames_deceive() {
    let mut seen = stretch(0.1, 40);
    for flash in [10, 30, 50] {
        seen[flash] = 0.9;
    }
    seen[60..76].fill(0.6);
    let found = suggested(&[clip(&seen, &[(30.0, 37.5)])]);
    assert_eq!(found.best.outcome.f_score(), Some(1.0));
    assert_eq!(found.now.outcome.false_events, 3);
    let Setting { hold, consensus, .. } = found.best.setting;
    assert_eq!((hold, consensus), (Duration::from_millis(500), Consensus::default()));
}

#[test]
fn a_consensus_where_single_frames_are_missing() {
    let mut seen = stretch(0.1, 60);
    // Flashes of two frames, and a stay that is seen in two of three.
    for flash in [10, 11, 30, 31] {
        seen[flash] = 0.9;
    }
    for (n, p) in seen[60..108].iter_mut().enumerate() {
        *p = if n % 3 == 2 { 0.45 } else { 0.9 };
    }
    let found = suggested(&[clip(&seen, &[(30.0, 53.5)])]);
    assert_eq!(found.best.outcome.f_score(), Some(1.0));
    assert_eq!(found.best.outcome.repeats, 0);
}

#[test]
fn without_a_span_nothing_is_suggested() {
    assert_eq!(suggest(&[clip(&stretch(0.1, 9), &[])], &default()), None);
    let unmarked = Clip { marks: None, ..clip(&stretch(0.9, 9), &[]) };
    assert_eq!(suggest(&[unmarked], &default()), None);
}

#[test]
fn a_cut_clip_is_two() {
    let seen = [stretch(0.1, 10), stretch(0.9, 10), stretch(0.1, 20)].concat();
    let whole = clip(&seen, &[(10.0, 19.5)]);
    let (early, late) = whole.cut(0.5);
    assert_eq!(early.samples.len() + late.samples.len(), whole.samples.len());
    assert!(early.samples.iter().all(|sample| sample.time < 19.75));
    assert_eq!(early.marks.unwrap().there.len(), 1);
    assert_eq!(late.marks.unwrap().there.len(), 0);
    assert!((whole.seconds() - 40.0).abs() < 1e-9);
}

#[test]
fn a_long_gap_is_no_footage() {
    let mut clip = clip(&stretch(0.1, 5), &[]);
    clip.samples.push(Sample { time: 1000.0, probability: 0.1 });
    assert!((clip.seconds() - (4.5 + 10.0 + 10.0)).abs() < 1e-9);
}

fn promise(seen: &[f32], days: f64, a_day: f64) -> Promise {
    let mut clip = Clip { marks: None, ..clip(seen, &[]) };
    let step = days * DAY / seen.len() as f64;
    for (n, sample) in clip.samples.iter_mut().enumerate() {
        sample.time = n as f64 * step;
    }
    clip.stale_after = Duration::from_secs_f64(2.0 * step);
    at_most(&[clip], &default(), a_day)
}

#[test]
fn promises_take_footage() {
    // Ten flashes to 0.6, one to 0.8.
    let mut seen = vec![0.1_f32; 1000];
    for flash in 0..10 {
        seen[50 + 90 * flash] = 0.6;
    }
    seen[7] = 0.8;
    // Thirty days for two a week: eleven are too many, and one is few enough.
    let found = promise(&seen, 30.0, 2.0 / 7.0);
    assert!((found.seconds / DAY - 30.0).abs() < 1e-6);
    let threshold =
        |rate: Option<suggest::Rate>| rate.map(|rate| (rate.setting.threshold, rate.events));
    assert_eq!(threshold(found.promised), Some((0.62, 1)));
    // 8.6 are allowed in thirty days.
    assert_eq!(threshold(found.seen), Some((0.62, 1)));
    assert!((found.needed / DAY - 2.9957 * 3.5).abs() < 0.01);
    // In one day nothing can be promised, and nothing at all may happen.
    let found = promise(&seen, 1.0, 2.0 / 7.0);
    assert_eq!(threshold(found.promised), None);
    assert_eq!(threshold(found.seen), Some((0.82, 0)));
}

#[test]
fn always_on_is_no_promise() {
    let found = promise(&[1.0; 500], 300.0, 1.0);
    assert_eq!((found.promised, found.seen), (None, None));
}

proptest! {
    // Each case is some thousand runs of the rules.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn never_worse_on_what_was_marked(
        seen in prop::collection::vec(0..=20_u8, 1..120),
        spans in prop::collection::vec((1..20_u32, 1..20_u32), 1..4),
        now in (1..=100_u8, 0..4_u64, 1..3_usize, 0..3_usize),
    ) {
        let probabilities: Vec<f32> = seen.iter().map(|p| f32::from(*p) / 20.0).collect();
        let mut at = 0.0;
        let there: Vec<(f64, f64)> = spans
            .iter()
            .map(|(gap, length)| {
                let from = at + f64::from(*gap);
                at = from + f64::from(*length);
                (from, at)
            })
            .collect();
        let clips = [clip(&probabilities, &there)];
        let (threshold, hold, needed, more) = now;
        let now = Setting {
            hold: Duration::from_secs(hold),
            consensus: Consensus::try_new(needed, needed + more).unwrap(),
            ..Setting::plain(f32::from(threshold) / 100.0, 0.8)
        };
        let found = suggest(&clips, &now).unwrap();
        let score = |trial: &suggest::Trial| trial.outcome.f_score().unwrap();
        prop_assert!(score(&found.best) >= score(&found.now));
        let Setting { threshold, clear, .. } = found.best.setting;
        prop_assert!(0.0 < clear && clear <= threshold && threshold <= 1.0);
        prop_assert!(found.range.0 <= threshold && threshold <= found.range.1);
        let outcome = &found.best.outcome;
        prop_assert_eq!(outcome.spans as usize, there.len());
        prop_assert!(outcome.found <= outcome.spans);
        prop_assert_eq!(outcome.delays.len(), outcome.found as usize);
    }

    #[test]
    fn a_looser_promise_is_no_higher_a_threshold(
        seen in prop::collection::vec(0..=20_u8, 2..200),
        (days, few, more) in (0.5..60.0, 0.05..3.0, 1.0..5.0),
    ) {
        let seen: Vec<f32> = seen.iter().map(|p| f32::from(*p) / 20.0).collect();
        let (strict, loose) = (promise(&seen, days, few), promise(&seen, days, few * more));
        for (strict, loose) in [(strict.promised, loose.promised), (strict.seen, loose.seen)] {
            if let Some(strict) = strict {
                prop_assert!(loose.unwrap().setting.threshold <= strict.setting.threshold);
            }
        }
        if let (Some(promised), Some(seen)) = (strict.promised, strict.seen) {
            prop_assert!(seen.setting.threshold <= promised.setting.threshold);
        }
    }
}
