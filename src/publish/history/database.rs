//! The SQLite database of the history. The only file that knows rusqlite.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, Row, Transaction, params};

use super::{Limits, end_of};
use crate::model::{
    BadId, CameraId, Event, EventKind, LabelId, LabelKey, Probability, Region, Suppressed,
    WallTime, WatchId,
};
use crate::publish::{Ask, Left, Settled};

/// One statement list for each step from an older file to a newer one.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("schema.sql"), include_str!("suppressed.sql"), include_str!("snapshots.sql")];
/// Another process may look into the file.
const BUSY: Duration = Duration::from_secs(5);
/// Of the events, when the file is too large.
const SHARE_THAT_GOES: i64 = 10;

pub(super) const COLUMNS: &str = "seq, id, kind, camera, watch, label, start_time, end_time, frame_time, \
                       probability, top_probability, threshold, probabilities, tile, model, suppressed, \
                       snapshot";

/// What SQLite says.
#[derive(Debug)]
pub(super) struct Fault {
    /// The file is no database, or not a whole one.
    pub(super) broken: bool,
    text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        let broken = matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
        Self { broken, text: error.to_string() }
    }
}

/// An open database.
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // Effective in a new file only, and before its first table.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let version = usize::try_from(version).unwrap_or(usize::MAX);
        if version > MIGRATIONS.len() {
            let text = format!("it was made by a newer seewhen (version {version} of its tables)");
            return Err(Fault { broken: false, text });
        }
        for (number, migration) in MIGRATIONS.iter().enumerate().skip(version) {
            let change = connection.transaction()?;
            change.execute_batch(migration)?;
            change.pragma_update(None, "user_version", number as i64 + 1)?;
            change.commit()?;
        }
        Ok(Self { connection })
    }

    /// What an earlier life left: at most `capacity` events, the newest. Those that were open get their end.
    pub(super) fn left(&mut self, now: WallTime, capacity: usize) -> Result<Left, Fault> {
        let change = self.connection.transaction()?;
        for last in open_events(&change)? {
            insert(&change, &end_of(last), now)?;
        }
        let dropped = change.execute(
            "UPDATE events SET state = 'dropped', settled = ?1 WHERE state = 'waiting' AND seq NOT IN \
             (SELECT seq FROM events WHERE state = 'waiting' ORDER BY seq DESC LIMIT ?2)",
            params![now.0, i64::try_from(capacity).unwrap_or(i64::MAX)],
        )?;
        let query = format!("SELECT {COLUMNS} FROM events WHERE state = 'waiting' ORDER BY seq");
        let events = change.prepare(&query)?.query_map([], event)?.collect::<Result<_, _>>()?;
        let topics = change
            .prepare("SELECT topic FROM topics")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        change.commit()?;
        Ok(Left { events, topics, dropped })
    }

    /// Does all that is asked for, or nothing. Gives the places of the events, in order.
    pub(super) fn write(&mut self, asks: &[Ask], now: WallTime) -> Result<Vec<i64>, Fault> {
        // An event that was sent must not be gone after a power cut. What became of it may be: it is
        // then sent once more, and nothing waits for the disk.
        let events = asks.iter().any(|ask| matches!(ask, Ask::Keep { .. }));
        self.connection.pragma_update(
            None,
            "synchronous",
            if events { "FULL" } else { "NORMAL" },
        )?;
        let change = self.connection.transaction()?;
        let mut places = Vec::new();
        for ask in asks {
            match ask {
                Ask::Keep { event, .. } => places.push(insert(&change, event, now)?),
                Ask::Settle { stored, how } => settle(&change, *stored, *how, now)?,
                Ask::Topic(topic) => {
                    change
                        .prepare_cached("INSERT OR IGNORE INTO topics VALUES (?1)")?
                        .execute([topic])?;
                }
                Ask::NoTopic(topic) => {
                    change
                        .prepare_cached("DELETE FROM topics WHERE topic = ?1")?
                        .execute([topic])?;
                }
            }
        }
        change.commit()?;
        Ok(places)
    }

    /// Takes out what is too old or too much. Gives how many events went that no broker had.
    pub(super) fn prune(&mut self, limits: Limits, now: WallTime) -> Result<usize, Fault> {
        let oldest = now.0 - limits.keep.as_secs_f64();
        let mut lost = self.remove("written < ?1", oldest)?;
        while self.size()? > limits.size {
            let range = "SELECT MIN(seq), MAX(seq) FROM events";
            let ends =
                |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
            let (Some(least), Some(most)) = self.connection.query_row(range, [], ends)? else {
                break;
            };
            let end: i64 = least + (most - least) / SHARE_THAT_GOES + 1;
            lost += self.remove("seq < ?1", end as f64)?;
        }
        // Both work a row at a time.
        for pragma in ["PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            let mut work = self.connection.prepare(pragma)?;
            let mut rows = work.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(lost)
    }

    fn remove(&mut self, which: &str, bound: f64) -> Result<usize, Fault> {
        let change = self.connection.transaction()?;
        let count = format!("SELECT COUNT(*) FROM events WHERE state = 'waiting' AND {which}");
        let lost: i64 = change.query_row(&count, [bound], |row| row.get(0))?;
        change.execute(&format!("DELETE FROM events WHERE {which}"), [bound])?;
        change.commit()?;
        Ok(usize::try_from(lost).unwrap_or(0))
    }

    /// Bytes in use.
    fn size(&self) -> Result<u64, Fault> {
        let number =
            |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let pages = number("page_count")? - number("freelist_count")?;
        Ok(u64::try_from(pages * number("page_size")?).unwrap_or(0))
    }
}

