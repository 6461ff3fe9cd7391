//! The files that the writer appends to, and the removal of old ones.
//!
//! A frame is one write of whole rows: a reader or a crash sees all of a row or a part that is cut
//! off later. Removed is only what is named like our files: the folder may be one that people keep
//! other things in.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::super::format::{Head, PICTURES_MAGIC, RowHead, Unfit};
use super::super::names::{DAY, PICTURES, Place, ROWS, day_of, digest_folder, is_digest_folder};
use super::super::{Seen, disk};
use super::Limits;
use crate::model::{CameraId, NodeId, WallTime};

/// Readable for the group; what the process's umask takes is taken.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// A file that holds this part of what is allowed is followed by another, so that the oldest can go
/// without everything else.
const PARTS: u64 = 16;

/// Whose embeddings they are.
pub(super) struct Owner {
    pub bundle: String,
    pub digest: String,
}

/// See the module.
pub(super) struct Files {
    folder: PathBuf,
    /// This node's part of it.
    own: PathBuf,
    owner: Owner,
    limits: Limits,
    open: BTreeMap<CameraId, Open>,
    /// Bytes of all files of this node, reckoned on from the last look at them.
    size: u64,
}

/// The file that a camera's frames go to.
struct Open {
    place: Place,
    path: PathBuf,
    head: Head,
    rows: Appended,
    pictures: Option<Appended>,
}

/// A file that only grows.
struct Appended {
    file: File,
    length: u64,
}

impl Appended {
    /// # Errors
    /// Nothing of `bytes` is in the file then, as far as it still can be cut.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // Whoever opens it next cuts off what is left.
            let _cut = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

impl Open {
    fn length(&self) -> u64 {
        self.rows.length + self.pictures.as_ref().map_or(0, |pictures| pictures.length)
    }

    /// Where in the file of pictures it is now.
    fn put_picture(&mut self, jpeg: &[u8]) -> io::Result<u64> {
        let path = self.path.with_extension(PICTURES);
        let mut pictures = match self.pictures.take() {
            Some(pictures) => pictures,
            None => open_pictures(&path)?,
        };
        let at = pictures.length;
        let length = u32::try_from(jpeg.len()).map_err(io::Error::other)?;
        pictures.append(&[&length.to_le_bytes(), jpeg].concat())?;
        self.pictures = Some(pictures);
        Ok(at)
    }

    /// Bytes that were added.
    fn put(&mut self, seen: &Seen, jpeg: Option<&[u8]>) -> io::Result<u64> {
        let before = self.length();
        let picture = jpeg.map_or(Ok(0), |jpeg| self.put_picture(jpeg))?;
        let cut = seen.embeddings.len() > 1;
        let tiles = if cut { u8::try_from(seen.embeddings.len()).unwrap_or(u8::MAX) } else { 0 };
        let mut rows = Vec::with_capacity(seen.embeddings.len() * self.head.row_length());
        for (embedding, tile) in seen.embeddings.iter().zip(0_u8..) {
            let row = RowHead { time: seen.captured.time, tile, tiles, picture };
            self.head.put_row(row, embedding, &mut rows);
        }
        self.rows.append(&rows)?;
        Ok(self.length() - before)
    }
}

impl Files {
    pub(super) fn new(folder: PathBuf, node: &NodeId, owner: Owner, limits: Limits) -> Self {
        let own = folder.join(node.as_str());
        Self { folder, own, owner, limits, open: BTreeMap::new(), size: 0 }
    }

    /// Appends a frame. The error is for people.
    pub(super) fn keep(
        &mut self,
        seen: &Seen,
        jpeg: Option<&[u8]>,
        now: WallTime,
    ) -> Result<(), String> {
        let added = self.append(seen, jpeg).map_err(|error| self.cannot("written to", &error));
        match added {
            Ok(added) => self.size += added,
            Err(error) => {
                // It may be gone, or end in half a row: the next frame looks anew.
                self.open.remove(&seen.camera);
                return Err(error);
            }
        }
        if self.size > self.limits.size
            && let Err(trouble) = self.prune(now)
        {
            tracing::error!("{trouble}");
        }
        Ok(())
    }

