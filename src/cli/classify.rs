//! `seewhen classify IMAGE… --prompt …`: label probabilities of picture files.
//!
//! Results go to stdout in the order of the files, one JSON object a line with `--json`. A
//! picture that cannot be read is reported in its place, the others go on, and the exit code is
//! 1. Pictures are encoded in batches; at most one batch is in memory.

mod reference;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use ndarray::Array2;
use serde::Serialize;

use super::Outcome;
use super::model_args::{ModelArgs, parse_fit, parse_template};
use crate::clip::ImageEncoder;
use crate::clip::preprocess::PreprocessSpec;
use crate::clip::preprocess::layered::Layered;
use crate::clip::prompts::{ModelInfo, label_embedding, matrix};
use crate::clip::scoring::{LabelScore, score};
use crate::clip::still;
use crate::clip::still::StillError;
use crate::config::ModelConfig;
use crate::daemon::model::Model;
use crate::model::{Embedding, Fit, Picture, View};
use crate::watch::ScoreKind;

/// Pictures encoded in one run of the model.
const BATCH: usize = 8;
/// Decoded pictures kept for one batch, bytes; a larger one makes a batch of its own.
const BATCH_BYTES: usize = 128 << 20;

const EXAMPLES: &str = "\
Examples:
  seewhen classify porch.jpg --prompt \"a parcel by a door\" --prompt \"an empty porch\"
  seewhen classify *.jpg --prompt cat --prompt dog --template \"a photo of a {}\" --json
  seewhen classify frame.png --prompt \"a bus\" --fit pad --bundle ./models/ViT-B-32

Pictures may be bmp, gif (first frame), jpeg, png, tiff or webp, told by their content.
Transparency is dropped after resizing and the EXIF orientation is not applied, as in CLIP's
own code. The last line of each picture is the one that OpenAI's example prints: the probabilities in
the order of the prompts.";

/// Print how well prompts describe pictures
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Picture files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// What may be seen, in words; give it once for each description
    #[arg(long = "prompt", required = true, value_name = "TEXT")]
    prompts: Vec<String>,
    /// Sentence that each prompt is put into, at its {}; several are averaged
    #[arg(long = "template", value_name = "TEXT", default_value = "{}", value_parser = parse_template)]
    templates: Vec<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// With --json, also print the picture's embedding
    #[arg(long, requires = "json")]
    embeddings: bool,
    /// How a picture that is not square is made so [default: as the bundle was trained]
    #[arg(long, value_parser = parse_fit)]
    fit: Option<Fit>,
    /// Turn pictures upright as their EXIF data say, which CLIP's own code does not do
    #[arg(long)]
    exif: bool,
    /// How cosines become probabilities
    #[arg(long, value_enum, default_value = "softmax")]
    score: ScoreArg,
    #[command(flatten)]
    model: ModelArgs,
}

/// The words of `score` in a configuration.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScoreArg {
    Softmax,
    Sigmoid,
}

/// Runs the command: [`Outcome::Partly`] when a picture could not be read.
pub fn run(args: &Args) -> Result<Outcome> {
    let max_batch = BATCH.min(args.images.len());
    let model = Model::load(&ModelConfig { max_batch, ..args.model.config() })?;
    // What is cached is used, but prompts that somebody tries out are not kept.
    let mut embedder = model.trying_embedder();
    let mut labels = Vec::with_capacity(args.prompts.len());
    for prompt in &args.prompts {
        let prompts = std::slice::from_ref(prompt);
        labels.push(label_embedding(&args.templates, prompts, &mut embedder)?);
    }
    drop(embedder);
    let bundle = model.bundle();
    let mut classifier = Classifier {
        encoder: model.image_encoder()?,
        labels: matrix(&labels).context("prompts have embeddings of different lengths")?,
        info: bundle.info(),
        kind: match args.score {
            ScoreArg::Softmax => ScoreKind::Softmax,
            ScoreArg::Sigmoid => ScoreKind::Sigmoid,
        },
        fit: args.fit.unwrap_or(bundle.preprocess().fit),
    };
    let mut out = io::stdout().lock();
    let mut failed = false;
    let mut rest = args.images.as_slice();
    let open = if args.exif { still::read_upright } else { still::read };
    while !rest.is_empty() {
        let (batch, read) = read_batch(rest, classifier.fit, bundle.preprocess(), open);
        rest = &rest[read..];
        let results = classifier.classify(batch)?;
        for result in &results {
            failed |= result.outcome.is_err();
            if args.json { json(&mut out, args, result)? } else { table(&mut out, args, result)? }
        }
        out.flush()?;
    }
    Ok(if failed { Outcome::Partly } else { Outcome::Done })
}

struct Classifier<E> {
    encoder: E,
    labels: Array2<f32>,
    info: ModelInfo,
    kind: ScoreKind,
    fit: Fit,
}

type Read<'a> = (&'a Path, Result<Picture, String>);

struct Classified<'a> {
    path: &'a Path,
    outcome: Result<(Embedding, Vec<LabelScore>), String>,
}

