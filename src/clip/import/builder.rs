//! Puts an ONNX graph together, node by node, out of a file's tensors.
//!
//! Weights are only named here, with the work that makes their values; the values are made one
//! tensor at a time when the file is written. In half precision everything is computed in 16
//! bits but what OpenAI's code computes in 32: layer norms, and the length of the embedding.

use std::collections::BTreeSet;
use std::ops::Range;

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

/// The factor in [`Activation::QuickGelu`].
const SLOPE: f64 = 1.702;

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

/// A Linear of torch's, weight `[out, in]` and bias `[out]`, or what is used of it.
pub(super) struct Linear<'a> {
    weight: &'a str,
    bias: &'a str,
    sides: (usize, usize),
    /// Of weight and bias in the graph.
    names: [String; 2],
    rows: Range<usize>,
    /// What weight and bias are multiplied with.
    scales: [f64; 2],
}

impl<'a> Linear<'a> {
    pub(super) fn whole(weight: &'a str, bias: &'a str, sides: (usize, usize)) -> Self {
        let names = [weight, bias].map(str::to_owned);
        Self { weight, bias, sides, names, rows: 0..sides.1, scales: [1.0, 1.0] }
    }

    /// Some of the outputs, under a name of their own.
    pub(super) fn part(self, name: &str, rows: Range<usize>) -> Self {
        Self { names: ["weight", "bias"].map(|kind| format!("{name}.{kind}")), rows, ..self }
    }

    pub(super) fn times(self, weight: f64, bias: f64) -> Self {
        Self { scales: [weight, bias], ..self }
    }
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

    /// `x · weightᵀ + bias`.
    pub(super) fn linear(&mut self, x: &str, linear: &Linear<'_>) -> Result<String, ImportError> {
        let (inside, outside) = linear.sides;
        self.expect(linear.weight, &[outside, inside])?;
        self.expect(linear.bias, &[outside])?;
        let (rows, [weight_scale, bias_scale]) = (linear.rows.clone(), linear.scales);
        let [weight_name, bias_name] = &linear.names;
        let (element, source) = (self.element(), linear.weight.to_owned());
        let weight = self.weight(weight_name, &[inside, rows.len()], element, move |archive| {
            let all = archive.values(&source)?;
            let used = scaled(&all, rows.start * inside..rows.end * inside, weight_scale);
            Ok(transposed(&used, inside))
        });
        let product = self.op("MatMul", &[x, &weight], vec![]);
        let (rows, source) = (linear.rows.clone(), linear.bias.to_owned());
        let bias = self.weight(bias_name, &[rows.len()], element, move |archive| {
            Ok(scaled(&archive.values(&source)?, rows, bias_scale))
        });
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

    /// What the weights and biases before an activation are multiplied with, and the weights
    /// behind it divided by: y · sigmoid(y) is x · sigmoid(1.702 x) times 1.702, and one product
    /// less. In half precision, 1.0: the weights would be rounded once more.
    pub(super) fn slope(&self) -> f64 {
        match (self.activation, self.dtype) {
            (Activation::QuickGelu, Dtype::Fp32) => SLOPE,
            _ => 1.0,
        }
    }

    /// Of `x`, which is [`Self::slope`] times what the file's weights give.
    pub(super) fn activation(&mut self, x: &str) -> String {
        match (self.activation, self.dtype) {
            (Activation::QuickGelu, Dtype::Fp32) => {
                let gate = self.op("Sigmoid", &[x], vec![]);
                self.op("Mul", &[x, &gate], vec![])
            }
            (Activation::QuickGelu, Dtype::Fp16) => {
                let slope = self.constant("quick_gelu_slope", &[], vec![SLOPE as f32]);
                let inner = self.op("Mul", &[x, &slope], vec![]);
                let gate = self.op("Sigmoid", &[&inner], vec![]);
                self.op("Mul", &[x, &gate], vec![])
            }
            (Activation::Gelu, _) => {
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

/// Some values times `scale`; none where there are not that many, which the writer reports.
fn scaled(values: &[f32], places: Range<usize>, scale: f64) -> Vec<f32> {
    let values = values.get(places).unwrap_or_default();
    values.iter().map(|value| (f64::from(*value) * scale) as f32).collect()
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
