//! A bundle's image model: preprocessing into one reused buffer, fixed batch shapes.

use std::time::{Duration, Instant};

use ort::session::Session;
use ort::value::TensorRef;

use super::{OnnxError, Runtime, embeddings, expected, model_error, ports, provider, signature};
use crate::clip::bundle::Bundle;
use crate::clip::preprocess::Preprocessor;
use crate::clip::{EncodeError, ImageEncoder};
use crate::config::Device;
use crate::model::{Embedding, Picture, View};

/// Runs a bundle's image model.
pub struct OnnxImageEncoder {
    session: Session,
    output: String,
    preprocessor: Preprocessor,
    provider: &'static str,
    /// Rising; a batch is filled up to the next one.
    buckets: Vec<usize>,
    /// Shape `[bucket, 3, size, size]`, reused.
    input: Vec<f32>,
    batches: u64,
}

impl OnnxImageEncoder {
    /// Loads the image model of `bundle`, for batches of at most `max_batch` pictures.
    ///
    /// # Errors
    /// When the device is not in this version, or the model is missing, broken, or not an
    /// image model of this bundle.
    pub fn open(
        runtime: &Runtime,
        bundle: &Bundle,
        device: Device,
        max_batch: usize,
    ) -> Result<Self, OnnxError> {
        let provider = provider(device)?;
        let fault = |cause| model_error(bundle, "visual/model.onnx", cause);
        let session = runtime.session(&bundle.image_model()?).map_err(fault)?;
        let (inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        let found = signature::image_ports(&inputs, &outputs, expected(bundle)).map_err(fault)?;
        Ok(Self {
            session,
            output: found.output,
            preprocessor: Preprocessor::new(bundle.preprocess().clone()),
            provider,
            buckets: found.fixed_batch.map_or_else(|| buckets(max_batch), |fixed| vec![fixed]),
            input: Vec::new(),
            batches: 0,
        })
    }

    /// The execution provider that runs the model.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Runs every batch size once, on grey pictures: its size, and how long it took.
    ///
    /// # Errors
    /// When the model fails or gives values that are not finite.
    pub fn warm_up(&mut self) -> Result<Vec<(usize, Duration)>, EncodeError> {
        let mut times = Vec::with_capacity(self.buckets.len());
        for bucket in self.buckets.clone() {
            self.input.clear();
            self.input.resize(bucket * self.preprocessor.spec().len(), 0.0);
            let start = Instant::now();
            self.run(bucket, bucket)?;
            times.push((bucket, start.elapsed()));
        }
        Ok(times)
    }

    fn encode_batch(
        &mut self,
        pictures: &[(&Picture, View)],
    ) -> Result<Vec<Embedding>, EncodeError> {
        let wanted = pictures.len();
        let bucket = self.buckets.iter().copied().find(|size| *size >= wanted).unwrap_or(wanted);
        let length = self.preprocessor.spec().len();
        self.input.resize(bucket * length, 0.0);
        for (index, (picture, view)) in pictures.iter().enumerate() {
            let out = &mut self.input[index * length..][..length];
            self.preprocessor.run(picture, *view, out).map_err(|error| {
                EncodeError(format!("picture {} of {wanted} in the batch: {error}", index + 1))
            })?;
        }
        self.input[wanted * length..].fill(0.0);
        self.run(bucket, wanted)
    }

    /// Runs `input` with `bucket` pictures and gives the embeddings of the first `wanted`.
    fn run(&mut self, bucket: usize, wanted: usize) -> Result<Vec<Embedding>, EncodeError> {
        self.batches += 1;
        let batch = format!("image batch {} ({wanted} pictures)", self.batches);
        let size = self.preprocessor.spec().size as usize;
        let fault = |error: ort::Error| EncodeError(format!("{batch}: {error}"));
        let input = TensorRef::from_array_view(([bucket, 3, size, size], self.input.as_slice()))
            .map_err(fault)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(fault)?;
        embeddings(&outputs, &self.output, (bucket, wanted), &batch)
    }
}

impl ImageEncoder for OnnxImageEncoder {
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        let mut embeddings = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(self.max_batch()) {
            embeddings.extend(self.encode_batch(batch)?);
        }
        Ok(embeddings)
    }

    fn max_batch(&self) -> usize {
        self.buckets.last().copied().unwrap_or(1)
    }
}

/// 1, 2, 4, 8, … and `max_batch` itself.
fn buckets(max_batch: usize) -> Vec<usize> {
    let most = max_batch.max(1);
    let powers = (0..usize::BITS).map(|bit| 1_usize << bit).take_while(|size| *size < most);
    powers.chain([most]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_powers_of_two_up_to_the_most() {
        assert_eq!(buckets(0), [1]);
        assert_eq!(buckets(1), [1]);
        assert_eq!(buckets(8), [1, 2, 4, 8]);
        assert_eq!(buckets(12), [1, 2, 4, 8, 12]);
    }
}
