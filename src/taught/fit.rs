//! What a label learns: logistic regression on embeddings, started from the prompts. Pure.
//!
//! The log-odds that the prompts give a frame stay in the sum; examples add a direction in the space of
//! embeddings and a bias to it: `log-odds = prompts + w · (x - centre) + b`. With a Gaussian prior around
//! zero on `w` and `b` this is a linear probe with a text prior (CLIP-Adapter and Tip-Adapter,
//! arXiv:2110.04544 and arXiv:2111.03930, keep the text side in a sum in the same way; LP++,
//! arXiv:2404.02285, shows that a probe which begins at the text is what one has to beat). How far
//! examples may lead away from the prompts, the prior's width, is chosen by the evidence: the
//! probability of the examples' kinds under each width (Laplace's approximation; MacKay, "The evidence
//! framework applied to classification networks", 1992). One example moves little, a hundred take over,
//! and there is nothing to be tuned. docs/taught.md compares it with others.

use ndarray::{Array1, Array2, Axis};

use crate::model::Embedding;

/// Widths of the prior that are tried: standard deviations of each weight, log-odds for a step of one.
/// Embeddings of one camera differ by some tenths.
const WIDTHS: [f64; 8] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
/// The prior's width of the bias, log-odds: prompts may be off by much for one camera.
const BIAS: f64 = 4.0;
/// The same where examples are of one kind: then a bias is all that would be learnt.
const BIAS_OF_ONE: f64 = 0.5;
/// Log-odds that prompts give are kept within this, so that they cannot outvote every example.
pub const MOST_ODDS: f64 = 16.0;
/// The rarer kind counts up to this many times.
const RARER: f64 = 5.0;
/// Most examples that the evidence is reckoned for; more change it little.
const EVIDENCE: usize = 200;

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

/// What is added to a label's log-odds: `direction · embedding + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    pub direction: Vec<f32>,
    pub bias: f32,
}

impl Learnt {
    /// The probability for an embedding to which the prompts give `odds`.
    pub fn probability(&self, embedding: &Embedding, odds: f64) -> f64 {
        let step: f32 = self.direction.iter().zip(&embedding.0).map(|(a, b)| a * b).sum();
        sigmoid(odds.clamp(-MOST_ODDS, MOST_ODDS) + f64::from(step) + f64::from(self.bias))
    }
}

