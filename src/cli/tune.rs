//! `seewhen tune`: a threshold, a hold and a consensus for a label, out of footage.

mod footage;
mod history;
mod json;
mod pictures;
mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::footage::Footage;
use self::history::Kept;
use super::model_args::{ModelArgs, parse_template};
use super::watch::{every, parse_view};
use super::{Outcome, Usage};
use crate::model::{Every, View};
use crate::tune::allowance::Allowance;
use crate::tune::plot::{self, Point};
use crate::tune::score::{self, outcome};
use crate::tune::suggest::{Promise, Suggestion, at_most, suggest};
use crate::tune::{Clip, Setting};

/// Find the threshold, the hold and the consensus that suit a label, from footage.
///
/// Footage is a video file. With =TIMELINE, a text file that says when the thing was there (one span a
/// line: 4.4-5.4 cyclist), settings are compared by what they find and by their false events. Without, a
/// threshold is found for which there are few enough events: --at-most.
///
/// The label is one of a configuration, seen as its camera sees it; or the first --prompt.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seewhen tune --config porch.toml --label package porch.mp4=porch.txt
  seewhen tune street.mp4=street.txt --prompt \"a cyclist\" --prompt \"cars on a street\"
  seewhen tune quiet-week.mp4 --at-most \"2 a week\" --config porch.toml --label package
  seewhen tune --history --since 2d --marks porch.txt --label package
  seewhen tune monday.mp4=monday.txt tuesday.mp4=tuesday.txt --label package --svg plots")]
pub struct Args {
    /// A video file, and the timeline that says when the thing was there; again for more
    #[arg(required_unless_present = "history", value_name = "FOOTAGE[=TIMELINE]")]
    footage: Vec<String>,
    /// In place of files: what the camera has seen, as far as its embeddings are kept
    #[arg(long, conflicts_with_all = ["footage", "prompts", "every", "fit"])]
    history: bool,
    /// When the thing was there, for --history: dates and times
    #[arg(long, value_name = "TIMELINE", requires = "history")]
    marks: Option<String>,
    /// Of the history only what came after: "2d", "2026-11-24", "2026-11-24 17:30"
    #[arg(long, value_name = "TIME", requires = "history")]
    since: Option<String>,
    /// Of the history only what came before
    #[arg(long, value_name = "TIME", requires = "history")]
    until: Option<String>,
    /// The configuration file, where no --prompt is given
    #[arg(long, short, default_value = "/etc/seewhen/seewhen.toml", env = "SEEWHEN_CONFIG")]
    config: PathBuf,
    /// The watch of the label [default: the only one]
    #[arg(long, value_name = "WATCH", conflicts_with = "prompts")]
    watch: Option<String>,
    /// The label, as the configuration and the timelines name it [default: the only one that fires]
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// The camera whose region, fit, mask and interval hold [default: the watch's only one]
    #[arg(long, value_name = "CAMERA", conflicts_with = "prompts")]
    camera: Option<String>,
    /// Without a configuration: what to look for; again for what else may be seen
    #[arg(long = "prompt", short, value_name = "TEXT")]
    prompts: Vec<String>,
    /// Put around every prompt, with {} in its place; again for several
    #[arg(long = "template", value_name = "TEXT", value_parser = parse_template, requires = "prompts")]
    templates: Vec<String>,
    /// Analyse one frame per interval [default: as the camera; with --prompt 250ms]
    #[arg(long, value_parser = every)]
    every: Option<Every>,
    /// How a picture that is not square is made so [default: as the camera]
    #[arg(long, value_name = "FIT", value_parser = parse_view)]
    fit: Option<View>,
    /// For unmarked footage: how many events there may be, such as "2 a week"
    #[arg(long, value_name = "EVENTS")]
    at_most: Option<Allowance>,
    /// How exact the marks are: so much before and after each span does not count
    #[arg(long, default_value = "500ms", value_parser = humantime::parse_duration)]
    slack: Duration,
    /// Keep this share of the end of each footage, in per cent, to try the suggestion on
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..100))]
    hold_out: Option<u8>,
    /// Write the plots into this folder
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// What came of it.
struct Found {
    label: String,
    /// What was tuned on.
    clips: Vec<Clip>,
    /// What the label has in the configuration, or what it would have by default.
    now: Setting,
    /// Whether `now` is a rule of the configuration.
    configured: bool,
    result: Verdict,
}

enum Verdict {
    Marked(Box<Marked>),
    Unmarked { promise: Promise, allowance: Allowance },
}

struct Marked {
    suggestion: Suggestion,
    points: Vec<Point>,
    held_out: Option<HeldOut>,
}

/// Footage that was kept from the choice.
struct HeldOut {
    clips: Vec<Clip>,
    now: score::Outcome,
    suggested: score::Outcome,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (footage, kept) = match args.history {
        true => history::read(args).map(|(footage, kept)| (footage, Some(kept)))?,
        false => (Footage::read(args)?, None),
    };
    let marked = footage.is_marked();
    match (marked, args.at_most) {
        (true, Some(_)) => {
            return Err(usage(
                "--at-most is for footage without a timeline; leave one of both away",
            ));
        }
        (false, None) => {
            return Err(usage(
                "say when the thing was there, as FOOTAGE=TIMELINE, or how many events there may be: \
                 --at-most \"2 a week\"",
            ));
        }
        (false, _) if args.hold_out.is_some() => {
            return Err(usage("--hold-out needs a timeline to try the suggestion against"));
        }
        _ => {}
    }
    let found = find(args, footage, kept)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json::report(&found))?;
    } else {
        write!(out, "{}", report::text(&found))?;
    }
    if let Some(folder) = &args.svg {
        pictures::write(folder, &found)?;
    }
    Ok(Outcome::Done)
}

fn find(args: &Args, footage: Footage, kept: Option<Kept>) -> anyhow::Result<Found> {
    let (now, configured) = footage.now();
    let label = footage.label.to_string();
    let clips = match kept {
        Some(kept) => history::analyse(&footage, &kept)?,
        None => footage.analyse()?,
    };
    if let Some(allowance) = args.at_most {
        let promise = at_most(&clips, &now, allowance.a_day());
        let result = Verdict::Unmarked { promise, allowance };
        return Ok(Found { label, clips, now, configured, result });
    }
    let (clips, kept) = match args.hold_out {
        None => (clips, None),
        Some(share) => {
            let share = 1.0 - f64::from(share) / 100.0;
            let (early, late) = clips.iter().map(|clip| clip.cut(share)).unzip();
            (early, Some(late))
        }
    };
    let suggestion = suggest(&clips, &now).ok_or_else(|| nothing_there(&label, kept.is_some()))?;
    let held_out = kept.map(|clips: Vec<Clip>| HeldOut {
        now: outcome(&clips, &now),
        suggested: outcome(&clips, &suggestion.best.setting),
        clips,
    });
    let points = plot::points(&clips, &suggestion);
    let result = Verdict::Marked(Box::new(Marked { suggestion, points, held_out }));
    Ok(Found { label, clips, now, configured, result })
}

fn nothing_there(label: &str, cut: bool) -> anyhow::Error {
    let part = if cut { " in the part that is not held out" } else { "" };
    anyhow::anyhow!(
        "no span of {label:?} is marked{part}, so no setting can be told from another; mark when it was \
         there, or take the timelines away and say --at-most"
    )
}

fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// The name of a file without its folder.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
