//! Pillow's resampling to the bit, for still pictures.
//!
//! The SIMD resampler's fixed-point arithmetic differs from Pillow's by a level or two in a few
//! pixels, and more where transparent colours are divided by their alpha afterwards. That is
//! nothing for cameras; who compares stills with the reference wants its numbers. Slower, so
//! only used for stills.
//!
//! Source: `Resample.c` of <https://github.com/python-pillow/Pillow>: two passes, weights of 22
//! bits, 8-bit values in between.

use super::Filter;
use super::geometry::{Placement, Span};

/// Bits behind the point of a weight.
const PRECISION: u32 = 32 - 8 - 2;

/// What one output pixel is made of: the first source pixel, and the weights from there on.
type Weights = Vec<(usize, Vec<i32>)>;

/// Resamples pixels of so many channels, `width` x `height`, to those of `place`. `None` for
/// filters that it has not.
pub(in crate::clip) fn resample<const CHANNELS: usize>(
    pixels: &[u8],
    (width, height): (u32, u32),
    place: &Placement,
    filter: Filter,
) -> Option<Vec<u8>> {
    let (kernel, support): (fn(f64) -> f64, f64) = match filter {
        Filter::Bilinear => (triangle, 1.0),
        Filter::Bicubic => (cubic, 2.0),
        _ => return None,
    };
    let across = weights(&place.across, width, kernel, support);
    let down = weights(&place.down, height, kernel, support);
    let row_length = across.len() * CHANNELS;
    // Rows outside the kept part are left out.
    let top = down.first().map_or(0, |(first, _)| *first);
    let bottom = down.last().map_or(0, |(first, weights)| first + weights.len());
    let mut narrow = Vec::with_capacity((bottom - top) * row_length);
    let rows = pixels.chunks_exact((width as usize * CHANNELS).max(1));
    for row in rows.take(bottom).skip(top) {
        for (first, weights) in &across {
            let pixel = |n: usize, channel| row[(first + n) * CHANNELS + channel];
            narrow.extend((0..CHANNELS).map(|c| sum(weights, |n| pixel(n, c))));
        }
    }
    let mut out = Vec::with_capacity(down.len() * row_length);
    for (first, weights) in &down {
        let value = |n: usize, at| narrow[(first - top + n) * row_length + at];
        out.extend((0..row_length).map(|at| sum(weights, |n| value(n, at))));
    }
    Some(out)
}

fn sum(weights: &[i32], value: impl Fn(usize) -> u8) -> u8 {
    let half = 1_i64 << (PRECISION - 1);
    let products = weights.iter().enumerate().map(|(n, w)| i64::from(*w) * i64::from(value(n)));
    let sum = products.sum::<i64>() + half;
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn weights(span: &Span, side: u32, kernel: fn(f64) -> f64, support: f64) -> Weights {
    let scale = span.length / f64::from(span.pixels);
    let stretch = scale.max(1.0);
    let reach = support * stretch;
    let one = |pixel: u32| {
        let centre = span.from + (f64::from(pixel) + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(side as usize);
        let place = |n: usize| (n as f64 - centre + 0.5) / stretch;
        let raw: Vec<f64> = (first..end).map(|n| kernel(place(n))).collect();
        let whole: f64 = raw.iter().sum();
        let unit = f64::from(1_u32 << PRECISION) / if whole == 0.0 { 1.0 } else { whole };
        // `round` goes away from zero at halves, as Pillow's does.
        (first, raw.iter().map(|weight| (weight * unit).round() as i32).collect())
    };
    (0..span.pixels).map(one).collect()
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// The cubic with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
