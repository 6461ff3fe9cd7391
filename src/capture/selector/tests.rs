//! Streams of coded frames against a decoder that shows at once what it was given.

use proptest::prelude::*;

use super::*;
use crate::capture::sampler::Sampler;

const FRAME: u64 = 40;

/// What became of a stream: the times that were kept, and how many frames were decoded.
struct Run {
    kept: Vec<u64>,
    decoded: usize,
    strategy: Option<DecodeStrategy>,
}

/// Frames of 40 ms; a key frame wherever `key` says so.
fn decode(every: Every, frames: u64, key: impl Fn(u64) -> bool) -> Run {
    let units = (0..frames).map(|n| {
        let time = Duration::from_millis(n * FRAME);
        Unit { time, order: time, key: key(n), droppable: false }
    });
    run_units(every, units)
}

fn run_units(every: Every, units: impl Iterator<Item = Unit>) -> Run {
    let (mut selector, mut sampler) = (Selector::new(every), Sampler::new(every));
    let (mut kept, mut decoded, mut whole) = (Vec::new(), 0, false);
    for unit in units {
        let verdict = selector.judge(&unit, sampler.due(), false);
        if verdict == Verdict::Skip {
            whole &= unit.droppable;
            sampler.pass(unit.time);
            continue;
        }
        assert!(unit.key || whole, "a frame was decoded without those before it: {unit:?}");
        whole = verdict == Verdict::Decode;
        decoded += 1;
        let alone = unit.key && verdict == Verdict::DecodeLast;
        let early = selector.early();
        if if alone { sampler.keep_alone(unit.time, early) } else { sampler.keep(unit.time) } {
            kept.push(u64::try_from(unit.time.as_millis()).unwrap());
        }
    }
    Run { kept, decoded, strategy: selector.strategy() }
}

fn interval(ms: u64) -> Every {
    Every::Interval(Duration::from_millis(ms))
}

#[test]
fn key_frames_alone_when_they_fit_the_interval() {
    // A key frame every two seconds; the first two groups are decoded whole, since
    // their end is unknown.
    let every_two = |n| n % 50 == 0;
    let run = decode(interval(2000), 1000, every_two);
    assert_eq!(run.kept, (0..20).map(|n| n * 2000).collect::<Vec<_>>());
    assert_eq!((run.decoded, run.strategy), (100 + 18, Some(DecodeStrategy::KeyFrames)));
    let rare = decode(interval(10_000), 1000, every_two);
    assert_eq!(rare.kept, [0, 10_000, 20_000, 30_000]);
    assert_eq!(rare.decoded, 100 + 3);
}

#[test]
fn a_group_is_decoded_up_to_the_frame_that_is_due() {
    let run = decode(interval(1000), 1000, |n| n % 50 == 0);
    assert_eq!(run.kept, (0..40).map(|n| n * 1000).collect::<Vec<_>>());
    // Per group the key frame and 25 more, to the one at one second.
    assert_eq!((run.decoded, run.strategy), (100 + 18 * 26, Some(DecodeStrategy::Partial)));
}

#[test]
fn everything_is_decoded_when_everything_is_needed() {
    let run = decode(interval(FRAME), 500, |n| n % 50 == 0);
    assert_eq!((run.kept.len(), run.decoded, run.strategy), (500, 500, Some(DecodeStrategy::All)));
    // One key frame, and no end in sight.
    let run = decode(interval(1000), 500, |n| n == 0);
    assert_eq!((run.kept.len(), run.decoded), (20, 500));
}

#[test]
fn key_frames_only_means_only_them() {
    let run = decode(Every::KeyFrames, 500, |n| n % 25 == 3);
    assert_eq!((run.kept.len(), run.decoded), (20, 20));
    assert_eq!(run.strategy, Some(DecodeStrategy::KeyFrames));
}

#[test]
fn a_motion_jpeg_is_decoded_where_it_is_due() {
    let run = decode(interval(1000), 250, |_| true);
    assert_eq!(run.kept.len(), 10);
    assert!(run.decoded <= 12, "{}", run.decoded);
}

#[test]
fn frames_that_nothing_builds_on_are_left_out() {
    let unit = |n: u64| {
        let time = Duration::from_millis(n * FRAME);
        Unit { time, order: time, key: n.is_multiple_of(50), droppable: n % 2 == 1 }
    };
    let run = run_units(interval(1000), (0..1000).map(unit));
    assert_eq!(run.kept.len(), 40);
    assert!(run.decoded < 100 + 18 * 16, "{}", run.decoded);
}

#[test]
fn a_stream_without_key_frames_is_decoded_after_a_while() {
    let (mut selector, mut decoded) = (Selector::new(interval(1000)), 0);
    for n in 0..200 {
        let time = Duration::from_millis(n * FRAME);
        let unit = Unit { time, order: time, key: false, droppable: false };
        decoded += u32::from(selector.judge(&unit, None, false) != Verdict::Skip);
    }
    assert_eq!(decoded, 200 - 125);
}

#[test]
fn who_is_late_waits_for_the_next_key_frame() {
    let mut selector = Selector::new(interval(FRAME));
    let mut judge = |n: u64, late| {
        let time = Duration::from_millis(n * FRAME);
        let unit = Unit { time, order: time, key: n.is_multiple_of(10), droppable: false };
        selector.judge(&unit, Some(time), late)
    };
    assert_eq!((judge(0, false), judge(1, false)), (Verdict::Decode, Verdict::Decode));
    assert_eq!((judge(2, true), judge(3, false)), (Verdict::Skip, Verdict::Skip));
    assert_ne!(judge(10, true), Verdict::Skip);
}

#[test]
fn scenes_that_change_cost_no_accuracy() {
    // Key frames at the latest after 60, often sooner.
    let keys = [0, 30, 77, 138, 188, 243, 303, 320, 380, 440];
    let run = decode(interval(120), 480, |n| keys.contains(&n));
    assert_eq!(run.kept, (0..160).map(|n| n * 120).collect::<Vec<_>>());
}

proptest! {
    /// Whatever the key frames: no frame comes later than the interval and the longest group
    /// allow, and a frame is never decoded without those that it builds on.
    #[test]
    fn the_interval_is_met(
        every in 40_u64..5000,
        groups in prop::collection::vec(1_usize..120, 3..20),
    ) {
        let mut keys: Vec<bool> = Vec::new();
        for length in &groups {
            keys.push(true);
            keys.extend(std::iter::repeat_n(false, length - 1));
        }
        let run = decode(interval(every), keys.len() as u64, |n| keys[usize::try_from(n).unwrap()]);
        let longest = groups.iter().max().copied().unwrap_or(0) as u64 * FRAME;
        prop_assert_eq!(run.kept[0], 0);
        for pair in run.kept.windows(2) {
            prop_assert!(pair[1] - pair[0] <= every + every / 4 + longest + FRAME);
        }
        // And not more frames than the interval asks for.
        let (last, intervals) = (run.kept[run.kept.len() - 1], run.kept.len() as u64 - 1);
        prop_assert!(intervals * every <= last + every / 4 + 1, "{:?}", run.kept);
    }

    /// With regular groups the interval is met as well as by decoding everything.
    #[test]
    fn regular_groups_cost_no_accuracy(every in 80_u64..8000, group in 1_u64..150) {
        let frames = 1000;
        let run = decode(interval(every), frames, |n| n.is_multiple_of(group));
        for pair in run.kept.windows(2) {
            prop_assert!(pair[1] - pair[0] <= every + every / 4 + 2 * FRAME, "{:?} {}", pair, group);
        }
    }
}
