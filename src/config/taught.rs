//! `[taught]`: where the examples that labels were taught are kept.

use std::path::PathBuf;

use super::history::default_dir;
use super::keys;
use super::secret::Surroundings;
use super::section::Section;
use super::value::text;

/// `[taught]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaughtConfig {
    /// The folder of the files; `None` keeps nothing, and nothing can be taught.
    pub dir: Option<PathBuf>,
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(root: &Section<'_>, surroundings: &Surroundings) -> Option<TaughtConfig> {
    let taught = root.section("taught", keys::TAUGHT)?;
    let default = default_dir(surroundings).map(|dir| dir.join("taught"));
    let dir = taught.get_or("dir", default, |value| {
        let dir = text(value)?;
        Ok((!dir.is_empty()).then(|| surroundings.folder.join(dir)))
    });
    Some(TaughtConfig { dir: dir? })
}
