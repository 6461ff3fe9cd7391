//! OpenAI's model files to bundles: the very numbers that the reference code gives.
//!
//! Promise: what `seewhen model import` makes of a file embeds pictures and texts as OpenAI's
//! code does with that file. The fixtures are tiny models with random weights, written and
//! embedded by the reference implementation (`tests/data/clip/generate.py`); the nine full-size
//! architectures run in `make parity`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what it skips, and stops at once"
)]

use std::fs;
use std::path::{Path, PathBuf};

use seewhen::clip::bundle::{Bundle, FP16_MODEL, IMAGE_MODEL};
use seewhen::clip::import::{Activation, Dtype, ImportError, Options, import};
use seewhen::clip::onnx::{OnnxImageEncoder, OnnxTextEncoder, Runtime};
use seewhen::clip::scoring::{cosine, score};
use seewhen::clip::{ImageEncoder as _, TextEncoder as _, checksums, prompts, still};
use seewhen::config::{Device, Precision};
use seewhen::model::{Embedding, View};
use seewhen::watch::ScoreKind;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    name: String,
    texts: Vec<Text>,
    image: Vec<f32>,
    probabilities: Vec<f32>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f32>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clip").join(name)
}

fn golden() -> Vec<Golden> {
    serde_json::from_slice(&fs::read(data("golden.json")).unwrap()).unwrap()
}

/// Imports a fixture with `options`; the folder lives as long as the first value.
fn imported(name: &str, options: Options) -> (tempfile::TempDir, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join(name);
    import(&data(&format!("{name}.pt")), &target, options).unwrap();
    let bundle = Bundle::open(target.to_str().unwrap(), None).unwrap();
    (folder, bundle)
}

/// How far the bundle is from the reference: largest difference in an embedding, least cosine,
/// largest difference in a probability.
fn distance(golden: &Golden, bundle: &Bundle) -> (f32, f32, f32) {
    let runtime = Runtime::load().unwrap();
    let mut images = OnnxImageEncoder::open(&runtime, bundle, Device::Cpu, 1).unwrap();
    let mut texts = OnnxTextEncoder::open(&runtime, bundle).unwrap();
    let picture = still::read(&data(&format!("{}.png", golden.name))).unwrap().into_rgb();
    let image = images.encode(&[(&picture, View::default())]).unwrap().remove(0);
    let words: Vec<String> = golden.texts.iter().map(|text| text.text.clone()).collect();
    for text in &golden.texts {
        assert_eq!(texts.tokenizer().encode(&text.text).unwrap().text_ids(), text.ids);
    }
    let embedded = texts.encode(&words).unwrap();
    let labels = prompts::matrix(&embedded).unwrap();
    let info = bundle.info();
    assert!((info.logit_scale - 100.0).abs() < 0.01);
    let scores =
        score(&image, labels.view(), ScoreKind::Softmax, info.logit_scale, info.logit_bias);
    let wanted = std::iter::once(&golden.image).chain(golden.texts.iter().map(|t| &t.embedding));
    let pairs: Vec<_> = std::iter::once(&image).chain(&embedded).zip(wanted).collect();
    let off = pairs.iter().flat_map(|(found, wanted)| found.0.iter().zip(wanted.iter()));
    let off = off.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let near = pairs.iter().map(|(found, wanted)| cosine(&Embedding((*wanted).clone()), found));
    let apart = scores.iter().zip(&golden.probabilities);
    let apart = apart.map(|(s, p)| (s.probability - p).abs()).fold(0.0, f32::max);
    (off, near.fold(1.0, f32::min), apart)
}

#[test]
fn embeddings_are_those_of_the_reference() {
    for golden in golden() {
        let (_folder, bundle) = imported(&golden.name, Options::default());
        let (off, near, apart) = distance(&golden, &bundle);
        let found = format!("{}: {off:e} {near} {apart:e}", golden.name);
        assert!(off <= 1e-4 && near >= 0.99999 && apart <= 1e-3, "{found}");
    }
}

#[test]
fn half_precision_is_near() {
    for golden in golden() {
        let options = Options { dtype: Dtype::Fp16, ..Options::default() };
        let (_folder, bundle) = imported(&golden.name, options);
        let (_, near, apart) = distance(&golden, &bundle);
        assert!(near >= 0.9999 && apart <= 0.02, "{}: {near} {apart}", golden.name);
    }
}