    fn append(&mut self, seen: &Seen, jpeg: Option<&[u8]>) -> io::Result<u64> {
        let (Some(day), Some(first)) = (day_of(seen.captured.time), seen.embeddings.first()) else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "a frame without time or embedding",
            ));
        };
        let dim = first.0.len();
        if seen.embeddings.iter().any(|embedding| embedding.0.len() != dim) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "embeddings of different lengths"));
        }
        let full = self.limits.size / PARTS;
        let fits = |open: &Open| {
            open.place.day == day && open.head.base.len() == dim && open.length() < full
        };
        let open = match self.open.remove(&seen.camera).filter(fits) {
            Some(open) => open,
            None => self.find(&seen.camera, day, &first.0)?,
        };
        let open = self.open.entry(seen.camera.clone()).or_insert(open);
        open.put(seen, jpeg)
    }

    /// The file for a camera's frames of that day: the last that there is, or a new one.
    fn find(&self, camera: &CameraId, day: i64, base: &[f32]) -> io::Result<Open> {
        let folder = self.own.join(digest_folder(&self.owner.digest)).join(camera.as_str());
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&folder)?;
        let last = disk::names(&folder)?
            .iter()
            .filter_map(|name| Place::parse(name))
            .filter(|(place, _)| place.day == day)
            .map(|(place, _)| place.number)
            .max();
        let mut place = Place { day, number: last.unwrap_or(1) };
        if last.is_some() {
            if let Some(open) = self.reopen(&folder, place, base.len())? {
                return Ok(open);
            }
            place.number += 1;
        }
        let head = Head {
            camera: camera.clone(),
            bundle: self.owner.bundle.clone(),
            digest: self.owner.digest.clone(),
            base: base.to_vec(),
        };
        create(place.path(&folder, ROWS), place, head)
    }

    /// `None`: it is not to be appended to.
    fn reopen(&self, folder: &Path, place: Place, dim: usize) -> io::Result<Option<Open>> {
        let path = place.path(folder, ROWS);
        let file = match appending().open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let (head, start) = match disk::head(&file, length)? {
            Ok(head) => head,
            // There are no rows in it, and never will be.
            Err(Unfit::Torn) => {
                fs::remove_file(&path)?;
                return Ok(None);
            }
            Err(unfit) => {
                tracing::error!(file = %path.display(), "{unfit}; it is left alone, and another begun");
                return Ok(None);
            }
        };
        if head.digest != self.owner.digest || head.base.len() != dim {
            let (bundle, path) = (&head.bundle, path.display());
            tracing::error!(file = %path, bundle, "it is of another model; it is left alone, and another begun");
            return Ok(None);
        }
        let torn = (length - start) % head.row_length() as u64;
        if torn > 0 {
            tracing::warn!(file = %path.display(), bytes = torn, "a row that was not finished is cut off");
            file.set_len(length - torn)?;
        }
        let rows = Appended { file, length: length - torn };
        let open = Open { place, path, head, rows, pictures: None };
        let pictures =
            fs::metadata(open.path.with_extension(PICTURES)).map_or(0, |found| found.len());
        Ok((open.length() + pictures < self.limits.size / PARTS).then_some(open))
    }

    fn cannot(&self, what: &str, error: &io::Error) -> String {
        format!(
            "embeddings cannot be {what} {}: {error}; make it writable, or set embeddings.dir",
            self.folder.display()
        )
    }

    /// Removes days that are too old, and the oldest files when all together are too much.
    pub(super) fn prune(&mut self, now: WallTime) -> Result<(), String> {
        let mut kept = self.look().map_err(|error| self.cannot("looked through in", &error))?;
        kept.sort();
        self.size = kept.iter().map(|file| file.bytes).sum();
        let oldest = now.0 - self.limits.keep.as_secs_f64();
        let (mut failed, mut removed) = (None, 0);
        for file in &kept {
            let old = (file.place.day + 1) as f64 * DAY < oldest;
            if !old && self.size <= self.limits.size {
                break;
            }
            // A file without a name would take in rows that nobody finds.
            self.open.retain(|_, open| open.path != file.path);
            match remove(&file.path) {
                Ok(()) => {
                    self.size = self.size.saturating_sub(file.bytes);
                    removed += 1;
                }
                Err(error) => failed = Some(error),
            }
        }
        if removed > 0 {
            tracing::debug!(removed, bytes = self.size, "old embeddings");
        }
        failed.map_or(Ok(()), |error| Err(self.cannot("removed from", &error)))
    }

    /// This node's files, of all models.
    fn look(&self) -> io::Result<Vec<Kept>> {
        let mut kept: BTreeMap<(PathBuf, Place), u64> = BTreeMap::new();
        for digest in disk::names(&self.own)?.iter().filter(|name| is_digest_folder(name)) {
            let folder = self.own.join(digest);
            for camera in disk::names(&folder)? {
                let folder = folder.join(camera);
                for name in disk::names(&folder)? {
                    let Some((place, _)) = Place::parse(&name) else { continue };
                    let Ok(found) = fs::symlink_metadata(folder.join(name)) else { continue };
                    if found.is_file() {
                        *kept.entry((place.path(&folder, ROWS), place)).or_default() += found.len();
                    }
                }
            }
        }
        let file = |((path, place), bytes)| Kept { place, path, bytes };
        Ok(kept.into_iter().map(file).collect())
    }
}

/// A file of rows that may go, with its pictures.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    place: Place,
    path: PathBuf,
    bytes: u64,
}

fn remove(rows: &Path) -> io::Result<()> {
    for path in [rows.to_owned(), rows.with_extension(PICTURES)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // Those of a camera, and of a model, when they are empty.
    let _in_use = rows.parent().map(fs::remove_dir);
    let _in_use = rows.parent().and_then(Path::parent).map(fs::remove_dir);
    Ok(())
}

fn appending() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(FILE_MODE);
    options
}

fn create(path: PathBuf, place: Place, head: Head) -> io::Result<Open> {
    let bytes = head.bytes().ok_or(ErrorKind::InvalidInput)?;
    let file = appending().create_new(true).open(&path)?;
    let mut rows = Appended { file, length: 0 };
    if let Err(error) = rows.append(&bytes) {
        let _gone = fs::remove_file(&path);
        return Err(error);
    }
    Ok(Open { place, path, head, rows, pictures: None })
}

fn open_pictures(path: &Path) -> io::Result<Appended> {
    let file = appending().create(true).open(path)?;
    let length = file.metadata()?.len();
    let mut pictures = Appended { file, length };
    if length == 0 {
        pictures.append(PICTURES_MAGIC)?;
    }
    Ok(pictures)
}
