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

/// Buckets that are one for readers who want fewer: their ends double and a bit more.
const JOINED: usize = 7;

/// How long something took, each time.
#[derive(Debug)]
pub(super) struct Latency {
    counts: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

/// How often something took at most how long.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spread {
    /// Ends, in seconds, and how often it took no longer: both grow. The last times have no end here.
    pub within: Vec<(f64, u64)>,
    pub count: u64,
    /// All times together, seconds.
    pub sum: f64,
}

impl Default for Latency {
    fn default() -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { counts, nanoseconds: AtomicU64::new(0) }
    }
}

impl Latency {
    pub(super) fn add(&self, took: Duration) {
        let place = (took.as_secs_f64().max(SHORTEST) / SHORTEST).log2() * PER_DOUBLING;
        self.counts[(place as usize).min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        // Five hundred years of it fit.
        self.nanoseconds.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Everything so far.
    pub(super) fn spread(&self) -> Spread {
        let mut spread = Spread::default();
        let groups = self.counts.chunks(JOINED);
        let last = groups.len() - 1;
        for (number, group) in groups.enumerate() {
            spread.count += group.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
            if number < last {
                spread.within.push((end_of((number + 1) * JOINED - 1), spread.count));
            }
        }
        spread.sum = self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
        spread
    }

    /// What `share` (0 to 1) of the times were at most; `None` before the first.
    pub(super) fn at_most(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> =
            self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let wanted = (all as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_secs_f64(end_of(place)))
    }
}

/// Seconds.
fn end_of(place: usize) -> f64 {
    SHORTEST * ((place + 1) as f64 / PER_DOUBLING).exp2()
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
    fn a_spread_counts_everything_once() {
        let latency = Latency::default();
        assert_eq!(latency.spread().count, 0);
        for milliseconds in [1, 1, 10, 100, 3_600_000] {
            latency.add(Duration::from_millis(milliseconds));
        }
        let spread = latency.spread();
        let within = |seconds: f64| {
            let mut found = spread.within.iter().filter(|(end, _)| *end >= seconds);
            found.next().map(|(_, count)| *count)
        };
        assert_eq!(
            [within(0.0), within(0.001), within(0.01), within(0.1)],
            [Some(0), Some(2), Some(3), Some(4)]
        );
        assert_eq!((spread.within.last().unwrap().1, spread.count), (4, 5), "an hour has no end");
        assert!((spread.sum - 3600.112).abs() < 1e-6, "{}", spread.sum);
        assert!(spread.within.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        assert_eq!(spread.within.len(), 19);
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
