//! Reads the history of embeddings: what there is, and every row of it.
//!
//! Only reads, and takes a file as it is: one that is being appended to is read up to its last whole
//! row, one that went meanwhile has no rows. What cannot be read is named, and the rest is read.
//! Threads are the caller's: a scan is cut into [`Part`]s that have nothing to do with each other.

mod rows;
mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{Head, RowHead, Unfit};
use super::names::{DAY, PICTURES, Place, ROWS, digest_folder, is_digest_folder};
use super::product::Query;
use super::ranking::{Candidate, Hit, Ranking};
use super::{Filter, disk};
use crate::model::{CameraId, NodeId, WallTime};

pub use rows::Place as RowPlace;
pub use scan::{Frame, scan};

/// Rows of one part: some ten megabytes.
const PART: u64 = 64 * 1024;
/// Longest picture that is believed.
const MAX_PICTURE: u32 = 1 << 20;

/// Why there is no history to read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(
        "there is no history of embeddings in {}; `seewhen run` keeps one while [embeddings] is enabled",
        .0.display()
    )]
    Nothing(PathBuf),
    #[error(
        "the history in {} was made by {made_by}, and {wanted} cannot be compared with it: search with the \
         bundle that made it (--bundle), or wait for frames of the new one", folder.display()
    )]
    OtherModel { folder: PathBuf, made_by: String, wanted: String },
    #[error("the history of embeddings in {} cannot be read: {source}", folder.display())]
    Read { folder: PathBuf, source: io::Error },
}

/// One file of rows.
#[derive(Debug, Clone)]
pub struct DayFile {
    pub path: PathBuf,
    pub head: Arc<Head>,
    pub place: Place,
    /// Bytes before the first row.
    start: u64,
    /// Whole rows when it was looked at.
    pub rows: u64,
}

/// A run of rows of one file, by the file's place in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    file: usize,
    /// The frames that begin here or later…
    from: u64,
    /// …and before here.
    to: u64,
}

/// A camera's part of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Extent {
    pub from: WallTime,
    pub to: WallTime,
    /// Embeddings: a frame that is cut into tiles has several.
    pub rows: u64,
}

/// The files of one node that one model made.
#[derive(Debug)]
pub struct History {
    files: Vec<DayFile>,
    troubles: Vec<String>,
}

impl History {
    /// Looks at the files below `dir` that `node` has of the model with `digest`; `bundle` is its
    /// name, for errors.
    ///
    /// # Errors
    /// When there are none, or only those of other models.
    pub fn open(
        dir: &Path,
        node: &NodeId,
        digest: &str,
        bundle: &str,
    ) -> Result<Self, HistoryError> {
        let own = dir.join(node.as_str());
        let read = |source| HistoryError::Read { folder: own.clone(), source };
        let history = Self::look(&own.join(digest_folder(digest)), Some(digest)).map_err(read)?;
        if !history.files.is_empty() {
            return Ok(history);
        }
        let mut others = Vec::new();
        for name in disk::names(&own).map_err(read)? {
            if is_digest_folder(&name) && name != digest_folder(digest) {
                others.extend(Self::look(&own.join(name), None).map_err(read)?.files);
            }
        }
        let said = |head: &Head| {
            format!("bundle {} (digest {}…)", head.bundle, digest_folder(&head.digest))
        };
        let mut made_by: Vec<String> = others.iter().map(|file| said(&file.head)).collect();
        made_by.sort();
        made_by.dedup();
        if made_by.is_empty() {
            // Also where there are files that cannot be read: they are no history.
            tracing::debug!(troubles = ?history.troubles, "nothing to read");
            return Err(HistoryError::Nothing(own));
        }
        let wanted = format!("bundle {bundle} (digest {}…)", digest_folder(digest));
        Err(HistoryError::OtherModel { folder: own, made_by: made_by.join(" and "), wanted })
    }

    fn look(folder: &Path, digest: Option<&str>) -> io::Result<Self> {
        let (mut files, mut troubles) = (Vec::new(), Vec::new());
        for camera in
            disk::names(folder)?.into_iter().filter(|name| CameraId::try_new(name).is_ok())
        {
            let folder = folder.join(camera);
            for name in disk::names(&folder)? {
                let Some((place, ROWS)) = Place::parse(&name) else { continue };
                let path = folder.join(name);
                match open_file(&path, place, digest) {
                    Ok(Some(file)) => files.push(file),
                    Ok(None) => {}
                    Err(cause) => troubles.push(format!("{} is left out: {cause}", path.display())),
                }
            }
        }
        files.sort_by(|a, b| (&a.head.camera, a.place).cmp(&(&b.head.camera, b.place)));
        Ok(Self { files, troubles })
    }

    /// Files that could not be read, and why.
    pub fn troubles(&self) -> &[String] {
        &self.troubles
    }

    /// Values of an embedding.
    pub fn dim(&self) -> usize {
        self.files.first().map_or(0, |file| file.head.base.len())
    }

    /// The file that a [`Candidate`] is in.
    pub fn file(&self, index: u32) -> Option<&DayFile> {
        self.files.get(index as usize)
    }

