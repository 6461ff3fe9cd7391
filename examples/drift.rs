//! calibration
#![expect(clippy::unwrap_used, reason = "a measurement that fails may stop")]
#![expect(clippy::print_stdout, reason = "its lines are its result")]
#[path = "drift/simulate.rs"]
mod simulate;
use clap::Parser;
use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::sampler::Sampler;
use seewhen::capture::{CaptureError, Open as _, Pulled};
use seewhen::clip::ImageEncoder as _;
use seewhen::clock::Clock;
use seewhen::config::{CameraSource, ModelConfig, Network};
use seewhen::daemon::model::Model;
use seewhen::model::{DecoderChoice, Every, Picture, View};
use seewhen::view::Sight;
use simulate::{Change, simulate};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
struct Args { files: Vec<PathBuf> }

fn frames(file: &std::path::Path, every: Duration) -> Vec<Picture> {
    let every = Every::Interval(every);
    let opener = Opener { source: CameraSource::File(file.to_owned()), every, decoders: Decoders::new(DecoderChoice::Software),
        network: Network::default(), region: None, repeat: false, pace: Pace::AsFastAsPossible, clock: Clock::start() };
    let mut source = opener.open().unwrap();
    let mut sampler = Sampler::new(every);
    let mut out = Vec::new();
    loop {
        match source.pull(Duration::from_millis(250), &mut sampler) {
            Ok(Pulled::Frame(p, _)) => out.push(p),
            Ok(_) => {}
            Err(CaptureError::End) => break,
            Err(e) => panic!("{e}"),
        }
    }
    out
}
fn main() {
    let args = Args::parse();
    seewhen::capture::gstreamer::init().unwrap();
    let model = Model::load(&ModelConfig::default()).unwrap();
    let mut encoder = model.image_encoder().unwrap();
    use Change::*;
    let changes = [Nothing, Shift(0.03), Shift(0.05), Shift(0.1), Shift(0.2), Shift(0.3), Turn(3.0), Turn(10.0), Zoom(0.8), Black, Patch, Blur(0.02), Blur(0.04), Blur(0.08), Light(2.5), Light(4.0), Wash(0.1), Wash(0.25), Infrared, Dim(0.4), Dim(0.15), Lorry(0.25), Lorry(0.5), Lorry(0.9)];
    use std::io::Write as _;
    let mut out = std::io::BufWriter::new(std::fs::File::create("/tmp/exp-drift.bin").unwrap());
    let mut w = |v: &[f32]| for x in v { out.write_all(&x.to_le_bytes()).unwrap() };
    for (ci, file) in args.files.iter().enumerate() {
        let all = frames(file, Duration::from_millis(500));
        println!("{ci} {} {} frames", file.file_name().unwrap().to_string_lossy(), all.len());
        for (ti, change) in changes.into_iter().enumerate() {
            let most = if ti == 0 { 60 } else { 20 };
            for (i, p) in all.iter().enumerate().step_by(all.len().div_ceil(most)) {
                let p = simulate(p, change, i as u64);
                let s = Sight::of(&p, View::default());
                let e = encoder.encode(&[(&p, View::default())]).unwrap().remove(0).0;
                w(&[ci as f32, ti as f32, i as f32, s.light, s.contrast, s.detail, s.white, s.colour, s.seen, s.edges.len() as f32, e.len() as f32]);
                w(&s.edges);
                w(&e);
            }
        }
    }
}
