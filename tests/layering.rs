//! The rules of ARCHITECTURE.md, checked over the sources; a broken one is named with its line.
//!
//! Reads text, not syntax: comments and strings are blanked first, paths and braces are enough
//! for the rest. What is under `#[cfg(test)]` may import and spawn what it likes.

#[path = "support/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{blank_comments_and_strings, blank_tests, closing, starts, words};

/// Each module's layer; the longest matching path counts. A new module gets its line here.
const LAYERS: &[(&str, u8)] = &[
    // 0 vocabulary
    ("model", 0),
    ("backoff", 0),
    ("cores", 0),
    // 1 pure logic and plumbing
    ("watch", 1),
    ("config", 1),
    ("command", 1),
    ("clip", 1),
    ("embeddings", 1),
    ("alert::rules", 1),
    ("tune", 1),
    ("view", 1),
    ("publish::topics", 1),
    ("publish::payload", 1),
    ("publish::outbox", 1),
    ("publish::discovery", 1),
    ("stop", 1),
    ("mailbox", 1),
    ("status", 1),
    ("jpeg", 1),
    ("taught", 1),
    ("clock", 1),
    ("whole", 1),
    // 2 stages; they meet only through channels that the daemon made
    ("capture", STAGE),
    ("infer", STAGE),
    ("alert", STAGE),
    ("publish", STAGE),
    // 3 adapters to the outside world
    ("capture::gstreamer", ADAPTER),
    ("clip::onnx", ADAPTER),
    ("clip::fetch", ADAPTER),
    ("clip::pull", 4),
    ("publish::mqtt", ADAPTER),
    ("publish::history", ADAPTER),
    ("publish::snapshots", ADAPTER),
    ("embeddings::reader", ADAPTER),
    ("embeddings::writer", ADAPTER),
    ("taught::shelf", ADAPTER),
    ("view::shelf", ADAPTER),
    ("logging", ADAPTER),
    ("web", ADAPTER),
    // 4 composition
    ("daemon", 4),
    // 5 edge
    ("cli", 5),
    ("main", 5),
    ("lib", 5),
];
const STAGE: u8 = 2;
const ADAPTER: u8 = 3;

/// Crates that only one module (with its children) may name. A prefix: `gstreamer_app` counts.
const HEAVY_CRATES: &[(&str, &str)] = &[
    ("gstreamer", "capture::gstreamer"),
    ("ort", "clip::onnx"),
    ("rumqttc", "publish::mqtt"),
    ("rusqlite", "publish::history"),
    ("rayon", "cores"),
    ("ureq", "clip::fetch"),
    ("axum", "web"),
    ("hyper", "web"),
];

/// Where threads, tasks and channels are made: the daemon, and the channel that `stop` wraps.
const MAKERS: &[&str] = &["daemon", "stop"];
const MADE: &[&str] = &[
    "thread::Builder",
    "thread::spawn",
    "tokio::spawn",
    "task::spawn",
    "spawn_blocking",
    "spawn_local",
    "sync_channel",
    "mpsc::channel",
    "watch::channel",
    "broadcast::channel",
    "oneshot::channel",
    "crossbeam_channel::bounded",
    "crossbeam_channel::unbounded",
];

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 60;

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for file in rust_files(&root.join("src")) {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        broken.extend(check(path, &fs::read_to_string(&file).unwrap()));
    }
    for file in rust_files(&root.join("tests")) {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        let mut report = Report { path, broken: &mut broken };
        ignored_tests(
            &blank_comments_and_strings(&fs::read_to_string(&file).unwrap()),
            &mut report,
        );
    }
    assert!(broken.is_empty(), "{} broken rules:\n{}", broken.len(), broken.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

struct Report<'a> {
    path: &'a str,
    broken: &'a mut Vec<String>,
}

impl Report<'_> {
    /// `at` is a byte offset in `text`.
    fn add(&mut self, text: &str, at: usize, rule: &str) {
        let line = text[..at].matches('\n').count() + 1;
        self.broken.push(format!("{}:{line}: {rule}", self.path));
    }
}

/// Every broken rule of one file of `src/`.
fn check(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut report = Report { path, broken: &mut broken };
    let module = module_of(path);
    if path.ends_with("/mod.rs") {
        report.add(text, 0, "no mod.rs: the module is foo.rs beside foo/");
    }
    if !text.starts_with("//!") {
        report.add(text, 0, "a file opens with `//!`: what it does, owns, and how it ends");
    }
    let lines = text.lines().count();
    if lines > MAX_FILE_LINES {
        report.add(text, 0, &format!("{lines} lines; at most {MAX_FILE_LINES}: split it"));
    }
    let code = blank_comments_and_strings(text);
    ignored_tests(&code, &mut report);
    long_functions(&code, &mut report);
    if module.ends_with("::tests") {
        return broken; // a test module in its own file
    }
    let code = blank_tests(&code);
    imports(&module, &code, &mut report);
    heavy_crates(&module, &code, &mut report);
    makers(&module, &code, &mut report);
    broken
}

