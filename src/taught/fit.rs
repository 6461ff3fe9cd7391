//! What a label learns: logistic regression on embeddings, started from the prompts. Pure.
//!
//! The log-odds that the prompts give a frame stay in the sum; examples add a direction in the space of
//! embeddings and a bias to it: `log-odds = prompts + w · (x - centre) + b`. With a Gaussian prior around
//! zero on `w` and `b` this is a linear probe with a text prior (CLIP-Adapter and Tip-Adapter,
//! arXiv:2110.04544 and arXiv:2111.03930, keep the text side in a sum in the same way; LP++,
//! arXiv:2404.02285, shows that a probe which begins at the text is what one has to beat). How far
//! examples may lead away from the prompts, the prior's width, is not tuned: all widths are tried, the
//! prompts alone among them, and their weights averaged by the evidence, the probability of the examples'
//! kinds under each (Laplace's approximation; MacKay, "The evidence framework applied to classification
//! networks", 1992). One example moves little, a hundred take over.
//!
//! Examples of one kind say nothing of where the border is. They are measured from the camera's usual
//! view, so that they move frames like themselves and not all that the camera sees; where they are that view,
//! all is meant. What is not it only lowers, and what is it only raises: the other side of the usual view is
//! not the opposite of it. docs/taught.md compares all this with others.

use ndarray::{Array1, Array2, Axis};

use super::linear::{Cholesky, Reduced};
use crate::clip::scoring::sigmoid;
use crate::model::Embedding;

/// Widths of the prior: standard deviations of each weight, log-odds for a step of one. Embeddings of one
/// camera differ by some tenths.
const WIDTHS: [f64; 8] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
/// How much more is believed beforehand in prompts that are right than in one of the widths, log-odds.
const PROMPTS: f64 = 2.0;
/// The prior's width of the bias, log-odds: prompts may be off by much for one camera.
const BIAS: f64 = 4.0;
/// The same where examples are of one kind: then nothing is known of it…
const BIAS_OF_ONE: f64 = 0.05;
/// …unless they are the usual view itself, no further from it than this: whoever says so means all of it.
const AS_USUAL: f64 = 0.15;
/// The rarer kind counts up to this many times.
const RARER: f64 = 5.0;
/// Most examples that the evidence is reckoned for; more change it little.
const EVIDENCE: usize = 128;
/// Widths that weigh less than this are left out.
const LEAST: f64 = 0.01;

/// One example, as the regression sees it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub embedding: &'a Embedding,
    pub yes: bool,
    /// The log-odds that the prompts give it; 0 for a label without.
    pub odds: f64,
    /// How much it counts, above 0.
    pub weight: f64,
}

/// What is added to a label's log-odds: `direction · embedding + bias`, kept within the bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    pub direction: Vec<f32>,
    pub bias: f32,
    /// Infinite, or 0 on the side that examples of one kind say nothing of.
    pub bounds: (f32, f32),
}

impl Learnt {
    /// The probability for an embedding to which the prompts give `odds`.
    pub fn probability(&self, embedding: &Embedding, odds: f64) -> f64 {
        let step: f32 = self.direction.iter().zip(&embedding.0).map(|(a, b)| a * b).sum();
        let step = (step + self.bias).clamp(self.bounds.0, self.bounds.1);
        sigmoid(odds + f64::from(step))
    }
}

