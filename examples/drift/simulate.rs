//! What may happen to a camera, done to real pictures.

use seewhen::model::Picture;

/// Part of the picture that the undisturbed camera shows, so that a moved one has something else to show.
const WINDOW: f32 = 0.6;

/// Something that happens to a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    Nothing,
    /// To the right by so much of what it shows, and half as much down.
    Shift(f32),
    /// About its middle, degrees.
    Turn(f32),
    /// Nearer: so much of what it showed is left.
    Zoom(f32),
    Black,
    /// A hand or a leaf on the lens: even, a little lighter on one side.
    Patch,
    /// Out of focus, or dew: blurred by so much of the width.
    Blur(f32),
    /// Headlights or the sun: so much lighter.
    Light(f32),
    /// Fog, or a lens in stray light: so much of the contrast is left.
    Wash(f32),
    /// Grey, lit by the camera's own lamp, noisy.
    Infrared,
    /// So much of the light is left, with noise.
    Dim(f32),
    /// A lorry's side fills so much of the width.
    Lorry(f32),
}

/// `picture` as the camera shows it after `change`. `seed`: of the noise.
pub(crate) fn simulate(picture: &Picture, change: Change, seed: u64) -> Picture {
    let (width, height) =
        ((picture.width as f32 * WINDOW) as u32, (picture.height as f32 * WINDOW) as u32);
    let mut noise = fastrand::Rng::with_seed(seed);
    let place = Place::of(change);
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for row in 0..height {
        for column in 0..width {
            // From the middle, in shares of the window.
            let x = (column as f32 + 0.5) / width as f32 - 0.5;
            let y = (row as f32 + 0.5) / height as f32 - 0.5;
            let (sx, sy) = place.source(x, y, width as f32 / height as f32);
            let found = at(
                picture,
                (0.5 + sx * WINDOW) * picture.width as f32,
                (0.5 + sy * WINDOW) * picture.height as f32,
            );
            rgb.extend(shade(found, change, (x, y), &mut noise));
        }
    }
    let simulated = Picture { width, height, rgb };
    match change {
        Change::Blur(share) => blurred(&simulated, (share * width as f32) as i64),
        _ => simulated,
    }
}

struct Place {
    shift: f32,
    turn: f32,
    zoom: f32,
}

impl Place {
    fn of(change: Change) -> Self {
        let still = Self { shift: 0.0, turn: 0.0, zoom: 1.0 };
        match change {
            Change::Shift(shift) => Self { shift, ..still },
            Change::Turn(degrees) => Self { turn: degrees.to_radians(), ..still },
            Change::Zoom(zoom) => Self { zoom, ..still },
            _ => still,
        }
    }

    fn source(&self, x: f32, y: f32, ratio: f32) -> (f32, f32) {
        let (sin, cos) = self.turn.sin_cos();
        let (wide, high) = (x * ratio, y);
        let (x, y) = ((wide * cos - high * sin) / ratio, wide * sin + high * cos);
        (x * self.zoom + self.shift, y * self.zoom + self.shift / 2.0)
    }
}

/// Between pixels; beyond the edge, what is at the edge.
fn at(picture: &Picture, x: f32, y: f32) -> [f32; 3] {
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (dx, dy) = (x - left, y - top);
    let pixel = |column: f32, row: f32| {
        let column = column.clamp(0.0, picture.width as f32 - 1.0) as usize;
        let row = row.clamp(0.0, picture.height as f32 - 1.0) as usize;
        let start = (row * picture.width as usize + column) * 3;
        [0, 1, 2].map(|channel| f32::from(picture.rgb[start + channel]))
    };
    let (a, b) = (pixel(left, top), pixel(left + 1.0, top));
    let (c, d) = (pixel(left, top + 1.0), pixel(left + 1.0, top + 1.0));
    [0, 1, 2].map(|i| {
        (a[i] * (1.0 - dx) + b[i] * dx) * (1.0 - dy) + (c[i] * (1.0 - dx) + d[i] * dx) * dy
    })
}

fn shade(
    found: [f32; 3],
    change: Change,
    (x, y): (f32, f32),
    noise: &mut fastrand::Rng,
) -> [u8; 3] {
    let grey = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    let mut grain = |most: f32| (noise.f32() + noise.f32() + noise.f32() - 1.5) * 2.0 * most;
    let level = match change {
        Change::Black => [3.0 + grain(2.0); 3],
        Change::Patch => {
            [90.0 + 40.0 * x, 62.0 + 30.0 * x, 50.0 + 20.0 * y].map(|level| level + grain(3.0))
        }
        Change::Light(more) => found.map(|level| level * more + 40.0 * (more - 1.0)),
        Change::Wash(left) => found.map(|level| 205.0 + (level - 128.0) * left),
        Change::Infrared => {
            let lamp = (1.1 - 1.6 * (x * x + y * y)).max(0.2);
            // Plants are light in infrared, and much else is duller.
            let green = (found[1] - (found[0] + found[2]) / 2.0).max(0.0);
            [(0.65 * grey(found) + 1.5 * green + 15.0) * lamp + grain(8.0); 3]
        }
        Change::Dim(left) => found.map(|level| level * left + grain(5.0)),
        Change::Lorry(width) if x < width - 0.5 => {
            // Planks, a stripe and some dirt.
            let plank = if (y * 12.0).rem_euclid(1.0) < 0.1 { -25.0 } else { 0.0 };
            let stripe = if (0.0..0.12).contains(&y) { 60.0 } else { 0.0 };
            [110.0 + plank + stripe, 115.0 + plank, 120.0 + plank - stripe]
                .map(|level| level + grain(6.0))
        }
        _ => found,
    };
    level.map(|level| level.clamp(0.0, 255.0) as u8)
}

/// Means over squares, twice.
fn blurred(picture: &Picture, reach: i64) -> Picture {
    let mut blurred = picture.clone();
    for _ in 0..2 {
        for across in [true, false] {
            blurred = smeared(&blurred, reach, across);
        }
    }
    blurred
}

fn smeared(picture: &Picture, reach: i64, across: bool) -> Picture {
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    let (lines, length) = if across { (height, width) } else { (width, height) };
    let mut rgb = vec![0; picture.rgb.len()];
    let place = |line: i64, at: i64| {
        let at = at.clamp(0, length - 1);
        let (column, row) = if across { (at, line) } else { (line, at) };
        ((row * width + column) * 3) as usize
    };
    for line in 0..lines {
        for channel in 0..3 {
            let level = |at| i64::from(picture.rgb[place(line, at) + channel]);
            let mut sum: i64 = (-reach..=reach).map(level).sum();
            for at in 0..length {
                rgb[place(line, at) + channel] = (sum / (2 * reach + 1)) as u8;
                sum += level(at + reach + 1) - level(at - reach);
            }
        }
    }
    Picture { width: picture.width, height: picture.height, rgb }
}
