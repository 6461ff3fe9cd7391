//! The API behind the page, from the real binary: what it shows, and what can be done with it.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::site::{Site, street};
use support::{Broker, wait_for};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn what_happens_is_shown() {
    let broker = Broker::start();
    let site = Site::start(&street(&broker));
    let page = site.get("/");
    assert_eq!((page.status, page.kind.as_str()), (200, "text/html; charset=utf-8"));
    let again = site.get_with("/", &[("if-none-match", page.tag.as_deref().unwrap())]);
    assert_eq!((again.status, again.body.len()), (304, 0));

    // From the first message on everything is there, and then what changes.
    let (mut node, mut label, mut event) = (false, false, None);
    let complete = site.live(SOON, |kind, data| {
        match kind {
            "node" => node |= data["node"] == "test" && data["broker"]["connected"] == true,
            "cameras" => {
                let cyclist = &data[0]["watches"][0]["labels"][0];
                let is_right = cyclist["id"] == "cyclist" && cyclist["threshold"] == 0.5;
                label |= is_right && cyclist["probability"].is_number() && data[0]["fps"] != 0.0;
            }
            "event" => event = event.take().or(Some(data.clone())),
            _ => {}
        }
        node && label && event.is_some()
    });
    assert!(complete, "node {node}, label {label}, event {event:?}");
    let event = event.unwrap();
    assert_eq!((&event["camera"], &event["label"]), (&json!("street"), &json!("cyclist")));

    let path = format!("/api/snapshots/{}", event["snapshot"].as_str().unwrap());
    let snapshot = wait_for("the snapshot", SOON, || {
        Some(site.get(&path)).filter(|response| response.status == 200)
    });
    assert_eq!(image::load_from_memory(&snapshot.body).unwrap().width(), 640);
    let newest = wait_for("a picture", SOON, || {
        Some(site.get("/api/cameras/street/picture.jpg?width=320"))
            .filter(|response| response.status == 200)
    });
    assert_eq!(image::load_from_memory(&newest.body).unwrap().width(), 320);
    let curves = site.get("/api/cameras/street/curves").json();
    assert!(!curves["traffic/cyclist"].as_array().unwrap().is_empty(), "{curves}");

    let events = site.get("/api/events?camera=street&label=cyclist&limit=1").json();
    assert_eq!(events["events"].as_array().unwrap().len(), 1, "{events}");
    let past = site.get(&format!("/api/events?before={}", event["start_time"])).json();
    assert_eq!(past, json!({ "events": [], "more": false }), "it was the first");

    for (path, status) in [
        ("/api/cameras/none/picture.jpg", 404),
        ("/api/cameras/street/picture.jpg?width=1", 400),
        ("/api/cameras/street/picture.jpg?width=x", 400),
        ("/api/snapshots/test/street/2026-11-26/..%2F..%2Fseewhen.toml", 404),
        ("/api/snapshots/../../../seewhen.toml", 404),
        ("/api/pictures/street/nan.jpg", 404),
        ("/api/events?camera=%00", 400),
        ("/api/nothing", 404),
    ] {
        assert_eq!(site.get(path).status, status, "{path}");
    }
}

