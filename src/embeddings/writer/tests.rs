//! Files on a real disk: what is written is read back, whatever happened between.

use std::fs;
use std::path::Path;
use std::thread::Builder;

use crossbeam_channel::Sender;
use tempfile::TempDir;

use super::super::Filter;
use super::super::names::DAY;
use super::super::product::Query;
use super::super::reader::History;
use super::*;
use crate::model::{Captured, Embedding, Moment, Picture};

/// Noon of some day.
const NOON: f64 = 20_783.0 * DAY + 43_200.0;
const DIM: usize = 8;
const LIMITS: Limits = Limits { keep: Duration::from_secs(400 * 86_400), size: 1 << 20 };

fn digest() -> String {
    "0123456789abcdef".repeat(4)
}

fn camera(name: &str) -> CameraId {
    CameraId::try_new(name).unwrap()
}

/// An embedding that points along `axis`.
fn along(axis: usize) -> Embedding {
    let mut values = vec![0.05; DIM];
    values[axis % DIM] = 0.98;
    Embedding(values)
}

fn seen(name: &str, time: f64, axis: usize) -> Seen {
    let captured = Captured { at: Moment::default(), time: WallTime(time) };
    Seen { camera: camera(name), captured, embeddings: [along(axis)].into(), picture: None }
}

struct Running {
    to: Sender<Seen>,
    thread: std::thread::JoinHandle<()>,
    tally: Arc<Tally>,
}

impl Running {
    fn start(folder: &Path, limits: Limits, pictures: bool) -> Self {
        let (to, inbox) = crossbeam_channel::bounded(8);
        let tally = Arc::<Tally>::default();
        let writer = Writer {
            inbox,
            folder: folder.to_owned(),
            node: NodeId::try_new("gate").unwrap(),
            bundle: "made-up".to_owned(),
            digest: digest(),
            limits,
            pictures,
            retry: Duration::ZERO,
            tally: tally.clone(),
        };
        Self { to, thread: Builder::new().spawn(move || run(writer)).unwrap(), tally }
    }

    fn end(self) -> Arc<Tally> {
        drop(self.to);
        self.thread.join().unwrap();
        self.tally
    }
}

fn write(folder: &Path, limits: Limits, frames: impl IntoIterator<Item = Seen>) -> Arc<Tally> {
    let running = Running::start(folder, limits, true);
    frames.into_iter().for_each(|frame| running.to.send(frame).unwrap());
    running.end()
}

fn open(folder: &Path) -> History {
    let node = NodeId::try_new("gate").unwrap();
    History::open(folder, &node, &digest(), "made-up").unwrap()
}

