//! A bundle's image model: its input in reused buffers, then one run per batch.
//!
//! On the CPU a batch runs at its own size: padding costs as much there as pictures do, and no
//! shape has to be prepared. On a GPU batches are filled up to a power of two, so that there are few
//! shapes to prepare for and to keep memory for. A model with a fixed batch gets its batch filled up.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::ahead::{Ahead, Job};
use super::device::{Plan, Provider, Trouble};
use super::failure::encode_error;
use super::input::{Input, input};
use super::pixels::Pixels;
use super::resident::{Preprocess, resident};
use super::sessions::Sessions;
use super::{OnnxError, Runtime, embeddings, expected, model_error, ports, signature};
use crate::clip::bundle::{Bundle, ModelFile};
use crate::clip::preprocess::PreprocessError;
use crate::clip::{EncodeError, ImageEncoder, Next, Took};
use crate::config::Precision;
use crate::model::{Embedding, Picture, View};

/// Runs a bundle's image model.
pub struct OnnxImageEncoder {
    sessions: Sessions,
    output: String,
    provider: Provider,
    precision: Precision,
    max_batch: usize,
    /// The batch that the model insists on.
    fixed_batch: Option<usize>,
    preprocess: Preprocess,
    input: Box<dyn Input>,
    ahead: Option<Ahead>,
    /// For [`prepare_ahead`](Self::prepare_ahead); empty, so it costs nothing.
    second_input: Option<Box<dyn Input>>,
    batches: u64,
    took: Took,
}

/// One way to run an image model.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) provider: Provider,
    pub(super) precision: Precision,
    pub(super) max_batch: usize,
    pub(super) gpu_memory: Option<usize>,
    pub(super) engines: Option<PathBuf>,
    pub(super) preprocess: Preprocess,
}

impl OnnxImageEncoder {
    /// Loads the image model of `bundle` in one way.
    ///
    /// # Errors
    /// When the device is not there (with what is missing), or the model is missing, broken, or not
    /// an image model of this bundle.
    pub(super) fn open_on(
        runtime: &Runtime,
        bundle: &Bundle,
        opening: &Opening,
    ) -> Result<Self, OnnxError> {
        let &Opening { provider, precision, max_batch, .. } = opening;
        let bundle = &bundle.clone().at(precision);
        let fault = |cause| model_error(bundle, bundle.image_file(), cause);
        let (model, spec) = (bundle.image_model()?, bundle.preprocess());
        let resident = resident(opening.preprocess, &model, spec);
        let loaded = resident.as_ref().map_or(&model, |resident| &resident.model);
        let plan = Plan {
            provider,
            precision,
            gpu_memory: opening.gpu_memory,
            engines: opening.engines.clone(),
            shapes: shapes(bundle, &model, opening).map_err(fault)?,
            batch: None,
        };
        let sessions =
            Sessions::open(runtime, loaded, &plan, spec).map_err(|trouble| match trouble {
                Trouble::Device(cause) => {
                    let missing = runtime.missing(provider);
                    OnnxError::Device { device: provider.to_string(), cause, missing }
                }
                Trouble::Model(cause) => fault(cause),
            })?;
        let (inputs, outputs) = (ports(sessions.any().inputs()), ports(sessions.any().outputs()));
        let inputs = resident.as_ref().map_or(&inputs[..], |resident| &resident.replaced[..]);
        let found = signature::image_ports(inputs, &outputs, expected(bundle)).map_err(fault)?;
        // What is fixed by us is none of the model's.
        let fixed_batch = found.fixed_batch.filter(|_| sessions.sizes().is_empty());
        let make_input = || match &resident {
            Some(resident) => resident.input(spec, Pixels::new(sessions.any(), provider)),
            None => input(found.input, spec),
        };
        let (input, second_input) = (make_input(), Some(make_input()));
        Ok(Self {
            sessions,
            output: found.output,
            provider,
            precision,
            max_batch: fixed_batch.unwrap_or(max_batch.max(1)),
            fixed_batch,
            preprocess: resident.map_or(Preprocess::Host, |_| Preprocess::Device),
            input,
            ahead: None,
            second_input,
            batches: 0,
            took: Took::default(),
        })
    }

    /// From now on [`encode_before`](ImageEncoder::encode_before) has the next pictures prepared by
    /// the thread at the other ends of `jobs` and `done`, which [`ahead::run`](super::ahead::run) runs
    /// and whose end is waited for when the encoder goes.
    pub fn prepare_ahead(&mut self, jobs: Sender<Job>, done: Receiver<Job>) {
        self.ahead = self.second_input.take().map(|input| Ahead::new(jobs, done, input));
    }

    /// The execution provider that runs the model.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The precision that it runs in; never [`Precision::Auto`].
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The batches that frames will come in, the largest first: what had better be warmed up.
    /// `cameras` is how many frames there can be at once.
    pub fn batches(&self, cameras: usize) -> Vec<usize> {
        let most = cameras.clamp(1, self.max_batch);
        if !self.sessions.sizes().is_empty() {
            return self.sessions.sizes().to_vec();
        }
        if !self.provider.plans_per_shape() {
            return vec![most];
        }
        let mut sizes: Vec<usize> = (1..=most).map(|wanted| self.rows(wanted)).collect();
        sizes.dedup();
        sizes.reverse();
        sizes
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
        self.timed(size.clamp(1, self.max_batch), &[])
    }

