//! The image model's input: one reused buffer of the element type that the model takes.

use half::f16;
use ort::session::{SessionInputValue, SessionInputs};
use ort::value::{PrimitiveTensorElementType, TensorRef};

use super::signature::Kind;
use crate::clip::preprocess::{Level, PreprocessError, PreprocessSpec, Preprocessor};
use crate::model::{Picture, View};

/// The tensors of a batch: the one that the model takes, or several by their names.
pub(super) type Inputs<'a> = SessionInputs<'a, 'a, 1>;

/// A batch of pictures as the model wants them.
pub(super) trait Input: Send {
    /// Makes the room that [`fill`](Self::fill) will need, where that is of a device's memory.
    fn reserve(&mut self, _rows: usize, _pictures: &[(&Picture, View)]) {}

    /// Takes `pictures` (at most `rows`) into a batch of `rows`. Rows without a picture are black,
    /// or what an earlier batch had there.
    ///
    /// # Errors
    /// For a picture that cannot be preprocessed, with its index.
    fn fill(
        &mut self,
        rows: usize,
        pictures: &[(&Picture, View)],
    ) -> Result<(), (usize, PreprocessError)>;

    fn tensors(&self) -> ort::Result<Inputs<'_>>;
}

/// The input of a model that takes `kind`.
pub(super) fn input(kind: Kind, spec: &PreprocessSpec) -> Box<dyn Input> {
    match kind {
        Kind::Float16 => Box::new(Batch::<f16>::new(spec)),
        Kind::Uint8 => Box::new(Batch::<u8>::new(spec)),
        _ => Box::new(Batch::<f32>::new(spec)),
    }
}

/// Finished pictures: shape `[rows, 3, size, size]`.
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
    fn fill(
        &mut self,
        rows: usize,
        pictures: &[(&Picture, View)],
    ) -> Result<(), (usize, PreprocessError)> {
        let length = self.length();
        self.values.resize(rows * length, T::default());
        let places = self.values.chunks_exact_mut(length);
        for (index, (place, (picture, view))) in places.zip(pictures).enumerate() {
            self.preprocessor.run(picture, *view, place).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    fn tensors(&self) -> ort::Result<Inputs<'_>> {
        let size = self.preprocessor.spec().size as usize;
        let shape = [self.values.len() / self.length(), 3, size, size];
        let value: SessionInputValue<'_> =
            TensorRef::from_array_view((shape, self.values.as_slice()))?.into();
        Ok([value].into())
    }
}
