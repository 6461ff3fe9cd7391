//! Bundles: the files of one model, found, read and checked.
//!
//! A bundle is a folder in the layout of Immich's ONNX exports: `config.json`,
//! `visual/model.onnx`, `visual/preprocess_cfg.json`, `textual/model.onnx`,
//! `textual/tokenizer.json`. Everything but the models themselves is read and checked here;
//! running them is left to [`super::onnx`]. With the feature `embedded-bundle` a copy of
//! `mini` is part of the program.

mod fields;
mod place;
mod settings;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::preprocess::PreprocessSpec;
use super::prompts::ModelInfo;
use super::proto::ValueInfo;
use super::proto::inputs::{batch_name, inputs};
use crate::config::Precision;
use fields::Fields;
use place::{Place, find};
use settings::Settings;

const CONFIG: &str = "config.json";
const PREPROCESS: &str = "visual/preprocess_cfg.json";
/// The image model.
pub const IMAGE_MODEL: &str = "visual/model.onnx";
/// The image model in 8-bit integers.
pub const INT8_MODEL: &str = "visual/model.int8.onnx";
/// The image model in 16-bit floats.
pub const FP16_MODEL: &str = "visual/model.fp16.onnx";
const TEXT_MODEL: &str = "textual/model.onnx";
const TOKENIZER: &str = "textual/tokenizer.json";
const TOKENIZER_CONFIG: &str = "textual/tokenizer_config.json";

fn file_of(precision: Precision) -> &'static str {
    match precision {
        Precision::Int8 => INT8_MODEL,
        Precision::Fp16 => FP16_MODEL,
        Precision::Auto | Precision::Original | Precision::Bf16 => IMAGE_MODEL,
    }
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(
        "no bundle {name:?} in {}; `seewhen model list` shows what there is, `seewhen model pull \
         {name}` fetches it, and a value with '/' is taken as a path", looked.join(", ")
    )]
    NotFound { name: String, looked: Vec<String> },
    #[error("bundle {bundle}: {file} is missing; {advice}")]
    Missing { bundle: String, file: String, advice: String },
    #[error("bundle {bundle}: {file} cannot be read: {source}")]
    Read { bundle: String, file: String, source: io::Error },
    #[error(
        "bundle {bundle}: {file} is not JSON: {cause}; `seewhen model verify` checks the files"
    )]
    Json { bundle: String, file: String, cause: serde_json::Error },
    #[error("bundle {bundle}: {file}: {key} is {found}; allowed: {allowed}")]
    Value { bundle: String, file: String, key: String, found: String, allowed: String },
}

/// A model, ready to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFile {
    Path(PathBuf),
    Embedded(&'static [u8]),
    /// Made of one of the others, without becoming a file.
    Made {
        bytes: Vec<u8>,
        /// Where weights in files of their own are.
        folder: Option<PathBuf>,
    },
}

impl ModelFile {
    /// The whole file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Path(path) => std::fs::read(path).map(Cow::Owned),
            Self::Embedded(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Made { bytes, .. } => Ok(Cow::Borrowed(bytes)),
        }
    }

    /// Where weights in files of their own are.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Path(path) => path.parent().map(Path::to_owned),
            Self::Embedded(_) => None,
            Self::Made { folder, .. } => folder.clone(),
        }
    }

    /// What its batch is called.
    ///
    /// # Errors
    /// When it cannot be read, is not ONNX or has a batch without a name.
    pub fn batch_name(&self) -> Result<String, String> {
        let first = self.first_input()?;
        batch_name(&first).map(str::to_owned).ok_or_else(|| "its batch has no name".to_owned())
    }

    /// What its first input is called.
    ///
    /// # Errors
    /// When it cannot be read, is not ONNX or takes nothing.
    pub fn input_name(&self) -> Result<String, String> {
        Ok(self.first_input()?.name)
    }

    fn first_input(&self) -> Result<ValueInfo, String> {
        let bytes = self.bytes().map_err(|error| error.to_string())?;
        let inputs = inputs(&bytes).map_err(|error| error.to_string())?;
        inputs.into_iter().next().ok_or_else(|| "it has no input".to_owned())
    }
}

/// One bundle whose settings have been checked.
#[derive(Debug, Clone)]
pub struct Bundle {
    name: String,
    place: Place,
    settings: Settings,
    preprocess: PreprocessSpec,
    digest: String,
    precision: Precision,
    /// In place of the bundle's own.
    trial: Option<PathBuf>,
}

