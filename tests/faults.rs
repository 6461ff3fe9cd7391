//! Cameras that fail in every way that networks and cameras have, next to two that do not: each
//! comes back by itself, says what is wrong meanwhile, and the others do not notice.
//!
//! One node, real RTSP servers, a proxy before each camera that fails. Prints the table of
//! docs/reliability.md. Cameras are sampled once a second, which is the default.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]
#![expect(clippy::print_stdout, reason = "its table is its result")]

#[path = "support/live.rs"]
mod live;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gstreamer as gst;
use gstreamer::prelude::*;

use live::Server;
use proxy::{Mode, Proxy};
use support::{Broker, Heard, Seewhen, Subscriber, bikes, rtsp, wait_for, worst_age};

const CALM: [&str; 2] = ["calm-1", "calm-2"];
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Whether there are minutes to spend.
fn chaos() -> bool {
    std::env::var_os("SEEWHEN_CHAOS").is_some()
}

/// Seconds to wait: the second figure where there are minutes to spend.
fn patience(short: u64, long: u64) -> Duration {
    Duration::from_secs(if chaos() { long } else { short })
}

fn camera(id: &str, port: u16, path: &str, more: &str) -> String {
    format!(
        "[[camera]]\nid = \"{id}\"\nsource = \"rtsp://127.0.0.1:{port}/{path}\"\nconnect_timeout = \"3s\"\n\
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
cameras = ["calm-1", "calm-2", "lossy", "changes", "set-back", "recoded"]
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
    /// The calm cameras' worst age while nothing happened, and since.
    undisturbed: f64,
    worst: f64,
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

    /// What was heard of the frames of `camera` between two times.
    fn frames(&self, camera: &str, from: f64, to: f64) -> Vec<Heard> {
        let all = self.heard.on(&format!("/{camera}/w/probabilities"));
        let first = all.partition_point(|heard| heard.time < from).saturating_sub(1);
        let end = all.partition_point(|heard| heard.time <= to);
        all[first.min(end)..end].to_vec()
    }

    /// The oldest that the calm cameras' newest analysed frame got between two times.
    fn worst_age(&self, from: f64, to: f64) -> f64 {
        CALM.iter().map(|camera| worst_age(&self.frames(camera, from, to), to)).fold(0.0, f64::max)
    }

    fn row(&mut self, what: &str, detected: Option<f64>, back: Option<f64>, age: f64, said: &str) {
        let time = |time: Option<f64>| time.map_or("–".to_owned(), |time| format!("{time:.1} s"));
        let (detected, back) = (time(detected), time(back));
        let share = age / self.undisturbed;
        println!("| {what} | {detected} | {back} | {age:.2} s | {share:.2} | {said} |");
        self.worst = self.worst.max(age);
    }

    /// Nothing happens.
    fn quiet(&mut self) -> f64 {
        let from = now();
        sleep(patience(5, 60));
        self.worst_age(from, now())
    }

    /// What comes from `camera` changes, and its frames go on.
    fn change(&mut self, what: &str, camera: &str, change: impl FnOnce()) {
        let from = now();
        change();
        sleep(patience(7, 15));
        let (to, frames) = (now(), self.frames(camera, from, now()));
        let longest = worst_age(&frames, to);
        self.row(what, None, Some(longest), self.worst_age(from, to), &self.last_reason(camera));
        let after = frames.iter().filter(|heard| heard.time > from + 3.0).count();
        assert!(after >= 2, "{what}: {after} frames of {camera} since");
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
        self.reason(camera, "", broken);
        // Long enough for an attempt to fail too, where one is to.
        sleep(Duration::from_secs(pause));
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
    let calm = Server::start(&stream("", H264), |_, _| {});
    let street = rtsp::Server::start(0, &mounts, |_| {}).unwrap();
    let mut other = Some(rtsp::Server::start(0, &mounts, |_| {}).unwrap());
    let other_port = other.as_ref().unwrap().port();
    let ends = Server::start(&stream("num-buffers=40", H264), |_, _| {});
    let changes = Server::start(&stream("", H264), |_, _| {});
    let set_back = Server::start(&stream("", H264), |_, _| {});
    let h264 = Server::start(&stream("", H264), |_, _| {});
    let h265 = Server::start(&stream("", H265), |_, _| {});
    let locked = Server::start(&stream("", H264), |server, factory| {
        live::require_login(server, factory, "viewer", "right");
    });
    let names = ["refused", "silent", "cut", "frozen", "garbage"];
    let proxies: Vec<Proxy> = names.iter().map(|_| Proxy::to(street.port())).collect();
    let (lossy, recoded) = (Proxy::to(street.port()), Proxy::to(h264.port));

    let mut cameras: Vec<String> =
        CALM.iter().map(|id| camera(id, calm.port, "live", "")).collect();
    for (name, proxy) in names.iter().zip(&proxies) {
        cameras.push(camera(name, proxy.port, "bikes", ""));
    }
    cameras.push(camera("lossy", lossy.port, "bikes", "transport = \"udp\"\nevery = \"500ms\""));
    cameras.push(camera("restarted", other_port, "bikes", ""));
    cameras.push(camera("recoded", recoded.port, "live", ""));
    for (name, server) in [("ends", &ends), ("changes", &changes), ("set-back", &set_back)] {
        cameras.push(camera(name, server.port, "live", ""));
    }
    let login = |word| {
        camera("locked", locked.port, "live", "").replace("//", &format!("//viewer:{word}@"))
    };
    cameras.push(login("wrong"));
    let heard = broker.subscribe();
    let seewhen = Seewhen::start(&configuration(&broker, &cameras));
    let mut bench = Bench { heard, undisturbed: f64::NAN, worst: 0.0 };
    for running in [&CALM[..], &names, &["lossy", "restarted", "changes", "set-back", "recoded"]] {
        bench.running(running);
    }
    // What starts beside them has settled.
    sleep(patience(2, 10));
    bench.undisturbed = bench.quiet();
    bench.row("nothing", None, None, bench.undisturbed, "");

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
    end(&mut bench);
    bench.change("another size and pace in mid-stream", "changes", || {
        let caps = gst::Caps::builder("video/x-raw")
            .field("width", 640)
            .field("height", 360)
            .field("framerate", gst::Fraction::new(20, 1));
        changes.part("shape").set_property("caps", caps.build());
    });
    bench.change("another codec", "recoded", || {
        recoded.lead_to(h265.port);
        recoded.cut();
    });
    bench.change("time stamps jump back an hour", "set-back", || {
        live::set_back(&set_back.part("pay0"), 3600);
    });
    loss(&mut bench, &lossy);

    let added = now();
    cameras.push(camera("unknown", 554, "live", "").replace("127.0.0.1", "camera.invalid"));
    seewhen.configure(&configuration(&broker, &cameras));
    seewhen.signal("HUP");
    let said = bench.reason("unknown", "", added);
    assert!(said.starts_with("the host camera.invalid is not known"), "{said}");
    sleep(patience(2, 15));
    bench.row("no such host", None, None, bench.worst_age(added, now()), &said);

    let said = bench.reason("locked", "refuses the login", 0.0);
    let place = cameras.iter().position(|camera| camera.contains("wrong")).unwrap();
    cameras[place] = login("right");
    let mended = now();
    seewhen.configure(&configuration(&broker, &cameras));
    seewhen.signal("HUP");
    let back = bench.available("locked", "online", mended) - mended;
    sleep(patience(2, 15));
    let age = bench.worst_age(mended, now());
    bench.row("wrong password, then the right one", None, Some(back), age, &said);
    let quiet = bench.quiet();
    bench.row("nothing", None, None, quiet, "");

    for calm in CALM {
        let heard = bench.heard.on(&format!("/{calm}/available"));
        let states: Vec<&str> = heard.iter().map(|heard| heard.payload.as_str()).collect();
        assert_eq!(states.last(), Some(&"online"), "{states:?}");
        assert!(states.iter().filter(|state| **state == "offline").count() <= 1, "{states:?}");
    }
    // In the short form other tests run beside this one.
    let limit = bench.undisturbed * if chaos() { 1.1 } else { 1.5 };
    assert!(bench.worst < limit, "{} s, undisturbed {} s", bench.worst, bench.undisturbed);
}

/// A camera of 320×240 pixels and ten frames a second, with a key frame every second.
fn stream(more: &str, coder: &str) -> String {
    format!(
        "( videotestsrc is-live=true {more} ! capsfilter name=shape \
         caps=video/x-raw,width=320,height=240,framerate=10/1 ! {coder} )"
    )
}

const H264: &str =
    "x264enc tune=zerolatency key-int-max=10 ! rtph264pay config-interval=-1 name=pay0";
const H265: &str =
    "x265enc tune=zerolatency key-int-max=10 ! rtph265pay config-interval=-1 name=pay0";

/// A stream that says that it is over.
fn end(bench: &mut Bench) {
    let started = bench.available("ends", "online", 0.0);
    let said = bench.reason("ends", "the stream ended", started);
    let offline = bench.available("ends", "offline", started);
    let online = bench.available("ends", "online", offline);
    bench.row("clean end", None, Some(online - offline), bench.worst_age(started, online), &said);
}

/// One packet in ten lost and as many swapped: frames go on. What a lost packet spoils stays so up
/// to the next key frame: luck decides how much is left.
fn loss(bench: &mut Bench, lossy: &Proxy) {
    let from = now();
    lossy.lose(10);
    sleep(patience(15, 60));
    let to = now();
    let heard = bench.heard.on("/lossy/available");
    let lost = heard.iter().filter(|heard| heard.payload == "offline" && heard.time > from).count();
    let frames = bench.frames("lossy", from, to).len() as f64 / (to - from);
    let said = format!("{frames:.1} of 2 frames a second; {} packets lost", lossy.lost());
    bench.row("10 % loss and reordering (UDP)", None, None, bench.worst_age(from, to), &said);
    assert!(lossy.lost() > 10 && lost <= 2 && frames > 0.1, "{lost} times offline, {said}");
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
