//! Moments of the past as people write them: how long ago, a date, a time of day; and spans. Pure.

use jiff::ZonedDateTime;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::Filter;
use crate::model::{CameraId, WallTime};

/// Which end of a date is meant that comes without a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// What `--since` and `--until` let through of the history, of these cameras.
///
/// # Errors
/// Which of the two is wrong, and what may be written.
pub fn filter(
    cameras: Vec<CameraId>,
    since: Option<&str>,
    until: Option<&str>,
    now: &ZonedDateTime,
) -> Result<Filter, String> {
    let when = |option: &str, text: Option<&str>, end, otherwise| match text {
        Some(text) => parse(text, end, now).map_err(|error| format!("{option}: {error}")),
        None => Ok(otherwise),
    };
    let all = Filter::default();
    let from = when("--since", since, End::First, all.from)?;
    let to = when("--until", until, End::Last, all.to)?;
    if from > to {
        return Err("--since is later than --until".to_owned());
    }
    Ok(Filter { cameras, from, to })
}

/// Reads "2d", "3h 30m" (before `now`), "2026-11-26", "2026-11-26 17:30" or "17:30" (the last one
/// before `now`), by the clocks of `now`.
///
/// # Errors
/// In words, when it is none of them.
fn parse(text: &str, end: End, now: &ZonedDateTime) -> Result<WallTime, String> {
    let text = text.trim();
    let zone = now.time_zone().clone();
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(WallTime(seconds(now) - ago.as_secs_f64()));
    }
    let looks_like_time = text.contains(':');
    let found = if !looks_like_time && let Ok(date) = text.parse::<Date>() {
        match end {
            End::First => at(date.to_datetime(Time::midnight()), zone),
            End::Last => date.tomorrow().ok().and_then(|next| {
                at(next.to_datetime(Time::midnight()), zone).map(|next| WallTime(next.0 - 0.001))
            }),
        }
    } else if let Ok(moment) = text.parse::<DateTime>() {
        at(moment, zone)
    } else if looks_like_time && let Ok(time) = text.parse::<Time>() {
        let on = |date: Date| at(date.to_datetime(time), zone.clone());
        let today = on(now.date()).filter(|moment| moment.0 <= seconds(now));
        today.or_else(|| on(now.date().yesterday().ok()?))
    } else {
        None
    };
    found.ok_or_else(|| {
        format!(
            "found {text:?}; write how long ago (\"2d\", \"3h\"), a date (\"2026-11-26\"), a date and a time \
             (\"2026-11-26 17:30\") or a time (\"17:30\")"
        )
    })
}

/// Reads a moment (from and to are the same) or a span: "18:03 - 18:05", "2026-11-26 18:03:10-18:04:00".
///
/// # Errors
/// In words, when it is neither.
pub fn span(text: &str, now: &ZonedDateTime) -> Result<(WallTime, WallTime), String> {
    let moment = |text: &str| parse(text, End::First, now);
    let dashes = text.char_indices().filter(|(_, c)| matches!(c, '-' | '–'));
    for (at, dash) in dashes {
        let (first, last) = (text[..at].trim(), text[at + dash.len_utf8()..].trim());
        let Ok(from) = moment(first) else { continue };
        // A time alone is of the first one's day, or of the next. One with a date is read as a time too.
        let alone = last.contains(':') && last.parse::<DateTime>().is_err();
        let to = match last.parse::<Time>().ok().filter(|_| alone) {
            Some(time) => on_or_after(from, time, now.time_zone()),
            None => moment(last).ok(),
        };
        if let Some(to) = to {
            if from < to {
                return Ok((from, to));
            }
            return Err(format!("found {text:?}; a span ends after it begins"));
        }
    }
    moment(text).map(|moment| (moment, moment))
}

fn on_or_after(from: WallTime, time: Time, zone: &TimeZone) -> Option<WallTime> {
    let start = jiff::Timestamp::from_millisecond((from.0 * 1000.0) as i64).ok()?;
    let date = start.to_zoned_datetime(zone.clone()).date();
    let on = |date: Date| at(date.to_datetime(time), zone.clone());
    on(date).filter(|to| *to > from).or_else(|| on(date.tomorrow().ok()?))
}

fn at(moment: DateTime, zone: TimeZone) -> Option<WallTime> {
    Some(WallTime(seconds(&moment.to_zoned_datetime(zone).ok()?)))
}

fn seconds(moment: &ZonedDateTime) -> f64 {
    moment.timestamp().as_millisecond() as f64 / 1000.0
}

/// A moment by the clocks of `zone`, to the second; of a moment that no clock shows, nothing.
pub fn show(time: WallTime, zone: &TimeZone) -> String {
    let moment = jiff::Timestamp::from_millisecond((time.0 * 1000.0) as i64);
    moment.map_or_else(
        |_| String::new(),
        |moment| {
            moment.to_zoned_datetime(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S").to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_it_in_many_ways() {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let now: ZonedDateTime = "2026-11-26T12:00:00[Europe/Vienna]".parse().unwrap();
        let found = |text, end| parse(text, end, &now).map(|time| show(time, &zone));
        for (text, first, last) in [
            ("2d", "Tue 2026-11-24 12:00:00", "Tue 2026-11-24 12:00:00"),
            ("1h 30m", "Thu 2026-11-26 10:30:00", "Thu 2026-11-26 10:30:00"),
            ("2026-11-20", "Fri 2026-11-20 00:00:00", "Fri 2026-11-20 23:59:59"),
            ("2026-11-20 17:30", "Fri 2026-11-20 17:30:00", "Fri 2026-11-20 17:30:00"),
            ("2026-11-20T17:30:05", "Fri 2026-11-20 17:30:05", "Fri 2026-11-20 17:30:05"),
            ("11:59", "Thu 2026-11-26 11:59:00", "Thu 2026-11-26 11:59:00"),
            ("12:01", "Wed 2026-11-25 12:01:00", "Wed 2026-11-25 12:01:00"),
            // Summer time.
            ("2026-07-01 08:00", "Wed 2026-07-01 08:00:00", "Wed 2026-07-01 08:00:00"),
        ] {
            assert_eq!(found(text, End::First).as_deref(), Ok(first), "{text}");
            assert_eq!(found(text, End::Last).as_deref(), Ok(last), "{text}");
        }
        let spans = |text| span(text, &now).map(|(a, b)| (show(a, &zone), show(b, &zone)));
        for (text, from, to) in [
            ("11:00-11:05:30", "Thu 2026-11-26 11:00:00", "Thu 2026-11-26 11:05:30"),
            ("2026-11-20 23:59 - 00:01", "Fri 2026-11-20 23:59:00", "Sat 2026-11-21 00:01:00"),
            (
                "2026-11-20 23:59-2026-11-22 07:00",
                "Fri 2026-11-20 23:59:00",
                "Sun 2026-11-22 07:00:00",
            ),
            ("1h – 30m", "Thu 2026-11-26 11:00:00", "Thu 2026-11-26 11:30:00"),
            ("10m", "Thu 2026-11-26 11:50:00", "Thu 2026-11-26 11:50:00"),
        ] {
            assert_eq!(spans(text), Ok((from.to_owned(), to.to_owned())), "{text}");
        }
        assert!(spans("30m-1h").unwrap_err().contains("ends after it begins"));
        for bad in ["", "yesterday", "2026-13-01", "25:00", "2"] {
            assert!(found(bad, End::First).unwrap_err().contains("write how long ago"), "{bad}");
        }
    }
}
