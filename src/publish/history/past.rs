//! Events of the past, for whoever looks them up. Beside the thread that writes them: SQLite's readers wait
//! for no writer.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};

use super::database::{COLUMNS, MIGRATIONS, event};
use crate::model::{CameraId, Event, LabelId, WatchId};

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
    let cannot =
        |error: rusqlite::Error| format!("the history {} cannot be read: {error}", file.display());
    look_up(file, wanted).map_err(cannot)
}

fn look_up(file: &Path, wanted: &Wanted) -> rusqlite::Result<Past> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    // Just being made, or brought up to date: its tables come one after the other.
    let version =
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    if usize::try_from(version).is_ok_and(|version| version < MIGRATIONS.len()) {
        return Ok(Past::default());
    }
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
