//! `[snapshots]`: pictures of the frames that start events: where they go, and how many are kept.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::history::default_dir;
use super::keys;
use super::secret::Surroundings;
use super::section::Section;
use super::value::{boolean, count, duration, text};

/// `[snapshots]`
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotsConfig {
    /// The newest is shown on its camera's topic.
    pub topic: bool,
    /// The folder of the files; `None` keeps none.
    pub dir: Option<PathBuf>,
    /// Older files go.
    pub keep: Duration,
    /// Of all files, MiB; the oldest go first.
    pub max_size: usize,
    /// Of the JPEGs, 1 to 100.
    pub quality: usize,
    /// Whose clocks name the files.
    pub zone: TimeZone,
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(
    root: &Section<'_>,
    surroundings: &Surroundings,
    zone: &TimeZone,
) -> Option<SnapshotsConfig> {
    let snapshots = root.section("snapshots", keys::SNAPSHOTS)?;
    let default = default_dir(surroundings).map(|dir| dir.join("snapshots"));
    let dir = snapshots.get_or("dir", default, |value| {
        let dir = text(value)?;
        Ok((!dir.is_empty()).then(|| surroundings.folder.join(dir)))
    });
    let topic = snapshots.get("topic", boolean);
    let hour = Duration::from_secs(3600);
    let keep = snapshots.get("keep", |value| duration(value, hour..=hour * 24 * 3650));
    let max_size = snapshots.get("max_size", |value| count(value, 10..=1_000_000));
    let quality = snapshots.get("quality", |value| count(value, 1..=100));
    Some(SnapshotsConfig {
        topic: topic?,
        dir: dir?,
        keep: keep?,
        max_size: max_size?,
        quality: quality?,
        zone: zone.clone(),
    })
}
