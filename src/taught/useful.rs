//! Which frames are worth to be marked next: those the label is unsure of, and unlike each other. Pure.
//!
//! Uncertainty sampling (Lewis and Gale, arXiv:cmp-lg/9407020), spread out as a greedy cover (Sener and
//! Savarese, arXiv:1708.00489): ten frames of the same doubtful minute teach no more than one, and what looks like
//! a frame that is known teaches nothing.

use super::COPY;
use crate::clip::scoring::cosine;
use crate::model::{Embedding, Probability};

/// A frame that could be marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What the label says of it now.
    pub probability: Probability,
    pub embedding: Embedding,
}

/// Picks `how_many` of `candidates`, best first, for a label that was taught `known` frames and fires at
/// `threshold`: their places.
pub fn choose(
    candidates: &[Candidate],
    known: &[&Embedding],
    threshold: Probability,
    how_many: usize,
) -> Vec<usize> {
    let nearest =
        |one: &Candidate| known.iter().map(|k| cosine(&one.embedding, k)).fold(-1.0, f32::max);
    let mut nearest: Vec<f32> = candidates.iter().map(nearest).collect();
    let mut chosen = Vec::new();
    while chosen.len() < how_many {
        let worth =
            |index: usize| doubt(candidates[index].probability, threshold) * (1.0 - nearest[index]);
        let best = (0..candidates.len())
            .filter(|index| !chosen.contains(index) && nearest[*index] < COPY)
            .max_by(|a, b| worth(*a).total_cmp(&worth(*b)));
        let Some(best) = best else { break };
        chosen.push(best);
        for (nearest, candidate) in nearest.iter_mut().zip(candidates) {
            *nearest = nearest.max(cosine(&candidate.embedding, &candidates[best].embedding));
        }
    }
    chosen
}

/// 1 at the threshold, less on both sides.
pub fn doubt(probability: Probability, threshold: Probability) -> f32 {
    let odds = |p: f32| (p.clamp(1e-6, 1.0 - 1e-6) / (1.0 - p.clamp(1e-6, 1.0 - 1e-6))).ln();
    1.0 / (1.0 + (odds(probability) - odds(threshold)).abs())
}
