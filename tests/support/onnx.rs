//! A model that gives back the picture it is given, written by hand as an ONNX file.
#![allow(unreachable_pub, reason = "a part of a test binary")]

use prost::encoding::{WireType, encode_key, encode_varint};

/// Element types.
pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const FLOAT16: u64 = 10;
const INT64: u64 = 7;

/// A field that holds a text or a message.
fn part(number: u32, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut to = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut to);
    encode_varint(bytes.as_ref().len() as u64, &mut to);
    to.extend_from_slice(bytes.as_ref());
    to
}

fn number(number: u32, value: u64) -> Vec<u8> {
    let mut to = Vec::new();
    encode_key(number, WireType::Varint, &mut to);
    encode_varint(value, &mut to);
    to
}

fn node(kind: &str, inputs: &[&str], output: &str, attribute: &[u8]) -> Vec<u8> {
    let mut message: Vec<u8> = inputs.iter().flat_map(|input| part(1, input)).collect();
    message.extend([part(2, output), part(4, kind), attribute.to_vec()].concat());
    part(1, message)
}

fn tensor(name: &str, element: u64, dims: &[u64], raw: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|dim| number(1, *dim)).collect();
    part(5, [dims, number(2, element), part(8, name), part(9, raw)].concat())
}

/// `batch` and then `dims`; an input (11) or an output (12).
fn port(field: u32, name: &str, element: u64, batch: Option<u64>, dims: &[u64]) -> Vec<u8> {
    let first = batch.map_or_else(|| part(2, "batch"), |batch| number(1, batch));
    let rest = dims.iter().map(|dim| part(1, number(1, *dim)));
    let shape: Vec<u8> = std::iter::once(part(1, first)).chain(rest).flatten().collect();
    let kind = part(1, [number(1, element), part(2, shape)].concat());
    part(field, [part(1, name), part(2, kind)].concat())
}

/// Takes `[batch, 3, size, size]` of `element`, and gives `[batch, 3 * size * size + 1]`: those
/// values, and a 1 that tells how much they were scaled with afterwards. `operators` is the
/// version of ONNX's operators, 11 or later.
pub fn mirror(element: u64, size: u64, batch: Option<u64>, operators: u64) -> Vec<u8> {
    let longs =
        |values: &[i64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let cast = part(5, [part(1, "to"), number(3, FLOAT), number(20, 2)].concat());
    let graph = [
        node("Cast", &["pixels"], "floats", &cast),
        node("Reshape", &["floats", "flat"], "line", &[]),
        node("Pad", &["line", "pads", "one"], "embedding", &[]),
        part(2, "mirror"),
        tensor("flat", INT64, &[2], &longs(&[0, -1])),
        tensor("pads", INT64, &[4], &longs(&[0, 0, 0, 1])),
        tensor("one", FLOAT, &[], &1.0_f32.to_le_bytes()),
        port(11, "pixels", element, batch, &[3, size, size]),
        port(12, "embedding", FLOAT, batch, &[3 * size * size + 1]),
    ];
    let version = part(8, number(2, operators));
    [number(1, 6), version, part(7, graph.concat())].concat()
}
