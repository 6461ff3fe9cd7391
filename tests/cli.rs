//! The commands as a user types them: results on stdout, words on stderr, exit codes.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::bikes;

/// Runs a command in a folder of its own for state.
fn seewhen(arguments: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    support::command().args(arguments).env("STATE_DIRECTORY", state.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn root(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

#[test]
fn watch_finds_the_cyclist_in_the_clip() {
    let clip = bikes();
    let output = seewhen(&[
        "watch",
        clip.to_str().unwrap(),
        "--as-fast-as-possible",
        "--json",
        "--every",
        "125ms",
        "--prompt",
        "a cyclist",
        "--prompt",
        "a bicycle on the pavement",
        "--prompt",
        "a taxi",
        "--prompt",
        "cars on a street",
        "--prompt",
        "a man in a suit",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (events, frames): (Vec<Value>, Vec<Value>) =
        lines(&output).into_iter().partition(|line| line["type"].is_string());
    assert!((78..=82).contains(&frames.len()), "10 s at 8 frames a second: {}", frames.len());
    let times: Vec<f64> = frames.iter().map(|frame| frame["time"].as_f64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "in order: {times:?}");
    assert!(times[0] < 0.1 && times[times.len() - 1] > 9.5, "from start to end: {times:?}");
    for frame in &frames {
        let sum: f64 =
            frame["probabilities"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{frame}");
    }
    assert_eq!(events.len(), 2, "one start and one end: {events:?}");
    assert_eq!(
        (events[0]["type"].as_str(), events[1]["type"].as_str()),
        (Some("start"), Some("end"))
    );
    assert_eq!(events[0]["label"], "a cyclist");
    let (start, end) =
        (events[1]["start_time"].as_f64().unwrap(), events[1]["end_time"].as_f64().unwrap());
    assert!((4.0..4.8).contains(&start) && (5.0..6.0).contains(&end), "{start} to {end}");
}

#[test]
fn watch_says_what_is_wrong() {
    for (arguments, code, words) in [
        (
            vec!["watch", "nothing.mp4", "--prompt", "a", "--prompt", "b"],
            1,
            "no file at nothing.mp4",
        ),
        (vec!["watch", "test:", "--prompt", "a car"], 64, "always has probability 1"),
        (vec!["watch", "test:", "--prompt", "a", "--prompt", "a"], 64, "given twice"),
        (vec!["watch", "ws://x", "--prompt", "a", "--prompt", "b"], 64, "not supported"),
        (vec!["watch", "test:", "--prompt", "a", "-t", "2"], 64, "at most 1"),
        (vec!["watch"], 64, "--prompt"),
        (vec!["wach"], 64, "unrecognized subcommand"),
    ] {
        let output = seewhen(&arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn classify_goes_on_after_a_broken_picture() {
    let (absent, house) =
        (root("tests/data/images/absent.png"), root("tests/data/images/house.png"));
    let output = seewhen(&[
        "classify",
        &absent,
        &house,
        "--prompt",
        "a cat",
        "--prompt",
        "a dog",
        "--json",
        "--embeddings",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert_eq!(lines[0]["image"], absent.as_str());
    assert!(lines[0]["error"].is_string() && lines[0]["labels"].is_null());
    assert_eq!(lines[1]["image"], house.as_str());
    let labels = lines[1]["labels"].as_array().unwrap();
    assert_eq!((&labels[0]["prompt"], &labels[1]["prompt"]), (&"a cat".into(), &"a dog".into()));
    assert_eq!(lines[1]["embedding"].as_array().unwrap().len(), 384);
}

#[test]
fn classify_ends_with_the_line_of_openais_example() {
    let house = root("tests/data/images/house.png");
    let command = ["classify", &house, "--prompt", "a diagram", "--prompt", "a house"];
    let json = lines(&seewhen(&[command.as_slice(), &["--json"]].concat())).remove(0);
    let printed = text(&seewhen(&command).stdout);
    let line = printed.lines().last().unwrap();
    let numbers = line.strip_prefix("Label probs: [[").and_then(|rest| rest.strip_suffix("]]"));
    let found: Vec<f64> =
        numbers.unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect();
    for (index, found) in found.iter().enumerate() {
        let wanted = json["labels"][index]["probability"].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-6, "{line} {json}");
    }
    assert_eq!(found.len(), 2);
}

const CONFIG: &str = r#"
node = "test"
[[camera]]
id = "picture"
source = "test:"
[[watch]]
id = "w"
[[watch.label]]
id = "cat"
prompts = ["cat"]
threshold = 0.9
[[watch.label]]
id = "none"
prompts = ["no cat"]
[[watch.label]]
id = "kitten"
prompts = ["a cat", "a photo of a cat"]
[[watch.label]]
id = "pet"
prompts = ["a photo of a cat", "a cat"]
"#;

#[test]
fn check_points_at_prompts_that_will_disappoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seewhen.toml");
    std::fs::write(&path, CONFIG).unwrap();
    let output = seewhen(&["check", "--config", path.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for words in ["\"cat\" is a single word", "\"no cat\" has \"no\"", "kitten", "pet"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(text(&output.stdout).starts_with("ok: 1 cameras, 1 watches, 4 labels, bundle mini"));

    std::fs::write(&path, CONFIG.replace("0.9", "9")).unwrap();
    let output = seewhen(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("seewhen.toml:11:13: watch[w].label[cat].threshold"));
}

#[test]
fn cached_prompts_need_no_text_model() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("small");
    copy(Path::new(&root("models/mini")), &bundle);
    let config = folder.path().join("seewhen.toml");
    let cache = folder.path().join("prompts.json");
    let head = format!(
        "[model]\nbundle = \"{}\"\nprompt_cache = \"{}\"\n",
        bundle.display(),
        cache.display()
    );
    std::fs::write(&config, CONFIG.replace("node = \"test\"", &head)).unwrap();
    let config = config.to_str().unwrap();
    let output = seewhen(&["embed", "--config", config]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    std::fs::remove_file(bundle.join("textual/model.onnx")).unwrap();
    let output = seewhen(&["check", "--config", config]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    std::fs::remove_file(cache).unwrap();
    let output = seewhen(&["check", "--config", config]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("no embedding in the prompt cache for \"a cat\""), "{said}");
    assert!(said.contains("seewhen embed --config"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let (path, name) = file.map(|file| (file.path(), file.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn every_command_has_help_with_examples() {
    for command in ["run", "check", "classify", "watch", "embed", "explain"] {
        let output = seewhen(&[command, "--help"]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains(&format!("  seewhen {command}")), "{command}");
    }
}

#[test]
fn bench_measures_the_built_in_model() {
    let arguments = ["bench", "--json", "--batch", "1,2", "--seconds", "200ms", "--device", "cpu"];
    let output = seewhen(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = lines(&output);
    let of = |kind: &str| lines.iter().filter(|line| line["measure"] == kind).collect::<Vec<_>>();
    assert_eq!(of("model")[0]["provider"], "cpu");
    let sizes: Vec<_> = of("batch").iter().map(|line| line["batch"].as_u64()).collect();
    assert_eq!(sizes, [Some(1), Some(2)]);
    for line in of("batch") {
        let [model, inference] = ["model", "inference"].map(|key| line[key].as_f64().unwrap());
        assert!(model > 0.0 && (0.2..5.0).contains(&(inference / model)), "{line}");
    }
    let [now, most] = ["now_mib", "most_mib"].map(|key| of("memory")[0][key].as_u64().unwrap());
    assert!(now > 50 && most >= now, "{now} {most}");
}
