//! How many commands are taken, and how many refusals are answered, in a while. Pure: time comes in.

use std::time::Duration;

use crate::model::Moment;

/// So many commands at once; Home Assistant may switch all cameras in one go.
const COMMANDS: Bucket = Bucket::new(32.0, 4.0);
/// So many answers to what is refused. A flood would only bring another one.
const REFUSALS: Bucket = Bucket::new(10.0, 1.0);

/// A bucket of tokens that fills up again.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    most: f64,
    /// Tokens that come in a second.
    rate: f64,
    tokens: f64,
    at: Moment,
}

impl Bucket {
    /// Full, with `most` tokens; `rate` come in a second.
    pub const fn new(most: f64, rate: f64) -> Self {
        Self { most, rate, tokens: most, at: Moment(Duration::ZERO) }
    }

    fn fill(&mut self, now: Moment) {
        let since = now.since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * self.rate).min(self.most);
        self.at = now;
    }

    /// Takes a token, where there is one.
    pub fn take(&mut self, now: Moment) -> bool {
        self.fill(now);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }

    /// A token comes back.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.most);
    }

    /// How long until there is a token; `None` when there is one.
    pub fn wait(&mut self, now: Moment) -> Option<Duration> {
        self.fill(now);
        (self.tokens < 1.0).then(|| Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
    }

    pub fn is_full(&mut self, now: Moment) -> bool {
        self.fill(now);
        self.tokens >= self.most
    }
}

/// See the module.
#[derive(Debug)]
pub struct Intake {
    commands: Bucket,
    refusals: Bucket,
    unanswered: u64,
}

impl Default for Intake {
    fn default() -> Self {
        Self { commands: COMMANDS, refusals: REFUSALS, unanswered: 0 }
    }
}

impl Intake {
    /// Whether one more command may be carried out.
    pub fn admits(&mut self, now: Moment) -> bool {
        self.commands.take(now)
    }

    /// Whether one more refusal is answered: with the number of those before that were not.
    pub fn answers(&mut self, now: Moment) -> Option<u64> {
        if self.refusals.take(now) {
            return Some(std::mem::take(&mut self.unanswered));
        }
        self.unanswered += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_flood_gets_through_at_a_low_rate() {
        let mut intake = Intake::default();
        let mut admitted = |from: f64, to: f64| {
            let times = (0..10_000).map(|n| from + (to - from) * f64::from(n) / 10_000.0);
            times.filter(|time| intake.admits(at(*time))).count()
        };
        assert_eq!(admitted(0.0, 0.001), 32);
        assert_eq!(admitted(0.001, 10.0), 39);
        assert_eq!(admitted(100.0, 100.001), 32, "it is as good as new after a rest");
    }

    #[test]
    fn unanswered_refusals_are_counted() {
        let mut intake = Intake::default();
        let answered = (0..100).filter_map(|_| intake.answers(at(1.0))).count();
        assert_eq!(answered, 10);
        assert_eq!(intake.answers(at(2.0)), Some(90));
        assert_eq!(intake.answers(at(3.0)), Some(0));
    }
}
