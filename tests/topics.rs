//! Promise: README names every topic that there is, and what it names there is. The demo's
//! configuration on the demo's footage, a real broker, and a listener on everything.
//!
//! With BLESS=1 it listens for 30 seconds and writes docs/topics.md; else until every topic was seen.
#![expect(clippy::print_stdout, reason = "what was checked is its result")]
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{Broker, Seewhen, bikes, rtsp};

const LIMIT: Duration = Duration::from_secs(30);
const PREFIX: &str = "seewhen/demo/";

/// Topics of README that come in, and that no demo brings.
const COME_IN: [&str; 2] = ["<camera>/enabled/set", "<camera>/<watch>/<label>/threshold/set"];

/// One topic, or several, of README's table.
#[derive(Debug, Clone, PartialEq)]
struct Promised {
    pattern: String,
    payload: String,
    retained: String,
    qos: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The rows of the table under "## MQTT".
fn promised(readme: &str) -> Vec<Promised> {
    let table = readme.split("## MQTT").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [topics, payload, retained, qos] = cells[..] else { panic!("four cells: {row}") };
        let patterns = topics.split('`').skip(1).step_by(2);
        let one = |pattern: &str| Promised {
            pattern: pattern.to_owned(),
            payload: payload.to_owned(),
            retained: retained.to_owned(),
            qos: qos.to_owned(),
        };
        patterns.map(one).collect::<Vec<_>>()
    })
    .collect()
}

/// Whether a topic is one of a pattern's. Those of Home Assistant are not below the node.
fn fits(pattern: &str, topic: &str) -> bool {
    let pattern = pattern.replace("<node>", "demo");
    let Some(topic) = (match pattern.starts_with("homeassistant/") {
        true => Some(topic),
        false => topic.strip_prefix(PREFIX),
    }) else {
        return false;
    };
    let (wanted, found): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), topic.split('/').collect());
    let level = |(wanted, found): (&&str, &&str)| match wanted.split_once('<') {
        // An id has neither '<' nor '/', and is not empty.
        Some((before, _)) => found.strip_prefix(before).is_some_and(|id| !id.is_empty()),
        None => wanted == found,
    };
    wanted.len() == found.len() && wanted.iter().zip(&found).all(level)
}

/// One message, with the flags that it was published with.
struct Message {
    retained: bool,
    qos: String,
    topic: String,
    payload: Vec<u8>,
}

impl Message {
    /// `None`: it is a picture.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.payload).ok()
    }
}

/// Bytes of their hexadecimal digits: a picture has every byte in it, line ends too.
fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16));
    pairs.collect::<Result<_, _>>().unwrap()
}

/// mosquitto_sub on everything, into a file.
struct Listener {
    child: Child,
    file: PathBuf,
}

impl Listener {
    fn start(port: u16, file: PathBuf) -> Self {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-V", "mqttv5", "--retain-as-published", "-h", "127.0.0.1"]);
        command.args(["-p", &port.to_string(), "-q", "1", "-t", "#", "-F", "%r %q %t %x"]);
        command.stdin(Stdio::null()).stdout(std::fs::File::create(&file).unwrap());
        Self { child: command.spawn().unwrap(), file }
    }

    /// All whole lines so far.
    fn heard(&self) -> Vec<Message> {
        let text = std::fs::read(&self.file).unwrap();
        let text = String::from_utf8_lossy(&text);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let message = |line: &str| {
            let mut parts = line.splitn(4, ' ').map(str::to_owned);
            let mut next = || parts.next().unwrap_or_default();
            let (retained, qos, topic) = (next() == "1", next(), next());
            Message { retained, qos, topic, payload: bytes(&next()) }
        };
        whole.lines().map(message).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// What is promised and not heard of, leaving out what only comes in.
fn missing<'a>(promised: &'a [Promised], heard: &[Message]) -> Vec<&'a str> {
    let outgoing = promised.iter().filter(|row| !COME_IN.contains(&row.pattern.as_str()));
    let silent = |row: &&Promised| !heard.iter().any(|message| fits(&row.pattern, &message.topic));
    outgoing.filter(silent).map(|row| row.pattern.as_str()).collect()
}

