//! Where pixels go: regions in pixels, and which part of the source fills the square.
//!
//! Pure integer and floating point arithmetic, with torchvision's and open_clip's rounding.

use std::ops::Range;

use crate::model::{Fit, Region};

/// A rectangle of whole pixels inside a picture; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixels {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// `region` of a `width` x `height` picture in whole pixels: edges rounded to the nearest
/// pixel, at least one pixel wide and high, inside the picture whatever the fractions are.
pub fn region_of(width: u32, height: u32, region: Option<Region>) -> Pixels {
    let Some(region) = region else {
        return Pixels { left: 0, top: 0, width, height };
    };
    let side = |from: f64, length: f64, pixels: u32| {
        let whole = f64::from(pixels);
        let start = ((from * whole).round().clamp(0.0, whole) as u32).min(pixels - 1);
        let end = ((from + length) * whole).round().clamp(0.0, whole) as u32;
        (start, end.max(start + 1) - start)
    };
    let (left, width) = side(region.x, region.width, width);
    let (top, height) = side(region.y, region.height, height);
    Pixels { left, top, width, height }
}

/// Most tiles of one picture: an encoder's time is worth more than the ends of a very long one.
const MOST_TILES: u32 = 8;
/// How much neighbouring tiles share at least, as a share of their side: what stands on an edge
/// of one stands well inside another.
const OVERLAP: f64 = 0.2;

/// Squares that cover `region` of a `width` x `height` picture (both at least 1), side by side
/// along its longer side: as few as overlap by a fifth. 16:9 gives two, 21:9 three.
pub fn tiles(width: u32, height: u32, region: Option<Region>) -> Vec<Region> {
    let area = region_of(width, height, region);
    let (long, short) = (area.width.max(area.height), area.width.min(area.height));
    let ratio = f64::from(long) / f64::from(short);
    let wanted = ((ratio - OVERLAP) / (1.0 - OVERLAP) - 1e-9).ceil();
    let count = (wanted as u32).clamp(1, MOST_TILES);
    let tile = |number: u32| {
        let way = f64::from(number) / f64::from((count - 1).max(1));
        let offset = (f64::from(long - short) * way).round();
        let across = area.width >= area.height;
        let (left, top) = if across { (offset, 0.0) } else { (0.0, offset) };
        let share = |pixels: f64, whole: u32| pixels / f64::from(whole);
        Region {
            x: share(f64::from(area.left) + left, width),
            y: share(f64::from(area.top) + top, height),
            width: share(f64::from(short), width),
            height: share(f64::from(short), height),
        }
    };
    (0..count).map(tile).collect()
}

/// How the longer side and the crop's start become whole pixels. Half a pixel matters: it moved
/// an embedding of `mini` by a cosine of 0.014.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// torchvision, and so CLIP: the side is `int(size * long / short)`, the crop starts at
    /// `round((side - size) / 2)`, halves to even as Python rounds.
    #[default]
    Torchvision,
    /// The side is rounded to the nearest pixel and the start of the crop down.
    Nearest,
}

/// One direction: which stretch of the source becomes which pixels of the square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Where the stretch starts, source pixels.
    pub from: f64,
    /// How long it is, source pixels.
    pub length: f64,
    /// Pixels that it becomes.
    pub pixels: u32,
    /// Pixels of border before it.
    pub offset: u32,
}

impl Span {
    /// The source rows that a filter for this span reads, of `rows` in all: the widest filter
    /// (Lanczos) reaches three output pixels (or source pixels, when enlarging) each way.
    pub fn reach(&self, rows: u32) -> Range<u32> {
        let margin = 3.0 * (self.length / f64::from(self.pixels)).max(1.0) + 2.0;
        let first = (self.from - margin).floor().max(0.0) as u32;
        let last = (self.from + self.length + margin).ceil().min(f64::from(rows)) as u32;
        first..last
    }
}

/// Both directions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    pub across: Span,
    pub down: Span,
}

impl Placement {
    /// How a `width` x `height` source (both at least 1) fills a `size` x `size` square.
    pub fn new(size: u32, (width, height): (u32, u32), fit: Fit, rounding: Rounding) -> Self {
        match fit {
            Fit::Crop => {
                let short = width.min(height);
                let cropped = |side| cropped(size, side, short, rounding);
                Self { across: cropped(width), down: cropped(height) }
            }
            Fit::Pad => {
                let long = width.max(height);
                Self { across: padded(size, width, long), down: padded(size, height, long) }
            }
            Fit::Stretch => {
                let whole =
                    |side| Span { from: 0.0, length: f64::from(side), pixels: size, offset: 0 };
                Self { across: whole(width), down: whole(height) }
            }
        }
    }
}

/// `Resize(size)` then `CenterCrop(size)` along one side, without making the pixels that the
/// crop throws away: a 4000 x 3 picture would become 298666 pixels wide.
fn cropped(size: u32, side: u32, short: u32, rounding: Rounding) -> Span {
    let exact = f64::from(size) * f64::from(side) / f64::from(short);
    let excess = |scaled: f64| (scaled - f64::from(size)) / 2.0;
    let (scaled, start) = match rounding {
        Rounding::Torchvision => {
            // In whole numbers: `exact` may fall just short of one.
            let scaled = u64::from(size) * u64::from(side) / u64::from(short);
            (scaled as f64, excess(scaled as f64).round_ties_even())
        }
        Rounding::Nearest => (exact.round(), excess(exact.round()).floor()),
    };
    let scale = f64::from(side) / scaled;
    let length = (f64::from(size) * scale).min(f64::from(side));
    Span { from: (start * scale).min(f64::from(side) - length), length, pixels: size, offset: 0 }
}

/// open_clip's `ResizeKeepRatio(longest=1)` then `CenterCropOrPad` along one side.
fn padded(size: u32, side: u32, long: u32) -> Span {
    let scaled = (f64::from(side) * f64::from(size) / f64::from(long)).round_ties_even();
    let pixels = (scaled as u32).clamp(1, size);
    Span { from: 0.0, length: f64::from(side), pixels, offset: (size - pixels) / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_region_with_squares_that_overlap() {
        let starts = |width, height, region| {
            let of = f64::from(if width > height { width } else { height });
            let start = |tile: &Region| if width > height { tile.x * of } else { tile.y * of };
            tiles(width, height, region)
                .iter()
                .map(|tile| start(tile).round() as u32)
                .collect::<Vec<_>>()
        };
        assert_eq!(starts(1920, 1080, None), [0, 840]);
        assert_eq!(starts(1080, 1920, None), [0, 840]);
        assert_eq!(starts(500, 500, None), [0]);
        assert_eq!(starts(640, 480, None), [0, 160]);
        assert_eq!(starts(2560, 1080, None), [0, 740, 1480]);
        assert_eq!(starts(9000, 10, None).len(), 8);
        let right = Region { x: 0.5, y: 0.0, width: 0.5, height: 0.5 };
        assert_eq!(starts(1920, 1080, Some(right)), [960, 1380]);
        for tile in tiles(1920, 1080, Some(right)) {
            let pixels = region_of(1920, 1080, Some(tile));
            assert_eq!((pixels.width, pixels.height, pixels.top), (540, 540, 0));
        }
    }
}
