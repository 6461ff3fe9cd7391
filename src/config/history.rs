//! `[history]`: where events are kept, and how many.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys;
use super::secret::Surroundings;
use super::section::Section;
use super::value::{count, duration, text};

/// `[history]`
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryConfig {
    /// The folder of the database; `None` keeps nothing.
    pub dir: Option<PathBuf>,
    /// Older events go.
    pub keep: Duration,
    /// The database's size, MiB; the oldest events go first.
    pub max_size: usize,
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(root: &Section<'_>, surroundings: &Surroundings) -> Option<HistoryConfig> {
    let history = root.section("history", keys::HISTORY)?;
    let dir = history.get_or("dir", default_dir(surroundings), |value| {
        let dir = text(value)?;
        Ok((!dir.is_empty()).then(|| surroundings.folder.join(dir)))
    });
    let day = Duration::from_secs(24 * 3600);
    let keep = history.get("keep", |value| duration(value, day / 24..=day * 3650));
    let max_size = history.get("max_size", |value| count(value, 1..=1_000_000));
    Some(HistoryConfig { dir: dir?, keep: keep?, max_size: max_size? })
}

/// systemd's folder for the service's state, else the user's own.
pub(super) fn default_dir(surroundings: &Surroundings) -> Option<PathBuf> {
    state_directory(surroundings)
        .or_else(|| Some(folder_of(surroundings, "XDG_STATE_HOME")?.join("seewhen")))
        .or_else(|| Some(folder_of(surroundings, "HOME")?.join(".local/state/seewhen")))
}

/// systemd's folder for the service's state.
pub(super) fn state_directory(surroundings: &Surroundings) -> Option<PathBuf> {
    folder_of(surroundings, "STATE_DIRECTORY")
}

fn folder_of(surroundings: &Surroundings, variable: &str) -> Option<PathBuf> {
    let value = surroundings.variables.get(variable)?;
    // systemd gives several with colons between them.
    let first = Path::new(value.split(':').next().unwrap_or_default());
    first.is_absolute().then(|| first.to_owned())
}
