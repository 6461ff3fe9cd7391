//! The history against restarts, broken files and full disks, on real files.

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::model::{CameraId, LabelId, LabelKey, Region, Suppressed, WatchId};
use crate::publish::Settled;

const NOW: WallTime = WallTime(1_000_000.25);
const LIMITS: Limits = Limits { keep: Duration::from_secs(100), size: u64::MAX };

fn event(id: &str, kind: EventKind) -> Event {
    Event {
        id: id.into(),
        kind,
        key: LabelKey {
            camera: CameraId::try_new("porch").unwrap(),
            watch: WatchId::try_new("w").unwrap(),
            label: LabelId::try_new("parcel").unwrap(),
        },
        start_time: WallTime(999_999.125),
        end_time: (kind == EventKind::End).then_some(WallTime(1_000_000.0)),
        frame_time: NOW,
        probability: 0.1,
        top_probability: 0.9,
        threshold: 0.8,
        probabilities: BTreeMap::from([(LabelId::try_new("parcel").unwrap(), 0.1)]),
        tile: Some(Region { x: 0.25, y: 0.0, width: 0.5, height: 1.0 }),
        model: "mini".into(),
        suppressed: Some(Suppressed {
            count: 3,
            top_probability: 0.85,
            first: WallTime(999_000.5),
            last: WallTime(999_999.0),
        }),
        snapshot: Some("gate/porch/2001-09-09/01-46-40.250-w-parcel.jpg".into()),
    }
}

fn keep(number: u64, id: &str, kind: EventKind) -> Ask {
    Ask::Keep { number, event: Box::new(event(id, kind)) }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("history-test.sqlite")
}

fn ids(left: &Left) -> Vec<(String, EventKind)> {
    left.events.iter().map(|(_, event)| (event.id.to_string(), event.kind)).collect()
}

#[test]
fn an_event_comes_back_as_it_went() {
    let folder = TempDir::new().unwrap();
    let mut database = Database::open(&file(&folder)).unwrap();
    let plain =
        Event { tile: None, suppressed: None, snapshot: None, ..event("b", EventKind::End) };
    let asks =
        [keep(1, "a", EventKind::End), Ask::Keep { number: 2, event: Box::new(plain.clone()) }];
    assert_eq!(database.write(&asks, NOW).unwrap(), [1, 2]);
    drop(database);
    let left = Database::open(&file(&folder)).unwrap().left(NOW, 10).unwrap();
    assert_eq!(left.events, [(1, event("a", EventKind::End)), (2, plain)]);
}

