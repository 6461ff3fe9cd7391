//! `seewhen teach`: shows a label frames that it should know, and says how good it has become.

mod footage;
mod text;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::model_args::ModelArgs;
use super::watch::every;
use super::{Outcome, Usage};
use crate::command::When;
use crate::config::Config;
use crate::daemon::lessons;
use crate::daemon::load_config;
use crate::daemon::model::Model;
use crate::daemon::teach::report::report;
use crate::daemon::teach::{self, Given, Teaching, Told};
use crate::model::{BadId, CameraId, Every, LabelId, LabelKey, WatchId};
use crate::taught::{Lesson, shelf};

/// Teach a label by example: frames that show it, and frames that do not.
///
/// Frames come out of what the camera has seen (the history of embeddings) or out of a file. A running
/// seewhen takes over what was taught within a second; it need not run. Without --yes and --no: how good the
/// label is, by events it was not taught, and which frames to mark next.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seewhen teach porch/porch/package --yes 18:03-18:05 --no \"last event\" 17:30
  seewhen teach yard/bin/at_kerb --yes \"2026-11-24 07:00 - 07:40\" --no \"2026-11-24 09:00 - 11:00\"
  seewhen teach yard/bin/at_kerb --from bin.mp4 --yes 4s-8s --no 0s-4s 9.5
  seewhen teach porch/porch/package
  seewhen teach porch/porch/package --undo
  seewhen teach porch/porch/package --forget
  seewhen teach porch/porch/package --export package.taught
  seewhen teach gate/porch/package --import package.taught

A time is a moment (the frame next to it) or a span (up to 50 of its frames): how long ago (\"10m\"), a time,
a date and a time, or \"last event\". With --from, seconds, 4s or 1:02 into the file.")]
pub struct Args {
    /// The label, as in its topics: CAMERA/WATCH/LABEL
    #[arg(value_name = "CAMERA/WATCH/LABEL")]
    label: String,
    /// When it was there
    #[arg(long, value_name = "TIME", num_args = 1..)]
    yes: Vec<String>,
    /// When it was not
    #[arg(long, value_name = "TIME", num_args = 1..)]
    no: Vec<String>,
    /// Footage to take frames from, as the camera would see it
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// How often a frame of the footage is looked at; the camera's own interval unless told otherwise
    #[arg(long, value_name = "INTERVAL", value_parser = every, requires = "from")]
    every: Option<Every>,
    /// Take the last act of teaching back
    #[arg(long, conflicts_with_all = ["yes", "no", "from", "import", "export"])]
    undo: bool,
    /// Take all that the label was taught away, also when its file is damaged or of another bundle
    #[arg(long, conflicts_with_all = ["yes", "no", "from", "import", "export", "undo"])]
    forget: bool,
    /// Write all examples of the label into one file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["yes", "no", "from", "import"])]
    export: Option<PathBuf>,
    /// Take over the examples of such a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["yes", "no", "from"])]
    import: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The configuration file
    #[arg(long, short, default_value = "/etc/seewhen/seewhen.toml", env = "SEEWHEN_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let key = key(&args.label)?;
    let given = !args.yes.is_empty() || !args.no.is_empty();
    if args.from.is_some() && !given {
        return Err(Usage("--from: say with --yes and --no which of it".to_owned()).into());
    }
    let config = load_config(&args.config, &args.model.overrides())?;
    // What is not there is said before a model is loaded.
    let pupil = teach::pupil(&config, &key.watch, &key.label)?;
    if args.undo {
        let (went, (yes, no)) = teach::undo(&config, &key.watch, &key.label)?;
        return told(args, &[format!("{went} taken back")], (yes, no));
    }
    if args.forget {
        let was_there = pupil.shelf.forget(&key.watch, &key.label)?;
        let done = if was_there { "nothing is taught any more" } else { "nothing was taught" };
        return told(args, &[done.to_owned()], (0, 0));
    }
    if let Some(path) = &args.export {
        let nothing = || format!("{} was not taught, so there is nothing to export", args.label);
        let lesson = pupil.shelf.read(&key.watch, &key.label)?.with_context(nothing)?;
        shelf::replace(path, &lesson)
            .with_context(|| format!("cannot write {}", path.display()))?;
        return told(args, &[format!("written to {}", path.display())], lesson.counts());
    }
    let model = Model::load(&config.model)?;
    let done = match &args.import {
        Some(path) => {
            let lesson = shelf::read_file(path)?;
            lesson.of_bundle(model.bundle().name(), model.bundle().digest())?;
            let Lesson { examples, usual, .. } = lesson;
            let examples = examples.into_iter().filter(|one| one.replaced.is_none()).collect();
            teach::keep(&pupil, &model, &key.watch, &key.label, Given { examples, usual })?
        }
        None if given => taught(args, &config, &model, &key)?,
        None => return look(args, &config, &model, &key),
    };
    told(args, &done.notes(), (done.yes, done.no))
}

fn taught(args: &Args, config: &Config, model: &Model, key: &LabelKey) -> anyhow::Result<Told> {
    let set = lessons::watches(config, model, &mut model.trying_embedder(), 1)?;
    if let Some(file) = &args.from {
        let wanted = footage::Wanted { file, every: args.every, yes: &args.yes, no: &args.no };
        let given = footage::examples(config, model, set, key, &wanted)?;
        let pupil = teach::pupil(config, &key.watch, &key.label)?;
        return teach::keep(&pupil, model, &key.watch, &key.label, given);
    }
    let when = |texts: &[String]| texts.iter().cloned().map(When::Text).collect();
    let (yes, no) = (when(&args.yes), when(&args.no));
    teach::teach(config, model, &set, &Teaching { key: key.clone(), yes, no })
}

fn look(args: &Args, config: &Config, model: &Model, key: &LabelKey) -> anyhow::Result<Outcome> {
    let set = lessons::watches(config, model, &mut model.trying_embedder(), 1)?;
    let report = report(config, model, &set, key)?;
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => write!(out, "{}", text::report(&args.label, &report, &config.embeddings.zone))?,
    }
    Ok(Outcome::Done)
}

fn told(args: &Args, notes: &[String], (yes, no): (usize, usize)) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({ "yes": yes, "no": no, "notes": notes }))?;
    } else {
        for note in notes {
            writeln!(out, "{}: {note}", args.label)?;
        }
    }
    Ok(Outcome::Done)
}

fn key(text: &str) -> Result<LabelKey, Usage> {
    let bad = |error: BadId| Usage(error.to_string());
    match text.split('/').collect::<Vec<_>>()[..] {
        [camera, watch, label] => Ok(LabelKey {
            camera: CameraId::try_new(camera).map_err(bad)?,
            watch: WatchId::try_new(watch).map_err(bad)?,
            label: LabelId::try_new(label).map_err(bad)?,
        }),
        _ => Err(Usage(format!(
            "found {text:?}; write a label as CAMERA/WATCH/LABEL, such as porch/porch/package"
        ))),
    }
}
