//! Which decoded frames are due. Pure: a frame's own time goes in, yes or no comes out.

use std::time::Duration;

use crate::model::Every;

/// How long a file of one frame is shown where every frame is kept.
const STILL: Duration = Duration::from_secs(1);

/// Keeps every frame that was decoded ([`Every::KeyFrames`]), or one frame per interval: the one
/// nearest to each point of a grid that starts at the first frame.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Zero keeps everything.
    every: Duration,
    next: Option<Duration>,
    last: Duration,
    /// From the frame before `last` to `last`.
    gap: Duration,
}

impl Sampler {
    pub fn new(every: Every) -> Self {
        let every = match every {
            Every::Interval(every) => every,
            Every::KeyFrames => Duration::ZERO,
        };
        Self { every, next: None, last: Duration::ZERO, gap: Duration::ZERO }
    }

    /// How long a frame that was just kept is shown at most, when `gap` is the time between
    /// frames.
    pub fn shown(&self, gap: Duration) -> Duration {
        match (self.every, self.length()) {
            (Duration::ZERO, Duration::ZERO) => STILL,
            (every, Duration::ZERO) => every,
            (Duration::ZERO, _) => gap,
            (every, _) => gap.min(every),
        }
    }

    /// Of the media so far; none when it is a single frame.
    fn length(&self) -> Duration {
        self.last + self.gap
    }

    /// From when on a frame is due; `None` before the first one.
    pub fn due(&self) -> Option<Duration> {
        self.next
    }

    /// The same media starts again, right behind its last frame: the grid goes on, so that the
    /// seam neither brings a frame too many nor leaves one out.
    pub fn rewind(&mut self) {
        let end = self.length();
        self.next = self.next.map(|next| next.saturating_sub(end)).filter(|_| !end.is_zero());
        self.last = Duration::ZERO;
    }

    /// A frame that is not decoded; nobody asks whether it is due.
    pub fn pass(&mut self, time: Duration) {
        if let Some(gap) = time.checked_sub(self.last) {
            self.gap = gap;
            self.last = time;
        }
    }

    /// Whether the frame with this time stamp is due: it has reached the grid point, or is
    /// nearer to it than the next frame will be. Without that a 2 fps camera with a little
    /// jitter, sampled every 500 ms, would lose frames.
    pub fn keep(&mut self, time: Duration) -> bool {
        self.gap = time.saturating_sub(self.last);
        self.last = time;
        self.take(time, (self.gap / 2).min(self.every / 4))
    }

    /// The same for a frame whose followers are not decoded, and that may come `early`.
    pub fn keep_alone(&mut self, time: Duration, early: Duration) -> bool {
        self.pass(time);
        self.take(time, early)
    }

    fn take(&mut self, time: Duration, early: Duration) -> bool {
        if self.every.is_zero() {
            return true;
        }
        let Some(next) = self.next else {
            self.next = Some(time + self.every);
            return true;
        };
        // Time stamps that jumped back by more than an interval: a new stream, a new grid.
        let jumped_back = time + self.every * 2 < next;
        if time < next && time + early <= next && !jumped_back {
            return false;
        }
        let on_grid = next + self.every;
        let behind = jumped_back || on_grid <= time;
        self.next = Some(if behind { time + self.every } else { on_grid });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(every: u64, times: &[u64]) -> Vec<u64> {
        let mut sampler = Sampler::new(Every::Interval(Duration::from_millis(every)));
        times.iter().copied().filter(|t| sampler.keep(Duration::from_millis(*t))).collect()
    }

    #[test]
    fn one_frame_per_interval() {
        let times: Vec<u64> = (0..60).map(|n| n * 40).collect();
        assert_eq!(kept(1000, &times), [0, 1000, 2000]);
        assert_eq!(kept(100, &times[..8]), [0, 120, 200]);
    }

    #[test]
    fn a_camera_as_slow_as_the_interval_loses_nothing() {
        let jittery = [0, 510, 990, 1505, 1995, 2500];
        assert_eq!(kept(500, &jittery), jittery);
    }

    #[test]
    fn a_file_that_starts_again_keeps_its_interval() {
        // 2 s of 25 fps every 700 ms: the grid goes on over the seam, at 2100 and 2800.
        let mut sampler = Sampler::new(Every::Interval(Duration::from_millis(700)));
        let mut play = |_| {
            let kept = (0..50).map(|n| n * 40).filter(|t| sampler.keep(Duration::from_millis(*t)));
            let kept: Vec<u64> = kept.collect();
            sampler.rewind();
            kept
        };
        let lives: Vec<_> = (0..3).map(&mut play).collect();
        assert_eq!(lives, [vec![0, 720, 1400], vec![120, 800, 1520], vec![200, 920, 1600]]);
        // As slow as the interval: every frame, in every life.
        let mut sampler = Sampler::new(Every::Interval(Duration::from_millis(500)));
        for _ in 0..3 {
            assert!((0..20).all(|n| sampler.keep(Duration::from_millis(n * 500))));
            sampler.rewind();
        }
    }

    #[test]
    fn a_file_of_one_frame_is_shown_for_an_interval() {
        let every = Duration::from_millis(700);
        let mut sampler = Sampler::new(Every::Interval(every));
        for _ in 0..3 {
            assert!(sampler.keep(Duration::ZERO));
            assert_eq!(sampler.shown(Duration::from_millis(3)), every);
            sampler.rewind();
        }
        let mut sampler = Sampler::new(Every::KeyFrames);
        assert!(sampler.keep(Duration::ZERO));
        assert_eq!(sampler.shown(Duration::from_millis(3)), STILL);
    }

    #[test]
    fn gaps_and_jumps_start_a_new_grid() {
        assert_eq!(kept(1000, &[0, 7300, 7400, 8300, 8400]), [0, 7300, 8300]);
        assert_eq!(kept(1000, &[50_000, 0, 500, 1000]), [50_000, 0, 1000]);
    }
}
