//! `[embeddings]`: what the model made of every frame: where it is kept, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::history::default_dir;
use super::keys;
use super::secret::Surroundings;
use super::section::Section;
use super::value::{boolean, count, duration, text};

/// `[embeddings]`
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingsConfig {
    /// What was kept can still be searched when nothing is added.
    pub enabled: bool,
    /// The folder of the files; `None` keeps nothing.
    pub dir: Option<PathBuf>,
    /// Older days go.
    pub keep: Duration,
    /// Of all files, MiB; the oldest go first.
    pub max_size: usize,
    /// Small pictures are kept beside the embeddings.
    pub pictures: bool,
    /// Whose clocks a search goes by.
    pub zone: TimeZone,
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(
    root: &Section<'_>,
    surroundings: &Surroundings,
    zone: &TimeZone,
) -> Option<EmbeddingsConfig> {
    let embeddings = root.section("embeddings", keys::EMBEDDINGS)?;
    let default = default_dir(surroundings).map(|dir| dir.join("embeddings"));
    let dir = embeddings.get_or("dir", default, |value| {
        let dir = text(value)?;
        Ok((!dir.is_empty()).then(|| surroundings.folder.join(dir)))
    });
    let enabled = embeddings.get("enabled", boolean);
    let day = Duration::from_secs(24 * 3600);
    let keep = embeddings.get("keep", |value| duration(value, day..=day * 3650));
    let max_size = embeddings.get("max_size", |value| count(value, 10..=10_000_000));
    let pictures = embeddings.get("pictures", boolean);
    Some(EmbeddingsConfig {
        enabled: enabled?,
        dir: dir?,
        keep: keep?,
        max_size: max_size?,
        pictures: pictures?,
        zone: zone.clone(),
    })
}