/// Times and axes of all frames, in the order they were written.
fn all(folder: &Path) -> Vec<(String, f64, usize)> {
    let history = open(folder);
    let queries: Vec<Query> = (0..DIM).map(|axis| Query::new(&along(axis))).collect();
    let mut found = Vec::new();
    for part in history.parts(&Filter::default()) {
        super::super::reader::scan(&history, part, &Filter::default(), &queries, |frame| {
            let best = frame.cosines.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            found.push((frame.camera.to_string(), frame.time.0, best.0 % DIM));
        })
        .unwrap();
    }
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn rows(date: &str) -> String {
    format!("gate/0123456789abcdef/yard/{date}.emb")
}

#[test]
fn frames_of_cameras_and_days_come_back_in_any_order_of_starts() {
    let folder = TempDir::new().unwrap();
    let frames = |from: usize| {
        (from..from + 3).flat_map(move |n| {
            let time = NOON + n as f64 * DAY / 2.0;
            [seen("yard", time, n), seen("porch", time + 1.0, n + 1)]
        })
    };
    assert_eq!(write(folder.path(), LIMITS, frames(0)).kept(), 6);
    // A second start appends.
    assert_eq!(write(folder.path(), LIMITS, frames(3)).kept(), 6);
    let found = all(folder.path());
    let wanted: Vec<_> = frames(0)
        .chain(frames(3))
        .enumerate()
        .map(|(index, seen)| {
            (seen.camera.to_string(), seen.captured.time.0, (index / 2 + index % 2) % DIM)
        })
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(files(folder.path()).len(), 8, "{:?}", files(folder.path()));
    let cameras = open(folder.path()).cameras();
    let yard = &cameras[&camera("yard")];
    assert_eq!((yard.from.0, yard.to.0, yard.rows), (NOON, NOON + 2.5 * DAY, 6));
}

#[test]
fn tiles_are_one_frame() {
    let folder = TempDir::new().unwrap();
    let cut = |time, axes: [usize; 3]| {
        let embeddings = axes.map(along).to_vec().into();
        Seen { embeddings, ..seen("yard", time, 0) }
    };
    write(folder.path(), LIMITS, [cut(NOON, [1, 2, 3]), cut(NOON + 60.0, [4, 5, 6])]);
    let history = open(folder.path());
    let hits = history.nearest(&Query::new(&along(5)), &Filter::default(), 9).unwrap();
    assert_eq!(hits.len(), 2);
    let best = hits[0].best;
    assert_eq!((best.time.0, best.tile, best.tiles), (NOON + 60.0, 1, 3));
    assert!((best.cosine - 1.0).abs() < 0.03, "{best:?}");
}

#[test]
fn a_torn_row_is_cut_off_and_rows_of_zeros_are_none() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), LIMITS, [seen("yard", NOON, 1), seen("yard", NOON + 1.0, 2)]);
    let path = folder.path().join(rows("2026-11-26"));
    let whole = fs::read(&path).unwrap();
    for torn in
        [&whole[..whole.len() - 1], &whole[..whole.len() - 20], &[&whole[..], &[7; 5]].concat()]
    {
        fs::write(&path, torn).unwrap();
        let before = all(folder.path());
        assert!((1..=2).contains(&before.len()), "it is read as it is");
        write(folder.path(), LIMITS, [seen("yard", NOON + 2.0, 3)]);
        let mut wanted = before;
        wanted.push(("yard".to_owned(), NOON + 2.0, 3));
        assert_eq!(all(folder.path()), wanted);
    }
    // As a power cut leaves the end of a file.
    fs::write(&path, [&whole[..], &[0; 32 * 3]].concat()).unwrap();
    write(folder.path(), LIMITS, [seen("yard", NOON + 3.0, 4)]);
    let times: Vec<f64> = all(folder.path()).into_iter().map(|(_, time, _)| time - NOON).collect();
    assert_eq!(times, [0.0, 1.0, 3.0]);
    // A crash in the middle of the head.
    fs::write(&path, &whole[..30]).unwrap();
    write(folder.path(), LIMITS, [seen("yard", NOON + 4.0, 5)]);
    assert_eq!(all(folder.path()), [("yard".to_owned(), NOON + 4.0, 5)]);
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), LIMITS, [seen("yard", NOON, 1)]);
    let path = folder.path().join(rows("2026-11-26"));
    let mut newer = fs::read(&path).unwrap();
    newer[8] = 77;
    for foreign in [newer, b"something of somebody's, and long enough".to_vec()] {
        fs::write(&path, &foreign).unwrap();
        write(folder.path(), LIMITS, [seen("yard", NOON + 5.0, 2)]);
        assert_eq!(fs::read(&path).unwrap(), foreign);
        let history = open(folder.path());
        assert!(history.troubles()[0].contains("2026-11-26.emb is left out: it is"), "{history:?}");
        assert!(all(folder.path()).contains(&("yard".to_owned(), NOON + 5.0, 2)));
    }
    assert_eq!(files(folder.path()), [rows("2026-11-26.2"), rows("2026-11-26")], "appended to");
}

