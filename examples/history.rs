//! How fast the history of embeddings is: fills one with millions of rows, and searches it.
//!
//! `scripts/search-bench` runs it. The rows are made of real ones: each camera goes back and forth
//! through a clip that the bundle has encoded, between their frames, with noise as large as what lies
//! between two neighbouring frames. What is exact is reckoned while they are made, in 32-bit floats.
#![expect(clippy::unwrap_used, reason = "a measurement that fails may stop")]
#![expect(clippy::print_stdout, reason = "its lines are its result")]

#[path = "history/made.rs"]
mod made;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use made::{Exact, Scenes, encode};
use rustix::time::{ClockId, clock_gettime};
use seewhen::config::ModelConfig;
use seewhen::daemon::model::Model;
use seewhen::daemon::search;
use seewhen::embeddings::product::Query;
use seewhen::embeddings::reader::{History, scan};
use seewhen::embeddings::writer::{self, Limits, RETRY, Writer};
use seewhen::embeddings::{Filter, Seen, Tally};
use seewhen::model::{CameraId, Captured, Embedding, Moment, NodeId, WallTime};

/// Fills and searches a history of embeddings.
#[derive(Parser)]
enum Args {
    /// Fill FOLDER.
    Make(Make),
    /// Search it.
    Search { folder: PathBuf },
}

#[derive(clap::Args)]
struct Make {
    folder: PathBuf,
    /// Rows in all, over twenty cameras, a frame a second.
    rows: usize,
    /// Clips that the scenes are made of.
    #[arg(required = true)]
    clips: Vec<PathBuf>,
    /// Values of an embedding; other than the bundle's by a random projection.
    #[arg(long, default_value_t = 384)]
    dim: usize,
    /// So many of the first rows also go to FOLDER/raw.f32, for other libraries.
    #[arg(long, default_value_t = 0)]
    raw: usize,
}

/// What is looked for.
const TEXTS: [&str; 20] = [
    "a person riding a bicycle",
    "a red truck",
    "a dog",
    "a person lying on the floor",
    "a car on a motorway",
    "a man in a suit",
    "a taxi",
    "fire and smoke",
    "a bottle",
    "an empty street",
    "a group of people walking",
    "a cup of coffee",
    "a person on a bed",
    "a parcel at the door",
    "a shelf in a store",
    "a worker with a helmet",
    "fruit and vegetables",
    "a parked bicycle",
    "a rocket launch",
    "a woman with a handbag",
];
const CAMERAS: usize = 20;
/// 2026-01-01.
const START: f64 = 1_767_225_600.0;
const DIGEST: &str = "beefbeefbeefbeef";

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}

fn node() -> NodeId {
    NodeId::try_new("bench").unwrap()
}

fn main() {
    match Args::parse() {
        Args::Make(args) => make(&args),
        Args::Search { folder } => measure(&folder),
    }
}

fn make(args: &Make) {
    fs::create_dir_all(&args.folder).unwrap();
    let model = Model::load(&ModelConfig::default()).unwrap();
    let mut encoder = model.text_encoder().unwrap();
    let texts: Vec<String> = TEXTS.iter().map(ToString::to_string).collect();
    let queries = seewhen::clip::TextEncoder::encode(&mut encoder, &texts).unwrap();
    let clips = args.clips.iter().map(|clip| encode(&model, clip)).collect();
    let mut scenes = Scenes::new(clips, args.dim);
    let queries: Vec<Embedding> = queries.iter().map(|query| scenes.project(query)).collect();
    let mut exact = Exact::new(queries.clone());
    let raw = |name: &str| BufWriter::new(File::create(args.folder.join(name)).unwrap());
    let mut vectors = raw("raw.f32");

    let (to, inbox) = crossbeam_channel::bounded(256);
    let tally = Arc::<Tally>::default();
    let limits = Limits { keep: Duration::from_secs(10_000 * 86_400), size: 1 << 40 };
    let writer = Writer {
        inbox,
        folder: args.folder.join("history"),
        node: node(),
        bundle: "bench".to_owned(),
        digest: DIGEST.to_owned(),
        limits,
        pictures: false,
        retry: RETRY,
        tally: tally.clone(),
    };
    let thread = std::thread::Builder::new().spawn(move || {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        writer::run(writer);
        Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
            - Duration::try_from(used).unwrap()
    });
    let cameras: Vec<CameraId> =
        (0..CAMERAS).map(|n| CameraId::try_new(&format!("c{n}")).unwrap()).collect();
    for row in 0..args.rows {
        let (camera, second) = (row % CAMERAS, (row / CAMERAS) as f64);
        let embedding = scenes.next(camera);
        exact.add(row, &embedding);
        if row < args.raw {
            embedding.0.iter().for_each(|value| vectors.write_all(&value.to_le_bytes()).unwrap());
        }
        let captured = Captured { at: Moment::default(), time: WallTime(START + second) };
        let camera = cameras[camera].clone();
        to.send(Seen { camera, captured, embeddings: [embedding].into(), picture: None }).unwrap();
    }
    drop(to);
    let used = thread.unwrap().join().unwrap();
    assert_eq!((tally.kept(), tally.lost()), (args.rows as u64, 0));
    let each = used.as_secs_f64() * 1e6 / args.rows as f64;
    println!(
        "{} rows of {} values: {each:.1} µs of a processor for each to be kept",
        args.rows, args.dim
    );
    exact.save(&args.folder.join("exact.json"));
}

/// Resident memory, MiB: now, and at most so far.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    (of("VmRSS"), of("VmHWM"))
}

fn measure(folder: &Path) {
    let truth = Exact::load(&folder.join("exact.json"));
    let before = memory().0;
    let started = Instant::now();
    let history = History::open(&folder.join("history"), &node(), DIGEST, "bench").unwrap();
    println!("{:.3} s to find the files", started.elapsed().as_secs_f64());
    let all = Filter::default();
    let mut first = true;
    for threads in [2, 1] {
        let (mut times, mut cpu) = (Vec::new(), Vec::new());
        for query in truth.queries.iter().take(5) {
            let (started, used) = (Instant::now(), processor_time());
            let found = search::search(&history, query, &all, 20, threads).unwrap();
            times.push(started.elapsed().as_secs_f64());
            cpu.push((processor_time() - used).as_secs_f64());
            if std::mem::take(&mut first) {
                println!(
                    "{:.2} s for the first of {} frames, {threads} threads",
                    times[0], found.frames
                );
            }
        }
        println!("{threads} threads: {times:.2?} s, {cpu:.2?} s of processors");
    }
    let (now, most) = memory();
    println!("memory: {before} MiB before, {now} after, {most} at most");
    recall(&history, &truth);
}

/// Of the frames that are exactly the best, how many are among as many that are found.
fn recall(history: &History, truth: &Exact) {
    let queries: Vec<Query> = truth.queries.iter().map(Query::new).collect();
    let mut found = Exact::new(truth.queries.clone());
    for part in history.parts(&Filter::default()) {
        scan(history, part, &Filter::default(), &queries, |frame| {
            let camera: usize = frame.camera.as_str()[1..].parse().unwrap();
            let row = (frame.time.0 - START).round() as usize * CAMERAS + camera;
            found.add_scores(row, frame.cosines);
        })
        .unwrap();
    }
    for most in [10, 100] {
        println!("recall@{most}: {:.3}", truth.recall(&found, most));
    }
}
