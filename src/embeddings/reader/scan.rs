//! Goes through the rows of a part, frame by frame.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;

use super::{DayFile, History, Part};
use crate::embeddings::Filter;
use crate::embeddings::format::RowHead;
use crate::embeddings::product::{Product, Query};
use crate::model::{CameraId, WallTime};

/// Bytes read at once: what fits a processor's second cache beside other things.
const BLOCK: usize = 256 * 1024;

/// One frame of the history, and how like it is to each query.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame<'a> {
    pub camera: &'a CameraId,
    pub time: WallTime,
    /// 0: the frame was not cut.
    pub tiles: u8,
    /// Where its picture begins in the file of pictures; 0: there is none.
    pub picture: u64,
    /// Row by row: one row for each tile, or one for the frame; a column for each query.
    pub cosines: &'a [f32],
}

/// Calls `found` with each frame of the part that the filter wants, in the order they were written.
///
/// # Errors
/// When the file is there and cannot be read, and when a query has other dimensions.
pub fn scan(
    history: &History,
    part: Part,
    filter: &Filter,
    queries: &[Query],
    mut found: impl FnMut(&Frame<'_>),
) -> io::Result<()> {
    let day = &history.files[part.file];
    let product = Product::new(&day.head, queries).ok_or_else(|| {
        let what = format!("{}: embeddings of {} values", day.path.display(), day.head.base.len());
        io::Error::new(ErrorKind::InvalidData, what)
    })?;
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{} cannot be read: {error}", day.path.display()))
    };
    let file = match File::open(&day.path) {
        Ok(file) => file,
        // Too old by now.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(named(error)),
    };
    let row_length = day.head.row_length();
    let most = (BLOCK / row_length).max(1) as u64;
    let (mut bytes, mut cosines) = (Vec::new(), Vec::new());
    let mut frame = Gathering { day, filter, head: None, cosines: Vec::new() };
    let mut at = part.from;
    while at < day.rows {
        // Behind the part's end only the other tiles of its last frame are wanted.
        let left = if at < part.to { part.to - at } else { 16.min(day.rows - at) };
        let rows = left.min(most);
        bytes.resize(rows as usize * row_length, 0);
        file.read_exact_at(&mut bytes, day.offset(at)).map_err(named)?;
        product.cosines(&bytes, &mut cosines);
        let rows = bytes.chunks_exact(row_length).zip(cosines.chunks_exact(queries.len()));
        for (row, cosines) in rows {
            let head = RowHead::read(row);
            if head.tile == 0 {
                frame.finish(&mut found);
                if at >= part.to {
                    return Ok(());
                }
            }
            frame.take(head, cosines);
            at += 1;
        }
    }
    frame.finish(&mut found);
    Ok(())
}

/// The rows of one frame, as they come.
struct Gathering<'a> {
    day: &'a DayFile,
    filter: &'a Filter,
    head: Option<RowHead>,
    cosines: Vec<f32>,
}

impl Gathering<'_> {
    fn take(&mut self, head: RowHead, cosines: &[f32]) {
        let wanted = self.day.has(head.time) && self.filter.time(head.time);
        match self.head {
            None if head.tile == 0 && wanted => self.head = Some(head),
            Some(first) if first.time == head.time && head.tile > 0 => {}
            // A tile whose frame began in another part, is not wanted, or was torn.
            _ => return,
        }
        self.cosines.extend_from_slice(cosines);
    }

    fn finish(&mut self, found: &mut impl FnMut(&Frame<'_>)) {
        if let Some(RowHead { time, tiles, picture, .. }) = self.head.take() {
            let camera = &self.day.head.camera;
            found(&Frame { camera, time, tiles, picture, cosines: &self.cosines });
        }
        self.cosines.clear();
    }
}
