//! "2 a week": how many events somebody is willing to get.

use std::fmt;
use std::str::FromStr;

use super::bounds::DAY;

/// So many events in so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    events: f64,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Hour,
    Day,
    Week,
    Month,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    fn days(self) -> f64 {
        match self {
            Self::Hour => 1.0 / 24.0,
            Self::Day => 1.0,
            Self::Week => 7.0,
            Self::Month => 30.0,
        }
    }
}

impl Allowance {
    pub fn a_day(&self) -> f64 {
        self.events / self.unit.days()
    }

    /// Events in its unit of time, from events in `seconds`.
    pub fn in_unit(&self, events: f64, seconds: f64) -> f64 {
        events / (seconds / DAY) * self.unit.days()
    }

    /// "a week"
    pub fn unit(&self) -> String {
        let article = if self.unit == Unit::Hour { "an" } else { "a" };
        format!("{article} {}", self.unit.word())
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.events, self.unit())
    }
}

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> =
            text.split(|c: char| c == '/' || c.is_whitespace()).filter(|w| !w.is_empty()).collect();
        let read = match words[..] {
            [number, "a" | "an" | "per", unit] | [number, unit] => {
                let unit = Unit::ALL.into_iter().find(|known| known.word() == unit);
                number.parse::<f64>().ok().zip(unit)
            }
            _ => None,
        };
        match read {
            Some((events, unit)) if events > 0.0 && events.is_finite() => Ok(Self { events, unit }),
            _ => Err(
                "write a number above 0 and a time: \"2 a week\"; hour, day, week and month (30 \
                      days) are known"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_say_it() {
        for (text, a_day, written) in [
            ("2 a week", 2.0 / 7.0, "2 a week"),
            ("0.5 per day", 0.5, "0.5 a day"),
            ("1/hour", 24.0, "1 an hour"),
            ("3 month", 0.1, "3 a month"),
        ] {
            let allowance: Allowance = text.parse().unwrap();
            assert!((allowance.a_day() - a_day).abs() < 1e-9, "{text}");
            assert_eq!(allowance.to_string(), written);
        }
        for text in ["", "2", "a week", "0 a week", "-1 a day", "inf a day", "2 a fortnight"] {
            assert!(text.parse::<Allowance>().is_err(), "{text}");
        }
        let week: Allowance = "2 a week".parse().unwrap();
        assert!((week.in_unit(3.0, 14.0 * DAY) - 1.5).abs() < 1e-9);
    }
}
