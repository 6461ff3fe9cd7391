//! The names of the history's files: `<node>/<digest>/<camera>/<date>.emb`, and `.jpgs` for pictures.
//!
//! The date is that of UTC, so that a day always has 24 hours. When a file of a day is full, or is
//! not to be appended to, the next is `<date>.2.emb`, and so on. Pure.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::WallTime;

/// Seconds.
pub const DAY: f64 = 86_400.0;
/// Rows of embeddings.
pub const ROWS: &str = "emb";
/// The pictures of some of the rows.
pub const PICTURES: &str = "jpgs";
/// Characters of a bundle's digest that name its folder.
const DIGEST: usize = 16;

/// One file of one camera's day; of several the higher number is the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Days since the first of 1970, UTC.
    pub day: i64,
    /// From 1 on.
    pub number: u32,
}

impl Place {
    /// The file's path in its camera's folder.
    pub fn path(self, folder: &Path, kind: &str) -> PathBuf {
        let date = Timestamp::from_second(self.day * DAY as i64)
            .map(|start| start.to_zoned_datetime(TimeZone::UTC).date().to_string())
            .unwrap_or_default();
        folder.join(match self.number {
            1 => format!("{date}.{kind}"),
            number => format!("{date}.{number}.{kind}"),
        })
    }

    /// Reads a file's name; also what kind it is. `None` for one that is not ours.
    pub fn parse(name: &str) -> Option<(Self, &'static str)> {
        let (rest, kind) = [ROWS, PICTURES]
            .into_iter()
            .find_map(|kind| Some((name.strip_suffix(kind)?.strip_suffix('.')?, kind)))?;
        let (date, number) = match rest.split_once('.') {
            Some((date, number)) => (date, number.parse().ok().filter(|number| *number > 1)?),
            None => (rest, 1),
        };
        let start = date.parse::<Date>().ok()?.to_zoned_datetime(TimeZone::UTC).ok()?;
        let place = Self { day: start.timestamp().as_second() / DAY as i64, number };
        // What would be written differently is not ours: "2026-1-2", "+5".
        (place.path(Path::new(""), kind).to_str() == Some(name)).then_some((place, kind))
    }
}

/// The day that a moment belongs to; `None` for one that no clock shows.
pub fn day_of(time: WallTime) -> Option<i64> {
    // The last is that of the year 9999.
    (1.0..253_402_300_800.0).contains(&time.0).then(|| (time.0 / DAY).floor() as i64)
}

/// The name of the folder of a bundle's files.
pub fn digest_folder(digest: &str) -> &str {
    digest.get(..DIGEST).unwrap_or(digest)
}

/// Whether a folder can be that of a bundle.
pub fn is_digest_folder(name: &str) -> bool {
    name.len() == DIGEST && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (day, number, kind, name) in [
            (20_783, 1, ROWS, "2026-11-26.emb"),
            (20_783, 2, PICTURES, "2026-11-26.2.jpgs"),
            (0, 17, ROWS, "1970-01-01.17.emb"),
        ] {
            let place = Place { day, number };
            assert_eq!(place.path(Path::new("yard"), kind), Path::new("yard").join(name));
            assert_eq!(Place::parse(name), Some((place, kind)));
        }
        let foreign = ["2026-11-26.jpg", "2026-11-26.1.emb", "2026-11-26.+2.emb", "2026-11-31.emb"];
        for name in foreign.into_iter().chain(["emb", ".emb", "x2026-11-26.emb", "2026-11-26emb"]) {
            assert_eq!(Place::parse(name), None, "{name}");
        }
    }

    #[test]
    fn days_are_those_of_utc() {
        assert_eq!(day_of(WallTime(20_783.0 * DAY)), Some(20_783));
        assert_eq!(day_of(WallTime(20_783.0 * DAY - 0.001)), Some(20_782));
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e18] {
            assert_eq!(day_of(WallTime(none)), None);
        }
    }
}
