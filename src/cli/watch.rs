//! `seewhen watch`: one source, live in the terminal, without a configuration file.

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

use super::model_args::{ModelArgs, parse_fit, parse_template};
use super::{Outcome, Usage};
use crate::capture::gstreamer::Pace;
use crate::clip::prompts::Lessons;
use crate::config::{self, Camera, CameraSource, LabelConfig, LabelScore, WatchConfig};
use crate::daemon::live::{self, Flow, Live};
use crate::daemon::model::Model;
use crate::model::{
    CameraId, CameraState, DecoderChoice, Event, EventKind, Every, Fit, LabelId, Probability, View,
    WallTime, WatchId,
};
use crate::publish::payload;
use crate::watch::{Consensus, LabelRule, Notice, Probabilities, ScoreKind};

/// Hysteresis that nobody asked for: calm, and still near the threshold.
const DEFAULT_CLEAR: f32 = 0.8;

/// Watch one source for what you describe, and print probabilities and events as they come.
///
/// The first prompt is what to look for; the others say what else may be seen, and take their
/// share of the probability. Give --threshold again to look for the second prompt too, and so on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seewhen watch rtsp://viewer:secret@192.0.2.7/stream1 \\
      --prompt \"a package on a doorstep\" --prompt \"an empty doorstep\"
  seewhen watch street.mp4 --prompt \"a car\" --prompt \"an empty road\" --threshold 0.5
  seewhen watch street.mp4 --as-fast-as-possible --json --prompt \"a car\" --prompt \"a road\"
  seewhen watch v4l2:/dev/video0 --prompt \"a person\" --prompt \"an empty room\"")]