#[test]
fn a_file_of_the_first_version_goes_on() {
    let folder = TempDir::new().unwrap();
    let old = rusqlite::Connection::open(file(&folder)).unwrap();
    old.execute_batch(include_str!("schema.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO events (id, kind, camera, watch, label, start_time, end_time, frame_time, \
         probability, top_probability, threshold, probabilities, model, written) VALUES ('a', \
         'end', 'porch', 'w', 'parcel', 1.0, 2.0, 3.0, 0.1, 0.9, 0.8, '{}', 'mini', 3.0); PRAGMA \
         user_version = 1",
    )
    .unwrap();
    drop(old);
    let mut database = Database::open(&file(&folder)).unwrap();
    database.write(&[keep(1, "b", EventKind::End)], NOW).unwrap();
    let left = database.left(NOW, 10).unwrap();
    let suppressed: Vec<_> = left.events.iter().map(|(_, event)| event.suppressed).collect();
    assert_eq!(suppressed, [None, event("b", EventKind::End).suppressed]);
}

#[test]
fn what_a_broker_has_is_not_left() {
    let folder = TempDir::new().unwrap();
    let mut database = Database::open(&file(&folder)).unwrap();
    let asks: Vec<Ask> = (1..=4).map(|n| keep(n, &n.to_string(), EventKind::End)).collect();
    database.write(&asks, NOW).unwrap();
    let settled = [
        Ask::Settle { stored: 1, how: Settled::Delivered },
        Ask::Settle { stored: 3, how: Settled::Dropped },
    ];
    database.write(&settled, NOW).unwrap();
    let left = database.left(NOW, 10).unwrap();
    assert_eq!(ids(&left), [("2".to_owned(), EventKind::End), ("4".to_owned(), EventKind::End)]);
    let newest = database.left(NOW, 1).unwrap();
    assert_eq!((ids(&newest).len(), newest.dropped), (1, 1));
    assert_eq!(newest.events[0].0, 4);
    assert_eq!(database.left(NOW, 10).unwrap().dropped, 0, "a dropped one is settled");
}

#[test]
fn an_event_that_was_open_ends() {
    let folder = TempDir::new().unwrap();
    let mut database = Database::open(&file(&folder)).unwrap();
    let asks = [
        keep(1, "open", EventKind::Start),
        keep(2, "open", EventKind::Update),
        keep(3, "done", EventKind::Start),
        keep(4, "done", EventKind::End),
    ];
    database.write(&asks, NOW).unwrap();
    let settled: Vec<Ask> =
        (1..=4).map(|stored| Ask::Settle { stored, how: Settled::Delivered }).collect();
    database.write(&settled, NOW).unwrap();
    let left = database.left(NOW, 10).unwrap();
    assert_eq!(ids(&left), [("open".to_owned(), EventKind::End)]);
    assert_eq!(left.events[0].1.end_time, Some(NOW));
    assert_eq!(ids(&database.left(NOW, 10).unwrap()).len(), 1, "it has one end");
}

#[test]
fn topics_are_known_until_they_are_cleared() {
    let folder = TempDir::new().unwrap();
    let mut database = Database::open(&file(&folder)).unwrap();
    let topic = |name: &str| Ask::Topic(name.to_owned());
    let asks = [topic("a"), topic("b"), topic("a"), Ask::NoTopic("b".to_owned())];
    database.write(&asks, NOW).unwrap();
    assert_eq!(database.left(NOW, 10).unwrap().topics, ["a"]);
}

#[test]
fn the_old_goes_and_so_does_the_oldest_of_too_much() {
    let folder = TempDir::new().unwrap();
    let mut database = Database::open(&file(&folder)).unwrap();
    let asks: Vec<Ask> = (0..2000).map(|n| keep(n, &n.to_string(), EventKind::End)).collect();
    database.write(&asks[..10], NOW).unwrap();
    database.write(&[Ask::Settle { stored: 1, how: Settled::Delivered }], NOW).unwrap();
    let later = WallTime(NOW.0 + 101.0);
    database.write(&asks[10..], later).unwrap();
    assert_eq!(database.prune(LIMITS, later).unwrap(), 9, "one had arrived");
    let full = std::fs::metadata(file(&folder)).unwrap().len();
    let half = Limits { size: full / 2, ..LIMITS };
    let lost = database.prune(half, later).unwrap();
    assert!((500..1990).contains(&lost), "{lost}");
    let left = database.left(later, 5000).unwrap();
    assert_eq!(left.events.len(), 1990 - lost);
    assert_eq!(&*left.events.last().unwrap().1.id, "1999", "the newest stay");
    assert!(std::fs::metadata(file(&folder)).unwrap().len() <= full / 2, "the file has shrunk");
}

#[test]
fn a_newer_file_is_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(Database::open(&file(&folder)).unwrap());
    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let fault = Database::open(&file(&folder)).map(drop).unwrap_err();
    assert!(!fault.broken && fault.to_string().contains("newer seewhen"), "{fault}");
}

/// A running history, and what it has said.
struct Running {
    asks: mpsc::Sender<Ask>,
    replies: mpsc::Receiver<Reply>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    fn start(file: &Path) -> (Self, Left) {
        let (asks, inbox) = mpsc::channel(16);
        let (out, mut replies) = mpsc::channel(16);
        let history = History {
            file: Some(file.to_owned()),
            limits: LIMITS,
            capacity: 100,
            inbox,
            out,
            clock: Clock::start(),
        };
        let work = move || run(history);
        let thread = std::thread::Builder::new().spawn(work).unwrap();
        let mut troubles = Vec::new();
        loop {
            match replies.blocking_recv().unwrap() {
                Reply::Opened(left) => return (Self { asks, replies, thread }, left),
                other => troubles.push(other),
            }
        }
    }

