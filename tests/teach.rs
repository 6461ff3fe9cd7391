//! Promise: a label learns from frames that somebody points at, from the history or a file; it says what
//! cannot be meant and changes nothing then; and what it has learnt survives whatever becomes of the process.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(clippy::print_stdout, reason = "what a kill left is shown with --nocapture")]

#[path = "support/history.rs"]
mod history;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use history::{EVERY, FRAMES, MODEL, START, clip, write};
use seewhen::clip::scoring::Scorer;
use seewhen::config;
use seewhen::daemon::lessons;
use seewhen::embeddings::Seen;
use seewhen::model::CameraId;
use seewhen::taught::{file, shelf};
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = r#"
node = "test"
timezone = "UTC"
[[camera]]
id = "street"
source = "test:"
every = "125ms"
[[camera]]
id = "square"
source = "test:"
[[watch]]
id = "traffic"
[[watch.label]]
id = "suit"
prompts = ["a man in a suit"]
threshold = 0.5
[[watch.label]]
id = "wheels"
score = "taught"
threshold = 0.5
[[watch.label]]
id = "deaf"
prompts = ["a cyclist"]
score = "prompts"
threshold = 0.5
[[watch.label]]
id = "cars"
prompts = ["cars on a street"]
"#;

struct Node(TempDir);

impl Node {
    /// With a history of the street from 06:00:00 on, ten seconds.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("seewhen.toml"), CONFIG).unwrap();
        let history = folder.path().join("embeddings");
        let tally = write(&history, MODEL.bundle().digest(), clip("street", START), false);
        assert_eq!(tally.lost(), 0);
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn teach(&self, arguments: &[&str]) -> Output {
        let mut command = support::command();
        command.arg("teach").args(arguments).arg("--config").arg(self.path("seewhen.toml"));
        command.env("STATE_DIRECTORY", self.0.path()).output().unwrap()
    }

