//! Scenes made of real frames, and which of them are exactly the best.

use std::fs;
use std::path::Path;
use std::time::Duration;

use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::sampler::Sampler;
use seewhen::capture::{CaptureError, Open as _, Pulled};
use seewhen::clip::ImageEncoder as _;
use seewhen::clock::Clock;
use seewhen::config::{CameraSource, Network};
use seewhen::daemon::model::Model;
use seewhen::model::{DecoderChoice, Embedding, Every, View};
use serde::{Deserialize, Serialize};

/// Noise on each value: neighbouring frames of the clips, a quarter of a second apart, have a cosine of
/// 0.99 (the median).
const NOISE: f32 = 0.006;

/// The embeddings of a clip's frames, four a second.
pub(crate) fn encode(model: &Model, clip: &Path) -> Vec<Embedding> {
    seewhen::capture::gstreamer::init().unwrap();
    let every = Every::Interval(Duration::from_millis(250));
    let opener = Opener {
        source: CameraSource::File(clip.to_owned()),
        every,
        decoders: Decoders::new(DecoderChoice::Software),
        network: Network::default(),
        region: None,
        repeat: false,
        pace: Pace::AsFastAsPossible,
        clock: Clock::start(),
    };
    let mut encoder = model.image_encoder().unwrap();
    let (mut source, mut sampler) = (opener.open().unwrap(), Sampler::new(every));
    let mut embeddings = Vec::new();
    loop {
        match source.pull(Duration::from_millis(100), &mut sampler) {
            Ok(Pulled::Frame(picture, _)) => {
                embeddings.extend(encoder.encode(&[(&picture, View::default())]).unwrap());
            }
            Ok(Pulled::Skipped | Pulled::Nothing) => {}
            Err(CaptureError::End) => break,
            Err(error) => panic!("{}: {error}", clip.display()),
        }
    }
    assert!(embeddings.len() > 1, "{} has no frames", clip.display());
    embeddings
}

fn unit(mut values: Vec<f32>) -> Embedding {
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter_mut().for_each(|value| *value /= length);
    Embedding(values)
}

pub(crate) struct Scenes {
    clips: Vec<Vec<Embedding>>,
    /// Where each camera is in its clip, in frames.
    places: Vec<f32>,
    random: fastrand::Rng,
    /// Rows of a random projection; none: as it is.
    projection: Vec<Vec<f32>>,
}

impl Scenes {
    pub(crate) fn new(clips: Vec<Vec<Embedding>>, dim: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(8);
        let own = clips[0][0].0.len();
        let rows = if dim == own { 0 } else { dim };
        let projection =
            (0..rows).map(|_| (0..own).map(|_| noise(&mut random)).collect()).collect();
        let mut scenes = Self { clips: Vec::new(), places: Vec::new(), random, projection };
        scenes.clips =
            clips.iter().map(|clip| clip.iter().map(|one| scenes.project(one)).collect()).collect();
        scenes
    }

    /// In as many dimensions as are wanted; angles stay, nearly.
    pub(crate) fn project(&self, embedding: &Embedding) -> Embedding {
        if self.projection.is_empty() {
            return embedding.clone();
        }
        let row = |row: &Vec<f32>| row.iter().zip(&embedding.0).map(|(a, b)| a * b).sum();
        unit(self.projection.iter().map(row).collect())
    }

    /// The next frame of a camera: a little further in its clip, or back.
    pub(crate) fn next(&mut self, camera: usize) -> Embedding {
        if self.places.len() <= camera {
            self.places.resize(camera + 1, 0.0);
        }
        let clip = &self.clips[camera % self.clips.len()];
        let (place, last) = (&mut self.places[camera], (clip.len() - 1) as f32);
        *place = (*place + (self.random.f32() - 0.5) * 4.0).clamp(0.0, last - 0.001);
        let (index, part) = (*place as usize, place.fract());
        let between = clip[index].0.iter().zip(&clip[index + 1].0);
        let random = &mut self.random;
        let value = |(a, b): (&f32, &f32)| a * (1.0 - part) + b * part + NOISE * noise(random);
        unit(between.map(value).collect())
    }
}

/// Of variance one, evenly spread.
fn noise(random: &mut fastrand::Rng) -> f32 {
    (random.f32() - 0.5) * 12.0_f32.sqrt()
}

const MOST: usize = 100;

/// Rows and their cosines, best first.
type Ranked = Vec<(usize, f32)>;

/// The best rows for each of some queries.
#[derive(Serialize, Deserialize)]
pub(crate) struct Exact {
    #[serde(skip)]
    pub(crate) queries: Vec<Embedding>,
    values: Vec<Vec<f32>>,
    best: Vec<Ranked>,
}

impl Exact {
    pub(crate) fn new(queries: Vec<Embedding>) -> Self {
        let values: Vec<Vec<f32>> = queries.iter().map(|query| query.0.clone()).collect();
        Self { best: vec![Vec::new(); queries.len()], values, queries }
    }

    pub(crate) fn add(&mut self, row: usize, embedding: &Embedding) {
        let cosine = |query: &Vec<f32>| {
            // Eight sums beside each other: the compiler makes one vector of them.
            let mut sums = [0.0_f32; 8];
            for (a, b) in query.chunks_exact(8).zip(embedding.0.chunks_exact(8)) {
                for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                    *sum += a * b;
                }
            }
            sums.iter().sum()
        };
        let cosines: Vec<f32> = self.values.iter().map(cosine).collect();
        self.add_scores(row, &cosines);
    }

    pub(crate) fn add_scores(&mut self, row: usize, cosines: &[f32]) {
        for (best, cosine) in self.best.iter_mut().zip(cosines) {
            if best.len() < MOST || best[MOST - 1].1 < *cosine {
                let at = best.partition_point(|(_, other)| other >= cosine);
                best.insert(at, (row, *cosine));
                best.truncate(MOST);
            }
        }
    }

    pub(crate) fn recall(&self, found: &Self, most: usize) -> f64 {
        let one = |(exact, found): (&Ranked, &Ranked)| {
            let found = &found[..most];
            exact[..most]
                .iter()
                .filter(|(row, _)| found.iter().any(|(other, _)| other == row))
                .count()
        };
        let hits: usize = self.best.iter().zip(&found.best).map(one).sum();
        hits as f64 / (most * self.best.len()) as f64
    }

    pub(crate) fn save(&self, path: &Path) {
        fs::write(path, serde_json::to_vec(self).unwrap()).unwrap();
    }

    pub(crate) fn load(path: &Path) -> Self {
        let mut exact: Self = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        exact.queries = exact.values.iter().cloned().map(Embedding).collect();
        exact
    }
}
