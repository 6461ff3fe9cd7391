//! `seewhen model`: bundles listed, fetched, imported and verified.

pub mod import;
pub mod list;
pub mod pull;
pub mod quantize;
pub mod verify;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Outcome;
use crate::clip::import::{Activation, Dtype, Options};
use crate::clip::store;

/// List, fetch, import and verify models.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Pull(pull::Args),
    Import(import::Args),
    Quantize(quantize::Args),
    Verify(verify::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome> {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Pull(args) => pull::run(args),
        Command::Import(args) => import::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Verify(args) => verify::run(args),
    }
}

/// Where bundles are.
#[derive(Debug, clap::Args)]
pub struct Folder {
    /// Where bundles are [default: /var/lib/seewhen/models, else the user's data folder]
    #[arg(long, value_name = "FOLDER", env = "SEEWHEN_MODEL_DIR")]
    model_dir: Option<PathBuf>,
}

impl Folder {
    fn path(&self) -> Option<&Path> {
        self.model_dir.as_deref()
    }

    /// Where a new bundle goes.
    fn writable(&self) -> Result<PathBuf> {
        store::writable(self.path()).map_err(|(folder, error)| {
            let folder = folder.display();
            anyhow::Error::new(error).context(format!("{folder} cannot be written; --model-dir"))
        })
    }
}

/// How a model file becomes a bundle.
#[derive(Debug, clap::Args)]
pub struct Conversion {
    /// Precision of the bundle: fp32, fp16 (half the size; for GPUs), or both (the image model in
    /// fp16 beside the other, for whichever the device likes)
    #[arg(long, value_name = "DTYPE", default_value = "fp32", value_parser = dtype)]
    dtype: (Dtype, bool),
}

impl Conversion {
    fn options(&self, activation: Activation) -> Options {
        let (dtype, fp16_beside) = self.dtype;
        Options { dtype, fp16_beside, activation, ..Options::default() }
    }
}

/// What is written, and whether the image model is written in fp16 too.
fn dtype(text: &str) -> Result<(Dtype, bool), String> {
    match text {
        "fp32" => Ok((Dtype::Fp32, false)),
        "fp16" => Ok((Dtype::Fp16, false)),
        "both" => Ok((Dtype::Fp32, true)),
        _ => Err("allowed are fp32, fp16 and both".to_owned()),
    }
}

/// Refuses names that are no folder's.
fn checked_name(name: &str) -> Result<String, String> {
    if store::is_name(name) {
        Ok(name.to_owned())
    } else {
        Err("a name has letters, digits, '-', '_', '.', '@' or '+'".to_owned())
    }
}

/// "338 MB".
fn size(bytes: u64) -> String {
    match bytes {
        ..10_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// The last part of a path without its ending, as a name.
fn name_of(path: &Path) -> Result<String> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stem = stem.filter(|stem| store::is_name(stem));
    stem.with_context(|| format!("{} gives no name for a bundle; use --name", path.display()))
}