    /// Runs `size` pictures, those of `pictures` first: how many were run, and how long the model took.
    fn timed(
        &mut self,
        size: usize,
        pictures: &[(&Picture, View)],
    ) -> Result<(usize, Duration), EncodeError> {
        let (mut done, mut took) = (0, Duration::ZERO);
        while done < size {
            let step = self.step(size - done);
            let (rows, left) = (self.rows(step), &pictures[done.min(pictures.len())..]);
            self.fill(rows, &left[..step.min(left.len())])?;
            let start = Instant::now();
            self.run(rows, rows)?;
            took += start.elapsed();
            done += rows;
        }
        Ok((done, took))
    }

    /// How many of `left` pictures go into the next run.
    fn step(&self, left: usize) -> usize {
        self.sessions.step(left.min(self.max_batch))
    }

    /// How many of `pictures` a second the model makes embeddings of, by what it takes for them in
    /// `time`: the model alone. The first time is not counted.
    ///
    /// # Errors
    /// As [`ImageEncoder::encode`].
    pub fn speed(
        &mut self,
        pictures: &[(&Picture, View)],
        time: Duration,
    ) -> Result<f64, EncodeError> {
        self.timed(pictures.len(), pictures)?;
        let (mut done, mut took) = (0, Duration::ZERO);
        while took < time {
            let (more, longer) = self.timed(pictures.len(), pictures)?;
            done += more;
            took += longer;
        }
        Ok(done as f64 / took.as_secs_f64())
    }

    /// How many rows the model is given for `wanted` pictures.
    fn rows(&self, wanted: usize) -> usize {
        match self.fixed_batch {
            Some(fixed) => fixed,
            None if self.provider.plans_per_shape() => {
                wanted.next_power_of_two().min(self.max_batch)
            }
            None => wanted,
        }
    }

    /// `next` gives what will follow, if that is known here.
    fn encode_batch(
        &mut self,
        pictures: &[(&Picture, View)],
        next: Option<Next<'_>>,
    ) -> Result<Vec<Embedding>, EncodeError> {
        let (wanted, started) = (pictures.len(), Instant::now());
        let rows = self.rows(wanted);
        self.prepare(rows, pictures)?;
        self.took.preprocess += started.elapsed();
        if let Some(next) = next {
            self.begin(next);
        }
        let started = Instant::now();
        let embeddings = self.run(rows, wanted);
        self.took.model += started.elapsed();
        embeddings
    }

    /// Gets `input` ready with `pictures`, which may have been prepared while others ran.
    fn prepare(&mut self, rows: usize, pictures: &[(&Picture, View)]) -> Result<(), EncodeError> {
        let ahead = self.ahead.as_mut();
        match ahead.and_then(|ahead| ahead.collect(&mut self.input, rows, pictures)) {
            Some(filled) => filled.map_err(|wrong| refused(pictures.len(), &wrong)),
            None => self.fill(rows, pictures),
        }
    }

    fn fill(&mut self, rows: usize, pictures: &[(&Picture, View)]) -> Result<(), EncodeError> {
        self.input.fill(rows, pictures).map_err(|wrong| refused(pictures.len(), &wrong))
    }

    /// Has what will follow prepared while `input` runs.
    fn begin(&mut self, next: Next<'_>) {
        if self.ahead.is_none() {
            return;
        }
        let mut pictures = next();
        pictures.truncate(self.step(pictures.len()));
        let rows = self.rows(pictures.len());
        if let Some(ahead) = self.ahead.as_mut().filter(|_| !pictures.is_empty()) {
            ahead.begin(rows, pictures);
        }
    }

    /// Runs `input` with `rows` pictures and gives the embeddings of the first `wanted`.
    fn run(&mut self, rows: usize, wanted: usize) -> Result<Vec<Embedding>, EncodeError> {
        self.batches += 1;
        let batch = format!("image batch {} ({wanted} pictures)", self.batches);
        let gpu = self.provider.is_gpu();
        let fault = |error: ort::Error| encode_error(&batch, &error.to_string(), gpu);
        let inputs = self.input.tensors().map_err(fault)?;
        let outputs = self.sessions.run(rows, inputs).map_err(fault)?;
        embeddings(&outputs, &self.output, (rows, wanted), &batch)
    }
}

impl ImageEncoder for OnnxImageEncoder {
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        self.encode_before(pictures, &mut Vec::new)
    }

    fn encode_before(
        &mut self,
        pictures: &[(&Picture, View)],
        next: Next<'_>,
    ) -> Result<Vec<Embedding>, EncodeError> {
        self.took = Took::default();
        let mut embeddings = Vec::with_capacity(pictures.len());
        let mut left = pictures;
        while !left.is_empty() {
            let (batch, later) = left.split_at(self.step(left.len()));
            let next: Option<Next<'_>> = if later.is_empty() { Some(&mut *next) } else { None };
            embeddings.extend(self.encode_batch(batch, next)?);
            left = later;
        }
        Ok(embeddings)
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }
    fn took(&self) -> Took {
        self.took
    }
}

fn refused(wanted: usize, (index, error): &(usize, PreprocessError)) -> EncodeError {
    EncodeError::Failed(format!("picture {} of {wanted} in the batch: {error}", index + 1))
}

/// The smallest and the largest batch, as TensorRT wants to hear them before it builds.
fn shapes(
    bundle: &Bundle,
    model: &ModelFile,
    opening: &Opening,
) -> Result<Option<[String; 2]>, String> {
    if !matches!(opening.provider, Provider::TensorRt(_)) {
        return Ok(None);
    }
    let (name, size) = (model.input_name()?, bundle.preprocess().size);
    Ok(Some([1, opening.max_batch].map(|batch| format!("{name}:{batch}x3x{size}x{size}"))))
}
