//! Preprocessing inside the model: pictures go in as bytes, and the graph resizes and normalises.
//!
//! For devices that have time where the host has none: [`graft`] rewrites an image model so that
//! it takes the pixels of [`window::Window`]s and what is needed to resample them, instead of a
//! finished picture. The arithmetic is that of [`super::preprocess`]: across and then down, with
//! rounding to levels after each, so that both ways give the same to a level or two. The weights
//! of the filter are made in the graph too: they are more bytes than the picture, and their few
//! numbers a pixel of the result are not. Every byte of the model that is not its input stays as
//! it is. Pure: bytes to bytes; running it is left to [`super::onnx`].
//!
//! Source of the resampling: `Resample.c` of <https://github.com/python-pillow/Pillow>.

mod nodes;
pub mod window;
mod writer;

use prost::Message as _;

use self::nodes::{Kernel, Names, Target};
use self::writer::Writer;
use super::preprocess::{Filter, PreprocessSpec};
use super::proto::graphs::{graph, operators, with_graph};
use super::proto::inputs::inputs_of_graph;
use super::proto::wire::{NotOnnx, decode, field, fields};
use super::proto::{
    Dimension, DimensionValue, EXTERNAL, FLOAT, FLOAT16, GRAPH_INITIALIZER, GRAPH_INPUT, INT64,
    Tensor, UINT8, ValueInfo,
};

/// The first version of ONNX's operators with all that is put in front of a model.
const LEAST_OPERATORS: i64 = 11;

/// Why a model has to have its pictures made on the host.
#[derive(Debug, thiserror::Error)]
pub enum GraftError {
    #[error(transparent)]
    Format(#[from] NotOnnx),
    #[error("the model uses version {0} of ONNX's operators; {LEAST_OPERATORS} or later is needed")]
    TooOld(i64),
    #[error("pictures are resized with {0:?}; bilinear and bicubic can be done in the model")]
    Filter(Filter),
    #[error("the model needs one input of floats or bytes, [batch, 3, {size}, {size}]")]
    Input { size: u32 },
}

/// What the model's input takes as the value of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    Float32,
    Float16,
    /// Levels as they are; the model normalises.
    Uint8,
}

/// A model that does its preprocessing. Its inputs, with `views` different shapes of windows
/// among `batch` pictures, each of at most `rows` x `columns`:
#[derive(Debug, Clone, PartialEq)]
pub struct Grafted {
    /// The model file.
    pub bytes: Vec<u8>,
    /// Some weights are in files beside the original.
    pub external: bool,
    /// Name of the input of pixels: uint8 `[batch, rows, columns, 3]`. What lies to the right of
    /// a window and below it is not looked at.
    pub pixels: String,
    /// Of the input that says which view each picture has: int64 `[batch]`, 0 to `views - 1`.
    pub which: String,
    /// Of [`window::Window::down`]: float32 `[views, size, 3]`.
    pub down: String,
    /// Of [`window::Window::across`]: float32 `[views, 3, size]`.
    pub across: String,
    /// The input that was there before.
    pub replaced: Replaced,
}

/// An input that a model no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    pub name: String,
    pub element: Element,
    /// Dimensions below 1 are free.
    pub shape: Vec<i64>,
}

/// Puts the preprocessing of `spec` in front of the image model `model`, an ONNX file.
///
/// # Errors
/// When the model or the filter is none that this can be done for; pictures then have to be
/// made by [`super::preprocess`].
pub fn graft(model: &[u8], spec: &PreprocessSpec) -> Result<Grafted, GraftError> {
    let kernel = Kernel::of(spec.filter).ok_or(GraftError::Filter(spec.filter))?;
    let operators = operators(model)?;
    let graph = graph(model)?;
    if operators < LEAST_OPERATORS {
        return Err(GraftError::TooOld(operators));
    }
    let found = Found::new(graph, spec.size)?;
    let mut writer = Writer::new(found.prefix.clone(), operators);
    let names = found.names();
    let target = Target { name: &found.input.name, element: found.element };
    nodes::write(&mut writer, spec, kernel, &names, &target);
    let mut grafted = writer.finish();
    found.copy(graph, &names, spec.size, &mut grafted)?;
    let bytes = with_graph(model, &grafted)?;
    let (shape, external) = (found.shape(), found.external);
    let replaced = Replaced { name: found.input.name, element: found.element, shape };
    let Names { pixels, which, down, across } = names;
    Ok(Grafted { bytes, external, pixels, which, down, across, replaced })
}

