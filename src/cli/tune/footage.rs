//! What is to be analysed, and its frames: files go through the flow of `seewhen watch`, as the camera of
//! a configuration would see them.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;

use super::{Args, file_name, usage};
use crate::capture::gstreamer::Pace;
use crate::cli::watch::{plain_camera, plain_watch, prompted};
use crate::config::{
    self, Camera, CameraSource, Config, LabelConfig, ModelConfig, Place, Problem, WatchConfig,
};
use crate::daemon::lessons;
use crate::daemon::live::{self, Flow, Live};
use crate::daemon::model::Model;
use crate::model::{CameraId, CameraState, Every, LabelId, LabelKey, Probability, View};
use crate::tune::timeline::{self, Base, Timeline};
use crate::tune::truth::Marks;
use crate::tune::{Clip, Sample, Setting};
use crate::watch::{LabelRule, Notice};

/// Files that are decoded at the same time.
const AT_ONCE: usize = 4;
/// What a label has of which nobody said more: the threshold of `seewhen watch`, and clear in the ratio
/// that a configuration takes.
const DEFAULT: (Probability, f64) = (0.5, 0.8);

/// All that is known before a frame is looked at.
pub(super) struct Footage {
    pub(super) label: LabelId,
    pub(super) rule: Option<LabelRule>,
    pub(super) model: ModelConfig,
    /// One for each file.
    pub(super) cameras: Vec<Camera>,
    pub(super) watch: WatchConfig,
    pub(super) pieces: Vec<Piece>,
    /// What the labels were taught is beside it; `None`: nothing was.
    pub(super) config: Option<Config>,
}

/// One file.
pub(super) struct Piece {
    pub(super) name: String,
    pub(super) timeline: Option<(String, Timeline)>,
    pub(super) marks: Option<Marks>,
}

/// What is looked for, and how.
pub(super) struct Wanted {
    pub(super) model: ModelConfig,
    pub(super) watch: WatchConfig,
    pub(super) label: LabelConfig,
    /// Of which only the source and the id are another's.
    pub(super) camera: Camera,
    pub(super) config: Option<Config>,
}

impl Footage {
    /// Reads the arguments, the configuration and the timelines, and finds every problem of them.
    pub(super) fn read(args: &Args) -> anyhow::Result<Self> {
        let files = args.footage.iter().map(|text| split(text)).collect::<Result<Vec<_>, _>>()?;
        let ids = (1..=files.len()).map(|n| CameraId::try_new(&format!("footage-{n}")));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let wanted =
            if args.prompts.is_empty() { configured(args)? } else { by_prompts(args, &ids)? };
        let camera = |((file, _), id): (&(CameraSource, _), &CameraId)| Camera {
            id: id.clone(),
            source: file.clone(),
            repeat: false,
            enabled: true,
            every: args.every.unwrap_or(wanted.camera.every),
            view: View {
                region: wanted.camera.view.region,
                ..args.fit.unwrap_or(wanted.camera.view)
            },
            ..wanted.camera.clone()
        };
        let cameras = files.iter().zip(&ids).map(camera).collect();
        let mut pieces = timelines(files)?;
        mark(args, &wanted.label.id, &mut pieces)?;
        // Only probabilities are wanted of the flow; the rules come afterwards, many times.
        let silent = |label: &LabelConfig| LabelConfig { rule: None, ..label.clone() };
        let watch = WatchConfig {
            cameras: ids,
            publish_every: Duration::ZERO,
            enabled: true,
            labels: wanted.watch.labels.iter().map(silent).collect(),
            ..wanted.watch
        };
        let LabelConfig { id: label, rule, .. } = wanted.label;
        let (model, config) = (wanted.model, wanted.config);
        Ok(Self { label, rule, model, cameras, watch, pieces, config })
    }

    pub(super) fn is_marked(&self) -> bool {
        self.pieces.iter().any(|piece| piece.marks.is_some())
    }

    /// What the label has now, and whether that is from a configuration.
    pub(super) fn now(&self) -> (Setting, bool) {
        match &self.rule {
            Some(rule) => (Setting::of(rule), true),
            None => (Setting::plain(DEFAULT.0, DEFAULT.1), false),
        }
    }

