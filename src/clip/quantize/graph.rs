//! The graph's nodes: which products change, and what stands in their place.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message as _;

use super::QuantizeError;
use super::weights::{self, Header};
use crate::clip::proto::wire::{decode, field, fields};
use crate::clip::proto::{
    Attribute, FLOAT, GRAPH_INITIALIZER as INITIALIZER, GRAPH_INPUT as INPUT, GRAPH_NODE as NODE,
    Node, ValueInfo,
};

/// Field of `GraphProto`.
const OUTPUT: u32 = 12;
/// Fields of `AttributeProto` that hold graphs, and of `NodeProto` that hold attributes.
const INNER_GRAPHS: [u32; 2] = [6, 11];
const ATTRIBUTE: u32 = 5;

/// What is looked at of a node.
#[derive(Clone, PartialEq, prost::Message)]
struct Head {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(string, tag = "7")]
    domain: String,
}

impl Head {
    /// Input, weights and output of a product.
    fn product(&self) -> Option<[&str; 3]> {
        match (&*self.op_type, &*self.domain, &self.input[..], &self.output[..]) {
            ("MatMul", "" | "ai.onnx", [input, weights], [output]) => {
                Some([input, weights, output])
            }
            _ => None,
        }
    }
}

/// What became of a graph.
pub(super) struct Rewritten {
    pub(super) graph: Vec<u8>,
    /// Products that changed.
    pub(super) products: usize,
    /// Some weights are still in another file.
    pub(super) external: bool,
}

/// The graph with its products changed.
pub(super) fn rewrite(graph: &[u8], folder: &Path) -> Result<Rewritten, QuantizeError> {
    let plan = Plan::new(graph)?;
    let mut done =
        Rewritten { graph: Vec::with_capacity(graph.len() / 2), products: 0, external: false };
    // Each input is made integer once, before the first product that takes it.
    let mut inputs = HashSet::new();
    let mut tensors = Vec::new();
    for part in fields(graph) {
        let part = part?;
        match part.number {
            NODE => {
                let head = decode::<Head>(part.bytes)?;
                let product = head.product().filter(|[_, weights, _]| plan.changes(weights));
                let Some([input, weights, output]) = product else {
                    done.graph.extend_from_slice(part.raw);
                    continue;
                };
                let first = inputs.insert(input.to_owned());
                for node in integer_product(input, weights, output, first) {
                    field(&mut done.graph, NODE, &node.encode_to_vec());
                }
                done.products += 1;
            }
            INITIALIZER => {
                let header = decode::<Header>(part.bytes)?;
                if header.fits() && plan.changes(&header.name) {
                    tensors.extend(weights::quantized(&header, part.bytes, folder)?);
                }
                if !plan.drops(&header.name) {
                    done.external |= header.is_external();
                    done.graph.extend_from_slice(part.raw);
                }
            }
            // Older exporters list weights among the inputs too.
            INPUT if plan.drops(&name(part.bytes)?) => {}
            _ => done.graph.extend_from_slice(part.raw),
        }
    }
    for tensor in tensors {
        field(&mut done.graph, INITIALIZER, &tensor);
    }
    Ok(done)
}

/// The name of a `ValueInfoProto`.
fn name(message: &[u8]) -> Result<String, QuantizeError> {
    Ok(decode::<ValueInfo>(message)?.name)
}

/// What is known of the whole graph before anything is written.
struct Plan {
    /// Weights of products that change, with the number of these.
    products: HashMap<String, usize>,
    /// How often each name is used.
    uses: HashMap<String, usize>,
    /// Graphs within the graph may use any of the weights.
    nested: bool,
}

impl Plan {
    fn new(graph: &[u8]) -> Result<Self, QuantizeError> {
        let (mut fit, mut heads) = (HashSet::new(), Vec::new());
        let mut plan = Self { products: HashMap::new(), uses: HashMap::new(), nested: false };
        for part in fields(graph) {
            let part = part?;
            match part.number {
                INITIALIZER => {
                    let header = decode::<Header>(part.bytes)?;
                    if header.fits() {
                        fit.insert(header.name);
                    }
                }
                NODE => {
                    heads.push(decode::<Head>(part.bytes)?);
                    plan.nested |= has_graphs(part.bytes)?;
                }
                OUTPUT => *plan.uses.entry(name(part.bytes)?).or_default() += 1,
                _ => {}
            }
        }
        for head in &heads {
            for input in &head.input {
                *plan.uses.entry(input.clone()).or_default() += 1;
            }
            if let Some([_, weights, _]) = head.product().filter(|[_, w, _]| fit.contains(*w)) {
                *plan.products.entry(weights.to_owned()).or_default() += 1;
            }
        }
        Ok(plan)
    }

    /// Whether products with these weights change.
    fn changes(&self, weights: &str) -> bool {
        self.products.contains_key(weights)
    }

    /// Whether nobody uses these weights any more.
    fn drops(&self, weights: &str) -> bool {
        let products = self.products.get(weights);
        !self.nested && products.is_some() && products == self.uses.get(weights)
    }
}

fn has_graphs(node: &[u8]) -> Result<bool, QuantizeError> {
    for part in fields(node) {
        let part = part?;
        if part.number == ATTRIBUTE {
            for inner in fields(part.bytes) {
                if INNER_GRAPHS.contains(&inner?.number) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// `output = input · weights`, in integers.
fn integer_product(input: &str, weights: &str, output: &str, first: bool) -> Vec<Node> {
    let node = |kind: &str, inputs: &[&str], outputs: &[&str], attribute| Node {
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: outputs.iter().map(|name| (*name).to_owned()).collect(),
        name: format!("{}_{kind}_int8", outputs[0]),
        op_type: kind.to_owned(),
        attribute,
    };
    let (bytes, scale, zero) =
        (format!("{input}_u8"), format!("{input}_u8_scale"), format!("{input}_u8_zero"));
    let [integers, scales, zeros] = weights::names(weights);
    let (sums, floats, both) =
        (format!("{output}_int32"), format!("{output}_unscaled"), format!("{output}_scale"));
    let mut nodes = Vec::new();
    if first {
        nodes.push(node("DynamicQuantizeLinear", &[input], &[&bytes, &scale, &zero], vec![]));
    }
    nodes.push(node("MatMulInteger", &[&bytes, &integers, &zero, &zeros], &[&sums], vec![]));
    let to_float = vec![Attribute::int("to", i64::from(FLOAT))];
    nodes.push(node("Cast", &[&sums], &[&floats], to_float));
    nodes.push(node("Mul", &[&scale, &scales], &[&both], vec![]));
    nodes.push(node("Mul", &[&floats, &both], &[output], vec![]));
    nodes
}
