//! Real parts for the end-to-end tests: a mosquitto, an RTSP camera, the seewhen binary.
//!
//! Everything listens on a free port of 127.0.0.1 and ends with the value that started it. What
//! is missing fails the test with what to do: `scripts/setup test` gets it all.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses what it needs"
)]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

pub mod disk;
pub mod rtsp;
pub mod schema;
pub mod site;
mod subscriber;
pub mod web;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::subscriber::FENCE;
pub use self::subscriber::{Heard, Subscriber, worst_age};

/// The street clip: a taxi, a man in a suit, a cyclist (4.4-5.4 s), a parked bicycle (7.5-9.9 s).
pub fn bikes() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/demo/bikes.mp4");
    assert!(path.is_file(), "no {}: run scripts/setup test", path.display());
    path
}

/// Waits until `check` gives something; panics with `what` after `limit`.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port of 127.0.0.1 on which nothing listens, another one at every call.
///
/// Nothing is opened to find it: whatever another thread starts at that moment would hold a copy
/// of it, and with it the port, until it has become another program. The ports lie below those
/// that outgoing connections get, and each test binary has its own.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 10_000..30_000;
    const OF_A_BINARY: u32 = 50;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(OF_A_BINARY).wrapping_add(next);
        let port = u16::try_from(PORTS.start + place % (PORTS.end - PORTS.start)).unwrap();
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            return port;
        }
    }
}

/// A child process that ends with this value, and the lines it writes.
struct Process {
    child: Mutex<Child>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let program = format!("{:?}", command.get_program());
        let mut child = command
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; run scripts/setup test"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        if let Some(out) = child.stdout.take() {
            collect(out, lines.clone());
        }
        if let Some(err) = child.stderr.take() {
            collect(err, lines.clone());
        }
        Self { child: Mutex::new(child), lines }
    }

    /// Sends a signal by its name ("TERM").
    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// How it ended, if it has.
    fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn collect(stream: impl std::io::Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    std::thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        })
        .unwrap();
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _gone = child.kill();
        let _status = child.wait();
    }
}

/// A mosquitto on a port of its own.
pub struct Broker {
    pub port: u16,
    folder: TempDir,
    process: Option<Process>,
}

impl Broker {
    pub fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// The same with more listeners, in mosquitto's words. The files that they name may lie in
    /// the folder.
    pub fn start_with(listeners: impl FnOnce(&Path) -> String) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        // Root's folders are closed to the user that mosquitto would become.
        let config = format!(
            "per_listener_settings true\nuser root\nlistener {port} 127.0.0.1\nallow_anonymous \
             true\n{}",
            listeners(folder.path())
        );
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self { port, folder, process: None };
        broker.restart();
        broker
    }

    /// Ends the broker at once; what it retained is lost.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Ends the broker as its service would; what it is to keep is kept.
    pub fn stop_gently(&mut self) {
        let Some(process) = self.process.take() else { return };
        process.signal("TERM");
        process.child.lock().unwrap().wait().unwrap();
    }

    pub fn restart(&mut self) {
        let mut command = Command::new("/usr/sbin/mosquitto");
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
        command.stderr(Stdio::null()).stdout(Stdio::null());
        let process = Process::start(&mut command);
        wait_for("mosquitto listens", Duration::from_secs(10), || {
            let ended = process.ended();
            assert!(ended.is_none(), "mosquitto on port {} ended: {ended:?}", self.port);
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.process = Some(process);
    }

    /// Sends one message; an empty payload that is retained clears its topic.
    pub fn publish(&self, topic: &str, payload: &[u8], retain: bool) {
        publish(self.port, topic, payload, retain);
    }

    pub fn subscribe(&self) -> Subscriber {
        self.subscribe_with(&[])
    }

    /// The same with more arguments for mosquitto_sub.
    pub fn subscribe_with(&self, arguments: &[&str]) -> Subscriber {
        let mut command = Command::new("mosquitto_sub");
        command.args(arguments);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-q", "1", "-t", "seewhen/#", "-F", "%U %r %t %p"]);
        // Pictures are no lines of text.
        command.args(["-T", "seewhen/+/+/snapshot", "-t", FENCE]);
        command.stdout(Stdio::piped());
        Subscriber::new(Process::start(&mut command), self.port)
    }
}

impl Broker {
    /// The retained payload of a topic, below `seewhen/`; waits for one that is there.
    pub fn retained(&self, topic: &str, limit: Duration) -> Option<Vec<u8>> {
        let port = self.port.to_string();
        let topic = format!("seewhen/{topic}");
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &port, "-C", "1", "-N", "-t", &topic]);
        command.args(["-W", &limit.as_secs().to_string()]);
        let output = command.output().unwrap();
        output.status.success().then_some(output.stdout)
    }
}

fn publish(port: u16, topic: &str, payload: &[u8], retain: bool) {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", topic]);
    command.arg(if payload.is_empty() { "-n" } else { "-s" });
    command.args(retain.then_some("-r")).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(payload).unwrap();
    assert!(child.wait().unwrap().success(), "mosquitto_pub -t {topic}");
}

/// A configuration up to its labels: the clip as camera "street", watched by "traffic".
pub fn street(broker: &Broker, camera: &rtsp::Server) -> String {
    format!(
        r#"
node = "test"
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[[camera]]
id = "street"
source = "{url}"
every = "125ms"
stall_timeout = "2s"
[[watch]]
id = "traffic"
publish_every = "500ms"
"#,
        port = broker.port,
        url = camera.url("bikes"),
    )
}

/// A configuration up to its watches: the test picture as camera "picture".
pub fn picture(broker_port: u16) -> String {
    format!(
        "node = \"test\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker_port}\"\n[[camera]]\nid = \
         \"picture\"\nsource = \"test:\"\n"
    )
}

/// A running `seewhen run`.
pub struct Seewhen {
    process: Process,
    pub folder: TempDir,
}

impl Seewhen {
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more environment.
    pub fn start_with(config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seewhen.toml"), config).unwrap();
        Self::start_in(folder, environment)
    }

    /// Starts where another was, with its configuration and its state.
    pub fn start_in(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.arg("run").arg("--config").arg(folder.path().join("seewhen.toml"));
        // Many run at once, and there is one default port.
        command.env("SEEWHEN_WEB__LISTEN", "");
        command.stderr(Stdio::piped()).env("STATE_DIRECTORY", folder.path());
        command.envs(environment.iter().copied());
        Self { process: Process::start(&mut command), folder }
    }

    pub fn log(&self) -> String {
        self.process.lines().join("\n")
    }

    #[track_caller]
    pub fn expect_log(&self, text: &str, limit: Duration) {
        let end = Instant::now() + limit;
        while !self.log().contains(text) {
            assert!(Instant::now() < end, "{text:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn configure(&self, config: &str) {
        std::fs::write(self.folder.path().join("seewhen.toml"), config).unwrap();
    }

    /// Kills it with no time for anything.
    pub fn kill(self) -> TempDir {
        drop(self.process);
        self.folder
    }

    /// Sends a signal by its name ("TERM").
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    #[track_caller]
    pub fn wait(&self, limit: Duration) -> ExitStatus {
        wait_for("the end of seewhen", limit, || self.process.ended())
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

/// The seewhen command, with nothing of the surrounding configuration.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seewhen"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SEEWHEN_") {
            command.env_remove(&name);
        }
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").env("NO_COLOR", "1");
    command
}
