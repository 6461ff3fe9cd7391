//! How long many labels take: their probabilities, and what the rules make of these.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Args, FRAME, Line, picture, watches};
use crate::alert::rules::Rules;
use crate::clip::ImageEncoder as _;
use crate::clip::onnx::OnnxImageEncoder;
use crate::clip::scoring::Scorer;
use crate::model::{Captured, Embedding, Moment, View, WallTime};
use crate::watch::{
    Consensus, Label, LabelRule, Look, Probabilities, Scored, TaughtGroup, WatchScore, WatchSet,
};

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

/// As many labels, each with a threshold that none of them reaches.
pub(super) fn rules(args: &Args) -> anyhow::Result<Line<'static>> {
    let mut set = watches(1, args.labels as usize, 1)?;
    let rule = LabelRule {
        threshold: 0.8,
        clear: 0.6,
        hold: Duration::ZERO,
        consensus: Consensus::default(),
        cooldown: Duration::ZERO,
        update_every: Duration::ZERO,
        active: None,
        shadow: false,
        enabled: true,
    };
    let labels = set.watches[0].labels.iter();
    set.watches[0].labels =
        labels.map(|label| Label { rule: Some(rule.clone()), ..label.clone() }).collect();
    let set = Arc::new(set);
    let (mut rules, mut scored) = (Rules::new(set.clone()), frame(&set));
    let (started, mut frames) = (Instant::now(), 0_u32);
    while started.elapsed() < args.seconds / 2 || frames == 0 {
        scored.captured = Captured {
            at: Moment(started.elapsed()),
            time: WallTime(started.elapsed().as_secs_f64()),
        };
        std::hint::black_box(rules.observe(&scored));
        frames += 1;
    }
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0 / f64::from(frames);
    let milliseconds = milliseconds * PICTURES as f64;
    Ok(Line::Rules { labels: args.labels, pictures: PICTURES, milliseconds })
}

fn frame(set: &Arc<WatchSet>) -> Scored {
    let watch = &set.watches[0];
    let probabilities = Probabilities::new(watch.labels.clone(), vec![0.1; watch.labels.len()]);
    let score = WatchScore::new(watch.id.clone(), probabilities);
    Scored {
        camera: watch.cameras[0].clone(),
        captured: Captured::default(),
        unchanged: false,
        problem: None,
        scores: vec![score],
        look: Arc::new(Look { tiles: Vec::new(), embeddings: [].into() }),
        rules: set.clone(),
        picture: Arc::new(picture((1, 1))),
    }
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
