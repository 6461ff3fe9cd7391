//! Files that are replaced as a whole: whatever happens on the way, the old one or the new one is there.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Puts `content` in the place of the file at `path`; makes its folder where there is none.
///
/// What a crash leaves is beside it, with the ending `.new`, and goes with the next change.
///
/// # Errors
/// When the disk says no; the old file stays.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    // Beside it, for only within a file system a name changes in one step.
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = fs::File::create(&new)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        // What is left of it takes room on a disk that may be full.
        return fs::remove_file(&new).and(Err(error));
    }
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_or_the_new_one_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/a.toml");
        replace(&path, b"1").unwrap();
        replace(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        // Nothing can be renamed onto a folder.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        replace(&taken, b"3").expect_err("a folder is in the way");
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
