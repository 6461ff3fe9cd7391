//! What one camera's capture takes: plays a file through it, without a model.
//!
//! `cargo run --release --example capture -- FILE EVERY…` prints, for each way of sampling (a
//! duration or "keyframes"), the frames that were kept, the processor seconds of this process
//! per second of the media, and what was decoded. `--live` plays the file at its own speed.
#![expect(clippy::unwrap_used, reason = "a measurement that fails may stop")]
#![expect(clippy::print_stdout, reason = "its lines are its result")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::sampler::Sampler;
use seewhen::capture::{CaptureError, Open as _, Pulled};
use seewhen::clock::Clock;
use seewhen::config::{CameraSource, Network};
use seewhen::model::{DecodeStrategy, DecoderChoice, Every};

/// Measures what capture takes of a processor.
#[derive(Parser)]
struct Args {
    file: PathBuf,
    #[arg(required = true)]
    every: Vec<String>,
    /// At the file's own speed.
    #[arg(long)]
    live: bool,
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}

fn main() {
    let args = Args::parse();
    seewhen::capture::gstreamer::init().unwrap();
    for every in &args.every {
        measure(&args, every);
    }
}

fn measure(args: &Args, text: &str) {
    let every = match text {
        "keyframes" => Every::KeyFrames,
        interval => Every::Interval(humantime::parse_duration(interval).unwrap()),
    };
    let opener = Opener {
        source: CameraSource::File(args.file.clone()),
        every,
        decoders: Decoders::new(DecoderChoice::Auto),
        network: Network::default(),
        region: None,
        repeat: false,
        pace: if args.live { Pace::Live } else { Pace::AsFastAsPossible },
        clock: Clock::start(),
    };
    let (before, started) = (processor_time(), Instant::now());
    let mut source = opener.open().unwrap();
    let mut sampler = Sampler::new(every);
    let (mut kept, mut work) = (0, source.work());
    loop {
        match source.pull(Duration::from_millis(250), &mut sampler) {
            Ok(Pulled::Frame(..)) => kept += 1,
            Ok(Pulled::Skipped | Pulled::Nothing) => {}
            Err(CaptureError::End) => break,
            Err(error) => panic!("{error}"),
        }
        work = source.work();
    }
    drop(source);
    let (used, wall) = ((processor_time() - before).as_secs_f64(), started.elapsed().as_secs_f64());
    let strategy = work.strategy.map_or("-", DecodeStrategy::word);
    let decoder = work.decoder.as_deref().unwrap_or("-");
    println!("{text:>10}  {kept:5} frames  {used:7.2} CPU s  {wall:6.1} s  {strategy:9} {decoder}");
}
