//! ONNX Runtime: with the files below it, the only ones that import `ort`.
//!
//! Owns the loaded library (once per process) and one session per encoder. A session belongs
//! to the thread that owns its encoder; there is no lock around it. Sessions end with their
//! encoder; the library stays until the process ends. What the inputs mean is left to
//! [`signature`].

pub mod ahead;
mod choose;
mod device;
mod failure;
mod folded;
mod image;
mod input;
mod missing;
mod pixels;
mod resident;
mod sessions;
mod signature;
mod text;

pub use choose::Wanted;
pub use device::Provider;
pub use image::OnnxImageEncoder;
pub use resident::Preprocess;
pub use text::OnnxTextEncoder;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use half::f16;
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionOutputs};
use ort::value::{DynValue, Outlet, TensorElementType};

use self::device::{FixedBatch, Plan, Trouble};
use self::signature::{Expected, Kind, Port};
use super::bundle::{Bundle, BundleError, ModelFile};
use super::library::{self, Found};
use super::tokenizer::{Tokenizer, TokenizerError, TokenizerHints};
use super::{EncodeError, normalise};
use crate::config::Precision;
use crate::model::Embedding;

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
    #[error("device {device} cannot be had: {cause}{}", list(missing))]
    Device { device: String, cause: String, missing: Vec<String> },
    #[error(
        "precision {precision} does not go with device {devices}: int8 is for cpu, bf16 for \
        openvino on a processor that has it, fp16 for cuda and tensorrt"
    )]
    Precision { precision: Precision, devices: String },
    #[error("the image model does not run: {cause}")]
    Run { cause: String },
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
        // Providers are looked for beside it, not beside a link to it.
        let library = library.canonicalize().unwrap_or(library);
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

    fn session(&self, model: &ModelFile, plan: &Plan) -> Result<Session, Trouble> {
        let plain = |error: ort::Error| Trouble::Model(error.to_string());
        // Builder errors carry the builder, which may not leave this thread.
        let built = |error: ort::Error<SessionBuilder>| Trouble::Model(error.to_string());
        // OpenVINO reads the graph as it was exported, and does its own work on it; but that a batch is
        // a number is for us to work into the graph.
        let level = match (plan.provider, &plan.batch) {
            (Provider::OpenVino, Some(batch)) if !batch.folded => GraphOptimizationLevel::Level1,
            (Provider::OpenVino, _) => GraphOptimizationLevel::Disable,
            _ => GraphOptimizationLevel::All,
        };
        let cores = available_parallelism().map_or(1, usize::from);
        let mut builder = Session::builder(&self.environment)
            .map_err(plain)?
            .with_intra_threads(cores)
            .map_err(built)?
            .with_optimization_level(level)
            .map_err(built)?
            // Sampled cameras leave the model idle most of the time; waiting threads that spin
            // would keep the cores busy then.
            .with_intra_op_spinning(false)
            .map_err(built)?;
        if let Some(FixedBatch { name, size, .. }) = &plan.batch {
            builder = builder.with_dimension_override(name, *size as i64).map_err(built)?;
        }
        builder = self.give(builder, plan).map_err(Trouble::Device)?;
        match model {
            ModelFile::Path(path) => builder.commit_from_file(path),
            ModelFile::Embedded(bytes) => builder.commit_from_memory(bytes),
            ModelFile::Made { bytes, folder } => {
                resident::commit(builder, bytes, folder.as_deref())
            }
        }
        .map_err(plain)
    }
}

/// `; ` and what is missing, for each.
fn list(missing: &[String]) -> String {
    missing.iter().map(|what| format!("; {what}")).collect()
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
            Some(TensorElementType::Uint8) => Kind::Uint8,
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
    let fault = |cause: String| EncodeError::Failed(format!("{batch}: {cause}"));
    let output = outputs.get(name).ok_or_else(|| fault(format!("no output {name}")))?;
    let values = floats(output).map_err(|error| fault(error.to_string()))?;
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

/// The values of an output of 32- or 16-bit floats.
fn floats<'a>(output: &'a DynValue) -> ort::Result<Cow<'a, [f32]>> {
    if output.dtype().tensor_type() == Some(TensorElementType::Float16) {
        let (_, values) = output.try_extract_tensor::<f16>()?;
        return Ok(values.iter().map(|value| value.to_f32()).collect());
    }
    output.try_extract_tensor::<f32>().map(|(_, values)| Cow::Borrowed(values))
}
