//! Cameras that fail in every way that networks and cameras have, next to two that do not: each
//! comes back by itself, says what is wrong meanwhile, and the others do not notice.
//!
//! One node, real RTSP servers, a proxy before each camera that fails. Prints the table of
//! docs/reliability.md.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]
#![expect(clippy::print_stdout, reason = "its table is its result")]

#[path = "support/live.rs"]
mod live;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use live::Server;
use proxy::{Mode, Proxy};
use support::{Broker, Heard, Seewhen, Subscriber, bikes, rtsp, wait_for};

const CALM: [&str; 2] = ["calm-1", "calm-2"];
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn camera(id: &str, url: &str, more: &str) -> String {
    format!(
        "[[camera]]\nid = \"{id}\"\nsource = \"{url}\"\nevery = \"500ms\"\nconnect_timeout = \"3s\"\n\
         stall_timeout = \"3s\"\n{more}\n"
    )
}

fn configuration(broker: &Broker, cameras: &[String]) -> String {
    format!(
        r#"
node = "test"
[mqtt]
url = "mqtt://127.0.0.1:{}"
{}
[[watch]]
id = "w"
cameras = ["calm-1", "calm-2", "lossy"]
publish_every = "0s"
[[watch.label]]
id = "cyclist"
prompts = ["a cyclist"]
threshold = 0.9
[[watch.label]]
id = "nothing"
prompts = ["an empty street"]
"#,
        broker.port,
        cameras.concat()
    )
}

struct Bench {
    heard: Subscriber,
    rows: Vec<String>,
}

impl Bench {
    /// Waits for the first message about `camera` being `online` or `offline` since `since`.
    fn available(&self, camera: &str, word: &str, since: f64) -> f64 {
        let end = format!("/{camera}/available");
        let wanted = |heard: &Heard| heard.payload == word && heard.time >= since;
        self.heard.expect(&end, PATIENCE, wanted).time
    }

    fn running(&self, cameras: &[&str]) {
        for camera in cameras {
            self.available(camera, "online", 0.0);
        }
    }

    /// Waits until the status of `camera` gives a reason with `words` in it.
    fn reason(&self, camera: &str, words: &str, since: f64) -> String {
        let wanted = |heard: &Heard| {
            let reason = heard.json()["reason"].as_str().unwrap_or_default().to_owned();
            heard.time >= since && !reason.is_empty() && reason.contains(words)
        };
        let heard = self.heard.expect(&format!("/{camera}/status"), PATIENCE, wanted);
        heard.json()["reason"].as_str().unwrap().to_owned()
    }

    fn last_reason(&self, camera: &str) -> String {
        let all = self.heard.on(&format!("/{camera}/status"));
        let reason = |heard: &Heard| heard.json()["reason"].as_str().unwrap_or_default().to_owned();
        all.iter().map(reason).rfind(|reason| !reason.is_empty()).unwrap_or_default()
    }

    /// The oldest that the calm cameras' newest analysed frame got between two times.
    fn worst_age(&self, from: f64, to: f64) -> f64 {
        let worst = |camera: &str| {
            let all = self.heard.on(&format!("/{camera}/w/probabilities"));
            let ages = all.windows(2).filter(|pair| pair[1].time >= from && pair[0].time <= to);
            ages.map(|pair| pair[1].time - pair[0].json()["time"].as_f64().unwrap())
                .fold(0.0, f64::max)
        };
        CALM.iter().map(|camera| worst(camera)).fold(0.0, f64::max)
    }

    fn row(&mut self, what: &str, detected: Option<f64>, back: Option<f64>, age: f64, said: &str) {
        let time = |time: Option<f64>| time.map_or("–".to_owned(), |time| format!("{time:.1} s"));
        let age = format!("{:.0} ms", age * 1000.0);
        let row = format!("| {what} | {} | {} | {age} | {said} |", time(detected), time(back));
        println!("{row}");
        self.rows.push(row);
    }

    /// Breaks `camera`, waits until that is known, mends it, waits until it is back.
    fn fault(
        &mut self,
        (what, camera, pause): (&str, &str, u64),
        fail: impl FnOnce(),
        mend: impl FnOnce(),
    ) {
        let broken = now();
        fail();
        let offline = self.available(camera, "offline", broken);
        // Long enough for an attempt to fail too, where one is to.
        std::thread::sleep(Duration::from_secs(pause));
        let said = self.last_reason(camera);
        let mended = now();
        mend();
        let online = self.available(camera, "online", offline);
        let age = self.worst_age(broken, online);
        let back = (online - mended).max(0.0);
        self.row(what, Some(offline - broken), Some(back), age, &said);
    }
}

