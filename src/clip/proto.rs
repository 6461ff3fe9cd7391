//! The messages of the ONNX format that an exported CLIP needs, with their field numbers; for
//! files of others, which may hold more, [`wire`].
//!
//! Source: `onnx.proto` of <https://github.com/onnx/onnx>.

pub(in crate::clip) mod graphs;
pub(in crate::clip) mod inputs;
pub(in crate::clip) mod wire;

use prost::Message as _;

/// Element types.
pub(in crate::clip) const FLOAT: i32 = 1;
pub(in crate::clip) const UINT8: i32 = 2;
pub(in crate::clip) const INT32: i32 = 6;
pub(in crate::clip) const INT64: i32 = 7;
pub(in crate::clip) const FLOAT16: i32 = 10;

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Model {
    #[prost(int64, tag = "1")]
    pub(in crate::clip) ir_version: i64,
    #[prost(string, tag = "2")]
    pub(in crate::clip) producer_name: String,
    #[prost(message, repeated, tag = "8")]
    pub(in crate::clip) opset_import: Vec<OperatorSet>,
}

/// Field of [`Model`] that holds the graph, which is written apart from it.
pub(in crate::clip) const MODEL_GRAPH: u32 = 7;
/// Field of [`Model`] that holds the versions of the operators.
pub(in crate::clip) const MODEL_OPERATORS: u32 = 8;

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub(in crate::clip) domain: String,
    #[prost(int64, tag = "2")]
    pub(in crate::clip) version: i64,
}

impl OperatorSet {
    /// The version, when it is that of ONNX's own operators; else 0.
    pub(in crate::clip) fn core(&self) -> i64 {
        if matches!(self.domain.as_str(), "" | "ai.onnx") { self.version } else { 0 }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::clip) node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(in crate::clip) name: String,
    #[prost(message, repeated, tag = "11")]
    pub(in crate::clip) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::clip) output: Vec<ValueInfo>,
}

/// Field of [`Graph`] that holds the weights, which are written apart from it.
pub(in crate::clip) const GRAPH_INITIALIZER: u32 = 5;
/// Fields of [`Graph`].
pub(in crate::clip) const GRAPH_NODE: u32 = 1;
pub(in crate::clip) const GRAPH_INPUT: u32 = 11;
pub(in crate::clip) const GRAPH_OUTPUT: u32 = 12;

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::clip) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(in crate::clip) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(in crate::clip) name: String,
    #[prost(string, tag = "4")]
    pub(in crate::clip) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::clip) attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Attribute {
    #[prost(string, tag = "1")]
    pub(in crate::clip) name: String,
    #[prost(float, tag = "2")]
    pub(in crate::clip) f: f32,
    #[prost(int64, tag = "3")]
    pub(in crate::clip) i: i64,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(in crate::clip) ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub(in crate::clip) kind: i32,
}

#[cfg(test)]
impl Node {
    /// One output and no attributes.
    pub(in crate::clip) fn plain(kind: &str, inputs: &[&str], output: &str) -> Self {
        Self {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.to_owned()],
            op_type: kind.to_owned(),
            ..Self::default()
        }
    }
}

impl Attribute {
    pub(in crate::clip) fn float(name: &str, f: f32) -> Self {
        Self { name: name.to_owned(), f, kind: 1, ..Self::default() }
    }

    pub(in crate::clip) fn int(name: &str, i: i64) -> Self {
        Self { name: name.to_owned(), i, kind: 2, ..Self::default() }
    }

    pub(in crate::clip) fn ints(name: &str, ints: &[i64]) -> Self {
        Self { name: name.to_owned(), ints: ints.to_vec(), kind: 7, ..Self::default() }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(in crate::clip) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(in crate::clip) data_type: i32,
    #[prost(string, tag = "8")]
    pub(in crate::clip) name: String,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::clip) external_data: Vec<Entry>,
    #[prost(int32, tag = "14")]
    pub(in crate::clip) data_location: i32,
}

/// Field of [`Tensor`] that holds the values, which are written apart from it.
pub(in crate::clip) const TENSOR_RAW: u32 = 9;
/// `data_location` of values in another file.
pub(in crate::clip) const EXTERNAL: i32 = 1;

impl Tensor {
    /// A tensor with its values, which are little-endian.
    pub(in crate::clip) fn encoded(
        dims: &[i64],
        data_type: i32,
        name: String,
        raw: &[u8],
    ) -> Vec<u8> {
        let header = Self { dims: dims.to_vec(), data_type, name, ..Self::default() };
        let mut bytes = header.encode_to_vec();
        wire::field(&mut bytes, TENSOR_RAW, raw);
        bytes
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Entry {
    #[prost(string, tag = "1")]
    pub(in crate::clip) key: String,
    #[prost(string, tag = "2")]
    pub(in crate::clip) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(in crate::clip) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::clip) kind: Option<Type>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(in crate::clip) tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(in crate::clip) element: i32,
    #[prost(message, optional, tag = "2")]
    pub(in crate::clip) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::clip) dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::clip) struct Dimension {
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub(in crate::clip) value: Option<DimensionValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(in crate::clip) enum DimensionValue {
    #[prost(int64, tag = "1")]
    Fixed(i64),
    #[prost(string, tag = "2")]
    Named(String),
}

impl ValueInfo {
    /// A tensor whose first dimension is the batch and free.
    pub(in crate::clip) fn batched(name: &str, element: i32, rest: &[usize]) -> Self {
        let fixed = rest.iter().map(|dim| DimensionValue::Fixed(*dim as i64));
        let batch = DimensionValue::Named("batch".to_owned());
        let values = std::iter::once(batch).chain(fixed);
        let dim = values.map(|value| Dimension { value: Some(value) }).collect();
        Self::tensor(name, element, dim)
    }

    pub(in crate::clip) fn tensor(name: &str, element: i32, dim: Vec<Dimension>) -> Self {
        let tensor = TensorType { element, shape: Some(Shape { dim }) };
        Self { name: name.to_owned(), kind: Some(Type { tensor: Some(tensor) }) }
    }
}
