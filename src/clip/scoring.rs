//! Embeddings and label matrices to probabilities. Pure.
//!
//! `logit = logit_scale * cosine`; then softmax over the watch's labels (CLIP, section 3.1.2
//! of arXiv:2103.00020), or `sigmoid(logit + logit_bias)` for each label on its own (SigLIP,
//! arXiv:2303.15343). Thresholds and events are left to `alert`.

mod product;
mod scorer;
mod softmax;

use ndarray::{Array2, ArrayView2};

pub use self::scorer::{Best, Scorer, prompt_odds};

use self::product::product;
use self::softmax::{Powers, softmax};
use crate::model::{Embedding, Probability};
use crate::watch::ScoreKind;

/// What one label says of one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelScore {
    /// -1 to 1.
    pub cosine: f32,
    /// What softmax or sigmoid was applied to.
    pub logit: f32,
    /// 0 to 1.
    pub probability: Probability,
}

/// Scores one picture against the labels of one watch, in the order of the rows.
///
/// `embedding` has length 1 and as many values as `matrix` has columns; `matrix` has one
/// unit-length label embedding a row, shape `[labels, dim]`. `bias` counts for
/// [`ScoreKind::Sigmoid`] only: it would cancel out of a softmax.
pub fn score(
    embedding: &Embedding,
    matrix: ArrayView2<'_, f32>,
    kind: ScoreKind,
    scale: f32,
    bias: f32,
) -> Vec<LabelScore> {
    let cosines = cosines(&[embedding], matrix).into_iter().next().unwrap_or_default();
    let mut probabilities = cosines.clone();
    to_probabilities(&mut probabilities, kind, scale, bias);
    let scores = cosines.into_iter().zip(probabilities);
    scores
        .map(|(cosine, probability)| {
            let logit = logit_of(cosine, kind, scale, bias) as f32;
            LabelScore { cosine, logit, probability }
        })
        .collect()
}

/// The cosines of each picture with each label, -1 to 1: a row of labels for each picture. `matrix`
/// as for [`score`]; one product, however many they are.
pub fn cosines(embeddings: &[&Embedding], matrix: ArrayView2<'_, f32>) -> Vec<Vec<f32>> {
    let mut cosines = products(embeddings, matrix);
    for row in &mut cosines {
        for cosine in row {
            *cosine = cosine.clamp(-1.0, 1.0);
        }
    }
    cosines
}

/// The product of each picture with each row of a matrix, whatever its rows are.
fn products(embeddings: &[&Embedding], matrix: ArrayView2<'_, f32>) -> Vec<Vec<f32>> {
    debug_assert!(embeddings.iter().all(|e| e.0.len() == matrix.ncols()), "of one bundle");
    let pictures: Vec<&[f32]> = embeddings.iter().map(|embedding| &*embedding.0).collect();
    // A matrix in another order than rows is one that nobody makes.
    let matrix = matrix.as_standard_layout();
    product(&pictures, matrix.as_slice().unwrap_or_default(), matrix.ncols())
}

/// Label embeddings as rows, shape `[labels, dim]`; `None` when their lengths differ.
pub fn matrix(rows: &[Embedding]) -> Option<Array2<f32>> {
    let dim = rows.first().map_or(0, |row| row.0.len());
    if rows.iter().any(|row| row.0.len() != dim) {
        return None;
    }
    let values = rows.iter().flat_map(|row| row.0.iter().copied()).collect();
    Array2::from_shape_vec((rows.len(), dim), values).ok()
}

/// What softmax or sigmoid is applied to.
fn logit_of(cosine: f32, kind: ScoreKind, scale: f32, bias: f32) -> f64 {
    let bias = match kind {
        ScoreKind::Softmax => 0.0,
        ScoreKind::Sigmoid => f64::from(bias),
    };
    f64::from(scale) * f64::from(cosine) + bias
}

/// Puts probabilities in the place of cosines. What log-odds are made of; of sigmoids that is nothing.
fn to_probabilities(cosines: &mut [f32], kind: ScoreKind, scale: f32, bias: f32) -> Powers {
    let logit = |cosine| logit_of(cosine, kind, scale, bias);
    match kind {
        ScoreKind::Softmax => softmax(cosines, logit),
        ScoreKind::Sigmoid => {
            for value in cosines {
                *value = sigmoid(logit(*value)) as Probability;
            }
            Powers { top: 0.0, log_sum: 0.0 }
        }
    }
}

