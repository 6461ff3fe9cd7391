//! `seewhen tune` on the street clip: what it suggests, what it admits not to know, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use support::bikes;
use tempfile::TempDir;

const PROMPTS: [&str; 5] =
    ["a cyclist", "a bicycle on the pavement", "a taxi", "cars on a street", "a man in a suit"];

/// The arguments that describe the street without a configuration.
fn prompts() -> Vec<String> {
    let every = ["--every", "125ms"].map(str::to_owned);
    let prompts = PROMPTS.iter().flat_map(|prompt| ["--prompt".to_owned(), (*prompt).to_owned()]);
    every.into_iter().chain(prompts).collect()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn seewhen(&self, command: &str, arguments: &[String]) -> Output {
        let mut all = support::command();
        all.arg(command).args(arguments).env("STATE_DIRECTORY", self.0.path()).output().unwrap()
    }
}

fn with(timeline: &Path) -> String {
    format!("{}={}", bikes().display(), timeline.display())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_suggestion_does_live_what_it_says() {
    let folder = Folder::new();
    let timeline = folder.write("street.txt", "# the street\n4.4-5.4 cyclist\n7.5-9.9 bicycle\n");
    let plots = folder.0.path().join("plots");
    let more =
        ["--label", "cyclist", "--json", "--svg", plots.to_str().unwrap()].map(str::to_owned);
    let arguments = [vec![with(&timeline)], prompts(), more.to_vec()].concat();
    let report = json(&folder.seewhen("tune", &arguments));

    let footage = &report["footage"][0];
    assert_eq!((footage["name"].as_str(), footage["spans"].as_u64()), (Some("bikes.mp4"), Some(1)));
    assert!((9.5..10.5).contains(&footage["seconds"].as_f64().unwrap()), "{footage}");
    let (best, now) = (&report["suggested"], &report["now"]);
    assert_eq!((&now["threshold"], &now["configured"]), (&0.5.into(), &false.into()));
    let outcome = &best["outcome"];
    assert_eq!((&outcome["found"], &outcome["false_events"]), (&1.into(), &0.into()), "{outcome}");
    assert!(outcome["f_score"].as_f64() >= now["outcome"]["f_score"].as_f64());
    // Eight seconds without a cyclist say next to nothing.
    assert!(outcome["false_a_day"]["high"].as_f64().unwrap() > 10_000.0, "{outcome}");
    assert!(outcome["recall"]["low"].as_f64().unwrap() < 0.05, "{outcome}");
    let recalls: Vec<f64> = report["curve"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["frame_recall"].as_f64().unwrap())
        .collect();
    assert!(recalls.windows(2).all(|two| two[0] >= two[1]), "a threshold only loses: {recalls:?}");
    assert!(recalls[0] > 0.9 && recalls[recalls.len() - 1] < 0.5, "{recalls:?}");
    for name in ["curve.svg", "1-bikes.mp4.svg"] {
        let svg = fs::read_to_string(plots.join(name)).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("<path"));
    }

    // What is suggested, in the hands of the command that has no notion of tuning.
    let rule = ["threshold", "clear"].map(|key| [format!("--{key}"), best[key].to_string()]);
    let hold = ["--hold".to_owned(), format!("{}s", best["hold"])];
    let watched = ["--as-fast-as-possible", "--json"].map(str::to_owned);
    assert_eq!(best["for"]["of"], 1, "the street needs no consensus: {best}");
    let source = vec![bikes().to_str().unwrap().to_owned()];
    let arguments = [source, prompts(), rule.concat(), hold.to_vec(), watched.to_vec()].concat();
    let output = folder.seewhen("watch", &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let starts: Vec<f64> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["type"] == "start")
        .map(|start| start["frame_time"].as_f64().unwrap())
        .collect();
    assert_eq!(starts.len(), 1, "{starts:?}");
    let delay = outcome["delay"].as_f64().unwrap();
    assert!((starts[0] - 4.4).max(0.0) - delay < 1e-6, "{starts:?} {delay}");
}

const CONFIG: &str = r#"
node = "test"
[[camera]]
id = "street"
source = "rtsp://192.0.2.7/street"
every = "125ms"
[[watch]]
id = "traffic"
[[watch.label]]
id = "bicycle"
prompts = ["a bicycle on the pavement"]
threshold = 0.99
clear = 0.9
hold = "300ms"
[[watch.label]]
id = "cyclist"
prompts = ["a cyclist"]
[[watch.label]]
id = "taxi"
prompts = ["a taxi"]
[[watch.label]]
id = "cars"
prompts = ["cars on a street"]
[[watch.label]]
id = "suit"
prompts = ["a man in a suit"]
"#;