#[test]
fn old_days_go_and_the_oldest_when_it_is_too_much() {
    let folder = TempDir::new().unwrap();
    let theirs = folder.path().join("gate/0123456789abcdef/yard/notes.txt");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "keep").unwrap();
    let now = wall().0;
    let limits = Limits { keep: Duration::from_secs(3 * 86_400), size: 1 << 20 };
    write(folder.path(), limits, (0..10).map(|days| seen("yard", now - f64::from(days) * DAY, 1)));
    write(folder.path(), limits, []);
    let ages: Vec<f64> = all(folder.path()).iter().map(|(_, time, _)| now - time).collect();
    assert!(ages.len() >= 4 && ages.iter().all(|age| *age <= 4.0 * DAY + 1.0), "{ages:?}");
    assert!(theirs.exists());

    // 32 bytes a frame: a tenth of what is sent fits.
    let few = Limits { size: 64 * 1024, ..LIMITS };
    let frames = (0..20_000).map(|n| seen("yard", now + f64::from(n) * 0.01, n as usize));
    assert_eq!(write(folder.path(), few, frames).lost(), 0);
    let size: u64 = files(folder.path())
        .iter()
        .map(|file| fs::metadata(folder.path().join(file)).unwrap().len())
        .sum();
    assert!((48 * 1024..=65 * 1024).contains(&size), "{size} bytes of {:?}", files(folder.path()));
    let newest = all(folder.path()).last().unwrap().1;
    assert!((newest - (now + 199.99)).abs() < 0.001, "the newest are kept");
}

#[test]
fn pictures_come_back_with_their_frames() {
    let folder = TempDir::new().unwrap();
    let colours = [[220, 20, 20], [20, 200, 20], [20, 20, 220]];
    let frame = |n: usize| {
        let rgb = colours[n].repeat(64 * 48);
        let picture = Some(Arc::new(Picture { width: 64, height: 48, rgb }));
        Seen { picture, ..seen("yard", NOON + 60.0 * n as f64, n) }
    };
    write(folder.path(), LIMITS, (0..2).map(frame));
    write(folder.path(), LIMITS, [frame(2), seen("yard", NOON + 600.0, 3)]);
    let history = open(folder.path());
    let best =
        |axis| history.nearest(&Query::new(&along(axis)), &Filter::default(), 1).unwrap()[0].best;
    for (axis, colour) in colours.iter().enumerate() {
        let jpeg = history.picture(&best(axis)).unwrap().unwrap();
        let pixel = *image::load_from_memory(&jpeg).unwrap().to_rgb8().get_pixel(30, 20);
        let far = pixel.0.iter().zip(colour).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(far < 8, "{pixel:?} {colour:?}");
    }
    assert_eq!(history.picture(&best(3)).unwrap(), None);

    let without = TempDir::new().unwrap();
    let running = Running::start(without.path(), LIMITS, false);
    running.to.send(frame(0)).unwrap();
    running.end();
    assert_eq!(files(without.path()), [rows("2026-11-26")], "nobody asked for pictures");
}

/// What cannot be written is counted, and all is well when it can be again.
#[test]
fn a_disk_that_takes_nothing_costs_the_frames_of_that_time() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("gate"), b"a file where a folder has to be").unwrap();
    let running = Running::start(folder.path(), LIMITS, false);
    (0..5).for_each(|n| running.to.send(seen("yard", NOON + f64::from(n), 1)).unwrap());
    let broken = || running.tally.lost() == 5;
    while !broken() {
        std::thread::yield_now();
    }
    let trouble = running.tally.trouble().unwrap();
    assert!(trouble.contains("embeddings cannot be written to"), "{trouble}");
    fs::remove_file(folder.path().join("gate")).unwrap();
    running.to.send(seen("yard", NOON + 9.0, 2)).unwrap();
    // No time, and no embedding: they cost themselves alone.
    running.to.send(seen("yard", f64::NAN, 2)).unwrap();
    running.to.send(Seen { embeddings: [].into(), ..seen("yard", NOON, 1) }).unwrap();
    running.to.send(seen("yard", NOON + 10.0, 3)).unwrap();
    let tally = running.end();
    assert_eq!((tally.kept(), tally.lost(), tally.trouble()), (2, 7, None));
    assert_eq!(all(folder.path()).len(), 2);
}
