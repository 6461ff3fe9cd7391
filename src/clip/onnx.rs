//! ONNX Runtime: the only file that imports `ort`.
//!
//! Owns the loaded library (once per process) and one session per encoder. A session belongs
//! to the thread that owns its encoder; there is no lock around it. Pictures run in fixed batch
//! sizes (1, 2, 4, 8, …), each prepared at start by [`OnnxImageEncoder::warm_up`], so that no
//! frame waits for the runtime to plan a new shape. Sessions end with their encoder; the
//! library stays until the process ends. What the inputs mean is left to [`signature`].

mod batch;
mod signature;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{Outlet, Tensor, TensorElementType, TensorRef};

use self::batch::{buckets, feed_values};
use self::signature::{Expected, Kind, Port, TextPorts};
use super::bundle::{Bundle, BundleError, ModelFile};
use super::library::{self, Found};
use super::preprocess::Preprocessor;
use super::tokenizer::{Tokenizer, TokenizerError, TokenizerHints, Tokens};
use super::{EncodeError, ImageEncoder, TextEncoder, normalise};
use crate::config::Device;
use crate::model::{Embedding, Picture, View};

/// Most texts in one run of the text model.
const TEXT_BATCH: usize = 32;

/// The library allows one environment per process, ever.
static ENVIRONMENT: Mutex<Option<Runtime>> = Mutex::new(None);

/// Why a model cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error(
        "ONNX Runtime cannot be loaded from {library}: {cause} (looked in {looked}); run \
         `scripts/setup`, or set ORT_DYLIB_PATH to libonnxruntime.so"
    )]
    Library { library: String, cause: String, looked: String },
    #[error("device {device} is not in this version; use \"auto\" or \"cpu\"")]
    Device { device: String },
    #[error("bundle {bundle}: {file} cannot be loaded: {cause}")]
    Model { bundle: String, file: &'static str, cause: String },
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("bundle {bundle}: {cause}")]
    Tokenizer { bundle: String, cause: TokenizerError },
}

/// What was loaded, and how it runs.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
}

impl Runtime {
    /// Loads ONNX Runtime, or gives what has been loaded before.
    ///
    /// # Errors
    /// When the library is not found, or is too old. See [`library::find`] for where it is
    /// looked for.
    pub fn load() -> Result<Self, OnnxError> {
        // Nothing is left half done by a panic here, so a poisoned lock is still good.
        let mut loaded = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let Found { library, mut looked } = library::find();
        let environment = ort::init_from(&library)
            .map_err(|error| error.to_string())
            .and_then(|builder| builder.with_telemetry(false).build().map_err(|e| e.to_string()));
        let environment = environment.map_err(|cause| {
            looked.push(library.display().to_string());
            let looked = looked.join(", ");
            OnnxError::Library { library: library.display().to_string(), cause, looked }
        })?;
        let runtime = Self { environment, library };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The library's file.
    pub fn library(&self) -> &std::path::Path {
        &self.library
    }

    fn session(&self, model: &ModelFile) -> Result<Session, String> {
        let plain = |error: ort::Error| error.to_string();
        // Builder errors carry the builder, which may not leave this thread.
        let built = |error: ort::Error<SessionBuilder>| error.to_string();
        let cores = available_parallelism().map_or(1, usize::from);
        let mut builder = Session::builder(&self.environment)
            .map_err(plain)?
            .with_intra_threads(cores)
            .map_err(built)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(built)?
            // Sampled cameras leave the model idle most of the time; waiting threads that spin
            // would keep the cores busy then.
            .with_intra_op_spinning(false)
            .map_err(built)?;
        match model {
            ModelFile::Path(path) => builder.commit_from_file(path),
            ModelFile::Embedded(bytes) => builder.commit_from_memory(bytes),
        }
        .map_err(plain)
    }
}

/// Checks that this version runs `device`, and names the execution provider.
///
/// # Errors
/// For every device that is not in this version; nothing falls back silently.
pub fn provider(device: Device) -> Result<&'static str, OnnxError> {
    let device = match device {
        Device::Auto | Device::Cpu => return Ok("cpu"),
        Device::OpenVino => "openvino".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::TensorRt(index) => format!("tensorrt:{index}"),
    };
    Err(OnnxError::Device { device })
}

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

/// Runs a bundle's text model, on the processor: prompts are few and computed once.
pub struct OnnxTextEncoder {
    session: Session,
    ports: TextPorts,
    tokenizer: Tokenizer,
}

