//! Single rows: when they are, and what is in them.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;

use super::{DayFile, History, picture};
use crate::embeddings::Filter;
use crate::embeddings::format::{ROW_HEAD, RowHead};
use crate::embeddings::names::PICTURES;
use crate::model::{CameraId, Embedding, WallTime};

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    file: usize,
    row: u64,
    pub time: WallTime,
    /// Which tile of its frame.
    pub tile: u8,
    picture: u64,
}

impl Place {
    /// Whether a picture of its frame was kept.
    pub fn has_picture(&self) -> bool {
        self.picture > 0
    }
}

impl History {
    /// The rows that `filter` lets through, oldest days first. Rows only, not what is in them: a day has
    /// some hundred thousand.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn places(&self, filter: &Filter) -> io::Result<Vec<Place>> {
        let mut places = Vec::new();
        let mut parts = self.parts(filter);
        parts.reverse();
        for part in parts {
            let day = &self.files[part.file];
            let Some(file) = open(day)? else { continue };
            let length = day.head.row_length();
            for from in (part.from..part.to).step_by(1024) {
                let rows = (part.to - from).min(1024);
                let mut bytes = vec![0; rows as usize * length];
                file.read_exact_at(&mut bytes, day.offset(from)).map_err(|e| named(day, &e))?;
                for (row, bytes) in (from..).zip(bytes.chunks_exact(length)) {
                    let RowHead { time, tile, picture, .. } = RowHead::read(&bytes[..ROW_HEAD]);
                    if day.has(time) && filter.time(time) {
                        places.push(Place { file: part.file, row, time, tile, picture });
                    }
                }
            }
        }
        Ok(places)
    }

    /// Whose row it is.
    pub fn camera(&self, place: &Place) -> &CameraId {
        &self.files[place.file].head.camera
    }

    /// What the model made of it; `None` when its file has gone meanwhile.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn embedding(&self, place: &Place) -> io::Result<Option<Embedding>> {
        let day = &self.files[place.file];
        let Some(file) = open(day)? else { return Ok(None) };
        let mut bytes = vec![0; day.head.row_length()];
        file.read_exact_at(&mut bytes, day.offset(place.row)).map_err(|e| named(day, &e))?;
        Ok(Some(day.head.embedding(&bytes)))
    }

    /// The JPEG of its frame, where one was kept.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn picture_at(&self, place: &Place) -> io::Result<Option<Vec<u8>>> {
        if place.picture == 0 {
            return Ok(None);
        }
        let path = self.files[place.file].path.with_extension(PICTURES);
        match picture(&path, place.picture) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
                Ok(None)
            }
            found => found,
        }
    }
}

/// `None` when it is too old by now.
fn open(day: &DayFile) -> io::Result<Option<File>> {
    match File::open(&day.path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(day, &error)),
    }
}

fn named(day: &DayFile, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} cannot be read: {error}", day.path.display()))
}
