//! What is in a file of embeddings: a head, then rows of one length, each written as a whole.
//!
//! Little-endian throughout. The head: `SEEWHENE`, version (u16), dimension (u16), length of the
//! head (u32), the rest as JSON and, at its end, the base: the first embedding of the file, as f32s.
//! A row: time (f64, Unix seconds), scale (f32), tile (u8), tiles of its frame (u8; 0: the frame was
//! not cut), two zeros, where its picture begins (u64; 0: it has none), then an i8 for each dimension.
//!
//! A row's embedding is `base + scale * values`. What a camera sees changes little, so that the
//! difference to the first frame takes a much smaller scale than the embedding itself, whose few large
//! values would leave nothing to the others. Rows of zeros, as a power cut leaves them, have no time
//! in the file's day. Pure.

use serde::{Deserialize, Serialize};

use crate::model::{CameraId, Embedding, WallTime};

const MAGIC: &[u8; 8] = b"SEEWHENE";
const VERSION: u16 = 1;
/// Bytes before the head's JSON.
const FIXED: usize = 16;
/// Longest head that can be meant.
const MAX_HEAD: usize = 1 << 20;
/// Bytes of a row before its values.
pub const ROW_HEAD: usize = 24;

/// How a file of pictures begins. Each is its length (u32), then a JPEG.
pub const PICTURES_MAGIC: &[u8; 8] = b"SEEWHENJ";

/// What holds for all rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    pub camera: CameraId,
    /// The bundle's name, for people.
    pub bundle: String,
    /// The bundle's whole digest: embeddings of different models cannot be compared.
    pub digest: String,
    pub base: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Said {
    camera: String,
    bundle: String,
    digest: String,
}

/// Why a file's head cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A crash came before its end: there are no rows either.
    #[error("its beginning is not complete")]
    Torn,
    #[error("it is of version {0}, and this seewhen reads version {VERSION}")]
    Version(u16),
    #[error("it is no file of embeddings")]
    Foreign,
}

impl Head {
    /// `None` when it has more dimensions than can be said.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let said = Said {
            camera: self.camera.to_string(),
            bundle: self.bundle.clone(),
            digest: self.digest.clone(),
        };
        let said = serde_json::to_vec(&said).ok()?;
        let length = FIXED + said.len() + self.base.len() * 4;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(u16::try_from(self.base.len()).ok()?.to_le_bytes());
        bytes.extend(u32::try_from(length).ok()?.to_le_bytes());
        bytes.extend(said);
        bytes.extend(self.base.iter().flat_map(|value| value.to_le_bytes()));
        Some(bytes)
    }

    /// Reads a head from the beginning of a file; also its length in bytes.
    ///
    /// # Errors
    /// [`Unfit::Torn`] also when `bytes` is a part of the head.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), Unfit> {
        let begins = bytes.iter().zip(MAGIC).all(|(a, b)| a == b);
        if !begins {
            return Err(Unfit::Foreign);
        }
        let fixed: &[u8; FIXED] = bytes.first_chunk().ok_or(Unfit::Torn)?;
        let version = u16::from_le_bytes([fixed[8], fixed[9]]);
        if version != VERSION {
            return Err(Unfit::Version(version));
        }
        let dim = usize::from(u16::from_le_bytes([fixed[10], fixed[11]]));
        let length = u32::from_le_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]) as usize;
        let said = length.checked_sub(FIXED + dim * 4).ok_or(Unfit::Foreign)?;
        if dim == 0 || length > MAX_HEAD {
            return Err(Unfit::Foreign);
        }
        let rest = bytes.get(FIXED..length).ok_or(Unfit::Torn)?;
        let (said, base) = rest.split_at(said);
        let said: Said = serde_json::from_slice(said).map_err(|_| Unfit::Foreign)?;
        let camera = CameraId::try_new(&said.camera).map_err(|_| Unfit::Foreign)?;
        let float = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        let base = base.chunks_exact(4).map(float).collect();
        Ok((Self { camera, bundle: said.bundle, digest: said.digest, base }, length))
    }

    /// Bytes of each row.
    pub fn row_length(&self) -> usize {
        ROW_HEAD + self.base.len()
    }

    /// Appends a row; its embedding has as many values as the base.
    pub fn put_row(&self, row: RowHead, embedding: &Embedding, out: &mut Vec<u8>) {
        let differences = || embedding.0.iter().zip(&self.base).map(|(value, base)| value - base);
        let largest = differences().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        out.extend(row.time.0.to_le_bytes());
        out.extend(scale.to_le_bytes());
        out.extend([row.tile, row.tiles, 0, 0]);
        out.extend(row.picture.to_le_bytes());
        // A cast to an integer stops at its ends, and takes what is not a number for zero.
        out.extend(differences().map(|value| ((value * inverse).round() as i8).cast_unsigned()));
    }

    /// A row's embedding, as it was kept: of nearly unit length.
    pub fn embedding(&self, row: &[u8]) -> Embedding {
        let scale = RowHead::scale(row);
        let values = row.iter().skip(ROW_HEAD).map(|byte| f32::from(byte.cast_signed()) * scale);
        Embedding(values.zip(&self.base).map(|(value, base)| value + base).collect())
    }
}

/// What a row says besides its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowHead {
    pub time: WallTime,
    /// Which tile of its frame, from 0.
    pub tile: u8,
    /// How many tiles its frame has; 0: it was not cut.
    pub tiles: u8,
    /// Where its picture begins in the file of pictures; 0: there is none.
    pub picture: u64,
}

impl RowHead {
    /// `row` is a whole one.
    pub fn read(row: &[u8]) -> Self {
        let eight = |at: usize| row.get(at..).and_then(|rest| rest.first_chunk().copied());
        Self {
            time: WallTime(f64::from_le_bytes(eight(0).unwrap_or_default())),
            tile: row.get(12).copied().unwrap_or_default(),
            tiles: row.get(13).copied().unwrap_or_default(),
            picture: u64::from_le_bytes(eight(16).unwrap_or_default()),
        }
    }

    /// What the row's values are multiplied with; zero where it makes no sense.
    pub fn scale(row: &[u8]) -> f32 {
        let four = row.get(8..).and_then(|rest| rest.first_chunk().copied());
        let scale = f32::from_le_bytes(four.unwrap_or_default());
        if scale.is_finite() { scale } else { 0.0 }
    }
}

#[cfg(test)]
#[path = "format/tests.rs"]
mod tests;