#[test]
fn every_camera_comes_back_and_no_other_notices() {
    let broker = Broker::start();
    let mounts = [("bikes".to_owned(), bikes())];
    let street = rtsp::Server::start(0, &mounts, |_| {}).unwrap();
    let port: u16 =
        street.url("").trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let mut other = Some(rtsp::Server::start(0, &mounts, |_| {}).unwrap());
    let other_url = other.as_ref().unwrap().url("bikes");
    let other_port = other_url.rsplit([':', '/']).nth(1).unwrap().parse().unwrap();
    let short = "( videotestsrc is-live=true num-buffers=40 ! video/x-raw,width=320,height=240,\
                 framerate=10/1 ! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 )";
    let ends = Server::start(short, |_, _| {});
    let locked = Server::start(&short.replace("num-buffers=40 ", ""), |server, factory| {
        live::require_login(server, factory, "viewer", "right");
    });
    let names = ["refused", "silent", "cut", "frozen", "garbage"];
    let proxies: Vec<Proxy> = names.iter().map(|_| Proxy::to(port)).collect();
    let lossy = Proxy::to(port);
    lossy.lose(10);

    let mut cameras: Vec<String> =
        CALM.iter().map(|id| camera(id, &street.url("bikes"), "")).collect();
    for (name, proxy) in names.iter().zip(&proxies) {
        cameras.push(camera(name, &format!("rtsp://127.0.0.1:{}/bikes", proxy.port), ""));
    }
    let url = format!("rtsp://127.0.0.1:{}/bikes", lossy.port);
    cameras.push(camera("lossy", &url, "transport = \"udp\""));
    cameras.push(camera("restarted", &other_url, ""));
    cameras.push(camera("ends", &format!("rtsp://127.0.0.1:{}/live", ends.port), ""));
    cameras.push(camera("unknown", "rtsp://camera.invalid/live", ""));
    let locked_url = |password| format!("rtsp://viewer:{password}@127.0.0.1:{}/live", locked.port);
    cameras.push(camera("locked", &locked_url("wrong"), ""));
    let heard = broker.subscribe();
    let seewhen = Seewhen::start(&configuration(&broker, &cameras));
    let mut bench = Bench { heard, rows: Vec::new() };
    bench.running(&CALM);
    bench.running(&names);
    bench.running(&["lossy", "restarted"]);
    let quiet = now();
    std::thread::sleep(Duration::from_secs(5));
    let undisturbed = bench.worst_age(quiet, now());
    bench.row("nothing", None, None, undisturbed, "");

    let proxy = |name: &str| &proxies[names.iter().position(|known| *known == name).unwrap()];
    for (what, name, mode, cut, pause) in [
        ("refused", "refused", Mode::Refuse, true, 2),
        ("accepted, then silent", "silent", Mode::Silent, true, 5),
        ("cut in the middle", "cut", Mode::Pass, true, 0),
        ("half open: no packets, no end", "frozen", Mode::Frozen, false, 0),
        ("garbage in the stream", "garbage", Mode::Garbage, false, 0),
    ] {
        let fail = || {
            proxy(name).set(mode);
            if cut {
                proxy(name).cut();
            }
        };
        bench.fault((what, name, pause), fail, || {
            proxy(name).set(Mode::Pass);
            if !cut {
                proxy(name).cut();
            }
        });
    }
    restart(&mut bench, &mut other, &mounts, other_port);

    let started = bench.available("ends", "online", 0.0);
    let said = bench.reason("ends", "the stream ended", started);
    let offline = bench.available("ends", "offline", started);
    let online = bench.available("ends", "online", offline);
    bench.row("clean end", None, Some(online - offline), bench.worst_age(started, online), &said);

    let said = bench.reason("unknown", "", 0.0);
    assert!(said.starts_with("the host camera.invalid is not known"), "{said}");
    bench.row("no such host", None, None, undisturbed, &said);

    let said = bench.reason("locked", "refuses the login", 0.0);
    let last = cameras.len() - 1;
    cameras[last] = camera("locked", &locked_url("right"), "");
    let mended = now();
    seewhen.configure(&configuration(&broker, &cameras));
    seewhen.signal("HUP");
    let online = bench.available("locked", "online", mended);
    let age = bench.worst_age(mended, online);
    bench.row(
        "wrong password, then the right one (reload)",
        None,
        Some(online - mended),
        age,
        &said,
    );

    // One packet in ten lost and as many swapped: frames go on.
    let lost = bench
        .heard
        .on("/lossy/available")
        .iter()
        .filter(|heard| heard.payload == "offline")
        .count();
    let frames = bench.heard.on("/lossy/w/probabilities").len() as f64 / (now() - quiet);
    bench.row(
        "10 % loss and reordering (UDP)",
        None,
        None,
        undisturbed,
        &format!("{frames:.1} of 2 frames a second"),
    );
    // A lost packet spoils what builds on it, up to the next key frame: luck decides how much is left.
    assert!(lost <= 2 && frames > 0.1, "{lost} times offline, {frames} frames a second");

    for calm in CALM {
        let states: Vec<String> = bench
            .heard
            .on(&format!("/{calm}/available"))
            .into_iter()
            .map(|heard| heard.payload)
            .collect();
        assert_eq!(states.last().map(String::as_str), Some("online"), "{states:?}");
        assert!(states.iter().filter(|state| *state == "offline").count() <= 1, "{states:?}");
    }
    let worst = bench.worst_age(quiet, now());
    assert!(worst < 2.0, "a camera that nothing happened to stood still for {worst} s");
}

/// The camera restarts: everything it served is gone, and comes back on the same port.
fn restart(
    bench: &mut Bench,
    server: &mut Option<rtsp::Server>,
    mounts: &[(String, std::path::PathBuf)],
    port: u16,
) {
    let broken = now();
    drop(server.take());
    let offline = bench.available("restarted", "offline", broken);
    let said = bench.reason("restarted", "", broken);
    let mended = now();
    *server = Some(wait_for("the port is free", PATIENCE, || {
        rtsp::Server::start(port, mounts, |_| {}).ok()
    }));
    let online = bench.available("restarted", "online", offline);
    let age = bench.worst_age(broken, online);
    bench.row("the camera restarts", Some(offline - broken), Some(online - mended), age, &said);
}
