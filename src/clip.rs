//! CLIP: pictures and prompts to embeddings, embeddings to probabilities.
//!
//! What it is: the two encoders as traits, and everything around them. A [`bundle`] names the
//! files of a model; [`preprocess`] and [`tokenizer`] turn pictures and texts into its inputs;
//! [`onnx`] runs it and is the only file that knows ONNX Runtime; [`prompts`] turns a
//! configuration into label matrices, through the [`cache`] of prompt embeddings; [`scoring`]
//! turns an embedding and a matrix into probabilities; [`advice`] tells which prompts will
//! disappoint; [`still`] decodes picture files for the command line. [`import`], [`pull`] and
//! [`quantize`] make bundles; [`resident`] puts the preprocessing into a model.
//!
//! Pure, by choice: preprocess, resident, prompts, scoring, advice. Left to others: threads, batching
//! over cameras, and when to encode (`infer`).
//!
//! Source of the method: Radford et al., "Learning Transferable Visual Models From Natural
//! Language Supervision" (CLIP), 2021, <https://arxiv.org/abs/2103.00020>.

pub mod advice;
pub mod bundle;
pub mod cache;
pub mod catalogue;
pub mod checksums;
pub mod draft;
pub mod fetch;
mod fold;
pub mod import;
pub mod library;
pub mod onnx;
pub mod preprocess;
pub mod prompts;
mod proto;
pub mod pull;
pub mod quantize;
pub mod resident;
pub mod scoring;
pub mod still;
pub mod store;
pub mod tokenizer;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Embedding, Picture, View};

/// Why pictures or texts could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// These pictures or texts; others may do.
    #[error("{0}")]
    Failed(String),
    /// So many at once do not fit the device's memory; fewer may.
    #[error("{0}")]
    Memory(String),
    /// The device is gone: nothing can be encoded until the model is loaded again.
    #[error("{0}")]
    Lost(String),
}

/// What an encoder's last call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Took {
    pub preprocess: Duration,
    pub model: Duration,
}

/// Gives the pictures of the call that will follow, as far as they are known; asked twice, the same.
pub type Next<'a> = &'a mut dyn FnMut() -> Vec<(Arc<Picture>, View)>;

/// Pictures to embeddings. Owned by one thread; `&mut self` instead of a lock.
pub trait ImageEncoder: Send {
    /// Encodes `pictures` (at most [`max_batch`](Self::max_batch)), one unit-length embedding each, in order.
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError>;
    /// As [`encode`](Self::encode). An encoder that can prepare pictures while these are encoded asks
    /// `next` for them, just before it begins; others never do. It is no promise to encode them.
    fn encode_before(
        &mut self,
        pictures: &[(&Picture, View)],
        _next: Next<'_>,
    ) -> Result<Vec<Embedding>, EncodeError> {
        self.encode(pictures)
    }
    /// Most pictures in one call.
    fn max_batch(&self) -> usize;
    /// What the last call took, where that is measured.
    fn took(&self) -> Took {
        Took::default()
    }
}

/// Texts to embeddings.
pub trait TextEncoder {
    /// One unit-length embedding per text, in order.
    fn encode(&mut self, texts: &[String]) -> Result<Vec<Embedding>, EncodeError>;
}

/// Scales `values` to length 1 in place. `false`, and nothing changed, when the length is zero
/// or not finite, so that no NaN travels on.
pub(crate) fn normalise(values: &mut [f32]) -> bool {
    let squares: f64 = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    let length = squares.sqrt();
    if !length.is_finite() || length <= f64::from(f32::MIN_POSITIVE) {
        return false;
    }
    for value in values {
        *value = (f64::from(*value) / length) as f32;
    }
    true
}
