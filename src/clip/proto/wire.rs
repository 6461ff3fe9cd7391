//! Protobuf, field by field: what is not known is passed on as it is.

use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

/// A model file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the model file is not ONNX: {0}")]
pub struct NotOnnx(pub(in crate::clip) String);

impl From<prost::DecodeError> for NotOnnx {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// A message of a known kind.
pub(in crate::clip) fn decode<M: Message + Default>(message: &[u8]) -> Result<M, NotOnnx> {
    Ok(M::decode(message)?)
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(in crate::clip) struct Field<'a> {
    pub(in crate::clip) number: u32,
    /// With its key.
    pub(in crate::clip) raw: &'a [u8],
    /// What it holds, when that is bytes, a text or a message; else nothing.
    pub(in crate::clip) bytes: &'a [u8],
}

/// The fields of a message, in order, up to the first that is broken.
pub(in crate::clip) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, NotOnnx>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = next(rest);
        rest = next.as_ref().map_or(&[], |(_, rest)| *rest);
        Some(next.map(|(field, _)| field).ok_or_else(|| NotOnnx("it ends too early".to_owned())))
    })
}

fn next(message: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let mut after = message;
    let (number, kind) = decode_key(&mut after).ok()?;
    let length = match kind {
        WireType::Varint => {
            decode_varint(&mut after).ok()?;
            0
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => decode_varint(&mut after).ok()?,
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    let (bytes, rest) = after.split_at_checked(usize::try_from(length).ok()?)?;
    let raw = &message[..message.len() - rest.len()];
    let bytes = if kind == WireType::LengthDelimited { bytes } else { &[] };
    Some((Field { number, raw, bytes }, rest))
}

/// Adds a field that holds bytes, a text or a message.
pub(in crate::clip) fn field(to: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, to);
    encode_varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}
