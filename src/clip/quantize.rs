//! A model's large matrix products in 8-bit integers: weights once and for all, a scale for each
//! of their columns; what they are multiplied with as it comes (dynamic quantisation).
//!
//! Only `MatMul` nodes with weights of 32-bit floats change; every other byte of the file is
//! copied as it is, so models of any exporter keep what we do not know. Whether the result is
//! near enough is for the caller to measure.
//!
//! Source of the arithmetic: ONNX's operators DynamicQuantizeLinear and MatMulInteger.

mod graph;
mod weights;

use std::path::Path;

use super::proto::MODEL_GRAPH as GRAPH;
use super::proto::graphs::operators;
use super::proto::wire::{NotOnnx, field, fields};

/// Why a model stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    #[error(transparent)]
    Format(#[from] NotOnnx),
    #[error("the model uses version {0} of ONNX's operators; 11 or later is needed")]
    TooOld(i64),
    #[error("nothing in the model is a product with weights of 32-bit floats")]
    Nothing,
    #[error("the weights {name} cannot be read: {cause}")]
    Weights { name: String, cause: String },
}

/// A model with integer products.
#[derive(Debug)]
pub struct Quantized {
    /// The file.
    pub bytes: Vec<u8>,
    /// Products that changed.
    pub products: usize,
    /// It needs the files beside the original, and thus has to lie there too.
    pub external: bool,
}

/// Quantises `model`; weights in files of their own are looked for in `folder`.
///
/// # Errors
/// When it is no ONNX model, has nothing to quantise, or weights that cannot be read.
pub fn quantize(model: &[u8], folder: &Path) -> Result<Quantized, QuantizeError> {
    let operators = operators(model)?;
    if operators < 11 {
        return Err(QuantizeError::TooOld(operators));
    }
    let mut done = Quantized { bytes: Vec::new(), products: 0, external: false };
    for part in fields(model) {
        let part = part?;
        if part.number == GRAPH {
            let rewritten = graph::rewrite(part.bytes, folder)?;
            field(&mut done.bytes, GRAPH, &rewritten.graph);
            done.products += rewritten.products;
            done.external |= rewritten.external;
        } else {
            done.bytes.extend_from_slice(part.raw);
        }
    }
    if done.products == 0 { Err(QuantizeError::Nothing) } else { Ok(done) }
}

#[cfg(test)]
mod tests;
