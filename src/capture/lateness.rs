//! How far a stream is behind because we are. Pure: times go in, a delay comes out.

use std::time::Duration;

/// Follows one stream by the best that was seen since it last had us waiting: a frame that we
/// waited for is not late because of us, whatever its time stamp.
#[derive(Debug, Default)]
pub struct Lateness(Option<Frame>);

#[derive(Debug, Clone, Copy)]
struct Frame {
    media: Duration,
    came: Duration,
}

impl Lateness {
    /// There was no frame to be had: what comes next is in time.
    pub fn waited(&mut self) {
        self.0 = None;
    }

    /// How late a frame of media time `media` is that is taken at `now`.
    pub fn see(&mut self, media: Duration, now: Duration) -> Duration {
        let best = *self.0.get_or_insert(Frame { media, came: now });
        let due = (best.came + media).saturating_sub(best.media);
        if now < due {
            self.0 = Some(Frame { media, came: now });
        }
        now.saturating_sub(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn what_is_taken_too_slowly_falls_behind() {
        let mut lateness = Lateness::default();
        let late = (0..10).map(|n| lateness.see(MS(n * 40), MS(1000 + n * 100)));
        assert_eq!(late.last(), Some(MS(540)));
    }

    #[test]
    fn a_stream_that_comes_later_than_it_began_is_not_late() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.see(MS(0), MS(1000)), MS(0));
        // The camera was a second slow, and stays so.
        for n in 1..10 {
            lateness.waited();
            assert_eq!(lateness.see(MS(n * 40), MS(2000 + n * 40)), MS(0));
        }
        // Its clock is set back.
        lateness.waited();
        assert_eq!(lateness.see(MS(0), MS(2400)), MS(0));
    }

    #[test]
    fn frames_that_come_sooner_set_the_pace() {
        let mut lateness = Lateness::default();
        lateness.see(MS(0), MS(1000));
        assert_eq!(lateness.see(MS(500), MS(1000)), MS(0));
        assert_eq!(lateness.see(MS(540), MS(1100)), MS(60));
    }
}