/// Cosine of two unit-length embeddings, kept within -1 to 1 against rounding.
pub fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    let sum: f64 = a.0.iter().zip(&b.0).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    sum.clamp(-1.0, 1.0) as f32
}

/// `1 / (1 + exp(-x))`, by the branch whose `exp` cannot overflow.
pub fn sigmoid(logit: f64) -> f64 {
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let power = logit.exp();
        power / (1.0 + power)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clip::normalise;

    fn unit(mut values: Vec<f32>) -> Embedding {
        if !normalise(&mut values) {
            values[0] = 1.0;
            values[1..].fill(0.0);
        }
        Embedding(values)
    }

    #[test]
    fn clips_own_example_of_its_readme() {
        // openai/CLIP README: probabilities 0.9927937, 0.00421068, 0.00299572.
        let mut found = [25.5527_f32, 20.0898, 19.7496];
        softmax(&mut found, f64::from);
        for (found, expected) in found.iter().zip([0.9927937, 0.00421068, 0.00299572]) {
            assert!((found - expected).abs() < 1e-5_f32, "{found} {expected}");
        }
    }

    #[test]
    fn sigmoid_labels_stand_alone_and_take_the_bias() {
        let matrix = Array2::from_shape_vec((2, 2), vec![1.0, 0.0, 0.0, 1.0]).unwrap();
        let picture = Embedding(vec![1.0, 0.0]);
        let scores = score(&picture, matrix.view(), ScoreKind::Sigmoid, 10.0, -10.0);
        assert_eq!(scores[0].probability, 0.5);
        assert_eq!(scores[1].logit, -10.0);
        let soft = score(&picture, matrix.view(), ScoreKind::Softmax, 10.0, -10.0);
        assert_eq!(soft[0].logit, 10.0);
    }

    #[test]
    fn no_labels_no_scores() {
        let matrix = Array2::zeros((0, 3));
        let picture = Embedding(vec![1.0, 0.0, 0.0]);
        assert!(score(&picture, matrix.view(), ScoreKind::Softmax, 100.0, 0.0).is_empty());
    }

    prop_compose! {
        fn case()(labels in 1..12usize, dim in 1..40usize)(
            picture in prop::collection::vec(-1.0..1.0_f32, dim),
            rows in prop::collection::vec(prop::collection::vec(-1.0..1.0_f32, dim), labels),
        ) -> (Embedding, Array2<f32>) {
            let (labels, dim) = (rows.len(), picture.len());
            let flat = rows.into_iter().flat_map(|row| unit(row).0).collect();
            (unit(picture), Array2::from_shape_vec((labels, dim), flat).unwrap())
        }
    }

    proptest! {
        #[test]
        fn softmax_sums_to_one_and_keeps_the_order((picture, matrix) in case(), scale in 0.01..1e30_f32) {
            let scores = score(&picture, matrix.view(), ScoreKind::Softmax, scale, 0.0);
            let sum: f64 = scores.iter().map(|s| f64::from(s.probability)).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
            for a in &scores {
                prop_assert!((0.0..=1.0).contains(&a.probability));
                for b in &scores {
                    prop_assert!(a.cosine < b.cosine || a.probability >= b.probability);
                }
            }
        }

        #[test]
        fn sigmoid_is_a_probability_at_any_scale((picture, matrix) in case(), scale in 0.01..1e30_f32, bias in -1e30..1e30_f32) {
            let scores = score(&picture, matrix.view(), ScoreKind::Sigmoid, scale, bias);
            prop_assert!(scores.iter().all(|s| (0.0..=1.0).contains(&s.probability)));
        }

        #[test]
        fn softmax_does_not_mind_a_shift(logits in prop::collection::vec(-50.0..50.0_f32, 1..10), shift in -1e6..1e6_f64) {
            let (mut plain, mut moved) = (logits.clone(), logits);
            softmax(&mut plain, f64::from);
            softmax(&mut moved, |logit| f64::from(logit) + shift);
            for (a, b) in plain.into_iter().zip(moved) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
