//! The image model's input: one reused buffer of the element type that the model takes.

use half::f16;
use ort::session::SessionInputValue;
use ort::value::{PrimitiveTensorElementType, TensorRef};

use super::signature::Kind;
use crate::clip::preprocess::{Level, PreprocessError, PreprocessSpec, Preprocessor};
use crate::model::{Picture, View};

/// A batch of pictures as the model wants them: shape `[rows, 3, size, size]`.
pub(super) trait Input: Send {
    /// Makes room for `rows` pictures. Those that are not put afterwards are black, or what an
    /// earlier batch had there.
    fn resize(&mut self, rows: usize);

    /// Preprocesses `picture` into row `row`.
    fn put(&mut self, row: usize, picture: &Picture, view: View) -> Result<(), PreprocessError>;

    fn tensor(&self) -> ort::Result<SessionInputValue<'_>>;
}

/// The input of a model that takes `kind`.
pub(super) fn input(kind: Kind, spec: &PreprocessSpec) -> Box<dyn Input> {
    match kind {
        Kind::Float16 => Box::new(Batch::<f16>::new(spec)),
        Kind::Uint8 => Box::new(Batch::<u8>::new(spec)),
        _ => Box::new(Batch::<f32>::new(spec)),
    }
}

struct Batch<T> {
    preprocessor: Preprocessor<T>,
    values: Vec<T>,
}

impl<T: Level> Batch<T> {
    fn new(spec: &PreprocessSpec) -> Self {
        Self { preprocessor: Preprocessor::new(spec.clone()), values: Vec::new() }
    }

    fn length(&self) -> usize {
        self.preprocessor.spec().len()
    }
}

impl<T: Level + PrimitiveTensorElementType> Input for Batch<T> {
    fn resize(&mut self, rows: usize) {
        self.values.resize(rows * self.length(), T::default());
    }

    fn put(&mut self, row: usize, picture: &Picture, view: View) -> Result<(), PreprocessError> {
        let length = self.length();
        self.preprocessor.run(picture, view, &mut self.values[row * length..][..length])
    }

    fn tensor(&self) -> ort::Result<SessionInputValue<'_>> {
        let size = self.preprocessor.spec().size as usize;
        let shape = [self.values.len() / self.length(), 3, size, size];
        Ok(TensorRef::from_array_view((shape, self.values.as_slice()))?.into())
    }
}
