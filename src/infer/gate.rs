//! Which frames are like the last encoded one. Pure.
//!
//! A frame is reduced to the brightness of a small grid of cells: noise averages out within a
//! cell, and whatever comes into the picture changes a few of them a lot. It is compared with the
//! last frame that was encoded, not with the last that came, so that slow changes add up.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{CameraId, Frame, Moment, Picture, View};
use crate::view::grid::{Grid, brightness};
use crate::watch::Look;

const GRID: Grid = Grid { columns: 32, rows: 18, samples: 8 };

/// What is remembered of the last encoded frame of each camera with a gate.
#[derive(Debug, Default)]
pub(super) struct Memory(HashMap<CameraId, Encoded>);

#[derive(Debug)]
struct Encoded {
    grid: Vec<u8>,
    at: Moment,
    view: View,
    look: Arc<Look>,
}

impl Memory {
    /// The look of the last encoded frame, when `frame` has a gate and is like that one.
    pub(super) fn recall(&self, frame: &Frame) -> Option<Arc<Look>> {
        let gate = frame.gate?;
        let last = self.0.get(&frame.camera)?;
        let young = frame.captured.at.since(last.at) < gate.max_age;
        // Time that ran backwards is a file that began again.
        if !young || frame.captured.at < last.at || frame.view != last.view {
            return None;
        }
        let now = grid(&frame.picture, frame.view);
        (difference(&now, &last.grid) <= gate.difference).then(|| last.look.clone())
    }

    /// Remembers an encoded frame, when its camera has a gate.
    pub(super) fn keep(&mut self, frame: &Frame, look: &Arc<Look>) {
        if frame.gate.is_none() {
            self.0.remove(&frame.camera);
            return;
        }
        let grid = grid(&frame.picture, frame.view);
        let (at, view, look) = (frame.captured.at, frame.view, look.clone());
        self.0.insert(frame.camera.clone(), Encoded { grid, at, view, look });
    }

    /// Forgets the cameras that are not among `known`.
    pub(super) fn retain(&mut self, known: impl Fn(&CameraId) -> bool) {
        self.0.retain(|camera, _| known(camera));
    }
}

/// The largest change of a cell, as a share of the full range.
fn difference(a: &[u8], b: &[u8]) -> f32 {
    let largest = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(u8::MAX);
    f32::from(largest) / 255.0
}

/// The mean brightness of every cell of what is analysed.
fn grid(picture: &Picture, view: View) -> Vec<u8> {
    let mut sums = vec![0; GRID.cells()];
    GRID.visit(picture, view, |cell, rgb| sums[cell] += brightness(rgb));
    sums.into_iter().map(|sum| u8::try_from(sum / GRID.points()).unwrap_or(u8::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Captured, ChangeGate, WallTime};
    use std::time::Duration;

    fn frame(at: u64, level: u8) -> Frame {
        let gate = ChangeGate { difference: 0.02, max_age: Duration::from_secs(10) };
        Frame {
            camera: CameraId::try_new("c").unwrap(),
            captured: Captured { at: Moment(Duration::from_secs(at)), time: WallTime(0.0) },
            view: View::default(),
            gate: Some(gate),
            picture: Arc::new(Picture { width: 640, height: 360, rgb: vec![level; 640 * 360 * 3] }),
        }
    }

    fn look() -> Arc<Look> {
        Arc::new(Look { tiles: Vec::new(), embeddings: [].into() })
    }

    #[test]
    fn what_is_alike_is_recalled_until_it_is_old() {
        let mut memory = Memory::default();
        assert!(memory.recall(&frame(0, 100)).is_none(), "nothing was encoded yet");
        memory.keep(&frame(0, 100), &look());
        assert!(memory.recall(&frame(1, 100)).is_some());
        assert!(memory.recall(&frame(9, 104)).is_some(), "a little brighter");
        assert!(memory.recall(&frame(9, 107)).is_none(), "much brighter");
        assert!(memory.recall(&frame(10, 100)).is_none(), "too old");
        memory.keep(&frame(20, 100), &look());
        assert!(memory.recall(&frame(19, 100)).is_none(), "time ran backwards");
        let mut other = frame(21, 100);
        other.view.tiles = true;
        assert!(memory.recall(&other).is_none(), "looked at in another way");
        other = frame(21, 100);
        other.gate = None;
        assert!(memory.recall(&other).is_none(), "no gate");
        memory.retain(|_| false);
        assert!(memory.recall(&frame(21, 100)).is_none());
    }

    #[test]
    fn a_small_thing_counts_and_noise_does_not() {
        let mut memory = Memory::default();
        memory.keep(&frame(0, 100), &look());
        let mut noisy = frame(1, 100);
        for value in &mut Arc::make_mut(&mut noisy.picture).rgb {
            *value = fastrand::u8(85..=115);
        }
        assert!(memory.recall(&noisy).is_some());
        let mut cat = frame(1, 100);
        for y in 200..230 {
            Arc::make_mut(&mut cat.picture).rgb[(y * 640 + 300) * 3..(y * 640 + 330) * 3].fill(30);
        }
        assert!(memory.recall(&cat).is_none());
        // Outside the region that is analysed it does not.
        let region = crate::model::Region { x: 0.0, y: 0.0, width: 1.0, height: 0.5 };
        let look_up = |mut frame: Frame| {
            frame.view.region = Some(region);
            frame
        };
        memory.keep(&look_up(frame(0, 100)), &look());
        assert!(memory.recall(&look_up(cat)).is_some());
    }

    #[test]
    fn any_size_has_a_grid() {
        for (width, height) in [(1, 1), (3, 2), (16, 4000), (1921, 1)] {
            let rgb = vec![200; (width * height * 3) as usize];
            let cells = grid(&Picture { width, height, rgb }, View::default());
            assert!(cells.iter().all(|cell| *cell == 200), "{width}x{height}");
        }
    }
}
