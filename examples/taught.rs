//! How much a few examples teach, on one clip: a row of the table of docs/taught.md.
//!
//! `taught CLIP TIMELINE PROMPT PROMPT…`: the first prompt is what the timeline (spans, `~` for those that
//! do not count) says. Draws 1, 2, 5 and 10 frames of each state ten times from the clip's first half, and
//! tests on the second. Where a half lacks a state, other frames of the whole clip are tested, and that is
//! said. Prints one JSON object: for each method and number the balanced accuracy at a probability of 0.5,
//! its mean and its standard deviation over the draws, and the mean of Brier's score (squared error of the
//! probability, the states weighing the same). `scripts/taught-bench` runs it over all clips.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;
use ndarray::{Array1, Array2};
use seewhen::clip::prompts::Lessons;
use seewhen::clip::scoring::Scorer;
use seewhen::config::{self, Camera, LabelConfig, LabelScore, ModelConfig, WatchConfig};
use seewhen::daemon::footage::look;
use seewhen::daemon::model::Model;
use seewhen::model::{CameraId, DecoderChoice, Embedding, Every, LabelId, View, WatchId};
use seewhen::taught::fit::{Row, fit};
use seewhen::tune::timeline;
use seewhen::watch::ScoreKind;
use serde_json::json;

const NUMBERS: [usize; 4] = [1, 2, 5, 10];
const DRAWS: u64 = 10;
/// Frames of each state that a half needs.
const FEWEST: usize = 3;

/// A frame whose state is known.
struct Frame {
    time: f64,
    embedding: Embedding,
    yes: bool,
    odds: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [clip, marks, prompts @ ..] = &arguments[..] else {
        bail!("CLIP TIMELINE PROMPT PROMPT…")
    };
    let frames = frames(clip, marks, prompts)?;
    let middle = frames.last().context("no frames")?.time / 2.0;
    let (first, second): (Vec<&Frame>, Vec<&Frame>) =
        frames.iter().partition(|frame| frame.time < middle);
    // One frame of a state is no test.
    let of = |frames: &[&Frame], kind: bool| frames.iter().filter(|f| f.yes == kind).count();
    let has_both = |frames: &[&Frame]| of(frames, true).min(of(frames, false)) >= FEWEST;
    let halves = has_both(&first) && has_both(&second);
    let all: Vec<&Frame> = frames.iter().collect();
    let pool = if halves { &first } else { &all };
    let usual =
        seewhen::taught::mean(pool.iter().map(|frame| &frame.embedding)).context("usual")?;
    let mut rows = Vec::new();
    for (name, method) in METHODS {
        let figures: Vec<_> = NUMBERS
            .iter()
            .map(|number| {
                let draw = |seed| {
                    let (taught, rest) = drawn(pool, *number, seed);
                    accuracy(&taught, if halves { &second } else { &rest }, *method, &usual)
                };
                spread(&(0..DRAWS).map(draw).collect::<Vec<_>>())
            })
            .collect();
        rows.push(json!({ "method": name, "figures": figures }));
    }
    let yes = frames.iter().filter(|frame| frame.yes).count();
    writeln!(
        std::io::stdout(),
        "{}",
        json!({ "halves": halves, "frames": frames.len(), "yes": yes, "rows": rows,
            "thousand_ms": thousand(&all, &usual) })
    )?;
    Ok(())
}