    /// Which cameras there are, from when to when.
    pub fn cameras(&self) -> BTreeMap<CameraId, Extent> {
        let mut cameras: BTreeMap<CameraId, Extent> = BTreeMap::new();
        for file in &self.files {
            let Some((first, last)) = file.ends() else { continue };
            let extent = cameras.entry(file.head.camera.clone()).or_insert(Extent {
                from: first,
                to: last,
                rows: 0,
            });
            extent.from.0 = extent.from.0.min(first.0);
            extent.to.0 = extent.to.0.max(last.0);
            extent.rows += file.rows;
        }
        cameras
    }

    /// The rows that may be wanted, newest days first.
    pub fn parts(&self, filter: &Filter) -> Vec<Part> {
        let wanted = |file: &&DayFile| {
            let start = file.place.day as f64 * DAY;
            filter.camera(&file.head.camera) && filter.to.0 >= start && filter.from.0 < start + DAY
        };
        let mut files: Vec<usize> =
            (0..self.files.len()).filter(|index| wanted(&&self.files[*index])).collect();
        files.sort_by_key(|index| std::cmp::Reverse(self.files[*index].place));
        let parts = files.into_iter().flat_map(|file| {
            let rows = self.files[file].rows;
            (0..rows.div_ceil(PART)).map(move |part| {
                let from = part * PART;
                Part { file, from, to: rows.min(from + PART) }
            })
        });
        parts.collect()
    }

    /// The best `how_many` moments for a text, best first, by one thread.
    ///
    /// # Errors
    /// As [`rank`](Self::rank).
    pub fn nearest(&self, query: &Query, filter: &Filter, how_many: usize) -> io::Result<Vec<Hit>> {
        let ranking = self.rank(query, filter, self.parts(filter))?;
        Ok(self.hits(ranking, how_many))
    }

    /// Scans `parts` for what is most like `query`.
    ///
    /// # Errors
    /// When a file that is there cannot be read, or is of another dimension.
    pub fn rank(
        &self,
        query: &Query,
        filter: &Filter,
        parts: impl IntoIterator<Item = Part>,
    ) -> io::Result<Ranking> {
        let mut ranking = Ranking::default();
        let query = std::slice::from_ref(query);
        for part in parts {
            let file = u32::try_from(part.file).unwrap_or(u32::MAX);
            scan(self, part, filter, query, |frame| {
                let cosines = frame.cosines.iter().copied().zip(0_u8..);
                let Some((cosine, tile)) = cosines.max_by(|(a, _), (b, _)| a.total_cmp(b)) else {
                    return;
                };
                let Frame { time, tiles, picture, .. } = *frame;
                ranking.add(Candidate { cosine, time, tile, tiles, file, picture });
            })?;
        }
        Ok(ranking)
    }

    /// What a ranking of this history has found.
    pub fn hits(&self, ranking: Ranking, how_many: usize) -> Vec<Hit> {
        ranking.hits(how_many, |file| self.files[file as usize].head.camera.clone())
    }

    /// The JPEG of a frame, where one was kept.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn picture(&self, candidate: &Candidate) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file(candidate.file).filter(|_| candidate.picture > 0) else {
            return Ok(None);
        };
        match picture(&file.path.with_extension(PICTURES), candidate.picture) {
            // Retention took it, or a power cut its end.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) =>
            {
                Ok(None)
            }
            found => found,
        }
    }
}

impl DayFile {
    /// Times of the first and the last row that make sense.
    fn ends(&self) -> Option<(WallTime, WallTime)> {
        let file = File::open(&self.path).ok()?;
        let time = |row: u64| {
            let mut bytes = vec![0; self.head.row_length()];
            file.read_exact_at(&mut bytes, self.offset(row)).ok()?;
            let time = RowHead::read(&bytes).time;
            self.has(time).then_some(time)
        };
        // Behind a power cut some of the last rows may be zeros.
        let first = (0..self.rows.min(1000)).find_map(time)?;
        let last = (self.rows.saturating_sub(1000)..self.rows).rev().find_map(time)?;
        Some((first, last))
    }

    fn offset(&self, row: u64) -> u64 {
        self.start + row * self.head.row_length() as u64
    }

    /// Whether a time lies in the file's day.
    fn has(&self, time: WallTime) -> bool {
        let start = self.place.day as f64 * DAY;
        (start..start + DAY).contains(&time.0)
    }
}

/// `None`: there are no rows in it, or it is gone.
fn open_file(path: &Path, place: Place, digest: Option<&str>) -> Result<Option<DayFile>, String> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let (head, start) = match disk::head(&file, length).map_err(|error| error.to_string())? {
        Ok(head) => head,
        Err(Unfit::Torn) => return Ok(None),
        Err(unfit) => return Err(unfit.to_string()),
    };
    if digest.is_some_and(|digest| digest != head.digest) {
        return Err(format!("it is of another model, bundle {}", head.bundle));
    }
    let rows = length.saturating_sub(start) / head.row_length() as u64;
    let file = DayFile { path: path.to_owned(), head: Arc::new(head), place, start, rows };
    Ok((rows > 0).then_some(file))
}

fn picture(path: &Path, at: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let mut length = [0; 4];
    file.read_exact_at(&mut length, at)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_PICTURE {
        return Ok(None);
    }
    let mut jpeg = vec![0; length as usize];
    file.read_exact_at(&mut jpeg, at + 4)?;
    Ok(jpeg.starts_with(&[0xff, 0xd8]).then_some(jpeg))
}
