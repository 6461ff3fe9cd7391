//! Preprocessing in the model gives what preprocessing on the host gives: the same picture to two
//! levels, whatever its size, view and company in the batch, and the same embeddings.

#![expect(clippy::unwrap_used, reason = "a test stops at once")]

#[path = "support/onnx.rs"]
mod onnx;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onnx::{FLOAT, FLOAT16, UINT8, mirror};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use seewhen::clip::bundle::Bundle;
use seewhen::clip::import::{Options, import};
use seewhen::clip::onnx::{OnnxImageEncoder, Preprocess, Runtime, ahead};
use seewhen::clip::scoring::cosine;
use seewhen::clip::{EncodeError, ImageEncoder as _, still};
use seewhen::config::Device;
use seewhen::model::{Embedding, Fit, Picture, Region, View};

/// What both ways may differ by, levels of 255.
const MOST: f32 = 2.0;
const SIZE: u64 = 32;
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A bundle whose image model is `model`, resizing with `filter`.
fn bundle(model: &[u8], filter: &str) -> (tempfile::TempDir, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mirror");
    import(&root("tests/data/clip/tiny-vit.pt"), &path, Options::default()).unwrap();
    let dim = 3 * SIZE * SIZE + 1;
    fs::write(path.join("config.json"), format!(r#"{{"embed_dim": {dim}, "logit_scale": 100}}"#))
        .unwrap();
    let preprocess = format!(
        r#"{{"size": {SIZE}, "mode": "RGB", "mean": {MEAN:?}, "std": {STD:?},
            "interpolation": "{filter}", "resize_mode": "shortest", "fill_color": [9, 99, 200]}}"#
    );
    fs::write(path.join("visual/preprocess_cfg.json"), preprocess).unwrap();
    fs::write(path.join("visual/model.onnx"), model).unwrap();
    let bundle = Bundle::open(path.to_str().unwrap(), None).unwrap();
    (folder, bundle)
}

/// One model, run both ways.
struct Both {
    host: OnnxImageEncoder,
    device: OnnxImageEncoder,
    levels: bool,
    _folder: Option<tempfile::TempDir>,
}

impl Both {
    fn new(bundle: &Bundle) -> Self {
        let runtime = Runtime::load().unwrap();
        let open = |preprocess| {
            OnnxImageEncoder::open_with(&runtime, bundle, Device::Cpu, 8, preprocess).unwrap()
        };
        let (host, device) = (open(Preprocess::Host), open(Preprocess::Device));
        assert_eq!(host.preprocess(), Preprocess::Host);
        assert_eq!(device.preprocess(), Preprocess::Device);
        Self { host, device, levels: false, _folder: None }
    }

    fn mirror(element: u64, filter: &str, batch: Option<u64>, operators: u64) -> Self {
        let (folder, bundle) = bundle(&mirror(element, SIZE, batch, operators), filter);
        Self { levels: element == UINT8, _folder: Some(folder), ..Self::new(&bundle) }
    }

    fn run(&mut self, pictures: &[(&Picture, View)]) -> [Vec<Embedding>; 2] {
        [self.host.encode(pictures).unwrap(), self.device.encode(pictures).unwrap()]
    }

    /// The largest difference in any value of any picture, and the mean of all, in levels.
    fn difference(&mut self, pictures: &[(&Picture, View)]) -> (f32, f32) {
        let [host, device] = self.run(pictures);
        assert_eq!(host.len(), device.len());
        let (mut most, mut sum, mut count) = (0.0_f32, 0.0, 0);
        for (host, device) in host.iter().zip(&device) {
            let (host, device) = (self.picture(host), self.picture(device));
            for (a, b) in host.iter().zip(&device) {
                most = most.max((a - b).abs());
                sum += (a - b).abs();
                count += 1;
            }
        }
        (most, sum / count as f32)
    }

    /// The picture that the model was given, channels first, in whole levels.
    fn picture(&self, embedding: &Embedding) -> Vec<f32> {
        let (one, values) = embedding.0.split_last().unwrap();
        let plane = values.len() / 3;
        let level = |(n, value): (usize, &f32)| {
            let (value, channel) = (value / one, n / plane);
            let share = value * STD[channel] + MEAN[channel];
            if self.levels { value.round() } else { (share * 255.0).round() }
        };
        values.iter().enumerate().map(level).collect()
    }
}