/// The newest message of each event without an end.
fn open_events(change: &Transaction<'_>) -> Result<Vec<Event>, Fault> {
    let query = format!(
        "SELECT {COLUMNS}, MAX(seq) FROM events GROUP BY id HAVING SUM(kind = 'end') = 0 ORDER BY seq"
    );
    let mut found = change.prepare(&query)?;
    let events = found.query_map([], event)?;
    Ok(events.map(|row| row.map(|(_, event)| event)).collect::<Result<_, _>>()?)
}

fn insert(change: &Transaction<'_>, event: &Event, now: WallTime) -> Result<i64, Fault> {
    let mut statement = change.prepare_cached(
        "INSERT INTO events (id, kind, camera, watch, label, start_time, end_time, frame_time, \
         probability, top_probability, threshold, probabilities, tile, model, snapshot, written, \
         suppressed) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    let by_name: BTreeMap<&str, Probability> =
        event.probabilities.iter().map(|(label, p)| (label.as_str(), *p)).collect();
    let tile = event.tile.map(|tile| [tile.x, tile.y, tile.width, tile.height]);
    let place = statement.insert(params![
        &*event.id,
        event.kind.word(),
        event.key.camera.as_str(),
        event.key.watch.as_str(),
        event.key.label.as_str(),
        event.start_time.0,
        event.end_time.map(|time| time.0),
        event.frame_time.0,
        event.probability,
        event.top_probability,
        event.threshold,
        serde_json::to_string(&by_name).unwrap_or_default(),
        tile.and_then(|tile| serde_json::to_string(&tile).ok()),
        &*event.model,
        event.snapshot.as_deref(),
        now.0,
        event.suppressed.and_then(|suppressed| {
            let Suppressed { count, top_probability, first, last } = suppressed;
            serde_json::to_string(&(count, top_probability, first.0, last.0)).ok()
        }),
    ])?;
    Ok(place)
}

fn settle(change: &Transaction<'_>, place: i64, how: Settled, now: WallTime) -> Result<(), Fault> {
    let state = match how {
        Settled::Delivered => "delivered",
        Settled::Dropped => "dropped",
    };
    change
        .prepare_cached("UPDATE events SET state = ?2, settled = ?3 WHERE seq = ?1")?
        .execute(params![place, state, now.0])?;
    Ok(())
}

/// Camera, watch and label, in three columns from `first` on.
pub(super) fn key(row: &Row<'_>, first: usize) -> rusqlite::Result<LabelKey> {
    let text = |column| row.get::<_, String>(column);
    let wrong = |column| {
        move |error: BadId| {
            rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
        }
    };
    let [camera, watch, label] = [first, first + 1, first + 2];
    Ok(LabelKey {
        camera: CameraId::try_new(&text(camera)?).map_err(wrong(camera))?,
        watch: WatchId::try_new(&text(watch)?).map_err(wrong(watch))?,
        label: LabelId::try_new(&text(label)?).map_err(wrong(label))?,
    })
}

/// A row of [`COLUMNS`].
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<(i64, Event)> {
    let wrong = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    };
    let text = |column| row.get::<_, String>(column);
    let by_name: BTreeMap<String, Probability> =
        serde_json::from_str(&text(12)?).map_err(|error| wrong(12, error.into()))?;
    let tile = row.get::<_, Option<String>>(13)?;
    let tile: Option<[f64; 4]> = tile
        .map(|tile| serde_json::from_str(&tile))
        .transpose()
        .map_err(|error| wrong(13, error.into()))?;
    let suppressed = row.get::<_, Option<String>>(15)?;
    let suppressed: Option<(u64, Probability, f64, f64)> = suppressed
        .map(|suppressed| serde_json::from_str(&suppressed))
        .transpose()
        .map_err(|error| wrong(15, error.into()))?;
    let label = |name: &str| LabelId::try_new(name).map_err(|error| wrong(12, error.into()));
    let probabilities = by_name.iter().map(|(name, p)| Ok((label(name)?, *p)));
    let event = Event {
        id: text(1)?.into(),
        kind: match text(2)?.as_str() {
            "start" => EventKind::Start,
            "update" => EventKind::Update,
            _ => EventKind::End,
        },
        key: key(row, 3)?,
        start_time: WallTime(row.get(6)?),
        end_time: row.get::<_, Option<f64>>(7)?.map(WallTime),
        frame_time: WallTime(row.get(8)?),
        probability: row.get(9)?,
        top_probability: row.get(10)?,
        threshold: row.get(11)?,
        probabilities: probabilities.collect::<rusqlite::Result<_>>()?,
        tile: tile.map(|[x, y, width, height]| Region { x, y, width, height }),
        model: text(14)?.into(),
        suppressed: suppressed.map(|(count, top_probability, first, last)| Suppressed {
            count,
            top_probability,
            first: WallTime(first),
            last: WallTime(last),
        }),
        snapshot: row.get::<_, Option<String>>(16)?.map(Into::into),
    };
    Ok((row.get(0)?, event))
}