pub struct Args {
    /// rtsp://, rtsps://, http://, https://, a file, v4l2:/dev/video0 or test:
    source: String,
    /// What to look for; again for what else may be seen
    #[arg(long = "prompt", short, required = true, value_name = "TEXT")]
    prompts: Vec<String>,
    /// Put around every prompt, with {} in its place; again for several
    #[arg(long = "template", value_name = "TEXT", value_parser = parse_template)]
    templates: Vec<String>,
    /// Probability at which a prompt fires, in the order of the prompts [default: 0.5 for the first]
    #[arg(long = "threshold", short, value_name = "P", value_parser = probability)]
    thresholds: Vec<Probability>,
    /// Probability below which an event ends [default: 0.8 of the threshold]
    #[arg(long, value_name = "P", value_parser = probability)]
    clear: Option<Probability>,
    /// How long a prompt must stay above its threshold before it fires
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    hold: Duration,
    /// How long no event starts after one has ended
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    cooldown: Duration,
    /// Analyse one frame per interval, or "keyframes": those that the camera codes on their own
    #[arg(long, default_value = "250ms", value_parser = every)]
    every: Every,
    /// How a picture that is not square is made so [default: as the bundle was trained]
    #[arg(long, value_name = "FIT", value_parser = parse_view)]
    fit: Option<View>,
    /// Start a file again at its end
    #[arg(long = "loop", conflicts_with = "as_fast_as_possible")]
    repeat: bool,
    /// Analyse every sampled frame of a file without waiting; times are seconds into the file
    #[arg(long)]
    as_fast_as_possible: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(args: Args) -> anyhow::Result<Outcome> {
    let camera = camera(&args)?;
    let watch = watch(&args, &camera)?;
    let model = Model::load(&args.model.config())?;
    let mut embedder = model.trying_embedder();
    let set = model.compile(
        &mut embedder,
        std::slice::from_ref(&camera),
        &[watch],
        &Lessons::new(),
        1,
    )?;
    drop(embedder);
    let pace = if args.as_fast_as_possible { Pace::AsFastAsPossible } else { Pace::Live };
    let cameras = vec![camera];
    let encoder = Box::new(Model::ahead_of_gpu(model.warm_image_encoder(1)?)?);
    let live = Live { cameras, set, encoder, pace, keeping: None };
    let mut printer = Printer::new(&args);
    live::run(live, |notice| printer.print(notice))?;
    printer.finish()?;
    Ok(Outcome::Done)
}

pub(super) fn every(text: &str) -> Result<Every, String> {
    match text {
        "keyframes" => Ok(Every::KeyFrames),
        text => match humantime::parse_duration(text) {
            Ok(every) if !every.is_zero() => Ok(Every::Interval(every)),
            _ => Err("write an interval, such as 250ms, or keyframes".to_owned()),
        },
    }
}

pub(super) fn parse_view(text: &str) -> Result<View, String> {
    if text == "tiles" {
        return Ok(View { fit: Some(Fit::Crop), tiles: true, region: None });
    }
    let fit = parse_fit(text).map_err(|_| {
        format!("found {text:?}; allowed are \"crop\", \"pad\", \"stretch\" and \"tiles\"")
    })?;
    Ok(View { fit: Some(fit), ..View::default() })
}

fn probability(text: &str) -> Result<Probability, String> {
    match text.parse() {
        Ok(p) if p > 0.0 && p <= 1.0 => Ok(p),
        _ => Err("a probability is above 0 and at most 1, such as 0.5".to_owned()),
    }
}

/// The camera that the arguments describe.
fn camera(args: &Args) -> anyhow::Result<Camera> {
    let source = config::parse_source(&args.source, Path::new("")).map_err(usage)?;
    if args.as_fast_as_possible && !matches!(source, CameraSource::File(_)) {
        return Err(usage(format!(
            "--as-fast-as-possible needs a file: {source} has its own pace"
        )));
    }
    let id = CameraId::try_new("source")?;
    let plain = plain_camera(id, source, args.every, args.fit.unwrap_or_default());
    Ok(Camera { repeat: args.repeat, ..plain })
}

/// A camera of which nobody said more.
pub(super) fn plain_camera(id: CameraId, source: CameraSource, every: Every, view: View) -> Camera {
    Camera {
        id,
        source,
        every,
        view,
        mask: Vec::new(),
        gate: None,
        decoder: DecoderChoice::Auto,
        network: config::Network::default(),
        repeat: false,
        connect_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        enabled: true,
        view_check: true,
    }
}

/// The watch that the arguments describe.
fn watch(args: &Args, camera: &Camera) -> anyhow::Result<WatchConfig> {
    let mut labels = prompted(&args.prompts)?;
    let default = [0.5];
    let thresholds =
        if args.thresholds.is_empty() { &default[..] } else { args.thresholds.as_slice() };
    if thresholds.len() > labels.len() {
        return Err(usage(
            "there are more --threshold than --prompt; each belongs to one prompt, in order",
        ));
    }
    for (label, threshold) in labels.iter_mut().zip(thresholds) {
        label.rule = Some(rule(args, *threshold)?);
    }
    plain_watch(vec![camera.id.clone()], &args.templates, labels)
}

/// A watch of which every analysed frame is told.
pub(super) fn plain_watch(
    cameras: Vec<CameraId>,
    templates: &[String],
    labels: Vec<LabelConfig>,
) -> anyhow::Result<WatchConfig> {
    let templates = if templates.is_empty() { vec!["{}".to_owned()] } else { templates.to_vec() };
    Ok(WatchConfig {
        id: WatchId::try_new("watch")?,
        cameras,
        templates,
        score: ScoreKind::Softmax,
        publish_every: Duration::ZERO,
        enabled: true,
        labels,
    })
}

/// A label for each prompt, none of which fires.
pub(super) fn prompted(prompts: &[String]) -> anyhow::Result<Vec<LabelConfig>> {
    if prompts.len() == 1 {
        return Err(usage(
            "one prompt alone always has probability 1; say with another --prompt what else may \
             be seen, such as \"an empty road\"",
        ));
    }
    let mut labels: Vec<LabelConfig> = Vec::new();
    for prompt in prompts {
        let id = LabelId::of_prompt(prompt);
        if prompt.trim().is_empty() || labels.iter().any(|label| label.id == id) {
            return Err(usage(format!("--prompt {prompt:?} is empty or given twice")));
        }
        labels.push(LabelConfig {
            id,
            prompts: vec![prompt.clone()],
            score: LabelScore::Prompts,
            rule: None,
        });
    }
    Ok(labels)
}

fn rule(args: &Args, threshold: Probability) -> anyhow::Result<LabelRule> {
    let clear = args.clear.unwrap_or(threshold * DEFAULT_CLEAR);
    if clear > threshold {
        return Err(usage(format!(
            "--clear {clear} is above --threshold {threshold}; an event would end at once"
        )));
    }
    Ok(LabelRule {
        threshold,
        clear,
        hold: args.hold,
        cooldown: args.cooldown,
        consensus: Consensus::default(),
        update_every: Duration::ZERO,
        active: None,
        shadow: false,
        enabled: true,
    })
}

fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// Writes notices to stdout, for people or as JSON.
struct Printer {
    json: bool,
    /// A terminal shows the live line in place; elsewhere every frame gets its own.
    in_place: bool,
    /// Live times are shown in seconds since the first frame.
    from_start: Option<f64>,
    media_time: bool,
    /// The prompts in the order they were given.
    order: Vec<LabelId>,
    width: usize,
}

impl Printer {
    fn new(args: &Args) -> Self {
        let order: Vec<LabelId> = args.prompts.iter().map(|p| LabelId::of_prompt(p)).collect();
        let width = args.prompts.iter().map(|prompt| prompt.chars().count()).max().unwrap_or(0);
        Self {
            json: args.json,
            in_place: std::io::stdout().is_terminal(),
            from_start: None,
            media_time: args.as_fast_as_possible,
            order,
            width,
        }
    }

