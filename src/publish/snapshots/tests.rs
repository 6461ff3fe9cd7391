//! Real files and real JPEGs: what is kept, what goes, and what a full disk costs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::model::CameraId;
use crate::model::Picture;

const DAY: Duration = Duration::from_secs(24 * 3600);
const LIMITS: Limits = Limits { keep: DAY, size: 10_000 };

fn node() -> NodeId {
    NodeId::try_new("gate").unwrap()
}

fn files(folder: &TempDir) -> Files {
    Files::new(folder.path().to_owned(), node(), LIMITS)
}

fn name(second: usize) -> String {
    format!("gate/porch/2026-11-26/03-10-{second:02}.672-night-cat.jpg")
}

/// Sets when a file was written.
fn date(folder: &TempDir, name: &str, age: Duration, now: SystemTime) {
    let file = File::options().write(true).open(folder.path().join(name)).unwrap();
    file.set_modified(now - age).unwrap();
}

/// Everything below the folder that is no folder.
fn all(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn a_file_is_whole_and_not_for_everyone() {
    let folder = TempDir::new().unwrap();
    files(&folder).write(&name(1), b"JPEG", SystemTime::now()).unwrap();
    let path = folder.path().join(name(1));
    assert_eq!(fs::read(&path).unwrap(), b"JPEG");
    assert_eq!(all(folder.path()), names([&name(1)]), "nothing is left of the writing");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path) & 0o137, 0, "{:o}", mode(&path));
    assert_eq!(mode(path.parent().unwrap()) & 0o027, 0);
}

#[test]
fn the_old_goes_with_its_folders_and_nothing_that_is_not_ours() {
    let folder = TempDir::new().unwrap();
    let now = SystemTime::now();
    let mut files = files(&folder);
    let yard = "gate/yard/2026-11-25/23-59-59.999.jpg";
    let half = "gate/porch/2026-11-26/.03-10-07.672-night-cat.jpg.half";
    let others = [
        "gate/porch/2026-11-26/holiday.jpg",
        "gate/porch/2026-11-26/03-10-04.672-night-cat.png",
        "gate/porch/album/03-10-04.672-night-cat.jpg",
        "gate/03-10-04.672-night-cat.jpg",
        "door/porch/2026-11-26/03-10-04.672-night-cat.jpg",
        "gate/por ch/2026-11-26/03-10-04.672-night-cat.jpg",
    ];
    for name in [yard, half, &name(1), &name(2)].iter().chain(&others) {
        files.write(name, b"JPEG", now).unwrap();
        date(&folder, name, DAY * 2, now);
    }
    date(&folder, &name(2), DAY / 2, now);
    files.prune(now).unwrap();
    let mut left: BTreeSet<String> = others.map(str::to_owned).into();
    left.insert(name(2));
    assert_eq!(all(folder.path()), left);
    assert!(!folder.path().join("gate/yard").exists(), "an empty camera's folder goes");
    files.prune(now).unwrap();
    assert_eq!(all(folder.path()), left);
}

#[test]
fn of_too_much_the_oldest_goes_also_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let now = SystemTime::now();
    let mut first = files(&folder);
    let write = |files: &mut Files, n: usize| {
        files.write(&name(n), &[0; 1000], now).unwrap();
        // The name says nothing of the age: clocks are set.
        date(&folder, &name(n), Duration::from_secs(if n < 5 { 100 - n as u64 } else { 0 }), now);
    };
    (0..10).for_each(|n| write(&mut first, n));
    assert_eq!(all(folder.path()).len(), 10, "as much as there may be");
    let mut second = files(&folder);
    second.prune(now).unwrap();
    assert_eq!(all(folder.path()).len(), 10);
    write(&mut second, 10);
    let left: BTreeSet<String> = (2..11).map(name).collect();
    assert_eq!(all(folder.path()), left, "a little more than needed goes");
}

#[test]
fn no_folder_is_no_trouble_and_one_that_cannot_be_made_is() {
    let folder = TempDir::new().unwrap();
    let now = SystemTime::now();
    files(&folder).prune(now).unwrap();
    fs::write(folder.path().join("gate"), b"a file").unwrap();
    files(&folder).prune(now).unwrap();
    let error = files(&folder).write(&name(1), b"JPEG", now).unwrap_err();
    let place = folder.path().to_str().unwrap();
    assert!(error.contains(place) && error.contains("snapshots.dir"), "{error}");
}

