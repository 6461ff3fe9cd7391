//! The whole way from texts and picture files to probabilities, against reference values.
//!
//! Promise: the same embeddings as Pillow and onnxruntime in Python give, with the bundle that
//! is part of the program. Needs ONNX Runtime (`scripts/setup`); without it these tests fail
//! and say so. References that are not part of the repository are used where they lie beside
//! it (`SEEWHEN_SHARED`, or `../shared`), and skipped with a line on stderr elsewhere.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what it skips, and stops at once"
)]

use std::fs;
use std::path::{Path, PathBuf};

use seewhen::clip::bundle::Bundle;
use seewhen::clip::onnx::{OnnxImageEncoder, OnnxTextEncoder, Runtime, tokenizer};
use seewhen::clip::preprocess::geometry::Rounding;
use seewhen::clip::preprocess::{PreprocessSpec, preprocess};
use seewhen::clip::scoring::{cosine, score};
use seewhen::clip::{ImageEncoder as _, TextEncoder as _, prompts, still};
use seewhen::config::Device;
use seewhen::model::{Embedding, Picture, View};
use seewhen::watch::ScoreKind;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    prompts: Vec<Text>,
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Image {
    path: String,
    embedding: Vec<f32>,
    probabilities: Vec<f32>,
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn golden(path: &str) -> Golden {
    serde_json::from_slice(&fs::read(root(path)).unwrap()).unwrap()
}

fn mini() -> Bundle {
    Bundle::open(root("models/mini").to_str().unwrap(), None).unwrap()
}

fn runtime() -> Runtime {
    Runtime::load().unwrap_or_else(|error| panic!("{error}"))
}

/// A file beside the repository; `None`, and a line on stderr, where there is none.
fn shared(path: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("SEEWHEN_SHARED").map_or_else(|| root("../shared"), PathBuf::from);
    let found = folder.join(path);
    if !found.exists() {
        eprintln!("skipped: {} is not there", found.display());
        return None;
    }
    Some(found)
}

/// The reference's values have six digits, so they are not of length 1 to the last bit.
/// The folder that a variable names, else the one of `shared`.
fn named(variable: &str, path: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).or_else(|| shared(path))
}

fn unit(values: &[f32]) -> Embedding {
    prompts::mean(&[Embedding(values.to_vec())]).unwrap()
}

fn check_texts(golden: &Golden) {
    let mut encoder = OnnxTextEncoder::open(&runtime(), &mini()).unwrap();
    let texts: Vec<String> = golden.prompts.iter().map(|prompt| prompt.text.clone()).collect();
    let found = encoder.encode(&texts).unwrap();
    for (prompt, found) in golden.prompts.iter().zip(&found) {
        let near = cosine(&unit(&prompt.embedding), found);
        assert!(near >= 0.9999, "{}: {near}", prompt.text);
    }
    // One by one, as a configuration with a single prompt is: padding must not matter.
    let alone = encoder.encode(&texts[..1]).unwrap();
    assert!(cosine(&alone[0], &found[0]) >= 0.9999);
}

fn check_ids(golden: &Golden) {
    let tokenizer = tokenizer(&mini()).unwrap();
    for prompt in &golden.prompts {
        let tokens = tokenizer.encode(&prompt.text).unwrap();
        assert_eq!(tokens.text_ids(), prompt.ids, "{}", prompt.text);
        assert_eq!(tokens.ids.len(), 77);
    }
}

fn check_images(golden: &Golden, folder: &Path) {
    let bundle = mini();
    let mut encoder = OnnxImageEncoder::open(&runtime(), &bundle, Device::Auto, 4).unwrap();
    assert_eq!(encoder.warm_up(9).unwrap().0, 4, "no more than the largest batch");
    let read = |image: &Image| still::read(&folder.join(&image.path)).unwrap().into_rgb();
    let pictures: Vec<Picture> = golden.images.iter().map(read).collect();
    let seen: Vec<_> = pictures.iter().map(|picture| (picture, View::default())).collect();
    let found = encoder.encode(&seen).unwrap();
    let labels: Vec<Embedding> = golden.prompts.iter().map(|p| unit(&p.embedding)).collect();
    let matrix = prompts::matrix(&labels).unwrap();
    let info = bundle.info();
    for (image, found) in golden.images.iter().zip(&found) {
        let near = cosine(&unit(&image.embedding), found);
        let scale = (info.logit_scale, info.logit_bias);
        let scores = score(found, matrix.view(), ScoreKind::Softmax, scale.0, scale.1);
        let pairs = scores.iter().zip(&image.probabilities);
        let off = pairs.map(|(s, p)| (s.probability - p).abs()).fold(0.0, f32::max);
        let line = format!("{}: cosine {near:.6}, probabilities off by {off:.5}", image.path);
        eprintln!("{line}");
        assert!(near >= 0.999 && off <= 0.02, "{line}");
    }
}

#[test]
fn ids_are_those_of_the_reference() {
    check_ids(&golden("models/mini/golden.json"));
    check_ids(&golden("tests/data/golden.json"));
}

