//! Where a bundle's files are: a folder, or the program itself.
//!
//! Finds bundles by name, reads their files and computes their digest.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{
    BundleError, CONFIG, IMAGE_MODEL, ModelFile, PREPROCESS, TEXT_MODEL, TOKENIZER,
    TOKENIZER_CONFIG,
};
use crate::clip::{catalogue, checksums, store};

#[derive(Debug, Clone)]
pub(super) enum Place {
    Folder(PathBuf),
    Embedded,
}

impl Place {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Embedded => "in the program".to_owned(),
        }
    }

    pub(super) fn bytes(
        &self,
        bundle: &str,
        file: &str,
    ) -> Result<Cow<'static, [u8]>, BundleError> {
        let mut bytes = Vec::new();
        match self {
            Self::Embedded => {
                embedded(file).map(Cow::Borrowed).ok_or_else(|| missing(bundle, file))
            }
            Self::Folder(folder) => File::open(path(folder, file))
                .and_then(|mut opened| opened.read_to_end(&mut bytes))
                .map(|_| Cow::Owned(bytes))
                .map_err(|error| unreadable(bundle, file, error)),
        }
    }

    pub(super) fn model(
        &self,
        bundle: &str,
        file: &str,
        advice: &str,
    ) -> Result<ModelFile, BundleError> {
        let found = match self {
            Self::Embedded => embedded(file).map(ModelFile::Embedded),
            Self::Folder(folder) => {
                Some(path(folder, file)).filter(|path| path.is_file()).map(ModelFile::Path)
            }
        };
        found.ok_or_else(|| BundleError::Missing {
            bundle: bundle.to_owned(),
            file: file.to_owned(),
            advice: advice.to_owned(),
        })
    }

    pub(super) fn digest(&self, bundle: &str) -> Result<String, BundleError> {
        let mut hash = Sha256::new();
        for file in [CONFIG, PREPROCESS, TOKENIZER, IMAGE_MODEL] {
            let length = match self {
                Self::Embedded => {
                    let bytes = embedded(file).ok_or_else(|| missing(bundle, file))?;
                    hash.update(bytes);
                    bytes.len() as u64
                }
                Self::Folder(folder) => File::open(path(folder, file))
                    .and_then(|opened| checksums::update(&mut hash, opened))
                    .map_err(|error| unreadable(bundle, file, error))?,
            };
            // The length keeps bytes from moving between neighbouring files unnoticed.
            hash.update(length.to_le_bytes());
        }
        Ok(checksums::hex(&hash.finalize()))
    }
}

/// Where `file` of our layout lies: there, or where transformers.js' exports have it. Of their
/// variants the most precise one that is there is taken.
fn path(folder: &Path, file: &str) -> PathBuf {
    let ours = folder.join(file);
    if ours.exists() {
        return ours;
    }
    let (stem, single) = match file {
        IMAGE_MODEL => (Some("onnx/vision_model"), None),
        TEXT_MODEL => (Some("onnx/text_model"), None),
        PREPROCESS => (None, Some("preprocessor_config.json")),
        TOKENIZER => (None, Some("tokenizer.json")),
        TOKENIZER_CONFIG => (None, Some("tokenizer_config.json")),
        _ => (None, None),
    };
    let variants = ["", "_fp16", "_quantized", "_int8", "_uint8"];
    let models = stem.into_iter().flat_map(|stem| variants.map(|v| format!("{stem}{v}.onnx")));
    let theirs = models.chain(single.map(str::to_owned)).map(|name| folder.join(name));
    theirs.into_iter().find(|path| path.exists()).unwrap_or(ours)
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

pub(super) fn find(name: &str, model_dir: Option<&Path>) -> Result<(String, Place), BundleError> {
    // OpenAI's own names have a slash; their folders cannot.
    let name = catalogue::find(name).map_or(name, |model| model.bundle());
    if name.contains('/') {
        let path = PathBuf::from(name);
        let last = path.file_name().map(|last| last.to_string_lossy().into_owned());
        if path.is_dir() {
            return Ok((last.unwrap_or_else(|| name.to_owned()), Place::Folder(path)));
        }
        return Err(BundleError::NotFound { name: name.to_owned(), looked: vec![name.to_owned()] });
    }
    let folders = store::folders(model_dir);
    let is_name = !matches!(name, "" | "." | "..");
    let found =
        folders.iter().map(|folder| folder.join(name)).find(|path| is_name && path.is_dir());
    match found {
        Some(path) => Ok((name.to_owned(), Place::Folder(path))),
        None if name == "mini" && built_in() => Ok((name.to_owned(), Place::Embedded)),
        None => Err(BundleError::NotFound {
            name: name.to_owned(),
            looked: folders.iter().map(|folder| folder.display().to_string()).collect(),
        }),
    }
}

/// Whether "mini" is part of this program.
pub(super) fn built_in() -> bool {
    embedded(CONFIG).is_some()
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
