//! `seewhen model import`: OpenAI's `.pt` files to bundles.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{Conversion, Folder, checked_name, name_of};
use crate::cli::Outcome;
use crate::clip::import::{self, Activation};

const EXAMPLES: &str = "\
Examples:
  seewhen model import ViT-B-32.pt
  seewhen model import finetuned.pt --name porch --dtype fp16
  seewhen model import laion.pt --activation gelu

Reads the files that OpenAI released (TorchScript), and state dictionaries of the same layout.
Nothing in the file is run; what is not a tensor or a plain container is refused.";

/// Make a bundle of OpenAI's model file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The model file
    file: PathBuf,
    /// Name of the bundle [default: the file's, without its ending]
    #[arg(long, value_parser = checked_name)]
    name: Option<String>,
    /// quick-gelu, as in OpenAI's models, or gelu, as in most of open_clip's
    #[arg(long, default_value = "quick-gelu", value_parser = activation)]
    activation: Activation,
    #[command(flatten)]
    conversion: Conversion,
    #[command(flatten)]
    folder: Folder,
}

fn activation(text: &str) -> Result<Activation, String> {
    match text {
        "quick-gelu" => Ok(Activation::QuickGelu),
        "gelu" => Ok(Activation::Gelu),
        _ => Err("allowed are quick-gelu and gelu".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome> {
    let name = args.name.clone().map_or_else(|| name_of(&args.file), Ok)?;
    let folder = args.folder.writable()?.join(&name);
    let started = Instant::now();
    let options = args.conversion.options(args.activation);
    let found = import::import(&args.file, &folder, options)
        .with_context(|| args.file.display().to_string())?;
    writeln!(
        io::stderr(),
        "{name}: {}, pictures of {} pixels, {} values an embedding; in {} after {:.1} s",
        found.describe(),
        found.size,
        found.embed_dim,
        folder.display(),
        started.elapsed().as_secs_f64()
    )?;
    Ok(Outcome::Done)
}
