//! A bundle's image model: its input in reused buffers, then one run per batch.
//!
//! On the CPU a batch runs at its own size: padding costs as much there as pictures do, and no
//! shape has to be prepared. A model with a fixed batch gets its batch filled up.

use std::time::{Duration, Instant};

use ort::session::Session;

use super::input::{Input, input};
use super::resident::{Preprocess, resident};
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
    preprocess: Preprocess,
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
        Self::open_with(runtime, bundle, device, max_batch, Preprocess::Host)
    }

    /// As [`open`](Self::open), with a choice of where pictures are preprocessed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        runtime: &Runtime,
        bundle: &Bundle,
        device: Device,
        max_batch: usize,
        preprocess: Preprocess,
    ) -> Result<Self, OnnxError> {
        let provider = provider(device)?;
        let file = if bundle.is_int8() { INT8_MODEL } else { IMAGE_MODEL };
        let fault = |cause| model_error(bundle, file, cause);
        let (model, spec) = (bundle.image_model()?, bundle.preprocess());
        let resident = resident(preprocess, &model, spec);
        let loaded = resident.as_ref().map_or(&model, |resident| &resident.model);
        let session = runtime.session(loaded).map_err(fault)?;
        let (inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        let inputs = resident.as_ref().map_or(&inputs[..], |resident| &resident.replaced[..]);
        let found = signature::image_ports(inputs, &outputs, expected(bundle)).map_err(fault)?;
        Ok(Self {
            session,
            output: found.output,
            provider,
            max_batch: found.fixed_batch.unwrap_or(max_batch.max(1)),
            fixed_batch: found.fixed_batch,
            preprocess: resident.as_ref().map_or(Preprocess::Host, |_| Preprocess::Device),
            input: resident
                .map_or_else(|| input(found.input, spec), |resident| resident.input(spec)),
            batches: 0,
        })
    }

    /// The execution provider that runs the model.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Where pictures are preprocessed, which is on the host where the model or its filter
    /// leaves no choice.
    pub fn preprocess(&self) -> Preprocess {
        self.preprocess
    }

    /// Runs one batch of `size` pictures (at most the largest that is allowed), so that
    /// what the runtime sets up at first use is there before frames come. Returns how many
    /// pictures were run, and how long it took.
    ///
    /// # Errors
    /// When the model fails or gives values that are not finite.
    pub fn warm_up(&mut self, size: usize) -> Result<(usize, Duration), EncodeError> {
        let rows = self.rows(size.clamp(1, self.max_batch));
        self.fill(rows, &[])?;
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
        self.fill(rows, pictures)?;
        self.run(rows, wanted)
    }

    fn fill(&mut self, rows: usize, pictures: &[(&Picture, View)]) -> Result<(), EncodeError> {
        let wanted = pictures.len();
        self.input.fill(rows, pictures).map_err(|(index, error)| {
            EncodeError(format!("picture {} of {wanted} in the batch: {error}", index + 1))
        })
    }

    /// Runs `input` with `rows` pictures and gives the embeddings of the first `wanted`.
    fn run(&mut self, rows: usize, wanted: usize) -> Result<Vec<Embedding>, EncodeError> {
        self.batches += 1;
        let batch = format!("image batch {} ({wanted} pictures)", self.batches);
        let fault = |error: ort::Error| EncodeError(format!("{batch}: {error}"));
        let inputs = self.input.tensors().map_err(fault)?;
        let outputs = self.session.run(inputs).map_err(fault)?;
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
