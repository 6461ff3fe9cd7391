//! Times as people write them into a timeline: into a file, or by the clocks of a time zone.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::truth::Span;

/// What a timeline's times count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Seconds into the file.
    File,
    /// Dates and times of the day; seconds since the Unix epoch.
    Clock,
}

pub(super) const ALLOWED: &str = "write a span such as \"4.4-5.4\", \"1:02-1:10\" or \
     \"2026-11-24 18:03:10 - 18:04:00\", and the label after it";

/// A span at the start of a line, and the rest of the line.
///
/// # Errors
/// What is wrong with it and what is allowed, in words.
pub(super) fn span<'a>(line: &'a str, zone: &TimeZone) -> Result<(Span, Base, &'a str), String> {
    let (from, rest) = split(line);
    let rest = rest.trim_start();
    let Some(rest) = rest.strip_prefix(['-', '–']) else {
        return Err(format!("found {line:?}; {ALLOWED}"));
    };
    let (to, rest) = split(rest.trim_start());
    if !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        return Err(format!("found {line:?}; {ALLOWED}"));
    }
    let (span, base) = match (into_file(from), into_file(to)) {
        (Some(from), Some(to)) => (Span { from, to }, Base::File),
        _ => (by_clock(from, to, zone)?, Base::Clock),
    };
    if span.from >= span.to {
        return Err(format!("found {from} - {to}; a span ends after it begins"));
    }
    Ok((span, base, rest.trim()))
}

/// The time at the start of `text`: digits, and a date before a time with one blank, T or a zone between.
fn split(text: &str) -> (&str, &str) {
    let date = text.get(..10).is_some_and(|date| date.parse::<Date>().is_ok());
    let from = if date { 10 } else { 0 };
    let rest = &text[from..];
    let gap = usize::from(date && rest.starts_with([' ', 'T', 't']));
    let time = rest[gap..].find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'));
    let end = from + gap + time.unwrap_or(rest.len() - gap);
    let zulu = usize::from(date && text[end..].starts_with(['Z', 'z']));
    text.split_at(end + zulu)
}

/// Seconds, m:ss or h:mm:ss, each with a fraction.
fn into_file(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    let (last, before) = parts.split_last()?;
    let plain = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    if before.len() > 2 || !parts.iter().all(|part| plain(part)) {
        return None;
    }
    let mut seconds: f64 = last.parse().ok()?;
    for (n, part) in before.iter().rev().enumerate() {
        let part: u32 = part.parse().ok()?;
        seconds += f64::from(part) * if n == 0 { 60.0 } else { 3600.0 };
    }
    let fits = |part: &&str| part.parse::<f64>().is_ok_and(|part| part < 60.0);
    // The first may be as large as it likes: "90" and "75:30" are plain enough.
    (parts.iter().skip(1).all(fits) && seconds.is_finite()).then_some(seconds)
}

fn by_clock(from: &str, to: &str, zone: &TimeZone) -> Result<Span, String> {
    let wrong = |text: &str| {
        format!(
            "found {text:?}; write seconds, m:ss or h:mm:ss into the file, or a date with a time, such \
             as 2026-11-24 18:03:10"
        )
    };
    let (start, zulu) = date_time(from).ok_or_else(|| wrong(from))?;
    let (end, end_zulu) = match date_time(to) {
        Some(end) => end,
        None => {
            // On the day of the start, or after its midnight.
            let time: Time = to.parse().map_err(|_| wrong(to))?;
            let same_day = start.date().to_datetime(time);
            (if same_day <= start { same_day.saturating_add(1.day()) } else { same_day }, zulu)
        }
    };
    let seconds = |time: DateTime, zulu: bool, text: &str| {
        let zone = if zulu { TimeZone::UTC } else { zone.clone() };
        let time: Timestamp =
            zone.to_timestamp(time).map_err(|error| format!("found {text:?}: {error}"))?;
        Ok::<f64, String>(time.as_microsecond() as f64 / 1e6)
    };
    Ok(Span { from: seconds(start, zulu, from)?, to: seconds(end, end_zulu, to)? })
}

/// With whether it is UTC's.
fn date_time(text: &str) -> Option<(DateTime, bool)> {
    // A date alone would be its midnight.
    (text.len() > 10).then_some(())?;
    let (plain, zulu) = match text.strip_suffix(['Z', 'z']) {
        Some(plain) => (plain, true),
        None => (text, false),
    };
    Some((plain.parse().ok()?, zulu))
}