    /// Analyses all of it, as fast as that goes.
    pub(super) fn analyse(self) -> anyhow::Result<Vec<Clip>> {
        let model = Model::load(&self.model)?;
        let mut embedder = model.trying_embedder();
        let watches = std::slice::from_ref(&self.watch);
        let lessons = self.config.as_ref().map(|config| lessons::read(config, &model).0);
        let lessons = lessons.unwrap_or_default();
        let set = model.compile(&mut embedder, &self.cameras, watches, &lessons, 1)?;
        drop(embedder);
        let mut samples: HashMap<CameraId, Vec<Sample>> = HashMap::new();
        let bar = bar();
        for cameras in self.cameras.chunks(AT_ONCE) {
            let live = Live {
                cameras: cameras.to_vec(),
                set: set.clone(),
                encoder: Box::new(model.warm_image_encoder(cameras.len())?),
                pace: Pace::AsFastAsPossible,
                keeping: None,
            };
            let (mut trouble, mut ended) = (None, 0);
            let ran = live::run(live, |notice| {
                match notice {
                    Notice::Camera(change)
                        if matches!(change.state, CameraState::Stalled | CameraState::Retrying) =>
                    {
                        trouble.get_or_insert((change.camera.clone(), change.reason.clone()));
                        return Ok(Flow::Stop);
                    }
                    Notice::Camera(change) if change.state == CameraState::Disabled => ended += 1,
                    Notice::Probabilities { camera, time, probabilities, .. } => {
                        let found = probabilities.of(&self.label);
                        let probability = found.context("the label was not scored")?;
                        samples
                            .entry(camera.clone())
                            .or_default()
                            .push(Sample { time: time.0, probability });
                        bar.inc(1);
                    }
                    _ => {}
                }
                Ok(Flow::Continue)
            });
            // It knows which file that was; the flow does not.
            if let Some((camera, reason)) = trouble {
                bail!("{}: {reason}", self.name(&camera));
            }
            ran?;
            if ended < cameras.len() {
                bail!("stopped before the footage was over");
            }
        }
        bar.finish_and_clear();
        let stale = |id: &CameraId| set.cameras.iter().find(|one| one.id == *id);
        let clips = self.cameras.iter().zip(&self.pieces).map(|(camera, piece)| {
            let stale_after = stale(&camera.id).map_or(Duration::MAX, |one| one.stale_after);
            let samples = samples.remove(&camera.id).unwrap_or_default();
            self.clip(camera, piece, samples, stale_after)
        });
        clips.collect()
    }

    fn clip(
        &self,
        camera: &Camera,
        piece: &Piece,
        samples: Vec<Sample>,
        stale_after: Duration,
    ) -> anyhow::Result<Clip> {
        let Some(last) = samples.last().map(|sample| sample.time) else {
            bail!("{}: no frame in it", piece.name);
        };
        if let Some((file, timeline)) = &piece.timeline
            && let Some(beyond) = timeline.marks.iter().find(|mark| mark.span.from > last)
        {
            bail!(
                "{file}:{}: the span begins at {} s, and the last frame of {} is at {last:.1} s; is it of \
                 other footage?",
                beyond.line,
                beyond.span.from,
                piece.name
            );
        }
        let (watch, label) = (self.watch.id.clone(), self.label.clone());
        let key = LabelKey { camera: camera.id.clone(), watch, label };
        let (name, marks) = (piece.name.clone(), piece.marks.clone());
        Ok(Clip { name, key, samples, stale_after, marks })
    }

    fn name(&self, id: &CameraId) -> &str {
        let mut pieces = self.cameras.iter().zip(&self.pieces);
        pieces.find(|(camera, _)| camera.id == *id).map_or("footage", |(_, piece)| &piece.name)
    }
}

/// FOOTAGE or FOOTAGE=TIMELINE. A file whose own name has a '=' is one.
fn split(text: &str) -> anyhow::Result<(CameraSource, Option<String>)> {
    let (file, timeline) = match text.rsplit_once('=') {
        Some((file, timeline)) if !Path::new(text).is_file() => (file, Some(timeline.to_owned())),
        _ => (text, None),
    };
    match config::parse_source(file, Path::new("")).map_err(usage)? {
        source @ CameraSource::File(_) => Ok((source, timeline)),
        source => Err(usage(format!("{source} is no file; record some footage of it first"))),
    }
}

/// What the configuration says of the label and of the camera.
pub(super) fn configured(args: &Args) -> anyhow::Result<Wanted> {
    let mut config = config::load(&args.config)?.config;
    args.model.overrides().apply(&mut config.model);
    let Config { model, cameras, watches, .. } = config.clone();
    let watch = pick("watch", &args.watch, watches, |watch| watch.id.to_string(), |_| true)?;
    let labels = watch.labels.clone();
    let fires = |label: &LabelConfig| label.rule.is_some();
    let label = pick("label", &args.label, labels, |label| label.id.to_string(), fires)?;
    let looking = cameras.into_iter().filter(|camera| watch.cameras.contains(&camera.id)).collect();
    let camera = pick("camera", &args.camera, looking, |camera| camera.id.to_string(), |_| true)?;
    Ok(Wanted { model, watch, label, camera, config: Some(config) })
}