/// Learns from `rows`, which have embeddings of one length. `None` when there are none.
pub fn fit(rows: &[Row<'_>]) -> Option<Learnt> {
    let dim = rows.first()?.embedding.0.len();
    let weights = balanced(rows);
    let centre = centre(rows, dim);
    let all = Problem::new(rows, &weights, &centre);
    let width = match part(rows) {
        Some(part) => {
            let rows: Vec<Row<'_>> = part.iter().map(|index| rows[*index]).collect();
            Problem::new(&rows, &balanced(&rows), &centre).likeliest_width()
        }
        None => all.likeliest_width(),
    };
    let found = all.most_likely(width, Array1::zeros(all.features()));
    let weights = found.iter().take(dim).copied().collect::<Array1<f64>>();
    // The last feature is the bias, in units of its own width.
    let bias = found[dim] * all.bias / width - weights.dot(&centre);
    Some(Learnt { direction: weights.iter().map(|w| *w as f32).collect(), bias: bias as f32 })
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

/// Half-way between the means of both kinds; nothing where there is one kind only.
fn centre(rows: &[Row<'_>], dim: usize) -> Array1<f64> {
    let mean = |kind: bool| {
        let (mut sum, mut count) = (Array1::<f64>::zeros(dim), 0.0);
        for row in rows.iter().filter(|row| row.yes == kind) {
            sum.iter_mut()
                .zip(&row.embedding.0)
                .for_each(|(sum, v)| *sum += f64::from(*v) * row.weight);
            count += row.weight;
        }
        (count > 0.0).then(|| sum / count)
    };
    match (mean(true), mean(false)) {
        (Some(yes), Some(no)) => (yes + no) / 2.0,
        _ => Array1::zeros(dim),
    }
}

/// The regression: features are the centred embedding, and one for the bias.
struct Problem {
    /// `[examples, dim + 1]`; the last column is one and is scaled by `bias / width` where it is used.
    x: Array2<f64>,
    /// 1 or -1.
    kinds: Array1<f64>,
    odds: Array1<f64>,
    weights: Array1<f64>,
    /// The width of the bias.
    bias: f64,
}

impl Problem {
    fn new(rows: &[Row<'_>], weights: &[f64], centre: &Array1<f64>) -> Self {
        let dim = centre.len();
        let value = |(row, column): (usize, usize)| match rows[row].embedding.0.get(column) {
            Some(value) if column < dim => f64::from(*value) - centre[column],
            _ => 1.0,
        };
        let of_both = rows.iter().any(|row| row.yes) && rows.iter().any(|row| !row.yes);
        Self {
            x: Array2::from_shape_fn((rows.len(), dim + 1), value),
            kinds: rows.iter().map(|row| if row.yes { 1.0 } else { -1.0 }).collect(),
            odds: rows.iter().map(|row| row.odds.clamp(-MOST_ODDS, MOST_ODDS)).collect(),
            weights: weights.iter().copied().collect(),
            bias: if of_both { BIAS } else { BIAS_OF_ONE },
        }
    }

    fn features(&self) -> usize {
        self.x.ncols()
    }

    /// The width under which the examples are least surprising.
    fn likeliest_width(&self) -> f64 {
        let mut best = (f64::NEG_INFINITY, WIDTHS[0]);
        let mut start = Array1::zeros(self.features());
        for width in WIDTHS {
            let found = self.most_likely(width, start);
            let evidence = self.evidence(&found, width);
            if evidence > best.0 {
                best = (evidence, width);
            }
            start = found;
        }
        best.1
    }

    /// `x · v`, with the bias's feature scaled for `width`.
    fn times(&self, v: &Array1<f64>, width: f64) -> Array1<f64> {
        let mut v = v.clone();
        v[self.features() - 1] *= self.bias / width;
        self.x.dot(&v)
    }

    /// `xᵀ · r`, scaled in the same way.
    fn back(&self, r: &Array1<f64>, width: f64) -> Array1<f64> {
        let mut v = self.x.t().dot(r);
        v[self.features() - 1] *= self.bias / width;
        v
    }

    /// Log-odds of every example.
    fn log_odds(&self, v: &Array1<f64>, width: f64) -> Array1<f64> {
        self.times(v, width) + &self.odds
    }

    /// The likelihood's logarithm, and the prior's.
    fn logarithm(&self, v: &Array1<f64>, width: f64) -> f64 {
        let margins = self.log_odds(v, width) * &self.kinds;
        let likelihood: f64 =
            margins.iter().zip(&self.weights).map(|(margin, w)| w * log_sigmoid(*margin)).sum();
        likelihood - v.dot(v) / (2.0 * width * width)
    }

    /// Newton's method; its steps by conjugate gradients, halved where they lead too far.
    fn most_likely(&self, width: f64, start: Array1<f64>) -> Array1<f64> {
        let precision = 1.0 / (width * width);
        let mut v = start;
        let mut now = self.logarithm(&v, width);
        for _ in 0..50 {
            let odds = self.log_odds(&v, width);
            let missing = |(z, kind): (&f64, &f64)| kind * sigmoid(-z * kind);
            let residual: Array1<f64> = odds.iter().zip(&self.kinds).map(missing).collect();
            let gradient = self.back(&(residual * &self.weights), width) - &v * precision;
            let curvature = odds.mapv(|z| sigmoid(z) * sigmoid(-z)) * &self.weights;
            let hessian = |d: &Array1<f64>| {
                self.back(&(self.times(d, width) * &curvature), width) + d * precision
            };
            let step = solve(&gradient, hessian);
            let mut share = 1.0;
            let next = loop {
                let tried = &v + &(&step * share);
                let value = self.logarithm(&tried, width);
                if value >= now || share < 1e-4 {
                    break (tried, value);
                }
                share /= 2.0;
            };
            let gained = next.1 - now;
            if gained > 0.0 {
                (v, now) = next;
            }
            if gained < 1e-6 {
                break;
            }
        }
        v
    }

    /// Laplace's approximation of the logarithm of the examples' probability; constants left out.
    fn evidence(&self, v: &Array1<f64>, width: f64) -> f64 {
        let odds = self.log_odds(v, width);
        let roots = odds.mapv(|z| sigmoid(z) * sigmoid(-z)) * &self.weights;
        let roots = roots.mapv(f64::sqrt);
        let mut x = self.x.clone();
        x.column_mut(self.features() - 1).mapv_inplace(|one| one * self.bias / width);
        for (mut row, root) in x.axis_iter_mut(Axis(0)).zip(&roots) {
            row *= *root * width;
        }
        let gram = x.dot(&x.t()) + Array2::<f64>::eye(x.nrows());
        self.logarithm(v, width) - log_determinant(gram) / 2.0
    }
}

/// Conjugate gradients for `matrix · step = gradient`.
fn solve(gradient: &Array1<f64>, matrix: impl Fn(&Array1<f64>) -> Array1<f64>) -> Array1<f64> {
    let mut step = Array1::zeros(gradient.len());
    let mut rest = gradient.clone();
    let mut direction = rest.clone();
    let mut size = rest.dot(&rest);
    let enough = size * 1e-8;
    for _ in 0..60 {
        if size <= enough || size == 0.0 {
            break;
        }
        let image = matrix(&direction);
        let share = size / direction.dot(&image);
        step.scaled_add(share, &direction);
        rest.scaled_add(-share, &image);
        let next = rest.dot(&rest);
        direction = &rest + &(direction * (next / size));
        size = next;
    }
    step
}

/// Of a symmetric matrix whose eigenvalues are 1 or more, by Cholesky's decomposition.
fn log_determinant(mut matrix: Array2<f64>) -> f64 {
    let size = matrix.nrows();
    let mut sum = 0.0;
    for column in 0..size {
        let root = matrix[[column, column]].max(f64::MIN_POSITIVE).sqrt();
        sum += 2.0 * root.ln();
        for row in column..size {
            matrix[[row, column]] /= root;
        }
        for row in column + 1..size {
            let factor = matrix[[row, column]];
            for other in column + 1..=row {
                let product = factor * matrix[[other, column]];
                matrix[[row, other]] -= product;
            }
        }
    }
    sum
}

/// `1 / (1 + exp(-x))`, by the branch whose `exp` cannot overflow.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

fn log_sigmoid(x: f64) -> f64 {
    if x >= 0.0 { -(-x).exp().ln_1p() } else { x - x.exp().ln_1p() }
}