    fn print(&mut self, notice: &Notice) -> anyhow::Result<Flow> {
        let mut out = std::io::stdout().lock();
        match notice {
            // Shadow labels are of configuration files, and there is none here.
            Notice::Watching(_) | Notice::Model(_) | Notice::Shadow(_) | Notice::Asked(_) => {}
            Notice::Camera(change) => {
                if matches!(change.state, CameraState::Stalled | CameraState::Retrying) {
                    writeln!(std::io::stderr(), "{}: {}", change.state.word(), change.reason)?;
                }
            }
            Notice::View { problem, .. } => {
                let said = problem.map_or(("well", "the view is as usual"), |problem| {
                    (problem.kind.word(), problem.reason)
                });
                writeln!(std::io::stderr(), "{}: {}", said.0, said.1)?;
            }
            Notice::Probabilities { time, probabilities, .. } if self.json => {
                out.write_all(&payload::probabilities(*time, probabilities, None))?;
                writeln!(out)?;
            }
            Notice::Event { event, .. } if self.json => {
                out.write_all(&payload::event(event, None, false))?;
                writeln!(out)?;
            }
            Notice::Probabilities { time, probabilities, .. } => {
                let line = self.live_line(*time, probabilities);
                if self.in_place {
                    write!(out, "\r\x1b[2K{line}")?;
                } else {
                    writeln!(out, "{line}")?;
                }
            }
            Notice::Event { event, .. } => {
                let clear = if self.in_place { "\r\x1b[2K" } else { "" };
                writeln!(out, "{clear}{}", self.event_line(event))?;
            }
        }
        out.flush()?;
        Ok(Flow::Continue)
    }

    /// Leaves the live line standing.
    fn finish(&self) -> anyhow::Result<()> {
        if self.in_place && !self.json {
            writeln!(std::io::stdout())?;
        }
        Ok(())
    }

    fn seconds(&mut self, time: WallTime) -> f64 {
        if self.media_time { time.0 } else { time.0 - *self.from_start.get_or_insert(time.0) }
    }

    fn live_line(&mut self, time: WallTime, probabilities: &Probabilities) -> String {
        let mut line = format!("{:8.2} s", self.seconds(time));
        for label in &self.order {
            let p = probabilities.of(label).unwrap_or_default();
            line.push_str(&format!("  {label} {p:.2} {:<8}", bar(p)));
        }
        line.trim_end().to_owned()
    }

    fn event_line(&mut self, event: &Event) -> String {
        let kind = match event.kind {
            EventKind::Start => "START",
            EventKind::Update => "STILL",
            EventKind::End => "END",
        };
        let frame = self.seconds(event.frame_time);
        let start = self.seconds(event.start_time);
        let label = &event.key.label;
        let width = self.width;
        let mut line = format!("{frame:8.2} s  {kind:<5} {label:<width$}");
        match event.end_time {
            Some(end) => line.push_str(&format!(
                "  seen {start:.2}-{:.2} s, at most {:.2}",
                self.seconds(end),
                event.top_probability
            )),
            None => line.push_str(&format!("  {:.2}", event.probability)),
        }
        line
    }
}

/// Eight characters for a whole.
fn bar(p: Probability) -> String {
    "█".repeat((p.clamp(0.0, 1.0) * 8.0).round() as usize)
}
