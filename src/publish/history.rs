//! The history: every event in a database before it is sent, and what became of it.
//!
//! [`run`] is the body of one thread, which owns the database: waiting for a disk must not hold up
//! anything else. It answers every event, stored or not: a disk that is full or broken makes alerts no
//! later, and is said loudly. A file that is no database any more is set aside under another name,
//! and a new one begun. What an earlier life left is handed over first: events that no broker has
//! confirmed, the end of each event that was open, and the topics that may still be retained.

mod database;
mod past;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::database::{Database, Fault};
pub use self::past::{Past, Wanted, newest, past};
use super::{Ask, Left, Reply};
use crate::clock::Clock;
use crate::model::{Event, EventKind, WallTime};

/// How often old events are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// A database that cannot be opened is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Most events written as one: the disk is waited for once.
const TOGETHER: usize = 256;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events older than this go, whether or not a broker has had them.
    pub keep: Duration,
    /// The file's size, bytes; the oldest events go first.
    pub size: u64,
}

/// The thread's channel ends and settings.
pub struct History {
    /// The database; `None` for no history.
    pub file: Option<PathBuf>,
    pub limits: Limits,
    /// Most events that are handed over from an earlier life: the newest.
    pub capacity: usize,
    pub inbox: mpsc::Receiver<Ask>,
    pub out: mpsc::Sender<Reply>,
    pub clock: Clock,
}

/// Runs until the publisher has gone.
pub fn run(history: History) {
    let History { file, limits, capacity, mut inbox, out, clock } = history;
    let mut keeper = Keeper {
        file,
        limits,
        clock,
        database: None,
        tried: None,
        pruned: Instant::now(),
        trouble: None,
        out,
    };
    keeper.open();
    let left = keeper.left(capacity);
    keeper.say(Reply::Opened(left));
    let mut asks = Vec::new();
    while inbox.blocking_recv_many(&mut asks, TOGETHER) > 0 {
        keeper.take(std::mem::take(&mut asks));
        keeper.prune_when_due();
    }
}

struct Keeper {
    file: Option<PathBuf>,
    limits: Limits,
    clock: Clock,
    database: Option<Database>,
    /// When it was last tried to open it.
    tried: Option<Instant>,
    pruned: Instant,
    /// What was last said to be wrong.
    trouble: Option<String>,
    out: mpsc::Sender<Reply>,
}

impl Keeper {
    fn say(&self, reply: Reply) {
        if self.out.blocking_send(reply).is_err() {
            tracing::debug!("the publisher has gone");
        }
    }

    /// Tells what is wrong when that has changed; `None`: nothing any more.
    fn trouble(&mut self, trouble: Option<String>) {
        if self.trouble == trouble {
            return;
        }
        match &trouble {
            Some(cause) => tracing::error!("{cause}; events are sent, and not kept"),
            None => tracing::info!("the history is kept again"),
        }
        self.trouble.clone_from(&trouble);
        self.say(Reply::Trouble(trouble));
    }

    /// Opens the database where there is to be one.
    fn open(&mut self) {
        let Some(file) = self.file.clone() else { return };
        self.tried = Some(Instant::now());
        match open(&file, self.clock.wall()) {
            Ok(database) => self.database = Some(database),
            Err(cause) => self.trouble(Some(cause)),
        }
    }

    /// What an earlier life left.
    fn left(&mut self, capacity: usize) -> Left {
        let Some(database) = &mut self.database else { return Left::default() };
        database.left(self.clock.wall(), capacity).unwrap_or_else(|fault| {
            self.fault(&fault);
            Left::default()
        })
    }

    fn take(&mut self, asks: Vec<Ask>) {
        if self.database.is_none() && self.tried.is_some_and(|at| at.elapsed() >= RETRY_AFTER) {
            // What an earlier life left stays there: it comes with the next start.
            self.open();
        }
        let places = match &mut self.database {
            Some(database) => match database.write(&asks, self.clock.wall()) {
                Ok(places) => {
                    self.trouble(None);
                    places
                }
                Err(fault) => {
                    self.fault(&fault);
                    Vec::new()
                }
            },
            None => Vec::new(),
        };
        let mut places = places.into_iter();
        for ask in asks {
            if let Ask::Keep { number, .. } = ask {
                self.say(Reply::Kept { number, stored: places.next() });
            }
        }
    }

    fn fault(&mut self, fault: &Fault) {
        let Some(file) = self.file.clone() else { return };
        if fault.broken {
            self.database = None;
            let aside = set_aside(&file, self.clock.wall());
            self.trouble(Some(format!(
                "the history {} is broken: {fault}; {aside}",
                file.display()
            )));
            // At once: the next event shall be kept.
            match open(&file, self.clock.wall()) {
                Ok(database) => self.database = Some(database),
                Err(cause) => tracing::error!("{cause}"),
            }
            return;
        }
        self.trouble(Some(format!("the history {} cannot be written: {fault}", file.display())));
    }

    fn prune_when_due(&mut self) {
        if self.pruned.elapsed() < PRUNE_EVERY {
            return;
        }
        self.pruned = Instant::now();
        let Some(database) = &mut self.database else { return };
        match database.prune(self.limits, self.clock.wall()) {
            Ok(0) => {}
            Ok(lost) => {
                tracing::warn!(
                    lost,
                    "events that no broker took were too old to keep, or too many"
                );
            }
            Err(fault) => self.fault(&fault),
        }
    }
}

/// Opens the database; one that is broken is set aside. The error is for people.
fn open(file: &Path, now: WallTime) -> Result<Database, String> {
    let cannot = |cause: &dyn fmt::Display| {
        format!(
            "the history {} cannot be opened: {cause}; make its folder writable, or set history.dir",
            file.display()
        )
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
    }
    match Database::open(file) {
        Err(fault) if fault.broken => {
            let aside = set_aside(file, now);
            tracing::error!("the history {} is broken: {fault}; {aside}", file.display());
            Database::open(file).map_err(|fault| cannot(&fault))
        }
        opened => opened.map_err(|fault| cannot(&fault)),
    }
}

/// Moves the database out of the way; says where to.
fn set_aside(file: &Path, now: WallTime) -> String {
    let aside = file.with_extension(format!("broken-{}.sqlite", now.0 as u64));
    let with = |path: &Path, end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    for end in ["", "-wal", "-shm"] {
        if let Err(error) = std::fs::rename(with(file, end), with(&aside, end))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return format!("it cannot be set aside either: {error}");
        }
    }
    format!("it was set aside as {} and a new one begun", aside.display())
}

/// The end that an event never got, because seewhen was killed.
fn end_of(last: Event) -> Event {
    Event { kind: EventKind::End, end_time: Some(last.frame_time), ..last }
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
