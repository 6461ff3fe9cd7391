//! Files that mean harm: model files and bundles, cut off, with flipped bits, and made for it.
//!
//! Promise: each is refused in words, or works; nothing is run, nothing is written outside the
//! models folder, and memory stays bounded.

#![expect(clippy::unwrap_used, reason = "a test stops at once")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use seewhen::clip::bundle::Bundle;
use seewhen::clip::import::{Options, import};
use seewhen::clip::onnx::{OnnxImageEncoder, OnnxTextEncoder, Runtime};
use seewhen::clip::{ImageEncoder as _, TextEncoder as _};
use seewhen::config::Device;
use seewhen::model::{Picture, View};

/// Most memory that this whole test program may ever have had, in kilobytes.
const MOST_MEMORY: u64 = 1 << 20;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clip").join(name)
}

#[track_caller]
fn memory_is_bounded() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < MOST_MEMORY, "{peak} kB at its peak");
}

/// Imports a damaged copy; it may only fail, and leave nothing behind.
fn import_damaged(bytes: &[u8], folder: &Path) -> bool {
    let file = folder.join("damaged.pt");
    fs::write(&file, bytes).unwrap();
    let target = folder.join("models/damaged");
    fs::create_dir_all(folder.join("models")).unwrap();
    let good = import(&file, &target, Options::default()).is_ok();
    if good {
        fs::remove_dir_all(&target).unwrap();
    }
    let left = fs::read_dir(folder.join("models")).unwrap().count();
    assert_eq!(left, 0, "something was left behind");
    good
}

#[test]
fn truncated_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tiny-vit.pt", "tiny-resnet.pt"] {
        let whole = fs::read(data(name)).unwrap();
        for percent in 0..100 {
            let cut = &whole[..whole.len() * percent / 100];
            assert!(!import_damaged(cut, folder.path()), "{name} cut at {percent} %");
        }
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(data("tiny-resnet.pt")).unwrap();
    let mut random = fastrand::Rng::with_seed(4);
    let mut refused = 0;
    for _ in 0..200 {
        let mut bytes = whole.clone();
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
        refused += usize::from(!import_damaged(&bytes, folder.path()));
    }
    // The archive has a checksum over each member, so few flips go unnoticed.
    assert!(refused > 150, "{refused} of 200 refused");
}

#[test]
fn archives_cannot_write_elsewhere_or_blow_up() {
    let folder = tempfile::tempdir().unwrap();
    let zip = |members: &[(&str, &[u8])]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in members {
            zip.start_file(*name, stored).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let evil = b"\x80\x02cos\nsystem\nX\x09\x00\x00\x00touch bad\x85R.";
    for members in [
        &[("a/data.pkl", evil.as_slice())][..],
        &[("../../evil/data.pkl", b"\x80\x02}.".as_slice())],
        &[("a/data.pkl", b"\x80\x02}.".as_slice()), ("../evil", b"x")],
        &[("a/data.pkl", b"".as_slice())],
        &[("a/b", b"".as_slice())],
    ] {
        assert!(!import_damaged(&zip(members), folder.path()), "{members:?}");
    }
    // A member that says it is deflated, as every zip bomb is: not unpacked at all.
    let mut bomb = zip(&[("a/data.pkl", b"\x80\x02}.".as_slice())]);
    let positions: Vec<usize> = [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)]
        .iter()
        .map(|(mark, method)| bomb.windows(4).position(|w| w == *mark).unwrap() + method)
        .collect();
    positions.into_iter().for_each(|at| bomb[at] = 8);
    assert!(!import_damaged(&bomb, folder.path()));
    assert!(!Path::new("bad").exists() && !folder.path().join("evil").exists());
}

/// Opens and uses a bundle. An error is its text.
fn used(folder: &Path) -> Result<(), String> {
    let bundle = Bundle::open(folder.to_str().unwrap(), None).map_err(|e| e.to_string())?;
    let runtime = Runtime::load().unwrap();
    let images = OnnxImageEncoder::open(&runtime, &bundle, Device::Cpu, 1);
    let mut images = images.map_err(|error| error.to_string())?;
    let picture = Picture { width: 40, height: 30, rgb: vec![90; 40 * 30 * 3] };
    images.encode(&[(&picture, View::default())]).map_err(|error| error.to_string())?;
    let mut texts = OnnxTextEncoder::open(&runtime, &bundle).map_err(|error| error.to_string())?;
    texts.encode(&["a cat".to_owned()]).map_err(|error| error.to_string())?;
    Ok(())
}

#[test]
fn damaged_bundles_are_refused_or_work() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = folder.path().join("tiny");
    import(&data("tiny-vit.pt"), &tiny, Options::default()).unwrap();
    used(&tiny).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    for file in [
        "config.json",
        "visual/preprocess_cfg.json",
        "textual/tokenizer.json",
        "visual/model.onnx",
        "textual/model.onnx",
    ] {
        let path = tiny.join(file);
        let whole = fs::read(&path).unwrap();
        for percent in 0..100 {
            fs::write(&path, &whole[..whole.len() * percent / 100]).unwrap();
            let error = used(&tiny).unwrap_err();
            assert!(error.contains("tiny"), "{file} cut at {percent} %: {error}");
        }
        for _ in 0..200 {
            let mut bytes = whole.clone();
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
            fs::write(&path, &bytes).unwrap();
            if let Err(error) = used(&tiny) {
                assert!(error.len() > 10, "{file}, byte {at}: {error:?}");
            }
        }
        fs::write(&path, whole).unwrap();
    }
    memory_is_bounded();
}
