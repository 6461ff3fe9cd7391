//! The process's two clocks, read only by stages and never by pure code.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Captured, Moment, WallTime};

/// Monotonic time since the clock was made, and the time of day. Copies share the start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> Moment {
        Moment(self.start.elapsed())
    }

    pub fn wall(&self) -> WallTime {
        // A clock before 1970 is wrong anyway; zero shows it.
        WallTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64()))
    }

    /// Both at once, as a frame is captured.
    pub fn captured(&self) -> Captured {
        Captured { at: self.now(), time: self.wall() }
    }
}
