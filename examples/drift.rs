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
fn cos(a: &[f32], b: &[f32]) -> f32 {
    let d: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let n = |a: &[f32]| a.iter().map(|a| a * a).sum::<f32>().sqrt();
    d / (n(a) * n(b)).max(1e-9)
}
fn mean(all: &[Vec<f32>]) -> Vec<f32> {
    let mut m = vec![0.0; all[0].len()];
    for a in all { for (m, a) in m.iter_mut().zip(a) { *m += a / all.len() as f32 } }
    m
}
fn main() {
    let args = Args::parse();
    seewhen::capture::gstreamer::init().unwrap();
    let model = Model::load(&ModelConfig::default()).unwrap();
    let mut encoder = model.image_encoder().unwrap();
    use Change::*;
    let changes = [Nothing, Shift(0.03), Shift(0.05), Shift(0.1), Shift(0.2), Shift(0.3), Turn(3.0), Turn(10.0), Zoom(0.8), Black, Patch, Blur(0.02), Blur(0.04), Blur(0.08), Light(2.5), Light(4.0), Wash(0.1), Wash(0.25), Infrared, Dim(0.4), Dim(0.15), Lorry(0.25), Lorry(0.9)];
    for file in &args.files {
        let all = frames(file, Duration::from_millis(500));
        println!("{} {} frames {}x{}", file.file_name().unwrap().to_string_lossy(), all.len(), all[0].width, all[0].height);
        let mut base: Option<(Vec<f32>, Vec<f32>)> = None;
        for change in changes {
            let mut sights = Vec::new();
            let mut embs = Vec::new();
            for (i, p) in all.iter().enumerate().step_by((all.len() / 20).max(1)) {
                let p = simulate(p, change, i as u64);
                sights.push(Sight::of(&p, View::default()));
                embs.push(encoder.encode(&[(&p, View::default())]).unwrap().remove(0).0);
            }
            let edges: Vec<Vec<f32>> = sights.iter().map(|s| s.edges.clone()).collect();
            let (pe, pm) = (mean(&edges), mean(&embs));
            let (be, bm) = base.get_or_insert((pe.clone(), pm.clone())).clone();
            let half = |v: &[Vec<f32>]| (mean(&v[..v.len() / 2]), mean(&v[v.len() / 2..]));
            let single = |v: &[Vec<f32>], b: &[f32]| { let mut c: Vec<f32> = v.iter().map(|x| cos(x, b)).collect(); c.sort_by(f32::total_cmp); (c[0], c[c.len() / 2]) };
            let (e1, e2) = half(&edges);
            let (m1, m2) = half(&embs);
            let avg = |f: &dyn Fn(&Sight) -> f32| { let mut v: Vec<f32> = sights.iter().map(f).collect(); v.sort_by(f32::total_cmp); (v[0], v[v.len() - 1]) };
            println!("  {:14} edges mean {:5.2} halves {:5.2} {:5.2} single min {:5.2} med {:5.2} | emb mean {:5.3} halves {:5.3} {:5.3} min {:5.3} med {:5.3} | light {:?} contrast {:.0?} detail {:.1?} white {:.2?} colour {:.1?}",
                format!("{change:?}"), cos(&pe, &be), cos(&e1, &be), cos(&e2, &be), single(&edges, &be).0, single(&edges, &be).1,
                cos(&pm, &bm), cos(&m1, &bm), cos(&m2, &bm), single(&embs, &bm).0, single(&embs, &bm).1,
                avg(&|s| s.light.round()), avg(&|s| s.contrast), avg(&|s| s.detail), avg(&|s| s.white), avg(&|s| s.colour));
        }
    }
}
