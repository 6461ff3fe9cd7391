//! The files of the snapshots: `<folder>/<node>/<camera>/<date>/<time>….jpg`.
//!
//! Each appears by a rename, whole. Removed is only what is named like that: the folder may be one that
//! people keep other things in.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Limits;
use crate::model::{CameraId, NodeId};

/// Readable for the group; what the process's umask takes is taken.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// See the module.
pub(super) struct Files {
    folder: PathBuf,
    /// The folder of this node's files in it.
    own: PathBuf,
    limits: Limits,
    /// Bytes of all files, reckoned on from the last look at them.
    size: u64,
}

/// A file that may go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    written: SystemTime,
    path: PathBuf,
    bytes: u64,
}

impl Files {
    pub(super) fn new(folder: PathBuf, node: NodeId, limits: Limits) -> Self {
        let own = folder.join(node.as_str());
        Self { folder, own, limits, size: 0 }
    }

    /// Writes a file, named from the folder on. The error is for people.
    pub(super) fn write(&mut self, name: &str, jpeg: &[u8], now: SystemTime) -> Result<(), String> {
        let path = self.folder.join(name);
        place(&path, jpeg).map_err(|error| self.cannot("written to", &error))?;
        self.size += jpeg.len() as u64;
        if self.size > self.limits.size { self.prune(now) } else { Ok(()) }
    }

    /// Removes what is too old or too much, and what a killed process left half-written.
    pub(super) fn prune(&mut self, now: SystemTime) -> Result<(), String> {
        let (mut kept, halves) =
            self.look().map_err(|error| self.cannot("looked through in", &error))?;
        kept.sort();
        let size = kept.iter().map(|file| file.bytes).sum();
        let leaving = leaving(&kept, size, now, self.limits);
        self.size = size;
        let mut failed = None;
        for file in halves.iter().chain(kept[..leaving].iter()) {
            match fs::remove_file(&file.path) {
                Ok(()) => self.size = self.size.saturating_sub(file.bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => failed = Some(error),
            }
            // Those of a day, and of a camera, when they are empty.
            let _in_use = file.path.parent().map(fs::remove_dir);
            let _in_use = file.path.parent().and_then(Path::parent).map(fs::remove_dir);
        }
        if leaving > 0 {
            tracing::debug!(removed = leaving, bytes = self.size, "old snapshots");
        }
        failed.map_or(Ok(()), |error| Err(self.cannot("removed from", &error)))
    }

    fn cannot(&self, what: &str, error: &io::Error) -> String {
        format!(
            "snapshots cannot be {what} {}: {error}; make it writable, or set snapshots.dir",
            self.folder.display()
        )
    }

    /// This node's files, and those that are not whole.
    fn look(&self) -> io::Result<(Vec<Kept>, Vec<Kept>)> {
        let (mut kept, mut halves) = (Vec::new(), Vec::new());
        let cameras = inside(&self.own, |name| CameraId::try_new(name).is_ok())?;
        for camera in cameras {
            for day in inside(&camera, is_day)? {
                for path in inside(&day, |name| is_picture(name) || is_half(name))? {
                    let Ok(found) = fs::symlink_metadata(&path) else { continue };
                    if !found.is_file() {
                        continue;
                    }
                    let half = path.file_name().and_then(|name| name.to_str()).is_some_and(is_half);
                    let (written, bytes) = (found.modified()?, found.len());
                    let file = Kept { written, path, bytes };
                    if half { halves.push(file) } else { kept.push(file) }
                }
            }
        }
        Ok((kept, halves))
    }
}

/// How many of the files, oldest first, are too old or too much. When they are too much a tenth of
/// what is allowed goes with them, so that not every new one asks for a look at all.
fn leaving(kept: &[Kept], mut size: u64, now: SystemTime, limits: Limits) -> usize {
    let old = |file: &Kept| now.duration_since(file.written).is_ok_and(|age| age > limits.keep);
    let most = if size > limits.size { limits.size / 10 * 9 } else { limits.size };
    let goes = |file: &&Kept| {
        let goes = size > most || old(file);
        size = size.saturating_sub(file.bytes);
        goes
    };
    kept.iter().take_while(goes).count()
}

/// A new file with that content, or none at all.
fn place(path: &Path, content: &[u8]) -> io::Result<()> {
    let Some((folder, name)) = path.parent().zip(path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    let half = folder.join(format!(".{}{HALF}", name.to_string_lossy()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let written = options.open(&half).and_then(|mut file| file.write_all(content));
    let placed = written.and_then(|()| fs::rename(&half, path));
    if placed.is_err() {
        // On a full disk it would take what little there is.
        let _gone = fs::remove_file(&half);
    }
    placed
}

/// The paths in a folder whose names are `wanted`; none when there is no such folder.
fn inside(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // It may also be a file of somebody's.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// How the name of a file ends that is being written.
const HALF: &str = ".half";

fn is_half(name: &str) -> bool {
    name.strip_prefix('.').and_then(|name| name.strip_suffix(HALF)).is_some_and(is_picture)
}

/// `2026-11-26`
fn is_day(name: &str) -> bool {
    shaped(name, "0000-00-00")
}

/// `03-10-04.672….jpg`
fn is_picture(name: &str) -> bool {
    let time = name.get(.."00-00-00.000".len());
    name.ends_with(".jpg") && time.is_some_and(|time| shaped(time, "00-00-00.000"))
}

/// Whether digits are where `shape` has them, and the same characters elsewhere.
fn shaped(name: &str, shape: &str) -> bool {
    let same = |(a, b): (char, char)| if b == '0' { a.is_ascii_digit() } else { a == b };
    name.len() == shape.len() && name.chars().zip(shape.chars()).all(same)
}
