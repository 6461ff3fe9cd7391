//! `seewhen model quantize` on an imported model: measured, kept beside the original, and taken
//! back when it is not good enough.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Output;

use seewhen::clip::bundle::{Bundle, INT8_MODEL};
use seewhen::clip::import::{Options, import};
use seewhen::clip::onnx::{OnnxImageEncoder, Runtime};
use seewhen::clip::{ImageEncoder as _, still};
use seewhen::config::{Device, Precision};
use seewhen::model::View;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clip").join(name)
}

/// A bundle of random weights, and a folder of pictures.
fn prepare(folder: &Path) -> (String, String) {
    let (bundle, pictures) = (folder.join("tiny"), folder.join("pictures"));
    import(&data("tiny-vit.pt"), &bundle, Options::default()).unwrap();
    std::fs::create_dir(&pictures).unwrap();
    for name in ["CLIP.png", "tiny-vit.png", "tiny-resnet.png"] {
        std::fs::copy(data(name), pictures.join(name)).unwrap();
    }
    std::fs::write(pictures.join("notes.txt"), "no picture").unwrap();
    (bundle.display().to_string(), pictures.display().to_string())
}

fn seewhen(arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = support::command().args(arguments).output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.success(), text)
}

fn embedding(bundle: &str, precision: Precision) -> Vec<f32> {
    let bundle = Bundle::open(bundle, None).unwrap().at(precision);
    let runtime = Runtime::load().unwrap();
    let mut encoder = OnnxImageEncoder::open(&runtime, &bundle, Device::Cpu, 1).unwrap();
    let picture = still::read(&data("CLIP.png")).unwrap().into_rgb();
    encoder.encode(&[(&picture, View::default())]).unwrap().remove(0).0
}

#[test]
fn integers_beside_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, pictures) = prepare(folder.path());
    let result = Path::new(&bundle).join(INT8_MODEL);

    let refused =
        seewhen(&["model", "quantize", &bundle, "--pictures", &pictures, "--least-cosine", "1"]);
    assert!(!refused.0 && refused.1.contains("nothing was kept"), "{refused:?}");
    assert!(!result.exists());

    let (done, said) = seewhen(&["model", "quantize", &bundle, "--pictures", &pictures]);
    assert!(done && said.contains("products in 8-bit integers"), "{said}");
    assert!(said.contains("on 3 pictures"), "{said}");
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&result) < size(&Path::new(&bundle).join("visual/model.onnx")));
    let verified = seewhen(&["model", "verify", &bundle]);
    assert!(verified.0, "{verified:?}");
    let sums = std::fs::read_to_string(Path::new(&bundle).join("SHA256SUMS")).unwrap();
    assert!(sums.contains(INT8_MODEL), "{sums}");

    // A second one that is not good enough leaves the first where it is, and nothing else.
    let made = std::fs::read(&result).unwrap();
    let refused =
        seewhen(&["model", "quantize", &bundle, "--pictures", &pictures, "--least-cosine", "1"]);
    assert!(!refused.0, "{refused:?}");
    assert_eq!(std::fs::read(&result).unwrap(), made);
    assert_eq!(std::fs::read_dir(result.parent().unwrap()).unwrap().count(), 3);

    let [original, int8] =
        [Precision::Original, Precision::Int8].map(|precision| embedding(&bundle, precision));
    let cosine: f32 = original.iter().zip(&int8).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.995 && original != int8, "{cosine}");
    // Which is faster is timed, so a busy machine may have it wrong, but not again and again.
    let used = (0..5).any(|_| embedding(&bundle, Precision::Auto) == int8);
    assert!(used, "what was made is used");
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, pictures) = prepare(folder.path());
    let mini = seewhen(&["model", "quantize", "mini", "--pictures", &pictures]);
    assert!(!mini.0 && mini.1.contains("part of the program"), "{mini:?}");
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let none = seewhen(&["model", "quantize", &bundle, "--pictures", path]);
    assert!(!none.0 && none.1.contains("there is nothing in it"), "{none:?}");
    std::fs::write(empty.path().join("notes.txt"), "no picture").unwrap();
    let none = seewhen(&["model", "quantize", &bundle, "--pictures", path]);
    assert!(!none.0 && none.1.contains("no picture in the folder can be read"), "{none:?}");
    let missing = seewhen(&["bench", "--bundle", &bundle, "--precision", "int8", "--batch", "1"]);
    assert!(!missing.0 && missing.1.contains("seewhen model quantize"), "{missing:?}");
}
