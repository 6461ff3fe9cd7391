//! Which CLIP a file holds, read off the shapes of its tensors.
//!
//! The same reasoning as `build_model` of OpenAI's code
//! (<https://github.com/openai/CLIP/blob/main/clip/model.py>): a model file names no
//! architecture, but its tensors leave no choice.

use std::collections::BTreeSet;

use super::ImportError;
use super::archive::Archive;

/// Width of one attention head, in every CLIP of OpenAI.
const HEAD: usize = 64;
/// A ResNet's picture is this much larger than its last feature map.
pub(super) const RESNET_STRIDE: usize = 32;
/// Larger inputs are damage, not models.
const MOST_SIZE: usize = 4096;

/// Sizes of one CLIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    pub vision: Vision,
    pub text: Text,
    /// Values in an embedding.
    pub embed_dim: usize,
    /// Side of the picture, pixels.
    pub size: usize,
}

/// The image side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vision {
    /// Vision Transformer.
    Vit { width: usize, layers: usize, heads: usize, patch: usize },
    /// ResNet with three stem convolutions, average pooling before strides, and an attention
    /// pool at its end.
    ResNet { width: usize, blocks: [usize; 4], heads: usize },
}

/// The text side, a Transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub context: usize,
    pub vocabulary: usize,
}

impl Architecture {
    pub(super) fn infer(archive: &mut Archive) -> Result<Self, ImportError> {
        let is_vit = archive.names().any(|name| name == "visual.proj");
        let (vision, size) = if is_vit { vit(archive)? } else { resnet(archive)? };
        let [_, embed_dim] = dims(archive, "text_projection")?;
        let found = Self { vision, text: text(archive)?, embed_dim, size };
        if !(1..=MOST_SIZE).contains(&size) {
            return Err(wrong(format!("its pictures would be {size} pixels wide")));
        }
        match archive.number("input_resolution") {
            Some(said) if usize::try_from(said) != Ok(size) => {
                Err(wrong(format!("input_resolution is {said}, its shapes say {size}")))
            }
            _ => Ok(found),
        }
    }

    /// As people write it.
    pub fn describe(&self) -> String {
        match &self.vision {
            Vision::Vit { width, layers, patch, .. } => {
                format!("ViT, {layers} layers, width {width}, patches of {patch}")
            }
            Vision::ResNet { width, blocks, .. } => {
                let [a, b, c, d] = blocks;
                format!("ResNet, {a}+{b}+{c}+{d} blocks, width {width}")
            }
        }
    }
}

fn vit(archive: &Archive) -> Result<(Vision, usize), ImportError> {
    let [width, _, patch, _] = dims(archive, "visual.conv1.weight")?;
    let [tokens, _] = dims(archive, "visual.positional_embedding")?;
    let layers = children(archive, "visual.transformer.resblocks.");
    let grid = grid(tokens, "visual.positional_embedding")?;
    let vision = Vision::Vit { width, layers, heads: heads(width)?, patch };
    Ok((vision, patch.saturating_mul(grid)))
}

fn resnet(archive: &Archive) -> Result<(Vision, usize), ImportError> {
    let [width, ..] = dims::<4>(archive, "visual.layer1.0.conv1.weight")?;
    let [tokens, channels] = dims(archive, "visual.attnpool.positional_embedding")?;
    let blocks = [1, 2, 3, 4].map(|stage| children(archive, &format!("visual.layer{stage}.")));
    let grid = grid(tokens, "visual.attnpool.positional_embedding")?;
    let vision = Vision::ResNet { width, blocks, heads: heads(channels)? };
    Ok((vision, grid.saturating_mul(RESNET_STRIDE)))
}

fn text(archive: &Archive) -> Result<Text, ImportError> {
    let [vocabulary, width] = dims(archive, "token_embedding.weight")?;
    let [context, _] = dims(archive, "positional_embedding")?;
    let layers = children(archive, "transformer.resblocks.");
    Ok(Text { width, layers, heads: heads(width)?, context, vocabulary })
}

fn dims<const N: usize>(archive: &Archive, name: &str) -> Result<[usize; N], ImportError> {
    let shape = archive.shape(name)?;
    shape.try_into().map_err(|_| wrong(format!("{name} has shape {shape:?}, not {N} dimensions")))
}

/// How many different names stand between `prefix` and the next dot.
fn children(archive: &Archive, prefix: &str) -> usize {
    let inner = archive.names().filter_map(|name| name.strip_prefix(prefix));
    inner.filter_map(|rest| rest.split('.').next()).collect::<BTreeSet<_>>().len()
}

fn heads(width: usize) -> Result<usize, ImportError> {
    if width == 0 || !width.is_multiple_of(HEAD) {
        return Err(wrong(format!("a width of {width} is no multiple of {HEAD}")));
    }
    Ok(width / HEAD)
}

/// The side of a square of patches, of which there is one token each, and one for the whole.
fn grid(tokens: usize, name: &str) -> Result<usize, ImportError> {
    let grid = tokens.saturating_sub(1).isqrt();
    if grid == 0 || grid.checked_mul(grid) != tokens.checked_sub(1) {
        return Err(wrong(format!("{name} has {tokens} rows, which is no square and one more")));
    }
    Ok(grid)
}

fn wrong(cause: String) -> ImportError {
    ImportError::Architecture(cause)
}
