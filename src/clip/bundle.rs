//! Bundles: the files of one model, found, read and checked.
//!
//! A bundle is a folder in the layout of Immich's ONNX exports: `config.json`,
//! `visual/model.onnx`, `visual/preprocess_cfg.json`, `textual/model.onnx`,
//! `textual/tokenizer.json`. Everything but the models themselves is read and checked here;
//! running them is left to [`super::onnx`]. With the feature `embedded-bundle` a copy of
//! `mini` is part of the program.

mod fields;
mod settings;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::preprocess::PreprocessSpec;
use super::prompts::ModelInfo;
use fields::Fields;
use settings::Settings;

const CONFIG: &str = "config.json";
const PREPROCESS: &str = "visual/preprocess_cfg.json";
const IMAGE_MODEL: &str = "visual/model.onnx";
const TEXT_MODEL: &str = "textual/model.onnx";
const TOKENIZER: &str = "textual/tokenizer.json";
const TOKENIZER_CONFIG: &str = "textual/tokenizer_config.json";

/// Where packages put bundles.
const SYSTEM_FOLDER: &str = "/var/lib/seewhen/models";

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
}

/// One bundle whose settings have been checked.
#[derive(Debug, Clone)]
pub struct Bundle {
    name: String,
    place: Place,
    settings: Settings,
    preprocess: PreprocessSpec,
    digest: String,
}

#[derive(Debug, Clone)]
enum Place {
    Folder(PathBuf),
    Embedded,
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
        Ok(Self { name, place, settings, preprocess, digest })
    }

    /// As payloads and errors show it: the name, or the last part of the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder, or that it is the embedded one.
    pub fn place(&self) -> String {
        self.place.describe()
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

    /// # Errors
    /// When `visual/model.onnx` is missing.
    pub fn image_model(&self) -> Result<ModelFile, BundleError> {
        self.place.model(&self.name, IMAGE_MODEL, "copy the bundle again")
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

impl Place {
    fn describe(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Embedded => "in the program".to_owned(),
        }
    }

    fn bytes(&self, bundle: &str, file: &str) -> Result<Cow<'static, [u8]>, BundleError> {
        let mut bytes = Vec::new();
        match self {
            Self::Embedded => {
                embedded(file).map(Cow::Borrowed).ok_or_else(|| missing(bundle, file))
            }
            Self::Folder(folder) => File::open(folder.join(file))
                .and_then(|mut opened| opened.read_to_end(&mut bytes))
                .map(|_| Cow::Owned(bytes))
                .map_err(|error| unreadable(bundle, file, error)),
        }
    }

    fn model(&self, bundle: &str, file: &str, advice: &str) -> Result<ModelFile, BundleError> {
        let found = match self {
            Self::Embedded => embedded(file).map(ModelFile::Embedded),
            Self::Folder(folder) => {
                Some(folder.join(file)).filter(|path| path.is_file()).map(ModelFile::Path)
            }
        };
        found.ok_or_else(|| BundleError::Missing {
            bundle: bundle.to_owned(),
            file: file.to_owned(),
            advice: advice.to_owned(),
        })
    }

    fn digest(&self, bundle: &str) -> Result<String, BundleError> {
        let mut hash = Sha256::new();
        for file in [CONFIG, PREPROCESS, TOKENIZER, IMAGE_MODEL] {
            let length = match self {
                Self::Embedded => {
                    let bytes = embedded(file).ok_or_else(|| missing(bundle, file))?;
                    hash.update(bytes);
                    bytes.len() as u64
                }
                Self::Folder(folder) => File::open(folder.join(file))
                    .and_then(|opened| hash_file(opened, &mut hash))
                    .map_err(|error| unreadable(bundle, file, error))?,
            };
            // The length keeps bytes from moving between neighbouring files unnoticed.
            hash.update(length.to_le_bytes());
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn hash_file(mut file: File, hash: &mut Sha256) -> io::Result<u64> {
    let mut block = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(length);
        }
        hash.update(&block[..read]);
        length += read as u64;
    }
}

fn missing(bundle: &str, file: &str) -> BundleError {
    BundleError::Missing {
        bundle: bundle.to_owned(),
        file: file.to_owned(),
        advice: "a bundle is a folder with config.json, visual/model.onnx, \
                 visual/preprocess_cfg.json, textual/model.onnx and textual/tokenizer.json"
            .to_owned(),
    }
}

fn unreadable(bundle: &str, file: &str, source: io::Error) -> BundleError {
    if source.kind() == io::ErrorKind::NotFound {
        return missing(bundle, file);
    }
    BundleError::Read { bundle: bundle.to_owned(), file: file.to_owned(), source }
}

fn find(name: &str, model_dir: Option<&Path>) -> Result<(String, Place), BundleError> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        let last = path.file_name().map(|last| last.to_string_lossy().into_owned());
        if path.is_dir() {
            return Ok((last.unwrap_or_else(|| name.to_owned()), Place::Folder(path)));
        }
        return Err(BundleError::NotFound { name: name.to_owned(), looked: vec![name.to_owned()] });
    }
    let folders = model_dir.map_or_else(default_folders, |folder| vec![folder.to_owned()]);
    let is_name = !matches!(name, "" | "." | "..");
    let found =
        folders.iter().map(|folder| folder.join(name)).find(|path| is_name && path.is_dir());
    match found {
        Some(path) => Ok((name.to_owned(), Place::Folder(path))),
        None if name == "mini" && embedded(CONFIG).is_some() => {
            Ok((name.to_owned(), Place::Embedded))
        }
        None => Err(BundleError::NotFound {
            name: name.to_owned(),
            looked: folders.iter().map(|folder| folder.display().to_string()).collect(),
        }),
    }
}

fn default_folders() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let data = variable("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    let user = data.map(|data| data.join("seewhen/models"));
    [Some(PathBuf::from(SYSTEM_FOLDER)), user].into_iter().flatten().collect()
}

#[cfg(feature = "embedded-bundle")]
fn embedded(file: &str) -> Option<&'static [u8]> {
    macro_rules! of_mini {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/mini/", $name))
        };
    }
    Some(match file {
        CONFIG => of_mini!("config.json"),
        PREPROCESS => of_mini!("visual/preprocess_cfg.json"),
        IMAGE_MODEL => of_mini!("visual/model.onnx"),
        TEXT_MODEL => of_mini!("textual/model.onnx"),
        TOKENIZER => of_mini!("textual/tokenizer.json"),
        TOKENIZER_CONFIG => of_mini!("textual/tokenizer_config.json"),
        _ => return None,
    })
}

#[cfg(not(feature = "embedded-bundle"))]
fn embedded(_file: &str) -> Option<&'static [u8]> {
    None
}

#[cfg(test)]
mod tests;
