//! All labels of a watch over the tiles of a picture, those that examples have taught among them.
//!
//! A taught label stands alone: the log-odds that its prompts give it within the watch, and what
//! `taught::fit` has added. The other labels are as they would be without.

use ndarray::ArrayView1;

use super::{Powers, cosines, logit_of, products, sigmoid, softmax};
use crate::model::{CameraId, Embedding, Probability};
use crate::watch::{ScoreKind, TaughtGroup, Watch, WatchSet};

/// Log-odds that prompts give are kept within this, so that they cannot outvote every example.
const MOST_ODDS: f64 = 16.0;
/// Beside this probability the rest is lost to rounding.
const REST: f64 = 1e-7;

/// Scores pictures of some cameras with a watch.
#[derive(Debug, Clone, Copy)]
pub struct Scorer<'a> {
    watch: &'a Watch,
    taught: Option<&'a TaughtGroup>,
    scale: f32,
    bias: f32,
}

impl<'a> Scorer<'a> {
    /// For `camera`; without one no label is taught. `scale` and `bias` as for [`score`](super::score).
    pub fn new(watch: &'a Watch, camera: Option<&CameraId>, scale: f32, bias: f32) -> Self {
        let taught = camera.and_then(|camera| watch.taught.on(camera));
        Self { watch, taught, scale, bias }
    }

    pub fn of(set: &WatchSet, watch: &'a Watch, camera: &CameraId) -> Self {
        Self::new(watch, Some(camera), set.logit_scale, set.logit_bias)
    }

    /// Whether `camera` is scored in the same way.
    pub fn holds_for(&self, camera: &CameraId) -> bool {
        match (self.watch.taught.on(camera), self.taught) {
            (Some(other), Some(own)) => std::ptr::eq(other, own),
            (other, own) => other.is_none() && own.is_none(),
        }
    }

    /// What pictures are multiplied with to have what [`best`](Self::best) takes: the labels' rows, then
    /// those of the taught ones, which are not of unit length.
    pub fn rows(&self) -> impl Iterator<Item = ArrayView1<'a, f32>> {
        let taught = self.taught.map(|group| group.directions.rows().into_iter());
        self.watch.matrix.rows().into_iter().chain(taught.into_iter().flatten())
    }

    /// The products of those rows with each of `embeddings`.
    pub fn values(&self, embeddings: &[&Embedding]) -> Vec<Vec<f32>> {
        let mut values = cosines(embeddings, self.watch.matrix.view());
        if let Some(group) = self.taught {
            let steps = products(embeddings, group.directions.view());
            values.iter_mut().zip(steps).for_each(|(values, steps)| values.extend(steps));
        }
        values
    }

    /// Each label's best over the tiles of one picture, and the tile that it was in: `values` has a row for
    /// each tile. A picture that was not cut is one tile.
    pub fn best(&self, values: impl IntoIterator<Item = Vec<f32>>) -> Vec<(Probability, usize)> {
        let mut best: Vec<(Probability, usize)> = Vec::new();
        for (tile, values) in values.into_iter().enumerate() {
            let probabilities = self.probabilities(values);
            if tile == 0 {
                best = probabilities.into_iter().map(|probability| (probability, 0)).collect();
                continue;
            }
            for (best, probability) in best.iter_mut().zip(probabilities) {
                if probability > best.0 {
                    *best = (probability, tile);
                }
            }
        }
        best
    }

    /// Which of the tiles of a picture shows the label at `place` best.
    pub fn best_tile(&self, place: usize, tiles: &[&Embedding]) -> usize {
        self.best(self.values(tiles)).get(place).map_or(0, |(_, tile)| *tile)
    }

    /// The log-odds that the prompts of the label at `place` give each of `embeddings`.
    pub fn odds(&self, place: usize, embeddings: &[&Embedding]) -> Vec<f64> {
        let kind = (self.watch.score, self.scale, self.bias);
        let unworded = &self.watch.taught.unworded;
        let cosines = cosines(embeddings, self.watch.matrix.view()).into_iter();
        cosines.map(|cosines| prompt_odds(cosines, unworded, place, kind)).collect()
    }

    fn probabilities(&self, mut values: Vec<f32>) -> Vec<Probability> {
        let labels = self.watch.labels.len();
        let steps = values.split_off(labels.min(values.len()));
        let kind = (self.watch.score, self.scale, self.bias);
        let prompts = Prompts::new(values, &self.watch.taught.unworded, kind);
        let Some(group) = self.taught else { return prompts.probabilities };
        let steps = steps.into_iter().zip(&group.biases).zip(&group.bounds);
        let taught: Vec<(usize, f64)> = steps
            .zip(&group.labels)
            .map(|(((step, bias), (least, most)), label)| {
                let odds = prompts.odds(*label);
                (*label, sigmoid(odds + f64::from((step + bias).clamp(*least, *most))))
            })
            .collect();
        let mut probabilities = prompts.probabilities;
        for (label, probability) in taught {
            if let Some(place) = probabilities.get_mut(label) {
                *place = probability as Probability;
            }
        }
        probabilities
    }
}

/// The log-odds that a label's prompts give one picture, by its cosines with the labels of a watch:
/// `unworded` are those without prompts. 0 for such a label.
pub fn prompt_odds(
    cosines: Vec<f32>,
    unworded: &[usize],
    label: usize,
    kind: (ScoreKind, f32, f32),
) -> f64 {
    Prompts::new(cosines, unworded, kind).odds(label)
}

/// What prompts alone say of one picture.
struct Prompts<'a> {
    cosines: Vec<f32>,
    unworded: &'a [usize],
    kind: (ScoreKind, f32, f32),
    probabilities: Vec<Probability>,
    /// Of a softmax: its largest logit, and the logarithm of the sum of powers.
    top: f64,
    sum: f64,
}

impl<'a> Prompts<'a> {
    fn new(mut cosines: Vec<f32>, unworded: &'a [usize], kind: (ScoreKind, f32, f32)) -> Self {
        for label in unworded {
            if let Some(cosine) = cosines.get_mut(*label) {
                *cosine = f32::NEG_INFINITY;
            }
        }
        let (score, scale, bias) = kind;
        let logits = cosines.iter().map(|cosine| logit_of(*cosine, score, scale, bias));
        let Powers { shares, top, sum } = match score {
            ScoreKind::Softmax => softmax(logits),
            ScoreKind::Sigmoid => {
                let shares = logits.map(|logit| sigmoid(logit) as Probability).collect();
                Powers { shares, top: 0.0, sum: 1.0 }
            }
        };
        Self { cosines, unworded, kind, probabilities: shares, top, sum: sum.ln() }
    }

    fn odds(&self, label: usize) -> f64 {
        let (Some(cosine), false) = (self.cosines.get(label), self.unworded.contains(&label))
        else {
            return 0.0;
        };
        let (score, scale, bias) = self.kind;
        let logit = logit_of(*cosine, score, scale, bias);
        let odds = match score {
            ScoreKind::Sigmoid => logit,
            ScoreKind::Softmax => {
                let rest = 1.0 - f64::from(self.probabilities[label]);
                logit - self.top - self.sum - rest.max(REST).ln()
            }
        };
        odds.clamp(-MOST_ODDS, MOST_ODDS)
    }
}
