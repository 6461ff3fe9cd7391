//! Public exports of CLIP and SigLIP: folders in the layouts of Immich and transformers.js load
//! unchanged, with inputs and outputs in 16 or 32 bits, and with pictures as bytes.

#![expect(clippy::unwrap_used, reason = "a test stops at once")]

use std::fs;
use std::path::{Path, PathBuf};

use seewhen::clip::bundle::Bundle;
use seewhen::clip::import::{Options, import};
use seewhen::clip::onnx::{OnnxImageEncoder, OnnxTextEncoder, Runtime};
use seewhen::clip::scoring::cosine;
use seewhen::clip::{ImageEncoder as _, TextEncoder as _};
use seewhen::config::Device;
use seewhen::model::{Embedding, Fit, Picture, View};

const CLIP: &str = r#"{"model_type": "clip", "projection_dim": 32, "logit_scale_init_value": 2.6592,
    "text_config": {"max_position_embeddings": 20}}"#;
const CLIP_PROCESSOR: &str = r#"{"crop_size": {"height": 32, "width": 32}, "do_center_crop": true,
    "do_resize": true, "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 32}}"#;
const SIGLIP_PROCESSOR: &str = r#"{"do_resize": true, "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": {"height": 32, "width": 32}}"#;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clip").join(name)
}

/// A folder as transformers.js has it.
fn export(config: &str, processor: &str, model: &Path, name: &str) -> (tempfile::TempDir, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours");
    import(&data("tiny-vit.pt"), &ours, Options::default()).unwrap();
    let theirs = folder.path().join("theirs");
    fs::create_dir_all(theirs.join("onnx")).unwrap();
    fs::write(theirs.join("config.json"), config).unwrap();
    fs::write(theirs.join("preprocessor_config.json"), processor).unwrap();
    fs::copy(ours.join("textual/tokenizer.json"), theirs.join("tokenizer.json")).unwrap();
    fs::write(theirs.join("tokenizer_config.json"), r#"{"pad_token": "<|endoftext|>"}"#).unwrap();
    fs::copy(ours.join("textual/model.onnx"), theirs.join("onnx/text_model.onnx")).unwrap();
    let model = if model.is_absolute() { model.to_owned() } else { ours.join(model) };
    fs::copy(model, theirs.join("onnx").join(name)).unwrap();
    let bundle = Bundle::open(theirs.to_str().unwrap(), None).unwrap();
    (folder, bundle)
}

fn picture(width: u32, height: u32) -> Picture {
    let pixel = |n: u32| [(n * 7 % 251) as u8, (n * 3 % 240) as u8, (n % 256) as u8];
    Picture { width, height, rgb: (0..width * height).flat_map(pixel).collect() }
}

fn image(bundle: &Bundle, picture: &Picture) -> Embedding {
    let runtime = Runtime::load().unwrap();
    let mut encoder = OnnxImageEncoder::open(&runtime, bundle, Device::Cpu, 2).unwrap();
    encoder.encode(&[(picture, View::default())]).unwrap().remove(0)
}

#[test]
fn transformers_js_and_our_layout_give_the_same() {
    let (folder, theirs) =
        export(CLIP, CLIP_PROCESSOR, Path::new("visual/model.onnx"), "vision_model.onnx");
    let ours = Bundle::open(folder.path().join("ours").to_str().unwrap(), None).unwrap();
    assert_eq!((theirs.embed_dim(), theirs.context_length()), (Some(32), Some(20)));
    assert!((theirs.info().logit_scale - 100.0).abs() < 1e-6, "the initial scale was taken");
    let picture = picture(50, 40);
    assert!(cosine(&image(&theirs, &picture), &image(&ours, &picture)) > 0.999_999);
    let runtime = Runtime::load().unwrap();
    let text = |bundle: &Bundle| {
        let mut encoder = OnnxTextEncoder::open(&runtime, bundle).unwrap();
        encoder.encode(&["smoke in the hall".to_owned()]).unwrap().remove(0)
    };
    // Padded with another token, behind the end of the text: no difference.
    assert!(cosine(&text(&theirs), &text(&ours)) > 0.999_99);
}

#[test]
fn models_with_16_bit_pictures_and_embeddings_run() {
    gives_mean_colours("half.onnx", "vision_model_fp16.onnx");
}

#[test]
fn models_that_take_pixels_as_they_are_run() {
    gives_mean_colours("bytes.onnx", "vision_model_uint8.onnx");
}

/// The model is the mean of each colour, normalised.
#[track_caller]
fn gives_mean_colours(model: &str, name: &str) {
    let config = r#"{"model_type": "clip", "projection_dim": 3}"#;
    let (_folder, bundle) = export(config, CLIP_PROCESSOR, &data(model), name);
    let red = Picture { width: 32, height: 32, rgb: [255, 0, 0].repeat(32 * 32) };
    let found = image(&bundle, &red);
    let mean = |level: f32, mean: f32, std: f32| (level - mean) / std;
    let wanted = [
        mean(1.0, 0.481_454_66, 0.268_629_54),
        mean(0.0, 0.457_827_5, 0.261_302_6),
        mean(0.0, 0.408_210_73, 0.275_777_1),
    ];
    assert!(cosine(&Embedding(wanted.to_vec()), &found) > 0.9999);
}

#[test]
fn siglip_sees_the_whole_picture_and_wants_its_scale() {
    let (_folder, bundle) = export(
        r#"{"model_type": "siglip"}"#,
        SIGLIP_PROCESSOR,
        &data("half.onnx"),
        "vision_model_quantized.onnx",
    );
    assert_eq!((bundle.preprocess().fit, bundle.context_length()), (Fit::Stretch, Some(64)));
    assert!(bundle.notes().iter().any(|note| note.contains("logit_bias")));
    // Red at the far left: a centre crop would not see it.
    let row = [[255, 0, 0].repeat(16), [0, 0, 255].repeat(80)].concat();
    let wide = Picture { width: 96, height: 32, rgb: row.repeat(32) };
    let found = image(&bundle, &wide);
    assert!(found.0[0] - found.0[1] > 0.1, "{found:?}");
    let trained = r#"{"model_type": "siglip", "logit_scale": 117.3, "logit_bias": -12.9}"#;
    let (_folder, bundle) =
        export(trained, SIGLIP_PROCESSOR, &data("half.onnx"), "vision_model.onnx");
    assert_eq!((bundle.info().logit_scale, bundle.info().logit_bias), (117.3, -12.9));
    assert!(bundle.notes().is_empty());
}
