//! Embeddings and label matrices to probabilities. Pure.
//!
//! `logit = logit_scale * cosine`; then softmax over the watch's labels (CLIP, section 3.1.2
//! of arXiv:2103.00020), or `sigmoid(logit + logit_bias)` for each label on its own (SigLIP,
//! arXiv:2303.15343). Thresholds and events are left to `alert`.

use ndarray::{Array2, ArrayView1, ArrayView2};

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
    scores(cosines(&[embedding], matrix).column(0), kind, scale, bias)
}

/// The cosine of each label with each picture, shape `[labels, pictures]`, -1 to 1, of `matrix` as
/// for [`score`]: one product, however many they are.
pub fn cosines(embeddings: &[&Embedding], matrix: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut pictures = Array2::zeros((embeddings.len(), matrix.ncols()));
    for (mut row, embedding) in pictures.rows_mut().into_iter().zip(embeddings) {
        debug_assert_eq!(embedding.0.len(), row.len(), "picture and prompts of one bundle");
        row.assign(&ArrayView1::from(&embedding.0));
    }
    let mut cosines = matrix.dot(&pictures.t());
    cosines.mapv_inplace(|cosine| cosine.clamp(-1.0, 1.0));
    cosines
}

/// Scores one picture by its cosines with the labels of one watch. See [`score`].
pub fn scores(
    cosines: ArrayView1<'_, f32>,
    kind: ScoreKind,
    scale: f32,
    bias: f32,
) -> Vec<LabelScore> {
    let bias = match kind {
        ScoreKind::Softmax => 0.0,
        ScoreKind::Sigmoid => f64::from(bias),
    };
    let logits: Vec<f64> =
        cosines.iter().map(|cosine| f64::from(scale) * f64::from(*cosine) + bias).collect();
    let probabilities = match kind {
        ScoreKind::Softmax => softmax(&logits),
        ScoreKind::Sigmoid => logits.iter().map(|logit| sigmoid(*logit)).collect(),
    };
    cosines
        .iter()
        .copied()
        .zip(logits)
        .zip(probabilities)
        .map(|((cosine, logit), probability)| LabelScore {
            cosine,
            logit: logit as f32,
            probability: probability as Probability,
        })
        .collect()
}

/// Cosine of two unit-length embeddings, kept within -1 to 1 against rounding.
pub fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    let sum: f64 = a.0.iter().zip(&b.0).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    sum.clamp(-1.0, 1.0) as f32
}

/// `exp(x - max) / sum`: the subtraction changes nothing and keeps `exp` from overflowing.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
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
        let logits = [25.5527_f64, 20.0898, 19.7496];
        let found = softmax(&logits);
        for (found, expected) in found.iter().zip([0.9927937, 0.00421068, 0.00299572]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
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
        fn softmax_does_not_mind_a_shift(logits in prop::collection::vec(-50.0..50.0_f64, 1..10), shift in -1e6..1e6_f64) {
            let moved: Vec<f64> = logits.iter().map(|logit| logit + shift).collect();
            for (a, b) in softmax(&logits).iter().zip(softmax(&moved)) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