    /// Where an event was put, and what was said to be wrong before that.
    fn keep(&mut self, number: u64) -> (Option<i64>, Vec<String>) {
        let ask = keep(number, &number.to_string(), EventKind::End);
        self.asks.blocking_send(ask).unwrap();
        let mut troubles = Vec::new();
        loop {
            match self.replies.blocking_recv().unwrap() {
                Reply::Kept { number: kept, stored } => {
                    assert_eq!(kept, number);
                    return (stored, troubles);
                }
                Reply::Trouble(trouble) => troubles.push(trouble.unwrap_or_default()),
                Reply::Opened(_) => panic!("that comes once"),
            }
        }
    }

    fn stop(self) {
        drop(self.asks);
        self.thread.join().unwrap();
    }
}

#[test]
fn a_broken_file_is_set_aside() {
    let folder = TempDir::new().unwrap();
    std::fs::write(file(&folder), vec![7; 10_000]).unwrap();
    let (mut history, left) = Running::start(&file(&folder));
    assert_eq!(left, Left::default());
    assert_eq!(history.keep(1), (Some(1), vec![]));
    history.stop();
    let names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let aside = names.iter().find(|name| name.contains(".broken-")).unwrap();
    assert_eq!(std::fs::read(folder.path().join(aside)).unwrap(), vec![7; 10_000]);
    let (history, left) = Running::start(&file(&folder));
    assert_eq!(ids(&left), [("1".to_owned(), EventKind::End)]);
    history.stop();
}

#[test]
fn a_folder_that_cannot_be_made_stops_no_event() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("taken"), "no folder").unwrap();
    let (mut history, left) = Running::start(&folder.path().join("taken/history.sqlite"));
    assert_eq!((history.keep(1).0, left), (None, Left::default()));
    history.stop();
}

#[test]
fn a_database_that_is_just_being_made_has_no_events() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.sqlite");
    let wanted = Wanted { limit: 5, ..Wanted::default() };
    assert_eq!(past(&file, &wanted), Ok(Past::default()), "it is not there");
    std::fs::File::create(&file).unwrap();
    assert_eq!(past(&file, &wanted), Ok(Past::default()), "it has no tables");
    std::fs::write(&file, "no database at all, but a text of some length").unwrap();
    assert!(past(&file, &wanted).unwrap_err().contains("cannot be read"));
}

#[test]
fn the_newest_word_about_each_label() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    assert_eq!(newest(&path, WallTime(0.0)), Ok(Vec::new()), "there is no file");
    let mut database = Database::open(&path).unwrap();
    let of = |label: &str, id: &str, kind| {
        let event = event(id, kind);
        let key = LabelKey { label: LabelId::try_new(label).unwrap(), ..event.key };
        Ask::Keep { number: 1, event: Box::new(Event { key, ..event }) }
    };
    // An end at …000.0 that was confirmed later, one that was not, and an event without an end.
    let asks = [
        of("confirmed", "a", EventKind::End),
        of("waiting", "b", EventKind::Start),
        of("waiting", "b", EventKind::End),
        of("open", "c", EventKind::Start),
        of("dropped", "d", EventKind::End),
    ];
    database.write(&asks, NOW).unwrap();
    let settled = [
        Ask::Settle { stored: 1, how: Settled::Delivered },
        Ask::Settle { stored: 5, how: Settled::Dropped },
    ];
    database.write(&settled, WallTime(1_000_007.5)).unwrap();
    let found = |since: f64| -> Vec<(String, f64)> {
        let found = newest(&path, WallTime(since)).unwrap();
        found.into_iter().map(|(key, last)| (key.label.to_string(), last.0)).collect()
    };
    let named = |all: &[(&str, f64)]| -> Vec<(String, f64)> {
        all.iter().map(|(label, last)| ((*label).to_owned(), *last)).collect()
    };
    let (ended, frame, confirmed) = (1_000_000.0, NOW.0, 1_000_007.5);
    let mut all = found(0.0);
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        all,
        named(&[("confirmed", confirmed), ("dropped", ended), ("open", frame), ("waiting", frame)])
    );
    assert_eq!(found(1_000_001.0), named(&[("confirmed", confirmed)]));
    let other = folder.path().join("other.sqlite");
    std::fs::write(&other, "no database").unwrap();
    assert!(newest(&other, WallTime(0.0)).unwrap_err().contains("cannot be read"));
}
