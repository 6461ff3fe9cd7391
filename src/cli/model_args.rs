//! stub
use std::path::PathBuf;
use crate::config::{Device, ModelConfig, parse_device};
use crate::daemon::Overrides;
use crate::model::Fit;

#[derive(Debug, Clone, clap::Args)]
pub struct ModelArgs {
    #[arg(long)]
    bundle: Option<String>,
    #[arg(long, value_parser = parse_device)]
    device: Option<Device>,
    #[arg(long, env = "SEEWHEN_MODEL_DIR")]
    model_dir: Option<PathBuf>,
}
impl ModelArgs {
    pub fn overrides(&self) -> Overrides {
        Overrides { bundle: self.bundle.clone(), device: self.device, model_dir: self.model_dir.clone() }
    }
    pub fn config(&self) -> ModelConfig {
        let mut config = ModelConfig::default();
        self.overrides().apply(&mut config);
        config
    }
}
pub fn parse_fit(text: &str) -> Result<Fit, String> {
    match text { "crop" => Ok(Fit::Crop), "pad" => Ok(Fit::Pad), "stretch" => Ok(Fit::Stretch),
      other => Err(format!("{other:?} is not known; allowed are crop, pad, stretch")) }
}
