//! Where lessons are kept: `<dir>/<node>/<watch>.<label>.taught`, one file for each label.
//!
//! A change is made under a lock, so that two teachers cannot undo each other's work, and is a rename: a
//! crash leaves the old lesson or the new one. Readers need no lock.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::{self, LARGEST, Unfit};
use super::{Lesson, Refused};
use crate::model::{LabelId, NodeId, WatchId};

const KIND: &str = "taught";
/// What a crash may leave, and what the next change takes away.
const UNFINISHED: &str = "unfinished";

/// Why a lesson could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error("{}: {cause}", path.display())]
    Unfit { path: PathBuf, cause: Unfit },
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{} is larger than {} MiB, which no lesson is", .0.display(), LARGEST >> 20)]
    Large(PathBuf),
}

/// The lessons of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    pub fn new(dir: &Path, node: &NodeId) -> Self {
        Self { folder: dir.join(node.as_str()) }
    }

    /// The file of a label's lesson.
    pub fn path(&self, watch: &WatchId, label: &LabelId) -> PathBuf {
        self.folder.join(format!("{watch}.{label}.{KIND}"))
    }

    /// The lesson of a label; `None` when nothing was taught.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    pub fn read(&self, watch: &WatchId, label: &LabelId) -> Result<Option<Lesson>, ShelfError> {
        let path = self.path(watch, label);
        match read_file(&path) {
            Err(ShelfError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// Changes the lesson of a label, or removes it when `change` gives none.
    ///
    /// # Errors
    /// Those of `change`, and of reading and writing; then nothing has changed.
    pub fn change<T>(
        &self,
        watch: &WatchId,
        label: &LabelId,
        change: impl FnOnce(Option<Lesson>) -> Result<(Option<Lesson>, T), ShelfError>,
    ) -> Result<T, ShelfError> {
        let _held = self.lock()?;
        let path = self.path(watch, label);
        let (lesson, told) = change(self.read(watch, label)?)?;
        match lesson {
            Some(lesson) => replace(&path, &lesson).map_err(named(&path))?,
            None => {
                remove(&path)?;
            }
        }
        Ok(told)
    }

    /// Removes the lesson of a label, whatever is in its file. Whether there was one.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn forget(&self, watch: &WatchId, label: &LabelId) -> Result<bool, ShelfError> {
        let _held = self.lock()?;
        remove(&self.path(watch, label))
    }

    /// Held until it is dropped; its file stays, or another could lock a new one meanwhile.
    fn lock(&self) -> Result<File, ShelfError> {
        self.make_folder().map_err(named(&self.folder))?;
        let path = self.folder.join(".lock");
        let lock = create(&path, &self.folder).map_err(named(&path))?;
        lock.lock().map_err(named(&path))?;
        Ok(lock)
    }

    /// Whoever teaches first makes the folder: root too, for whose service it then is.
    fn make_folder(&self) -> io::Result<()> {
        if self.folder.is_dir() {
            return Ok(());
        }
        let there = self.folder.ancestors().find(|folder| folder.is_dir());
        fs::DirBuilder::new().recursive(true).mode(0o750).create(&self.folder)?;
        let Some(there) = there else { return Ok(()) };
        let new = self.folder.ancestors().take_while(|folder| *folder != there);
        new.into_iter().try_for_each(|folder| give(folder, there))
    }

    /// Changes whenever a lesson does; `None` while there is no folder.
    pub fn stamp(&self) -> Option<SystemTime> {
        fs::metadata(&self.folder).and_then(|about| about.modified()).ok()
    }
}

fn named(path: &Path) -> impl Fn(io::Error) -> ShelfError {
    let path = path.to_owned();
    move |cause| ShelfError::Io { path: path.clone(), cause }
}

fn remove(path: &Path) -> Result<bool, ShelfError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(named(path)(error)),
    }
}

/// Reads one file.
///
/// # Errors
/// When it is not there or no lesson.
pub fn read_file(path: &Path) -> Result<Lesson, ShelfError> {
    let io = |cause| ShelfError::Io { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ShelfError::Large(path.to_owned()));
    }
    file::read(&bytes).map_err(|cause| ShelfError::Unfit { path: path.to_owned(), cause })
}

/// Writes a lesson in one step: what is at `path` is the old file or the new one.
///
/// # Errors
/// When the disk says no; the old file stays.
pub fn replace(path: &Path, lesson: &Lesson) -> io::Result<()> {
    let bytes = file::write(lesson).ok_or(ErrorKind::InvalidData)?;
    // Always under the same name, so that what a crash leaves is overwritten by the next change.
    let new = path.with_extension(UNFINISHED);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = create(&new, folder)?;
    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        return fs::remove_file(&new).and(Err(error));
    }
    File::open(folder)?.sync_all()
}

/// A file for the folder's owner and group alone: pictures may be in it.
fn create(path: &Path, folder: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o640).open(path)?;
    give(path, folder)?;
    Ok(file)
}

/// Gives what root has made to the owner of `like`; who is not root owns it already.
fn give(path: &Path, like: &Path) -> io::Result<()> {
    let (own, like) = (fs::metadata(path)?, fs::metadata(like)?);
    if own.uid() == like.uid() && own.gid() == like.gid() {
        return Ok(());
    }
    match chown(path, Some(like.uid()), Some(like.gid())) {
        // Another's folder that we may write to: so may its owner not.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}
