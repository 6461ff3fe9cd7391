//! `seewhen run`: the daemon.

use std::path::PathBuf;

use super::model_args::ModelArgs;
use super::{Outcome, heap};
use crate::daemon;

/// Run the daemon: watch the configured cameras and publish events over MQTT.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Signals: SIGTERM and SIGINT stop it, SIGHUP reads the configuration again.

Examples:
  seewhen run
  seewhen run --config porch.toml
  SEEWHEN_LOG=debug seewhen run --config porch.toml
  SEEWHEN_MQTT__URL=mqtt://broker.lan seewhen run")]
pub struct Args {
    /// The configuration file
    #[arg(long, short, default_value = "/etc/seewhen/seewhen.toml", env = "SEEWHEN_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(args: Args) -> anyhow::Result<Outcome> {
    heap::share(std::env::args_os());
    let overrides = args.model.overrides();
    daemon::run(daemon::Options { config: args.config, overrides })?;
    Ok(Outcome::Done)
}
