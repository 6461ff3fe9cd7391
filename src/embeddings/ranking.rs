//! The best moments of a scan: frames that belong together are one hit.
//!
//! A [`Ranking`] takes in every frame, remembers the best of them, and knows how they lie among all.
//! Several, of several threads, are merged. Pure.

use crate::model::{CameraId, WallTime};

/// Frames that are remembered. Of one moment that lasts there may be many: at a frame a second this
/// is 18 hours.
const MOST: usize = 65_536;
/// Frames this near to a hit are part of it, seconds.
const NEAR: f64 = 10.0;

/// One frame that may be a hit, by its best tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub cosine: f32,
    pub time: WallTime,
    pub tile: u8,
    /// 0: the frame was not cut.
    pub tiles: u8,
    /// The file that it is in, by its place in the history.
    pub file: u32,
    /// Where its picture begins in the file of pictures; 0: there is none.
    pub picture: u64,
}

/// A moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The best frame of it.
    pub best: Candidate,
    pub camera: CameraId,
    /// How many standard deviations the best frame lies above the mean of all frames.
    pub deviations: f32,
    /// First and last of the frames around the best that are at least half as far above the mean.
    pub from: WallTime,
    pub to: WallTime,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ranking {
    kept: Vec<Candidate>,
    /// Below this a frame is not among the best.
    floor: Option<f32>,
    frames: u64,
    sum: f64,
    squares: f64,
}

impl Ranking {
    /// Takes in a frame.
    pub fn add(&mut self, candidate: Candidate) {
        let cosine = f64::from(candidate.cosine);
        self.frames += 1;
        self.sum += cosine;
        self.squares += cosine * cosine;
        self.keep(candidate);
    }

    fn keep(&mut self, candidate: Candidate) {
        if self.floor.is_some_and(|floor| candidate.cosine <= floor) {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= 2 * MOST {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.kept.len() > MOST {
            self.kept.select_nth_unstable_by(MOST - 1, |a, b| b.cosine.total_cmp(&a.cosine));
            self.kept.truncate(MOST);
            self.floor = Some(self.kept[MOST - 1].cosine);
        }
    }

    /// Takes in what another has found.
    pub fn merge(&mut self, other: Self) {
        self.frames += other.frames;
        self.sum += other.sum;
        self.squares += other.squares;
        other.kept.into_iter().for_each(|candidate| self.keep(candidate));
    }

    /// How many frames were looked at.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Mean and standard deviation of all cosines.
    pub fn spread(&self) -> (f32, f32) {
        if self.frames == 0 {
            return (0.0, 0.0);
        }
        let mean = self.sum / self.frames as f64;
        let variance = (self.squares / self.frames as f64 - mean * mean).max(0.0);
        (mean as f32, variance.sqrt() as f32)
    }

    /// The best `how_many` moments, best first. `camera` tells whose a file is.
    pub fn hits(mut self, how_many: usize, camera: impl Fn(u32) -> CameraId) -> Vec<Hit> {
        self.shrink();
        let (mean, deviation) = self.spread();
        let mut kept: Vec<(CameraId, Candidate)> =
            self.kept.into_iter().map(|candidate| (camera(candidate.file), candidate)).collect();
        kept.sort_by(|(a, x), (b, y)| a.cmp(b).then(x.time.0.total_cmp(&y.time.0)));
        let mut order: Vec<usize> = (0..kept.len()).collect();
        let cosine = |at: usize| kept[at].1.cosine;
        order.sort_by(|a, b| cosine(*b).total_cmp(&cosine(*a)).then(a.cmp(b)));
        let mut hits: Vec<Hit> = Vec::new();
        for at in order {
            if hits.len() >= how_many {
                break;
            }
            let (camera, best) = kept[at].clone();
            let taken = |hit: &Hit| {
                let around = hit.from.0 - NEAR..=hit.to.0 + NEAR;
                hit.camera == camera && around.contains(&best.time.0)
            };
            if hits.iter().any(taken) {
                continue;
            }
            let (from, to) = extent(&kept, at, (best.cosine + mean) / 2.0);
            let above = best.cosine - mean;
            let deviations = if deviation > 0.0 { above / deviation } else { 0.0 };
            hits.push(Hit { best, camera, deviations, from, to });
        }
        hits
    }
}

/// From when to when frames around that at `at`, with no gap, have at least a cosine of `least`.
fn extent(kept: &[(CameraId, Candidate)], at: usize, least: f32) -> (WallTime, WallTime) {
    let (camera, best) = &kept[at];
    let (mut from, mut to) = (best.time, best.time);
    let same =
        |(other, candidate): &&(CameraId, Candidate)| other == camera && candidate.cosine >= least;
    // A frame or two below do not end a moment; ten seconds without one do.
    let before = kept[..at].iter().rev();
    for (_, candidate) in before.filter(same) {
        if from.0 - candidate.time.0 > NEAR {
            break;
        }
        from = candidate.time;
    }
    for (_, candidate) in kept[at + 1..].iter().filter(same) {
        if candidate.time.0 - to.0 > NEAR {
            break;
        }
        to = candidate.time;
    }
    (from, to)
}

#[cfg(test)]
#[path = "ranking/tests.rs"]
mod tests;
