//! What a camera's mask covers is black wherever a picture can go, and tiles and the change gate
//! see only what is left. Real GStreamer frames, the real flow from capture to scores, and an
//! encoder that keeps what it is given.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

#[path = "support/clip.rs"]
mod clip;
mod support;

use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Duration;

use ndarray::array;
use seewhen::backoff::Backoff;
use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::{self, Capture};
use seewhen::clip::preprocess::geometry::{Rounding, region_of};
use seewhen::clip::preprocess::{Filter, PreprocessSpec, preprocess};
use seewhen::clip::{EncodeError, ImageEncoder};
use seewhen::clock::Clock;
use seewhen::config::{CameraSource, Network};
use seewhen::infer::engine::Engine;
use seewhen::infer::{self, Inference};
use seewhen::mailbox::{WhenFull, mailbox};
use seewhen::model::{
    CameraId, ChangeGate, DecoderChoice, Embedding, Every, Fit, LabelId, Picture, Point, Polygon,
    View, WatchId,
};
use seewhen::status::{CameraCounts, Status};
use seewhen::stop::stop;
use seewhen::watch::{
    Label, LabelRule, Observation, ScoreKind, Scored, Watch, WatchSet, WatchedCamera,
};
use tokio::sync::{mpsc, watch};

/// What the encoder saw, with how it was to look at it.
type Seen = Arc<Mutex<Vec<(Picture, View)>>>;

/// Calls a picture bright by how white the part is that it is to look at.
struct Recorder(Seen);

impl ImageEncoder for Recorder {
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        let mut seen = self.0.lock().unwrap();
        seen.extend(pictures.iter().map(|(picture, view)| ((*picture).clone(), *view)));
        let embed = |(picture, view): &(&Picture, View)| {
            let part = region_of(picture.width, picture.height, view.region);
            let white = part_of(picture, part).filter(|level| *level > 127).count() as f32;
            let share = white / (part.width * part.height * 3) as f32;
            let length = share.hypot(1.0 - share);
            Embedding(vec![share / length, (1.0 - share) / length])
        };
        Ok(pictures.iter().map(embed).collect())
    }

    fn max_batch(&self) -> usize {
        1
    }
}

fn part_of(
    picture: &Picture,
    part: seewhen::clip::preprocess::geometry::Pixels,
) -> impl Iterator<Item = u8> {
    (part.top..part.top + part.height).flat_map(move |y| {
        let start = ((y * picture.width + part.left) * 3) as usize;
        picture.rgb[start..start + part.width as usize * 3].iter().copied()
    })
}

fn rules(camera: &CameraId) -> WatchSet {
    let label = |id, rule| Label { id: LabelId::try_new(id).unwrap(), rule };
    let rule = LabelRule {
        threshold: 0.5,
        clear: 0.4,
        hold: Duration::ZERO,
        cooldown: Duration::ZERO,
        consensus: Default::default(),
        update_every: Duration::ZERO,
        active: None,
        shadow: false,
        enabled: true,
    };
    WatchSet {
        cameras: vec![WatchedCamera {
            id: camera.clone(),
            stale_after: Duration::from_secs(9),
            enabled: true,
            view_check: None,
        }],
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            cameras: vec![camera.clone()],
            labels: [label("bright", Some(rule)), label("dark", None)].into(),
            score: ScoreKind::Softmax,
            matrix: array![[1.0, 0.0], [0.0, 1.0]],
            taught: Default::default(),
            publish_every: Duration::ZERO,
            enabled: true,
        }],
        logit_scale: 10.0,
        logit_bias: 0.0,
        model: "recorder".into(),
        revision: 1,
    }
}

/// Runs a white test picture through capture and inference until `frames` are scored.
fn run(
    mask: &[Polygon],
    view: View,
    gate: Option<ChangeGate>,
    frames: usize,
) -> (Vec<(Picture, View)>, Vec<Scored>, CameraCounts) {
    run_on(CameraSource::Test("white".to_owned()), mask, view, gate, frames)
}