impl OnnxTextEncoder {
    /// Loads tokenizer and text model of `bundle`.
    ///
    /// # Errors
    /// When one of them is missing, broken, or they do not fit together.
    pub fn open(runtime: &Runtime, bundle: &Bundle) -> Result<Self, OnnxError> {
        let fault = |cause| model_error(bundle, "textual/model.onnx", cause);
        let tokenizer = tokenizer(bundle)?;
        let session = runtime.session(&bundle.text_model()?).map_err(fault)?;
        let (inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        let ports = signature::text_ports(&inputs, &outputs, expected(bundle)).map_err(fault)?;
        match ports.fixed_length {
            Some(length) if length != tokenizer.length() => Err(fault(format!(
                "it takes {length} tokens, but textual/tokenizer.json and context_length in \
                 config.json give {}",
                tokenizer.length()
            ))),
            _ => Ok(Self { session, ports, tokenizer }),
        }
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn encode_batch(&mut self, texts: &[String]) -> Result<Vec<Embedding>, EncodeError> {
        let tokens: Result<Vec<Tokens>, _> =
            texts.iter().map(|t| self.tokenizer.encode(t)).collect();
        let tokens = tokens.map_err(|error| EncodeError(error.to_string()))?;
        let rows = self.ports.fixed_batch.unwrap_or(texts.len());
        let batch = format!("text batch starting with {:?}", texts.first().map_or("", |t| t));
        let fault = |error: ort::Error| EncodeError(format!("{batch}: {error}"));
        let mut inputs = Vec::with_capacity(self.ports.inputs.len());
        for (name, feed, wide) in &self.ports.inputs {
            let values = feed_values(*feed, &tokens, rows * self.tokenizer.length());
            let shape = [rows, self.tokenizer.length()];
            let value: SessionInputValue<'_> = if *wide {
                let values: Vec<i64> = values.into_iter().map(i64::from).collect();
                Tensor::from_array((shape, values)).map_err(fault)?.into()
            } else {
                Tensor::from_array((shape, values)).map_err(fault)?.into()
            };
            inputs.push((name.as_str(), value));
        }
        let outputs = self.session.run(inputs).map_err(fault)?;
        embeddings(&outputs, &self.ports.output, (rows, texts.len()), &batch)
    }
}

impl TextEncoder for OnnxTextEncoder {
    fn encode(&mut self, texts: &[String]) -> Result<Vec<Embedding>, EncodeError> {
        let size = self.ports.fixed_batch.unwrap_or(TEXT_BATCH).max(1);
        let mut embeddings = Vec::with_capacity(texts.len());
        for batch in texts.chunks(size) {
            embeddings.extend(self.encode_batch(batch)?);
        }
        Ok(embeddings)
    }
}

/// The tokenizer of `bundle`, without its text model.
///
/// # Errors
/// When `tokenizer.json` is missing or cannot be used.
pub fn tokenizer(bundle: &Bundle) -> Result<Tokenizer, OnnxError> {
    let hints =
        TokenizerHints { context_length: bundle.context_length(), pad_token: bundle.pad_token() };
    Tokenizer::from_json(&bundle.tokenizer()?, &hints)
        .map_err(|cause| OnnxError::Tokenizer { bundle: bundle.name().to_owned(), cause })
}

fn model_error(bundle: &Bundle, file: &'static str, cause: String) -> OnnxError {
    OnnxError::Model { bundle: bundle.name().to_owned(), file, cause }
}

fn expected(bundle: &Bundle) -> Expected {
    Expected { size: bundle.preprocess().size, embed_dim: bundle.embed_dim() }
}

fn ports(outlets: &[Outlet]) -> Vec<Port> {
    let port = |outlet: &Outlet| Port {
        name: outlet.name().to_owned(),
        kind: match outlet.dtype().tensor_type() {
            Some(TensorElementType::Float32) => Kind::Float32,
            Some(TensorElementType::Float16) => Kind::Float16,
            Some(TensorElementType::Int32) => Kind::Int32,
            Some(TensorElementType::Int64) => Kind::Int64,
            _ => Kind::Other,
        },
        shape: outlet.dtype().tensor_shape().map_or_else(Vec::new, |shape| shape.to_vec()),
    };
    outlets.iter().map(port).collect()
}

/// The first `wanted` rows of the output, which has shape `[rows, dim]`, each scaled to length 1
/// (exports differ in whether the model does it).
fn embeddings(
    outputs: &SessionOutputs<'_>,
    name: &str,
    (rows, wanted): (usize, usize),
    batch: &str,
) -> Result<Vec<Embedding>, EncodeError> {
    let fault = |cause: String| EncodeError(format!("{batch}: {cause}"));
    let output = outputs.get(name).ok_or_else(|| fault(format!("no output {name}")))?;
    let (_, values) = output.try_extract_tensor::<f32>().map_err(|e| fault(e.to_string()))?;
    if rows == 0 || values.is_empty() || values.len() % rows != 0 {
        return Err(fault(format!("{} values for {rows} rows", values.len())));
    }
    let mut embeddings = Vec::with_capacity(wanted);
    for (index, row) in values.chunks_exact(values.len() / rows).take(wanted).enumerate() {
        let mut row = row.to_vec();
        if !row.iter().all(|value| value.is_finite()) || !normalise(&mut row) {
            return Err(fault(format!(
                "row {} has values that are not finite, or only zeros",
                index + 1
            )));
        }
        embeddings.push(Embedding(row));
    }
    Ok(embeddings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_devices_are_refused_by_name() {
        assert_eq!(provider(Device::Auto).unwrap(), "cpu");
        assert_eq!(provider(Device::Cpu).unwrap(), "cpu");
        let error = provider(Device::Cuda(1)).unwrap_err().to_string();
        assert!(error.contains("device cuda:1 is not in this version"), "{error}");
    }
}
