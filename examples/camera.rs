//! A camera for the demo and for tries: plays video files over RTSP, endlessly, at their own pace.
//!
//! `camera --port 8554 --mount street=bikes.mp4 --mount square=vtest.avi`
//!
//! Prints one line per mount when it is ready (`street: rtsp://127.0.0.1:8554/street`) and one at
//! each loop start (`street: loop 3 starts at 1790000000.123`), so that a watcher knows the
//! position in the clip. Listens on 127.0.0.1 only; ends by a signal.
#![expect(clippy::print_stdout, reason = "its lines are its result")]

#[path = "../tests/support/rtsp.rs"]
mod rtsp;

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use anyhow::{Result, bail};
use clap::Parser;

/// Plays video files as RTSP cameras on 127.0.0.1, in an endless loop.
#[derive(Parser)]
struct Args {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// A file and the name it is served under; may be given several times.
    #[arg(long = "mount", value_name = "NAME=FILE", required = true, value_parser = parse_mount)]
    mounts: Vec<(String, PathBuf)>,
}

fn parse_mount(text: &str) -> Result<(String, PathBuf)> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.into(), file.into()))
        }
        _ => bail!("expected NAME=FILE, as in street=bikes.mp4"),
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let server = rtsp::Server::start(args.port, &args.mounts, |start| {
        let at = start.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        println!("{}: loop {} starts at {at:.3}", start.mount, start.number);
    })?;
    for (name, _) in &args.mounts {
        println!("{name}: {}", server.url(name));
    }
    loop {
        std::thread::park();
    }
}