#[test]
fn text_embeddings_are_those_of_the_reference() {
    check_texts(&golden("models/mini/golden.json"));
    check_texts(&golden("tests/data/golden.json"));
}

#[test]
fn image_embeddings_are_those_of_the_reference() {
    check_images(&golden("tests/data/golden.json"), &root("tests/data"));
}

#[test]
fn image_embeddings_of_photographs_are_those_of_the_reference() {
    if let Some(stills) = shared("media/stills") {
        check_images(&golden("models/mini/golden.json"), stills.parent().unwrap());
    }
}

#[test]
fn a_broken_picture_in_a_batch_is_named() {
    let mut encoder = OnnxImageEncoder::open(&runtime(), &mini(), Device::Cpu, 2).unwrap();
    let good = Picture { width: 2, height: 2, rgb: vec![0; 12] };
    let empty = Picture { width: 0, height: 2, rgb: vec![] };
    let view = View::default();
    let error = encoder.encode(&[(&good, view), (&empty, view)]).unwrap_err().to_string();
    assert!(error.contains("picture 2 of 2") && error.contains("0x2"), "{error}");
    assert_eq!(encoder.encode(&[(&good, view)]).unwrap().len(), 1, "the encoder still works");
}

#[test]
fn preprocessing_is_openais() {
    #[derive(Deserialize)]
    struct Case {
        image: String,
        size: u32,
        file: String,
    }
    let cases = named("SEEWHEN_GOLDEN", "golden").map(|folder| folder.join("preprocess.json"));
    let (Some(cases), Some(media)) = (cases, named("SEEWHEN_MEDIA", "media")) else {
        return;
    };
    let folder = cases.parent().unwrap();
    let list: Vec<Case> = serde_json::from_slice(&fs::read(&cases).unwrap()).unwrap();
    for case in list {
        let places = [folder.to_owned(), media.join("stills"), media.join("tricky")];
        let path = places.iter().map(|p| p.join(&case.image)).find(|p| p.exists()).unwrap();
        let spec = PreprocessSpec {
            size: case.size,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
            rounding: Rounding::Torchvision,
            ..mini().preprocess().clone()
        };
        let picture = still::read(&path).unwrap().fitted(spec.fit, &spec).unwrap();
        let mut found = vec![0.0; spec.len()];
        preprocess(&picture, View::default(), &spec, &mut found).unwrap();
        let expected = npy(&folder.join(&case.file));
        assert_eq!(found.len(), expected.len());
        // In levels of 8-bit values, where the arithmetic happens.
        let off: Vec<f32> = found
            .iter()
            .zip(&expected)
            .zip((0..3).flat_map(|c| std::iter::repeat_n(spec.std[c], spec.len() / 3)))
            .map(|((found, expected), std)| (found - expected).abs() * std * 255.0)
            .collect();
        let worst = off.iter().copied().fold(0.0, f32::max);
        let mean = off.iter().sum::<f32>() / off.len() as f32;
        let line = format!(
            "{} at {}: worst {worst:.2}, mean {mean:.4} levels of 255",
            case.image, case.size
        );
        eprintln!("{line}");
        // Those at 336 are stored in 16 bits, which is up to a tenth of a level.
        let most = if case.size == 224 { 1.001 } else { 1.1 };
        assert!(worst < most && mean < 0.1, "{line}");
    }
}

/// The values of a NumPy file, `float32` or `float16`, little endian.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (header, data) = bytes[10..].split_at(header);
    if String::from_utf8_lossy(header).contains("<f4") {
        let float = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
        return data.chunks_exact(4).map(float).collect();
    }
    data.chunks_exact(2).map(|b| half(u16::from_le_bytes([b[0], b[1]]))).collect()
}

/// A 16-bit float that is neither infinite nor NaN.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023) / 1024.0);
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-14),
        _ => sign * (1.0 + fraction) * 2.0_f32.powi(exponent - 15),
    }
}

/// Broken, huge and odd picture files: each is a picture, or an error in words.
#[test]
fn odd_pictures_are_read_or_refused() {
    let Some(folder) = named("SEEWHEN_MEDIA", "media").map(|media| media.join("tricky")) else {
        return;
    };
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let spec = mini().preprocess().clone();
    for file in files {
        for read in [still::read, still::read_upright] {
            match read(&file) {
                Ok(picture) => {
                    let picture = picture.fitted(spec.fit, &spec).unwrap();
                    let length = picture.width as usize * picture.height as usize * 3;
                    assert_eq!(picture.rgb.len(), length, "{}", file.display());
                }
                Err(error) => {
                    let text = error.to_string();
                    eprintln!("{}: {text}", file.display());
                    assert!(text.len() > 10, "{}: {text}", file.display());
                }
            }
        }
    }
    let huge = still::read(&folder.join("huge_16000x16000_gray.png")).unwrap_err().to_string();
    assert!(huge.contains("16000x16000 needs"), "{huge}");
}