#[test]
fn words_are_tried_and_become_a_label() {
    let broker = Broker::start();
    let site = Site::start(&street(&broker));
    let label = |id: &str, text: &str| json!({ "label": id, "prompts": [text] });
    let words = json!({ "labels": [label("suit", "a man in a suit"), label("dog", "no dog")],
        "watch": "traffic" });
    let tried = wait_for("a frame that was tried", SOON, || {
        let tried = site.post("/api/prompts", &words);
        assert_eq!(tried.status, 200, "{}", tried.text());
        Some(tried.json()).filter(|tried| tried["cameras"][0]["camera"] == "street")
    });
    let probabilities = tried["cameras"][0]["probabilities"].as_object().unwrap();
    let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-3 && probabilities.len() == 6, "{tried}");
    assert!(tried["advice"].to_string().contains("does not understand"), "{tried}");

    // The clip has gone round once: the suit has been there.
    let all = json!({ "labels": [label("suit", "a man in a suit")], "watch": "traffic",
        "camera": "street", "since": 0.0, "until": 4e9, "points": 1000 });
    let past = wait_for("ten seconds of history", SOON, || {
        let past = site.post("/api/past", &all);
        assert!([200, 404].contains(&past.status), "{}", past.text());
        Some(past)
            .filter(|past| past.status == 200)
            .map(|past| past.json())
            .filter(|past| past["frames"].as_u64().unwrap() >= 44)
    });
    let point = &past["points"][0];
    assert!(point["probabilities"]["suit"].as_f64().unwrap() > 0.1, "{point}");
    let thumbnail = site.get(point["picture"].as_str().unwrap());
    assert_eq!(image::load_from_memory(&thumbnail.body).unwrap().width(), 320);

    let found = site.get("/api/search?q=a+person+riding+a+bicycle&limit=3").json();
    assert!(found["scanned"].as_u64().unwrap() >= 44, "{found}");
    let best = &found["hits"][0];
    assert!(best["deviations"].as_f64().unwrap() > 1.0, "{best}");
    assert_eq!(site.get(best["picture"].as_str().unwrap()).status, 200);

    let add = json!({ "command": "add_label", "watch": "traffic", "label": "suit",
        "prompts": ["a man in a suit"], "threshold": 0.3 });
    let reply = site.post("/api/command", &add);
    assert_eq!((reply.status, &reply.json()["ok"]), (200, &json!(true)), "{}", reply.text());
    let fired = site.live(SOON, |kind, data| kind == "event" && data["label"] == "suit");
    assert!(fired, "{}", site.seewhen.log());
    let again = site.post("/api/command", &add);
    assert_eq!((again.status, &again.json()["ok"]), (409, &json!(false)), "{}", again.text());
    assert_eq!(site.post("/api/command", &json!({ "command": "dance" })).status, 400);

    for (words, status) in [
        (json!({ "labels": [] }), 400),
        (json!({ "labels": [label("", "x")] }), 400),
        (json!({ "labels": [label("x", " ")] }), 400),
        (json!({ "labels": [label("x", "x"), label("x", "y")] }), 400),
        (json!({ "labels": [label("x", "x")], "watch": "none" }), 400),
        (json!({ "labels": [label("x", "x")], "templates": ["{} {}"] }), 400),
        (json!({ "labels": [label("x", "x")], "score": "best" }), 400),
    ] {
        let answer = site.post("/api/prompts", &words);
        assert_eq!(answer.status, status, "{words}: {}", answer.text());
        assert!(answer.json()["error"].is_string());
    }
}

