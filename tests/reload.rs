//! SIGHUP: a new configuration takes effect without a dropped connection, a broken one changes
//! nothing.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::time::Duration;

use support::rtsp::Server;
use support::{Broker, Seewhen};

const SOON: Duration = Duration::from_secs(30);

fn config(broker: &Broker, camera: &Server, prompt: &str) -> String {
    let labels = format!(
        r#"
[[watch.label]]
id = "{prompt}"
prompts = ["a {prompt}"]
threshold = 0.45
[[watch.label]]
id = "rest"
prompts = ["cars on a street", "a man in a suit", "a cyclist"]
"#
    );
    support::street(broker, camera) + &labels
}

#[test]
fn a_reload_keeps_what_has_not_changed() {
    let broker = Broker::start();
    let camera = Server::start(0, &[("bikes".to_owned(), support::bikes())], |_| {}).unwrap();
    let subscriber = broker.subscribe();
    let seewhen = Seewhen::start(&config(&broker, &camera, "boat"));
    subscriber.expect("street/available", SOON, |heard| heard.payload == "online");
    subscriber.expect("boat/state", SOON, |heard| heard.payload == "OFF");

    // A broken file changes nothing, and the log says what and where.
    seewhen.configure(&config(&broker, &camera, "boat").replace("0.45", "4.5"));
    seewhen.signal("HUP");
    seewhen.expect_log("seewhen.toml:17:13: watch[traffic].label[boat].threshold", SOON);
    seewhen.expect_log("the configuration was not taken over; the running one stays", SOON);
    // One that needs a restart says so.
    seewhen.configure(&config(&broker, &camera, "boat").replace("node = \"test\"", "node = \"n\""));
    seewhen.signal("HUP");
    seewhen.expect_log("changed keys need a restart: node", SOON);
    let before = subscriber.on("traffic/probabilities").len();
    support::wait_for("the old configuration still runs", SOON, || {
        let told = subscriber.on("traffic/probabilities");
        (told.len() > before && told.last()?.json()["probabilities"]["boat"].is_f64()).then_some(())
    });

    // A new prompt takes effect; the old label's state is cleared.
    seewhen.configure(&config(&broker, &camera, "bicycle"));
    seewhen.signal("HUP");
    subscriber.expect("bicycle/state", SOON, |heard| heard.payload == "OFF");
    subscriber.expect("boat/state", SOON, |heard| heard.payload.is_empty());
    subscriber.expect("bicycle/event", SOON, |heard| heard.json()["type"] == "start");

    // Through all of it the camera has stayed connected.
    let states: Vec<String> = subscriber
        .on("street/status")
        .iter()
        .map(|heard| heard.json()["state"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(states.iter().skip_while(|s| *s == "connecting").all(|s| s == "running"), "{states:?}");
    assert_eq!(seewhen.log().matches("frames are flowing").count(), 1, "{}", seewhen.log());
    seewhen.signal("INT");
    assert!(seewhen.wait(Duration::from_secs(10)).success());
}
