//! When a label may fire: ranges of the week, by the clock on the wall.
//!
//! A range is days and two times, such as `Mon-Fri 18:00-07:00`. The first time belongs to it, the
//! second does not. One whose second time is the earlier goes over midnight, and belongs to the
//! day it begins on: this one ends on Saturday at 7. When clocks are set back, an hour occurs
//! twice and is in the range both times; when they are set forward, one does not occur at all, and
//! a range inside it is never reached.
//!
//! Pure: the time and the time zone come in.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::explanation::Shift;
use crate::model::WallTime;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EXAMPLE: &str = "\"Mon-Fri 18:00-07:00\"";
/// Minutes of a day, clocks that are set apart.
const DAY: u16 = 24 * 60;
/// A week, and a day more for clocks that are set. What has not changed by then does not.
const HORIZON: i64 = 8 * 24 * 3600;

/// Days, and a time of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// A bit for each day it begins on, Monday's the lowest.
    days: u8,
    /// Minutes since midnight, less than a day.
    from: u16,
    /// Minutes since midnight, up to a whole day; before `from`: on the next day.
    to: u16,
}

/// The ranges of one label, in one time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    ranges: Vec<Range>,
    zone: TimeZone,
}

impl Schedule {
    pub fn new(ranges: Vec<Range>, zone: TimeZone) -> Self {
        Self { ranges, zone }
    }

    /// Whether `time` is in one of the ranges. Times that no calendar has count as its first or
    /// its last.
    pub fn is_active(&self, time: WallTime) -> bool {
        let (day, minute, _) = self.local(timestamp(time.0.floor() as i64));
        self.ranges.iter().any(|range| range.covers(day, minute))
    }

    /// Whether `time` is in one of the ranges, since when, and until when.
    pub fn shift(&self, time: WallTime) -> Shift {
        // Some thousand years each way: no calendar has the rest.
        let now = (time.0.floor() as i64).clamp(-1 << 36, 1 << 36);
        let active = self.is_active(WallTime(now as f64));
        let same = |seconds: i64| self.is_active(WallTime(seconds as f64)) == active;
        let mut until = self.stretch(now).1;
        while until - now <= HORIZON && same(until) {
            until = self.stretch(until).1;
        }
        let mut since = self.stretch(now).0;
        while now - since <= HORIZON && same(since - 1) {
            since = self.stretch(since - 1).0;
        }
        Shift {
            active,
            since: (now - since <= HORIZON).then_some(WallTime(since as f64)),
            until: (until - now <= HORIZON).then_some(WallTime(until as f64)),
        }
    }

    /// The stretch around a time in which no range begins or ends, no day does, and no clock is set:
    /// its first second, and the first after it.
    fn stretch(&self, seconds: i64) -> (i64, i64) {
        let (_, minute, second) = self.local(timestamp(seconds));
        let begins = seconds - i64::from(minute) * 60 - i64::from(second);
        let edges = self.ranges.iter().flat_map(|range| [range.from, range.to]).chain([0, DAY]);
        let (mut from, mut to) = (0, DAY);
        for edge in edges {
            if edge <= minute {
                from = from.max(edge);
            } else {
                to = to.min(edge);
            }
        }
        let (mut from, mut to) = (begins + i64::from(from) * 60, begins + i64::from(to) * 60);
        // The minutes of a day count on only until a clock is set.
        let here = timestamp(seconds);
        if let Some(set) = self.zone.following(here).next() {
            to = to.min(set.timestamp().as_second());
        }
        // Those before `here`, and `here` itself may be one.
        if let Some(set) = self.zone.preceding(timestamp(seconds + 1)).next() {
            from = from.max(set.timestamp().as_second());
        }
        (from, to)
    }

    /// Day of the week (Monday's is 0), minute of the day, and second of the minute.
    fn local(&self, time: Timestamp) -> (u8, u16, u8) {
        let local = self.zone.to_datetime(time);
        let day = local.weekday().to_monday_zero_offset().unsigned_abs();
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        (day, minute, local.second().unsigned_abs())
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    let edge = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(edge)
}

impl Range {
    /// Reads days and times, such as `Sat,Sun 00:00-24:00`. Without days it is every day.
    ///
    /// # Errors
    /// Says what was found and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (days, times) = text.split_at(start);
        let wrong = |what: String| format!("found {text:?}; {what}; an example is {EXAMPLE}");
        let (from, to) = times
            .split_once('-')
            .ok_or_else(|| wrong("write days and two times with a '-' between them".to_owned()))?;
        let days = read_days(days).map_err(wrong)?;
        let (from, to) = (read_time(from).map_err(wrong)?, read_time(to).map_err(wrong)?);
        if from == to {
            return Err(wrong(
                "it begins and ends at the same time; write 00:00-24:00 for whole days, or two \
                 different times"
                    .to_owned(),
            ));
        }
        if from == DAY {
            return Err(wrong("24:00 is the end of a day; begin the next at 00:00".to_owned()));
        }
        Ok(Self { days, from, to })
    }

    fn covers(self, day: u8, minute: u16) -> bool {
        let begins_on = |day: u8| self.days & (1 << day) != 0;
        if self.from < self.to {
            return begins_on(day) && (self.from..self.to).contains(&minute);
        }
        let day_before = (day + 6) % 7;
        (begins_on(day) && minute >= self.from) || (begins_on(day_before) && minute < self.to)
    }
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon` (over the end of the week), or nothing for all.
fn read_days(text: &str) -> Result<u8, String> {
    if text.trim().is_empty() {
        return Ok(0b111_1111);
    }
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (read_day(first)?, read_day(last)?);
        days |= 1 << day;
        while day != last {
            day = (day + 1) % 7;
            days |= 1 << day;
        }
    }
    Ok(days)
}

fn read_day(text: &str) -> Result<usize, String> {
    let name = text.trim();
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(name)).ok_or_else(|| {
        format!("{name:?} is no day; days are {}, with ',' or '-' between them", DAYS.join(", "))
    })
}

/// Minutes since midnight.
fn read_time(text: &str) -> Result<u16, String> {
    let time = text.trim();
    let digits = |part: &str, least: usize| {
        let right = (least..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| right)
    };
    let found = time.split_once(':').and_then(|(hour, minute)| {
        let minutes = digits(hour, 1)? * 60 + digits(minute, 2).filter(|minute| *minute < 60)?;
        (minutes <= DAY).then_some(minutes)
    });
    found.ok_or_else(|| format!("{time:?} is no time; write hours and minutes, 00:00 to 24:00"))
}

#[cfg(test)]
#[path = "schedule/tests.rs"]
mod tests;
