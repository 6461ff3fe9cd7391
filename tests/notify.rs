//! What systemd is told: READY once everything stands, the watchdog from the inference loop,
//! RELOADING and READY around a reload, STOPPING at the end.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use support::{Broker, Seewhen};

const SOON: Duration = Duration::from_secs(30);

struct Systemd {
    socket: UnixDatagram,
    told: String,
}

impl Systemd {
    #[track_caller]
    fn expect(&mut self, word: &str) {
        let socket = &self.socket;
        let told = &mut self.told;
        support::wait_for(word, SOON, || {
            let mut buffer = [0; 1024];
            if let Ok(size) = socket.recv(&mut buffer) {
                told.push_str(std::str::from_utf8(&buffer[..size]).unwrap());
                told.push('\n');
            }
            told.lines().any(|line| line == word).then_some(())
        });
    }
}

#[test]
fn systemd_hears_how_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut systemd = Systemd { socket, told: String::new() };
    let broker = Broker::start();
    let labels = r#"
[[watch]]
id = "w"
[[watch.label]]
id = "a"
prompts = ["a photo of a cat"]
threshold = 0.9
[[watch.label]]
id = "b"
prompts = ["a test picture"]
"#;
    let config = support::picture(broker.port) + labels;
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "3000000")];
    let seewhen = Seewhen::start_with(&config, &environment);
    systemd.expect("READY=1");
    systemd.expect("WATCHDOG=1");
    seewhen.signal("HUP");
    systemd.expect("RELOADING=1");
    seewhen.expect_log("the configuration has not changed", SOON);
    systemd.told.clear();
    systemd.expect("WATCHDOG=1");
    seewhen.signal("TERM");
    systemd.expect("STOPPING=1");
    assert!(seewhen.wait(Duration::from_secs(10)).success(), "{}", seewhen.log());
}

#[test]
fn a_device_that_is_not_there_stops_the_start() {
    let broker = Broker::start();
    let config = support::picture(broker.port) + "[model]\ndevice = \"cuda:99\"\n";
    let seewhen = Seewhen::start(&config);
    assert_eq!(seewhen.wait(SOON).code(), Some(1));
    seewhen.expect_log("device cuda:99 cannot be had: ", SOON);
}
