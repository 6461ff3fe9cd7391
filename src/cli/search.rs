//! `seewhen search`: the moments of the past that a text describes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::json;

use super::model_args::{ModelArgs, parse_template};
use super::{Outcome, Usage};
use crate::daemon::load_config;
use crate::daemon::model::Model;
use crate::daemon::search::{self, Found};
use crate::embeddings::Filter;
use crate::embeddings::ranking::Hit;
use crate::embeddings::reader::History;
use crate::embeddings::when::{self, show};
use crate::model::{CameraId, WallTime};

/// Find the moments that a text describes, in what cameras have seen so far.
///
/// Reads the history of embeddings that `seewhen run` keeps, beside a running one or without. Frames
/// around the best one of a moment are one line. A text is best a short sentence, as a prompt is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seewhen search \"a red truck\"
  seewhen search \"a person at a door\" --camera porch --since 2d --save found
  seewhen search \"a dog\" \"a photo of a dog\" --since 2026-11-20 --until \"2026-11-21 17:30\" --json

\"dev\" says more than the cosine: how many standard deviations a frame lies above the mean of all that
were searched. Something rare that is there has 3.5 to 7; there is always a best one, so look at it.")]
pub struct Args {
    /// What to look for; several texts are averaged, as a label's prompts are
    #[arg(required = true, value_name = "TEXT")]
    texts: Vec<String>,
    /// Only this camera; may be given several times
    #[arg(long = "camera", value_name = "CAMERA")]
    cameras: Vec<String>,
    /// From when on: 2d, 3h, "2026-11-26", "2026-11-26 17:30", "17:30"
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when, written in the same way
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Most moments to show
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Sentence that each text is put into, at its {}; several are averaged
    #[arg(long = "template", value_name = "TEXT", default_value = "{}", value_parser = parse_template)]
    templates: Vec<String>,
    /// Write the small pictures of what was found into this folder, where they were kept
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// The configuration file
    #[arg(long, short, default_value = "/etc/seewhen/seewhen.toml", env = "SEEWHEN_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
}

/// Runs the command: [`Outcome::Partly`] when a file of the history could not be read.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let config = load_config(&args.config, &args.model.overrides())?;
    let zone = config.embeddings.zone.clone();
    let filter = filter(args, &Timestamp::now().to_zoned_datetime(zone.clone()))?;
    let model = Model::load(&config.model)?;
    let history = search::open(&config, &model, &filter.cameras)?;
    let embedding = search::embedding(&model, &args.templates, &args.texts)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let limit = usize::from(args.limit);
    let found = search::search(&history, &embedding, &filter, limit, threads)?;
    let took = started.elapsed();
    let pictures = match &args.save {
        Some(folder) => save(&history, &found.hits, folder, &zone)?,
        None => vec![None; found.hits.len()],
    };
    let mut out = io::stdout().lock();
    for (hit, picture) in found.hits.iter().zip(&pictures) {
        if args.json {
            writeln!(out, "{}", line(hit, picture.as_deref()))?;
        } else {
            table(&mut out, hit, picture.as_deref(), &zone)?;
        }
    }
    out.flush()?;
    for trouble in history.troubles() {
        writeln!(io::stderr(), "warning: {trouble}")?;
    }
    if !args.json {
        writeln!(io::stderr(), "{}", summary(&history, &found, took, &zone))?;
    }
    Ok(if history.troubles().is_empty() { Outcome::Done } else { Outcome::Partly })
}

fn filter(args: &Args, now: &ZonedDateTime) -> Result<Filter, Usage> {
    let camera = |name: &String| {
        CameraId::try_new(name).map_err(|error| Usage(format!("--camera: {error}")))
    };
    let cameras = args.cameras.iter().map(camera).collect::<Result<_, _>>()?;
    when::filter(cameras, args.since.as_deref(), args.until.as_deref(), now).map_err(Usage)
}

fn line(hit: &Hit, picture: Option<&Path>) -> serde_json::Value {
    let tile = (hit.best.tiles > 0).then_some(hit.best.tile);
    let tiles = (hit.best.tiles > 0).then_some(hit.best.tiles);
    json!({
        "time": hit.best.time.0, "camera": hit.camera.as_str(), "cosine": hit.best.cosine,
        "deviations": hit.deviations, "from": hit.from.0, "to": hit.to.0, "tile": tile,
        "tiles": tiles, "picture": picture.map(|path| path.display().to_string()),
    })
}

fn table(
    out: &mut impl Write,
    hit: &Hit,
    picture: Option<&Path>,
    zone: &TimeZone,
) -> io::Result<()> {
    let (time, camera) = (show(hit.best.time, zone), hit.camera.as_str());
    let length = Duration::from_secs_f64((hit.to.0 - hit.from.0).max(0.0).round());
    let span = if length.is_zero() {
        "one moment".to_owned()
    } else {
        let from = show(hit.from, zone);
        let clock = from.rsplit(' ').next().unwrap_or_default();
        format!("{} from {clock}", humantime::format_duration(length))
    };
    let (cosine, deviations) = (hit.best.cosine, hit.deviations);
    let tile = match hit.best.tiles {
        0 => String::new(),
        tiles => format!("  tile {} of {tiles}", hit.best.tile + 1),
    };
    let picture = picture.map(|path| format!("  {}", path.display())).unwrap_or_default();
    writeln!(out, "{time}  {camera:<12}  {cosine:.3}  {deviations:4.1} dev  {span}{tile}{picture}")
}

fn summary(history: &History, found: &Found, took: Duration, zone: &TimeZone) -> String {
    let cameras = history.cameras();
    let names: Vec<&str> = cameras.keys().map(CameraId::as_str).collect();
    let from = cameras.values().map(|extent| extent.from.0).fold(f64::INFINITY, f64::min);
    let to = cameras.values().map(|extent| extent.to.0).fold(f64::NEG_INFINITY, f64::max);
    let (mean, deviation) = found.spread;
    format!(
        "{} frames searched in {:.2} s: mean cosine {mean:.3}, deviation {deviation:.3}; the history has {} \
         from {} to {}",
        found.frames,
        took.as_secs_f64(),
        names.join(", "),
        show(WallTime(from), zone),
        show(WallTime(to), zone),
    )
}

/// Where the pictures of the hits are, in their order.
fn save(
    history: &History,
    hits: &[Hit],
    folder: &Path,
    zone: &TimeZone,
) -> anyhow::Result<Vec<Option<PathBuf>>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut paths = Vec::with_capacity(hits.len());
    for hit in hits {
        let Some(jpeg) = history.picture(&hit.best)? else {
            paths.push(None);
            continue;
        };
        let millis = (hit.best.time.0.fract() * 1000.0) as u32;
        let time = show(hit.best.time, zone).replace(':', "-");
        let time = time.split_once(' ').map_or("", |(_, time)| time).replace(' ', "T");
        let path = folder.join(format!("{}-{time}.{millis:03}.jpg", hit.camera));
        fs::write(&path, jpeg).with_context(|| format!("cannot write {}", path.display()))?;
        paths.push(Some(path));
    }
    if !hits.is_empty() && paths.iter().all(Option::is_none) {
        let hint = "no pictures are kept of these; set pictures = true in [embeddings] to have them from then on";
        writeln!(io::stderr(), "{hint}")?;
    }
    Ok(paths)
}
