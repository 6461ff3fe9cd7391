//! The folders that bundles live in: which to look through, which to write to, what is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where packages put bundles.
const SYSTEM_FOLDER: &str = "/var/lib/seewhen/models";

/// Where bundles are looked for: `model_dir` where given, else the system's folder and the
/// user's.
pub fn folders(model_dir: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = model_dir {
        return vec![folder.to_owned()];
    }
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let data = variable("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    let user = data.map(|data| data.join("seewhen/models"));
    [Some(PathBuf::from(SYSTEM_FOLDER)), user].into_iter().flatten().collect()
}

/// The first of [`folders`] that can be written to; made where it is not there yet.
///
/// # Errors
/// Why the last of them cannot be written.
pub fn writable(model_dir: Option<&Path>) -> Result<PathBuf, (PathBuf, io::Error)> {
    let mut refused = (PathBuf::from(SYSTEM_FOLDER), io::ErrorKind::NotFound.into());
    for folder in folders(model_dir) {
        match try_write(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) => refused = (folder, error),
        }
    }
    Err(refused)
}

fn try_write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let probe = folder.join(format!(".writable-{}", std::process::id()));
    fs::write(&probe, "")?;
    fs::remove_file(&probe)
}

/// One folder that is laid out as a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub name: String,
    pub folder: PathBuf,
    /// Of all its files.
    pub bytes: u64,
}

/// The bundles in [`folders`], by name. Of two with one name the first counts, as when one is
/// opened.
pub fn installed(model_dir: Option<&Path>) -> Vec<Installed> {
    let mut found: Vec<Installed> = Vec::new();
    for folder in folders(model_dir) {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let folder = entry.path();
            let known = found.iter().any(|bundle| bundle.name == name);
            if !name.starts_with('.') && !known && folder.join("config.json").is_file() {
                found.push(Installed { name, bytes: size(&folder), folder });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Whether a text can be a bundle's name: one folder's name, and not a hidden one's.
pub fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    (1..=100).contains(&name.len()) && name.chars().all(good) && !name.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_listed_and_other_folders_not() {
        let folder = tempfile::tempdir().unwrap();
        for (bundle, file) in [("a", "config.json"), (".a.part", "config.json"), ("b", "other")] {
            fs::create_dir(folder.path().join(bundle)).unwrap();
            fs::write(folder.path().join(bundle).join(file), "{}").unwrap();
        }
        let found = installed(Some(folder.path()));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].bytes), ("a", 2));
        assert_eq!(writable(Some(folder.path())).unwrap(), folder.path());
        assert!(writable(Some(&folder.path().join("b/other"))).is_err());
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        assert!(is_name("ViT-B-32__openai") && is_name("ViT-L-14@336px"));
        assert!(["", ".", "..", "a/b", ".hidden", "-x", "a b"].iter().all(|name| !is_name(name)));
    }
}
