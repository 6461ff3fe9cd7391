//! Writes nodes as fields of an ONNX graph, each with names that the model has not.

use prost::Message as _;

use crate::clip::proto::wire::field;
use crate::clip::proto::{Attribute, FLOAT, GRAPH_NODE, INT64, Node, Tensor};

/// Field of `NodeProto` that holds attributes, of `AttributeProto` that holds a tensor, and the
/// type of such an attribute.
const NODE_ATTRIBUTE: u32 = 5;
const ATTRIBUTE_TENSOR: u32 = 5;
const TENSOR: i32 = 4;

/// Nodes in order, and how many.
pub(super) struct Writer {
    prefix: String,
    /// Version of ONNX's own operators.
    operators: i64,
    graph: Vec<u8>,
    count: usize,
}

impl Writer {
    /// Every name that is made begins with `prefix`.
    pub(super) fn new(prefix: String, operators: i64) -> Self {
        Self { prefix, operators, graph: Vec::new(), count: 0 }
    }

    /// The fields of a graph.
    pub(super) fn finish(self) -> Vec<u8> {
        self.graph
    }

    /// A node without attributes; gives the name of its output.
    pub(super) fn node(&mut self, kind: &str, inputs: &[&str]) -> String {
        self.node_with(kind, inputs, vec![])
    }

    pub(super) fn node_with(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attribute: Vec<Attribute>,
    ) -> String {
        let output = self.name(kind);
        self.node_named(kind, inputs, &output, attribute);
        output
    }

    /// A node whose output has a name already.
    pub(super) fn node_named(
        &mut self,
        kind: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<Attribute>,
    ) {
        let node = Node { attribute, ..self.head(kind, inputs, output) };
        field(&mut self.graph, GRAPH_NODE, &node.encode_to_vec());
    }

    pub(super) fn cast(&mut self, input: &str, element: i32) -> String {
        self.node_with("Cast", &[input], vec![Attribute::int("to", i64::from(element))])
    }

    /// The sums along `axis`, which stays, with length 1.
    pub(super) fn sum(&mut self, input: &str, axis: i64) -> String {
        // The axes were an attribute, and became an input.
        if self.operators < 13 {
            return self.node_with("ReduceSum", &[input], vec![Attribute::ints("axes", &[axis])]);
        }
        let axes = self.ints(&[1], &[axis]);
        self.node("ReduceSum", &[input, &axes])
    }

    pub(super) fn number(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    pub(super) fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(dims, FLOAT, &raw)
    }

    pub(super) fn ints(&mut self, dims: &[i64], values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(dims, INT64, &raw)
    }

    /// A node, not a weight: in old files every weight has to be listed as an input too.
    fn constant(&mut self, dims: &[i64], element: i32, raw: &[u8]) -> String {
        let output = self.name("Constant");
        let mut value =
            Attribute { name: "value".to_owned(), kind: TENSOR, ..Attribute::default() }
                .encode_to_vec();
        let tensor = Tensor::encoded(dims, element, String::new(), raw);
        field(&mut value, ATTRIBUTE_TENSOR, &tensor);
        let mut node = self.head("Constant", &[], &output).encode_to_vec();
        field(&mut node, NODE_ATTRIBUTE, &value);
        field(&mut self.graph, GRAPH_NODE, &node);
        output
    }

    fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{}{kind}_{}", self.prefix, self.count)
    }

    fn head(&self, kind: &str, inputs: &[&str], output: &str) -> Node {
        Node {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            // The last node's output has the name of the input that it stands for.
            name: format!("{}node/{output}", self.prefix),
            op_type: kind.to_owned(),
            attribute: vec![],
        }
    }
}