/// Analyses the clip four times a second, and knows the state of each frame.
fn frames(clip: &str, marks: &str, prompts: &[String]) -> anyhow::Result<Vec<Frame>> {
    let timeline = timeline::parse(&marks.replace("\\n", "\n"), "timeline", &TimeZone::UTC);
    let marks = timeline.ok().context("timeline")?.marks_of("", 0.0);
    let camera = Camera {
        id: CameraId::try_new("clip")?,
        source: config::parse_source(clip, Path::new("")).map_err(anyhow::Error::msg)?,
        every: Every::Interval(Duration::from_millis(250)),
        view: View::default(),
        mask: Vec::new(),
        gate: None,
        decoder: DecoderChoice::Auto,
        network: config::Network::default(),
        repeat: false,
        connect_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        enabled: true,
        view_check: false,
    };
    let label = |prompt: &String| LabelConfig {
        id: LabelId::of_prompt(prompt),
        prompts: vec![prompt.clone()],
        score: LabelScore::Prompts,
        rule: None,
    };
    let watch = WatchConfig {
        id: WatchId::try_new("watch")?,
        cameras: vec![camera.id.clone()],
        templates: vec!["{}".to_owned()],
        score: ScoreKind::Softmax,
        publish_every: Duration::ZERO,
        enabled: true,
        labels: prompts.iter().map(label).collect(),
    };
    let model = Model::load(&ModelConfig::default())?;
    let cameras = std::slice::from_ref(&camera);
    let set = model.compile(&mut model.trying_embedder(), cameras, &[watch], &Lessons::new(), 1)?;
    let scorer = Scorer::of(&set, &set.watches[0], &camera.id);
    let within = |spans: &[seewhen::tune::truth::Span], time: f64| {
        spans.iter().any(|span| span.from <= time && time < span.to)
    };
    let seen = look(&model, &camera, set.clone(), false)?;
    let known = seen.iter().filter(|seen| !within(&marks.unsure, seen.captured.time.0));
    Ok(known
        .map(|seen| {
            let (time, embedding) = (seen.captured.time.0, seen.embeddings[0].clone());
            let odds = scorer.odds(0, &[&embedding])[0];
            Frame { time, yes: within(&marks.there, time), embedding, odds }
        })
        .collect())
}

/// So many frames of each state (or as many as there are, one left), and the others.
fn drawn<'a>(pool: &[&'a Frame], number: usize, seed: u64) -> (Vec<&'a Frame>, Vec<&'a Frame>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    for kind in [true, false] {
        let mut of: Vec<&Frame> = pool.iter().copied().filter(|frame| frame.yes == kind).collect();
        random.shuffle(&mut of);
        let count = number.min(of.len().saturating_sub(1)).max(1);
        rest.extend(of.split_off(count));
        taken.extend(of);
    }
    (taken, rest)
}

/// Gives the probability of one embedding to which the prompts give these log-odds.
type Judge = Box<dyn Fn(&Embedding, f64) -> f64>;
type Method = fn(&[&Frame], &Embedding) -> Judge;

const METHODS: &[(&str, Method)] = &[
    ("prompts alone", |_, _| Box::new(|_, odds| sigmoid(odds))),
    ("chosen: logistic, text prior, widths by evidence", chosen),
    ("the same without the text", without_text),
    ("ridge, text prior", |taught, _| ridge(taught)),
    ("Tip-Adapter, 1 and 5.5", |taught, _| tip_adapter(taught, 1.0)),
    ("Tip-Adapter, 5 and 5.5", |taught, _| tip_adapter(taught, 5.0)),
    ("chosen, yes only", |taught, usual| chosen(&of_kind(taught, true), usual)),
    ("chosen, no only", |taught, usual| chosen(&of_kind(taught, false), usual)),
];

fn of_kind<'a>(taught: &[&'a Frame], kind: bool) -> Vec<&'a Frame> {
    taught.iter().copied().filter(|frame| frame.yes == kind).collect()
}

fn chosen(taught: &[&Frame], usual: &Embedding) -> Judge {
    let usual = Some(usual.clone());
    let row = |frame: &&Frame| Known(frame.embedding.clone(), frame.odds, frame.yes);
    let known: Vec<Known> = taught.iter().map(row).collect();
    let rows: Vec<Row<'_>> = known
        .iter()
        .map(|Known(embedding, odds, yes)| Row { embedding, yes: *yes, odds: *odds, weight: 1.0 })
        .collect();
    match fit(&rows, usual.as_ref()) {
        Some(learnt) => Box::new(move |embedding, odds| learnt.probability(embedding, odds)),
        None => Box::new(|_, odds| sigmoid(odds)),
    }
}

struct Known(Embedding, f64, bool);

fn without_text(taught: &[&Frame], usual: &Embedding) -> Judge {
    let usual = Some(usual.clone());
    let row = |frame: &&Frame| (frame.embedding.clone(), frame.yes);
    let owned: Vec<(Embedding, bool)> = taught.iter().map(row).collect();
    let rows: Vec<Row<'_>> = owned
        .iter()
        .map(|(embedding, yes)| Row { embedding, yes: *yes, odds: 0.0, weight: 1.0 })
        .collect();
    match fit(&rows, usual.as_ref()) {
        Some(learnt) => Box::new(move |embedding, _| learnt.probability(embedding, 0.0)),
        None => Box::new(|_, _| 0.5),
    }
}

