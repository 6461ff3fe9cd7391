//! How long the probabilities of many labels take.

use std::time::{Duration, Instant};

use super::{Args, FRAME, Line, picture, watches};
use crate::clip::ImageEncoder as _;
use crate::clip::onnx::OnnxImageEncoder;
use crate::clip::scoring::Scorer;
use crate::model::{Embedding, View};
use crate::watch::{TaughtGroup, WatchSet};

/// A full batch of the processor.
const PICTURES: usize = 16;
/// Taught labels.
const TAUGHT: usize = 1000;

/// As many labels as were asked for.
pub(super) fn prompts(
    args: &Args,
    encoder: &mut OnnxImageEncoder,
) -> anyhow::Result<Line<'static>> {
    let set = set(args.labels as usize, encoder)?;
    let milliseconds = time(&set, args.seconds / 2);
    Ok(Line::Scores { labels: args.labels, pictures: PICTURES, milliseconds })
}

/// What taught labels take on top of the same number that was not taught; both in turn, for machines have
/// their moods.
pub(super) fn taught(args: &Args, encoder: &mut OnnxImageEncoder) -> anyhow::Result<Line<'static>> {
    let plain = set(TAUGHT, encoder)?;
    let mut taught = plain.clone();
    for watch in &mut taught.watches {
        watch.taught.groups.push(TaughtGroup {
            cameras: watch.cameras.clone(),
            labels: (0..TAUGHT).collect(),
            directions: watch.matrix.clone(),
            biases: vec![0.1; TAUGHT],
            bounds: vec![(f32::NEG_INFINITY, f32::INFINITY); TAUGHT],
        });
    }
    let (mut with, mut without) = (0.0, 0.0);
    for _ in 0..5 {
        without += time(&plain, args.seconds / 20);
        with += time(&taught, args.seconds / 20);
    }
    let milliseconds = (with - without) / 5.0;
    Ok(Line::Taught { labels: TAUGHT, pictures: PICTURES, milliseconds })
}

fn set(labels: usize, encoder: &mut OnnxImageEncoder) -> anyhow::Result<WatchSet> {
    let dim = encoder.encode(&[(&picture(FRAME), View::default())])?[0].0.len();
    watches(1, labels, dim)
}

/// Milliseconds for one batch.
fn time(set: &WatchSet, time: Duration) -> f64 {
    let watch = &set.watches[0];
    // Any unit vectors will do: labels are some.
    let rows = watch.matrix.rows().into_iter().cycle().take(PICTURES);
    let pictures: Vec<Embedding> = rows.map(|row| Embedding(row.to_vec())).collect();
    let pictures: Vec<&Embedding> = pictures.iter().collect();
    let scorer = Scorer::of(set, watch, &watch.cameras[0]);
    let (started, mut runs) = (Instant::now(), 0_u32);
    while started.elapsed() < time || runs == 0 {
        for values in scorer.values(&pictures) {
            std::hint::black_box(scorer.best([values]));
        }
        runs += 1;
    }
    started.elapsed().as_secs_f64() * 1000.0 / f64::from(runs)
}
