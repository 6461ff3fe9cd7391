//! Which provider and which precision run a bundle's image model: the fastest that is really there.
//!
//! What was asked for by name is taken or is an error. Where that leaves a choice, each candidate
//! is loaded and timed; one that cannot be had is named in the log and left out.

use std::path::PathBuf;
use std::time::Duration;

use super::device::Provider;
use super::image::{OnnxImageEncoder, Opening};
use super::{OnnxError, Preprocess, Runtime};
use crate::clip::ImageEncoder as _;
use crate::clip::bundle::Bundle;
use crate::config::{Device, Precision};

/// Pictures in a timed batch: neither the one of a quiet node nor the full batch of a busy one.
const BATCH: usize = 4;
/// On a GPU, whose time for a few is that of starting its work, in whatever precision.
const BATCH_OF_GPU: usize = 16;
const RUNS: u32 = 3;

/// What an image model is to run on.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub device: Device,
    /// Most pictures in one run.
    pub max_batch: usize,
    /// Most bytes of a GPU's memory.
    pub gpu_memory: Option<usize>,
    /// A folder for what TensorRT builds.
    pub engines: Option<PathBuf>,
    /// Where pictures are preprocessed; `None` for where it suits the device.
    pub preprocess: Option<Preprocess>,
}

impl Wanted {
    /// This device, and what is usual otherwise.
    pub fn on(device: Device, max_batch: usize) -> Self {
        Self { device, max_batch, gpu_memory: None, engines: None, preprocess: None }
    }
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

    /// Loads the image model of `bundle` on the fastest of what `wanted` and its precision allow.
    ///
    /// # Errors
    /// When what was asked for by name is not there (with what is missing), and when the model is
    /// missing, broken, or not an image model of this bundle.
    pub fn choose(runtime: &Runtime, bundle: &Bundle, wanted: &Wanted) -> Result<Self, OnnxError> {
        let candidates = candidates(runtime, bundle, wanted)?;
        let open = |(provider, precision)| {
            let opening = Opening {
                provider,
                precision,
                max_batch: wanted.max_batch,
                gpu_memory: wanted.gpu_memory,
                engines: wanted.engines.clone(),
                preprocess: wanted.preprocess.unwrap_or_else(|| provider.preprocesses()),
            };
            Self::open_on(runtime, bundle, &opening)
        };
        if let [only] = candidates.as_slice() {
            return open(*only);
        }
        let mut best: Option<(Duration, Self)> = None;
        let mut trouble = None;
        for candidate in candidates {
            let timed = open(candidate).and_then(|mut encoder| {
                let time = time(&mut encoder).map_err(|cause| OnnxError::Run { cause })?;
                Ok((time, encoder))
            });
            let (provider, precision) = candidate;
            match timed {
                Ok((time, encoder)) => {
                    let rate = (batch_for(&encoder) as f64 / time.as_secs_f64()).round();
                    tracing::info!(%provider, %precision, pictures_per_second = rate, "timed");
                    if best.as_ref().is_none_or(|(fastest, _)| time < *fastest) {
                        best = Some((time, encoder));
                    }
                }
                Err(error) => {
                    tracing::warn!(%provider, %precision, %error, "left out");
                    trouble = Some(error);
                }
            }
        }
        match (best, trouble) {
            (Some((_, encoder)), _) => Ok(encoder),
            (None, Some(error)) => Err(error),
            (None, None) => Err(OnnxError::Run { cause: "there is nothing to run it on".into() }),
        }
    }
}

/// Everything that `wanted` allows and that may be there; never empty.
fn candidates(
    runtime: &Runtime,
    bundle: &Bundle,
    wanted: &Wanted,
) -> Result<Vec<(Provider, Precision)>, OnnxError> {
    let providers = match Provider::of(wanted.device) {
        Some(provider) => vec![provider],
        None => runtime.providers(),
    };
    let fits = |provider: &Provider| {
        let all = precisions(*provider, has_bf16());
        let there = |precision: &&Precision| bundle.has(**precision);
        let chosen: Vec<Precision> = match bundle.precision() {
            Precision::Auto => all.iter().filter(there).copied().collect(),
            asked => all.iter().filter(|precision| **precision == asked).copied().collect(),
        };
        let provider = *provider;
        chosen.into_iter().map(move |precision| (provider, precision))
    };
    let candidates: Vec<_> = providers.iter().flat_map(fits).collect();
    if candidates.is_empty() {
        let devices = providers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(OnnxError::Precision { precision: bundle.precision(), devices });
    }
    Ok(candidates)
}

/// What a provider runs, the likely fastest first.
fn precisions(provider: Provider, bf16: bool) -> &'static [Precision] {
    match provider {
        Provider::Cpu => &[Precision::Int8, Precision::Original],
        Provider::OpenVino if bf16 => &[Precision::Bf16, Precision::Original],
        Provider::OpenVino => &[Precision::Original],
        Provider::Cuda(_) | Provider::TensorRt(_) => &[Precision::Fp16, Precision::Original],
    }
}

/// Whether the processor multiplies 16-bit floats of this kind: elsewhere they are slower.
fn has_bf16() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| {
        let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        flags.split_whitespace().any(|flag| flag == "avx512_bf16" || flag == "amx_bf16")
    })
}

fn batch_for(encoder: &OnnxImageEncoder) -> usize {
    let usual = if encoder.provider().is_gpu() { BATCH_OF_GPU } else { BATCH };
    usual.min(encoder.max_batch())
}

/// The shortest time of a batch.
fn time(encoder: &mut OnnxImageEncoder) -> Result<Duration, String> {
    let batch = batch_for(encoder);
    let mut run = || encoder.warm_up(batch).map(|(_, took)| took).map_err(|e| e.to_string());
    // What is set up at first use is not counted.
    run()?;
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        best = best.min(run()?);
    }
    Ok(best)
}
