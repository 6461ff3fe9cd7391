//! How a lesson is kept: one small file, which is also what is exported and imported. Pure.
//!
//! Little-endian: `SEEWHENT`, version (u16), values of an embedding (u16), length of the JSON (u32), the
//! JSON (what the lesson is of, and one entry for each example and each usual view), an f32 for each value
//! of each example, then of each usual view, the JPEGs one after the other, and SHA-256 over all of that. A file that is cut off or changed anywhere
//! is refused as a whole: half a lesson would teach something else.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Example, Lesson, Source};
use crate::model::{CameraId, Embedding, LabelId, WatchId};

const MAGIC: &[u8; 8] = b"SEEWHENT";
const VERSION: u16 = 1;
/// Bytes before the JSON.
const FIXED: usize = 16;
/// Bytes of the digest at the end.
const DIGEST: usize = 32;
/// The largest file that is read, bytes.
pub const LARGEST: u64 = 256 << 20;

/// Why bytes are no lesson.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is no file of taught examples")]
    Foreign,
    #[error("it is of version {0}, and this seewhen reads version {VERSION}")]
    Version(u16),
    #[error(
        "it is damaged: its checksum does not fit; put a copy back, or remove it and teach again"
    )]
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct Said {
    watch: String,
    label: String,
    bundle: String,
    digest: String,
    acts: u64,
    examples: Vec<SaidExample>,
    #[serde(default)]
    usual: Vec<SaidSource>,
}

#[derive(Serialize, Deserialize)]
struct SaidSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    camera: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SaidExample {
    yes: bool,
    #[serde(flatten)]
    source: SaidSource,
    time: f64,
    #[serde(default)]
    tile: u8,
    act: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<u64>,
    /// Bytes of its JPEG.
    #[serde(default)]
    picture: u32,
}

/// The file of a lesson. `None` when it has more values than can be said.
pub fn write(lesson: &Lesson) -> Option<Vec<u8>> {
    let dim = lesson.examples.first().map_or(0, |example| example.embedding.0.len());
    let said = Said {
        watch: lesson.watch.to_string(),
        label: lesson.label.to_string(),
        bundle: lesson.bundle.clone(),
        digest: lesson.digest.clone(),
        acts: lesson.acts,
        examples: lesson.examples.iter().map(said).collect::<Option<_>>()?,
        usual: lesson.usual.iter().map(|(source, _)| said_source(source)).collect(),
    };
    let said = serde_json::to_vec(&said).ok()?;
    let mut bytes =
        Vec::with_capacity(FIXED + said.len() + lesson.examples.len() * dim * 4 + DIGEST);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(u16::try_from(dim).ok()?.to_le_bytes());
    bytes.extend(u32::try_from(said.len()).ok()?.to_le_bytes());
    bytes.extend(said);
    let examples = lesson.examples.iter().map(|example| &example.embedding);
    for embedding in examples.chain(lesson.usual.iter().map(|(_, usual)| usual)) {
        if embedding.0.len() != dim {
            return None;
        }
        bytes.extend(embedding.0.iter().flat_map(|value| value.to_le_bytes()));
    }
    for picture in lesson.examples.iter().filter_map(|example| example.picture.as_ref()) {
        bytes.extend(picture);
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    Some(bytes)
}

fn said_source(source: &Source) -> SaidSource {
    match source {
        Source::Camera(camera) => SaidSource { camera: Some(camera.to_string()), file: None },
        Source::File(name) => SaidSource { camera: None, file: Some(name.clone()) },
    }
}

fn source(said: SaidSource) -> Option<Source> {
    match (said.camera, said.file) {
        (Some(camera), None) => Some(Source::Camera(CameraId::try_new(&camera).ok()?)),
        (None, Some(file)) => Some(Source::File(file)),
        _ => None,
    }
}

fn said(example: &Example) -> Option<SaidExample> {
    Some(SaidExample {
        yes: example.yes,
        source: said_source(&example.source),
        time: example.time,
        tile: example.tile,
        act: example.act,
        replaced: example.replaced,
        picture: u32::try_from(example.picture.as_ref().map_or(0, Vec::len)).ok()?,
    })
}

/// Reads a lesson.
///
/// # Errors
/// When it is none, or not as it was written.
pub fn read(bytes: &[u8]) -> Result<Lesson, Unfit> {
    let fixed: &[u8; FIXED] = bytes.first_chunk().ok_or(Unfit::Foreign)?;
    if !fixed.starts_with(MAGIC) {
        return Err(Unfit::Foreign);
    }
    let version = u16::from_le_bytes([fixed[8], fixed[9]]);
    if version != VERSION {
        return Err(Unfit::Version(version));
    }
    let (rest, digest) = bytes.split_last_chunk::<DIGEST>().ok_or(Unfit::Damaged)?;
    if Sha256::digest(rest)[..] != digest[..] {
        return Err(Unfit::Damaged);
    }
    let dim = usize::from(u16::from_le_bytes([fixed[10], fixed[11]]));
    let said = u32::from_le_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]) as usize;
    let rest = rest.get(FIXED..).ok_or(Unfit::Damaged)?;
    let (said, rest) = rest.split_at_checked(said).ok_or(Unfit::Damaged)?;
    // Whole, and yet not to be understood: somebody else's.
    let said: Said = serde_json::from_slice(said).map_err(|_| Unfit::Foreign)?;
    lesson(said, dim, rest).ok_or(Unfit::Foreign)
}

/// `rest` has the values, then the pictures.
fn lesson(said: Said, dim: usize, rest: &[u8]) -> Option<Lesson> {
    let rows = said.examples.len() + said.usual.len();
    let (values, mut pictures) = rest.split_at_checked(rows.checked_mul(dim * 4)?)?;
    let mut examples = Vec::with_capacity(said.examples.len());
    let float = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    let embedding = |row: &[u8]| Embedding(row.chunks_exact(4).map(float).collect());
    let mut rows = values.chunks_exact((dim * 4).max(1)).map(embedding);
    for one in said.examples {
        let embedding = rows.next()?;
        let (picture, left) = pictures.split_at_checked(one.picture as usize)?;
        pictures = left;
        examples.push(Example {
            yes: one.yes,
            source: source(one.source)?,
            time: one.time,
            tile: one.tile,
            embedding,
            picture: (!picture.is_empty()).then(|| picture.to_vec()),
            act: one.act,
            replaced: one.replaced,
        });
    }
    let usual = |said: SaidSource| Some((source(said)?, rows.next()?));
    let usual = said.usual.into_iter().map(usual).collect::<Option<_>>()?;
    Some(Lesson {
        watch: WatchId::try_new(&said.watch).ok()?,
        label: LabelId::try_new(&said.label).ok()?,
        bundle: said.bundle,
        digest: said.digest,
        examples,
        acts: said.acts,
        usual,
    })
}
