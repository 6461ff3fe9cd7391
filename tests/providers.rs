//! Execution providers: each that is there embeds as the processor's own does, in batches of any size.
//!
//! Promise: which provider runs a model changes its speed, not what is seen. Where one is not there
//! (`scripts/setup --openvino`, `--cuda`), the test says that it is skipped, and why.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what it skips, and stops at once"
)]

use seewhen::clip::ImageEncoder as _;
use seewhen::clip::bundle::Bundle;
use seewhen::clip::onnx::{OnnxError, OnnxImageEncoder, Runtime};
use seewhen::clip::scoring::cosine;
use seewhen::config::{Device, Precision};
use seewhen::model::{Embedding, Picture, View};

/// More than one batch of any provider that has sizes of its own, and not a multiple of it.
const MOST: u32 = 7;

/// Flat pictures of different colours with a bright corner, so that none is like another.
fn pictures() -> Vec<Picture> {
    let picture = |number: u32| {
        let (width, height) = (64 + number, 64);
        let mut rgb =
            [number as u8 * 30, 128, 255 - number as u8 * 30].repeat((width * height) as usize);
        rgb[..(width * 3 * 8 * (number + 1)) as usize].fill(255);
        Picture { width, height, rgb }
    };
    (0..MOST).map(picture).collect()
}

fn embeddings(encoder: &mut OnnxImageEncoder, pictures: &[Picture]) -> Vec<Embedding> {
    let views: Vec<_> = pictures.iter().map(|picture| (picture, View::default())).collect();
    encoder.encode(&views).unwrap()
}

/// The least cosine that goes through as the same.
fn least(precision: Precision) -> f32 {
    if precision == Precision::Original { 0.9999 } else { 0.99 }
}

fn compare(device: Device, precision: Precision) {
    let runtime = Runtime::load().unwrap();
    let bundle = Bundle::open("mini", None).unwrap();
    let original = bundle.clone().at(Precision::Original);
    let mut reference = OnnxImageEncoder::open(&runtime, &original, Device::Cpu, 16).unwrap();
    let (name, bundle) = (format!("{device:?} {precision:?}"), bundle.at(precision));
    let mut encoder = match OnnxImageEncoder::open(&runtime, &bundle, device, 16) {
        Ok(encoder) => encoder,
        Err(error @ (OnnxError::Device { .. } | OnnxError::Precision { .. })) => {
            eprintln!("skipped: {name}: {error}");
            return;
        }
        Err(error) => panic!("{name}: {error}"),
    };
    let pictures = pictures();
    let wanted = embeddings(&mut reference, &pictures);
    for count in 1..=pictures.len() {
        let found = embeddings(&mut encoder, &pictures[..count]);
        assert_eq!(found.len(), count, "{name}");
        for (number, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            let cosine = cosine(found, wanted);
            assert!(cosine > least(precision), "{name}: {number} of {count}: {cosine}");
        }
    }
    for batch in encoder.batches(16) {
        let (done, _) = encoder.warm_up(batch).unwrap();
        assert!(done >= batch, "{name}: {done} of {batch}");
    }
}

#[test]
fn openvino_sees_the_same() {
    compare(Device::OpenVino, Precision::Original);
    compare(Device::OpenVino, Precision::Bf16);
}

#[test]
fn cuda_sees_the_same() {
    compare(Device::Cuda(0), Precision::Original);
}
