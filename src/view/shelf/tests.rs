//! Files of their own, in folders that are thrown away.

use std::time::Duration;

use super::*;
use crate::model::{Captured, Moment, Picture, Shown, View, WallTime};
use crate::view::{Sight, Watcher};

fn camera(id: &str) -> CameraId {
    CameraId::try_new(id).unwrap()
}

/// What three minutes of a made picture teach.
fn memo(id: &str) -> Memo {
    let level = |place: u32| ((place % 64 / 5) * (place % 64 / 5) * 31 % 200 + place / 64) as u8;
    let rgb = (0..64 * 36).flat_map(|place| [level(place); 3]).collect();
    let mut picture = Picture { width: 64, height: 36, rgb };
    let mut watcher = Watcher::default();
    for second in 0..180_u8 {
        picture.rgb[0] = second;
        let at = Moment(Duration::from_secs(u64::from(second)));
        let captured = Captured { at, time: WallTime(f64::from(second)) };
        watcher.look(captured, &Sight::of(&picture, View::default()));
    }
    let learnt = watcher.learnt().unwrap();
    Memo { camera: camera(id), shown: Shown(u64::MAX), time: WallTime(1_795_000_000.25), learnt }
}

struct Bench {
    folder: tempfile::TempDir,
    shelf: Shelf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path(), &NodeId::try_new("gate").unwrap());
        Self { folder, shelf }
    }

    fn run(&self, cameras: &[CameraId], news: impl IntoIterator<Item = News>) {
        let (to, inbox) = crossbeam_channel::bounded(64);
        news.into_iter().for_each(|one| to.send(one).unwrap());
        drop(to);
        run(&self.shelf, cameras, &inbox);
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("views-gate")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_was_written_is_read() {
    let (bench, porch) = (Bench::new(), camera("porch"));
    assert!(bench.shelf.read(&porch).unwrap().is_none());
    let memo = memo("porch");
    bench.run(std::slice::from_ref(&porch), [(porch.clone(), Some(memo.clone()))]);
    let read = bench.shelf.read(&porch).unwrap().unwrap();
    assert_eq!((&read.camera, read.shown, read.time), (&porch, memo.shown, memo.time));
    // Edges are rounded once.
    assert_eq!(read.text(), memo.text());
    let size = fs::metadata(bench.shelf.path(&porch)).unwrap().len();
    assert!(size < LARGEST / 20, "{size} bytes");

    bench.run(std::slice::from_ref(&porch), [(porch.clone(), None), (porch.clone(), None)]);
    assert!(bench.shelf.read(&porch).unwrap().is_none());
}

#[test]
fn cameras_that_are_no_more_leave_nothing() {
    let (bench, [a, b]) = (Bench::new(), ["a", "b"].map(camera));
    let of = |id: &CameraId| (id.clone(), Some(memo(id.as_str())));
    bench.run(&[a.clone(), b.clone()], [of(&a), of(&b)]);
    fs::write(bench.folder.path().join("views-gate/b.json.new"), "half of it").unwrap();
    fs::write(bench.folder.path().join("views-gate/notes.txt"), "somebody's").unwrap();
    bench.run(&[a], []);
    assert_eq!(bench.names(), ["a.json", "notes.txt"]);
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let (bench, porch) = (Bench::new(), camera("porch"));
    bench.run(&[], [(porch.clone(), Some(memo("porch")))]);
    let path = bench.shelf.path(&porch);
    let text = fs::read_to_string(&path).unwrap();
    for (damage, reason) in [
        (text[..text.len() / 2].to_owned(), "damaged: EOF"),
        (text.replace("\"version\":1", "\"version\":2"), "of version 2"),
        (text.replacen("\"edges\":[0,", "\"edges\":[", 1), "not as many edges"),
        (text.replace("porch", "a b"), "damaged: "),
        (String::new(), "damaged: EOF"),
    ] {
        fs::write(&path, damage).unwrap();
        let error = bench.shelf.read(&porch).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("porch.json"), "{error}");
    }
}

#[test]
fn a_disk_that_takes_nothing_costs_only_what_is_learnt() {
    let (bench, porch) = (Bench::new(), camera("porch"));
    fs::write(bench.folder.path().join("views-gate"), "a file, no folder").unwrap();
    let news = || (porch.clone(), Some(memo("porch")));
    bench.run(std::slice::from_ref(&porch), [news(), news()]);
    let error = bench.shelf.read(&porch).unwrap_err().to_string();
    assert!(error.contains("views-gate"), "{error}");
}
