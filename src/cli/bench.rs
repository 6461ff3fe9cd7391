//! `seewhen bench`: what this machine makes of a model, so that nobody has to guess how many
//! cameras it bears.
//!
//! Measures in turn, each for `--seconds`: the model alone against the whole of inference
//! (mailbox, preprocessing, model, scores) at every batch size, in the same run, since only their
//! ratio tells something on a machine that does other things too; preprocessing by size of the
//! frame; and, with `--video`, whole cameras.

mod line;
mod scores;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use self::line::{Line, table};
use super::model_args::ModelArgs;
use super::{Outcome, heap};
use crate::capture::gstreamer::Pace;
use crate::clip::ImageEncoder as _;
use crate::clip::onnx::OnnxImageEncoder;
use crate::clip::preprocess::Preprocessor;
use crate::config::{self, Camera, CameraSource, ModelConfig, Network};
use crate::daemon::live::{self, Flow, Live};
use crate::daemon::model::Model;
use crate::daemon::trial::{self, Trial};
use crate::model::{
    CameraChange, CameraId, CameraState, DecoderChoice, Every, LabelId, Picture, View, WatchId,
};
use crate::watch::{Label, Notice, ScoreKind, Taught, Watch, WatchSet, WatchedCamera};

/// The size that 1080p frames have when capture is done with them.
const FRAME: (u32, u32) = (960, 540);
/// Frames as cameras send them, as far as capture leaves them so.
const SIZES: [(u32, u32); 4] = [(640, 360), FRAME, (1280, 720), (1920, 1080)];

const EXAMPLES: &str = "\
Examples:
  seewhen bench
  seewhen bench --bundle ViT-B-32 --batch 1,8,16 --json
  seewhen bench --video street.mp4 --cameras 8";

/// Measure how many frames a second this machine can look at
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Batch sizes
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2,4,8,16",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: Vec<u16>,
    /// How long each figure is measured
    #[arg(long, default_value = "3s", value_parser = some_time)]
    seconds: Duration,
    /// Labels that every frame is compared with
    #[arg(long, value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    labels: u32,
    /// Also measure cameras that play this file as fast as they are taken, every frame
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// How many of them
    #[arg(long, value_name = "N", default_value_t = 4, requires = "video",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    cameras: u16,
    /// Prepare the next batch while one runs, or after it, in place of what suits the device
    #[arg(long, value_name = "WHEN")]
    prepare: Option<Prepare>,
    /// Measure nothing but these cameras
    #[arg(long, requires = "video")]
    only_cameras: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Prepare {
    Ahead,
    InTurn,
}

fn some_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time >= Duration::from_millis(100) => Ok(time),
        _ => Err("write a time of 100ms or more, such as 3s".to_owned()),
    }
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    // As a node does, which this is to tell the memory of.
    heap::share(std::env::args_os());
    match &args.video {
        Some(video) if args.only_cameras => cameras(args, video)?,
        Some(video) => {
            parts(args)?;
            cameras(args, video)?;
        }
        None => {
            let _loaded = parts(args)?;
            print(args, &memory()?)?;
        }
    }
    Ok(Outcome::Done)
}

/// Everything but whole cameras. Gives the encoder, for its memory to be counted.
fn parts(args: &Args) -> anyhow::Result<OnnxImageEncoder> {
    let model = load(args, 1)?;
    print_model(args, &model, &model.image_encoder()?)?;
    for batch in &args.batch {
        print(args, &batch_speed(args, usize::from(*batch))?)?;
    }
    for (width, height) in SIZES {
        let milliseconds = preprocessing(args, &model, (width, height))?;
        print(args, &Line::Preprocess { width, height, milliseconds })?;
    }
    let mut encoder = model.image_encoder()?;
    print(args, &scores::prompts(args, &mut encoder)?)?;
    print(args, &scores::rules(args)?)?;
    print(args, &scores::taught(args, &mut encoder)?)?;
    Ok(encoder)
}

fn print_model(args: &Args, model: &Model, encoder: &OnnxImageEncoder) -> anyhow::Result<()> {
    let (provider, precision) = (encoder.provider().to_string(), encoder.precision().to_string());
    let (bundle, size) = (model.bundle().name(), model.bundle().preprocess().size);
    print(args, &Line::Model { bundle, precision, provider, size, labels: args.labels })
}

/// Opens the model for batches of `batch`.
fn load(args: &Args, batch: usize) -> anyhow::Result<Model> {
    Model::load(&ModelConfig { max_batch: batch, ..args.model.config() })
}

/// The image model, as inference is to have it.
fn encoder(args: &Args, model: &Model) -> anyhow::Result<Box<OnnxImageEncoder>> {
    let encoder = model.image_encoder()?;
    Ok(Box::new(match args.prepare {
        Some(Prepare::Ahead) => Model::ahead(encoder)?,
        Some(Prepare::InTurn) => encoder,
        None => Model::ahead_of_gpu(encoder)?,
    }))
}

fn batch_speed(args: &Args, batch: usize) -> anyhow::Result<Line<'static>> {
    let model = load(args, batch)?;
    let mut alone = model.image_encoder()?;
    let picture = Arc::new(picture(FRAME));
    let pictures = vec![(&*picture, View::default()); batch];
    // Before and after: what the machine does besides changes with time.
    let before = alone.speed(&pictures, args.seconds / 2)?;
    let mut encoder = encoder(args, &model)?;
    let dim = encoder.encode(&pictures)?[0].0.len();
    let set = watches(batch, args.labels as usize, dim)?;
    let inference = trial::run(Trial { encoder, set, picture: picture.clone() }, args.seconds)?;
    let model = f64::midpoint(before, alone.speed(&pictures, args.seconds / 2)?);
    Ok(Line::Batch { batch, model, inference, share: inference / model })
}

