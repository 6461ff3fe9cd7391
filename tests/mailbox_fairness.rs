//! One fast camera beside seven slow ones, files and RTSP together: the fast one must not cost
//! the slow ones a single frame.

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
    let line = log.lines().rfind(|line| line.contains(&format!("camera={camera} ")));
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
    let mut seewhen = Seewhen::start(&config(&broker, &camera));
    let subscriber = broker.subscribe();
    for n in 1..8 {
        subscriber.expect(&format!("slow{n}/available"), SOON, |heard| heard.payload == "online");
    }
    std::thread::sleep(RUN);
    seewhen.signal("TERM");
    assert!(seewhen.wait(Duration::from_secs(15)).success(), "{}", seewhen.log());
    let log = seewhen.log();
    for n in 1..8 {
        let camera = format!("slow{n}");
        let sampled = counter(&log, &camera, "sampled");
        let analysed = counter(&log, &camera, "analysed");
        assert_eq!(counter(&log, &camera, "replaced"), 0, "{camera} lost frames:\n{log}");
        // One frame may be on its way when the numbers are read.
        assert!(analysed + 1 >= sampled, "{camera}: {analysed} of {sampled}");
        assert!(sampled >= RUN.as_secs(), "{camera} was hardly sampled: {sampled}");
    }
    let (sampled, replaced) = (counter(&log, "fast", "sampled"), counter(&log, "fast", "replaced"));
    assert!(sampled > 100, "the fast camera was not fast: {sampled}");
    assert!(replaced > 0, "the machine kept up with everything: nothing was tested");
}
