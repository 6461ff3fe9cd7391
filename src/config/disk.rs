//! The files of a configuration as they are on disk: the file itself, `conf.d/*.toml` beside it, and
//! the file of what commands have changed, which comes last of them.
//!
//! The only place here that reads and writes them. What they say is a matter of [`parse`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::commands;
use super::layer::{Layer, Origin};
use super::load::{File, Loaded, parse};
use super::problem::{Place, Problem, Problems, Report};
use super::secret::Surroundings;
use crate::model::{LabelId, WatchId};
use crate::whole;

/// Texts that have been read, so that they can be put together with other changes.
#[derive(Clone)]
pub struct OnDisk {
    /// Names and texts of those that people write.
    files: Vec<(String, String)>,
    runtime: PathBuf,
    /// What was in the file of changes; `None`: there was none.
    pub changes: Option<String>,
    surroundings: Surroundings,
}

/// Reads `path`, then `conf.d/*.toml` beside it in the order of their names, then what commands have
/// changed, then the environment. Reports every problem of all of them.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    OnDisk::read(path)?.parse()
}

impl OnDisk {
    /// # Errors
    /// When a file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let surroundings = Surroundings::of_process(folder);
        let report = Report::default();
        let own = text(path, &report);
        let drop_ins = drop_ins(folder, &report);
        let read = |path: &PathBuf| Some((path.clone(), text(path, &report)?));
        let drop_ins: Vec<(PathBuf, String)> = drop_ins.iter().filter_map(read).collect();
        let main = own.map(|text| (path.to_owned(), text));
        let texts: Vec<(PathBuf, String)> = main.into_iter().chain(drop_ins).collect();
        let runtime = runtime_file(&texts, &surroundings);
        let changes = runtime.exists().then(|| text(&runtime, &report)).flatten();
        report.finish(Some(()))?;
        let named = texts.into_iter().filter(|(path, _)| *path != runtime);
        let files = named.map(|(path, text)| (path.display().to_string(), text)).collect();
        Ok(Self { files, runtime, changes, surroundings })
    }

    /// The file of what commands have changed, there or not.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// What is on disk.
    pub fn parse(&self) -> Result<Loaded, Problems> {
        self.parse_with(self.changes.as_deref())
    }

    /// The same with other changes by commands.
    pub fn parse_with(&self, changes: Option<&str>) -> Result<Loaded, Problems> {
        let name = self.runtime.display().to_string();
        let last = changes.map(|text| File { name: &name, text });
        last.map_or(Ok(()), refuse_own_place)?;
        let files = self.files.iter().map(|(name, text)| File { name, text });
        parse(&files.chain(last).collect::<Vec<_>>(), &self.surroundings)
    }

    /// Where the files that people write have a label.
    pub fn label(&self, watch: &WatchId, label: &LabelId) -> Option<Place> {
        let report = Report::default();
        self.files.iter().find_map(|(name, text)| {
            let layer = Layer::parse(name, text, &report)?;
            let watch = Layer::entry(layer.get("watch"), watch.as_str())?;
            let label = Layer::entry(watch.get("label"), label.as_str())?;
            Some(Origin::of(label.get("id")?)?.value)
        })
    }
}

/// It was found before it was read.
fn refuse_own_place(file: File<'_>) -> Result<(), Problems> {
    let layer = Layer::parse(file.name, file.text, &Report::default());
    let Some(value) = layer.as_ref().and_then(|layer| layer.get("commands")) else { return Ok(()) };
    let place = Origin::of(value).map_or_else(|| Place::whole(file.name), |origin| origin.key);
    let message = "this is the file of what commands have changed; write [commands] elsewhere";
    Err(Problem { place, key: "commands".to_owned(), message: message.to_owned() }.into())
}

fn runtime_file(texts: &[(PathBuf, String)], surroundings: &Surroundings) -> PathBuf {
    // What is wrong with them is reported when they are parsed for good.
    let report = Report::default();
    let layers = texts.iter().filter_map(|(_, text)| Layer::parse("", text, &report));
    commands::file(&layers.collect::<Vec<_>>(), surroundings)
}

fn drop_ins(folder: &Path, report: &Report) -> Vec<PathBuf> {
    let folder = folder.join("conf.d");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let place = Place::whole(folder.display().to_string());
            report.problem(place, "", format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let visible = |path: &PathBuf| {
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|extension| extension == "toml")
    };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(visible).collect();
    paths.sort();
    paths
}

fn text(path: &Path, report: &Report) -> Option<String> {
    let wrong = |message| {
        report.problem(Place::whole(path.display().to_string()), "", message);
        None
    };
    match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Some(text),
        Ok(Err(_)) => wrong("is not UTF-8 text; save it as UTF-8".to_owned()),
        Err(error) => wrong(format!("cannot be read: {error}; is the path right?")),
    }
}

/// Puts `text` in the place of the file of changes, whole or not at all: whatever happens on the way,
/// the old one or the new one is there. `known` is what it last held.
///
/// # Errors
/// In words: when it cannot be written, and when somebody else has changed it.
pub fn write_runtime(path: &Path, known: Option<&str>, text: &str) -> Result<(), String> {
    let now = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    if now.as_deref() != known {
        let path = path.display();
        return Err(format!(
            "{path} was changed by somebody else; reload (SIGHUP) takes that over"
        ));
    }
    whole::replace(path, text.as_bytes())
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_changes_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conf.d/90-runtime.toml");
        write_runtime(&path, None, "a = 1").unwrap();
        write_runtime(&path, Some("a = 1"), "a = 2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 2");
        let changed = write_runtime(&path, Some("a = 1"), "a = 3").expect_err("not as it was");
        assert!(changed.contains("somebody else"), "{changed}");
    }
}
