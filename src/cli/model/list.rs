//! `seewhen model list`: which models are known, and which are here.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use super::{Folder, size};
use crate::cli::Outcome;
use crate::clip::bundle::Bundle;
use crate::clip::catalogue::{self, RELEASED};
use crate::clip::store::{self, Installed};

const EXAMPLES: &str = "\
Examples:
  seewhen model list
  seewhen model list --json

SPEED is how much there is to compute for one picture: fast is up to twice ViT-B/32, medium up to
six times, slow up to twenty, very slow more.";

/// List the models that are here and those that can be pulled
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Serialize)]
struct Line {
    /// As `--bundle` takes it.
    bundle: String,
    /// OpenAI's name, where it has one.
    name: Option<&'static str>,
    here: bool,
    folder: Option<String>,
    /// On disk when it is here, else of the download.
    bytes: u64,
    speed: Option<&'static str>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut out = io::stdout().lock();
    let lines = lines(args);
    if args.json {
        for line in &lines {
            serde_json::to_writer(&mut out, line)?;
            writeln!(out)?;
        }
    } else {
        table(&mut out, &lines)?;
    }
    Ok(Outcome::Done)
}

fn lines(args: &Args) -> Vec<Line> {
    let installed = store::installed(args.folder.path());
    let mut lines = Vec::new();
    if Bundle::built_in() && !installed.iter().any(|bundle| bundle.name == "mini") {
        lines.push(Line {
            bundle: "mini".to_owned(),
            name: None,
            here: true,
            folder: Some("in the program".to_owned()),
            bytes: 0,
            speed: None,
        });
    }
    lines.extend(installed.iter().map(here));
    let missing = RELEASED
        .iter()
        .filter(|model| !installed.iter().any(|bundle| bundle.name == model.bundle()));
    lines.extend(missing.map(|model| Line {
        bundle: model.bundle().to_owned(),
        name: Some(model.name),
        here: false,
        folder: None,
        bytes: u64::from(model.megabytes) * 1_000_000,
        speed: Some(model.speed.word()),
    }));
    lines
}

fn here(bundle: &Installed) -> Line {
    let known = catalogue::find(&bundle.name);
    Line {
        bundle: bundle.name.clone(),
        name: known.map(|model| model.name),
        here: true,
        folder: Some(bundle.folder.display().to_string()),
        bytes: bundle.bytes,
        speed: known.map(|model| model.speed.word()),
    }
}

fn table(out: &mut impl Write, lines: &[Line]) -> io::Result<()> {
    writeln!(out, "{:20} {:9} {:>10}  WHERE", "BUNDLE", "SPEED", "SIZE")?;
    for line in lines {
        let size = if line.bytes == 0 { "-".to_owned() } else { size(line.bytes) };
        let place = match &line.folder {
            Some(folder) => folder.clone(),
            None => format!("seewhen model pull {}", line.name.unwrap_or(&line.bundle)),
        };
        let speed = line.speed.unwrap_or("-");
        writeln!(out, "{:20} {speed:9} {size:>10}  {place}", line.bundle)?;
    }
    Ok(())
}