#[test]
fn a_label_of_a_configuration() {
    let folder = Folder::new();
    let timeline = folder.write("street.txt", "4.4-5.4 cyclist\n0:07.5 - 0:09.9 bicycle\n");
    let config = folder.write("seewhen.toml", CONFIG).to_str().unwrap().to_owned();
    let arguments = |more: &[&str]| {
        let own = [with(&timeline), "--config".to_owned(), config.clone()];
        own.into_iter().chain(more.iter().map(|one| (*one).to_owned())).collect::<Vec<_>>()
    };
    // The only label that fires.
    let report = json(&folder.seewhen("tune", &arguments(&["--json"])));
    let (best, now) = (&report["suggested"], &report["now"]);
    assert_eq!((&report["label"], &now["configured"]), (&"bicycle".into(), &true.into()));
    assert_eq!((&now["hold"], &now["outcome"]["found"]), (&0.3.into(), &0.into()), "{now}");
    assert_eq!(best["outcome"]["found"], 1, "{best}");
    assert!(best["threshold"].as_f64().unwrap() < 0.9, "{best}");
    // Clear keeps its ratio, which is that of 0.9 to 0.99.
    let ratio = best["clear"].as_f64().unwrap() / best["threshold"].as_f64().unwrap();
    assert!((ratio - 0.909).abs() < 0.005, "{best}");

    let output = folder.seewhen("tune", &arguments(&["--label", "cyclist", "--hold-out", "40"]));
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for words in [
        "cyclist: 1 file, 6.",
        "to paste:\n  threshold = 0.",
        "on what was held out: 1 file, ",
        "It was never there, so nothing is said about finding it.",
        "1 of 1",
        "▲ suggested",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    let pasted: Vec<&str> =
        said.lines().skip_while(|line| *line != "to paste:").skip(1).take(4).collect();
    let rule: toml::Table = pasted.join("\n").parse().unwrap();
    let keys: Vec<&String> = rule.keys().collect();
    assert_eq!(keys, ["clear", "for", "hold", "threshold"]);
}

#[test]
fn a_promise_takes_more_footage_than_ten_seconds() {
    let folder = Folder::new();
    let at_most = |events: &str| {
        let own = [bikes().to_str().unwrap(), "--at-most", events].map(str::to_owned);
        json(
            &folder.seewhen("tune", &[own.to_vec(), prompts(), vec!["--json".to_owned()]].concat()),
        )
    };
    let report = at_most("2 a week");
    assert!(report["promised"].is_null() && report["seen"]["events"] == 0, "{report}");
    let needed = report["seconds_needed"].as_f64().unwrap() / 86_400.0;
    assert!((needed - 10.485).abs() < 0.01, "{needed} days");
    // Eleven in ten seconds: that can be told.
    let report = at_most("100000 a day");
    let promised = &report["promised"];
    assert!(promised["events"].as_u64().unwrap() <= 5, "{promised}");
    assert!(promised["at_most_a_day"].as_f64().unwrap() <= 100_000.0, "{promised}");
    assert!(report["seen"]["threshold"].as_f64() <= promised["threshold"].as_f64());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let folder = Folder::new();
    let timeline = |text: &str| with(&folder.write(&format!("{}.txt", fastrand::u64(..)), text));
    let clip = bikes().to_str().unwrap().to_owned();
    let config = folder.write("seewhen.toml", CONFIG).to_str().unwrap().to_owned();
    let noise = folder.write("noise.mp4", "no video\n").to_str().unwrap().to_owned();
    let by = |own: &[&str], more: &[String]| {
        own.iter().map(|one| (*one).to_owned()).chain(more.to_vec()).collect::<Vec<_>>()
    };
    let by_prompts = |own: &[&str]| by(own, &prompts());
    let by_config = |own: &[&str]| by(own, &["--config".to_owned(), config.clone()]);
    let (good, empty) = (timeline("4.4-5.4\n"), timeline("# never\n"));
    let few = ["--at-most", "2 a week"];
    for (arguments, code, words) in [
        (by_prompts(&[&clip]), 64, "say when the thing was there"),
        (by_prompts(&[&good, few[0], few[1]]), 64, "--at-most is for"),
        (by_prompts(&[&good, &clip]), 64, "some footage has a timeline and some has none"),
        (by_prompts(&[&clip, "--at-most", "often"]), 64, "2 a week"),
        (by_prompts(&[&clip, few[0], few[1], "--hold-out", "50"]), 64, "--hold-out needs"),
        (by_prompts(&["test:"]), 64, "is no file"),
        (by(&[&good, "--prompt", "a car"], &[]), 64, "always has probability 1"),
        (by_prompts(&[&empty]), 1, "no span of \"a cyclist\" is marked"),
        (by_prompts(&[&timeline("1-2 cat\n3-4 dog\n")]), 64, "they have: cat, dog"),
        (by_prompts(&[&timeline("1-2\n4.4 to 5\n9-8\n")]), 1, ".txt:3:1: found 9 - 8"),
        (by_prompts(&[&timeline("2026-11-24 18:03 - 18:04\n")]), 1, ".txt:1:1: found a date"),
        (by_prompts(&[&timeline("1-2\n12-13\n")]), 1, ".txt:2: the span begins at 12 s"),
        (by_prompts(&[&format!("{clip}=absent.txt")]), 1, "absent.txt: No such file"),
        (by_prompts(&[&format!("{noise}={noise}")]), 1, "noise.mp4:1:1: found \"no video\""),
        (by_prompts(&[&noise, few[0], few[1]]), 1, "noise.mp4: "),
        (
            by_config(&[&good, "--label", "dog"]),
            64,
            "no label \"dog\"; there are: bicycle, cyclist",
        ),
        (by_config(&[&good, "--watch", "x"]), 64, "no watch \"x\"; there are: traffic"),
        (by_config(&[&good, "--camera", "x"]), 64, "no camera \"x\"; there are: street"),
    ] {
        let output = folder.seewhen("tune", &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
