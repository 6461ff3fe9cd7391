//! The RTSP camera of the tests and the demo: its loops have no seam, and it ends when dropped.

#[path = "support/clip.rs"]
mod clip;
#[path = "support/rtsp.rs"]
mod rtsp;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use gstreamer::prelude::*;
use gstreamer::{self as gst, ClockTime};
use gstreamer_app::AppSink;

#[test]
fn loops_without_a_seam_and_ends_when_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.mp4");
    let line = "videotestsrc num-buffers=10 ! video/x-raw,framerate=10/1,width=64,height=64 \
                ! x264enc bframes=0 ! h264parse ! mp4mux";
    clip::write(line, &file);
    let (loops, loop_starts) = channel();
    let mounts = [("gate".to_owned(), file)];
    let server = rtsp::Server::start(0, &mounts, move |start| drop(loops.send(start))).unwrap();

    let viewer = format!(
        "rtspsrc location={} protocols=tcp latency=0 ! rtph264depay ! h264parse \
         ! video/x-h264,alignment=au ! appsink name=out sync=false",
        server.url("gate")
    );
    let viewer = gst::parse::launch(&viewer).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = viewer.by_name("out").unwrap().downcast::<AppSink>().unwrap();
    viewer.set_state(gst::State::Playing).unwrap();
    let mut shown = Vec::new();
    while shown.len() < 35 {
        let sample = sink.try_pull_sample(ClockTime::from_seconds(10)).expect("a frame");
        shown.extend(sample.buffer().unwrap().pts());
    }
    assert!(shown.is_sorted_by(|a, b| a < b), "time stamps go back: {shown:?}");
    let seconds = (shown[34] - shown[0]).mseconds() as f64 / 1000.0;
    assert!((seconds - 3.4).abs() < 0.3, "35 frames took {seconds} s of the media's time");
    let numbers: Vec<u32> = loop_starts.try_iter().map(|start| start.number).collect();
    assert!(numbers.starts_with(&[1, 2, 3, 4]), "{numbers:?}");

    let asked = Instant::now();
    drop(server);
    assert!(asked.elapsed() < Duration::from_secs(2));
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = viewer.bus().unwrap().timed_pop_filtered(ClockTime::from_seconds(5), &ends);
    assert!(end.is_some(), "the viewer does not notice that the camera is gone");
    viewer.set_state(gst::State::Null).unwrap();
}