impl Bundle {
    /// Opens a bundle by path (a value with '/') or by name: in `model_dir` where given, else
    /// in `/var/lib/seewhen/models` and `$XDG_DATA_HOME/seewhen/models`. "mini" falls back to
    /// the copy in the program.
    ///
    /// # Errors
    /// When it is not found, and when one of its files is missing, broken or has a value that
    /// cannot be used. The text model may be absent: see [`text_model`](Self::text_model).
    pub fn open(name_or_path: &str, model_dir: Option<&Path>) -> Result<Self, BundleError> {
        let (name, place) = find(name_or_path, model_dir)?;
        let settings = Settings::read(&Fields::new(&name, CONFIG, &place.bytes(&name, CONFIG)?)?)?;
        let bytes = place.bytes(&name, PREPROCESS)?;
        let preprocess =
            settings::preprocess(&Fields::new(&name, PREPROCESS, &bytes)?, settings.rounding)?;
        let digest = place.digest(&name)?;
        let (precision, trial) = (Precision::Auto, None);
        Ok(Self { name, place, settings, preprocess, digest, precision, trial })
    }

    /// The same bundle, with the image model of this precision.
    pub fn at(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same bundle with an image model that is not part of it yet.
    pub fn trying(self, model: PathBuf) -> Self {
        Self { trial: Some(model), ..self }
    }

    /// What was asked for with [`at`](Self::at).
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether there is an image model to run in `precision`.
    pub fn has(&self, precision: Precision) -> bool {
        match file_of(precision) {
            IMAGE_MODEL => true,
            other => self.folder().is_some_and(|folder| folder.join(other).is_file()),
        }
    }

    /// The file of the image model, as errors name it.
    pub fn image_file(&self) -> &'static str {
        file_of(self.precision)
    }

    /// Whether "mini" is part of the program.
    pub fn built_in() -> bool {
        place::built_in()
    }

    /// As payloads and errors show it: the name, or the last part of the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder, or that it is the embedded one.
    pub fn place(&self) -> String {
        self.place.describe()
    }

    /// The folder, of a bundle that is one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Embedded => None,
        }
    }

    pub fn preprocess(&self) -> &PreprocessSpec {
        &self.preprocess
    }

    /// Tokens that the text model reads; `None` when `config.json` does not say.
    pub fn context_length(&self) -> Option<usize> {
        self.settings.context_length
    }

    /// Values in an embedding; `None` when `config.json` does not say.
    pub fn embed_dim(&self) -> Option<usize> {
        self.settings.embed_dim
    }

    /// Name and scale, for [`super::prompts::compile`] and scoring.
    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            name: self.name.as_str().into(),
            logit_scale: self.settings.logit_scale,
            logit_bias: self.settings.logit_bias,
        }
    }

    /// What is odd about the bundle, without being an error.
    pub fn notes(&self) -> &[String] {
        &self.settings.notes
    }

    /// SHA-256 over `config.json`, `preprocess_cfg.json`, `tokenizer.json` and the image model,
    /// in hex: what prompt embeddings are cached under.
    ///
    /// The text model is left out so that a small box whose prompts are all cached can do
    /// without that file (it is often the larger half). The image model stands in for it: two
    /// halves of one training belong together.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The image model of the precision that was asked for.
    ///
    /// # Errors
    /// When its file is missing.
    pub fn image_model(&self) -> Result<ModelFile, BundleError> {
        if let Some(model) = &self.trial {
            return Ok(ModelFile::Path(model.clone()));
        }
        let advice = match (self.precision, self.folder()) {
            (Precision::Int8, Some(_)) => {
                "`seewhen model quantize` makes it; or set precision = \"original\""
            }
            (Precision::Fp16, Some(_)) => {
                "`seewhen model import --dtype both` makes it; or set precision = \"original\""
            }
            (Precision::Int8 | Precision::Fp16, None) => {
                "the built-in bundle has no such model: set precision = \"original\""
            }
            _ => "copy the bundle again",
        };
        self.place.model(&self.name, self.image_file(), advice)
    }

    /// # Errors
    /// When `textual/model.onnx` is missing, which is fine as long as every prompt is cached.
    pub fn text_model(&self) -> Result<ModelFile, BundleError> {
        self.place.model(&self.name, TEXT_MODEL, "it is needed for prompts that are not cached")
    }

    /// The contents of `textual/tokenizer.json`.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn tokenizer(&self) -> Result<Cow<'static, [u8]>, BundleError> {
        self.place.bytes(&self.name, TOKENIZER)
    }

    /// The token that pads, by `textual/tokenizer_config.json` where there is one.
    pub fn pad_token(&self) -> Option<String> {
        let bytes = self.place.bytes(&self.name, TOKENIZER_CONFIG).ok()?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        let token = value.get("pad_token")?;
        // Written as a text, or as an object with the text in `content`.
        token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests;
