//! Video files that real encoders make for a test.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::path::Path;

use gstreamer::prelude::*;
use gstreamer::{self as gst, ClockTime};

/// Writes what the pipeline `line` gives into `file`.
pub fn write(line: &str, file: &Path) {
    gst::init().unwrap();
    let writer =
        gst::parse::launch(&format!("{line} ! filesink name=file")).unwrap_or_else(|error| {
            panic!("{line}: {error}; run scripts/setup test");
        });
    let writer = writer.downcast::<gst::Pipeline>().unwrap();
    writer.by_name("file").unwrap().set_property("location", file);
    writer.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = writer.bus().unwrap().timed_pop_filtered(ClockTime::from_seconds(30), &ends);
    if let gst::MessageView::Error(error) = end.expect("an end within 30 s").view() {
        panic!("{line}: {error:?}");
    }
    writer.set_state(gst::State::Null).unwrap();
}

/// Writes the turn into the header of an MP4 file's track (ISO 14496-12, 8.3.2), as phones do.
pub fn turn(file: &Path, [a, b, c, d]: [i32; 4]) {
    let mut bytes = std::fs::read(file).unwrap();
    let header = bytes.windows(4).position(|four| four == b"tkhd").unwrap();
    let matrix = header + 44;
    for (index, value) in [(0, a), (1, b), (3, c), (4, d)] {
        bytes[matrix + index * 4..][..4].copy_from_slice(&(value << 16).to_be_bytes());
    }
    std::fs::write(file, bytes).unwrap();
}
