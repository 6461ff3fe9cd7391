//! One label's probabilities of the last ten minutes, a point a second at most.

use std::collections::VecDeque;

use crate::model::Probability;

/// Seconds.
const LENGTH: f64 = 600.0;
/// Points that fall within a second are one: the highest.
const STEP: f64 = 1.0;
/// Also where times are odd.
const MOST: usize = 600;

/// See the module.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve(VecDeque<(f64, Probability)>);

impl Curve {
    /// Times in order, in seconds.
    pub fn points(&self) -> impl Iterator<Item = (f64, Probability)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn add(&mut self, time: f64, probability: Probability) {
        match self.0.back_mut() {
            Some(last) if time < last.0 => self.0.clear(),
            Some(last) if time - last.0 < STEP => {
                last.1 = last.1.max(probability);
                return;
            }
            _ => {}
        }
        self.0.push_back((time, probability));
        while self.0.len() > MOST || self.0.front().is_some_and(|(first, _)| time - first > LENGTH)
        {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_and_the_highest_of_each_second() {
        let mut curve = Curve::default();
        for tenth in 0..20_000_u32 {
            let time = f64::from(tenth) / 10.0;
            curve.add(time, if tenth % 10 == 3 { 0.9 } else { 0.1 });
        }
        let points: Vec<_> = curve.points().collect();
        assert!((590..=600).contains(&points.len()), "{}", points.len());
        assert!(points.iter().all(|(_, p)| *p == 0.9));
        assert!(points[0].0 >= 1999.0 - LENGTH);
        curve.add(5.0, 0.2);
        assert_eq!(curve.points().collect::<Vec<_>>(), [(5.0, 0.2)], "the clock was set");
    }
}
