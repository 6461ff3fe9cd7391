//! The lines of the result, as JSON and for people.

use std::io::{self, Write};

use serde::Serialize;

/// One line of the result.
#[derive(Debug, Serialize)]
#[serde(tag = "measure", rename_all = "lowercase")]
pub(super) enum Line<'a> {
    Model {
        bundle: &'a str,
        precision: String,
        provider: String,
        size: u32,
        labels: u32,
    },
    /// Pictures a second: the model alone, and all of inference.
    Batch {
        batch: usize,
        model: f64,
        inference: f64,
        share: f64,
    },
    /// Milliseconds for one frame on one core.
    Preprocess {
        width: u32,
        height: u32,
        milliseconds: f64,
    },
    /// Milliseconds for the probabilities of a full batch.
    Scores {
        labels: u32,
        pictures: usize,
        milliseconds: f64,
    },
    /// Milliseconds that the rules take for as many frames, each label with a threshold.
    Rules {
        labels: u32,
        pictures: usize,
        milliseconds: f64,
    },
    /// What the probabilities take longer when each of so many labels is taught too.
    Taught {
        labels: usize,
        pictures: usize,
        milliseconds: f64,
    },
    Cameras {
        cameras: u16,
        frames_per_second: f64,
    },
    Memory {
        now_mib: u64,
        most_mib: u64,
    },
}

/// `line` for people.
pub(super) fn table(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    match line {
        Line::Model { bundle, precision, provider, size, labels } => writeln!(
            out,
            "{bundle} ({precision}) on {provider}, {size}x{size} pixels, {labels} labels"
        ),
        Line::Batch { batch, model, inference, share } => writeln!(
            out,
            "batches of {batch:3}: model alone {model:6.1}/s, all of inference {inference:6.1}/s, \
             {share:.2} of it"
        ),
        Line::Preprocess { width, height, milliseconds } => {
            writeln!(out, "preprocessing {width}x{height}: {milliseconds:.2} ms a frame")
        }
        Line::Scores { labels, pictures, milliseconds } => writeln!(
            out,
            "probabilities of {labels} labels for {pictures} pictures: {milliseconds:.2} ms"
        ),
        Line::Rules { labels, pictures, milliseconds } => {
            writeln!(out, "rules of {labels} labels for {pictures} pictures: {milliseconds:.2} ms")
        }
        Line::Taught { labels, pictures, milliseconds } => writeln!(
            out,
            "{labels} taught labels for {pictures} pictures take {milliseconds:.2} ms on top"
        ),
        Line::Cameras { cameras, frames_per_second } => {
            writeln!(out, "{cameras} cameras, decoding included: {frames_per_second:.1} frames/s")
        }
        Line::Memory { now_mib, most_mib } => {
            writeln!(out, "memory: {now_mib} MiB, at most {most_mib} MiB")
        }
    }
}