fn preprocessing(args: &Args, model: &Model, size: (u32, u32)) -> anyhow::Result<f64> {
    let mut preprocessor = Preprocessor::<f32>::new(model.bundle().preprocess().clone());
    let mut input = vec![0.0; preprocessor.spec().len()];
    let picture = picture(size);
    let (started, mut runs) = (Instant::now(), 0_u32);
    while started.elapsed() < args.seconds / 2 {
        preprocessor.run(&picture, View::default(), &mut input)?;
        runs += 1;
    }
    Ok(started.elapsed().as_secs_f64() * 1000.0 / f64::from(runs))
}

/// The model is loaded once here, and memory is read while all of it is at work, so that it is that
/// of a node.
fn cameras(args: &Args, video: &Path) -> anyhow::Result<()> {
    let source =
        config::parse_source(&video.display().to_string(), Path::new("")).map_err(super::Usage)?;
    let ids = camera_ids(usize::from(args.cameras))?;
    let camera = |id: &CameraId| camera(id.clone(), source.clone());
    let cameras: Vec<Camera> = ids.iter().map(camera).collect();
    let model = load(args, ids.len())?;
    let mut encoder = encoder(args, &model)?;
    // Else it has been introduced before.
    if args.only_cameras {
        print_model(args, &model, &encoder)?;
    }
    let dim = encoder.encode(&[(&picture(FRAME), View::default())])?[0].0.len();
    let set = watches(ids.len(), args.labels as usize, dim)?;
    let (mut seen, mut started, mut rate) = (BTreeSet::new(), None::<Instant>, None);
    let mut frames = 0_u32;
    let live = Live { cameras, set, encoder, pace: Pace::AsFastAsPossible, keeping: None };
    live::run(live, |notice| {
        match notice {
            Notice::Camera(CameraChange {
                camera,
                state: CameraState::Retrying | CameraState::Stalled,
                reason,
                ..
            }) => {
                bail!("{camera}: {reason}");
            }
            Notice::Probabilities { camera, .. } if seen.len() < ids.len() => {
                seen.insert(camera.clone());
            }
            Notice::Probabilities { .. } => {
                let took = started.get_or_insert_with(Instant::now).elapsed();
                if took >= args.seconds {
                    rate = Some((f64::from(frames) / took.as_secs_f64(), memory()?));
                    return Ok(Flow::Stop);
                }
                frames += 1;
            }
            _ => {}
        }
        Ok(Flow::Continue)
    })?;
    let (frames_per_second, memory) = rate.context("the cameras ended too early")?;
    print(args, &Line::Cameras { cameras: args.cameras, frames_per_second })?;
    print(args, &memory)
}

fn camera(id: CameraId, source: CameraSource) -> Camera {
    Camera {
        id,
        source,
        every: Every::Interval(Duration::from_millis(1)),
        view: View::default(),
        mask: Vec::new(),
        gate: None,
        decoder: DecoderChoice::Auto,
        network: Network::default(),
        repeat: true,
        connect_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        enabled: true,
        view_check: true,
    }
}

fn camera_ids(count: usize) -> anyhow::Result<Vec<CameraId>> {
    (1..=count).map(|n| Ok(CameraId::try_new(&format!("c{n}"))?)).collect()
}

/// One watch over `cameras` cameras, with as many labels of as many values.
fn watches(cameras: usize, labels: usize, dim: usize) -> anyhow::Result<WatchSet> {
    let ids = camera_ids(cameras)?;
    let mut random = fastrand::Rng::with_seed(7);
    let mut matrix = ndarray::Array2::from_shape_simple_fn((labels, dim), || random.f32() - 0.5);
    for mut row in matrix.rows_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    let label = |n| Ok(Label { id: LabelId::try_new(&format!("l{n}"))?, rule: None });
    let watched = |id: &CameraId| WatchedCamera {
        id: id.clone(),
        stale_after: Duration::from_secs(60),
        enabled: true,
        view_check: None,
    };
    Ok(WatchSet {
        cameras: ids.iter().map(watched).collect(),
        watches: vec![Watch {
            id: WatchId::try_new("bench")?,
            cameras: ids,
            labels: (0..labels).map(label).collect::<anyhow::Result<_>>()?,
            score: ScoreKind::Softmax,
            matrix,
            taught: Taught::default(),
            publish_every: Duration::ZERO,
            enabled: true,
        }],
        logit_scale: 100.0,
        logit_bias: 0.0,
        model: "bench".into(),
        revision: 1,
    })
}

/// Noise: nothing about it is easy to resample.
fn picture((width, height): (u32, u32)) -> Picture {
    let mut rgb = vec![0; width as usize * height as usize * 3];
    fastrand::Rng::with_seed(7).fill(&mut rgb);
    Picture { width, height, rgb }
}

/// The process's memory, now and at most, MiB.
fn memory() -> anyhow::Result<Line<'static>> {
    const STATUS: &str = "/proc/self/status";
    let status = std::fs::read_to_string(STATUS).context(STATUS)?;
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
    };
    match (value("VmRSS:"), value("VmHWM:")) {
        (Some(now_mib), Some(most_mib)) => Ok(Line::Memory { now_mib, most_mib }),
        _ => bail!("{STATUS} has no memory"),
    }
}

fn print(args: &Args, line: &Line<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, line)?;
        writeln!(out)?;
    } else {
        table(&mut out, line)?;
    }
    Ok(out.flush()?)
}
