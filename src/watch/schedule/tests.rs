//! Ranges by example, on days on which clocks are set, and against calendar dates.

use jiff::tz::TimeZoneDatabase;
use jiff::{ToSpan as _, civil};
use proptest::prelude::*;

use super::*;

fn wall(utc: &str) -> WallTime {
    let time: Timestamp = utc.parse().unwrap();
    WallTime(time.as_second() as f64)
}

fn schedule(zone: &str, ranges: &[&str]) -> Schedule {
    let ranges = ranges.iter().map(|text| Range::parse(text).unwrap()).collect();
    Schedule::new(ranges, TimeZone::get(zone).unwrap())
}

/// `times` are in UTC.
#[track_caller]
fn check(zone: &str, ranges: &[&str], times: &[(&str, bool)]) {
    let schedule = schedule(zone, ranges);
    for (time, expected) in times {
        assert_eq!(schedule.is_active(wall(time)), *expected, "{ranges:?} in {zone} at {time}");
    }
}

#[test]
fn the_first_time_belongs_to_a_range_and_the_second_does_not() {
    // The 3rd of June 2026 is a Wednesday; Vienna is two hours ahead of UTC.
    check(
        "Europe/Vienna",
        &["Wed 08:00-17:30"],
        &[
            ("2026-06-03T05:59:59Z", false),
            ("2026-06-03T06:00:00Z", true),
            ("2026-06-03T15:29:59Z", true),
            ("2026-06-03T15:30:00Z", false),
            ("2026-06-04T06:00:00Z", false),
        ],
    );
    let one = schedule("UTC", &["Thu 00:00-24:00"]);
    assert!(one.is_active(WallTime(0.999)) && !one.is_active(WallTime(-0.001)), "whole seconds");
}

#[test]
fn a_range_over_midnight_belongs_to_the_day_it_begins_on() {
    check(
        "UTC",
        &["Mon-Fri 18:00-07:00"],
        &[
            ("2026-06-01T06:59:59Z", false), // Monday: Sunday has none
            ("2026-06-01T18:00:00Z", true),
            ("2026-06-02T06:59:59Z", true),
            ("2026-06-02T07:00:00Z", false),
            ("2026-06-06T06:59:59Z", true), // Saturday: Friday's
            ("2026-06-06T18:00:00Z", false),
        ],
    );
    // Up to midnight in both ways of writing it.
    for range in ["Sun 23:00-24:00", "Sun 23:00-00:00"] {
        check("UTC", &[range], &[("2026-06-07T23:59:59Z", true), ("2026-06-08T00:00:00Z", false)]);
    }
}

#[test]
fn days_are_lists_and_ranges_or_all() {
    let days = |range: &str| -> String {
        let schedule = schedule("UTC", &[range]);
        let active = |day: &usize| schedule.is_active(wall(&format!("2026-06-0{day}T12:00:00Z")));
        // The 1st is a Monday.
        (1..=7).map(|day| if active(&day) { '#' } else { '.' }).collect()
    };
    assert_eq!(days("12:00-13:00"), "#######");
    assert_eq!(days("Mon 12:00-13:00"), "#......");
    assert_eq!(days("Mon-Fri 12:00-13:00"), "#####..");
    assert_eq!(days("Fri-Mon 12:00-13:00"), "#...###");
    assert_eq!(days("tue, THU-Fri ,Sun  9:00 - 13:00"), ".#.##.#");
    assert_eq!(days("Sun-Sat 12:00-13:00"), "#######");
    let both = schedule("UTC", &["Mon 12:00-13:00", "Wed 12:00-13:00"]);
    assert!(both.is_active(wall("2026-06-01T12:00:00Z")));
    assert!(both.is_active(wall("2026-06-03T12:00:00Z")));
    assert!(!both.is_active(wall("2026-06-02T12:00:00Z")));
}

