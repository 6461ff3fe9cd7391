//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file under a name of its own, beside the one that it is to become. Goes away unless it is
/// [`keep`](Self::keep)t.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Writes `bytes`, down to the disk, beside `target`; makes its folder where there is none.
    ///
    /// # Errors
    /// When the folder or the file cannot be written; nothing is left then.
    pub fn write(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        // From here on it goes away by itself.
        let draft = Self { path: name.into(), target: target.to_owned() };
        let mut file = File::create(&draft.path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(draft)
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its target's place.
    ///
    /// # Errors
    /// When that fails; what was there before stays.
    pub fn keep(self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already when it was kept.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.path.display(), %error, "a temporary file stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_or_gone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/file");
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(&target, "old").unwrap();
        let draft = Draft::write(&target, b"new").unwrap();
        assert_eq!(fs::read(draft.path()).unwrap(), b"new");
        drop(draft);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        Draft::write(&target, b"new").unwrap().keep().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1, "nothing else");
    }
}
