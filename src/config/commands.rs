//! `[commands]`: whether anybody may change things while seewhen runs, and where the changes are kept.

use std::path::{Path, PathBuf};

use ::config::ValueKind;

use super::history::state_directory;
use super::keys;
use super::layer::Layer;
use super::secret::Surroundings;
use super::section::Section;
use super::value::{boolean, words};

/// The name that the file of changes has where no other is given.
const FILE: &str = "90-runtime.toml";

/// `[commands]`
#[derive(Debug, Clone, PartialEq)]
pub struct CommandsConfig {
    /// Commands are taken.
    pub enabled: bool,
    /// What they change is kept over a restart, where a command does not say otherwise.
    pub persist: bool,
    /// Where it is kept.
    pub file: PathBuf,
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(root: &Section<'_>, surroundings: &Surroundings) -> Option<CommandsConfig> {
    let commands = root.section("commands", keys::COMMANDS)?;
    let enabled = commands.get("enabled", boolean);
    let persist = commands.get("persist", boolean);
    let file = commands.get_or("file", default_file(surroundings), |value| {
        words(value).map(|file| surroundings.folder.join(file))
    });
    Some(CommandsConfig { enabled: enabled?, persist: persist?, file: file? })
}

/// Where the changes are kept, by the files alone: it has to be known before all is read. What is
/// wrong with the key is reported when it is.
pub(super) fn file(layers: &[Layer], surroundings: &Surroundings) -> PathBuf {
    let named = |layer: &Layer| match &layer.get("commands")?.kind {
        ValueKind::Table(commands) => words(commands.get("file")?).ok(),
        _ => None,
    };
    match layers.iter().rev().find_map(named) {
        Some(file) => surroundings.folder.join(file),
        None => default_file(surroundings),
    }
}

/// The service cannot write beside its configuration; systemd gives it a folder.
fn default_file(surroundings: &Surroundings) -> PathBuf {
    let beside = || surroundings.folder.join(Path::new("conf.d"));
    state_directory(surroundings).unwrap_or_else(beside).join(FILE)
}
