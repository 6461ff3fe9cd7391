//! Writes a graph and its weights as an ONNX file, one tensor in memory at a time.
//!
//! A protobuf message begins with its length, so lengths are reckoned first, from shapes alone.
//! Above [`MOST_INLINE`] bytes the weights go to a second file beside the first, as ONNX's
//! "external data": protobuf ends at two gigabytes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use half::f16;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::ImportError;
use super::archive::Archive;
use super::builder::{Values, Weight};
use crate::clip::proto::{
    EXTERNAL, Entry, FLOAT16, GRAPH_INITIALIZER, Graph, INT64, MODEL_GRAPH, Model, OperatorSet,
    TENSOR_RAW, Tensor,
};

/// Most bytes of weights in the model file itself.
pub(super) const MOST_INLINE: u64 = 1_900_000_000;
/// ONNX operators as of this version: the first with LayerNormalization.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR: i64 = 8;
/// Where values begin in a file of external data: a page, so that they can be mapped. What is
/// smaller stays in the model file.
const ALIGNED: u64 = 4096;

/// Writes `path`, and `path` with ".data" behind it where weights are over `most_inline` bytes.
pub(super) fn write(
    path: &Path,
    (graph, weights): (Graph, Vec<Weight>),
    archive: &mut Archive,
    most_inline: u64,
) -> Result<(), ImportError> {
    let bytes: u64 = weights.iter().map(Weight::bytes).sum();
    let beside = (bytes > most_inline).then(|| path.with_extension("onnx.data"));
    let name = beside.as_ref().and_then(|path| path.file_name());
    let headers = headers(&weights, name.map(|name| name.to_string_lossy().into_owned()));
    let mut out = create(path)?;
    let io = |error| ImportError::Write(path.display().to_string(), error);
    out.write_all(&prelude(&graph, &headers, &weights)).map_err(io)?;
    let mut data = beside.as_deref().map(create).transpose()?;
    for (header, weight) in headers.iter().zip(weights) {
        let values = weight.encoded(archive)?;
        let mut message = Vec::new();
        let inline = header.data_location != EXTERNAL;
        field(&mut message, GRAPH_INITIALIZER, tensor_length(header, values.len() as u64));
        header.encode_raw(&mut message);
        if inline {
            field(&mut message, TENSOR_RAW, values.len() as u64);
        }
        out.write_all(&message).map_err(io)?;
        match data.as_mut().filter(|_| !inline) {
            None => out.write_all(&values).map_err(io)?,
            Some(data) => {
                data.write_all(&values).map_err(io)?;
                let rest = padding(values.len() as u64) as usize;
                data.write_all(&vec![0; rest]).map_err(io)?;
            }
        }
    }
    for out in [Some(out), data].into_iter().flatten() {
        let file = out.into_inner().map_err(|error| io(error.into_error()))?;
        file.sync_all().map_err(io)?;
    }
    Ok(())
}

fn create(path: &Path) -> Result<BufWriter<File>, ImportError> {
    File::create(path)
        .map(BufWriter::new)
        .map_err(|error| ImportError::Write(path.display().to_string(), error))
}

/// Everything before the weights.
fn prelude(graph: &Graph, headers: &[Tensor], weights: &[Weight]) -> Vec<u8> {
    let model = Model {
        ir_version: IR,
        producer_name: "seewhen".to_owned(),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
    };
    let initializers: u64 = headers
        .iter()
        .zip(weights)
        .map(|(header, weight)| {
            let length = tensor_length(header, weight.bytes());
            (key_len(GRAPH_INITIALIZER) + encoded_len_varint(length)) as u64 + length
        })
        .sum();
    let mut bytes = model.encode_to_vec();
    field(&mut bytes, MODEL_GRAPH, graph.encoded_len() as u64 + initializers);
    graph.encode_raw(&mut bytes);
    bytes
}

/// The key and length of a field that is a message or bytes.
fn field(bytes: &mut Vec<u8>, tag: u32, length: u64) {
    encode_key(tag, WireType::LengthDelimited, bytes);
    encode_varint(length, bytes);
}

/// Of a whole tensor, with `values` bytes of values unless they lie elsewhere.
fn tensor_length(header: &Tensor, values: u64) -> u64 {
    let header_length = header.encoded_len() as u64;
    if header.data_location == EXTERNAL {
        return header_length;
    }
    header_length + (key_len(TENSOR_RAW) + encoded_len_varint(values)) as u64 + values
}

/// Each weight's tensor without its values.
fn headers(weights: &[Weight], beside: Option<String>) -> Vec<Tensor> {
    let mut offset = 0;
    let header = |weight: &Weight| {
        let mut tensor = Tensor {
            dims: weight.dims.iter().map(|dim| *dim as i64).collect(),
            data_type: weight.element,
            name: weight.name.clone(),
            ..Tensor::default()
        };
        if let Some(file) = beside.as_ref().filter(|_| weight.bytes() >= ALIGNED) {
            let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
            tensor.data_location = EXTERNAL;
            tensor.external_data = vec![
                entry("location", file.clone()),
                entry("offset", offset.to_string()),
                entry("length", weight.bytes().to_string()),
            ];
            offset += weight.bytes() + padding(weight.bytes());
        }
        tensor
    };
    weights.iter().map(header).collect()
}

fn padding(length: u64) -> u64 {
    length.next_multiple_of(ALIGNED) - length
}

impl Weight {
    /// Length of the values in the file.
    fn bytes(&self) -> u64 {
        let size = match self.element {
            FLOAT16 => 2,
            INT64 => 8,
            _ => 4,
        };
        self.dims.iter().product::<usize>() as u64 * size
    }

    /// The values as the file has them, little-endian.
    fn encoded(self, archive: &mut Archive) -> Result<Vec<u8>, ImportError> {
        let expected = self.bytes();
        let bytes: Vec<u8> = match self.values {
            Values::Ints(values) => values.into_iter().flat_map(i64::to_le_bytes).collect(),
            Values::Floats(fill) => {
                let values = fill(archive)?;
                if !values.iter().all(|value| value.is_finite() || *value == f32::NEG_INFINITY) {
                    return Err(ImportError::Values(self.name));
                }
                if self.element == FLOAT16 {
                    values.into_iter().flat_map(|v| f16::from_f32(v).to_le_bytes()).collect()
                } else {
                    values.into_iter().flat_map(f32::to_le_bytes).collect()
                }
            }
        };
        if bytes.len() as u64 != expected {
            return Err(ImportError::Values(self.name));
        }
        Ok(bytes)
    }
}