/// `src/capture/gstreamer.rs` is `capture::gstreamer`.
fn module_of(path: &str) -> String {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").replace('/', "::")
}

fn is_in(module: &str, parent: &str) -> bool {
    module.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The entry of `LAYERS` that holds `path`, and its layer.
fn place(path: &str) -> Option<(&'static str, u8)> {
    let holds = LAYERS.iter().filter(|(name, _)| is_in(path, name));
    holds.max_by_key(|(name, _)| name.len()).copied()
}

fn imports(module: &str, code: &str, report: &mut Report<'_>) {
    let Some((place_here, layer)) = place(module) else {
        report.add(code, 0, &format!("module {module} has no layer in tests/layering.rs"));
        return;
    };
    for (at, path) in own_paths(module, code) {
        let Some((there, below)) = place(&path) else { continue };
        let same_family = top(there) == top(place_here);
        let rule = if below > layer {
            format!("{module} (layer {layer}) imports {path} (layer {below}); only downward")
        } else if layer == STAGE && below == STAGE && !same_family {
            format!("stage {module} imports stage {path}; they meet only through channels")
        } else if layer == ADAPTER && below == ADAPTER && there != place_here {
            format!("adapter {module} imports adapter {path}")
        } else if layer == ADAPTER && below == STAGE && !same_family {
            format!("adapter {module} imports {path}, which is not its own stage")
        } else {
            continue;
        };
        report.add(code, at, &rule);
    }
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// Paths into this crate, by `crate::` and `super::`, groups unfolded, each with its offset.
fn own_paths(module: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in words(code, "crate") {
        if let Some(rest) = code[at..].strip_prefix("crate::") {
            found.extend(unfold(rest).into_iter().map(|path| (at, path)));
        }
    }
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    for (at, before) in words(code, "super") {
        // `super::super::x` is met again at its second word, one level too low: skip it there.
        let Some(rest) = code[at..].strip_prefix("super::") else { continue };
        if before.ends_with("super::") {
            continue;
        }
        let (up, rest) = match rest.strip_prefix("super::") {
            Some(rest) => (parent.rsplit_once("::").map_or("", |(up, _)| up), rest),
            None => (parent, rest),
        };
        let join = |path: String| if up.is_empty() { path } else { format!("{up}::{path}") };
        found.extend(unfold(rest).into_iter().map(|path| (at, join(path))));
    }
    found
}

/// `a::{b, c::D}` becomes `a::b` and `a::c::D`.
fn unfold(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let (path, rest) = text.split_at(end.unwrap_or(text.len()));
    let path = path.trim_end_matches(':');
    if !rest.starts_with('{') {
        return vec![path.to_owned()];
    }
    let inside = &rest[1..closing(rest, 0).unwrap_or(rest.len())];
    let parts = split_outside_braces(inside).into_iter().map(str::trim).filter(|p| !p.is_empty());
    let parts = parts.flat_map(unfold);
    let join = |part: String| if path.is_empty() { part } else { format!("{path}::{part}") };
    parts.map(join).collect()
}

fn split_outside_braces(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn heavy_crates(module: &str, code: &str, report: &mut Report<'_>) {
    for (name, home) in HEAVY_CRATES {
        if is_in(module, home) {
            continue;
        }
        for (at, before) in starts(code, name) {
            let word_end = code[at..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let (word, after) = code[at..].split_at(word_end.unwrap_or(code.len() - at));
            let is_the_crate = word == *name || word.starts_with(&format!("{name}_"));
            let named = after.starts_with("::") || before.trim_end().ends_with("use");
            // `capture::gstreamer` is our module of that name.
            if is_the_crate && named && !before.ends_with("::") {
                report.add(code, at, &format!("only {home} names the crate {word}"));
            }
        }
    }
}

fn makers(module: &str, code: &str, report: &mut Report<'_>) {
    if MAKERS.iter().any(|maker| is_in(module, maker)) {
        return;
    }
    for made in MADE {
        for (at, _) in words(code, made) {
            let rule = format!("{made} outside the daemon, which makes every channel and thread");
            report.add(code, at, &rule);
        }
    }
}

fn ignored_tests(code: &str, report: &mut Report<'_>) {
    for (at, _) in code.match_indices("#[ignore") {
        report.add(code, at, "no ignored tests: a test that cannot run says so and passes");
    }
}

fn long_functions(code: &str, report: &mut Report<'_>) {
    for (at, _) in words(code, "fn") {
        let Some(open) = code[at..].find(['{', ';']).map(|n| at + n) else { continue };
        let Some(close) = closing(code, open) else { continue };
        let lines = code[at..close].matches('\n').count() + 1;
        if lines > MAX_FUNCTION_LINES {
            let rule = format!("a function of {lines} lines; at most {MAX_FUNCTION_LINES}");
            report.add(code, at, &rule);
        }
    }
}

/// Made-up sources, so that the checker itself can fail.
mod made_up {
    use super::check;

    #[track_caller]
    fn expect(path: &str, text: &str, expected: &[&str]) {
        let found = check(path, &format!("//! x\n{text}"));
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} does not say {expected}");
        }
    }

    #[test]
    fn imports_go_downward() {
        expect("src/infer.rs", "use crate::{model::{Frame, Id}, mailbox};", &[]);
        expect("src/model.rs", "use crate::config::Config;", &["src/model.rs:2: model (layer 0)"]);
        expect("src/clip.rs", "fn f() {\n crate::clip::onnx::open() }", &[":3: clip (layer 1)"]);
        expect("src/alert/rules.rs", "use super::Stage;", &["alert::rules (layer 1)"]);
        expect("src/daemon.rs", "use crate::{capture::gstreamer::Open, infer};", &[]);
        expect("src/extra.rs", "", &["module extra has no layer"]);
    }

    #[test]
    fn stages_and_adapters_do_not_know_each_other() {
        expect("src/alert.rs", "use crate::publish::Link;", &["stage alert imports stage"]);
        expect("src/alert.rs", "use crate::{alert::rules, publish::topics::Topic};", &[]);
        expect("src/capture/gstreamer.rs", "use super::Source;", &[]);
        expect("src/capture/gstreamer.rs", "use crate::infer::X;", &["not its own stage"]);
        expect("src/publish/mqtt.rs", "use crate::clip::onnx::X;", &["imports adapter"]);
        expect("src/capture/gstreamer/bus.rs", "use super::super::Source; use super::X;", &[]);
    }

    #[test]
    fn heavy_crates_stay_in_their_file() {
        expect("src/capture/gstreamer/bus.rs", "use gstreamer_app as app;", &[]);
        expect("src/capture.rs", "use gstreamer_app as app;", &["only capture::gstreamer"]);
        expect(
            "src/infer.rs",
            "fn f(s: ort::Session) {}",
            &["only clip::onnx names the crate ort"],
        );
        expect("src/daemon.rs", "use crate::capture::gstreamer::Open; mod gstreamer;", &[]);
        expect("src/infer.rs", "use sort::ort_like; let ort = 1; // rumqttc::Client", &[]);
    }

    #[test]
    fn only_the_daemon_makes_threads_and_channels() {
        let text = "fn f() { std::thread::Builder::new(); }";
        expect("src/infer.rs", text, &["src/infer.rs:2: thread::Builder outside the daemon"]);
        expect("src/daemon/start.rs", text, &[]);
        expect("src/alert.rs", "let (a, b) = mpsc::channel(1);", &["mpsc::channel outside"]);
        let test = format!("#[cfg(test)]\nmod tests {{ use crate::cli::X; {text} }}");
        expect("src/infer.rs", &test, &[]);
        expect("src/infer.rs", &format!("{test}\nuse crate::cli::Y;"), &[":4: infer (layer 2)"]);
    }

    #[test]
    fn shape() {
        assert!(check("src/stop.rs", "use std::fs;")[0].contains("opens with `//!`"));
        assert!(check("src/stop/mod.rs", "//! x")[0].contains("no mod.rs"));
        let lines = "\n".repeat(400);
        expect("src/stop.rs", &lines, &["401 lines; at most 400"]);
        let body = "    x();\n".repeat(59);
        expect("src/stop.rs", &format!("fn f() {{\n{body}}}\nfn g() {{}}"), &["of 61 lines"]);
        expect("src/stop.rs", "#[ignore]\nfn f() {}", &["no ignored tests"]);
    }

    #[test]
    fn comments_and_strings_do_not_count() {
        let text = "// crate::cli::X\n/* ort::X */ const A: &str = \"crate::cli \\\" ort::\";\n";
        let raw = "const B: &str = r#\"tokio::spawn \" {\"#; const C: char = '\"'; fn f<'a>() {}";
        expect("src/model.rs", &format!("{text}{raw}"), &[]);
        expect("src/model.rs", &format!("{text}{raw} use crate::cli;"), &[":4: model (layer 0)"]);
    }
}
