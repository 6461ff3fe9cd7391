//! `seewhen model quantize`: a bundle's image model in 8-bit integers, beside the original.
//!
//! It counts only after it has been measured: the same pictures through both, and the new one
//! stays when every embedding is near enough to its original.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Folder, size};
use crate::cli::Outcome;
use crate::clip::bundle::{Bundle, INT8_MODEL, ModelFile};
use crate::clip::draft::Draft;
use crate::clip::onnx::{OnnxImageEncoder, Runtime};
use crate::clip::scoring::cosine;
use crate::clip::{ImageEncoder as _, checksums, quantize, still};
use crate::config::{Device, ModelConfig, Precision};
use crate::model::{Picture, View};

/// Pictures that are read of the folder at most.
const MOST: usize = 200;
/// How long the speed of each model is measured.
const TIMED: Duration = Duration::from_secs(2);
/// In batches of so many.
const BATCH: usize = 4;

const EXAMPLES: &str = "\
Examples:
  seewhen model quantize ViT-B-32 --pictures ~/snapshots
  seewhen model quantize ./models/mine --pictures frames --least-cosine 0.99

The pictures should be such as your cameras send, 20 or more. The bundle keeps both models:
precision = \"original\" in [model] takes the first again. Processors before 2019 or so have no
instructions for it and may be no faster, and less exact: make it on the machine that runs it.";

/// Make a bundle's image model faster on processors, at a known cost
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Name or path of the bundle
    bundle: String,
    /// Folder of pictures to measure with
    #[arg(long, value_name = "FOLDER")]
    pictures: PathBuf,
    /// The least that an embedding may be like its original
    #[arg(long, value_name = "COSINE", default_value_t = 0.995, value_parser = cosine_value)]
    least_cosine: f32,
    #[command(flatten)]
    folder: Folder,
}

fn cosine_value(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a cosine is 0 to 1, such as 0.995".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome> {
    let bundle = Bundle::open(&args.bundle, args.folder.path())?.at(Precision::Original);
    let (Some(folder), ModelFile::Path(model)) = (bundle.folder(), bundle.image_model()?) else {
        bail!("{} is part of the program and stays as it is", bundle.name());
    };
    let pictures = files(&args.pictures)?;
    let result = folder.join(INT8_MODEL);
    let made = make(&model, &result).with_context(|| model.display().to_string())?;
    let trial = bundle.clone().trying(made.draft.path().to_owned());
    let measured = measure(&bundle, &trial, &pictures)?;
    judge(args, &bundle, &measured, &made)?;
    // Only now is there anything that others can see.
    made.draft.keep().with_context(|| result.display().to_string())?;
    checksums::update_one(folder, INT8_MODEL)
        .with_context(|| format!("the model is in place, but not in {}", checksums::FILE))?;
    Ok(Outcome::Done)
}

/// A model that nobody uses yet.
struct Made {
    draft: Draft,
    products: usize,
    bytes: usize,
}

fn make(model: &Path, result: &Path) -> Result<Made> {
    let beside = model.parent().unwrap_or(Path::new(""));
    let quantized = quantize::quantize(&fs::read(model)?, beside)?;
    ensure!(
        !quantized.external || result.parent() == Some(beside),
        "it has weights in files of their own and is not in visual/: `seewhen model import` makes \
         bundles that can be quantised"
    );
    let draft = Draft::write(result, &quantized.bytes)?;
    Ok(Made { draft, products: quantized.products, bytes: quantized.bytes.len() })
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    ensure!(!files.is_empty(), "{}: there is nothing in it", folder.display());
    Ok(files)
}

/// What became of the embeddings, and of the speed.
struct Measured {
    cosines: Vec<f32>,
    /// Pictures a second, before and after.
    speeds: [f64; 2],
}

/// Both models on every picture among `files`, up to [`MOST`]. In batches as large as the daemon's:
/// the range of what is quantised as it comes is that of the whole batch.
fn measure(bundle: &Bundle, trial: &Bundle, files: &[PathBuf]) -> Result<Measured> {
    let runtime = Runtime::load()?;
    let batch = ModelConfig::default().max_batch;
    let open = |bundle| OnnxImageEncoder::open(&runtime, bundle, Device::Cpu, batch);
    let (mut original, mut int8) = (open(bundle)?, open(trial)?);
    let mut pictures =
        files.iter().filter_map(|file| Some(still::read(file).ok()?.into_rgb())).take(MOST);
    let mut cosines = Vec::new();
    loop {
        let some: Vec<Picture> = pictures.by_ref().take(batch).collect();
        if some.is_empty() {
            break;
        }
        let views: Vec<_> = some.iter().map(|picture| (picture, View::default())).collect();
        let before = original.encode(&views).context("the original model")?;
        let after = int8.encode(&views).context("the model in 8-bit integers")?;
        cosines.extend(before.iter().zip(&after).map(|(a, b)| cosine(a, b)));
    }
    ensure!(!cosines.is_empty(), "no picture in the folder can be read");
    // What is in a picture costs no time.
    let grey = Picture { width: 1, height: 1, rgb: vec![127; 3] };
    let batch = vec![(&grey, View::default()); BATCH];
    Ok(Measured { cosines, speeds: [original.speed(&batch, TIMED)?, int8.speed(&batch, TIMED)?] })
}

/// Says what was measured; an error when it is not good enough.
fn judge(args: &Args, bundle: &Bundle, measured: &Measured, made: &Made) -> Result<()> {
    let least = measured.cosines.iter().copied().fold(1.0, f32::min);
    let mean = measured.cosines.iter().sum::<f32>() / measured.cosines.len() as f32;
    let [before, after] = measured.speeds;
    let mut out = io::stderr();
    writeln!(
        out,
        "{}: {} products in 8-bit integers, {}\ncosine to the original on {} pictures: {mean:.5} \
         on average, {least:.5} at least\npictures a second: {before:.1} before, {after:.1} after",
        bundle.name(),
        made.products,
        size(made.bytes as u64),
        measured.cosines.len(),
    )?;
    ensure!(
        least >= args.least_cosine,
        "a cosine of {least:.5} is under {}: nothing was kept (--least-cosine)",
        args.least_cosine
    );
    if after <= before {
        writeln!(out, "it is no faster here: precision = \"original\" keeps the first")?;
    }
    Ok(())
}
