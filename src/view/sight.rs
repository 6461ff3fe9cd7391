//! What one picture is like, whatever is in it: its light, its edges, and whether it is the very same as
//! another. Pure.

use super::grid::{Grid, brightness};
use crate::model::{Picture, View};

/// Fine enough for a camera that was turned by a thirtieth of its picture, coarse enough that noise
/// averages out within a cell.
const GRID: Grid = Grid { columns: 64, rows: 36, samples: 4 };
/// An edge of so many levels between neighbouring cells counts half; stronger ones hardly count more, so that
/// a window's frame in the sun does not outweigh the rest of the view. Noise stays far below.
const EDGE: f32 = 8.0;
/// A cell with so large a share of points that are purely black is part of a mask, or tells no more than one.
const BLACK: u32 = 4;
/// Light beyond which a point is blown out.
const WHITE: u32 = 250;

/// See the module. Levels are those of brightness, 0 to 255.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// Mean level.
    pub light: f32,
    /// Standard deviation of the cells' levels.
    pub contrast: f32,
    /// Mean difference between a cell and what its neighbours left, right, above and below would have it be.
    pub detail: f32,
    /// Share of points that are blown out.
    pub white: f32,
    /// Mean distance of a point's strongest colour from its weakest.
    pub colour: f32,
    /// Where edges are and which way they run, two numbers for each cell.
    pub edges: Vec<f32>,
    /// Of all pixels: pictures that differ in one have different ones.
    pub digest: u64,
}

impl Sight {
    /// How many numbers edges are.
    pub const EDGES: usize = 2 * GRID.cells();

    pub fn of(picture: &Picture, view: View) -> Self {
        let mut sums = vec![0; GRID.cells()];
        let mut blacks = vec![0; GRID.cells()];
        let (mut white, mut colour) = (0, 0);
        GRID.visit(picture, view, |cell, rgb| {
            let level = brightness(rgb);
            sums[cell] += level;
            blacks[cell] += u32::from(rgb == [0; 3]);
            white += u32::from(level >= WHITE);
            let [r, g, b] = rgb;
            colour += u32::from(r.max(g).max(b) - r.min(g).min(b));
        });
        let levels: Vec<f32> = sums.iter().map(|sum| *sum as f32 / GRID.points() as f32).collect();
        let seen: Vec<bool> = blacks.iter().map(|black| black * BLACK < GRID.points()).collect();
        let count = seen.iter().filter(|seen| **seen).count().max(1) as f32;
        let of_seen =
            || levels.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(level, _)| level);
        let light = of_seen().sum::<f32>() / count;
        let spread = of_seen().map(|level| (level - light).powi(2)).sum::<f32>() / count;
        // Of what can be seen, masks apart.
        let points = count * GRID.points() as f32;
        let (edges, detail) = edges(&levels, &seen);
        Self {
            light,
            contrast: spread.sqrt(),
            detail,
            white: white as f32 / points,
            colour: colour as f32 / points,
            edges,
            digest: digest(&picture.rgb),
        }
    }
}

/// The direction of each cell's edge at double its angle, so that it is the same whichever side is the
/// lighter: in infrared light many sides change. Its length is 0 without an edge, and nears 1 with a strong
/// one. And the mean detail. What borders on a cell that is not seen has no edge.
fn edges(levels: &[f32], seen: &[bool]) -> (Vec<f32>, f32) {
    let (columns, rows) = (GRID.columns as usize, GRID.rows as usize);
    let mut edges = vec![0.0; 2 * levels.len()];
    let (mut detail, mut count) = (0.0, 0);
    for row in 1..rows - 1 {
        for column in 1..columns - 1 {
            let cell = row * columns + column;
            let around = [cell - 1, cell + 1, cell - columns, cell + columns];
            if !seen[cell] || around.iter().any(|other| !seen[*other]) {
                continue;
            }
            let [left, right, above, below] = around.map(|other| levels[other]);
            let (x, y) = (right - left, below - above);
            let strength = x.hypot(y);
            if strength > 0.0 {
                let scale = strength * (strength + EDGE);
                edges[2 * cell] = (x * x - y * y) / scale;
                edges[2 * cell + 1] = 2.0 * x * y / scale;
            }
            detail += (levels[cell] - (left + right + above + below) / 4.0).abs();
            count += 1;
        }
    }
    (edges, detail / count.max(1) as f32)
}

/// Multiplies and turns, eight bytes at a time in eight rows that need not wait for each other: fast, and
/// nobody makes pictures to deceive it.
fn digest(bytes: &[u8]) -> u64 {
    let mix =
        |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let mut rows = [0; 8];
    let blocks = bytes.chunks_exact(64);
    let rest = blocks.remainder();
    for block in blocks {
        for (row, word) in rows.iter_mut().zip(block.chunks_exact(8)) {
            *row = mix(*row, u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
    }
    let rest = rest.iter().fold(bytes.len() as u64, |hash, byte| mix(hash, u64::from(*byte)));
    rows.into_iter().fold(rest, mix)
}
