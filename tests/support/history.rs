//! A history of embeddings that the writer wrote: the street of the demo, as cameras would have seen it.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread::Builder;
use std::time::Duration;

use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::sampler::Sampler;
use seewhen::capture::{CaptureError, Open as _, Pulled};
use seewhen::clip::ImageEncoder as _;
use seewhen::clock::Clock;
use seewhen::config::{CameraSource, ModelConfig, Network};
use seewhen::daemon::model::Model;
use seewhen::embeddings::writer::{self, Limits, Writer};
use seewhen::embeddings::{Seen, Tally};
use seewhen::model::{
    CameraId, Captured, DecoderChoice, Embedding, Every, Moment, NodeId, Picture, View, WallTime,
};

/// 2026-11-18 06:00:00 UTC.
pub const START: f64 = 1_794_981_600.0;
pub const EVERY: f64 = 0.125;

pub static MODEL: LazyLock<Model> = LazyLock::new(|| Model::load(&ModelConfig::default()).unwrap());

/// The clip's frames, eight a second, with their embeddings.
pub static FRAMES: LazyLock<Vec<(Arc<Picture>, Embedding)>> = LazyLock::new(|| {
    seewhen::capture::gstreamer::init().unwrap();
    let every = Every::Interval(Duration::from_secs_f64(EVERY));
    let opener = Opener {
        source: CameraSource::File(super::support::bikes()),
        every,
        decoders: Decoders::new(DecoderChoice::Software),
        network: Network::default(),
        region: None,
        repeat: false,
        pace: Pace::AsFastAsPossible,
        clock: Clock::start(),
    };
    let mut encoder = MODEL.image_encoder().unwrap();
    let (mut source, mut sampler) = (opener.open().unwrap(), Sampler::new(every));
    let mut frames = Vec::new();
    loop {
        match source.pull(Duration::from_millis(100), &mut sampler) {
            Ok(Pulled::Frame(picture, _)) => {
                let embedding = encoder.encode(&[(&picture, View::default())]).unwrap().remove(0);
                frames.push((Arc::new(picture), embedding));
            }
            Ok(_) => {}
            Err(CaptureError::End) => return frames,
            Err(error) => panic!("{error}"),
        }
    }
});

/// The clip as a camera saw it from `start` on.
pub fn clip(camera: &str, start: f64) -> impl Iterator<Item = Seen> {
    let camera = CameraId::try_new(camera).unwrap();
    FRAMES.iter().enumerate().map(move |(number, (picture, embedding))| Seen {
        camera: camera.clone(),
        captured: Captured { at: Moment::default(), time: WallTime(start + number as f64 * EVERY) },
        embeddings: [embedding.clone()].into(),
        picture: Some(picture.clone()),
    })
}

pub fn write(
    folder: &Path,
    digest: &str,
    frames: impl Iterator<Item = Seen>,
    pictures: bool,
) -> Arc<Tally> {
    let (to, inbox) = crossbeam_channel::bounded(8);
    let tally = Arc::<Tally>::default();
    let writer = Writer {
        inbox,
        folder: folder.to_owned(),
        node: NodeId::try_new("test").unwrap(),
        bundle: "mini".to_owned(),
        digest: digest.to_owned(),
        limits: Limits { keep: Duration::from_secs(3650 * 86_400), size: 100 << 20 },
        pictures,
        retry: Duration::ZERO,
        tally: tally.clone(),
    };
    let thread = Builder::new().spawn(move || writer::run(writer)).unwrap();
    frames.for_each(|seen| to.send(seen).unwrap());
    drop(to);
    thread.join().unwrap();
    tally
}
