//! Promise: what `/metrics` tells is what Prometheus reads, and the dashboard asks for nothing else.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(clippy::print_stdout, reason = "says what was skipped")]

mod support;

#[path = "support/http.rs"]
mod http;
#[path = "support/page.rs"]
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::Site;
use page::{Page, SOON};
use serde_json::Value;
use support::{Broker, Seewhen, free_port, wait_for};

/// Samples by name and labels, of a text that keeps the format's rules.
type Samples = BTreeMap<String, f64>;

/// Reads strictly: every sample belongs to the metric that was begun last.
fn read(text: &str) -> (Samples, BTreeMap<String, String>) {
    let (mut samples, mut kinds) = (Samples::new(), BTreeMap::new());
    let (mut helped, mut current) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && !kinds.contains_key(name), "{line}");
            name.clone_into(&mut helped);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP comes first");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            name.clone_into(&mut current);
            kinds.insert(name.to_owned(), kind.to_owned());
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            let ends: &[&str] =
                if kinds[&current] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(ends.iter().any(|end| name == format!("{current}{end}")), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.insert(key.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    assert!(text.ends_with('\n'));
    (samples, kinds)
}

fn scrape(site: &Site) -> String {
    let answer = site.get("/metrics", &[]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
    answer.text()
}

/// Debian's, or the one that scripts/setup got.
fn promtool() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/tools/bin/promtool");
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&folders).map(|folder| folder.join("promtool"));
    on_path.chain([own]).find(|path| path.is_file())
}

fn check_with_promtool(text: &str) {
    let Some(promtool) = promtool() else {
        println!("promtool: skipped, for it is not there; scripts/setup test gets it");
        return;
    };
    let mut command = Command::new(promtool);
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}\n{text}");
    println!("promtool: nothing to say");
}

/// A node with a broker, whose label fires.
fn running() -> (Broker, Page) {
    let (broker, port) = (Broker::start(), free_port());
    let config =
        page::config(port, "").replace("127.0.0.1:9\"", &format!("127.0.0.1:{}\"", broker.port));
    let config = config.replace("threshold = 0.5", "threshold = 0.001");
    let listen = format!("127.0.0.1:{port}");
    let seewhen = Seewhen::start_with(&config, &[("SEEWHEN_WEB__LISTEN", &listen)]);
    let site = Site::plain(port);
    wait_for("the page is ready", SOON, || {
        let request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        site.send(request).ok().filter(|answer| answer.status == 200)
    });
    (broker, Page { seewhen, site })
}

#[test]
fn prometheus_reads_what_happens() {
    let (_broker, Page { site, seewhen: _seewhen }) = running();
    let event = "seewhen_events_total{camera=\"picture\",watch=\"look\",label=\"bars\"}";
    let text = wait_for("an event is delivered", SOON, || {
        let text = scrape(&site);
        let (samples, _) = read(&text);
        (samples["seewhen_event_delivery_seconds_count"] > 0.0).then_some(text)
    });
    let (samples, kinds) = read(&text);
    assert_eq!(samples[event], 1.0, "{text}");
    let camera = |name: &str| samples[&format!("{name}{{camera=\"picture\"}}")];
    assert_eq!(camera("seewhen_camera_up"), 1.0);
    for problem in ["covered", "blinded", "frozen", "moved"] {
        let name = format!("seewhen_camera_problem{{camera=\"picture\",problem=\"{problem}\"}}");
        assert_eq!(samples[&name], 0.0, "{problem}");
    }
    assert!(camera("seewhen_frames_analysed_total") >= 1.0, "{text}");
    assert!((0.0..60.0).contains(&camera("seewhen_frame_age_seconds")), "{text}");
    assert_eq!((samples["seewhen_broker_connected"], samples["seewhen_outbox_events"]), (1.0, 0.0));
    assert!(samples["process_resident_memory_bytes"] > 1e7, "{text}");
    let info = samples.keys().find(|key| key.starts_with("seewhen_build_info")).unwrap();
    assert!(info.contains("node=\"test\"") && info.contains(env!("CARGO_PKG_VERSION")), "{info}");
    for name in kinds.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
        let all = samples[&format!("{name}_count")];
        assert_eq!(samples[&format!("{name}_bucket{{le=\"+Inf\"}}")], all, "{name}");
        let buckets = samples.iter().filter(|(key, _)| key.starts_with(&format!("{name}_bucket")));
        assert!(buckets.clone().count() > 10 && buckets.clone().all(|(_, count)| *count <= all));
    }
    assert!(samples["seewhen_inference_seconds_sum"] > 0.0);
    check_with_promtool(&text);
    let done = "seewhen_commands_total{outcome=\"done\"}";
    assert_eq!(samples[done], 0.0);
    let command = r#"{"command":"set_threshold","watch":"look","label":"bars","threshold":0.002}"#;
    assert_eq!(site.post("/api/command", command, &[]).status, 200);
    assert_eq!(read(&scrape(&site)).0[done], 1.0);
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/grafana.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let text = target["expr"].as_str().unwrap();
            let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let names = text
                .split(word)
                .filter(|word| word.starts_with("seewhen_") || word.starts_with("process_"));
            let names: Vec<String> = names.map(str::to_owned).collect();
            assert!(!names.is_empty(), "{text}");
            asked.extend(names);
        }
    }
    assert!(asked.len() >= 12, "{asked:?}");
    let (_broker, Page { site, seewhen: _seewhen }) = running();
    wait_for("all of them are told", SOON, || {
        let (samples, _) = read(&scrape(&site));
        let told: BTreeSet<String> =
            samples.keys().map(|key| key.split('{').next().unwrap().to_owned()).collect();
        let missing: Vec<_> = asked.difference(&told).collect();
        missing.is_empty().then_some(())
    });
}

#[test]
fn health_says_what_is_wrong() {
    let Page { site, seewhen: _seewhen } = page::start("");
    let alive = site.get("/healthz", &[]);
    assert_eq!((alive.status, alive.text().trim()), (200, "ok"));
    let ready = wait_for("the camera runs", SOON, || {
        let answer = site.get("/readyz", &[]);
        (answer.json()["running"] == 1).then_some(answer)
    });
    assert_eq!(ready.status, 503, "there is no broker");
    let json = ready.json();
    assert_eq!(json["reasons"], serde_json::json!(["the broker is not connected"]), "{json}");
    assert_eq!((&json["ready"], &json["model"]), (&false.into(), &true.into()), "{json}");
}
