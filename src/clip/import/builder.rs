//! Puts an ONNX graph together, node by node, out of a file's tensors.
//!
//! Weights are only named here, with the work that makes their values; the values are made one
//! tensor at a time when the file is written. In half precision everything is computed in 16
//! bits but what OpenAI's code computes in 32: layer norms, and the length of the embedding.

use std::collections::BTreeSet;

use super::ImportError;
use super::archive::Archive;
use crate::clip::proto::{Attribute, FLOAT, FLOAT16, Graph, INT64, Node, ValueInfo};

/// Precision of the weights, and of what is computed with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dtype {
    #[default]
    Fp32,
    Fp16,
}

/// The activation in a Transformer's inner layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// x · sigmoid(1.702 x): OpenAI's models.
    #[default]
    QuickGelu,
    /// The exact one: most models of open_clip.
    Gelu,
}

type Fill = Box<dyn FnOnce(&mut Archive) -> Result<Vec<f32>, ImportError>>;

/// The values of a weight, or how they are made.
pub(super) enum Values {
    Floats(Fill),
    Ints(Vec<i64>),
}

/// One weight of the graph.
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) dims: Vec<usize>,
    /// As in [`crate::clip::proto`].
    pub(super) element: i32,
    pub(super) values: Values,
}

/// A graph in the making.
pub(super) struct Builder<'a> {
    archive: &'a Archive,
    dtype: Dtype,
    activation: Activation,
    nodes: Vec<Node>,
    weights: Vec<Weight>,
    known: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(archive: &'a Archive, dtype: Dtype, activation: Activation) -> Self {
        let known = BTreeSet::new();
        Self { archive, dtype, activation, nodes: Vec::new(), weights: Vec::new(), known }
    }

    /// The graph, whose result is the value `output`.
    pub(super) fn finish(
        self,
        name: &str,
        input: ValueInfo,
        output: ValueInfo,
    ) -> (Graph, Vec<Weight>) {
        let graph = Graph {
            node: self.nodes,
            name: name.to_owned(),
            input: vec![input],
            output: vec![output],
        };
        (graph, self.weights)
    }

    /// Adds a node and gives the name of its result.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let name = format!("{}_{kind}", self.nodes.len());
        self.named_op(kind, inputs, attributes, &name);
        name
    }

    /// The same with a name for the result.
    pub(super) fn named_op(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attribute: Vec<Attribute>,
        output: &str,
    ) {
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: kind.to_owned(),
            attribute,
        });
    }

    /// Splits the last axis into three equal parts.
    pub(super) fn split3(&mut self, input: &str) -> [String; 3] {
        let name = format!("{}_Split", self.nodes.len());
        let outputs = [0, 1, 2].map(|part| format!("{name}_{part}"));
        self.nodes.push(Node {
            input: vec![input.to_owned()],
            output: outputs.to_vec(),
            name,
            op_type: "Split".to_owned(),
            attribute: vec![Attribute::int("axis", -1)],
        });
        outputs
    }

    /// The element type that is computed in.
    pub(super) fn element(&self) -> i32 {
        match self.dtype {
            Dtype::Fp32 => FLOAT,
            Dtype::Fp16 => FLOAT16,
        }
    }

    /// To the element type that is computed in; from 32 bits, which inputs have.
    pub(super) fn narrow(&mut self, input: &str) -> String {
        self.cast(input, FLOAT16)
    }

    /// Back to 32 bits.
    pub(super) fn widen(&mut self, input: &str) -> String {
        self.cast(input, FLOAT)
    }

    fn cast(&mut self, input: &str, to: i32) -> String {
        match self.dtype {
            Dtype::Fp32 => input.to_owned(),
            Dtype::Fp16 => self.op("Cast", &[input], vec![Attribute::int("to", i64::from(to))]),
        }
    }

    /// The shape of a tensor of the file.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>, ImportError> {
        self.archive.shape(name).map(<[usize]>::to_vec)
    }

    /// Makes sure that a tensor has the shape that the architecture gives it.
    pub(super) fn expect(&self, name: &str, wanted: &[usize]) -> Result<(), ImportError> {
        let found = self.archive.shape(name)?;
        if found == wanted {
            return Ok(());
        }
        let cause = format!("{name} has shape {found:?}, where {wanted:?} belongs");
        Err(ImportError::Architecture(cause))
    }

    /// A weight whose values are made when it is written.
    pub(super) fn weight(
        &mut self,
        name: &str,
        dims: &[usize],
        element: i32,
        fill: impl FnOnce(&mut Archive) -> Result<Vec<f32>, ImportError> + 'static,
    ) -> String {
        if self.known.insert(name.to_owned()) {
            let values = Values::Floats(Box::new(fill));
            let name = name.to_owned();
            self.weights.push(Weight { name, dims: dims.to_vec(), element, values });
        }
        name.to_owned()
    }

    /// A tensor of the file as it is.
    pub(super) fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<String, ImportError> {
        self.expect(name, dims)?;
        let (element, source) = (self.element(), name.to_owned());
        Ok(self.weight(name, dims, element, move |archive| archive.values(&source)))
    }

    /// A tensor of the file that always has 32 bits.
    fn wide_tensor(&mut self, name: &str, dims: &[usize]) -> Result<String, ImportError> {
        self.expect(name, dims)?;
        let source = name.to_owned();
        Ok(self.weight(name, dims, FLOAT, move |archive| archive.values(&source)))
    }

    /// Numbers that are no weights: scales, masks.
    pub(super) fn constant(&mut self, name: &str, dims: &[usize], values: Vec<f32>) -> String {
        let element = self.element();
        self.weight(name, dims, element, move |_| Ok(values))
    }

    /// Whole numbers: shapes, paddings, indices. The name is made of them.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let words: Vec<String> = values.iter().map(ToString::to_string).collect();
        let name = format!("ints_{}", words.join("_"));
        if self.known.insert(name.clone()) {
            let dims = vec![values.len()];
            let values = Values::Ints(values.to_vec());
            self.weights.push(Weight { name: name.clone(), dims, element: INT64, values });
        }
        name
    }

    /// `x · weightᵀ + bias`, as torch's Linear has it: weight `[out, in]`.
    pub(super) fn linear(
        &mut self,
        x: &str,
        weight: &str,
        bias: &str,
        (inside, outside): (usize, usize),
    ) -> Result<String, ImportError> {
        self.expect(weight, &[outside, inside])?;
        let (element, source) = (self.element(), weight.to_owned());
        let name = self.weight(weight, &[inside, outside], element, move |archive| {
            Ok(transposed(&archive.values(&source)?, inside))
        });
        let product = self.op("MatMul", &[x, &name], vec![]);
        let bias = self.tensor(bias, &[outside])?;
        Ok(self.op("Add", &[&product, &bias], vec![]))
    }

    /// Layer norm over the last axis, in 32 bits.
    pub(super) fn layer_norm(
        &mut self,
        x: &str,
        prefix: &str,
        width: usize,
    ) -> Result<String, ImportError> {
        const EPSILON: f32 = 1e-5;
        let scale = self.wide_tensor(&format!("{prefix}.weight"), &[width])?;
        let bias = self.wide_tensor(&format!("{prefix}.bias"), &[width])?;
        let wide = self.widen(x);
        let attributes = vec![Attribute::int("axis", -1), Attribute::float("epsilon", EPSILON)];
        let normed = self.op("LayerNormalization", &[&wide, &scale, &bias], attributes);
        Ok(self.narrow(&normed))
    }

    pub(super) fn activation(&mut self, x: &str) -> String {
        match self.activation {
            Activation::QuickGelu => {
                let slope = self.constant("quick_gelu_slope", &[], vec![1.702]);
                let inner = self.op("Mul", &[x, &slope], vec![]);
                let gate = self.op("Sigmoid", &[&inner], vec![]);
                self.op("Mul", &[x, &gate], vec![])
            }
            Activation::Gelu => {
                let root = self.constant("gelu_root", &[], vec![std::f32::consts::SQRT_2]);
                let one = self.constant("gelu_one", &[], vec![1.0]);
                let half = self.constant("gelu_half", &[], vec![0.5]);
                let inner = self.op("Div", &[x, &root], vec![]);
                let erf = self.op("Erf", &[&inner], vec![]);
                let gate = self.op("Add", &[&erf, &one], vec![]);
                let product = self.op("Mul", &[x, &gate], vec![]);
                self.op("Mul", &[&product, &half], vec![])
            }
        }
    }

    /// `features / |features|` in 32 bits, as the value `output`.
    pub(super) fn unit_length(&mut self, features: &str, output: &str) {
        let wide = self.widen(features);
        let axes = vec![Attribute::ints("axes", &[-1]), Attribute::int("keepdims", 1)];
        let length = self.op("ReduceL2", &[&wide], axes);
        self.named_op("Div", &[&wide, &length], vec![], output);
    }
}

/// Rows to columns; `columns` values a row.
pub(super) fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let columns = columns.max(1);
    let rows = values.len() / columns;
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}