fn noise(width: u32, height: u32) -> Picture {
    let byte = |n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8;
    Picture { width, height, rgb: (0..width * height * 3).map(byte).collect() }
}

/// Edges and slopes, as pictures have them.
fn stripes(width: u32, height: u32) -> Picture {
    let pixel = |n: u32| {
        let (x, y) = (n % width, n / width);
        let edge = if (x / 7 + y / 5) % 2 == 0 { 255 } else { 0 };
        [edge, (x * 255 / width) as u8, (y * 255 / height) as u8]
    };
    Picture { width, height, rgb: (0..width * height).flat_map(pixel).collect() }
}

fn views() -> Vec<View> {
    let region = |x, y, width, height| Some(Region { x, y, width, height });
    let regions =
        [None, region(0.0, 0.25, 0.5, 0.5), region(0.3, 0.0, 0.7, 1.0), region(0.9, 0.9, 0.1, 0.1)];
    let fits = [None, Some(Fit::Crop), Some(Fit::Pad), Some(Fit::Stretch)];
    let view = |region| fits.map(|fit| View { region, fit, tiles: false });
    regions.into_iter().flat_map(view).collect()
}

const SIDES: [(u32, u32); 13] = [
    (32, 32),
    (1, 1),
    (2, 3),
    (640, 360),
    (360, 640),
    (33, 31),
    (97, 64),
    (5, 300),
    (300, 5),
    (1000, 1),
    (16, 16),
    (320, 240),
    (1280, 720),
];

#[test]
fn all_sizes_and_views_in_mixed_batches() {
    let pictures: Vec<Picture> = SIDES
        .iter()
        .flat_map(|(width, height)| [noise(*width, *height), stripes(*width, *height)])
        .collect();
    let views = views();
    // Neighbours in a batch differ in size and in view.
    let all: Vec<(&Picture, View)> = (0..views.len())
        .flat_map(|turn| pictures.iter().enumerate().map(move |(n, picture)| (n + turn, picture)))
        .map(|(n, picture)| (picture, views[n % views.len()]))
        .collect();
    for element in [FLOAT, FLOAT16, UINT8] {
        for filter in ["bicubic", "bilinear"] {
            let mut both = Both::mirror(element, filter, None, 17);
            let (most, mean) = both.difference(&all);
            assert!(most <= MOST && mean < 0.1, "{element} {filter}: {most}, {mean} on average");
        }
    }
}

#[test]
fn the_border_has_its_colour_and_nothing_else() {
    let mut both = Both::mirror(UINT8, "bicubic", None, 17);
    let white = Picture { width: 64, height: 16, rgb: vec![255; 64 * 16 * 3] };
    let view = View { fit: Some(Fit::Pad), ..View::default() };
    // What is beside the smaller picture in the buffer is not seen.
    let found = both.device.encode(&[(&white, view), (&noise(99, 77), view)]).unwrap();
    let found = both.picture(&found[0]);
    for (channel, fill) in [9.0, 99.0, 200.0].into_iter().enumerate() {
        for (row, line) in found[channel * 1024..][..1024].chunks_exact(32).enumerate() {
            let wanted = if (12..20).contains(&row) { 255.0 } else { fill };
            assert!(line.iter().all(|level| *level == wanted), "{channel} {row}: {line:?}");
        }
    }
}

#[test]
fn fixed_batches_and_all_versions_of_operators() {
    let (small, large) = (stripes(40, 50), stripes(400, 300));
    let views = views();
    let pictures: Vec<_> =
        (0..5).map(|n| (if n % 2 == 0 { &small } else { &large }, views[n])).collect();
    for operators in [11, 12, 13, 18, 21] {
        let mut both = Both::mirror(FLOAT, "bicubic", Some(2), operators);
        assert_eq!(both.device.max_batch(), 2);
        assert_eq!(both.device.warm_up(1).unwrap().0, 2);
        let (most, _) = both.difference(&pictures);
        assert!(most <= MOST, "{operators}: {most}");
    }
}

