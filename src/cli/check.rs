//! `seewhen check`: reads the configuration, opens the model, and looks at every prompt.

use std::io::Write as _;
use std::path::PathBuf;

use super::Outcome;
use super::model_args::ModelArgs;
use crate::config::{self, Config, OnDisk, Problem, Problems};
use crate::daemon::lessons;
use crate::daemon::model::Model;

/// Check a configuration: every problem of the file, the model, and prompts that CLIP reads
/// differently than people do.
///
/// Exit code 0: it can be used (warnings go to stderr). 78: it cannot.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seewhen check
  seewhen check --config porch.toml
  seewhen check --config porch.toml --json")]
pub struct Args {
    /// The configuration file
    #[arg(long, short, default_value = "/etc/seewhen/seewhen.toml", env = "SEEWHEN_CONFIG")]
    config: PathBuf,
    /// Print one JSON object a line: every problem and warning, then the summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(args: Args) -> anyhow::Result<Outcome> {
    let read = OnDisk::read(&args.config).and_then(|disk| Ok((disk.parse()?, disk)));
    let (loaded, disk) = match read {
        Ok(read) => read,
        Err(problems) => return refuse(problems, args.json),
    };
    let mut config = loaded.config;
    args.model.overrides().apply(&mut config.model);
    for warning in &loaded.warnings {
        say(args.json, "warning", warning)?;
    }
    let advice = match look_at_model(&config) {
        Ok(advice) => advice,
        Err(error) => {
            let place = config::Place::whole(args.config.display().to_string());
            let message = format!("{error:#}");
            let problem = Problem { place, key: "model".to_owned(), message };
            return refuse(problem.into(), args.json);
        }
    };
    for line in &advice {
        let place = config::Place::whole(args.config.display().to_string());
        let problem = Problem { place, key: String::new(), message: line.clone() };
        say(args.json, "warning", &problem)?;
    }
    let changes = disk.changes.is_some().then(|| disk.runtime().display().to_string());
    summary(&config, loaded.warnings.len() + advice.len(), changes.as_deref(), args.json)?;
    Ok(Outcome::Done)
}

/// Opens both models as the daemon would, and returns what is odd about the prompts.
fn look_at_model(config: &Config) -> anyhow::Result<Vec<String>> {
    let model = Model::load(&config.model)?;
    let (lessons, mut advice) = lessons::read(config, &model);
    let mut embedder = model.trying_embedder();
    let set = model.compile(&mut embedder, &config.cameras, &config.watches, &lessons, 1)?;
    drop(model.warm_image_encoder(1)?);
    advice.extend(model.advice(config, &set)?);
    Ok(advice)
}

fn refuse(problems: Problems, json: bool) -> anyhow::Result<Outcome> {
    if json {
        for problem in problems.as_slice() {
            say(true, "problem", problem)?;
        }
    }
    Err(problems.into())
}

fn say(json: bool, kind: &str, problem: &Problem) -> anyhow::Result<()> {
    if json {
        let object = serde_json::json!({
            "kind": kind,
            "file": problem.place.file,
            "line": problem.place.line,
            "column": problem.place.column,
            "key": problem.key,
            "message": problem.message,
        });
        writeln!(std::io::stdout(), "{object}")?;
    } else {
        writeln!(std::io::stderr(), "{kind}: {problem}")?;
    }
    Ok(())
}

/// `changes` is the file of what commands have changed.
fn summary(
    config: &Config,
    warnings: usize,
    changes: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let (cameras, watches) = (config.cameras.len(), config.watches.len());
    let labels: usize = config.watches.iter().map(|watch| watch.labels.len()).sum();
    let bundle = &config.model.bundle;
    let mut out = std::io::stdout();
    if json {
        let object = serde_json::json!({
            "kind": "summary", "cameras": cameras, "watches": watches, "labels": labels,
            "bundle": bundle, "warnings": warnings, "commands": changes,
        });
        writeln!(out, "{object}")?;
    } else {
        writeln!(
            out,
            "ok: {cameras} cameras, {watches} watches, {labels} labels, bundle {bundle}, \
             {warnings} warnings"
        )?;
        if let Some(file) = changes {
            writeln!(out, "with what commands have changed: {file}")?;
        }
    }
    Ok(())
}
