//! Arguments that mean the same in every command: the model's, `--fit` and `--template`.

use std::path::PathBuf;

use crate::config::{Device, ModelConfig, Precision, parse_device, parse_precision};
use crate::daemon::Overrides;
use crate::model::Fit;

/// Which model, and what runs it. Wins over a configuration.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Bundle: a name under the models folder, or a path (anything with a '/') [default: mini]
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<String>,
    /// What runs the model: auto, cpu, openvino, cuda:N or tensorrt:N [default: auto]
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    device: Option<Device>,
    /// Which of the bundle's image models: auto, original, int8, fp16 or bf16 [default: auto]
    #[arg(long, value_name = "PRECISION", value_parser = parse_precision)]
    precision: Option<Precision>,
    /// Where bundles are looked for [default: /var/lib/seewhen/models and the user's data folder]
    #[arg(long, value_name = "FOLDER", env = "SEEWHEN_MODEL_DIR")]
    model_dir: Option<PathBuf>,
}

impl ModelArgs {
    /// For commands that read a configuration.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            bundle: self.bundle.clone(),
            device: self.device,
            precision: self.precision,
            model_dir: self.model_dir.clone(),
        }
    }

    /// For commands that read none.
    pub fn config(&self) -> ModelConfig {
        let mut config = ModelConfig::default();
        self.overrides().apply(&mut config);
        config
    }
}

/// `crop`, `pad` or `stretch`, as in a configuration.
pub fn parse_fit(text: &str) -> Result<Fit, String> {
    match text {
        "crop" => Ok(Fit::Crop),
        "pad" => Ok(Fit::Pad),
        "stretch" => Ok(Fit::Stretch),
        _ => Err("allowed are crop, pad and stretch".to_owned()),
    }
}

/// A sentence with one place for the prompt.
pub fn parse_template(text: &str) -> Result<String, String> {
    if text.matches("{}").count() == 1 {
        Ok(text.to_owned())
    } else {
        Err("a template has one {}, where the prompt goes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_one_place_for_the_prompt() {
        assert!(parse_template("a photo of {}").is_ok());
        assert!(parse_template("a photo").is_err());
        assert!(parse_template("{} and {}").is_err());
    }
}