#[test]
fn what_is_wrong_is_named() {
    for (text, expected) in [
        ("", "two times"),
        ("Mon", "two times"),
        ("Mon 18:00", "two times"),
        ("Mo 18:00-19:00", "\"Mo\" is no day"),
        ("Mon Tue 18:00-19:00", "\"Mon Tue\" is no day"),
        ("Mon, 18:00-19:00", "\"\" is no day"),
        ("Mon-18:00-19:00", "\"\" is no day"),
        ("Montag 18:00-19:00", "\"Montag\" is no day"),
        ("Mon 18-19", "\"18\" is no time"),
        ("Mon 18:00-19", "\"19\" is no time"),
        ("Mon 18:60-19:00", "\"18:60\" is no time"),
        ("Mon 18:0-19:00", "\"18:0\" is no time"),
        ("Mon 018:00-19:00", "\"018:00\" is no time"),
        ("Mon 18:00-24:01", "\"24:01\" is no time"),
        ("Mon 18:00-+9:00", "\"+9:00\" is no time"),
        ("Mon 18:00-19:00-20:00", "is no time"),
        ("Mon 18:00-19:00 CET", "\"19:00 CET\" is no time"),
        ("Mon 24:00-07:00", "24:00 is the end"),
        ("Mon 18:00-18:00", "at the same time"),
        ("Mon 24:00-24:00", "at the same time"),
    ] {
        let message = Range::parse(text).expect_err(text);
        assert!(message.contains(expected), "{text:?}: {message}");
        assert!(message.starts_with(&format!("found {text:?}; ")), "{message}");
        assert!(message.ends_with("an example is \"Mon-Fri 18:00-07:00\""), "{message}");
    }
}

#[test]
fn an_hour_that_is_left_out_does_not_exist() {
    // Vienna, 29 March 2026: at 1:00 UTC it is 3 in place of 2 o'clock.
    let zone = "Europe/Vienna";
    let (before, after) = ("2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z");
    check(zone, &["Sun 02:15-02:45"], &[(before, false), (after, false)]);
    check(zone, &["Sun 01:30-02:30"], &[(before, true), (after, false)]);
    check(zone, &["Sun 02:30-05:00"], &[(before, false), (after, true)]);
    check(zone, &["Sat 23:00-03:30"], &[(after, true), ("2026-03-29T01:30:00Z", false)]);
    // New York, 8 March 2026: at 7:00 UTC it is 3 in place of 2 o'clock.
    let (before, after) = ("2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z");
    check("America/New_York", &["Sun 02:00-03:00"], &[(before, false), (after, false)]);
    check("America/New_York", &["Sun 01:00-04:00"], &[(before, true), (after, true)]);
}

#[test]
fn an_hour_that_occurs_twice_is_active_both_times() {
    // Vienna, 25 October 2026: at 1:00 UTC it is 2 o'clock again.
    check(
        "Europe/Vienna",
        &["Sun 02:15-02:45"],
        &[
            ("2026-10-25T00:15:00Z", true),
            ("2026-10-25T00:45:00Z", false),
            ("2026-10-25T01:14:59Z", false),
            ("2026-10-25T01:15:00Z", true),
            ("2026-10-25T01:45:00Z", false),
        ],
    );
    check(
        "Europe/Vienna",
        &["Sat 22:00-02:30"],
        &[
            ("2026-10-25T00:29:59Z", true),
            ("2026-10-25T00:30:00Z", false),
            ("2026-10-25T01:00:00Z", true),
            ("2026-10-25T01:30:00Z", false),
        ],
    );
    // New York, 1 November 2026: at 6:00 UTC it is 1 o'clock again.
    let range = ["Sun 01:00-02:00"];
    let twice = [("2026-11-01T05:30:00Z", true), ("2026-11-01T06:30:00Z", true)];
    check("America/New_York", &range, &twice);
    check("America/New_York", &range, &[("2026-11-01T07:00:00Z", false)]);
}

#[test]
fn a_whole_day_is_as_long_as_the_clocks_make_it() {
    let hours = |zone: &str, noon: &str| {
        let (sunday, noon) = (schedule(zone, &["Sun 00:00-24:00"]), wall(noon).0);
        let minutes = (-24 * 60..24 * 60).map(|minute| noon + f64::from(minute) * 60.0);
        minutes.filter(|time| sunday.is_active(WallTime(*time))).count() as f64 / 60.0
    };
    assert_eq!(hours("Europe/Vienna", "2026-03-29T11:00:00Z"), 23.0);
    assert_eq!(hours("Europe/Vienna", "2026-04-05T11:00:00Z"), 24.0);
    assert_eq!(hours("Europe/Vienna", "2026-10-25T11:00:00Z"), 25.0);
    assert_eq!(hours("America/New_York", "2026-03-08T17:00:00Z"), 23.0);
    assert_eq!(hours("America/New_York", "2026-11-01T17:00:00Z"), 25.0);
}

