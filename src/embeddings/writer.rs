//! Keeps what the model made of every frame, as files for each camera and day.
//!
//! [`run`] is the body of one thread: no disk may hold up anything else. A disk that is full or
//! read-only costs the frames of that time and nothing else; it is said once and loudly, the frames
//! are counted, and it is tried again. What is too old or too much goes, also when no frame comes.
//! Ends when whoever sends frames has gone, after the last frame.

mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use self::files::{Files, Owner};
use super::{Seen, Tally};
use crate::jpeg;
use crate::model::{CameraId, NodeId, WallTime};

/// How long a camera's frames are let go of after one could not be written.
pub const RETRY: Duration = Duration::from_secs(10);
/// How often old files are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Days that are over for longer than this go.
    pub keep: Duration,
    /// Of all files of this node, bytes; the oldest go first.
    pub size: u64,
}

/// The thread's channel end and settings.
pub struct Writer {
    pub inbox: Receiver<Seen>,
    /// Where all nodes' files are.
    pub folder: PathBuf,
    /// Only this one's files are ours to remove.
    pub node: NodeId,
    /// The name and the digest of the bundle whose embeddings these are.
    pub bundle: String,
    pub digest: String,
    pub limits: Limits,
    /// Small pictures are kept beside the embeddings.
    pub pictures: bool,
    /// [`RETRY`], but for tests.
    pub retry: Duration,
    pub tally: Arc<Tally>,
}

/// Runs until whoever sends frames has gone.
pub fn run(writer: Writer) {
    let Writer { inbox, folder, node, bundle, digest, limits, pictures, retry, tally } = writer;
    let files = Files::new(folder, &node, Owner { bundle, digest }, limits);
    let mut keeper =
        Keeper { files, pictures, retry, tally, troubles: BTreeMap::new(), missing: 0 };
    keeper.prune();
    let mut pruned = Instant::now();
    loop {
        match inbox.recv_timeout(PRUNE_EVERY.saturating_sub(pruned.elapsed())) {
            Ok(seen) => keeper.take(&seen, Instant::now()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if pruned.elapsed() >= PRUNE_EVERY {
            keeper.prune();
            pruned = Instant::now();
        }
    }
}

struct Keeper {
    files: Files,
    pictures: bool,
    retry: Duration,
    tally: Arc<Tally>,
    /// What is wrong with a camera's files, and when they are to be tried again.
    troubles: BTreeMap<CameraId, (String, Instant)>,
    /// Frames since there is trouble.
    missing: u64,
}

impl Keeper {
    fn take(&mut self, seen: &Seen, now: Instant) {
        let waits = |(_, until): &(String, Instant)| now < *until;
        if self.troubles.get(&seen.camera).is_some_and(waits) {
            self.lose();
            return;
        }
        match self.files.keep(seen, self.thumbnail(seen).as_deref(), wall()) {
            Ok(()) => {
                self.tally.kept.fetch_add(1, Ordering::Relaxed);
                self.recovered(&seen.camera);
            }
            Err(trouble) => {
                self.lose();
                self.failed(&seen.camera, trouble, now);
            }
        }
    }

    fn thumbnail(&self, seen: &Seen) -> Option<Vec<u8>> {
        let picture = seen.picture.as_ref().filter(|_| self.pictures)?;
        match jpeg::thumbnail(picture) {
            Ok(jpeg) => Some(jpeg),
            Err(error) => {
                tracing::error!(camera = %seen.camera, %error, ?picture, "no small picture can be made");
                None
            }
        }
    }

    fn lose(&mut self) {
        self.missing += 1;
        self.tally.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&mut self, camera: &CameraId, trouble: String, now: Instant) {
        let known = self.troubles.values().any(|(known, _)| *known == trouble);
        if !known {
            tracing::error!(
                "{trouble}; frames are analysed as ever, and cannot be searched later (counted as lost)"
            );
            self.tally.set_trouble(Some(trouble.clone()));
        }
        self.troubles.insert(camera.clone(), (trouble, now + self.retry));
    }

    fn recovered(&mut self, camera: &CameraId) {
        if self.troubles.remove(camera).is_none() {
            return;
        }
        let rest = self.troubles.values().next().map(|(trouble, _)| trouble.clone());
        if rest.is_none() {
            tracing::info!(missing = self.missing, "embeddings are kept again");
            self.missing = 0;
        }
        self.tally.set_trouble(rest);
    }

    fn prune(&mut self) {
        // That it can read and remove does not say that it can write: no trouble ends here.
        if let Err(trouble) = self.files.prune(wall()) {
            tracing::error!("{trouble}");
        }
    }
}

fn wall() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64()))
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
