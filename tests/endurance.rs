//! A camera that is cut again and again leaves nothing behind, and no broken file harms the camera
//! beside it. `make chaos` runs the long form; `make test` thirty cuts.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]
#![expect(clippy::print_stdout, reason = "its table is its result")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proxy::Proxy;
use seewhen::backoff::Backoff;
use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::{self, Capture};
use seewhen::clock::Clock;
use seewhen::config::{Network, parse_source};
use seewhen::mailbox::{Batch, WhenFull, mailbox};
use seewhen::model::{CameraId, CameraState, DecoderChoice, Every, View};
use seewhen::status::Status;
use seewhen::stop::stop;
use seewhen::watch::Observation;
use support::{Broker, Heard, Seewhen, bikes, wait_for, worst_age};
use tokio::sync::mpsc;

/// The demo's camera as a process of its own, so that only our side is counted.
struct Camera(Child, u16);

impl Camera {
    fn start() -> Self {
        let tests = std::env::current_exe().unwrap();
        let program = tests.ancestors().nth(2).unwrap().join("examples/camera");
        let mut child = Command::new(program)
            .args(["--port", "0", "--mount"])
            .arg(format!("bikes={}", bikes().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        // It goes on telling where its loops start.
        Builder::new().spawn(move || lines.lines().for_each(drop)).unwrap();
        let port = line.trim().rsplit([':', '/']).nth(1).unwrap().parse().unwrap();
        Self(child, port)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[derive(Debug, Clone, Copy)]
struct Size {
    files: usize,
    threads: usize,
    kilobytes: usize,
}

fn size() -> Size {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    Size { files, threads: number("Threads:"), kilobytes: number("VmRSS:") }
}

/// Whether there are minutes to spend.
fn long() -> bool {
    std::env::var_os("SEEWHEN_CHAOS").is_some()
}

#[test]
fn many_cuts_leave_nothing_behind() {
    capture::gstreamer::init().unwrap();
    let camera = Camera::start();
    let proxy = Proxy::to(camera.1);
    let address = format!("rtsp://127.0.0.1:{}/bikes", proxy.port);
    let (id, clock) = (CameraId::try_new("cut").unwrap(), Clock::start());
    let (put, received) = mailbox(WhenFull::Replace);
    let (changes, mut told) = mpsc::channel(64);
    let every = Every::Interval(Duration::from_millis(200));
    let short = Duration::from_millis(100);
    let capture = Capture {
        camera: id.clone(),
        view: View::default(),
        every,
        mask: Vec::new(),
        gate: None,
        connect_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        opener: Box::new(Opener {
            source: parse_source(&address, Path::new("")).unwrap(),
            every,
            decoders: Decoders::new(DecoderChoice::Auto),
            network: Network::default(),
            region: None,
            repeat: false,
            pace: Pace::Live,
            clock,
        }),
        frames: put,
        changes,
        status: Arc::new(Status::default()).camera(&id),
        clock,
        backoff: Backoff::try_new(short, short, 0.0).unwrap(),
        refused: Backoff::after_refusal(),
    };
    let (handle, stopped) = stop();
    let capturing = Builder::new().spawn(move || capture::run(&capture, &stopped)).unwrap();
    let mut until = |state: CameraState| loop {
        let Some(Observation::Camera(change)) = told.blocking_recv() else { panic!("no news") };
        if change.state == state {
            return;
        }
    };
    let mut settled = None;
    println!("| cuts | file descriptors | threads | memory |\n|---|---|---|---|");
    let last = if long() { 100 } else { 30 };
    for cuts in 0..=last {
        until(CameraState::Running);
        let Batch::Frames(_) = received.next_batch(1, Duration::ZERO, Duration::from_secs(10))
        else {
            panic!("no frame after {cuts} cuts");
        };
        if cuts % 10 == 0 {
            sleep(Duration::from_millis(300));
            let now = size();
            println!("| {cuts} | {} | {} | {} MiB |", now.files, now.threads, now.kilobytes / 1024);
            // The first connections set up what stays.
            if cuts == 20 {
                settled = Some(now);
            }
            if let Some(before) = settled {
                assert!(now.files <= before.files + 2, "{before:?} -> {now:?}");
                assert!(now.threads <= before.threads + 2, "{before:?} -> {now:?}");
                assert!(now.kilobytes <= before.kilobytes * 11 / 10, "{before:?} -> {now:?}");
            }
        }
        if cuts < last {
            proxy.cut();
            until(CameraState::Retrying);
        }
    }
    drop(handle);
    capturing.join().unwrap();
}

/// Every file of a folder of broken and unusual video, when it is there.
fn tricky() -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media/tricky");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    let video = ["mp4", "mkv", "webm", "avi", "ts", "h264", "gif"];
    files
        .retain(|file| file.extension().is_some_and(|end| video.iter().any(|known| end == *known)));
    files.sort();
    Some(files)
}

#[test]
fn no_file_harms_the_camera_beside_it() {
    let Some(files) = tricky().filter(|_| long()) else {
        println!("skipped: for make chaos, and where the folder of tricky files is");
        return;
    };
    let (broker, camera) = (Broker::start(), Camera::start());
    let configuration = |file: Option<(usize, &Path)>| {
        let tricky = file.map_or(String::new(), |(number, file)| {
            let path = file.display();
            format!(
                "[[camera]]\nid = \"tricky-{number}\"\nsource = \"file:{path}\"\nconnect_timeout = \"5s\"\n"
            )
        });
        format!(
            "node = \"test\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n[[camera]]\nid = \"calm\"\nsource = \
             \"rtsp://127.0.0.1:{}/bikes\"\n{tricky}[[watch]]\nid = \"w\"\n\
             publish_every = \"0s\"\n[[watch.label]]\nid = \"a\"\nprompts = [\"a cyclist\"]\nthreshold \
             = 0.9\n[[watch.label]]\nid = \"b\"\nprompts = [\"an empty street\"]\n",
            broker.port, camera.1
        )
    };
    let heard = broker.subscribe();
    let seewhen = Seewhen::start(&configuration(None));
    heard.expect("/calm/available", Duration::from_secs(20), |message| message.payload == "online");
    let worst_since = |from: usize| {
        let calm = |message: &Heard| message.topic.ends_with("/calm/w/probabilities");
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        worst_age(&heard.heard().into_iter().skip(from).filter(calm).collect::<Vec<Heard>>(), end)
    };
    // What belongs to the start is over.
    sleep(Duration::from_secs(5));
    let from = heard.heard().len();
    sleep(Duration::from_secs(60));
    let undisturbed = worst_since(from);
    println!("| file | frames | what was said | calm camera's worst age | of {undisturbed:.2} s |");
    println!("|---|---|---|---|---|");
    for (number, file) in files.iter().enumerate() {
        let from = heard.heard().len();
        seewhen.configure(&configuration(Some((number, file))));
        seewhen.signal("HUP");
        let (status, started) = (format!("/tricky-{number}/status"), Instant::now());
        let scores = format!("/tricky-{number}/w/probabilities");
        let news = || heard.heard().into_iter().skip(from).collect::<Vec<Heard>>();
        // Frames, or a reason.
        let said = wait_for(&file.display().to_string(), Duration::from_secs(15), || {
            let all = news();
            let frames = all.iter().filter(|m| m.topic.ends_with(&scores)).count();
            let reason = all.iter().filter(|m| m.topic.ends_with(&status) && !m.payload.is_empty());
            let mut reason =
                reason.map(|m| m.json()["reason"].as_str().unwrap_or_default().to_owned());
            let reason = reason.rfind(|reason| !reason.is_empty());
            // Long enough to see how the camera beside it does.
            let enough = started.elapsed() > Duration::from_secs(4);
            (enough && (frames > 0 || reason.is_some()))
                .then(|| (frames, reason.unwrap_or_default()))
        });
        let (age, name) = (worst_since(from), file.file_name().unwrap().display());
        let share = age / undisturbed;
        println!("| {name} | {} | {} | {age:.2} s | {share:.2} |", said.0, said.1);
        assert!(share < 1.5, "{name}: the camera beside it stood still for {age} s");
    }
    let last = heard.on("/calm/available").last().cloned().unwrap();
    assert_eq!(last.payload, "online");
}
