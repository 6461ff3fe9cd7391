//! What a model of any exporter takes, read without its weights.

use std::collections::HashSet;

use super::graphs::graph;
use super::wire::{NotOnnx, decode, fields};
use super::{DimensionValue, GRAPH_INITIALIZER, GRAPH_INPUT, Tensor, ValueInfo};

/// The inputs of a model file.
pub(in crate::clip) fn inputs(model: &[u8]) -> Result<Vec<ValueInfo>, NotOnnx> {
    inputs_of_graph(graph(model)?)
}

/// The inputs of a graph.
pub(in crate::clip) fn inputs_of_graph(graph: &[u8]) -> Result<Vec<ValueInfo>, NotOnnx> {
    let (mut inputs, mut weights) = (Vec::new(), HashSet::new());
    for part in fields(graph) {
        let part = part?;
        match part.number {
            GRAPH_INPUT => inputs.push(decode::<ValueInfo>(part.bytes)?),
            GRAPH_INITIALIZER => {
                weights.insert(decode::<Tensor>(part.bytes)?.name);
            }
            _ => {}
        }
    }
    // Older exporters list weights among the inputs too.
    inputs.retain(|input| !weights.contains(&input.name));
    Ok(inputs)
}

/// What the model calls the first dimension of `input`, its batch; `None` when that is a number.
pub(in crate::clip) fn batch_name(input: &ValueInfo) -> Option<&str> {
    let shape = input.kind.as_ref()?.tensor.as_ref()?.shape.as_ref()?;
    match shape.dim.first()?.value.as_ref()? {
        DimensionValue::Named(name) if !name.is_empty() => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::clip::proto::wire::field;
    use crate::clip::proto::{FLOAT, GRAPH_INITIALIZER, MODEL_GRAPH};

    fn model(inputs: &[ValueInfo]) -> Vec<u8> {
        let weights = Tensor { name: "weights".to_owned(), ..Tensor::default() };
        let (mut graph, mut model) = (Vec::new(), Vec::new());
        for input in inputs {
            field(&mut graph, GRAPH_INPUT, &input.encode_to_vec());
        }
        field(&mut graph, GRAPH_INITIALIZER, &weights.encode_to_vec());
        field(&mut model, MODEL_GRAPH, &graph);
        model
    }

    #[test]
    fn weights_are_no_inputs() {
        let image = ValueInfo::batched("image", FLOAT, &[3, 224, 224]);
        let weights = ValueInfo::tensor("weights", FLOAT, Vec::new());
        let found = inputs(&model(&[weights.clone(), image.clone()])).unwrap();
        assert_eq!(found, [image]);
        assert_eq!(batch_name(&found[0]), Some("batch"));
        assert_eq!(batch_name(&weights), None);
    }

    #[test]
    fn a_model_without_a_graph_is_none() {
        let error = inputs(&[]).unwrap_err();
        assert_eq!(error.to_string(), "the model file is not ONNX: it has no graph");
        let mut cut = model(&[ValueInfo::batched("image", FLOAT, &[3])]);
        cut.pop();
        assert!(inputs(&cut).is_err());
    }
}
