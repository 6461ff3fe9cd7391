//! The image model's input: one reused buffer of the element type that the model takes.

use half::f16;
use ort::session::{SessionInputValue, SessionInputs};
use ort::value::{PrimitiveTensorElementType, TensorRef};

use super::signature::Kind;
use crate::clip::preprocess::{Level, PreprocessError, PreprocessSpec, Preprocessor};
use crate::cores;
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
    /// One for each core that had something to do.
    preprocessors: Vec<Preprocessor<T>>,
    spec: PreprocessSpec,
    values: Vec<T>,
}

impl<T: Level> Batch<T> {
    fn new(spec: &PreprocessSpec) -> Self {
        Self { preprocessors: Vec::new(), spec: spec.clone(), values: Vec::new() }
    }

    /// How many of so many pictures each core takes; there is a preprocessor for each part.
    fn part(&mut self, pictures: usize) -> usize {
        let part = pictures.div_ceil(cores::count()).max(1);
        let parts = pictures.div_ceil(part);
        while self.preprocessors.len() < parts {
            self.preprocessors.push(Preprocessor::new(self.spec.clone()));
        }
        part
    }
}

impl<T: Level + PrimitiveTensorElementType> Input for Batch<T> {
    fn fill(
        &mut self,
        rows: usize,
        pictures: &[(&Picture, View)],
    ) -> Result<(), (usize, PreprocessError)> {
        let (part, length) = (self.part(pictures.len()), self.spec.len());
        self.values.resize(rows * length, T::default());
        let parts = pictures.chunks(part).zip(self.values.chunks_mut(part * length));
        let parts = parts.zip(&mut self.preprocessors).enumerate().collect();
        let filled = cores::each(parts, |(number, ((pictures, places), preprocessor))| {
            let mut places = places.chunks_exact_mut(length).zip(pictures).enumerate();
            places.try_for_each(|(index, (place, (picture, view)))| {
                let wrong = |error| (number * part + index, error);
                preprocessor.run(picture, *view, place).map_err(wrong)
            })
        });
        // Of several that are wrong the first is told of.
        filled.into_iter().collect()
    }

    fn tensors(&self) -> ort::Result<Inputs<'_>> {
        let size = self.spec.size as usize;
        let shape = [self.values.len() / self.spec.len(), 3, size, size];
        let value: SessionInputValue<'_> =
            TensorRef::from_array_view((shape, self.values.as_slice()))?.into();
        Ok([value].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::preprocess::tests::spec;

    fn pictures() -> Vec<Picture> {
        let picture = |n: u32| {
            let (width, height) = (20 + n, 30 - n);
            let rgb = (0..width * height * 3).map(|at| (at * (n + 1) % 251) as u8).collect();
            Picture { width, height, rgb }
        };
        (0..7).map(picture).collect()
    }

    fn viewed(pictures: &[Picture]) -> Vec<(&Picture, View)> {
        pictures.iter().map(|picture| (picture, View::default())).collect()
    }

    #[test]
    fn every_picture_comes_into_its_own_place() {
        let (spec, pictures) = (spec(8), pictures());
        for count in [1, 2, 3, 7] {
            let mut batch = Batch::<f32>::new(&spec);
            batch.fill(8, &viewed(&pictures[..count])).unwrap();
            assert_eq!(batch.values.len(), 8 * spec.len());
            for (picture, found) in pictures[..count].iter().zip(batch.values.chunks(spec.len())) {
                let mut wanted = vec![0.0; spec.len()];
                let mut alone = Preprocessor::new(spec.clone());
                alone.run(picture, View::default(), &mut wanted).unwrap();
                assert!(found == wanted, "of {count}, the one {} wide", picture.width);
            }
        }
    }

    #[test]
    fn the_first_wrong_picture_is_told_of() {
        let mut pictures = pictures();
        for wrong in [6, 5, 1] {
            pictures[wrong].rgb.pop();
            let told = Batch::<u8>::new(&spec(8)).fill(7, &viewed(&pictures)).unwrap_err();
            assert_eq!(told.0, wrong);
        }
        assert!(Batch::<u8>::new(&spec(8)).fill(2, &[]).is_ok());
    }
}