fn picture(colour: [u8; 3]) -> Arc<Picture> {
    let (width, height) = (96, 64);
    let rgb = colour.repeat((width * height) as usize);
    Arc::new(Picture { width, height, rgb })
}

fn shot(file: &str, colour: [u8; 3]) -> Shot {
    Shot {
        camera: CameraId::try_new("porch").unwrap(),
        picture: picture(colour),
        file: Some(file.into()),
    }
}

/// What the thread says to these shots, with that folder.
fn developed(folder: Option<&Path>, shots: Vec<Shot>) -> Vec<Developed> {
    let (to, inbox) = crossbeam_channel::bounded(8);
    let (out, mut said) = mpsc::channel(64);
    shots.into_iter().for_each(|shot| to.send(shot).unwrap());
    drop(to);
    run(Snapshots {
        inbox,
        out,
        shown: true,
        folder: folder.map(Path::to_owned),
        node: node(),
        limits: LIMITS,
        quality: 85,
    });
    std::iter::from_fn(|| said.try_recv().ok()).collect()
}

#[test]
fn the_jpeg_is_the_frame_on_the_topic_and_in_the_file() {
    let folder = TempDir::new().unwrap();
    let said = developed(Some(folder.path()), vec![shot(&name(1), [200, 30, 60])]);
    let [Developed::Jpeg { camera, jpeg }] = &said[..] else { panic!("{said:?}") };
    assert_eq!(camera.as_str(), "porch");
    assert_eq!(fs::read(folder.path().join(name(1))).unwrap(), *jpeg);
    let image = image::load_from_memory(jpeg).unwrap().to_rgb8();
    assert_eq!(image.dimensions(), (96, 64));
    for pixel in image.pixels() {
        let far = pixel.0.iter().zip([200_u8, 30, 60]).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(far < 8, "{pixel:?}");
    }
}

#[test]
fn a_frame_that_is_none_costs_itself_only() {
    let none = Shot {
        picture: Arc::new(Picture { width: 0, height: 0, rgb: vec![] }),
        ..shot("x", [0; 3])
    };
    let said = developed(None, vec![none, shot("y", [9; 3])]);
    assert!(matches!(&said[..], [Developed::Jpeg { .. }]), "{said:?}");
}

/// Where files cannot be written, pictures still go to their topics; the trouble is said once, and
/// once that it is over.
#[test]
fn a_disk_that_takes_nothing_costs_files_only() {
    let folder = TempDir::new().unwrap();
    let blocked = folder.path().join("gate");
    fs::write(&blocked, b"a file where a folder has to be").unwrap();
    let (to, inbox) = crossbeam_channel::bounded(8);
    let (out, mut said) = mpsc::channel(64);
    let snapshots = Snapshots {
        inbox,
        out,
        shown: true,
        folder: Some(folder.path().to_owned()),
        node: node(),
        limits: LIMITS,
        quality: 85,
    };
    let thread = std::thread::Builder::new().spawn(move || run(snapshots)).unwrap();
    let mut hear = |count: usize| -> Vec<Developed> {
        (0..count).map(|_| said.blocking_recv().unwrap()).collect()
    };
    to.send(shot(&name(1), [1; 3])).unwrap();
    to.send(shot(&name(2), [2; 3])).unwrap();
    let first = hear(3);
    let trouble = |said: &Developed| matches!(said, Developed::Trouble(Some(_)));
    assert!(matches!(&first[0], Developed::Jpeg { .. }) && trouble(&first[1]), "{first:?}");
    assert!(matches!(&first[2], Developed::Jpeg { .. }), "said once: {first:?}");
    // The second has failed when the third is taken.
    to.send(shot(&name(3), [3; 3])).unwrap();
    assert!(matches!(hear(1)[0], Developed::Jpeg { .. }));
    fs::remove_file(&blocked).unwrap();
    to.send(shot(&name(4), [4; 3])).unwrap();
    drop(to);
    thread.join().unwrap();
    let mut last = Vec::new();
    while let Some(developed) = said.blocking_recv() {
        last.push(developed);
    }
    assert!(last.contains(&Developed::Trouble(None)), "{last:?}");
    assert!(all(folder.path()).contains(&name(4)));
}
