//! OpenAI's model files to bundles.
//!
//! Reads a `.pt` as OpenAI released them (TorchScript), or a state dictionary of the same
//! tensors, and writes a bundle: both models as ONNX graphs, and the settings and the tokenizer
//! that go with them. Nothing of the file is ever run: see [`pickle`]. Everything is written
//! into a folder beside the bundle's place, which gets the bundle's name when it is complete.

mod architecture;
mod archive;
mod bpe;
mod builder;
pub mod pickle;
mod reader;
mod resnet;
mod transformer;
mod writer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub use architecture::{Architecture, Text, Vision};
pub use bpe::tokenizer_json;
pub use builder::{Activation, Dtype};

use super::bundle::{FP16_MODEL, IMAGE_MODEL};
use super::checksums;
use super::proto::{FLOAT, Graph, INT32, ValueInfo};
use archive::Archive;
use builder::{Builder, Weight};

/// Mean and standard deviation of the pictures that CLIP was trained on, per colour
/// (`_transform` in OpenAI's code).
const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Why a file cannot become a bundle.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    #[error("{0}")]
    File(String),
    #[error("is no CLIP as OpenAI built them: {0}")]
    Architecture(String),
    #[error("{0} has values that are not finite, or not as many as its shape says")]
    Values(String),
    #[error("{0} cannot be written: {1}")]
    Write(String, io::Error),
    #[error(
        "there is a bundle {0} already; choose another name with --name, or remove that folder"
    )]
    Exists(String),
}

/// How to write the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub dtype: Dtype,
    /// Whether the image model is to be there in 16-bit floats as well.
    pub fp16_beside: bool,
    pub activation: Activation,
    /// Bytes of weights that may stay in a model file.
    pub most_inline: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dtype: Dtype::default(),
            fp16_beside: false,
            activation: Activation::default(),
            most_inline: writer::MOST_INLINE,
        }
    }
}

/// Reads `file` and makes the bundle `folder`, which must not exist yet.
///
/// # Errors
/// When the file is damaged, no CLIP, or asks for more than tensors, and when the bundle cannot
/// be written. Nothing is left behind then.
pub fn import(file: &Path, folder: &Path, options: Options) -> Result<Architecture, ImportError> {
    if folder.exists() {
        return Err(ImportError::Exists(folder.display().to_string()));
    }
    let mut archive = Archive::open(file)?;
    let architecture = Architecture::infer(&mut archive)?;
    let unfinished = Unfinished::beside(folder)?;
    bundle(&mut archive, &architecture, &unfinished.0, options)?;
    unfinished.finish(folder)?;
    Ok(architecture)
}

/// A folder that goes away unless it is finished.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(folder: &Path) -> Result<Self, ImportError> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.with_file_name(format!(".{name}.importing-{}", std::process::id()));
        let made = fs::create_dir_all(path.join("visual"))
            .and_then(|()| fs::create_dir_all(path.join("textual")));
        made.map_err(|error| written(&path, error))?;
        Ok(Self(path))
    }

    fn finish(self, folder: &Path) -> Result<(), ImportError> {
        fs::rename(&self.0, folder).map_err(|error| written(folder, error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it was finished.
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.0.display(), %error, "an unfinished bundle stays");
        }
    }
}

