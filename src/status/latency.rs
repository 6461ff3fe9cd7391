//! How long things take: counts by duration, of which any share can be read.
//!
//! Buckets grow by a ninth, so a percentile is at most that much too high. Counting is one atomic
//! addition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Everything shorter is one bucket.
const SHORTEST: f64 = 20e-6;
const PER_DOUBLING: f64 = 6.5;
/// Up to about a minute; everything longer is one bucket.
const BUCKETS: usize = 140;

/// How long something took, each time.
#[derive(Debug)]
pub(super) struct Latency([AtomicU64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Latency {
    pub(super) fn add(&self, took: Duration) {
        let place = (took.as_secs_f64().max(SHORTEST) / SHORTEST).log2() * PER_DOUBLING;
        self.0[(place as usize).min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// What `share` (0 to 1) of the times were at most; `None` before the first.
    pub(super) fn at_most(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let wanted = (all as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        let end = SHORTEST * ((place + 1) as f64 / PER_DOUBLING).exp2();
        Some(Duration::from_secs_f64(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_at_most_a_ninth_too_high() {
        let latency = Latency::default();
        assert_eq!(latency.at_most(0.5), None);
        for milliseconds in 1..=1000 {
            latency.add(Duration::from_millis(milliseconds));
        }
        for (share, milliseconds) in [(0.001, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latency.at_most(share).unwrap().as_secs_f64() * 1000.0;
            assert!((1.0..1.12).contains(&(found / milliseconds)), "{share}: {found}");
        }
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_place() {
        let latency = Latency::default();
        latency.add(Duration::ZERO);
        assert!(latency.at_most(1.0).unwrap() < Duration::from_micros(30));
        latency.add(Duration::MAX);
        assert!(latency.at_most(1.0).unwrap() > Duration::from_secs(30));
    }
}
