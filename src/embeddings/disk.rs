//! What reader and writer both ask the disk: what is in a folder, and how a file begins.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::format::{Head, Unfit};

/// What is in a folder; nothing when there is none.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // It may also be a file of somebody's.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().into_string().ok());
    entries.filter_map(|entry| name(entry).transpose()).collect()
}

/// The head of an open file of so many bytes, and how many of them it takes.
pub(super) fn head(file: &File, length: u64) -> io::Result<Result<(Head, u64), Unfit>> {
    // The first is enough for nearly every model.
    for room in [16 * 1024, 1 << 20] {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(room).min(room)];
        file.read_exact_at(&mut bytes, 0)?;
        match Head::read(&bytes) {
            Err(Unfit::Torn) if length > bytes.len() as u64 => {}
            head => return Ok(head.map(|(head, start)| (head, start as u64))),
        }
    }
    Ok(Err(Unfit::Foreign))
}