#[test]
fn what_cannot_be_done_in_the_model_is_done_on_the_host() {
    let (_folder, bundle) = bundle(&mirror(FLOAT, SIZE, None, 17), "lanczos");
    let runtime = Runtime::load().unwrap();
    let open =
        |preprocess| OnnxImageEncoder::open_with(&runtime, &bundle, Device::Cpu, 4, preprocess);
    let mut host = open(Preprocess::Host).unwrap();
    let mut device = open(Preprocess::Device).unwrap();
    assert_eq!(device.preprocess(), Preprocess::Host);
    let picture = noise(50, 70);
    let view = [(&picture, View::default())];
    assert_eq!(host.encode(&view).unwrap(), device.encode(&view).unwrap());
}

#[test]
fn models_that_do_not_fit_are_refused_as_ever() {
    let runtime = Runtime::load().unwrap();
    for model in [mirror(FLOAT, 48, None, 17), b"no model".to_vec()] {
        let (_folder, bundle) = bundle(&model, "bicubic");
        let refused = |preprocess| {
            OnnxImageEncoder::open_with(&runtime, &bundle, Device::Cpu, 4, preprocess)
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(refused(Preprocess::Host), refused(Preprocess::Device));
    }
}

#[test]
fn wrong_pictures_are_named() {
    let mut both = Both::mirror(FLOAT, "bicubic", None, 17);
    let good = noise(5, 5);
    let empty = Picture { width: 0, height: 4, rgb: vec![] };
    let short = Picture { width: 4, height: 4, rgb: vec![0; 47] };
    for wrong in [&empty, &short] {
        let pictures = [(&good, View::default()), (wrong, View::default())];
        let host = both.host.encode(&pictures).unwrap_err().to_string();
        assert!(host.contains("picture 2 of 2"), "{host}");
        assert_eq!(both.device.encode(&pictures).unwrap_err().to_string(), host);
    }
    // An encoder that was given a wrong picture goes on.
    assert!(both.difference(&[(&good, View::default())]).0 <= MOST);
}

/// How alike the embeddings of pictures are that were made both ways; of the least alike.
fn least_cosine(both: &mut Both, folder: &str) -> f32 {
    let files = fs::read_dir(root(folder)).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "png"));
    let pictures: Vec<Picture> = files.map(|path| still::read(&path).unwrap().into_rgb()).collect();
    assert!(!pictures.is_empty());
    let views = views();
    let all: Vec<(&Picture, View)> =
        views.iter().flat_map(|view| pictures.iter().map(|picture| (picture, *view))).collect();
    let [host, device] = both.run(&all);
    host.iter().zip(&device).map(|(a, b)| cosine(a, b)).fold(1.0, f32::min)
}

#[test]
fn embeddings_of_mini_are_the_same() {
    let mini = Bundle::open(root("models/mini").to_str().unwrap(), None).unwrap();
    let least = least_cosine(&mut Both::new(&mini), "tests/data/images");
    assert!(least >= 0.999, "{least}");
}

#[test]
fn weights_in_files_of_their_own_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beside");
    let options = Options { most_inline: 0, ..Options::default() };
    import(&root("tests/data/clip/tiny-vit.pt"), &path, options).unwrap();
    assert!(path.join("visual/model.onnx.data").is_file());
    let bundle = Bundle::open(path.to_str().unwrap(), None).unwrap();
    let least = least_cosine(&mut Both::new(&bundle), "tests/data/clip");
    assert!(least >= 0.999, "{least}");
}

fn any_picture() -> impl Strategy<Value = (Picture, View)> {
    let sides =
        prop_oneof![(1..400u32, 1..400u32), (1..=3000u32, 1..=3u32), (1..=3u32, 1..=3000u32)];
    let unit = || 0.0..1.0_f64;
    let region = proptest::option::of(
        (unit(), unit(), unit(), unit()).prop_map(|(x, y, width, height)| Region {
            x,
            y,
            width,
            height,
        }),
    );
    let fit = prop_oneof![Just(None), Just(Some(Fit::Pad)), Just(Some(Fit::Stretch))];
    (sides, region, fit, any::<bool>()).prop_map(|((width, height), region, fit, rough)| {
        let picture = if rough { noise(width, height) } else { stripes(width, height) };
        (picture, View { region, fit, tiles: false })
    })
}