/// What README does not say, or says otherwise.
fn wrong(promised: &[Promised], heard: &[Message]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for Message { topic, retained, qos, .. } in heard {
        let rows: Vec<&Promised> =
            promised.iter().filter(|row| fits(&row.pattern, topic)).collect();
        let word = if *retained { "yes" } else { "no" };
        match rows[..] {
            [row] if (row.retained == word && row.qos == *qos) || row.qos == "–" => {}
            [row] => found.push(format!(
                "{topic}: retained {word}, QoS {qos}; README: {}, {}",
                row.retained, row.qos
            )),
            [] => found.push(format!("{topic}: not in README")),
            _ => found.push(format!("{topic}: more than one row of README")),
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A cell of Markdown, cut short.
fn cell(text: &str) -> String {
    let short: String = text.chars().take(240).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", short.replace('|', "\\|"))
}

fn table(promised: &[Promised], heard: &[Message]) -> String {
    let mut text = "\
# Every topic, as seen

Thirty seconds of the demo's configuration on its footage, with Home Assistant's discovery turned on and one
`seewhen explain` on the way, as a listener on `#` saw them; beside it what the README promises. Written by
`BLESS=1 cargo test --test topics`; the same test fails when a topic comes that the README does not name, when one
that it names does not come (but for those that only take commands in), or when it is retained or confirmed
otherwise.

| topic | retained | QoS | messages | largest, bytes | the last one | README: retained, QoS | README: payload |
|---|---|---|---|---|---|---|---|
"
    .to_owned();
    for Promised { pattern, payload, retained, qos } in promised {
        let of: Vec<&Message> =
            heard.iter().filter(|message| fits(pattern, &message.topic)).collect();
        let Some(last) = of.last() else {
            writeln!(text, "| `{pattern}` | – | – | 0 | – | – | {retained}, {qos} | {payload} |")
                .unwrap();
            continue;
        };
        let size = of.iter().map(|message| message.payload.len()).max().unwrap();
        let (count, kept) = (of.len(), if last.retained { "yes" } else { "no" });
        let example = last.text().map_or_else(|| "a picture".to_owned(), cell);
        writeln!(
            text,
            "| `{pattern}` | {kept} | {} | {count} | {size} | {example} | {retained}, {qos} | {payload} |",
            last.qos
        )
        .unwrap();
    }
    text
}

#[test]
fn the_readme_names_every_topic() {
    let bless = std::env::var_os("BLESS").is_some();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let promised = promised(&readme);
    assert!(promised.len() >= 8, "{promised:?}");
    let camera = rtsp::Server::start(0, &[("bikes".to_owned(), bikes())], |_| {}).unwrap();
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let listener = Listener::start(broker.port, folder.path().join("heard"));
    let config = std::fs::read_to_string(root().join("config/demo.toml")).unwrap();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let environment = [
        ("SEEWHEN_MQTT__URL", url.as_str()),
        ("SEEWHEN_MQTT__DISCOVERY", "homeassistant"),
        ("DEMO_BIKES_SOURCE", &camera.url("bikes")),
        ("DEMO_SQUARE_SOURCE", &camera.url("bikes")),
    ];
    let seewhen = Seewhen::start_with(&config, &environment);
    seewhen.expect_log("seewhen is running", Duration::from_secs(60));
    let started = Instant::now();
    sleep(Duration::from_secs(5));
    let mut explain = support::command();
    explain.args(["explain", "bikes/street/cyclist", "--config"]).envs(environment);
    explain.arg(seewhen.folder.path().join("seewhen.toml"));
    assert!(explain.status().unwrap().success());
    while started.elapsed() < LIMIT && (bless || !missing(&promised, &listener.heard()).is_empty())
    {
        sleep(Duration::from_millis(200));
    }
    let heard = listener.heard();
    if bless {
        std::fs::write(root().join("docs/topics.md"), table(&promised, &heard)).unwrap();
    }
    assert_eq!(
        missing(&promised, &heard),
        Vec::<&str>::new(),
        "README names them, and they did not come"
    );
    assert_eq!(wrong(&promised, &heard), Vec::<String>::new());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in &heard {
        if let Some(payload) = message.text() {
            support::schema::check_message(&message.topic, payload);
        }
        *counts.entry(support::schema::of_topic(&message.topic).unwrap_or("word")).or_default() +=
            1;
    }
    println!("checked against their schemas: {counts:?}");
    assert!(counts.len() >= 6, "each schema of a topic was met: {counts:?}");
}

/// The check itself can fail.
#[test]
fn other_topics_are_found() {
    let rows = promised(
        "## MQTT\n| `available` | words | yes | 1 |\n| `<camera>/status`, `homeassistant/device/seewhen_<node>/config` | JSON | yes | 1 |\n## More\n| `x` | y | z | 0 |",
    );
    assert_eq!(rows.len(), 3);
    let message = |topic: &str, retained| Message {
        retained,
        qos: "1".to_owned(),
        topic: topic.to_owned(),
        payload: Vec::new(),
    };
    let heard = [
        message("seewhen/demo/available", false),
        message("seewhen/demo/bikes/stats", true),
        message("seewhen/demo/bikes/status", true),
    ];
    assert_eq!(missing(&rows, &heard), ["homeassistant/device/seewhen_<node>/config"]);
    let found = wrong(&rows, &heard);
    assert_eq!(
        found,
        [
            "seewhen/demo/available: retained no, QoS 1; README: yes, 1",
            "seewhen/demo/bikes/stats: not in README"
        ]
    );
    assert!(!fits(
        "homeassistant/device/seewhen_<node>/config",
        "homeassistant/device/seewhen_demo_bikes/config"
    ));
    assert!(fits(
        "homeassistant/device/seewhen_<node>_<camera>/config",
        "homeassistant/device/seewhen_demo_bikes/config"
    ));
}
