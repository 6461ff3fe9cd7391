//! All labels of a watch over the tiles of a picture, those that examples have taught among them.
//!
//! A taught label stands alone: the log-odds that its prompts give it within the watch, and what
//! `taught::fit` has added. The other labels are as they would be without.

use ndarray::ArrayView1;

use super::{Powers, cosines, logit_of, products, sigmoid, to_probabilities};
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

    /// Each label's best over the tiles of one picture: `values` has a row for each tile. A picture that was
    /// not cut is one tile.
    pub fn best(&self, values: impl IntoIterator<Item = Vec<f32>>) -> Best {
        let mut tiles = values.into_iter().map(|values| self.probabilities(values));
        let mut best = Best { probabilities: tiles.next().unwrap_or_default(), tiles: Vec::new() };
        for (tile, probabilities) in tiles.enumerate() {
            best.tiles.resize(probabilities.len(), 0);
            let highest = best.probabilities.iter_mut().zip(&mut best.tiles);
            for ((highest, in_tile), probability) in highest.zip(probabilities) {
                if probability > *highest {
                    (*highest, *in_tile) = (probability, tile + 1);
                }
            }
        }
        best
    }

    /// Which of the tiles of a picture shows the label at `place` best.
    pub fn best_tile(&self, place: usize, tiles: &[&Embedding]) -> usize {
        self.best(self.values(tiles)).tile(place)
    }

    /// The log-odds that the prompts of the label at `place` give each of `embeddings`.
    pub fn odds(&self, place: usize, embeddings: &[&Embedding]) -> Vec<f64> {
        let cosines = cosines(embeddings, self.watch.matrix.view()).into_iter();
        cosines.map(|cosines| self.prompts().odds_of(cosines, place)).collect()
    }

    fn prompts(&self) -> Prompts<'a> {
        let kind = (self.watch.score, self.scale, self.bias);
        Prompts { unworded: &self.watch.taught.unworded, kind }
    }

    fn probabilities(&self, mut values: Vec<f32>) -> Vec<Probability> {
        let labels = self.watch.labels.len();
        let steps = values.split_off(labels.min(values.len()));
        let prompts = self.prompts();
        let Some(group) = self.taught else {
            prompts.to_probabilities(&mut values);
            return values;
        };
        let logits: Vec<Option<f64>> =
            group.labels.iter().map(|label| prompts.logit(&values, *label)).collect();
        let powers = prompts.to_probabilities(&mut values);
        let steps = steps.into_iter().zip(&group.biases).zip(&group.bounds);
        for (((step, bias), (least, most)), (label, logit)) in
            steps.zip(group.labels.iter().zip(logits))
        {
            if let Some(place) = values.get_mut(*label) {
                let odds = prompts.odds(logit, *place, powers);
                let step = f64::from((step + bias).clamp(*least, *most));
                *place = sigmoid(odds + step) as Probability;
            }
        }
        values
    }
}

/// What a picture shows best of each label.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// In the labels' order.
    pub probabilities: Vec<Probability>,
    /// Empty when there was only one.
    tiles: Vec<usize>,
}

impl Best {
    /// The tile that shows the label at `place` best.
    pub fn tile(&self, place: usize) -> usize {
        self.tiles.get(place).copied().unwrap_or_default()
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
    Prompts { unworded, kind }.odds_of(cosines, label)
}

/// What prompts alone say of a picture.
struct Prompts<'a> {
    unworded: &'a [usize],
    kind: (ScoreKind, f32, f32),
}

impl Prompts<'_> {
    /// Of the label at `place`; `None` when it has no prompts.
    fn logit(&self, cosines: &[f32], place: usize) -> Option<f64> {
        let (score, scale, bias) = self.kind;
        let cosine = cosines.get(place).filter(|_| !self.unworded.contains(&place))?;
        Some(logit_of(*cosine, score, scale, bias))
    }

    /// Puts probabilities in the place of cosines.
    fn to_probabilities(&self, cosines: &mut [f32]) -> Powers {
        for label in self.unworded {
            if let Some(cosine) = cosines.get_mut(*label) {
                *cosine = f32::NEG_INFINITY;
            }
        }
        let (score, scale, bias) = self.kind;
        to_probabilities(cosines, score, scale, bias)
    }

    fn odds(&self, logit: Option<f64>, share: Probability, powers: Powers) -> f64 {
        let Some(logit) = logit else { return 0.0 };
        let odds = match self.kind.0 {
            ScoreKind::Sigmoid => logit,
            ScoreKind::Softmax => {
                let rest = 1.0 - f64::from(share);
                logit - powers.top - powers.log_sum - rest.max(REST).ln()
            }
        };
        odds.clamp(-MOST_ODDS, MOST_ODDS)
    }

    fn odds_of(&self, mut cosines: Vec<f32>, place: usize) -> f64 {
        let logit = self.logit(&cosines, place);
        let powers = self.to_probabilities(&mut cosines);
        self.odds(logit, cosines.get(place).copied().unwrap_or_default(), powers)
    }
}
