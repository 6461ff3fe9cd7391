//! Snapshots: frames that started events become JPEGs, in files and for the cameras' topics.
//!
//! [`run`] is the body of one thread: neither encoding nor a disk may hold up anything else. A picture
//! is handed back before it is written. A disk that is full or read-only costs files and nothing else,
//! and is said once and loudly. What is too old or too much goes, also when no event comes. Ends when
//! the publisher has gone, after the last picture.

mod files;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::sync::mpsc;

use self::files::Files;
use super::{Developed, Shot};
use crate::jpeg;
use crate::model::NodeId;

/// How often old files are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files older than this go.
    pub keep: Duration,
    /// Of all files, bytes; the oldest go first.
    pub size: u64,
}

/// The thread's channel ends and settings.
pub struct Snapshots {
    pub inbox: Receiver<Shot>,
    pub out: mpsc::Sender<Developed>,
    /// Pictures are handed back for their topics.
    pub shown: bool,
    /// Where files are kept; `None`: nowhere.
    pub folder: Option<PathBuf>,
    /// Only this one's files are ours to remove.
    pub node: NodeId,
    pub limits: Limits,
    /// 1 to 100.
    pub quality: u8,
}

/// Runs until the publisher has gone.
pub fn run(snapshots: Snapshots) {
    let Snapshots { inbox, out, shown, folder, node, limits, quality } = snapshots;
    let files = folder.map(|folder| Files::new(folder, node, limits));
    let mut developer = Developer { files, out, shown, quality, trouble: None };
    developer.prune();
    let mut pruned = Instant::now();
    loop {
        match inbox.recv_timeout(PRUNE_EVERY.saturating_sub(pruned.elapsed())) {
            Ok(shot) => developer.develop(&shot),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if pruned.elapsed() >= PRUNE_EVERY {
            developer.prune();
            pruned = Instant::now();
        }
    }
}

struct Developer {
    files: Option<Files>,
    out: mpsc::Sender<Developed>,
    shown: bool,
    quality: u8,
    /// What was last said to be wrong.
    trouble: Option<String>,
}

impl Developer {
    fn develop(&mut self, shot: &Shot) {
        let camera = &shot.camera;
        let jpeg = match jpeg::encode(&shot.picture, self.quality) {
            Ok(jpeg) => jpeg,
            Err(error) => {
                tracing::error!(%camera, %error, picture = ?shot.picture, "no JPEG can be made");
                return;
            }
        };
        if self.shown {
            self.say(Developed::Jpeg { camera: camera.clone(), jpeg: jpeg.clone() });
        }
        if let (Some(files), Some(file)) = (&mut self.files, &shot.file) {
            let written = files.write(file, &jpeg, SystemTime::now());
            self.note(written);
        }
    }

    fn prune(&mut self) {
        let Some(files) = &mut self.files else { return };
        // That it can read and remove does not say that it can write.
        if let Err(trouble) = files.prune(SystemTime::now()) {
            self.note(Err(trouble));
        }
    }

    /// Tells what is wrong when that has changed.
    fn note(&mut self, done: Result<(), String>) {
        let trouble = done.err();
        if self.trouble == trouble {
            return;
        }
        match &trouble {
            Some(cause) => tracing::error!("{cause}; events are sent, and their pictures not kept"),
            None => tracing::info!("snapshots are kept again"),
        }
        self.trouble.clone_from(&trouble);
        self.say(Developed::Trouble(trouble));
    }

    fn say(&self, developed: Developed) {
        if self.out.blocking_send(developed).is_err() {
            tracing::debug!("the publisher has gone");
        }
    }
}

#[cfg(test)]
#[path = "snapshots/tests.rs"]
mod tests;