#[test]
fn weights_may_lie_in_a_file_of_their_own() {
    let golden = golden().remove(0);
    let options = Options { most_inline: 0, ..Options::default() };
    let (folder, bundle) = imported(&golden.name, options);
    let visual = folder.path().join(&golden.name).join("visual");
    let sizes =
        ["model.onnx", "model.onnx.data"].map(|f| fs::metadata(visual.join(f)).unwrap().len());
    assert!(sizes[0] < sizes[1], "{sizes:?}");
    let (off, ..) = distance(&golden, &bundle);
    assert!(off <= 1e-4, "{off}");
}

#[test]
fn the_activation_matters() {
    let golden = golden().remove(0);
    let options = Options { activation: Activation::Gelu, ..Options::default() };
    let (_folder, bundle) = imported(&golden.name, options);
    let (off, near, _) = distance(&golden, &bundle);
    assert!(off > 1e-4 && near > 0.9, "{off} {near}");
}

#[test]
fn a_bundle_is_whole_and_never_overwritten() {
    let (folder, bundle) = imported("tiny-vit", Options::default());
    let path = bundle.folder().unwrap();
    let sums = checksums::parse(&checksums::read(path).unwrap()).unwrap();
    let mut files: Vec<&str> = sums.iter().map(|sum| sum.file.as_str()).collect();
    files.sort_unstable();
    let expected = [
        "config.json",
        "textual/model.onnx",
        "textual/tokenizer.json",
        "visual/model.onnx",
        "visual/preprocess_cfg.json",
    ];
    assert_eq!(files, expected);
    assert!(checksums::differences(path, &sums).is_empty());
    let again = import(&data("tiny-vit.pt"), path, Options::default());
    assert!(matches!(again, Err(ImportError::Exists(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
}

/// The example of OpenAI's README, with OpenAI's own weights where they are.
#[test]
fn openais_example_prints_openais_numbers() {
    let folder = std::env::var_os("SEEWHEN_MODEL_DIR").map(PathBuf::from);
    let Ok(bundle) = Bundle::open("ViT-B/32", folder.as_deref()) else {
        eprintln!("skipped: no ViT-B/32 here");
        return;
    };
    let runtime = Runtime::load().unwrap();
    let spec = bundle.preprocess();
    let picture = still::read(&data("CLIP.png")).unwrap().fitted(spec.fit, spec).unwrap();
    let mut images = OnnxImageEncoder::open(&runtime, &bundle, Device::Cpu, 1).unwrap();
    let mut texts = OnnxTextEncoder::open(&runtime, &bundle).unwrap();
    let image = images.encode(&[(&picture, View::default())]).unwrap().remove(0);
    let labels = ["a diagram", "a dog", "a cat"].map(str::to_owned);
    let labels = prompts::matrix(&texts.encode(&labels).unwrap()).unwrap();
    let info = bundle.info();
    let found = score(&image, labels.view(), ScoreKind::Softmax, info.logit_scale, info.logit_bias);
    // Those numbers were made in half precision on a GPU.
    for (found, wanted) in found.iter().zip([0.992_793_7, 0.004_210_68, 0.002_995_72]) {
        assert!((found.probability - wanted).abs() < 1e-3, "{}, not {wanted}", found.probability);
    }
}

#[test]
fn fp16_beside_the_original() {
    let options = Options { fp16_beside: true, ..Options::default() };
    let (_folder, bundle) = imported("tiny-vit", options);
    let folder = bundle.folder().unwrap().to_owned();
    let sums = fs::read_to_string(folder.join(checksums::FILE)).unwrap();
    assert!(sums.contains(FP16_MODEL), "{sums}");
    assert!(bundle.has(Precision::Fp16));
    let size = |file: &str| fs::metadata(folder.join(file)).unwrap().len();
    assert!(size(FP16_MODEL) * 3 < size(IMAGE_MODEL) * 2);

    let picture = still::read(&data("tiny-vit.png")).unwrap().into_rgb();
    let embedding = |bundle: &Bundle| {
        let runtime = Runtime::load().unwrap();
        let mut encoder = OnnxImageEncoder::open(&runtime, bundle, Device::Cpu, 1).unwrap();
        encoder.encode(&[(&picture, View::default())]).unwrap().remove(0)
    };
    let original = embedding(&bundle);
    // Only GPUs are given it; here it stands in for the original.
    fs::rename(folder.join(FP16_MODEL), folder.join(IMAGE_MODEL)).unwrap();
    let half = embedding(&Bundle::open(folder.to_str().unwrap(), None).unwrap());
    assert!(original != half && cosine(&original, &half) > 0.9999);
}
