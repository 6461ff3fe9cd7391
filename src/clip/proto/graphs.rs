//! A model's graph, and the model with another one: every other byte of the file stays as it is.

use super::wire::{NotOnnx, decode, field, fields};
use super::{MODEL_GRAPH, MODEL_OPERATORS, OperatorSet};

/// The graph of a model file.
pub(in crate::clip) fn graph(model: &[u8]) -> Result<&[u8], NotOnnx> {
    for part in fields(model) {
        let part = part?;
        if part.number == MODEL_GRAPH {
            return Ok(part.bytes);
        }
    }
    Err(NotOnnx("it has no graph".to_owned()))
}

/// `model` with `graph` in the place of its own.
pub(in crate::clip) fn with_graph(model: &[u8], graph: &[u8]) -> Result<Vec<u8>, NotOnnx> {
    let mut changed = Vec::with_capacity(model.len().max(graph.len()) + 1024);
    for part in fields(model) {
        let part = part?;
        if part.number == MODEL_GRAPH {
            field(&mut changed, MODEL_GRAPH, graph);
        } else {
            changed.extend_from_slice(part.raw);
        }
    }
    Ok(changed)
}

/// The version of ONNX's own operators that a model file uses; 0 when it names none.
pub(in crate::clip) fn operators(model: &[u8]) -> Result<i64, NotOnnx> {
    let mut version = 0;
    for part in fields(model) {
        let part = part?;
        if part.number == MODEL_OPERATORS {
            version = version.max(decode::<OperatorSet>(part.bytes)?.core());
        }
    }
    Ok(version)
}
