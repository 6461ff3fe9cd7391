//! How long to wait before trying again: exponential, capped, with jitter. Pure; the caller
//! sleeps and decides when a success was good enough to start over.

use std::time::Duration;

/// Why a back-off cannot be built.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    #[error("the shortest wait must be longer than zero")]
    Zero,
    #[error("the longest wait is shorter than the shortest")]
    MaxBelowMin,
    #[error("jitter must be between 0 and 1")]
    Jitter,
}

/// Waits of `min * 2^n`, at most `max`, plus up to `jitter` of themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    jitter: f64,
}

impl Backoff {
    /// `jitter` is a share of the wait, 0 to 1.
    pub fn try_new(min: Duration, max: Duration, jitter: f64) -> Result<Self, InvalidBackoff> {
        if min.is_zero() {
            return Err(InvalidBackoff::Zero);
        }
        if max < min {
            return Err(InvalidBackoff::MaxBelowMin);
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(InvalidBackoff::Jitter);
        }
        Ok(Self { min, max, jitter })
    }

    /// One minute to ten: for a camera that refuses the login, since many lock a user out after a
    /// few wrong tries.
    pub fn after_refusal() -> Self {
        Self { min: Duration::from_secs(60), max: Duration::from_secs(600), jitter: 0.25 }
    }

    /// The wait before attempt number `attempt` (0 is the first retry). `random` is in 0..1.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let base = self.base(attempt);
        base + base.mul_f64(self.jitter * random.clamp(0.0, 1.0))
    }

    fn base(&self, attempt: u32) -> Duration {
        // 2^31 times anything sensible is past `max`; saturating keeps the shift in range.
        self.min.saturating_mul(1_u32 << attempt.min(31)).min(self.max)
    }
}

/// One second to one minute: for cameras and the broker. Jitter keeps fifty cameras behind one
/// switch from coming back in the same instant.
impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(60), jitter: 0.25 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn impossible_waits_cannot_be_built() {
        let (s, m) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(Backoff::try_new(Duration::ZERO, m, 0.1), Err(InvalidBackoff::Zero));
        assert_eq!(Backoff::try_new(m, s, 0.1), Err(InvalidBackoff::MaxBelowMin));
        assert_eq!(Backoff::try_new(s, m, 1.1), Err(InvalidBackoff::Jitter));
        assert_eq!(Backoff::try_new(s, m, f64::NAN), Err(InvalidBackoff::Jitter));
    }

    #[test]
    fn doubles_up_to_the_cap() {
        let backoff = Backoff::default();
        let seconds: Vec<_> = (0..8).map(|n| backoff.delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn stays_in_its_bounds(attempt: u32, random in 0.0..1.0, ms in 1_u64..10_000, jitter in 0.0..1.0) {
            let (min, max) = (Duration::from_millis(ms), Duration::from_millis(ms * 50));
            let backoff = Backoff::try_new(min, max, jitter).unwrap();
            let delay = backoff.delay(attempt, random);
            prop_assert!(delay >= min);
            prop_assert!(delay <= max + max.mul_f64(jitter));
            prop_assert!(backoff.delay(attempt, 0.0) <= backoff.delay(attempt.saturating_add(1), 0.0));
        }
    }
}