fn run_on(
    source: CameraSource,
    mask: &[Polygon],
    view: View,
    gate: Option<ChangeGate>,
    frames: usize,
) -> (Vec<(Picture, View)>, Vec<Scored>, CameraCounts) {
    capture::gstreamer::init().unwrap();
    let camera = CameraId::try_new("yard").unwrap();
    let (clock, status, seen) = (Clock::start(), Arc::new(Status::default()), Seen::default());
    let (put, received) = mailbox(WhenFull::Wait);
    let (out, mut observed) = mpsc::channel(64);
    let every = Every::Interval(Duration::from_millis(40));
    let capture = Capture {
        camera: camera.clone(),
        view,
        every,
        mask: mask.to_vec(),
        gate,
        connect_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        opener: Box::new(Opener {
            source,
            every,
            decoders: Decoders::new(DecoderChoice::Auto),
            network: Network::default(),
            region: view.region,
            repeat: false,
            pace: Pace::Live,
            clock,
        }),
        frames: put,
        changes: out.clone(),
        status: status.camera(&camera),
        clock,
        backoff: Backoff::default(),
        refused: Backoff::after_refusal(),
    };
    let (_set, sets) = watch::channel(Arc::new(rules(&camera)));
    let inference = Inference {
        frames: received,
        engine: Engine::only(Box::new(Recorder(seen.clone()))),
        sets,
        out,
        status: status.clone(),
        max_wait: Duration::ZERO,
        clock: Some(clock),
        keeping: None,
        remembering: None,
    };
    let (handle, stopped) = stop();
    let capturing = Builder::new().spawn(move || capture::run(&capture, &stopped)).unwrap();
    let inferring = Builder::new().spawn(move || infer::run(inference)).unwrap();
    let mut scored = Vec::new();
    while scored.len() < frames {
        match observed.blocking_recv().unwrap() {
            Observation::Scored(frame) => scored.push(frame),
            Observation::Asked(_) | Observation::Camera(_) | Observation::Model(_) => {}
        }
    }
    drop((handle, observed));
    capturing.join().unwrap();
    inferring.join().unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, scored, status.camera(&camera).counts())
}

fn corners(corners: &[(f64, f64)]) -> Polygon {
    corners.iter().map(|&(x, y)| Point { x, y }).collect()
}

/// The left third, and a triangle at the bottom right.
fn mask() -> [Polygon; 2] {
    [
        corners(&[(0.0, 0.0), (0.33, 0.0), (0.33, 1.0), (0.0, 1.0)]),
        corners(&[(1.0, 0.5), (1.0, 1.0), (0.5, 1.0)]),
    ]
}

/// Black under the mask, and most of the rest as it was: what the share of white says.
fn assert_masked(picture: &Picture, what: &str) {
    assert_black(picture, 0, what);
}

/// The same where black may be up to `level`.
fn assert_black(picture: &Picture, level: u8, what: &str) {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let (mut covered, mut white) = (0, 0);
    for (index, pixel) in picture.rgb.chunks_exact(3).enumerate() {
        let (x, y) = (index as u32 % picture.width, index as u32 / picture.width);
        let (x, y) = ((f64::from(x) + 0.5) / width, (f64::from(y) + 0.5) / height);
        if x < 0.33 || x + y > 1.5 {
            covered += 1;
            assert!(pixel.iter().all(|l| *l <= level), "{what}, at {x:.3}, {y:.3}: {pixel:?}");
        }
        white += u32::from(pixel.iter().all(|level| *level > 250));
    }
    assert!(covered > 0);
    let share = f64::from(white) / (width * height);
    assert!((0.46..0.54).contains(&share), "{what}: {share} of the picture is left as it was");
}

#[test]
fn no_pixel_under_a_mask_reaches_the_encoder() {
    let (seen, _, _) = run(&mask(), View::default(), None, 3);
    assert!(seen.len() >= 3);
    for (picture, _) in &seen {
        assert_masked(picture, "raw");
        // What the model gets: nothing but black where the mask is, after its own resampling.
        let spec = PreprocessSpec {
            size: 64,
            mean: [0.0; 3],
            std: [1.0; 3],
            filter: Filter::Bicubic,
            fit: Fit::Stretch,
            rounding: Rounding::Torchvision,
            fill: [0; 3],
        };
        let mut input = vec![0.0; spec.len()];
        preprocess(picture, View::default(), &spec, &mut input).unwrap();
        for (index, value) in input.iter().enumerate() {
            // Two columns from the edge the filter has only black under it.
            assert!(index % 64 >= 19 || *value == 0.0, "input {index} is {value}");
        }
    }
}

