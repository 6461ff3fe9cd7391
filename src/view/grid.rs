//! A picture in cells: the points of it that are read, cell by cell. Pure.

use crate::clip::preprocess::geometry::region_of;
use crate::model::{Picture, View};

/// Into how many cells a picture is cut, and how many points of each are read.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    pub columns: u32,
    pub rows: u32,
    /// Points of a cell, each way.
    pub samples: u32,
}

impl Grid {
    pub const fn cells(self) -> usize {
        (self.columns * self.rows) as usize
    }

    /// Points of a cell.
    pub const fn points(self) -> u32 {
        self.samples * self.samples
    }

    /// Calls `read` with each point's cell, row by row, and its red, green and blue. Only what is analysed
    /// of the picture is read.
    pub fn visit(self, picture: &Picture, view: View, mut read: impl FnMut(usize, [u8; 3])) {
        let area = region_of(picture.width, picture.height, view.region);
        // The nth of `parts` equal steps along `length`, never past its end.
        let step = |n: u32, parts: u32, length: u32| {
            usize::try_from(u64::from(n) * u64::from(length) / u64::from(parts)).unwrap_or(0)
        };
        let (columns, rows) = (self.columns * self.samples, self.rows * self.samples);
        // The same in every row, and a division takes longer than a point.
        let points: Vec<(usize, usize)> = (0..columns)
            .map(|x| ((x / self.samples) as usize, step(x, columns, area.width) * 3))
            .collect();
        for y in 0..rows {
            let line = area.top as usize + step(y, rows, area.height);
            let first = (line * picture.width as usize + area.left as usize) * 3;
            let cells = (y / self.samples * self.columns) as usize;
            let pixels = picture.rgb.get(first..).unwrap_or_default();
            for (cell, start) in &points {
                if let Some([r, g, b]) = pixels.get(*start..start + 3) {
                    read(cells + cell, [*r, *g, *b]);
                }
            }
        }
    }
}

/// Brightness, 0 to 255: BT.601's weights, in 256ths.
pub fn brightness([r, g, b]: [u8; 3]) -> u32 {
    (u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8
}
