//! `seewhen model verify`: whether bundles are whole.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::Folder;
use crate::cli::Outcome;
use crate::clip::bundle::Bundle;
use crate::clip::{checksums, store};

const EXAMPLES: &str = "\
Examples:
  seewhen model verify
  seewhen model verify ViT-B-32 /srv/models/mine

Compares every file with the bundle's SHA256SUMS, and reads its settings. Exit code 1 when
something is wrong.";

/// Check the files of bundles against their checksums
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Names or paths [default: every bundle that is here]
    bundles: Vec<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Serialize)]
struct Line<'a> {
    bundle: &'a str,
    ok: bool,
    problems: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut bundles = args.bundles.clone();
    if bundles.is_empty() {
        bundles = store::installed(args.folder.path()).into_iter().map(|b| b.name).collect();
    }
    let mut outcome = Outcome::Done;
    for bundle in &bundles {
        let problems = problems(bundle, args.folder.path());
        let line = Line { bundle, ok: problems.is_empty(), problems };
        if !line.ok {
            outcome = Outcome::Partly;
        }
        print(&line, args.json)?;
    }
    if bundles.is_empty() {
        writeln!(io::stderr(), "no bundle is here; the built-in mini needs no check")?;
    }
    Ok(outcome)
}

fn print(line: &Line<'_>, json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, line)?;
        return Ok(writeln!(out)?);
    }
    let word = if line.ok { "ok" } else { "NOT OK" };
    writeln!(out, "{}: {word}", line.bundle)?;
    for problem in &line.problems {
        writeln!(out, "  {problem}")?;
    }
    Ok(())
}

fn problems(name: &str, model_dir: Option<&Path>) -> Vec<String> {
    let bundle = match Bundle::open(name, model_dir) {
        Ok(bundle) => bundle,
        Err(error) => return vec![error.to_string()],
    };
    let Some(folder) = bundle.folder() else { return Vec::new() };
    match checksums::read(folder).map_err(|error| error.to_string()) {
        Err(error) => vec![format!("{}: {error}; nothing to compare with", checksums::FILE)],
        Ok(text) => match checksums::parse(&text) {
            Err(error) => vec![format!("{}: {error}", checksums::FILE)],
            Ok(sums) => checksums::differences(folder, &sums),
        },
    }
}