/// What is known of a graph before anything is written.
struct Found {
    /// The image.
    input: ValueInfo,
    element: Element,
    dims: Vec<Dimension>,
    /// No name in the graph begins with it.
    prefix: String,
    external: bool,
}

impl Found {
    fn new(graph: &[u8], size: u32) -> Result<Self, GraftError> {
        let mut inputs = inputs_of_graph(graph)?;
        let mut external = false;
        let mut prefix = "resident/".to_owned();
        for part in fields(graph) {
            let part = part?;
            if part.number == GRAPH_INITIALIZER {
                let tensor = decode::<Tensor>(part.bytes)?;
                external |= tensor.data_location == EXTERNAL;
                lengthen(&mut prefix, tensor.name.as_bytes());
            } else {
                // Names are anywhere in nodes, graphs within them included.
                lengthen(&mut prefix, part.bytes);
            }
        }
        let unfit = || GraftError::Input { size };
        let input = inputs.pop().filter(|_| inputs.is_empty()).ok_or_else(unfit)?;
        let tensor = input.kind.as_ref().and_then(|kind| kind.tensor.as_ref()).ok_or_else(unfit)?;
        let element = match tensor.element {
            FLOAT => Element::Float32,
            FLOAT16 => Element::Float16,
            UINT8 => Element::Uint8,
            _ => return Err(unfit()),
        };
        let dims = tensor.shape.clone().map_or_else(Vec::new, |shape| shape.dim);
        let found = Self { element, dims, prefix, external, input };
        let fits = |dim: i64, wanted: u32| dim < 1 || dim == i64::from(wanted);
        match found.shape()[..] {
            [_, channels, height, width]
                if fits(channels, 3) && fits(height, size) && fits(width, size) =>
            {
                Ok(found)
            }
            _ => Err(unfit()),
        }
    }

    /// The input's dimensions; below 1 where they are free.
    fn shape(&self) -> Vec<i64> {
        let fixed = |dim: &Dimension| match &dim.value {
            Some(DimensionValue::Fixed(value)) => *value,
            _ => -1,
        };
        self.dims.iter().map(fixed).collect()
    }

    fn names(&self) -> Names {
        let [pixels, which, down, across] =
            ["pixels", "which", "down", "across"].map(|name| format!("{}{name}", self.prefix));
        Names { pixels, which, down, across }
    }

    /// Adds `graph` to `to`, with the new inputs in place of the old one.
    fn copy(
        &self,
        graph: &[u8],
        names: &Names,
        size: u32,
        to: &mut Vec<u8>,
    ) -> Result<(), GraftError> {
        to.reserve(graph.len());
        for part in fields(graph) {
            let part = part?;
            let replaced = part.number == GRAPH_INPUT
                && decode::<ValueInfo>(part.bytes)?.name == self.input.name;
            if !replaced {
                to.extend_from_slice(part.raw);
                continue;
            }
            for input in self.inputs(names, size) {
                field(to, GRAPH_INPUT, &input.encode_to_vec());
            }
        }
        Ok(())
    }

    fn inputs(&self, names: &Names, size: u32) -> [ValueInfo; 4] {
        // A fixed batch stays fixed, a named one keeps its name.
        let batch = || self.dims[0].clone();
        let fixed = |value: u32| Dimension { value: Some(DimensionValue::Fixed(i64::from(value))) };
        let free = |name: &str| Dimension {
            value: Some(DimensionValue::Named(format!("{}{name}", self.prefix))),
        };
        let pixels = vec![batch(), free("rows"), free("columns"), fixed(3)];
        let down = vec![free("views"), fixed(size), fixed(3)];
        let across = vec![free("views"), fixed(3), fixed(size)];
        [
            ValueInfo::tensor(&names.pixels, UINT8, pixels),
            ValueInfo::tensor(&names.which, INT64, vec![batch()]),
            ValueInfo::tensor(&names.down, FLOAT, down),
            ValueInfo::tensor(&names.across, FLOAT, across),
        ]
    }
}

/// Makes `prefix` one that does not occur in `bytes`.
fn lengthen(prefix: &mut String, bytes: &[u8]) {
    while bytes.windows(prefix.len()).any(|part| part == prefix.as_bytes()) {
        prefix.insert(0, '_');
    }
}

#[cfg(test)]
mod tests;
