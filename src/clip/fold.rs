//! Arithmetic on shapes, taken out of a model.
//!
//! Exporters leave it in their graphs: they ask a value for its shape, and reckon with that what the next
//! one is reshaped to. For a batch of a known size the answers are numbers. [`Arithmetic`] finds
//! it, writes the model that answers, and the one that has the answers in it. Pure: bytes to bytes;
//! running the former is left to [`super::onnx`].

use std::collections::HashSet;

use prost::Message as _;

use super::proto::graphs::{graph, with_graph};
use super::proto::wire::{NotOnnx, decode, field, fields};
use super::proto::{
    GRAPH_INITIALIZER, GRAPH_NODE, GRAPH_OUTPUT, INT64, Model, Node, Tensor, TensorType, Type,
    ValueInfo,
};

/// From this version of the format on, weights need not be listed among the inputs.
const LEAST_FORMAT: i64 = 4;

/// The arithmetic on shapes of one model.
#[derive(Debug)]
pub(super) struct Arithmetic {
    /// All that is reckoned.
    reckoned: HashSet<String>,
    /// What of it the rest of the model uses, in the order of its use: int64.
    wanted: Vec<String>,
}

/// One of [`Arithmetic::wanted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) dims: Vec<i64>,
    pub(super) values: Vec<i64>,
}

impl Arithmetic {
    /// That of `model`; `None` when there is none, or it is not to be told from the rest.
    ///
    /// # Errors
    /// When `model` is not ONNX.
    pub(super) fn of(model: &[u8]) -> Result<Option<Self>, NotOnnx> {
        let graph = graph(model)?;
        if decode::<Model>(model)?.ir_version < LEAST_FORMAT {
            return Ok(None);
        }
        let (mut constants, mut found) = (HashSet::new(), Self::nothing());
        for part in fields(graph) {
            let part = part?;
            if part.number == GRAPH_INITIALIZER {
                constants.insert(decode::<Tensor>(part.bytes)?.name);
            }
        }
        for part in fields(graph) {
            let part = part?;
            if part.number != GRAPH_NODE {
                continue;
            }
            let node = decode::<Node>(part.bytes)?;
            match node.op_type.as_str() {
                // Graphs within may use any name.
                "If" | "Loop" | "Scan" => return Ok(None),
                "Constant" => constants.extend(node.output),
                _ => found.take(&node, &constants),
            }
        }
        Ok(Some(found).filter(|found| !found.wanted.is_empty()))
    }

    fn nothing() -> Self {
        Self { reckoned: HashSet::new(), wanted: Vec::new() }
    }

    fn take(&mut self, node: &Node, constants: &HashSet<String>) {
        if self.reckons(node, constants) {
            self.reckoned.extend(node.output.iter().cloned());
            return;
        }
        for name in &node.input {
            if self.reckoned.contains(name) && !self.wanted.contains(name) {
                self.wanted.push(name.clone());
            }
        }
    }

    /// Whether `node` makes int64 of shapes: numbers may be put in its place.
    fn reckons(&self, node: &Node, constants: &HashSet<String>) -> bool {
        let known = |name: &String| self.reckoned.contains(name) || constants.contains(name);
        let first = node.input.first().is_some_and(|name| self.reckoned.contains(name));
        match node.op_type.as_str() {
            "Shape" => true,
            // The values are those of the first input.
            "Gather" | "Slice" | "Squeeze" | "Unsqueeze" => first && node.input.iter().all(known),
            // All inputs are of one type.
            "Concat" | "Add" | "Sub" | "Mul" | "Div" | "Mod" => {
                node.input.iter().all(known)
                    && node.input.iter().any(|name| self.reckoned.contains(name))
            }
            "Cast" => first && node.attribute.iter().any(|to| to.i == i64::from(INT64)),
            _ => false,
        }
    }

    /// What [`asked`](Self::asked) gives, in order.
    pub(super) fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// `model` with the answers as its outputs, in place of its own.
    pub(super) fn asked(&self, model: &[u8]) -> Result<Vec<u8>, NotOnnx> {
        let mut changed = Vec::new();
        for part in fields(graph(model)?) {
            let part = part?;
            if part.number != GRAPH_OUTPUT {
                changed.extend_from_slice(part.raw);
            }
        }
        for name in &self.wanted {
            let tensor = TensorType { element: INT64, shape: None };
            let kind = Some(Type { tensor: Some(tensor) });
            let output = ValueInfo { name: name.clone(), kind };
            field(&mut changed, GRAPH_OUTPUT, &output.encode_to_vec());
        }
        with_graph(model, &changed)
    }

    /// `model` with `answers`, which are in the order of [`wanted`](Self::wanted), in place of the
    /// arithmetic.
    pub(super) fn answered(&self, model: &[u8], answers: &[Answer]) -> Result<Vec<u8>, NotOnnx> {
        let mut changed = Vec::new();
        for part in fields(graph(model)?) {
            let part = part?;
            let reckoned = part.number == GRAPH_NODE
                && decode::<Node>(part.bytes)?
                    .output
                    .iter()
                    .any(|name| self.reckoned.contains(name));
            if !reckoned {
                changed.extend_from_slice(part.raw);
            }
        }
        for (name, Answer { dims, values }) in self.wanted.iter().zip(answers) {
            let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let tensor = Tensor::encoded(dims, INT64, name.clone(), &raw);
            field(&mut changed, GRAPH_INITIALIZER, &tensor);
        }
        with_graph(model, &changed)
    }
}

#[cfg(test)]
mod tests;
