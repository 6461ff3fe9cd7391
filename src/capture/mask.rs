//! Areas that nobody sees. Pure.
//!
//! Painting errs on the dark side: every pixel that an area touches, and a few around it, since
//! decoding and scaling mix a pixel with its neighbours.

use crate::model::{Picture, Point, Polygon};

/// How far a pixel's colour can spread, in pixels of the picture: chroma at half resolution under
/// a cubic filter reaches four, and what is widened to square pixels three times that.
const MARGIN: f64 = 12.0;

/// Paints every area of `mask` black.
pub(super) fn paint(picture: &mut Picture, mask: &[Polygon]) {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let row_bytes = picture.width as usize * 3;
    for area in mask {
        let corners: Vec<Point> =
            area.iter().map(|corner| Point { x: corner.x * width, y: corner.y * height }).collect();
        for (y, row) in picture.rgb.chunks_exact_mut(row_bytes.max(3)).enumerate() {
            for (from, to) in spans(&corners, y as f64) {
                let first = (from - MARGIN).floor().clamp(0.0, width) as usize;
                let last = (to + MARGIN).ceil().clamp(0.0, width) as usize;
                row[first * 3..last.max(first) * 3].fill(0);
            }
        }
    }
}

/// The stretches of the pixel row that begins at `y` which the area and its edges cover.
fn spans(corners: &[Point], y: f64) -> Vec<(f64, f64)> {
    let (top, bottom) = (y - MARGIN, y + 1.0 + MARGIN);
    let ends = corners.iter().cycle().skip(1);
    let edges = || corners.iter().zip(ends.clone());
    let mut found: Vec<(f64, f64)> =
        edges().filter_map(|(from, to)| edge_within(*from, *to, top, bottom)).collect();
    let mut crossings: Vec<(f64, i32)> =
        edges().filter_map(|(from, to)| crossing(*from, *to, y + 0.5)).collect();
    crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Everything that is wound around counts, so that crossing lines leave no hole.
    let (mut turns, mut start) = (0, 0.0);
    for (x, turn) in crossings {
        if turns == 0 {
            start = x;
        }
        turns += turn;
        if turns == 0 {
            found.push((start, x));
        }
    }
    found
}

/// The part of an edge between two heights, as the stretch that it covers.
fn edge_within(from: Point, to: Point, top: f64, bottom: f64) -> Option<(f64, f64)> {
    let (upper, lower) = if from.y <= to.y { (from, to) } else { (to, from) };
    if lower.y < top || upper.y > bottom {
        return None;
    }
    let at = |y: f64| {
        let way = if lower.y > upper.y { (y - upper.y) / (lower.y - upper.y) } else { 0.0 };
        upper.x + (lower.x - upper.x) * way.clamp(0.0, 1.0)
    };
    let (a, b) = if lower.y > upper.y {
        (at(top.max(upper.y)), at(bottom.min(lower.y)))
    } else {
        (upper.x, lower.x)
    };
    Some((a.min(b), a.max(b)))
}

/// Where an edge crosses a height, and which way.
fn crossing(from: Point, to: Point, y: f64) -> Option<(f64, i32)> {
    let turn = i32::from(from.y <= y && to.y > y) - i32::from(to.y <= y && from.y > y);
    let x = || from.x + (to.x - from.x) * (y - from.y) / (to.y - from.y);
    (turn != 0).then(|| (x(), turn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(corners: &[(f64, f64)]) -> Polygon {
        corners.iter().map(|&(x, y)| Point { x, y }).collect()
    }

    fn painted(width: u32, height: u32, mask: &[Polygon]) -> Vec<String> {
        let rgb = vec![255; (width * height * 3) as usize];
        let mut picture = Picture { width, height, rgb };
        paint(&mut picture, mask);
        let row = |row: &[u8]| {
            row.chunks_exact(3).map(|pixel| if pixel == [0, 0, 0] { '#' } else { '.' }).collect()
        };
        picture.rgb.chunks_exact(width as usize * 3).map(row).collect()
    }

    #[test]
    fn an_area_and_a_margin_are_black_and_the_rest_is_not() {
        let rows = painted(120, 80, &[area(&[(0.5, 0.5), (0.75, 0.5), (0.75, 0.75), (0.5, 0.75)])]);
        let (clear, dark) =
            (".".repeat(120), format!("{}{}{}", ".".repeat(48), "#".repeat(54), ".".repeat(18)));
        for (y, row) in rows.iter().enumerate() {
            // 40 to 60 is the area, with twelve rows of margin each way and those they touch.
            let expected = if (27..=72).contains(&y) { &dark } else { &clear };
            assert_eq!(row, expected, "row {y}");
        }
        assert_eq!(painted(8, 2, &[]), ["........"; 2]);
    }

    #[test]
    fn lines_that_cross_leave_no_hole() {
        let star = area(&[(0.5, 0.0), (0.8, 1.0), (0.0, 0.4), (1.0, 0.4), (0.2, 1.0)]);
        let rows = painted(200, 200, &[star]);
        assert_eq!(&rows[110][100..101], "#", "the middle of a star");
    }

    proptest! {
        /// Whatever the shape: a pixel whose centre lies in the triangle is black.
        #[test]
        fn nothing_inside_stays(points in prop::array::uniform6(0.0_f64..=1.0), size in 1_u32..60) {
            let corners = [(points[0], points[1]), (points[2], points[3]), (points[4], points[5])];
            let rows = painted(size, size, &[area(&corners)]);
            let side = |a: (f64, f64), b: (f64, f64), p: (f64, f64)| {
                (b.0 - a.0) * (p.1 - a.1) - (b.1 - a.1) * (p.0 - a.0)
            };
            for (y, row) in rows.iter().enumerate() {
                for (x, pixel) in row.chars().enumerate() {
                    let p = ((x as f64 + 0.5) / f64::from(size), (y as f64 + 0.5) / f64::from(size));
                    let sides: Vec<f64> = (0..3).map(|n| side(corners[n], corners[(n + 1) % 3], p)).collect();
                    let inside = sides.iter().all(|s| *s > 0.0) || sides.iter().all(|s| *s < 0.0);
                    prop_assert!(!inside || pixel == '#', "{x},{y}");
                }
            }
        }
    }
}
