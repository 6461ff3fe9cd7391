//! Which pixels of a picture a model has to be given, and what it has to know to resample them.
//!
//! Pure arithmetic on sizes. What is cut out is what the filters reach of the view's region: of
//! a wide picture that is cropped to a square, hardly more than the square.

use std::ops::Range;

use crate::clip::preprocess::PreprocessSpec;
use crate::clip::preprocess::geometry::{Pixels, Placement, Span, region_of};
use crate::model::View;

/// The part of a picture that its view is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    region: Pixels,
    place: Placement,
    size: u32,
}

impl Window {
    /// Of a `width` x `height` picture (both at least 1).
    pub fn new(spec: &PreprocessSpec, (width, height): (u32, u32), view: View) -> Self {
        let region = region_of(width, height, view.region);
        let sides = (region.width, region.height);
        let fit = view.fit.unwrap_or(spec.fit);
        let place = Placement::new(spec.size, sides, fit, spec.rounding);
        Self { region, place, size: spec.size }
    }

    /// Columns of the picture.
    pub fn columns(&self) -> Range<u32> {
        let Range { start, end } = self.place.across.reach(self.region.width);
        self.region.left + start..self.region.left + end
    }

    /// Rows of the picture.
    pub fn rows(&self) -> Range<u32> {
        let Range { start, end } = self.place.down.reach(self.region.height);
        self.region.top + start..self.region.top + end
    }

    /// Whether the pixels of `other` are resampled as these are, wherever both were cut out.
    pub fn is_like(&self, other: &Self) -> bool {
        let sides = |window: &Self| (window.region.width, window.region.height, window.size);
        sides(self) == sides(other) && self.place == other.place
    }

    /// Adds what the columns of the result are made of to `to`: float32 `[3, size]`, a row of
    /// centres, one of sharpnesses, one of ends. See [`down`](Self::down).
    pub fn across(&self, to: &mut Vec<f32>) {
        let points = points(&self.place.across, self.region.width, self.size);
        for value in 0..3 {
            to.extend(points.iter().map(|point| point[value]));
        }
    }

    /// Adds what the rows of the result are made of to `to`: float32 `[size, 3]`. For each row:
    /// its centre in rows of the window, 0 for the middle of the first; what a distance from there
    /// has to be multiplied with to become one in the filter's own units; and how many rows the
    /// window has, which is 0 where the result is border.
    pub fn down(&self, to: &mut Vec<f32>) {
        to.extend(points(&self.place.down, self.region.height, self.size).iter().flatten());
    }
}

/// Centre, sharpness and end of each pixel of the result; as in Pillow's `precompute_coeffs`.
fn points(span: &Span, side: u32, size: u32) -> Vec<[f32; 3]> {
    let window = span.reach(side);
    let scale = span.length / f64::from(span.pixels);
    let inside = span.offset..span.offset + span.pixels;
    let point = |pixel: u32| {
        if !inside.contains(&pixel) {
            return [0.0, 1.0, 0.0];
        }
        let centre = span.from + (f64::from(pixel - span.offset) + 0.5) * scale;
        // Counted from the window's start, so that 32 bits are enough for long pictures too.
        let centre = centre - 0.5 - f64::from(window.start);
        [centre as f32, (1.0 / scale.max(1.0)) as f32, (window.end - window.start) as f32]
    };
    (0..size).map(point).collect()
}