#[test]
fn no_time_is_too_odd() {
    let always = schedule("Europe/Vienna", &["00:00-24:00"]);
    for time in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, -0.5, 0.0] {
        assert!(always.is_active(WallTime(time)), "{time}");
    }
}

#[test]
fn the_binary_brings_its_own_zones() {
    let bundled = TimeZoneDatabase::bundled();
    for zone in ["Europe/Vienna", "America/New_York", "Asia/Kathmandu"] {
        bundled.get(zone).unwrap();
    }
}

/// A range as it is meant, told in dates: it begins on a day and ends on that one or the next.
fn covers(days: &[usize], from: i32, to: i32, local: civil::DateTime) -> bool {
    [0, 1].into_iter().any(|back| {
        let day = local.date().checked_sub(back.days()).unwrap();
        let midnight = day.at(0, 0, 0, 0);
        let begin = midnight.checked_add(from.minutes()).unwrap();
        let end = if to > from { to } else { to + 24 * 60 };
        let end = midnight.checked_add(end.minutes()).unwrap();
        let name = day.strftime("%a").to_string();
        days.iter().any(|day| DAYS[*day] == name) && begin <= local && local < end
    })
}

proptest! {
    #[test]
    fn ranges_are_intervals_of_dates(
        days in prop::collection::btree_set(0..7_usize, 1..=7),
        (from, to) in (0..1440_i32, 0..=1440_i32).prop_filter("two times", |(from, to)| from != to),
        zone in prop::sample::select(vec!["Europe/Vienna", "America/New_York", "Asia/Kathmandu"]),
        clocks_set in prop::sample::select(vec![
            "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z",
            "2026-11-01T06:00:00Z",
        ]),
        seconds in -5 * 86_400..5 * 86_400_i32,
    ) {
        let days: Vec<usize> = days.into_iter().collect();
        let names: Vec<&str> = days.iter().map(|day| DAYS[*day]).collect();
        let time = |minutes: i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let text = format!("{} {}-{}", names.join(","), time(from), time(to));
        let now = WallTime(wall(clocks_set).0 + f64::from(seconds));
        let local = TimeZone::get(zone).unwrap()
            .to_datetime(Timestamp::from_second(now.0 as i64).unwrap());
        let found = schedule(zone, &[&text]).is_active(now);
        prop_assert_eq!(found, covers(&days, from, to, local), "{} at {}", text, local);
    }

    /// Against a look at every minute.
    #[test]
    fn shifts_are_where_it_changes(
        ranges in prop::collection::vec(
            (prop::collection::btree_set(0..7_usize, 1..=7), 0..96_i32, 0..=96_i32), 1..3),
        zone in prop::sample::select(vec!["Europe/Vienna", "America/New_York", "Asia/Kathmandu"]),
        clocks_set in prop::sample::select(vec![
            "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z",
            "2026-11-01T06:00:00Z",
        ]),
        minutes in -3000..3000_i32,
        second in 0..60_i32,
    ) {
        let texts: Vec<String> = ranges.iter().filter(|(_, from, to)| from != to).map(|(days, from, to)| {
            let names: Vec<&str> = days.iter().map(|day| DAYS[*day]).collect();
            let time = |n: i32| format!("{:02}:{:02}", n / 4, n % 4 * 15);
            format!("{} {}-{}", names.join(","), time(*from), time(*to))
        }).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let schedule = schedule(zone, &texts);
        let minute = wall(clocks_set).0 + f64::from(minutes * 60);
        let now = WallTime(minute + f64::from(second));
        let shift = schedule.shift(now);
        let active = schedule.is_active(now);
        prop_assert_eq!(shift.active, active);
        let changes = |step: i32| (1..8 * 24 * 60).map(|n| minute + f64::from(n * step * 60))
            .find(|time| schedule.is_active(WallTime(*time)) != active);
        if let Some(until) = changes(1) {
            prop_assert_eq!(shift.until, Some(WallTime(until)), "{:?}", texts);
        }
        if let Some(before) = changes(-1) {
            prop_assert_eq!(shift.since, Some(WallTime(before + 60.0)), "{:?}", texts);
        }
        if changes(1).is_none() && changes(-1).is_none() {
            let far = |time: WallTime| (time.0 - now.0).abs() > 7.9 * 86_400.0;
            prop_assert!(shift.until.is_none_or(far) && shift.since.is_none_or(far));
        }
    }
}