#[test]
fn nor_when_it_was_decoded_and_halved_and_turned_and_widened() {
    let folder = tempfile::tempdir().unwrap();
    for (name, shape, more, turned, size) in [
        ("halved", "width=1920,height=1080", "", false, (960, 540)),
        ("turned", "width=1920,height=1080", "", true, (540, 960)),
        ("widened", "width=704,height=576,pixel-aspect-ratio=16/11", "", false, (1024, 576)),
        ("odd", "width=641,height=479", "", false, (641, 479)),
        ("woven", "width=640,height=480", "! interlace field-pattern=1:1", false, (640, 480)),
    ] {
        let file = folder.path().join(format!("{name}.mp4"));
        let coder = if more.is_empty() { "x264enc" } else { "x264enc interlaced=true" };
        let format = if name == "odd" { "Y444" } else { "I420" };
        let line = format!(
            "videotestsrc num-buffers=20 pattern=white ! \
             video/x-raw,format={format},framerate=10/1,{shape} {more} ! {coder} ! h264parse ! mp4mux"
        );
        clip::write(&line, &file);
        if turned {
            clip::turn(&file, [0, 1, -1, 0]);
        }
        let (seen, _, _) = run_on(CameraSource::File(file), &mask(), View::default(), None, 3);
        for (picture, _) in &seen {
            assert_eq!((picture.width, picture.height), size, "{name}");
            assert_masked(picture, name);
        }
    }
}

/// The whole way: what the broker keeps, and what is on the disk. Its pixels are those of the frame
/// but for what JPEG does to edges.
#[test]
fn nor_what_is_kept_as_a_snapshot() {
    let broker = support::Broker::start();
    let mask = mask().map(|area| {
        let corners: Vec<String> = area.iter().map(|p| format!("[{}, {}]", p.x, p.y)).collect();
        format!("[{}]", corners.join(", "))
    });
    let config = support::picture(broker.port)
        .replace("\"test:\"", &format!("\"test:white\"\nmask = [{}]", mask.join(", ")));
    let label = "[[watch]]\nid = \"w\"\n[[watch.label]]\nid = \"it\"\nprompts = [\"a picture\"]\nthreshold = \
                 0.0001\n[[watch.label]]\nid = \"rest\"\nprompts = [\"a cat\"]\n";
    let seewhen = support::Seewhen::start(&(config + label));
    let jpeg = broker.retained("test/picture/snapshot", Duration::from_secs(30)).unwrap();
    let folder = seewhen.folder.path().join("snapshots/test/picture");
    // The topic waits for no disk, and the disk may be slow.
    let file = support::wait_for("a file", Duration::from_secs(30), || {
        let day = std::fs::read_dir(&folder).ok()?.next()?.unwrap().path();
        let mut files = std::fs::read_dir(&day).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|end| end == "jpg"))
    });
    for (what, bytes) in [("topic", jpeg), ("file", std::fs::read(file).unwrap())] {
        let image = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let (width, height) = image.dimensions();
        let picture = Picture { width, height, rgb: image.into_raw() };
        assert_black(&picture, 12, what);
    }
}

#[test]
fn the_best_tile_wins_and_is_named() {
    let left = corners(&[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]);
    let view = View { fit: Some(Fit::Crop), tiles: true, region: None };
    let (seen, scored, _) = run(&[left], view, None, 2);
    // 640x480: squares at 0 and at 160 pixels, each looked at by itself.
    let starts: Vec<f64> = seen.iter().map(|(_, view)| view.region.unwrap().x).collect();
    assert_eq!(starts[..4], [0.0, 0.25, 0.0, 0.25]);
    for frame in &scored {
        let score = &frame.scores[0];
        let [bright, dark] = *score.probabilities.values() else { panic!("{score:?}") };
        assert!(bright > 0.5 && dark > 0.5, "each label has its best tile: {score:?}");
        assert_eq!((score.tiles[0].x, score.tiles[1].x), (0.25, 0.0));
    }
}

#[test]
fn a_frame_that_changed_nothing_is_scored_and_not_encoded() {
    let gate = ChangeGate { difference: 0.02, max_age: Duration::from_secs(3600) };
    let (seen, scored, counts) = run(&[], View::default(), Some(gate), 10);
    assert_eq!(seen.len(), 1, "one encoding stands for all");
    assert!(scored.iter().all(|frame| frame.scores == scored[0].scores));
    assert!(scored.windows(2).all(|pair| pair[0].captured.at < pair[1].captured.at));
    assert!(counts.unchanged >= 9 && counts.analysed > counts.unchanged, "{counts:?}");
}
