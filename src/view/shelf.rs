//! Where cameras' usual views outlive seewhen: `<history.dir>/views-<node>/<camera>.json`.
//!
//! [`run`] is the body of one thread, so that no disk holds up anything else. A disk that takes nothing costs
//! what is learnt meanwhile, and only once seewhen starts again; it is said once. Ends when whoever learns has
//! gone, after the last that was learnt.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crossbeam_channel::Receiver;

use super::learnt::{Memo, News, Unfit};
use crate::model::{CameraId, NodeId};
use crate::whole;

/// The largest file that is read, bytes: four views have a fifth of it at most.
const LARGEST: u64 = 1 << 20;

/// Why nothing is known of a camera, though there is a file.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error("{}: {cause}", path.display())]
    Unfit { path: PathBuf, cause: Unfit },
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// The files of one node.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// `dir`: `history.dir`.
    pub fn new(dir: &Path, node: &NodeId) -> Self {
        Self { folder: dir.join(format!("views-{node}")) }
    }

    fn path(&self, camera: &CameraId) -> PathBuf {
        self.folder.join(format!("{camera}.json"))
    }

    /// What an earlier life has learnt of a camera; `None` when that is nothing.
    ///
    /// # Errors
    /// When its file cannot be used.
    pub fn read(&self, camera: &CameraId) -> Result<Option<Memo>, ShelfError> {
        let path = self.path(camera);
        let mut text = Vec::new();
        match File::open(&path).and_then(|file| file.take(LARGEST).read_to_end(&mut text)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ShelfError::Io { path, cause }),
            Ok(_) => Memo::read(&text).map(Some).map_err(|cause| ShelfError::Unfit { path, cause }),
        }
    }

    /// Removes what is of none of `cameras`.
    fn tidy(&self, cameras: &[CameraId]) -> Result<(), ShelfError> {
        let named = |path: &Path, cause| ShelfError::Io { path: path.to_owned(), cause };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(named(&self.folder, cause)),
        };
        for entry in entries {
            let path = entry.map_err(|cause| named(&self.folder, cause))?.path();
            let ours = |name: &str| name.ends_with(".json") || name.ends_with(".json.new");
            let ours = path.file_name().and_then(OsStr::to_str).is_some_and(ours);
            if ours && !cameras.iter().any(|camera| self.path(camera) == path) {
                fs::remove_file(&path).map_err(|cause| named(&path, cause))?;
            }
        }
        Ok(())
    }

    /// For us and our group alone: it says a little of what cameras see.
    fn make_folder(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(&self.folder)
    }

    fn take(&self, (camera, memo): &News) -> Result<(), ShelfError> {
        let path = self.path(camera);
        let done = match memo {
            Some(memo) => {
                self.make_folder().and_then(|()| whole::replace(&path, memo.text().as_bytes()))
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        done.map_err(|cause| ShelfError::Io { path, cause })
    }
}

/// Runs until whoever learns has gone. `cameras`: all that there are at the start.
pub fn run(shelf: &Shelf, cameras: &[CameraId], inbox: &Receiver<News>) {
    if let Err(error) = shelf.tidy(cameras) {
        tracing::warn!("{error}; it can be removed");
    }
    let mut trouble = false;
    for news in inbox {
        let done = shelf.take(&news);
        match &done {
            Err(error) if !trouble => {
                tracing::error!("{error}; what is learnt of views is lost when seewhen stops");
            }
            Ok(()) if trouble => tracing::info!("what is learnt of views is kept again"),
            _ => {}
        }
        trouble = done.is_err();
    }
}

#[cfg(test)]
#[path = "shelf/tests.rs"]
mod tests;