/// Ridge regression on what is missing to the prompts' probability; the penalty is a tenth of the mean
/// square of the centred embeddings.
fn ridge(taught: &[&Frame]) -> Judge {
    let dim = taught[0].embedding.0.len();
    let mut centre = Array1::<f64>::zeros(dim);
    for frame in taught {
        centre += &vector(&frame.embedding);
    }
    centre /= taught.len() as f64;
    let mut x = Array2::<f64>::zeros((taught.len(), dim));
    for (mut row, frame) in x.rows_mut().into_iter().zip(taught) {
        row.assign(&(vector(&frame.embedding) - &centre));
    }
    let mut gram = x.dot(&x.t());
    let penalty = gram.diag().mean().unwrap_or(1.0) * 0.1 + 1e-9;
    gram.diag_mut().map_inplace(|value| *value += penalty);
    let target = |frame: &&Frame| f64::from(u8::from(frame.yes)) - sigmoid(frame.odds);
    let missing: Array1<f64> = taught.iter().map(target).collect();
    let mean = missing.mean().unwrap_or(0.0);
    let weights = x.t().dot(&solve(gram, missing - mean));
    Box::new(move |embedding, odds| {
        sigmoid(odds) + mean + weights.dot(&(vector(embedding) - &centre))
    })
}

fn vector(embedding: &Embedding) -> Array1<f64> {
    embedding.0.iter().map(|value| f64::from(*value)).collect()
}

/// Gauss-Jordan elimination; the matrix is small and positive definite.
fn solve(mut matrix: Array2<f64>, mut right: Array1<f64>) -> Array1<f64> {
    for pivot in 0..right.len() {
        let scale = matrix[[pivot, pivot]];
        for row in 0..right.len() {
            if row != pivot {
                let factor = matrix[[row, pivot]] / scale;
                for column in 0..right.len() {
                    let value = factor * matrix[[pivot, column]];
                    matrix[[row, column]] -= value;
                }
                right[row] -= factor * right[pivot];
            }
        }
    }
    Array1::from_shape_fn(right.len(), |row| right[row] / matrix[[row, row]])
}

/// arXiv:2111.03930, without training: `alpha` weighs the cache, 5.5 is its sharpness.
fn tip_adapter(taught: &[&Frame], alpha: f64) -> Judge {
    let row = |frame: &&Frame| (vector(&frame.embedding), if frame.yes { 1.0 } else { -1.0 });
    let cache: Vec<(Array1<f64>, f64)> = taught.iter().map(row).collect();
    Box::new(move |embedding, odds| {
        let x = vector(embedding);
        let affinity = |(key, kind): &(Array1<f64>, f64)| (5.5 * (x.dot(key) - 1.0)).exp() * kind;
        sigmoid(odds + alpha * cache.iter().map(affinity).sum::<f64>())
    })
}

/// The mean of the shares that are right of each state, and Brier's score.
fn accuracy(taught: &[&Frame], tested: &[&Frame], method: Method, usual: &Embedding) -> (f64, f64) {
    let judge = method(taught, usual);
    let mean = |of: fn(f64, bool) -> f64| {
        let of_kind = |kind: bool| {
            let all: Vec<&&Frame> = tested.iter().filter(|frame| frame.yes == kind).collect();
            let sum: f64 = all.iter().map(|f| of(judge(&f.embedding, f.odds), kind)).sum();
            sum / all.len().max(1) as f64
        };
        (of_kind(true) + of_kind(false)) / 2.0
    };
    let right = mean(|p, kind| f64::from(u8::from((p >= 0.5) == kind)));
    let error = mean(|p, kind| (p.clamp(0.0, 1.0) - f64::from(u8::from(kind))).powi(2));
    (right, error)
}

fn spread(drawn: &[(f64, f64)]) -> [f64; 3] {
    let values: Vec<f64> = drawn.iter().map(|(right, _)| *right).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let error = drawn.iter().map(|(_, error)| *error).sum::<f64>();
    [mean, (square / values.len() as f64).sqrt(), error / values.len() as f64]
}

/// Milliseconds that a thousand examples take to be learnt.
fn thousand(frames: &[&Frame], usual: &Embedding) -> f64 {
    let many: Vec<&Frame> = frames.iter().copied().cycle().take(1000).collect();
    let started = Instant::now();
    drop(chosen(&many, usual));
    started.elapsed().as_secs_f64() * 1000.0
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
