//! CLIP: bundles, preprocessing, prompts, scoring.

pub mod scoring;
use crate::model::{Embedding, Picture, View};

/// Why pictures or texts could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(pub String);

/// Pictures to embeddings. Owned by one thread; `&mut self` instead of a lock.
pub trait ImageEncoder: Send {
    /// Encodes `pictures` (at most [`max_batch`](Self::max_batch)), one unit-length embedding each, in order.
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError>;
    /// Most pictures in one call.
    fn max_batch(&self) -> usize;
}

/// Texts to embeddings.
pub trait TextEncoder {
    /// One unit-length embedding per text, in order.
    fn encode(&mut self, texts: &[String]) -> Result<Vec<Embedding>, EncodeError>;
}
