//! `seewhen embed`: embeddings of texts, or the prompt cache of a configuration.
//!
//! With texts, prints each with its token ids (without padding) and its embedding. With
//! `--config`, writes the embeddings of all its prompts to the prompt cache, so that another
//! machine can run without the text model.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Outcome;
use super::model_args::ModelArgs;
use crate::clip::TextEncoder as _;
use crate::clip::prompts::{self, PromptSource as _};
use crate::daemon::load_config;
use crate::daemon::model::Model;
use crate::model::Embedding;

const EXAMPLES: &str = "\
Examples:
  seewhen embed \"a photo of a cat\" --json
  seewhen embed --config seewhen.toml
  seewhen embed --config seewhen.toml --output prompts.json

A prompt cache that was written elsewhere goes to the place that `prompt_cache` in [model]
names; textual/model.onnx is then not needed.";

/// Compute embeddings of texts, or of all prompts of a configuration
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Texts to embed, as they are
    #[arg(required_unless_present = "config", value_name = "TEXT")]
    texts: Vec<String>,
    /// Write the prompt cache of this configuration; --bundle wins over its bundle
    #[arg(long, value_name = "FILE", conflicts_with_all = ["texts", "json"])]
    config: Option<PathBuf>,
    /// Where to write the prompt cache [default: as configured, else the default place]
    #[arg(long, value_name = "FILE", requires = "config")]
    output: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome> {
    match &args.config {
        Some(path) => write_cache(args, path)?,
        None => print(args)?,
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    ids: Vec<u32>,
    embedding: &'a [f32],
}

fn print(args: &Args) -> Result<()> {
    let mut encoder = Model::load(&args.model.config())?.text_encoder()?;
    let embeddings = encoder.encode(&args.texts)?;
    let mut out = io::stdout().lock();
    for (text, Embedding(embedding)) in args.texts.iter().zip(&embeddings) {
        let tokens = encoder.tokenizer().encode(text)?;
        if tokens.truncated {
            let most = encoder.tokenizer().length();
            writeln!(
                io::stderr(),
                "warning: {text:?} is longer than {most} tokens; its end is cut off"
            )?;
        }
        let line = Line { text, ids: tokens.text_ids(), embedding };
        if args.json {
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)?;
        } else {
            table(&mut out, &line)?;
        }
    }
    Ok(out.flush()?)
}

/// The text, its ids, and the embedding in lines of eight.
fn table(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    writeln!(out, "{}", line.text)?;
    let ids: Vec<String> = line.ids.iter().map(ToString::to_string).collect();
    writeln!(out, "  ids: {}", ids.join(" "))?;
    for values in line.embedding.chunks(8) {
        let values: Vec<String> = values.iter().map(|value| format!("{value:9.6}")).collect();
        writeln!(out, "  {}", values.join(" "))?;
    }
    Ok(())
}

fn write_cache(args: &Args, path: &Path) -> Result<()> {
    let mut config = load_config(path, &args.model.overrides())?;
    if args.output.is_some() {
        config.model.prompt_cache.clone_from(&args.output);
    }
    let model = Model::load(&config.model)?;
    let place = model.cache().context(
        "there is no default place for the prompt cache, because neither STATE_DIRECTORY nor \
         HOME is set; use --output FILE",
    )?;
    let mut embedder = model.embedder();
    let prompts = prompts::all(&config.watches);
    embedder.embeddings(&prompts)?;
    // Also when nothing was missing: --output may name a new file.
    embedder
        .save()
        .with_context(|| format!("the prompt cache {} cannot be written", place.display()))?;
    let (count, name) = (prompts.len(), model.bundle().name());
    writeln!(io::stderr(), "{count} prompts of bundle {name} are in {}", place.display())?;
    Ok(())
}
