//! Promise: a running seewhen learns by command and from other processes, at once; a restart keeps it.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

#[path = "support/commands.rs"]
mod bench;
#[path = "support/history.rs"]
mod history;
mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bench::{Bench, SOON, still};
use history::{MODEL, START, clip, write};
use seewhen::taught::{Example, shelf};
use serde_json::{Value, json};
use support::{Broker, Seewhen};

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The first probability of the bars from now on that is wanted.
#[track_caller]
fn probability(bench: &Bench<'_>, wanted: impl Fn(f64) -> bool) -> f64 {
    let all = || bench.heard.on("garden/probabilities");
    let before = all().len();
    support::wait_for("a probability", SOON, || {
        let newer = all().into_iter().skip(before);
        let mut found = newer.map(|one| one.json()["probabilities"]["bars"].as_f64().unwrap());
        found.find(|p| wanted(*p))
    })
}

fn teach(kind: &str) -> Value {
    // A frame that is surely on the disk.
    let time = now() - 1.5;
    json!({ "command": "teach", "camera": "yard", "watch": "garden", "label": "bars", kind: [time] })
}

#[test]
fn teaching_takes_effect_at_once_and_survives() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let seewhen = Seewhen::start(&still(&broker));
    let before = probability(&bench, |_| true);
    assert!(before > 0.9, "the words are nearly sure that it is there: {before}");
    std::thread::sleep(Duration::from_secs(3));
    let reply = bench.done(teach("no"));
    assert_eq!(reply["taught"], json!({ "added": 1, "yes": 0, "no": 1 }), "{reply}");
    assert_eq!(reply["persisted"], true);
    let after = probability(&bench, |p| p < before - 0.2);

    // Over a restart, and over a kill.
    let seewhen = bench.restart(seewhen);
    probability(&bench, |p| (p - after).abs() < 1e-4);

    let undo = json!({ "command": "undo_teach", "watch": "garden", "label": "bars" });
    let reply = bench.done(undo.clone());
    assert_eq!(reply["taught"], json!({ "added": 0, "yes": 0, "no": 0 }));
    probability(&bench, |p| (p - before).abs() < 1e-4);
    assert!(bench.refused(undo).contains("no act of teaching"));
    for (command, words) in [
        (
            json!({ "command": "teach", "camera": "yard", "watch": "garden", "label": "bars",
            "yes": [1000.0] }),
            "no frame of camera yard is kept",
        ),
        (
            json!({ "command": "teach", "camera": "yard", "watch": "garden", "label": "grass",
            "yes": [now()] }),
            "is background",
        ),
        (
            json!({ "command": "teach", "camera": "yard", "watch": "garden", "label": "bras",
            "yes": [now()] }),
            "no label \"bras\"",
        ),
        (
            json!({ "command": "teach", "camera": "yard", "watch": "garden", "label": "bars",
            "yes": ["last event"], "no": "yesterday" }),
            "write how long ago",
        ),
    ] {
        let reason = bench.refused(command);
        assert!(reason.contains(words), "{words:?} is not in {reason}");
    }

    // Another process teaches; nobody tells this one.
    let mut other = support::command();
    other.args(["teach", "yard/garden/bars", "--no", "last event", "--config"]);
    other.arg(seewhen.folder.path().join("seewhen.toml"));
    let output = other.env("STATE_DIRECTORY", seewhen.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    seewhen.expect_log("lessons were changed by another process", SOON);
    probability(&bench, |p| p < before - 0.2);
}

/// Pictures that were kept are looked at with the bundle that runs now.
#[test]
fn a_lesson_of_another_bundle_is_renewed_from_its_pictures() {
    let broker = Broker::start();
    let bench = Bench::new(&broker);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("seewhen.toml");
    let text = still(&broker) + "[embeddings]\npictures = true\n";
    std::fs::write(&config, format!("timezone = \"UTC\"\n{text}")).unwrap();
    let kept = folder.path().join("embeddings");
    write(&kept, MODEL.bundle().digest(), clip("yard", START), true);
    let mut teach = support::command();
    teach.args(["teach", "yard/garden/bars", "--yes", "2026-11-18 06:00:07.5 - 06:00:09"]);
    teach.args(["--no", "2026-11-18 06:00:01", "--config"]).arg(&config);
    let output = teach.env("STATE_DIRECTORY", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = folder.path().join("taught/test/garden.bars.taught");
    let old = shelf::read_file(&path).unwrap();
    assert!(old.examples.iter().all(|example| example.picture.is_some()));
    let mut foreign = old.clone();
    foreign.digest = "0123456789abcdef".repeat(4);
    for example in &mut foreign.examples {
        example.embedding.0.reverse();
    }
    shelf::replace(&path, &foreign).unwrap();

    let seewhen = bench.start_in(folder);
    seewhen.expect_log("looked at with the new bundle", SOON);
    let new = shelf::read_file(&path).unwrap();
    assert_eq!((&new.digest, new.counts()), (&old.digest, old.counts()));
    let cosine = |a: &Example, b: &Example| -> f32 {
        a.embedding.0.iter().zip(&b.embedding.0).map(|(a, b)| a * b).sum()
    };
    for (renewed, before) in new.examples.iter().zip(&old.examples) {
        assert_eq!((renewed.time, renewed.yes), (before.time, before.yes));
        // The picture is a third as wide as the frame was, which costs likeness, but not to the own kind.
        let nearest = |yes: bool| {
            let of = old.examples.iter().filter(|one| one.yes == yes);
            of.map(|one| cosine(renewed, one)).fold(-1.0, f32::max)
        };
        let (own, other) = (nearest(renewed.yes), nearest(!renewed.yes));
        assert!(own > other + 0.1, "{own} {other}");
    }
}