    #[track_caller]
    fn taught(&self, arguments: &[&str]) -> Value {
        let output = self.teach(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What it says when it refuses; nothing on the shelf changes.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let before = self.shelf();
        let output = self.teach(arguments);
        assert!(!output.status.success(), "{}", text(&output.stdout));
        assert_eq!(self.shelf(), before);
        text(&output.stderr)
    }

    fn lesson(&self, label: &str) -> PathBuf {
        self.path(&format!("taught/test/traffic.{label}.taught"))
    }

    fn shelf(&self) -> Vec<Option<Vec<u8>>> {
        ["suit", "wheels"].iter().map(|label| fs::read(self.lesson(label)).ok()).collect()
    }

    /// The probabilities of a label over the clip, as a node of this configuration would have them.
    fn probabilities(&self, label: &str) -> Vec<f32> {
        let mut config = config::load(&self.path("seewhen.toml")).unwrap().config;
        config.taught.dir = Some(self.path("taught"));
        let mut embedder = MODEL.trying_embedder();
        let set = lessons::watches(&config, &MODEL, &mut embedder, 1).unwrap();
        let watch = &set.watches[0];
        let place = watch.labels.iter().position(|known| known.id.as_str() == label).unwrap();
        let scorer = Scorer::of(&set, watch, &CameraId::try_new("street").unwrap());
        let embeddings = FRAMES.iter().map(|(_, embedding)| embedding);
        embeddings.map(|one| scorer.best(scorer.values(&[one])).probabilities[place]).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The mean over a part of the clip.
fn mean(probabilities: &[f32], from: f64, to: f64) -> f32 {
    let part = &probabilities[(from / EVERY) as usize..(to / EVERY) as usize];
    part.iter().sum::<f32>() / part.len() as f32
}

/// When the parked bicycle is there, and when it is not, by the history's clock.
const THERE: &str = "2026-11-18 06:00:07.5 - 06:00:09.5";
const NOT_THERE: [&str; 2] = ["2026-11-18 06:00:00 - 06:00:02", "2026-11-18 06:00:03.5-06:00:06"];

#[test]
fn a_label_without_words_learns_from_the_history() {
    let node = Node::new();
    assert!(node.probabilities("wheels").iter().all(|p| *p == 0.0), "not taught");
    let prompts = node.probabilities("suit");
    let told =
        node.taught(&["street/traffic/wheels", "--yes", THERE, "--no", NOT_THERE[0], NOT_THERE[1]]);
    assert!(told["yes"].as_u64().unwrap() >= 15 && told["no"].as_u64().unwrap() >= 30, "{told}");
    let taught = node.probabilities("wheels");
    let (there, not) = (mean(&taught, 7.5, 9.5), mean(&taught, 0.0, 7.0));
    assert!(there > 0.8 && not < 0.2, "{there} {not}");
    // Other labels are as they were.
    assert_eq!(node.probabilities("suit"), prompts);

    let report = node.taught(&["street/traffic/wheels"]);
    assert_eq!(report["score"]["enough"], false, "{report}");
    assert_eq!(report["score"]["yes_events"], 1);
    assert!(!report["next"].as_array().unwrap().is_empty(), "{report}");
    let said = text(&node.teach(&["street/traffic/wheels"]).stdout);
    assert!(said.contains("not enough to tell how good it is"), "{said}");
    assert!(said.contains("most useful to mark next"), "{said}");

    // Taken elsewhere, and to another label.
    let exported = node.path("wheels.taught");
    node.taught(&["street/traffic/wheels", "--export", exported.to_str().unwrap()]);
    let other = Node::new();
    other.taught(&["street/traffic/wheels", "--import", exported.to_str().unwrap()]);
    assert_eq!(other.probabilities("wheels"), taught);

    node.taught(&["street/traffic/wheels", "--undo"]);
    assert!(!node.lesson("wheels").exists(), "nothing is left of it");
    assert!(node.refused(&["street/traffic/wheels", "--undo"]).contains("no act of teaching"));
}

#[test]
fn one_example_moves_words_and_footage_teaches_too() {
    let node = Node::new();
    let before = node.probabilities("suit");
    // The frame where the words are most wrong.
    let worst = (0..before.len()).filter(|n| *n as f64 * EVERY > 7.0);
    let worst = worst.max_by(|a, b| before[*a].total_cmp(&before[*b])).unwrap();
    let time = format!("2026-11-18 06:00:{:06.3}", worst as f64 * EVERY);
    let told = node.taught(&["street/traffic/suit", "--no", &time]);
    assert_eq!((told["yes"].as_u64(), told["no"].as_u64()), (Some(0), Some(1)));
    let after = node.probabilities("suit");
    assert!(after[worst] < before[worst] - 0.02, "{} {}", after[worst], before[worst]);
    // The same again is known.
    let told = node.taught(&["street/traffic/suit", "--no", &time]);
    assert!(told["notes"][1].as_str().unwrap().contains("known already"), "{told}");

    let clip = support::bikes();
    let from = ["street/traffic/wheels", "--from", clip.to_str().unwrap()];
    let times = ["--yes", "7.5s-9.5s", "--no", "0-2", "3.5-6"];
    let told = node.taught(&[&from[..], &times[..]].concat());
    assert!(told["yes"].as_u64().unwrap() >= 15, "{told}");
    let taught = node.probabilities("wheels");
    assert!(mean(&taught, 7.5, 9.5) > 0.8 && mean(&taught, 0.0, 7.0) < 0.2);
}

#[test]
fn what_cannot_be_meant_is_said_and_changes_nothing() {
    let node = Node::new();
    node.taught(&["street/traffic/wheels", "--yes", THERE, "--no", NOT_THERE[0]]);
    let suit = "street/traffic/suit";
    let long = "2026-11-18 06:00:00 - 06:00:10";
    let cases: &[(&[&str], &str)] = &[
        (&["street/traffic"], "write a label as CAMERA/WATCH/LABEL"),
        (
            &["street/traffic/sut", "--yes", THERE],
            "no label \"sut\" in watch \"traffic\"; labels: suit",
        ),
        (&["street/trafic/suit", "--yes", THERE], "no watch \"trafic\""),
        (&["street/traffic/cars", "--yes", THERE], "is background, which never fires"),
        (&["street/traffic/deaf", "--yes", THERE], "score = \"prompts\""),
        (&["square/traffic/suit", "--yes", THERE], "nothing of camera square in the history"),
        (&["lane/traffic/suit", "--yes", THERE], "does not look at camera lane"),
        (&[suit, "--yes", "2026-11-18 07:00"], "no frame of camera street is kept within 5 s of"),
        (
            &[suit, "--yes", "2026-11-18 07:00 - 07:05"],
            "frames are kept from Wed 2026-11-18 06:00:00",
        ),
        (&[suit, "--yes", "at noon"], "write how long ago"),
        (&[suit, "--yes", "last event"], "last event: there was none"),
        (&[suit, "--yes", long, "--no", long], "are given as yes and as no"),
        (&[suit, "--yes", THERE, "--undo"], "cannot be used with"),
        (&[suit, "--from", "x.mp4"], "say with --yes and --no which of it"),
        (&[suit, "--from", "x.mp4", "--yes", "noon"], "--yes: found \"noon\"; write seconds"),
        (&[suit, "--from", "/none.mp4", "--yes", "1s"], "/none.mp4"),
        (&[suit, "--export", "/tmp/never.taught"], "was not taught, so there is nothing to export"),
    ];
    for (arguments, words) in cases {
        let said = node.refused(arguments);
        assert!(said.contains(words), "{arguments:?}: {words:?} is not in\n{said}");
    }
    // One kind alone teaches a label without words nothing.
    fs::remove_file(node.lesson("wheels")).unwrap();
    let said = node.refused(&["street/traffic/wheels", "--yes", THERE]);
    assert!(said.contains("(no is missing)"), "{said}");
}

#[test]
fn lessons_of_others_and_broken_ones_are_named() {
    let node = Node::new();
    let wheels = ["street/traffic/wheels", "--yes", THERE, "--no", NOT_THERE[0]];
    node.taught(&wheels);
    let good = fs::read(node.lesson("wheels")).unwrap();
    // Of another bundle.
    let mut lesson = file::read(&good).unwrap();
    lesson.digest = "0123456789abcdef".repeat(4);
    lesson.bundle = "clip-vit-b-32".to_owned();
    shelf::replace(&node.lesson("wheels"), &lesson).unwrap();
    let said = node.refused(&wheels);
    assert!(said.contains("clip-vit-b-32") && said.contains("cannot be compared"), "{said}");
    assert!(node.probabilities("wheels").iter().all(|p| *p == 0.0), "it stays at 0");
    let foreign = node.path("foreign.taught");
    shelf::replace(&foreign, &lesson).unwrap();
    let import = ["street/traffic/suit", "--import", foreign.to_str().unwrap()];
    assert!(node.refused(&import).contains("clip-vit-b-32"));
    // Broken.
    for (bytes, words) in [
        (good[..good.len() / 2].to_vec(), "it is damaged"),
        (b"hello".to_vec(), "no file of taught examples"),
        (Vec::new(), "no file of taught examples"),
    ] {
        fs::write(node.lesson("wheels"), bytes).unwrap();
        let said = node.refused(&wheels);
        assert!(said.contains(words) && said.contains("traffic.wheels.taught"), "{said}");
        assert!(node.probabilities("wheels").iter().all(|p| *p == 0.0));
    }
    node.taught(&["street/traffic/wheels", "--forget"]);
    assert!(!node.lesson("wheels").exists());
    node.taught(&wheels);
    fs::write(node.lesson("wheels"), b"hello").unwrap();
    let mut check = support::command();
    check.arg("check").arg("--config").arg(node.path("seewhen.toml"));
    let check = check.env("STATE_DIRECTORY", node.0.path()).output().unwrap();
    assert!(check.status.success(), "{}", text(&check.stderr));
    let said = text(&check.stdout) + &text(&check.stderr);
    assert!(said.contains("traffic/wheels: ") && said.contains("it stays at 0"), "{said}");
}

/// Takes an act back again and again, and is killed while it does.
#[test]
fn a_kill_leaves_the_old_lesson_or_the_new_one() {
    let node = Node::new();
    let wheels = ["street/traffic/wheels", "--yes", THERE, "--no", NOT_THERE[0]];
    node.taught(&wheels);
    node.taught(&["street/traffic/wheels", "--no", NOT_THERE[1]]);
    let both = fs::read(node.lesson("wheels")).unwrap();
    let mut one = file::read(&both).unwrap();
    one.undo().unwrap();
    let one = file::write(&one).unwrap();
    let (mut old, mut new) = (0, 0);
    for round in 0..40_u64 {
        fs::write(node.lesson("wheels"), &both).unwrap();
        let mut command = support::command();
        command.args(["teach", "street/traffic/wheels", "--undo", "--config"]);
        command.arg(node.path("seewhen.toml")).env("STATE_DIRECTORY", node.0.path());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(500 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = fs::read(node.lesson("wheels")).unwrap();
        assert!(left == both || left == one, "round {round}: {} bytes", left.len());
        if left == both { old += 1 } else { new += 1 }
    }
    println!("{old} kept the old lesson, {new} the new one");
    // Whatever was left lying about is in nobody's way.
    fs::write(node.lesson("wheels"), &both).unwrap();
    node.taught(&["street/traffic/wheels", "--undo"]);
    assert_eq!(fs::read(node.lesson("wheels")).unwrap(), one);
    assert!(left_over(&node.path("taught/test")).is_empty());
}

fn left_over(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| !name.ends_with(".taught") && name != ".lock").collect()
}

#[test]
fn two_teachers_lose_nothing() {
    let node = Node::new();
    let at = |second: f64| format!("2026-11-18 06:00:{second:06.3}");
    let teachers: Vec<_> = (0..4)
        .map(|n| {
            let mut command = support::command();
            let second = at(1.0 + f64::from(n));
            command.args(["teach", "street/traffic/suit", "--no", &second, "--config"]);
            command.arg(node.path("seewhen.toml")).env("STATE_DIRECTORY", node.0.path());
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut teacher in teachers {
        assert!(teacher.wait().unwrap().success());
    }
    let lesson = shelf::read_file(&node.lesson("suit")).unwrap();
    assert_eq!((lesson.counts(), lesson.acts), ((0, 4), 4));
}

#[test]
fn what_was_seen_by_others_is_used_by_all() {
    let seen: Vec<Seen> = clip("square", START).collect();
    let node = Node::new();
    write(&node.path("embeddings"), MODEL.bundle().digest(), seen.into_iter(), false);
    node.taught(&["square/traffic/wheels", "--yes", THERE, "--no", NOT_THERE[0], NOT_THERE[1]]);
    // The street was taught nothing, and knows it all the same.
    let taught = node.probabilities("wheels");
    assert!(mean(&taught, 7.5, 9.5) > 0.8 && mean(&taught, 0.0, 7.0) < 0.2);
}
