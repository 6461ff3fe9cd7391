//! From a camera to a subscriber, on real parts: an RTSP server plays real footage, seewhen
//! watches it with the default bundle, mosquitto carries what it says.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::time::Duration;

use support::rtsp::Server;
use support::{Broker, Heard, Seewhen, Subscriber};

const SOON: Duration = Duration::from_secs(30);
/// More than two loops of the clip.
const LOOPS: Duration = Duration::from_secs(40);

fn camera() -> Server {
    camera_on(0)
}

fn camera_on(port: u16) -> Server {
    Server::start(port, &[("bikes".to_owned(), support::bikes())], |_| {}).unwrap()
}

const LABELS: &str = r#"
[[watch.label]]
id = "cyclist"
prompts = ["a cyclist", "a man riding a bicycle"]
threshold = 0.5
clear = 0.4
[[watch.label]]
id = "bicycle"
prompts = ["a bicycle on the pavement"]
threshold = 0.45
clear = 0.4
[[watch.label]]
id = "rest"
prompts = ["a taxi", "cars on a street", "a man in a suit"]
"#;

fn is(payload: &'static str) -> impl Fn(&Heard) -> bool {
    move |heard| heard.payload == payload
}

fn running(broker: &Broker, camera: &Server) -> (Seewhen, Subscriber) {
    let subscriber = broker.subscribe();
    let seewhen = Seewhen::start(&(support::street(broker, camera) + LABELS));
    subscriber.expect("test/street/available", SOON, is("online"));
    (seewhen, subscriber)
}

#[test]
fn what_a_camera_sees_reaches_a_subscriber() {
    let (broker, camera) = (Broker::start(), camera());
    let (seewhen, subscriber) = running(&broker, &camera);

    let start = subscriber.expect("cyclist/event", LOOPS, |heard| heard.json()["type"] == "start");
    assert_eq!(start.topic, "seewhen/test/street/traffic/cyclist/event");
    assert!(!start.retained);
    let start = start.json();
    let end = subscriber.expect("cyclist/event", LOOPS, |heard| {
        heard.json()["type"] == "end" && heard.json()["id"] == start["id"]
    });
    let end = end.json();
    for key in ["camera", "watch", "label", "node", "model", "start_time", "threshold"] {
        assert_eq!(start[key], end[key], "{key}");
    }
    assert_eq!(start["end_time"], serde_json::Value::Null);
    assert_eq!(start["queued"], false);
    let length = end["end_time"].as_f64().unwrap() - start["start_time"].as_f64().unwrap();
    assert!((0.3..=1.6).contains(&length), "the cyclist is seen for a second, not {length} s");
    assert!(start["probability"].as_f64().unwrap() >= 0.5);
    assert!(end["probability"].as_f64().unwrap() < 0.4);

    // The state follows the event, and says OFF from the start.
    let states = support::wait_for("its states", SOON, || {
        let heard = subscriber.on("cyclist/state").into_iter();
        let states: Vec<String> = heard.map(|heard| heard.payload).collect();
        (states.len() >= 3).then_some(states)
    });
    assert_eq!(states[..3], ["OFF", "ON", "OFF"]);
    // Probabilities flow, and add up.
    let told = subscriber.expect("traffic/probabilities", SOON, |_| true).json();
    let sum: f64 =
        told["probabilities"].as_object().unwrap().values().filter_map(|p| p.as_f64()).sum();
    assert!((sum - 1.0).abs() < 1e-3, "{told}");
    // Someone who comes later finds the retained topics.
    let late = broker.subscribe();
    for topic in ["test/available", "street/available", "street/status", "bicycle/state"] {
        assert!(late.expect(topic, SOON, |_| true).retained, "{topic}");
    }
    assert_eq!(late.on("street/status")[0].json()["state"], "running");

    seewhen.signal("TERM");
    assert!(seewhen.wait(Duration::from_secs(10)).success(), "{}", seewhen.log());
    subscriber.expect("test/available", SOON, is("offline"));
    subscriber.expect("street/available", SOON, is("offline"));
    assert_eq!(subscriber.catch_up().on("cyclist/state").last().unwrap().payload, "OFF");
}

#[test]
fn the_last_will_is_seen_after_a_kill() {
    let (broker, camera) = (Broker::start(), camera());
    let (seewhen, subscriber) = running(&broker, &camera);
    assert_eq!(subscriber.on("test/available").last().unwrap().payload, "online");
    seewhen.signal("KILL");
    assert!(!seewhen.wait(SOON).success());
    subscriber.expect("test/available", SOON, is("offline"));
}

#[test]
fn a_camera_that_goes_away_is_unavailable_and_comes_back() {
    let port = support::free_port();
    let (broker, camera) = (Broker::start(), camera_on(port));
    let (seewhen, subscriber) = running(&broker, &camera);
    drop(camera);
    subscriber.expect("street/available", SOON, |heard| {
        heard.payload == "offline" && subscriber.on("street/available").len() > 2
    });
    let status = subscriber.expect("street/status", SOON, |heard| {
        heard.json()["attempt"].as_u64().is_some_and(|attempt| attempt > 0)
    });
    assert_ne!(status.json()["reason"], "", "{}", seewhen.log());
    let _again = camera_on(port);
    support::wait_for("the camera is back", LOOPS, || {
        (subscriber.on("street/available").last()?.payload == "online").then_some(())
    });
}

#[test]
fn events_of_a_broker_outage_arrive_late_and_say_so() {
    let (mut broker, camera) = (Broker::start(), camera());
    let (seewhen, subscriber) = running(&broker, &camera);
    subscriber.expect("cyclist/event", LOOPS, |heard| heard.json()["type"] == "end");
    broker.stop();
    seewhen.expect_log("no connection to the broker", SOON);
    let events = seewhen.log().matches(" event ").count();
    support::wait_for("events while nobody listens", LOOPS, || {
        (seewhen.log().matches(" event ").count() >= events + 2).then_some(())
    });
    broker.restart();
    let back = broker.subscribe();
    let late = back.expect("/event", LOOPS * 2, |heard| heard.json()["queued"] == true);
    let late = late.json();
    assert!(late["start_time"].as_f64().unwrap() < back.heard()[0].time, "with its own time");
    back.expect("test/available", SOON, is("online"));
}
