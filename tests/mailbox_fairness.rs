//! One fast camera beside seven slow ones, files and RTSP together: the fast one must not cost
//! the slow ones their frames.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::time::Duration;

use support::rtsp::Server;
use support::{Broker, Seewhen};

const SOON: Duration = Duration::from_secs(30);
const RUN: Duration = Duration::from_secs(12);

/// One camera whose every frame is sampled, and seven sampled twice a second.
fn config(broker: &Broker, camera: &Server) -> String {
    let mut config =
        format!("node = \"test\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", broker.port);
    let file = format!("file:{}\"\nloop = true", support::bikes().display());
    for n in 0..8 {
        let (id, every) = if n == 0 { ("fast".to_owned(), 33) } else { (format!("slow{n}"), 500) };
        let rtsp = format!("{}\"", camera.url(&format!("bikes{n}")));
        let source = if n % 2 == 0 { &file } else { &rtsp };
        config +=
            &format!("[[camera]]\nid = \"{id}\"\nevery = \"{every}ms\"\nsource = \"{source}\n");
    }
    config.push_str(
        r#"
[[watch]]
id = "traffic"
[[watch.label]]
id = "cyclist"
prompts = ["a cyclist"]
threshold = 0.5
[[watch.label]]
id = "rest"
prompts = ["cars on a street"]
"#,
    );
    config
}

/// The last counters that the log gives for a camera.
fn counter(log: &str, camera: &str, name: &str) -> u64 {
    let summary = |line: &&str| line.contains(&format!("so far camera={camera} received="));
    let line = log.lines().rfind(summary);
    let line = line.unwrap_or_else(|| panic!("no summary of {camera}:\n{log}"));
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(&format!("{name}=")));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line}"))
}

#[test]
fn a_fast_camera_takes_nothing_from_slow_ones() {
    let broker = Broker::start();
    // A mount each: the clip has one key frame, and who joins a running one waits for the next.
    let mounts: Vec<_> =
        (1..8).step_by(2).map(|n| (format!("bikes{n}"), support::bikes())).collect();
    let camera = Server::start(0, &mounts, |_| {}).unwrap();
    let seewhen = Seewhen::start(&config(&broker, &camera));
    let subscriber = broker.subscribe();
    for n in 1..8 {
        subscriber.expect(&format!("slow{n}/available"), SOON, |heard| heard.payload == "online");
    }
    let environment = std::fs::read(format!("/proc/{}/environ", seewhen.pid())).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    for limit in ["MALLOC_ARENA_MAX=", "MALLOC_TRIM_THRESHOLD_="] {
        assert!(environment.contains(limit), "memory would creep: {environment}");
    }
    std::thread::sleep(RUN);
    seewhen.signal("TERM");
    assert!(seewhen.wait(Duration::from_secs(15)).success(), "{}", seewhen.log());
    let log = seewhen.log();
    let of = |camera: &str, name: &str| counter(&log, camera, name);
    let turns = of("fast", "analysed");
    assert!(of("fast", "sampled") > 100, "the fast camera was not fast:\n{log}");
    for n in 1..8 {
        let camera = format!("slow{n}");
        let (sampled, analysed) = (of(&camera, "sampled"), of(&camera, "analysed"));
        assert!(sampled >= RUN.as_secs(), "{camera} was hardly sampled: {sampled}");
        // Every frame is used; on a machine too slow for that, every camera gets its turns, give
        // or take. A queue that cameras share would leave a slow one a tenth of the fast one's.
        assert!(analysed * 2 >= sampled.min(turns), "{camera}: {analysed} of {sampled}\n{log}");
        assert_eq!(analysed + of(&camera, "replaced"), sampled, "{camera}: a frame is missing");
    }
}
