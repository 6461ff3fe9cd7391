//! Lessons, their files and what is learnt from them, on made-up embeddings.

use super::fit::{Row, fit};
use super::honest::leave_events_out;
use super::shelf::{Shelf, ShelfError};
use super::useful::{Candidate, choose};
use super::*;
use crate::model::NodeId;

/// A unit vector of 8 values at an angle, with some noise.
fn embedding(angle: f32, seed: u64) -> Embedding {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut values: Vec<f32> = (0..8).map(|_| (random.f32() - 0.5) * 0.1).collect();
    values[0] += angle.cos();
    values[1] += angle.sin();
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
    Embedding(values.into_iter().map(|v| v / length).collect())
}

fn example(yes: bool, time: f64, angle: f32) -> Example {
    let camera = CameraId::try_new("porch").unwrap();
    let embedding = embedding(angle, (time * 1000.0) as u64);
    let (source, picture) = (Source::Camera(camera), None);
    Example { yes, source, time, tile: 0, embedding, picture, act: 0, replaced: None }
}

fn lesson() -> Lesson {
    let (watch, label) = (WatchId::try_new("w").unwrap(), LabelId::try_new("l").unwrap());
    Lesson::new(watch, label, "mini", "abcdef0123456789abcdef")
}

fn states(yes: usize, no: usize) -> Vec<Example> {
    let yes = (0..yes).map(|n| example(true, 1000.0 * n as f64, 0.3));
    yes.chain((0..no).map(|n| example(false, 500.0 + 1000.0 * n as f64, 0.0))).collect()
}

#[test]
fn an_act_is_taken_whole_and_back_whole() {
    let mut lesson = lesson();
    let change = lesson.teach(states(2, 3), false).unwrap();
    assert_eq!((change.added, lesson.counts()), (5, (2, 3)));
    // One known, one corrected, one new.
    let mut corrected = example(false, 1000.0, 0.3);
    corrected.embedding = lesson.examples[1].embedding.clone();
    let second = vec![example(true, 0.0, 0.3), corrected, example(true, 7.0, 0.3)];
    let change = lesson.teach(second, false).unwrap();
    assert_eq!((change.known, change.replaced, change.added), (1, 1, 2));
    assert_eq!(lesson.counts(), (2, 4));
    assert_eq!(lesson.undo(), Ok(2));
    assert_eq!(lesson.counts(), (2, 3));
    assert_eq!(lesson.undo(), Ok(5));
    assert_eq!((lesson.counts(), lesson.undo()), ((0, 0), Err(Refused::NoAct)));
}

#[test]
fn what_cannot_be_meant_changes_nothing() {
    let mut lesson = lesson();
    let refused = |lesson: &mut Lesson, new: Vec<Example>| {
        let before = lesson.clone();
        let error = lesson.teach(new, false).unwrap_err();
        assert_eq!(*lesson, before, "{error}");
        error.to_string()
    };
    assert!(refused(&mut lesson, vec![]).contains("nothing to teach"));
    assert!(refused(&mut lesson, states(3, 0)).contains("no is missing"));
    assert!(refused(&mut lesson, states(0, 3)).contains("yes is missing"));
    let both = vec![example(true, 1.0, 0.0), example(false, 1.0, 0.0)];
    assert!(refused(&mut lesson, both).contains("as yes and as no"));
    let mut broken = states(1, 1);
    broken[1].embedding.0[0] = f32::NAN;
    assert!(refused(&mut lesson, broken).contains("finite"));
    // A thousand of each that look the same.
    let contradictory = (0..2000).map(|n| {
        let mut one = example(n % 2 == 0, f64::from(n), 0.0);
        one.embedding = embedding(0.0, 1);
        one
    });
    let error = refused(&mut lesson, contradictory.collect());
    assert!(error.contains("2000 of 2000 examples look like"), "{error}");
    assert!(refused(&mut lesson, states(1200, 1200)).contains("at most 2000"));
    let error = lesson.of_bundle("mini", &"0".repeat(64)).unwrap_err().to_string();
    assert!(error.contains("two models cannot be compared"), "{error}");
}

