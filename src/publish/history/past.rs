//! Events of the past, for whoever looks them up. Beside the thread that writes them: SQLite's readers wait
//! for no writer.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};

use super::database::{COLUMNS, MIGRATIONS, event, key};
use crate::model::{CameraId, Event, LabelId, LabelKey, WallTime, WatchId};

/// A writer that makes a checkpoint is waited for.
const BUSY: Duration = Duration::from_secs(2);

/// Which events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// Those that started before this, Unix seconds.
    pub before: Option<f64>,
    pub camera: Option<CameraId>,
    pub watch: Option<WatchId>,
    pub label: Option<LabelId>,
    pub limit: usize,
}

/// The newest first, each with its newest message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Past {
    pub events: Vec<Event>,
    /// There are older ones.
    pub more: bool,
}

/// Looks events up in the database `file`. One that is not there has none.
///
/// # Errors
/// When it cannot be read; for people.
pub fn past(file: &Path, wanted: &Wanted) -> Result<Past, String> {
    if !file.exists() {
        return Ok(Past::default());
    }
    look_up(file, wanted).map_err(|error| unreadable(file, &error))
}

/// When the newest event of each label ended, or the broker confirmed that, whichever was later; of those for
/// which it was after `since`. An event without an end counts by its newest frame that was told.
///
/// # Errors
/// As [`past`].
pub fn newest(file: &Path, since: WallTime) -> Result<Vec<(LabelKey, WallTime)>, String> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    look_up_newest(file, since).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &rusqlite::Error) -> String {
    format!("the history {} cannot be read: {error}", file.display())
}

fn look_up_newest(file: &Path, since: WallTime) -> rusqlite::Result<Vec<(LabelKey, WallTime)>> {
    let Some(connection) = open(file)? else { return Ok(Vec::new()) };
    let mut found = connection.prepare(
        "SELECT camera, watch, label, MAX(MAX(COALESCE(end_time, frame_time), \
         CASE state WHEN 'delivered' THEN settled ELSE 0 END)) AS last \
         FROM events WHERE written > ?1 OR settled > ?1 \
         GROUP BY camera, watch, label HAVING last > ?1",
    )?;
    let rows = found.query_map([since.0], |row| Ok((key(row, 0)?, WallTime(row.get(3)?))))?;
    rows.collect()
}

/// For reading; `None` when it is just being made, or brought up to date: its tables come one after the other.
fn open(file: &Path) -> rusqlite::Result<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    let version =
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    let whole = usize::try_from(version).is_ok_and(|version| version >= MIGRATIONS.len());
    Ok(whole.then_some(connection))
}

fn look_up(file: &Path, wanted: &Wanted) -> rusqlite::Result<Past> {
    let Some(connection) = open(file)? else { return Ok(Past::default()) };
    let Wanted { before, camera, watch, label, limit } = wanted;
    let mut conditions = vec!["kind = 'start'"];
    let mut values = Vec::new();
    if let Some(before) = before {
        conditions.push("start_time < ?");
        // What is told is rounded to milliseconds, and one that was rounded up is not before itself.
        values.push(Value::from(*before - 0.0005));
    }
    for (condition, value) in [
        ("camera = ?", camera.as_ref().map(CameraId::as_str)),
        ("watch = ?", watch.as_ref().map(WatchId::as_str)),
        ("label = ?", label.as_ref().map(LabelId::as_str)),
    ] {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(Value::from(value.to_owned()));
        }
    }
    // One more than wanted tells whether there are more.
    values.push(Value::from(i64::try_from(limit + 1).unwrap_or(i64::MAX)));
    let query = format!(
        "SELECT {COLUMNS} FROM events WHERE seq IN (SELECT MAX(seq) FROM events WHERE id IN \
         (SELECT id FROM events WHERE {} ORDER BY start_time DESC LIMIT ?) GROUP BY id) \
         ORDER BY start_time DESC, seq DESC",
        conditions.join(" AND ")
    );
    let mut found = connection.prepare(&query)?;
    let rows = found.query_map(params_from_iter(values), event)?;
    let mut events: Vec<Event> =
        rows.map(|row| row.map(|(_, event)| event)).collect::<rusqlite::Result<_>>()?;
    let more = events.len() > *limit;
    events.truncate(*limit);
    Ok(Past { events, more })
}