#[test]
fn a_label_is_taught() {
    let broker = Broker::start();
    let site = Site::start(&street(&broker));
    let event = wait_for("an event that has ended", SOON, || {
        let events = site.get("/api/events?label=cyclist").json();
        let mut events = events["events"].as_array()?.iter();
        events.find(|event| event["type"] == "end").cloned()
    });
    let (start, end) = (event["start_time"].as_f64().unwrap(), event["end_time"].as_f64().unwrap());
    let report = || {
        let answer = site.get("/api/taught?camera=street&watch=traffic&label=cyclist");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let nothing = report();
    assert_eq!((&nothing["yes"], &nothing["no"]), (&json!(0), &json!(0)), "{nothing}");
    assert_eq!(nothing["score"]["enough"], json!(false), "{nothing}");
    let next = nothing["next"][0]["picture"].as_str().unwrap();
    assert_eq!(site.get(next).status, 200, "{nothing}");

    // The label's own words over its own past: what it says of that event.
    let asked = json!({ "labels": [{ "label": "cyclist", "prompts": ["a person riding a bicycle"] }],
        "watch": "traffic", "camera": "street", "since": start - 0.01, "until": end + 0.01, "points": 1 });
    let highest = || {
        let past = site.post("/api/past", &asked);
        assert_eq!(past.status, 200, "{}", past.text());
        past.json()["points"][0]["probabilities"]["cyclist"].as_f64().unwrap()
    };
    let is_taught =
        || site.get("/api/cameras").json()[0]["watches"][0]["labels"][0]["taught"].clone();
    let before = highest();
    assert!(before >= 0.5 && is_taught() == json!(false), "{before}");
    let teach = json!({ "command": "teach", "camera": "street", "watch": "traffic", "label": "cyclist",
        "no": [[start - 0.001, end + 0.001]] });
    let reply = site.post("/api/command", &teach);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let taught = reply.json()["taught"].clone();
    assert!(taught["added"].as_u64().unwrap() > 0 && taught["no"] == taught["added"], "{taught}");
    assert_eq!(site.post("/api/command", &teach).json()["taught"]["added"], json!(0));
    let told = report();
    assert_eq!((&told["yes"], &told["no"]), (&json!(0), &taught["no"]), "{told}");
    assert_eq!((&told["score"]["no_events"], &told["score"]["enough"]), (&json!(1), &json!(false)));
    assert!(highest() < before - 0.1, "{} after {before}", highest());
    wait_for("the label is shown as taught", SOON, || (is_taught() == json!(true)).then_some(()));

    let undo = json!({ "command": "undo_teach", "watch": "traffic", "label": "cyclist" });
    assert_eq!(site.post("/api/command", &undo).json()["taught"]["no"], json!(0));
    assert!((highest() - before).abs() < 1e-6, "{} after {before}", highest());
    assert_eq!(report()["no"], json!(0));
    assert_eq!(site.post("/api/command", &undo).status, 409, "nothing is left");

    for (query, status, words) in [
        ("camera=street&watch=traffic&label=nobody", 404, "labels: cyclist"),
        ("camera=street&watch=nothing&label=cyclist", 404, "watches: traffic"),
        ("camera=nowhere&watch=traffic&label=cyclist", 404, "does not look at"),
        ("camera=street&watch=traffic&label=cars", 404, "background"),
        ("camera=a+b&watch=traffic&label=cyclist", 400, ""),
        ("camera=street", 400, "watch"),
    ] {
        let answer = site.get(&format!("/api/taught?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.json()["error"].as_str().unwrap().contains(words), "{}", answer.text());
    }
}

#[test]
fn a_page_that_cannot_be_had_costs_nothing_else() {
    let broker = Broker::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let environment = [("SEEWHEN_WEB__LISTEN", listen.as_str())];
    let heard = broker.subscribe();
    let seewhen = support::Seewhen::start_with(&street(&broker), &environment);
    seewhen.expect_log("the page cannot be served", SOON);
    heard.expect("cyclist/event", SOON, |_| true);
}

#[test]
fn a_label_is_tuned_on_what_was_seen() {
    let broker = Broker::start();
    let site = Site::start(&street(&broker));
    let ended = |event: &&Value| event["type"] == "end";
    let time = |event: &Value, key: &str| event[key].as_f64().unwrap();
    let spans: Vec<[f64; 2]> = wait_for("two rounds of the clip", SOON, || {
        let events = site.get("/api/events?label=cyclist").json();
        let events = events["events"].as_array().unwrap().iter().filter(ended);
        let spans = events.map(|event| [time(event, "start_time"), time(event, "end_time") + 0.2]);
        let spans: Vec<_> = spans.collect();
        (spans.len() >= 2).then_some(spans)
    });
    let until = spans[0][1] + 2.0;
    wait_for("some time without", SOON, || {
        let newest = site.get("/api/cameras").json()[0]["frame_time"].as_f64();
        newest.filter(|newest| *newest > until)
    });
    let mut asked = json!({ "camera": "street", "watch": "traffic", "label": "cyclist",
        "spans": spans, "since": 0.0, "until": until });
    let answer = site.post("/api/tune", &asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    let outcome = &found["suggested"]["outcome"];
    assert_eq!((&outcome["found"], &outcome["false_events"]), (&json!(spans.len()), &json!(0)));
    assert!(found["svg"].as_str().unwrap().starts_with("<svg"), "{found}");

    // The same on the command line.
    let stamp = |time: f64| {
        let stamp = jiff::Timestamp::from_microsecond((time * 1e6) as i64).unwrap();
        stamp.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    };
    let line = |span: &[f64; 2]| format!("{} - {} cyclist\n", stamp(span[0]), stamp(span[1]));
    let folder = site.seewhen.folder.path();
    let marks = folder.join("marks.txt");
    std::fs::write(&marks, spans.iter().map(line).collect::<String>()).unwrap();
    let mut command = support::command();
    command.env("STATE_DIRECTORY", folder).args(["tune", "--history", "--json", "--marks"]);
    command.arg(&marks).args(["--label", "cyclist", "--config"]).arg(folder.join("seewhen.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["suggested"]["outcome"]["found"], json!(spans.len()), "{told}");

    for (key, wrong) in [
        ("label", json!("cars")),
        ("label", json!("nobody")),
        ("spans", json!([])),
        ("spans", json!([[2.0, 1.0]])),
        ("until", json!(-1.0)),
        ("camera", json!("a b")),
    ] {
        let right = std::mem::replace(&mut asked[key], wrong.clone());
        let answer = site.post("/api/tune", &asked);
        assert_eq!(answer.status, 400, "{key} {wrong}: {}", answer.text());
        asked[key] = right;
    }
}