#[test]
fn files_go_both_ways_and_damage_is_found() {
    let mut lesson = lesson();
    let mut new = states(2, 2);
    new[1].picture = Some(vec![0xff, 0xd8, 1, 2, 3]);
    new[2].source = Source::File("a b.mp4".into());
    lesson.note_usual(&new[2].source, embedding(0.1, 5));
    lesson.teach(new, false).unwrap();
    let bytes = file::write(&lesson).unwrap();
    assert_eq!(file::read(&bytes), Ok(lesson.clone()));
    for at in (8..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(file::read(&damaged).is_err(), "byte {at}");
    }
    for length in [0, 7, 16, 40, bytes.len() - 1] {
        assert!(file::read(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_shelf_keeps_the_old_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(folder.path(), &NodeId::try_new("n").unwrap());
    let (watch, label) = (lesson().watch, lesson().label);
    assert_eq!(shelf.read(&watch, &label).unwrap(), None);
    let teach = |new: Vec<Example>| {
        shelf.change(&watch, &label, |old| {
            let mut lesson = old.unwrap_or_else(lesson);
            let change = lesson.teach(new, false)?;
            Ok((Some(lesson), change))
        })
    };
    teach(states(1, 1)).unwrap();
    let stamp = shelf.stamp();
    let kept = shelf.read(&watch, &label).unwrap().unwrap();
    assert!(matches!(teach(vec![]), Err(ShelfError::Refused(Refused::Nothing))));
    assert_eq!(shelf.read(&watch, &label).unwrap().unwrap(), kept);
    assert_eq!(shelf.stamp(), stamp);
    std::fs::write(shelf.path(&watch, &label), b"SEEWHENT, but no more").unwrap();
    let error = teach(states(2, 2)).unwrap_err().to_string();
    assert!(error.contains("w.l.taught: it is"), "{error}");
    shelf.change(&watch, &label, |_| Ok((None, ()))).unwrap_err();
}

fn rows(lesson: &Lesson, odds: f64) -> Vec<Row<'_>> {
    fn row(example: &Example, odds: f64) -> Row<'_> {
        Row { embedding: &example.embedding, yes: example.yes, odds, weight: 1.0 }
    }
    lesson.counting().map(|example| row(example, odds)).collect()
}

#[test]
fn examples_tell_states_apart_that_prompts_do_not() {
    for (yes, no) in [(1, 1), (5, 5), (20, 3), (300, 300)] {
        let mut lesson = lesson();
        lesson.teach(states(yes, no), false).unwrap();
        // The prompts are sure that it is never there.
        let learnt = fit(&rows(&lesson, -6.0), None).unwrap();
        let shown = learnt.probability(&embedding(0.3, 77), -6.0);
        let other = learnt.probability(&embedding(0.0, 78), -6.0);
        assert!(shown > other + 0.1, "{yes} {no}: {shown} {other}");
        if yes >= 5 && no >= 3 {
            assert!(shown > 0.5 && other < 0.5, "{yes} {no}: {shown} {other}");
        }
    }
}

#[test]
fn prompts_that_are_right_stay_as_they_are() {
    let mut lesson = lesson();
    lesson.teach(states(3, 3), false).unwrap();
    let mut rows = rows(&lesson, 0.0);
    for row in &mut rows {
        row.odds = if row.yes { 5.0 } else { -5.0 };
    }
    let learnt = fit(&rows, None).unwrap();
    let moved = learnt.probability(&embedding(0.15, 79), 0.0);
    assert!((0.3..0.7).contains(&moved), "{moved}");
}

#[test]
fn one_kind_moves_what_is_like_it_and_not_all() {
    let mut lesson = lesson();
    lesson.teach(states(0, 5), true).unwrap();
    let usual = embedding(0.3, 90);
    let learnt = fit(&rows(&lesson, 1.0), Some(&usual)).unwrap();
    let (like, other) = (embedding(0.0, 82), embedding(0.3, 83));
    assert!(learnt.probability(&like, 1.0) < 0.5);
    assert!(learnt.probability(&other, 1.0) > 0.6);
    // What is not it only lowers, also on the other side of what is usual.
    let beyond = learnt.probability(&embedding(0.6, 84), 1.0);
    assert!((beyond - 0.731).abs() < 1e-3, "as the prompts say: {beyond}");
    // Whoever says so of the usual view means all of it.
    let learnt = fit(&rows(&lesson, 1.0), Some(&embedding(0.0, 91))).unwrap();
    assert!(learnt.probability(&other, 1.0) < 0.3);
    // Nothing is known of what is usual.
    let learnt = fit(&rows(&lesson, 1.0), None).unwrap();
    assert!(learnt.probability(&other, 1.0) > 0.6);
}

#[test]
fn the_rarer_kind_is_heard() {
    let mut lesson = lesson();
    lesson.teach(states(2, 200), false).unwrap();
    let learnt = fit(&rows(&lesson, 0.0), None).unwrap();
    assert!(learnt.probability(&embedding(0.3, 80), 0.0) > 0.5);
    assert!(learnt.probability(&embedding(0.0, 81), 0.0) < 0.1);
}

#[test]
fn neighbours_are_one_event() {
    let mut lesson = lesson();
    let mut new: Vec<Example> =
        (0..40).map(|n| example(n < 20, f64::from(n), if n < 20 { 0.3 } else { 0.0 })).collect();
    new.push(example(true, 900.0, 0.3));
    lesson.teach(new, false).unwrap();
    let sizes: Vec<usize> = lesson.events().iter().map(Vec::len).collect();
    assert_eq!(sizes, [20, 20, 1]);
    let honest = leave_events_out(&lesson, |_| 0.0, 0.5);
    assert!(!honest.is_enough());
}

#[test]
fn events_that_were_left_out_are_judged() {
    let mut lesson = lesson();
    lesson.teach(states(12, 12), false).unwrap();
    let honest = leave_events_out(&lesson, |_| 0.0, 0.5);
    assert_eq!((honest.yes, honest.no, honest.found, honest.wrong), (12, 12, 12, 0));
    assert!(honest.is_enough() && honest.recall.low > 0.7 && honest.recall.high == 1.0);
    // Kinds that have nothing to do with what is seen cannot be learnt, and that is said.
    let mut lesson = self::lesson();
    let noise = (0..40).map(|n| example(n % 2 == 0, 100.0 * f64::from(n), 0.1));
    lesson.teach(noise.collect(), false).unwrap();
    let honest = leave_events_out(&lesson, |_| 0.0, 0.5);
    assert!(honest.precision.high < 0.9, "{honest:?}");
}

#[test]
fn doubtful_frames_that_differ_come_first() {
    let candidate = |probability, angle: f32, seed| Candidate {
        probability,
        embedding: embedding(angle, seed),
    };
    let candidates = [
        candidate(0.99, 1.0, 1),
        candidate(0.5, 0.5, 2),
        candidate(0.52, 0.5, 2),
        candidate(0.4, -0.8, 3),
    ];
    let known = embedding(0.0, 9);
    assert_eq!(choose(&candidates, &[&known], 0.5, 2), [3, 1]);
    // The third looks like the second.
    assert_eq!(choose(&candidates, &[&known], 0.5, 9).len(), 3);
}
