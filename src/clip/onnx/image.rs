//! A bundle's image model: preprocessing into one reused buffer, then one run per batch.
//!
//! On the CPU a batch runs at its own size: padding costs as much there as pictures do, and no
//! shape has to be prepared. A model with a fixed batch gets its batch filled up.

use std::time::{Duration, Instant};

use ort::session::Session;

use super::input::{Input, input};
use super::{OnnxError, Runtime, embeddings, expected, model_error, ports, provider, signature};
use crate::clip::bundle::{Bundle, IMAGE_MODEL, INT8_MODEL};
use crate::clip::{EncodeError, ImageEncoder};
use crate::config::Device;
use crate::model::{Embedding, Picture, View};

/// Runs a bundle's image model.
pub struct OnnxImageEncoder {
    session: Session,
    output: String,
    provider: &'static str,
    max_batch: usize,
    /// The batch that the model insists on.
    fixed_batch: Option<usize>,
    input: Box<dyn Input>,
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
        let file = if bundle.is_int8() { INT8_MODEL } else { IMAGE_MODEL };
        let fault = |cause| model_error(bundle, file, cause);
        let session = runtime.session(&bundle.image_model()?).map_err(fault)?;
        let (inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        let found = signature::image_ports(&inputs, &outputs, expected(bundle)).map_err(fault)?;
        Ok(Self {
            session,
            output: found.output,
            provider,
            max_batch: found.fixed_batch.unwrap_or(max_batch.max(1)),
            fixed_batch: found.fixed_batch,
            input: input(found.input, bundle.preprocess()),
            batches: 0,
        })
    }

    /// The execution provider that runs the model.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Runs one batch of `size` pictures (at most the largest that is allowed), so that
    /// what the runtime sets up at first use is there before frames come. Returns how many
    /// pictures were run, and how long it took.
    ///
    /// # Errors
    /// When the model fails or gives values that are not finite.
    pub fn warm_up(&mut self, size: usize) -> Result<(usize, Duration), EncodeError> {
        let rows = self.rows(size.clamp(1, self.max_batch));
        self.input.resize(rows);
        let start = Instant::now();
        self.run(rows, rows)?;
        Ok((rows, start.elapsed()))
    }

    /// Pictures a second, in batches of `batch`, over `time`: the model alone. The first batch is not
    /// counted.
    ///
    /// # Errors
    /// As [`warm_up`](Self::warm_up).
    pub fn speed(&mut self, batch: usize, time: Duration) -> Result<f64, EncodeError> {
        self.warm_up(batch)?;
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed() < time {
            done += self.warm_up(batch)?.0;
        }
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }

    /// How many rows the model is given for `wanted` pictures.
    fn rows(&self, wanted: usize) -> usize {
        self.fixed_batch.unwrap_or(wanted)
    }

    fn encode_batch(
        &mut self,
        pictures: &[(&Picture, View)],
    ) -> Result<Vec<Embedding>, EncodeError> {
        let wanted = pictures.len();
        let rows = self.rows(wanted);
        self.input.resize(rows);
        for (index, (picture, view)) in pictures.iter().enumerate() {
            self.input.put(index, picture, *view).map_err(|error| {
                EncodeError(format!("picture {} of {wanted} in the batch: {error}", index + 1))
            })?;
        }
        self.run(rows, wanted)
    }

    /// Runs `input` with `rows` pictures and gives the embeddings of the first `wanted`.
    fn run(&mut self, rows: usize, wanted: usize) -> Result<Vec<Embedding>, EncodeError> {
        self.batches += 1;
        let batch = format!("image batch {} ({wanted} pictures)", self.batches);
        let fault = |error: ort::Error| EncodeError(format!("{batch}: {error}"));
        let input = self.input.tensor().map_err(fault)?;
        let outputs = self.session.run([input]).map_err(fault)?;
        embeddings(&outputs, &self.output, (rows, wanted), &batch)
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
        self.max_batch
    }
}