/// The one that is named, or the only `usual` one.
fn pick<T>(
    kind: &str,
    name: &Option<String>,
    all: Vec<T>,
    id: impl Fn(&T) -> String,
    usual: impl Fn(&T) -> bool,
) -> anyhow::Result<T> {
    let known = all.iter().map(&id).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => {
            let found = all.into_iter().find(|one| id(one) == *name);
            found.ok_or_else(|| usage(format!("no {kind} {name:?}; there are: {known}")))
        }
        None => {
            let mut usual = all.into_iter().filter(usual);
            match (usual.next(), usual.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(usage(format!("which {kind}? Say --{kind} with one of: {known}"))),
            }
        }
    }
}

/// What the prompts of the command line say.
fn by_prompts(args: &Args, ids: &[CameraId]) -> anyhow::Result<Wanted> {
    let labels = prompted(&args.prompts)?;
    let label = labels.first().cloned().context("no prompt")?;
    let watch = plain_watch(ids.to_vec(), &args.templates, labels)?;
    let every = Every::Interval(Duration::from_millis(250));
    let source = CameraSource::File(Path::new("").into());
    let camera = plain_camera(ids[0].clone(), source, every, View::default());
    Ok(Wanted { model: args.model.config(), watch, label, camera, config: None })
}

/// Reads the timelines; all their problems at once.
fn timelines(files: Vec<(CameraSource, Option<String>)>) -> anyhow::Result<Vec<Piece>> {
    let (mut pieces, mut problems) = (Vec::new(), Vec::new());
    for (source, path) in files {
        let name = match &source {
            CameraSource::File(path) => file_name(path),
            other => other.to_string(),
        };
        let read = path.map(|path| read_timeline(&path, &TimeZone::system(), Base::File));
        match read.transpose() {
            Ok(timeline) => pieces.push(Piece { name, timeline, marks: None }),
            Err(found) => problems.push(found.to_string()),
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    let marked = pieces.iter().filter(|piece| piece.timeline.is_some()).count();
    if marked > 0 && marked < pieces.len() {
        return Err(usage(
            "some footage has a timeline and some has none; an empty timeline says that the thing was \
             never there",
        ));
    }
    Ok(pieces)
}

/// A timeline with the name of its file. Its times count from `base`; all its problems at once.
pub(super) fn read_timeline(
    path: &str,
    zone: &TimeZone,
    base: Base,
) -> anyhow::Result<(String, Timeline)> {
    let read = || {
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![problem(path, 0, error.to_string())])?;
        let timeline = timeline::parse(&text, path, zone)?;
        match (timeline.base.filter(|found| *found != base), timeline.marks.first()) {
            (Some(found), Some(mark)) => {
                let message = match found {
                    Base::Clock => {
                        "found a date; times in a file are seconds, m:ss or h:mm:ss into it"
                    }
                    Base::File => {
                        "found a time without a date; of the history times are as in \
                         2026-11-24 18:03:10 - 18:04:00"
                    }
                };
                Err(vec![problem(path, mark.line, message.to_owned())])
            }
            _ => Ok(timeline),
        }
    };
    let timeline = read().map_err(|problems: Vec<Problem>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    })?;
    Ok((path.to_owned(), timeline))
}

fn problem(file: &str, line: usize, message: String) -> Problem {
    let place = Place { file: file.to_owned(), line, column: usize::from(line > 0) };
    Problem { place, key: String::new(), message }
}

/// Finds the spans of the label.
pub(super) fn mark(args: &Args, label: &LabelId, pieces: &mut [Piece]) -> anyhow::Result<()> {
    let timelines = || pieces.iter().filter_map(|piece| Some(&piece.timeline.as_ref()?.1));
    let mut named: Vec<String> =
        timelines().flat_map(Timeline::labels).map(str::to_owned).collect();
    named.sort();
    named.dedup();
    let known = |name: &str| named.iter().any(|known| known == name);
    let all_named =
        timelines().flat_map(|timeline| &timeline.marks).all(|mark| mark.label.is_some());
    let name = match (&args.label, &named[..]) {
        (Some(name), _) => name.clone(),
        (None, _) if known(label.as_str()) => label.to_string(),
        // The prompt is long, and the timeline has a short name for it.
        (None, [only]) if !args.prompts.is_empty() => only.clone(),
        _ => label.to_string(),
    };
    if !named.is_empty() && all_named && !known(&name) {
        return Err(usage(format!(
            "no span of {name:?} in the timelines; they have: {}. Say --label, or write the label \
             there as it is named here",
            named.join(", ")
        )));
    }
    let slack = args.slack.as_secs_f64();
    for piece in pieces {
        let timeline = piece.timeline.as_ref();
        piece.marks = timeline.map(|(_, timeline)| timeline.marks_of(&name, slack));
    }
    Ok(())
}

/// Hidden by itself where stderr is no terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} frames analysed, {elapsed}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