/// Learns from `rows`, which have embeddings of one length. `usual` is the mean of what the camera sees;
/// without it examples of one kind teach nothing. `None` when there are no rows.
pub fn fit(rows: &[Row<'_>], usual: Option<&Embedding>) -> Option<Learnt> {
    let dim = rows.first()?.embedding.0.len();
    let usual = usual.filter(|usual| usual.0.len() == dim);
    let centre = centre(rows, dim, usual);
    let all = Problem::new(rows, &centre, usual.is_some());
    let weights = match part(rows) {
        Some(part) => {
            let rows: Vec<Row<'_>> = part.iter().map(|index| rows[*index]).collect();
            Problem::new(&rows, &centre, usual.is_some()).weigh_widths()
        }
        None => all.weigh_widths(),
    };
    let mut found = Array1::<f64>::zeros(all.features());
    let mut start = found.clone();
    for (width, weight) in weights.into_iter().filter(|(_, weight)| *weight >= LEAST) {
        start = all.most_likely(width, start).values;
        found.scaled_add(weight, &start);
    }
    let bias = found[all.features() - 1];
    let direction = all.reduced.back(&found.iter().take(all.features() - 1).copied().collect());
    let bias = bias - direction.dot(&centre);
    let is_there = |kind: bool| rows.iter().any(|row| row.yes == kind);
    let bounds = (
        if is_there(false) { f32::NEG_INFINITY } else { 0.0 },
        if is_there(true) { f32::INFINITY } else { 0.0 },
    );
    let direction = direction.iter().map(|w| *w as f32).collect();
    Some(Learnt { direction, bias: bias as f32, bounds })
}

/// A part of many examples, evenly, each kind apart; `None` when all of them are few enough.
fn part(rows: &[Row<'_>]) -> Option<Vec<usize>> {
    if rows.len() <= EVIDENCE {
        return None;
    }
    let of = |kind: bool| -> Vec<usize> {
        let all: Vec<usize> = (0..rows.len()).filter(|index| rows[*index].yes == kind).collect();
        let few = all.len().min(EVIDENCE / 2);
        (0..few).map(|index| all[index * all.len() / few]).collect()
    };
    Some([of(true), of(false)].concat())
}

/// The weight of each row, the rarer kind's raised.
fn balanced(rows: &[Row<'_>]) -> Vec<f64> {
    let sum = |kind: bool| -> f64 { rows.iter().filter(|r| r.yes == kind).map(|r| r.weight).sum() };
    let (yes, no) = (sum(true), sum(false));
    let raise = |kind: bool| match if kind { (yes, no) } else { (no, yes) } {
        (own, other) if own > 0.0 && other > own => (other / own).min(RARER),
        _ => 1.0,
    };
    let (yes, no) = (raise(true), raise(false));
    rows.iter().map(|row| row.weight * if row.yes { yes } else { no }).collect()
}

/// Half-way between the means of both kinds; with one kind, the usual view, or else its own mean.
fn centre(rows: &[Row<'_>], dim: usize, usual: Option<&Embedding>) -> Array1<f64> {
    let mean = |kind: bool| {
        let (mut sum, mut count) = (Array1::<f64>::zeros(dim), 0.0);
        for row in rows.iter().filter(|row| row.yes == kind) {
            let values = sum.iter_mut().zip(&row.embedding.0);
            values.for_each(|(sum, value)| *sum += f64::from(*value) * row.weight);
            count += row.weight;
        }
        (count > 0.0).then(|| sum / count)
    };
    match (mean(true), mean(false), usual) {
        (Some(yes), Some(no), _) => (yes + no) / 2.0,
        (_, _, Some(usual)) => usual.0.iter().map(|value| f64::from(*value)).collect(),
        (one, other, None) => one.or(other).unwrap_or_else(|| Array1::zeros(dim)),
    }
}

/// The regression: features are the centred embedding, in as few values as it takes, and one for the bias.
struct Problem {
    reduced: Reduced,
    /// `[examples, features]`; the last column is one.
    x: Array2<f64>,
    /// 1 or -1.
    kinds: Array1<f64>,
    odds: Array1<f64>,
    weights: Array1<f64>,
    of_both: bool,
    /// The prior's width of the bias.
    bias: f64,
}

/// The likeliest weights under one width.
struct Found {
    values: Array1<f64>,
    /// The logarithm of the examples' probability; constants left out.
    evidence: f64,
}

impl Problem {
    /// `centre` may be the `usual` view.
    fn new(rows: &[Row<'_>], centre: &Array1<f64>, usual: bool) -> Self {
        let value = |(row, column): (usize, usize)| {
            f64::from(rows[row].embedding.0[column]) - centre[column]
        };
        let centred = Array2::from_shape_fn((rows.len(), centre.len()), value);
        let far = centred.mean_axis(Axis(0)).map_or(0.0, |mean| mean.dot(&mean).sqrt());
        let of_both = rows.iter().any(|row| row.yes) && rows.iter().any(|row| !row.yes);
        let bias = if of_both || (usual && far < AS_USUAL) { BIAS } else { BIAS_OF_ONE };
        let reduced = Reduced::new(centred);
        let features = reduced.features();
        let mut x = Array2::ones((rows.len(), features.ncols() + 1));
        for (mut row, values) in x.axis_iter_mut(Axis(0)).zip(features.axis_iter(Axis(0))) {
            row.iter_mut().zip(values).for_each(|(place, value)| *place = *value);
        }
        Self {
            reduced,
            x,
            kinds: rows.iter().map(|row| if row.yes { 1.0 } else { -1.0 }).collect(),
            odds: rows.iter().map(|row| row.odds).collect(),
            weights: balanced(rows).into(),
            of_both,
            bias,
        }
    }

    fn features(&self) -> usize {
        self.x.ncols()
    }

    /// Each width with its share of the belief; what is missing to 1 is that of the prompts alone.
    fn weigh_widths(&self) -> Vec<(f64, f64)> {
        let mut evidence = Vec::with_capacity(WIDTHS.len());
        let mut start = Array1::zeros(self.features());
        for width in WIDTHS {
            let found = self.most_likely(width, start);
            evidence.push(found.evidence);
            start = found.values;
        }
        // Examples of one kind do not tell whether the prompts are right.
        let prompts = match self.of_both {
            true => self.likelihood(&self.odds) + PROMPTS,
            false => f64::NEG_INFINITY,
        };
        let top = evidence.iter().copied().fold(prompts, f64::max);
        let sum: f64 = evidence.iter().chain([&prompts]).map(|e| (e - top).exp()).sum();
        WIDTHS.into_iter().zip(evidence.iter().map(|e| (e - top).exp() / sum)).collect()
    }

    fn precision(&self, width: f64) -> Array1<f64> {
        let bias = self.bias;
        let mut precision = Array1::from_elem(self.features(), 1.0 / (width * width));
        precision[self.features() - 1] = 1.0 / (bias * bias);
        precision
    }

    fn log_odds(&self, v: &Array1<f64>) -> Array1<f64> {
        self.x.dot(v) + &self.odds
    }

    /// The logarithm of the examples' probability, by their log-odds.
    fn likelihood(&self, odds: &Array1<f64>) -> f64 {
        let margins = odds * &self.kinds;
        margins.iter().zip(&self.weights).map(|(margin, w)| w * log_sigmoid(*margin)).sum()
    }

    /// Newton's method, its steps halved where they lead too far.
    fn most_likely(&self, width: f64, start: Array1<f64>) -> Found {
        let precision = self.precision(width);
        let value =
            |v: &Array1<f64>| self.likelihood(&self.log_odds(v)) - (v * v).dot(&precision) / 2.0;
        let (mut v, mut now) = (start, f64::NEG_INFINITY);
        let mut evidence = now;
        for _ in 0..50 {
            let odds = self.log_odds(&v);
            now = now.max(value(&v));
            let missing = |(z, kind): (&f64, &f64)| kind * sigmoid(-z * kind);
            let residual: Array1<f64> = odds.iter().zip(&self.kinds).map(missing).collect();
            let gradient = self.x.t().dot(&(residual * &self.weights)) - &v * &precision;
            let curvature = odds.mapv(|z| sigmoid(z) * sigmoid(-z)) * &self.weights;
            let hessian = Cholesky::new(self.hessian(&curvature, &precision));
            // The determinant of the prior's own is that of the diagonal.
            let prior: f64 = precision.iter().map(|p| p.ln()).sum();
            evidence = now - (hessian.log_determinant() - prior) / 2.0;
            let step = hessian.solve(&gradient);
            let mut share = 1.0;
            let (next, reached) = loop {
                let tried = &v + &(&step * share);
                let reached = value(&tried);
                if reached >= now || share < 1e-4 {
                    break (tried, reached);
                }
                share /= 2.0;
            };
            if reached <= now + 1e-6 {
                break;
            }
            (v, now) = (next, reached);
        }
        Found { values: v, evidence }
    }

    fn hessian(&self, curvature: &Array1<f64>, precision: &Array1<f64>) -> Array2<f64> {
        let mut scaled = self.x.clone();
        for (mut row, curvature) in scaled.axis_iter_mut(Axis(0)).zip(curvature) {
            row *= *curvature;
        }
        let mut hessian = self.x.t().dot(&scaled);
        hessian.diag_mut().zip_mut_with(precision, |value, precision| *value += precision);
        hessian
    }
}

fn log_sigmoid(x: f64) -> f64 {
    if x >= 0.0 { -(-x).exp().ln_1p() } else { x - x.exp().ln_1p() }
}