fn bundle(
    archive: &mut Archive,
    found: &Architecture,
    folder: &Path,
    options: Options,
) -> Result<(), ImportError> {
    let scale = logit_scale(archive)?;
    let tokenizer = tokenizer_json(found.text.vocabulary).ok_or_else(|| {
        let rows = found.text.vocabulary;
        ImportError::Architecture(format!("its {rows} tokens are not those of CLIP's tokenizer"))
    })?;
    let visual = image_graph(archive, found, options)?;
    let textual = text_graph(archive, found, options)?;
    let most = options.most_inline;
    writer::write(&folder.join(IMAGE_MODEL), visual, archive, most)?;
    writer::write(&folder.join("textual/model.onnx"), textual, archive, most)?;
    if options.fp16_beside {
        let half = image_graph(archive, found, Options { dtype: Dtype::Fp16, ..options })?;
        writer::write(&folder.join(FP16_MODEL), half, archive, most)?;
    }
    let files = [
        ("config.json", config(found, scale, options)),
        ("visual/preprocess_cfg.json", preprocess(found.size)),
        ("textual/tokenizer.json", tokenizer),
    ];
    for (name, value) in files {
        let path = folder.join(name);
        let text = format!("{value:#}\n");
        fs::write(&path, text).map_err(|error| written(&path, error))?;
    }
    checksums::write(folder).map_err(|error| written(folder, error))
}

/// What cosines are multiplied with: the model learned its logarithm.
fn logit_scale(archive: &mut Archive) -> Result<f64, ImportError> {
    let values = archive.values("logit_scale")?;
    let [logarithm] = values.as_slice() else {
        return Err(ImportError::Values("logit_scale".to_owned()));
    };
    let scale = f64::from(*logarithm).exp();
    if !scale.is_finite() || scale <= 0.0 {
        return Err(ImportError::Values("logit_scale".to_owned()));
    }
    Ok(scale)
}

type Written = (Graph, Vec<Weight>);

fn image_graph(
    archive: &Archive,
    found: &Architecture,
    options: Options,
) -> Result<Written, ImportError> {
    let mut builder = Builder::new(archive, options.dtype, options.activation);
    let picture = builder.narrow("image");
    let features = match &found.vision {
        vision @ Vision::Vit { patch, .. } => {
            let sizes = (found.size / patch, found.embed_dim);
            transformer::vit(&mut builder, &picture, vision, sizes)?
        }
        vision @ Vision::ResNet { .. } => {
            let sizes = (found.size / architecture::RESNET_STRIDE, found.embed_dim);
            resnet::resnet(&mut builder, &picture, vision, sizes)?
        }
    };
    builder.unit_length(&features, "embedding");
    let input = ValueInfo::batched("image", FLOAT, &[3, found.size, found.size]);
    Ok(builder.finish("visual", input, embedding(found)))
}

fn text_graph(
    archive: &Archive,
    found: &Architecture,
    options: Options,
) -> Result<Written, ImportError> {
    let mut builder = Builder::new(archive, options.dtype, options.activation);
    let features = transformer::text(&mut builder, "text", &found.text, found.embed_dim)?;
    builder.unit_length(&features, "embedding");
    let input = ValueInfo::batched("text", INT32, &[found.text.context]);
    Ok(builder.finish("textual", input, embedding(found)))
}

fn embedding(found: &Architecture) -> ValueInfo {
    ValueInfo::batched("embedding", FLOAT, &[found.embed_dim])
}

fn config(found: &Architecture, scale: f64, options: Options) -> Value {
    let vision = match &found.vision {
        Vision::Vit { width, layers, patch, .. } => {
            json!({"image_size": found.size, "layers": layers, "width": width, "patch_size": patch})
        }
        Vision::ResNet { width, blocks, .. } => {
            json!({"image_size": found.size, "layers": blocks, "width": width, "patch_size": null})
        }
    };
    let Text { width, layers, heads, context, vocabulary } = found.text;
    json!({
        "embed_dim": found.embed_dim,
        "logit_scale": scale,
        "quick_gelu": options.activation == Activation::QuickGelu,
        "vision_cfg": vision,
        "text_cfg": {"context_length": context, "vocab_size": vocabulary, "width": width,
                     "heads": heads, "layers": layers},
    })
}

fn preprocess(size: usize) -> Value {
    json!({"size": size, "mode": "RGB", "mean": MEAN, "std": STD, "interpolation": "bicubic",
           "resize_mode": "shortest", "fill_color": 0})
}

fn written(path: &Path, error: io::Error) -> ImportError {
    ImportError::Write(path.display().to_string(), error)
}
