//! A matrix of weights in 8-bit integers, with a scale for each of its columns.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use prost::Message as _;

use super::QuantizeError;
use crate::clip::checksums::is_below;
use crate::clip::proto::{EXTERNAL, FLOAT};

/// Element type of signed bytes.
const INT8: i32 = 3;
/// The largest integer; its negative is the smallest that is used.
const LARGEST: f32 = 127.0;

/// Matrices of fewer values are not worth the extra nodes.
const LEAST: usize = 4096;

/// What is known of a tensor without its values.
pub(super) use crate::clip::proto::Tensor as Header;

impl Header {
    /// Whether it is a matrix that is worth the extra nodes.
    pub(super) fn fits(&self) -> bool {
        let large = self.count().is_some_and(|count| count >= LEAST);
        self.data_type == FLOAT && self.dims.len() == 2 && large
    }

    /// Whether its values are in another file.
    pub(super) fn is_external(&self) -> bool {
        self.data_location == EXTERNAL
    }

    /// How many values; `None` when its shape cannot be meant.
    pub(super) fn count(&self) -> Option<usize> {
        let side = |dim: &i64| usize::try_from(*dim).ok().filter(|dim| *dim > 0);
        self.dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(side(dim)?))
    }
}

/// Where a tensor's values may be.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Content {
    #[prost(float, repeated, tag = "4")]
    floats: Vec<f32>,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw: Vec<u8>,
}

/// The names of the integers, their scales and their zero points.
pub(super) fn names(weights: &str) -> [String; 3] {
    ["", "_scale", "_zero"].map(|end| format!("{weights}_int8{end}"))
}

/// The three tensors that stand for a matrix `[rows, columns]`, encoded.
pub(super) fn quantized(
    header: &Header,
    tensor: &[u8],
    folder: &Path,
) -> Result<[Vec<u8>; 3], QuantizeError> {
    let values = values(header, tensor, folder)
        .map_err(|cause| QuantizeError::Weights { name: header.name.clone(), cause })?;
    let columns = usize::try_from(header.dims[1]).unwrap_or(0).max(1);
    let mut scales = vec![0.0_f32; columns];
    for row in values.chunks_exact(columns) {
        for (scale, value) in scales.iter_mut().zip(row) {
            *scale = scale.max(value.abs());
        }
    }
    for scale in &mut scales {
        *scale = if *scale > 0.0 { *scale / LARGEST } else { 1.0 };
    }
    let integer = |(value, scale): (&f32, &f32)| {
        ((value / scale).round().clamp(-LARGEST, LARGEST) as i8).cast_unsigned()
    };
    let integers =
        values.chunks_exact(columns).flat_map(|row| row.iter().zip(&scales).map(integer));
    let [name, scale, zero] = names(&header.name);
    let vector = vec![header.dims[1]];
    Ok([
        Header::encoded(&header.dims, INT8, name, &integers.collect::<Vec<u8>>()),
        Header::encoded(
            &vector,
            FLOAT,
            scale,
            &scales.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>(),
        ),
        Header::encoded(&vector, INT8, zero, &vec![0; columns]),
    ])
}

fn values(header: &Header, tensor: &[u8], folder: &Path) -> Result<Vec<f32>, String> {
    let content = Content::decode(tensor).map_err(|error| error.to_string())?;
    let raw = if header.is_external() { external(header, folder)? } else { content.raw };
    let floats = |raw: &[u8]| {
        let (fours, _) = raw.as_chunks::<4>();
        fours.iter().map(|four| f32::from_le_bytes(*four)).collect()
    };
    let values: Vec<f32> = if raw.is_empty() { content.floats } else { floats(&raw) };
    if header.count() != Some(values.len()) {
        return Err(format!("{} values for the shape {:?}", values.len(), header.dims));
    }
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err("some values are not finite".to_owned())
    }
}

/// Values in a file beside the model's.
fn external(header: &Header, folder: &Path) -> Result<Vec<u8>, String> {
    let entry = |key: &str| {
        let found = header.external_data.iter().find(|entry| entry.key == key);
        found.map(|entry| entry.value.as_str())
    };
    let number = |key: &str| entry(key).map(|text| text.parse::<u64>().map_err(|e| e.to_string()));
    let location = entry("location").filter(|path| is_below(path)).ok_or("no file is named")?;
    let most = (header.count().unwrap_or(0) as u64).saturating_mul(4);
    let length = number("length").transpose()?.unwrap_or(most).min(most);
    let mut bytes = Vec::new();
    let mut read = || {
        let mut file = File::open(folder.join(location))?;
        file.seek(SeekFrom::Start(number("offset").and_then(Result::ok).unwrap_or(0)))?;
        file.take(length).read_to_end(&mut bytes)
    };
    read().map_err(|error| format!("{location}: {error}"))?;
    Ok(bytes)
}
