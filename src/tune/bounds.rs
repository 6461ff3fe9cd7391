//! How much a number of events says: bounds that hold in 95 of 100 cases.
//!
//! Rates are Poisson's with exact (Garwood's) bounds, shares are binomial with exact (Clopper and
//! Pearson's) bounds. Both take events as independent of each other; those of one afternoon are not quite.

use statrs::distribution::{Beta, ContinuousCDF as _, Gamma};

/// Of all bounds here.
pub const CONFIDENCE: f64 = 0.95;
/// Seconds.
pub const DAY: f64 = 86_400.0;

/// A value and the bounds that hold it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    /// What was seen; `None` where nothing could be.
    pub seen: Option<f64>,
    pub low: f64,
    pub high: f64,
}

/// Events a day, from `events` in `seconds`. Without footage anything may be.
pub fn a_day(events: u32, seconds: f64) -> Bounded {
    if seconds <= 0.0 {
        return Bounded { seen: None, low: 0.0, high: f64::INFINITY };
    }
    let (low, high) = poisson(events);
    let days = seconds / DAY;
    Bounded { seen: Some(f64::from(events) / days), low: low / days, high: high / days }
}

/// The mean number of events, two-sided.
fn poisson(events: u32) -> (f64, f64) {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let low = if events == 0 { 0.0 } else { gamma(events, tail) };
    (low, gamma(events + 1, 1.0 - tail))
}

/// The highest mean number of events that is still likely when `events` were seen: one-sided.
pub fn most(events: u32) -> f64 {
    gamma(events + 1, CONFIDENCE)
}

/// A share, from `hits` of `all`.
pub fn share(hits: u32, all: u32) -> Bounded {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let (hit, missed) = (f64::from(hits), f64::from(all.saturating_sub(hits)));
    let low = if hits == 0 { 0.0 } else { beta(hit, missed + 1.0, tail) };
    let high = if hits >= all { 1.0 } else { beta(hit + 1.0, missed, 1.0 - tail) };
    Bounded { seen: (all > 0).then(|| hit / f64::from(all)), low, high }
}

/// Shapes and rates above zero always make a distribution.
fn gamma(shape: u32, at: f64) -> f64 {
    Gamma::new(f64::from(shape), 1.0).map_or(f64::INFINITY, |gamma| gamma.inverse_cdf(at))
}

fn beta(a: f64, b: f64, at: f64) -> f64 {
    Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-4 * expected.max(1.0), "{found}, not {expected}");
    }

    #[test]
    fn rates_as_in_tables() {
        // Garwood's table of 95 % limits for a Poisson mean.
        for (events, low, high) in
            [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (2, 0.2422, 7.2247), (10, 4.7954, 18.3904)]
        {
            let found = a_day(events, DAY);
            assert_eq!(found.seen, Some(f64::from(events)));
            near(found.low, low);
            near(found.high, high);
        }
        near(a_day(100, DAY).low, 81.3639);
        near(a_day(100, DAY).high, 121.6270);
        // Twice the footage, half the rate.
        near(a_day(0, 2.0 * DAY).high, 3.6889 / 2.0);
        assert_eq!(a_day(0, 0.0), Bounded { seen: None, low: 0.0, high: f64::INFINITY });
    }

    #[test]
    fn the_rule_of_three() {
        near(most(0), 2.9957);
        near(most(1), 4.7439);
        near(most(5), 10.5130);
    }

    #[test]
    fn shares_as_in_tables() {
        for (hits, all, low, high) in [
            (0, 10, 0.0, 0.3085),
            (5, 10, 0.1871, 0.8129),
            (8, 10, 0.4439, 0.9748),
            (10, 10, 0.6915, 1.0),
            (95, 100, 0.8872, 0.9836),
        ] {
            let found = share(hits, all);
            near(found.low, low);
            near(found.high, high);
        }
        assert_eq!(share(0, 0), Bounded { seen: None, low: 0.0, high: 1.0 });
    }

    proptest! {
        #[test]
        fn bounds_hold_what_was_seen(hits in 0..400_u32, missed in 0..400_u32, days in 0.001..900.0) {
            let (rate, part) = (a_day(hits, days * DAY), share(hits, hits + missed));
            for found in [rate, part] {
                prop_assert!(0.0 <= found.low && found.low <= found.high);
                if let Some(seen) = found.seen {
                    prop_assert!(found.low <= seen && seen <= found.high, "{found:?}");
                }
            }
            prop_assert!(part.high <= 1.0 && most(hits) > f64::from(hits));
            prop_assert!(most(hits) < most(hits + 1));
        }
    }
}
