//! A bundle's image model: its input in reused buffers, then one run per batch.
//!
//! On the CPU a batch runs at its own size: padding costs as much there as pictures do, and no
//! shape has to be prepared. On a GPU batches are filled up to a power of two, so that there are few
//! shapes to prepare for and to keep memory for. A model with a fixed batch gets its batch filled up.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::choose::{self, Wanted};
use super::device::{Plan, Provider, Trouble};
use super::input::{Input, input};
use super::pixels::Pixels;
use super::resident::{Preprocess, resident};
use super::sessions::Sessions;
use super::{OnnxError, Runtime, embeddings, expected, model_error, ports, signature};
use crate::clip::bundle::{Bundle, ModelFile};
use crate::clip::{EncodeError, ImageEncoder, Took};
use crate::config::{Device, Precision};
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
    /// Loads the image model of `bundle` on `device`, for batches of at most `max_batch` pictures.
    ///
    /// # Errors
    /// When the device is not there (with what is missing), or the model is missing, broken, or not
    /// an image model of this bundle.
    pub fn open(
        runtime: &Runtime,
        bundle: &Bundle,
        device: Device,
        max_batch: usize,
    ) -> Result<Self, OnnxError> {
        Self::choose(runtime, bundle, &Wanted::on(device, max_batch))
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
        let wanted = Wanted { preprocess: Some(preprocess), ..Wanted::on(device, max_batch) };
        Self::choose(runtime, bundle, &wanted)
    }

    /// Loads the image model of `bundle` on the fastest of what is allowed: see [`choose`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn choose(runtime: &Runtime, bundle: &Bundle, wanted: &Wanted) -> Result<Self, OnnxError> {
        choose::open(runtime, bundle, wanted)
    }

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
        let pixels = Pixels::new(sessions.any(), provider);
        Ok(Self {
            sessions,
            output: found.output,
            provider,
            precision,
            max_batch: fixed_batch.unwrap_or(max_batch.max(1)),
            fixed_batch,
            preprocess: resident.as_ref().map_or(Preprocess::Host, |_| Preprocess::Device),
            input: resident
                .map_or_else(|| input(found.input, spec), |resident| resident.input(spec, pixels)),
            batches: 0,
            took: Took::default(),
        })
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
        let size = size.clamp(1, self.max_batch);
        let (mut done, mut took) = (0, Duration::ZERO);
        while done < size {
            let rows = self.rows(self.step(size - done));
            self.fill(rows, &[])?;
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
        match self.fixed_batch {
            Some(fixed) => fixed,
            None if self.provider.plans_per_shape() => {
                wanted.next_power_of_two().min(self.max_batch)
            }
            None => wanted,
        }
    }

    fn encode_batch(
        &mut self,
        pictures: &[(&Picture, View)],
    ) -> Result<Vec<Embedding>, EncodeError> {
        let (wanted, started) = (pictures.len(), Instant::now());
        let rows = self.rows(wanted);
        self.fill(rows, pictures)?;
        self.took.preprocess += started.elapsed();
        let started = Instant::now();
        let embeddings = self.run(rows, wanted);
        self.took.model += started.elapsed();
        embeddings
    }

    fn fill(&mut self, rows: usize, pictures: &[(&Picture, View)]) -> Result<(), EncodeError> {
        let wanted = pictures.len();
        self.input.fill(rows, pictures).map_err(|(index, error)| {
            EncodeError::Failed(format!("picture {} of {wanted} in the batch: {error}", index + 1))
        })
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
        self.took = Took::default();
        let mut embeddings = Vec::with_capacity(pictures.len());
        let mut left = pictures;
        while !left.is_empty() {
            let (batch, later) = left.split_at(self.step(left.len()));
            embeddings.extend(self.encode_batch(batch)?);
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

/// What a failed run means, by what the libraries say. A GPU that has failed in any way but for want
/// of memory does nothing more in this process.
fn encode_error(batch: &str, cause: &str, gpu: bool) -> EncodeError {
    const MEMORY: [&str; 5] = [
        "out of memory",
        "failed to allocate memory",
        "alloc_failed",
        "bad_alloc",
        "bad allocation",
    ];
    const GPU: [&str; 5] = ["cuda", "cublas", "cudnn", "tensorrt", "device"];
    let text = cause.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let message = format!("{batch}: {cause}");
    match () {
        () if says(&MEMORY) => EncodeError::Memory(message),
        () if gpu && says(&GPU) => EncodeError::Lost(message),
        () => EncodeError::Failed(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ONNX Runtime 1.31 words them.
    #[test]
    fn what_a_failed_run_means() {
        let of = |cause: &str, gpu| encode_error("image batch 3", cause, gpu);
        let memory = "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer \
                      of size 268435456";
        assert!(matches!(of(memory, true), EncodeError::Memory(_)));
        assert!(matches!(
            of("CUDA failure 2: out of memory ; GPU=0", true),
            EncodeError::Memory(_)
        ));
        assert!(matches!(of("std::bad_alloc", false), EncodeError::Memory(_)));
        let lost = "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; \
                    hostname=gate ; file=gpu_data_transfer.cc";
        assert!(matches!(of(lost, true), EncodeError::Lost(_)));
        assert!(matches!(
            of("CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED", true),
            EncodeError::Lost(_)
        ));
        let shape = "Got invalid dimensions for input: image";
        let EncodeError::Failed(message) = of(shape, true) else {
            panic!("it is the input's fault")
        };
        assert_eq!(message, format!("image batch 3: {shape}"));
    }
}