#[test]
fn any_batches_one_after_another() {
    let mut both = Both::mirror(FLOAT, "bicubic", None, 17);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(60));
    let both = RefCell::new(&mut both);
    runner
        .run(&proptest::collection::vec(any_picture(), 1..6), |batch| {
            let pictures: Vec<_> = batch.iter().map(|(picture, view)| (picture, *view)).collect();
            let (most, _) = both.borrow_mut().difference(&pictures);
            prop_assert!(most <= MOST, "{}", most);
            Ok(())
        })
        .unwrap();
}

/// What is said to follow a batch.
#[derive(Debug, Clone, Copy)]
enum Told {
    Nothing,
    Truth,
    Part,
    Other,
}

fn any_told() -> impl Strategy<Value = Told> {
    let truth = prop_oneof![Just(Told::Truth), Just(Told::Truth), Just(Told::Nothing)];
    prop_oneof![truth, Just(Told::Part), Just(Told::Other)]
}

type Shared = Vec<(Arc<Picture>, View)>;

/// Encodes `batches` in turn with a thread that prepares what `told` says of each.
fn encode_ahead(
    encoder: &mut OnnxImageEncoder,
    batches: &[Shared],
    told: &[Told],
) -> Vec<Result<Vec<Embedding>, EncodeError>> {
    let none = Shared::new();
    let mut results = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let follows = batches.get(index + 1).unwrap_or(&none);
        let mut next = || match told[index % told.len()] {
            Told::Nothing => Shared::new(),
            Told::Truth => follows.clone(),
            Told::Part => follows[follows.len() / 2..].to_vec(),
            Told::Other => batches[0].clone(),
        };
        let pictures: Vec<_> = batch.iter().map(|(picture, view)| (&**picture, *view)).collect();
        results.push(encoder.encode_before(&pictures, &mut next));
    }
    results
}

/// Whatever is prepared while a batch runs, the embeddings are the same, and so are the errors.
#[test]
fn batches_that_are_prepared_ahead() {
    let (_folder, bundle) = bundle(&mirror(FLOAT, SIZE, None, 17), "bicubic");
    let runtime = Runtime::load().unwrap();
    for preprocess in [Preprocess::Host, Preprocess::Device] {
        let open =
            || OnnxImageEncoder::open_with(&runtime, &bundle, Device::Cpu, 3, preprocess).unwrap();
        let (mut plain, mut early) = (open(), open());
        let (jobs, todo) = crossbeam_channel::bounded(1);
        let (finished, done) = crossbeam_channel::bounded(1);
        let work = move || ahead::run(&todo, &finished);
        let thread = std::thread::Builder::new().spawn(work).unwrap();
        early.prepare_ahead(jobs, done);
        let (plain, both) = (RefCell::new(&mut plain), RefCell::new(&mut early));
        let picture = prop_oneof![
            9 => any_picture().prop_map(|(picture, view)| (Arc::new(picture), view)),
            1 => Just((Arc::new(Picture { width: 3, height: 3, rgb: Vec::new() }), View::default())),
        ];
        let batches = proptest::collection::vec(proptest::collection::vec(picture, 1..5), 1..6);
        let told = proptest::collection::vec(any_told(), 1..6);
        TestRunner::new(ProptestConfig::with_cases(40))
            .run(&(batches, told), |(batches, told)| {
                let wanted = encode_ahead(*plain.borrow_mut(), &batches, &told);
                let found = encode_ahead(*both.borrow_mut(), &batches, &told);
                for (wanted, found) in wanted.iter().zip(&found) {
                    prop_assert!(alike(wanted, found), "{:?} {:?}", wanted, found);
                }
                Ok(())
            })
            .unwrap();
        drop(early);
        thread.join().unwrap();
    }
}

fn alike(a: &Result<Vec<Embedding>, EncodeError>, b: &Result<Vec<Embedding>, EncodeError>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| cosine(a, b) > 0.9999),
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}
