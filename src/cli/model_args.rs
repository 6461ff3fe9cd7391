//! `--bundle`, `--device` and `--model-dir`, which mean the same in every command.
//!
//! Also what every command does with them: open the bundle, load an encoder, make a prompt
//! embedder that loads the text model only when a prompt is not cached.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use tracing::warn;

use crate::clip::bundle::Bundle;
use crate::clip::cache::{PromptCache, PromptEmbedder, TextLoader, default_path};
use crate::clip::onnx::{OnnxImageEncoder, OnnxTextEncoder, Runtime};
use crate::clip::{EncodeError, TextEncoder};
use crate::config::Device;

/// Which model, and what runs it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Bundle: a name under the models folder, or a path (anything with a '/')
    #[arg(long, value_name = "BUNDLE", default_value = "mini")]
    pub bundle: String,
    /// What runs the model: auto, cpu, openvino, cuda:0, tensorrt:0
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: Device,
    /// Where bundles are looked for [default: /var/lib/seewhen/models and the user's data folder]
    #[arg(long, value_name = "FOLDER", env = "SEEWHEN_MODEL_DIR")]
    pub model_dir: Option<PathBuf>,
}

impl ModelArgs {
    /// Opens the bundle and logs what is odd about it.
    pub fn open(&self) -> Result<Bundle> {
        let bundle = Bundle::open(&self.bundle, self.model_dir.as_deref())?;
        for note in bundle.notes() {
            warn!(bundle = bundle.name(), "{note}");
        }
        Ok(bundle)
    }

    /// Loads the image model.
    pub fn image_encoder(&self, bundle: &Bundle, max_batch: usize) -> Result<OnnxImageEncoder> {
        Ok(OnnxImageEncoder::open(&Runtime::load()?, bundle, self.device, max_batch)?)
    }
}

/// Prompts of `bundle` through `cache`; the text model is loaded when it is first needed.
pub fn prompt_embedder(bundle: &Bundle, cache: PromptCache) -> PromptEmbedder {
    PromptEmbedder::new(bundle.digest(), cache, text_loader(bundle.clone()))
}

/// The cache at `path`, else at the default place; in memory where there is none.
pub fn prompt_cache(path: Option<&Path>) -> PromptCache {
    let place = path.map(Path::to_owned).or_else(default_path);
    place.map_or_else(PromptCache::in_memory, |place| PromptCache::open(&place))
}

fn text_loader(bundle: Bundle) -> TextLoader {
    let open = move || OnnxTextEncoder::open(&Runtime::load()?, &bundle);
    Box::new(move || {
        let encoder = open().map_err(|error| EncodeError(error.to_string()))?;
        Ok(Box::new(encoder) as Box<dyn TextEncoder + Send>)
    })
}

/// `auto`, `cpu`, `openvino`, `cuda`, `cuda:1`, `tensorrt`, `tensorrt:1`.
fn parse_device(text: &str) -> Result<Device> {
    let (kind, index) = text.split_once(':').unwrap_or((text, ""));
    let number = || {
        let parsed = if index.is_empty() { Ok(0) } else { index.parse() };
        parsed.with_context(|| format!("{index:?} is not the number of a device"))
    };
    Ok(match kind {
        "cuda" => Device::Cuda(number()?),
        "tensorrt" => Device::TensorRt(number()?),
        "auto" if text == kind => Device::Auto,
        "cpu" if text == kind => Device::Cpu,
        "openvino" if text == kind => Device::OpenVino,
        _ => anyhow::bail!("allowed are auto, cpu, openvino, cuda:0, tensorrt:0"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed() {
        assert_eq!(parse_device("auto").unwrap(), Device::Auto);
        assert_eq!(parse_device("cuda").unwrap(), Device::Cuda(0));
        assert_eq!(parse_device("tensorrt:2").unwrap(), Device::TensorRt(2));
        for bad in ["", "gpu", "cpu:1", "auto:", "cuda:x", "CPU"] {
            assert!(parse_device(bad).is_err(), "{bad:?}");
        }
    }
}