impl<E: ImageEncoder> Classifier<E> {
    /// Encodes the pictures that could be read; the order stays.
    fn classify<'a>(&mut self, batch: Vec<Read<'a>>) -> Result<Vec<Classified<'a>>> {
        let good = batch.iter().filter_map(|(_, read)| read.as_ref().ok());
        let view = View { fit: Some(self.fit), ..View::default() };
        let pictures: Vec<_> = good.map(|picture| (picture, view)).collect();
        let mut embeddings = self.encoder.encode(&pictures)?.into_iter();
        let mut results = Vec::with_capacity(batch.len());
        for (path, read) in &batch {
            let outcome = match read {
                Err(error) => Err(error.clone()),
                Ok(_) => {
                    let embedding = embeddings.next().context("an embedding is missing")?;
                    let scores = self.score(&embedding)?;
                    Ok((embedding, scores))
                }
            };
            results.push(Classified { path, outcome });
        }
        Ok(results)
    }

    fn score(&self, embedding: &Embedding) -> Result<Vec<LabelScore>> {
        let (picture, text) = (embedding.0.len(), self.labels.ncols());
        ensure!(
            picture == text,
            "bundle {}: pictures have {picture} values and prompts {text}; the two models do not \
             belong together",
            self.info.name
        );
        let (scale, bias) = (self.info.logit_scale, self.info.logit_bias);
        Ok(score(embedding, self.labels.view(), self.kind, scale, bias))
    }
}

/// Reads files until a batch is full; also how many files that were.
fn read_batch<'a>(
    paths: &'a [PathBuf],
    fit: Fit,
    spec: &PreprocessSpec,
    open: fn(&Path) -> Result<Layered, StillError>,
) -> (Vec<Read<'a>>, usize) {
    let (mut batch, mut good, mut bytes) = (Vec::new(), 0, 0);
    for path in paths {
        let read = open(path).map_err(|error| error.to_string());
        let read = read.and_then(|p| p.fitted(fit, spec).map_err(|error| error.to_string()));
        if let Ok(picture) = &read {
            good += 1;
            bytes += picture.rgb.len();
        }
        batch.push((path.as_path(), read));
        if good == BATCH || bytes >= BATCH_BYTES {
            break;
        }
    }
    let read = batch.len();
    (batch, read)
}

#[derive(Serialize)]
struct Line<'a> {
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<LabelLine<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct LabelLine<'a> {
    prompt: &'a str,
    probability: f32,
    logit: f32,
    cosine: f32,
}

impl<'a> From<(&'a String, &LabelScore)> for LabelLine<'a> {
    fn from((prompt, score): (&'a String, &LabelScore)) -> Self {
        Self { prompt, probability: score.probability, logit: score.logit, cosine: score.cosine }
    }
}

fn json(out: &mut impl Write, args: &Args, result: &Classified<'_>) -> Result<()> {
    let image = result.path.display().to_string();
    let line = match &result.outcome {
        Err(error) => Line { image, labels: None, embedding: None, error: Some(error) },
        Ok((embedding, scores)) => Line {
            image,
            labels: Some(args.prompts.iter().zip(scores).map(LabelLine::from).collect()),
            embedding: args.embeddings.then_some(embedding.0.as_slice()),
            error: None,
        },
    };
    serde_json::to_writer(&mut *out, &line)?;
    Ok(writeln!(out)?)
}

/// The picture's name, its labels, most probable first, and the reference's line. Errors go to
/// stderr.
fn table(out: &mut impl Write, args: &Args, result: &Classified<'_>) -> Result<()> {
    const WIDTH: f32 = 20.0;
    let path = result.path.display();
    let scores = match &result.outcome {
        Err(error) => return Ok(writeln!(io::stderr(), "{path}: {error}")?),
        Ok((_, scores)) => scores,
    };
    let mut rows: Vec<_> = args.prompts.iter().zip(scores).collect();
    rows.sort_by(|(_, a), (_, b)| b.probability.total_cmp(&a.probability));
    writeln!(out, "{path}")?;
    for (prompt, score) in rows {
        let bar = "█".repeat((score.probability * WIDTH).round() as usize);
        let percent = score.probability * 100.0;
        writeln!(out, "  {percent:5.1} %  {bar:<20}  {prompt}")?;
    }
    let probabilities: Vec<f32> = scores.iter().map(|score| score.probability).collect();
    Ok(writeln!(out, "{}", reference::line(&probabilities))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::bundle::Bundle;

    #[test]
    fn batches_end_when_full_and_skip_what_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.png");
        image::RgbImage::new(2, 2).save(&good).unwrap();
        let mut paths = vec![folder.path().join("absent.png")];
        paths.extend(std::iter::repeat_n(good, BATCH + 1));
        let mini = Bundle::open("./models/mini", None).unwrap();
        let read_batch = |paths| read_batch(paths, Fit::Crop, mini.preprocess(), still::read);
        let (batch, read) = read_batch(&paths);
        assert_eq!((read, batch.iter().filter(|(_, r)| r.is_err()).count()), (BATCH + 1, 1));
        assert_eq!(read_batch(&paths[read..]).1, 1);
    }
}
