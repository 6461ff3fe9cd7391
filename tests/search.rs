//! Promise: what cameras have seen is found again by a text, at the second it was there, by the real
//! command on files that the writer wrote; and a bad file, disk or question costs itself alone.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "support/history.rs"]
mod history;
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use history::{FRAMES, MODEL, START, clip, write};
use seewhen::embeddings::{Seen, Tally};
use serde_json::Value;
use tempfile::TempDir;

struct Node {
    folder: TempDir,
}

impl Node {
    fn new(embeddings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "node = \"test\"\ntimezone = \"UTC\"\n[embeddings]\n{embeddings}\n[[camera]]\nid = \
             \"street\"\nsource = \"test:\"\n"
        );
        fs::write(folder.path().join("seewhen.toml"), config).unwrap();
        Self { folder }
    }

    fn history(&self) -> PathBuf {
        self.folder.path().join("embeddings")
    }

    fn write(&self, frames: impl Iterator<Item = Seen>, pictures: bool) -> Arc<Tally> {
        write(&self.history(), MODEL.bundle().digest(), frames, pictures)
    }

    fn search(&self, arguments: &[&str]) -> Output {
        let mut command = support::command();
        command.arg("search").args(arguments).arg("--config");
        command.arg(self.folder.path().join("seewhen.toml"));
        command.env("STATE_DIRECTORY", self.folder.path()).output().unwrap()
    }

    #[track_caller]
    fn found(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.search(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or_else(|| panic!("{key} in {line}"))
}

const CYCLIST: &str = "a person riding a bicycle";
/// Seconds of the clip, with a frame to either side.
const RIDES: std::ops::RangeInclusive<f64> = 4.2..=5.6;

#[test]
fn a_text_finds_the_seconds_it_describes() {
    let node = Node::new("");
    // Three rounds, minutes apart, and another camera later that day.
    let rounds = [0.0, 600.0, 1200.0].into_iter().flat_map(|after| clip("street", START + after));
    let tally = node.write(rounds.chain(clip("gate", START + 7200.0)), true);
    assert_eq!((tally.lost(), tally.trouble()), (0, None));

    let hits = node.found(&[CYCLIST, "--limit", "4"]);
    assert_eq!(hits.len(), 4);
    let mut rounds: Vec<(String, i64)> = Vec::new();
    for hit in &hits {
        let after = number(hit, "time") - START;
        let second = after.rem_euclid(600.0);
        assert!(RIDES.contains(&second), "the cyclist comes at 4.4 to 5.4 s: {hit}");
        let span = (number(hit, "from"), number(hit, "to"));
        assert!(span.0 <= number(hit, "time") && number(hit, "time") <= span.1, "{hit}");
        assert!(number(hit, "deviations") > 1.0, "{hit}");
        rounds.push((hit["camera"].as_str().unwrap().to_owned(), (after / 600.0) as i64));
    }
    rounds.sort();
    let street = |round| ("street".to_owned(), round);
    assert_eq!(rounds, [("gate".to_owned(), 12), street(0), street(1), street(2)]);

    // One camera, and from when to when.
    let gate = node.found(&[CYCLIST, "--camera", "gate"]);
    assert!(!gate.is_empty() && gate.iter().all(|hit| hit["camera"] == "gate"), "{gate:?}");
    let between = ["--since", "2026-11-18 06:05", "--until", "2026-11-18 06:15"];
    let between = node.found(&[&[CYCLIST][..], &between].concat());
    assert_eq!(between.len(), 1, "{between:?}");
    assert!((600.0..700.0).contains(&(number(&between[0], "time") - START)), "{between:?}");
    assert!(node.found(&[CYCLIST, "--until", "2026-11-17"]).is_empty());

    people_read_it(&node);
}

fn people_read_it(node: &Node) {
    let saved = node.folder.path().join("found");
    let output = node.search(&[
        CYCLIST,
        "--limit",
        "1",
        "--camera",
        "gate",
        "--save",
        saved.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.starts_with("Wed 2026-11-18 08:00:0"), "{said}");
    assert!(said.contains("  gate  ") && said.contains(" dev  "), "{said}");
    let picture = said.trim_end().rsplit("  ").next().unwrap();
    assert!(picture.starts_with(saved.join("gate-2026-11-18T08-00-0").to_str().unwrap()), "{said}");
    let picture = image::open(picture).unwrap();
    assert_eq!(picture.width().max(picture.height()), 320);
    let summary = text(&output.stderr);
    let frames = FRAMES.len();
    assert!(summary.contains(&format!("{frames} frames searched in")), "{summary}");
    assert!(
        summary.contains("the history has gate, street from Wed 2026-11-18 06:00:00"),
        "{summary}"
    );
}

#[test]
fn what_cannot_be_answered_says_why() {
    let refused = |node: &Node, arguments: &[&str], code: i32| {
        let output = node.search(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stdout));
        text(&output.stderr)
    };
    let node = Node::new("");
    let nothing = refused(&node, &["a dog"], 1);
    assert!(nothing.contains("there is no history of embeddings in"), "{nothing}");
    let off = refused(&Node::new("dir = \"\""), &["a dog"], 1);
    assert!(off.contains("embeddings.dir is empty"), "{off}");

    write(&node.history(), &"ab".repeat(32), clip("street", START).take(3), false);
    let other = refused(&node, &["a dog"], 1);
    for part in ["made by bundle mini (digest abababababababab…)", "--bundle"] {
        assert!(other.contains(part), "{other}");
    }
    node.write(clip("street", START).take(3).chain(clip("gate", START).take(3)), false);
    let unknown = refused(&node, &["a dog", "--camera", "yard"], 1);
    assert!(unknown.contains("camera yard in the history; there is gate, street"), "{unknown}");
    let when = refused(&node, &["a dog", "--since", "yesterday"], 64);
    assert!(when.contains("--since: found \"yesterday\"; write how long ago"), "{when}");
    refused(&node, &["a dog", "--since", "1h", "--until", "2h"], 64);
    assert_eq!(node.found(&["a dog"]).len(), 2, "and the right question is answered");
}

/// A file of another version and one that ends in the middle of a row: the rest is searched.
#[test]
fn broken_files_cost_themselves_alone() {
    let node = Node::new("");
    node.write(clip("street", START).chain(clip("gate", START)), false);
    let model = node.history().join("test").join(&MODEL.bundle().digest()[..16]);
    let street = model.join("street/2026-11-18.emb");
    let whole = fs::read(&street).unwrap();
    fs::write(&street, &whole[..whole.len() - 7]).unwrap();
    assert_eq!(node.found(&[CYCLIST]).len(), 2, "a torn row is no trouble");

    let mut newer = whole;
    newer[8] = 200;
    fs::write(&street, newer).unwrap();
    let output = node.search(&[CYCLIST, "--json"]);
    assert_eq!(output.status.code(), Some(1), "not all could be searched");
    let warning = text(&output.stderr);
    assert!(
        warning.contains("street/2026-11-18.emb is left out: it is of version 200"),
        "{warning}"
    );
    assert_eq!(text(&output.stdout).lines().count(), 1);
    let hit: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert!(hit["camera"] == "gate" && RIDES.contains(&(number(&hit, "time") - START)), "{hit}");
}

/// The frames of a full disk are lost and counted, and those before and after are found.
#[test]
fn a_full_disk_costs_the_frames_of_that_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = support::disk::Disk::new(folder.path()) else {
        println!("skipped: nobody may mount a small disk here");
        return;
    };
    let node = Node::new(&format!("dir = {:?}", disk.0.join("embeddings")));
    let place = disk.0.join("embeddings");
    let digest = MODEL.bundle().digest();
    let kept = write(&place, digest, clip("street", START), false);
    assert_eq!(kept.lost(), 0);

    let filler = disk.0.join("filler");
    let rest = fs::write(&filler, vec![1; 2 << 20]).unwrap_err();
    assert_eq!(rest.raw_os_error(), Some(28), "the disk is full: {rest}");
    let full = write(&place, digest, clip("street", START + 600.0), false);
    assert!(full.lost() > 0 && full.kept() + full.lost() == FRAMES.len() as u64, "{full:?}");
    assert!(full.trouble().unwrap().contains("embeddings cannot be written to"), "{full:?}");

    fs::remove_file(&filler).unwrap();
    let again = write(&place, digest, clip("street", START + 1200.0), false);
    assert_eq!((again.lost(), again.trouble()), (0, None));
    let hits = node.found(&[CYCLIST]);
    let rounds: Vec<i64> =
        hits.iter().map(|hit| ((number(hit, "time") - START) / 600.0) as i64).collect();
    assert!(rounds.contains(&0) && rounds.contains(&2), "{hits:?}");
}
