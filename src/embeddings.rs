//! The history of embeddings: what the model made of every analysed frame, to be searched later.
//!
//! [`writer`] is the thread that keeps them, in files for each camera and day; [`reader`] finds and
//! reads those files, beside a writer that goes on or without one. [`format`](mod@format) is what is in
//! them, [`names`] how they are called, [`product`] compares rows with texts, [`ranking`] finds the
//! best moments. No picture is kept unless that was asked for.

mod disk;
pub mod format;
pub mod names;
pub mod product;
pub mod ranking;
pub mod reader;
pub mod when;
pub mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{CameraId, Captured, Embedding, Picture, WallTime};

/// One analysed frame on its way into the history.
#[derive(Debug, Clone)]
pub struct Seen {
    pub camera: CameraId,
    pub captured: Captured,
    /// One for each tile of the frame, or one for all of it; of one length.
    pub embeddings: Arc<[Embedding]>,
    /// What was looked at, masks applied; only needed where pictures are kept.
    pub picture: Option<Arc<Picture>>,
}

/// How the writer fares; it writes, anybody reads.
#[derive(Debug, Default)]
pub struct Tally {
    kept: AtomicU64,
    lost: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Tally {
    /// Frames that are in the files.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Frames that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// A frame was not taken in.
    pub fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Why frames are not kept; `None` while they are.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Which frames a reader wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Empty: all.
    pub cameras: Vec<CameraId>,
    /// The first moment that counts.
    pub from: WallTime,
    /// The last.
    pub to: WallTime,
}

impl Default for Filter {
    /// Everything.
    fn default() -> Self {
        let (from, to) = (WallTime(f64::NEG_INFINITY), WallTime(f64::INFINITY));
        Self { cameras: Vec::new(), from, to }
    }
}

impl Filter {
    pub fn camera(&self, camera: &CameraId) -> bool {
        self.cameras.is_empty() || self.cameras.contains(camera)
    }

    pub fn time(&self, time: WallTime) -> bool {
        self.from <= time && time <= self.to
    }
}
