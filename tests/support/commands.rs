//! A running seewhen that takes commands, and who sends them.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Broker, Seewhen, Subscriber};

pub const SOON: Duration = Duration::from_secs(60);
const P: &str = "seewhen/test";
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The street of the clip, in which a cyclist comes by, and a test picture in a yard, of which one
/// label is always on.
pub fn config(broker: &Broker, more: &str) -> String {
    let clip = super::support::bikes();
    format!(
        r#"node = "test"
{more}
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[[camera]]
id = "street"
source = "{clip}"
loop = true
every = "250ms"
[[watch]]
id = "traffic"
cameras = ["street"]
publish_every = "500ms"
[[watch.label]]
id = "cyclist"
prompts = ["a cyclist"]
threshold = 0.9
clear = 0.5
[[watch.label]]
id = "rest"
prompts = ["cars on a street"]
{YARD}"#,
        port = broker.port,
        clip = clip.display(),
    )
}

/// The yard alone: nothing moves in it.
pub fn still(broker: &Broker) -> String {
    let port = broker.port;
    format!("node = \"test\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n{YARD}")
}

const YARD: &str = r#"
[[camera]]
id = "yard"
source = "test:"
every = "500ms"
[[watch]]
id = "garden"
cameras = ["yard"]
publish_every = "500ms"
[[watch.label]]
id = "bars"
prompts = ["colour bars"]
threshold = 0.0002
clear = 0.0001
[[watch.label]]
id = "grass"
prompts = ["a green lawn"]
"#;

/// Broker, subscriber and seewhen.
pub struct Bench<'a> {
    pub broker: &'a Broker,
    pub heard: Subscriber,
}

impl<'a> Bench<'a> {
    pub fn new(broker: &'a Broker) -> Self {
        // Not the commands themselves, which may be no text.
        let ends = ["command", "+/enabled/set", "+/+/+/threshold/set"];
        let topics = ends.map(|end| format!("{P}/{end}"));
        let arguments: Vec<&str> = topics.iter().flat_map(|topic| ["-T", topic]).collect();
        Self { broker, heard: broker.subscribe_with(&arguments) }
    }

    /// Sends a command and waits for its answer.
    #[track_caller]
    pub fn ask(&self, mut command: Value) -> Value {
        let id = format!("{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        command["id"] = json!(id);
        self.broker.publish(&format!("{P}/command"), command.to_string().as_bytes(), false);
        self.heard.expect("/reply", SOON, |heard| heard.json()["id"] == *id).json()
    }

    /// The same, for one that must be carried out.
    #[track_caller]
    pub fn done(&self, command: Value) -> Value {
        let reply = self.ask(command.clone());
        assert_eq!(reply["ok"], true, "{command}: {reply}");
        reply
    }

    /// The same, for one that must not; gives the reason.
    #[track_caller]
    pub fn refused(&self, command: Value) -> String {
        let reply = self.ask(command.clone());
        assert_eq!(reply["ok"], false, "{command}: {reply}");
        assert!(reply["persisted"].is_null(), "{reply}");
        reply["reason"].as_str().unwrap().to_owned()
    }

    /// Kills seewhen, starts it again and waits until it listens.
    pub fn restart(&self, seewhen: Seewhen) -> Seewhen {
        self.start_in(seewhen.kill())
    }

    /// Starts seewhen where another was, and waits until it listens.
    pub fn start_in(&self, folder: tempfile::TempDir) -> Seewhen {
        let online = || {
            let all = self.heard.on("test/available");
            all.iter().filter(|heard| heard.payload == "online").count()
        };
        let before = online();
        let seewhen = Seewhen::start_in(folder, &[]);
        super::support::wait_for("seewhen is back", SOON, || (online() > before).then_some(()));
        seewhen
    }

    /// Sends a plain value on a topic below the node's.
    pub fn set(&self, topic: &str, payload: &str) {
        self.broker.publish(&format!("{P}/{topic}"), payload.as_bytes(), false);
    }

    /// Waits until the newest value of a topic is `payload`.
    #[track_caller]
    pub fn becomes(&self, topic: &str, payload: &str) {
        let end = format!("{P}/{topic}");
        let what = format!("{topic} becomes {payload:?}");
        super::support::wait_for(&what, SOON, || {
            (self.heard.on(&end).last()?.payload == payload).then_some(())
        });
    }

    /// Waits until the newest probabilities of a watch have, or lack, a label.
    #[track_caller]
    pub fn looked_for(&self, watch: &str, label: &str, there: bool) {
        super::support::wait_for(&format!("{label} looked for: {there}"), SOON, || {
            let told = self.heard.on(&format!("{watch}/probabilities"));
            (told.last()?.json()["probabilities"][label].is_f64() == there).then_some(())
        });
    }
}

/// What commands have changed and is kept.
pub fn kept(seewhen: &Seewhen) -> String {
    std::fs::read_to_string(seewhen.folder.path().join("90-runtime.toml")).unwrap_or_default()
}
