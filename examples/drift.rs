//! What is told of cameras that are moved, covered, blinded, frozen or only look at a night: simulated on clips.
//!
//! `scripts/drift-bench` runs it. Each clip plays again and again, a frame a second; after ten minutes
//! something happens to the camera, and later it is over. The table is Markdown.
#![expect(clippy::unwrap_used, reason = "a measurement that fails may stop")]
#![expect(clippy::print_stdout, reason = "its lines are its result")]

#[path = "drift/simulate.rs"]
mod simulate;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::sampler::Sampler;
use seewhen::capture::{CaptureError, Open as _, Pulled};
use seewhen::clip::ImageEncoder;
use seewhen::clock::Clock;
use seewhen::config::{CameraSource, ModelConfig, Network};
use seewhen::daemon::model::Model;
use seewhen::model::{
    Captured, DecoderChoice, Every, Moment, Picture, Problem, ProblemKind, View, WallTime,
};
use seewhen::view::{Sight, Watcher};
use simulate::{Change, simulate};

/// Measures what is told of simulated cameras.
#[derive(Parser)]
struct Args {
    /// Clips of cameras that stand still.
    #[arg(required = true)]
    clips: Vec<PathBuf>,
    /// So many hours of each undisturbed.
    #[arg(long, default_value_t = 2)]
    hours: u32,
    /// Also how far embeddings go from the usual one; takes minutes.
    #[arg(long)]
    embeddings: bool,
}

/// Seconds before something happens, while it goes on, and after it.
const BEFORE: u32 = 600;
const DURING: u32 = 400;
const AFTER: u32 = 400;
/// Different pictures of a clip that are used, at most: undisturbed, and of each thing that happens.
const PICTURES: [usize; 2] = [60, 20];

/// What happens, in words, for how long, and what is to be told of it.
type Case = (&'static str, Change, u32, &'static str);

fn cases() -> Vec<Case> {
    use Change::{Black, Blur, Dim, Infrared, Light, Lorry, Patch, Shift, Turn, Wash, Zoom};
    let (moved, lens, nothing) = ("moved", "covered or blinded", "nothing");
    vec![
        ("moved by 3 % of the picture", Shift(0.03), DURING, moved),
        ("moved by 5 %", Shift(0.05), DURING, moved),
        ("moved by 10 %", Shift(0.1), DURING, moved),
        ("moved by 30 %", Shift(0.3), DURING, moved),
        ("turned by 3 degrees", Turn(3.0), DURING, moved),
        ("turned by 10 degrees", Turn(10.0), DURING, moved),
        ("nearer by a fifth", Zoom(0.8), DURING, moved),
        ("black", Black, DURING, lens),
        ("a hand on the lens", Patch, DURING, lens),
        ("blurred by 2 %", Blur(0.02), DURING, lens),
        ("blurred by 4 %", Blur(0.04), DURING, lens),
        ("blurred by 8 %", Blur(0.08), DURING, lens),
        ("light 2.5 times", Light(2.5), DURING, lens),
        ("light 4 times", Light(4.0), DURING, lens),
        ("a tenth of the contrast", Wash(0.1), DURING, lens),
        ("a quarter of the contrast", Wash(0.25), DURING, nothing),
        ("night switch: infrared", Infrared, DURING, nothing),
        ("lights at 40 %", Dim(0.4), DURING, nothing),
        ("lights at 15 %", Dim(0.15), DURING, nothing),
        ("a lorry for 40 s", Lorry(0.9), 40, nothing),
        ("a quarter parked up", Lorry(0.25), DURING, nothing),
        ("a half parked up", Lorry(0.5), DURING, nothing),
    ]
}

/// A clip as the camera shows it, undisturbed and after each case.
struct Scene {
    name: String,
    usual: Vec<Sight>,
    changed: Vec<Vec<Sight>>,
    /// How far the mean embedding of each case is from the usual one: 1 less the cosine.
    far: Vec<f32>,
}

fn main() {
    let args = Args::parse();
    seewhen::capture::gstreamer::init().unwrap();
    let model = args.embeddings.then(|| Model::load(&ModelConfig::default()).unwrap());
    let mut encoder = model.map(|model| model.image_encoder().unwrap());
    let cases = cases();
    let scenes: Vec<Scene> = args
        .clips
        .iter()
        .map(|clip| {
            scene(clip, &cases, encoder.as_mut().map(|encoder| encoder as &mut dyn ImageEncoder))
        })
        .collect();
    undisturbed(&scenes, args.hours);
    println!(
        "\n| what happens | wanted | told of | median after | told as | over again | embedding |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (index, case) in cases.iter().enumerate() {
        row(&scenes, index, case);
    }
    frozen(&scenes);
    others(&scenes);
}

fn scene(clip: &Path, cases: &[Case], encoder: Option<&mut dyn ImageEncoder>) -> Scene {
    let pictures = frames(clip, Duration::from_millis(500));
    let mut encoder = encoder;
    let mut of = |change: Change, most: usize| {
        let spread = pictures.iter().enumerate().step_by(pictures.len().div_ceil(most));
        let shown: Vec<Picture> =
            spread.map(|(index, picture)| simulate(picture, change, index as u64)).collect();
        let mut mean = Vec::new();
        for picture in &shown {
            let Some(encoder) = encoder.as_deref_mut() else { break };
            let embedding = encoder.encode(&[(picture, View::default())]).unwrap().remove(0).0;
            mean.resize(embedding.len(), 0.0);
            mean.iter_mut().zip(&embedding).for_each(|(mean, value)| *mean += value);
        }
        let sights = shown.iter().map(|picture| Sight::of(picture, View::default()));
        (sights.collect::<Vec<_>>(), mean)
    };
    let (usual, mean) = of(Change::Nothing, PICTURES[0]);
    let each: Vec<_> = cases.iter().map(|(_, change, ..)| of(*change, PICTURES[1])).collect();
    let far = each.iter().map(|(_, other)| 1.0 - cosine(&mean, other)).collect();
    let changed = each.into_iter().map(|(sights, _)| sights).collect();
    let name = clip.file_stem().unwrap().to_string_lossy().into_owned();
    Scene { name, usual, changed, far }
}

fn frames(clip: &Path, every: Duration) -> Vec<Picture> {
    let every = Every::Interval(every);
    let opener = Opener {
        source: CameraSource::File(clip.to_owned()),
        every,
        decoders: Decoders::new(DecoderChoice::Software),
        network: Network::default(),
        region: None,
        repeat: false,
        pace: Pace::AsFastAsPossible,
        clock: Clock::start(),
    };
    let (mut source, mut sampler) = (opener.open().unwrap(), Sampler::new(every));
    let mut frames = Vec::new();
    loop {
        match source.pull(Duration::from_millis(250), &mut sampler) {
            Ok(Pulled::Frame(picture, _)) => frames.push(picture),
            Ok(Pulled::Skipped | Pulled::Nothing) => {}
            Err(CaptureError::End) => return frames,
            Err(error) => panic!("{}: {error}", clip.display()),
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

/// Plays each part for so many seconds. What was said anew, and when.
fn play(parts: &[(&[Sight], u32)]) -> Vec<(u32, Option<Problem>)> {
    let (mut watcher, mut changes, mut now) = (Watcher::default(), Vec::new(), 0);
    let mut said: Option<ProblemKind> = None;
    for (sights, seconds) in parts {
        for sight in sights.iter().cycle().take(*seconds as usize) {
            // A camera's noise: no picture is the one of the loop before.
            let sight = Sight { digest: u64::from(now), ..sight.clone() };
            let at = Moment(Duration::from_secs(u64::from(now)));
            let problem = watcher.look(Captured { at, time: WallTime(f64::from(now)) }, &sight);
            if problem.map(|problem| problem.kind) != said {
                said = problem.map(|problem| problem.kind);
                changes.push((now, problem));
            }
            now += 1;
        }
    }
    changes
}

fn undisturbed(scenes: &[Scene], hours: u32) {
    let mut alarms = 0;
    for scene in scenes {
        let told = play(&[(&scene.usual, hours * 3600)]);
        let told = told.iter().filter(|(_, problem)| problem.is_some()).count();
        alarms += told;
        if told > 0 {
            println!("{}: {told} false alarms", scene.name);
        }
    }
    let all = f64::from(hours) * scenes.len() as f64;
    println!("undisturbed: {alarms} false alarms in {all} h, {:.2} an hour", alarms as f64 / all);
}

fn row(scenes: &[Scene], index: usize, (what, _, during, wanted): &Case) {
    let (mut delays, mut kinds, mut over, mut missed) = (Vec::new(), Vec::new(), 0, Vec::new());
    for scene in scenes {
        let (usual, changed) = (&scene.usual[..], &scene.changed[index][..]);
        let told = play(&[(usual, BEFORE), (changed, *during), (usual, AFTER)]);
        let first = told.iter().find_map(|(at, problem)| Some((*at, (*problem)?)));
        let Some((at, problem)) = first else {
            missed.push(scene.name.as_str());
            continue;
        };
        delays.push(at.saturating_sub(BEFORE));
        kinds.push(problem.kind.word());
        over += usize::from(told.last().is_some_and(|(_, problem)| problem.is_none()));
    }
    delays.sort_unstable();
    let median =
        delays.get(delays.len() / 2).map_or("–".to_owned(), |delay| format!("{delay} s"));
    let count =
        |kind: ProblemKind| (kind.word(), kinds.iter().filter(|k| **k == kind.word()).count());
    let kinds = ProblemKind::ALL.map(count).into_iter().filter(|(_, count)| *count > 0);
    let kinds: Vec<String> = kinds.map(|(word, count)| format!("{word} {count}")).collect();
    let mut far: Vec<f32> = scenes.iter().map(|scene| scene.far[index]).collect();
    far.sort_by(f32::total_cmp);
    let far = far[far.len() / 2];
    let far = if far.is_nan() { "–".to_owned() } else { format!("{far:.2}") };
    let (told, all) = (delays.len(), scenes.len());
    let kinds = kinds.join(", ");
    println!("| {what} | {wanted} | {told} of {all} | {median} | {kinds} | {over} | {far} |");
    if (1..=5).contains(&missed.len()) {
        name_missed(what, &missed);
    }
}

#[expect(clippy::print_stderr, reason = "beside the table")]
fn name_missed(what: &str, missed: &[&str]) {
    eprintln!("{what}: not told of {}", missed.join(", "));
}

/// One picture again and again, to the bit.
fn frozen(scenes: &[Scene]) {
    let mut delays = Vec::new();
    for scene in scenes {
        let mut watcher = Watcher::default();
        for now in 0..BEFORE + DURING {
            let still = now >= BEFORE;
            let digest = u64::from(if still { BEFORE } else { now });
            let index = if still { 0 } else { now as usize % scene.usual.len() };
            let sight = Sight { digest, ..scene.usual[index].clone() };
            let at = Moment(Duration::from_secs(u64::from(now)));
            let problem = watcher.look(Captured { at, time: WallTime(0.0) }, &sight);
            if problem.is_some_and(|problem| problem.kind == ProblemKind::Frozen) {
                delays.push(now - BEFORE);
                break;
            }
        }
    }
    delays.sort_unstable();
    let (told, all) = (delays.len(), scenes.len());
    let median = delays.get(told / 2).map_or(0, |delay| *delay);
    println!(
        "| one picture again and again | frozen | {told} of {all} | {median} s | frozen {told} | – | – |"
    );
}

/// Each camera suddenly shows what another one sees. Some clips may be of one place, which names do not say:
/// pairs that are not told are named.
fn others(scenes: &[Scene]) {
    let (mut told, mut all, mut delays, mut missed) = (0, 0, Vec::new(), Vec::new());
    for one in scenes {
        for other in scenes.iter().filter(|other| other.name != one.name) {
            all += 1;
            let changes = play(&[(&one.usual, BEFORE), (&other.usual, DURING)]);
            match changes.iter().find(|(_, problem)| problem.is_some()) {
                Some((at, _)) => {
                    told += 1;
                    delays.push(at - BEFORE);
                }
                None => missed.push(format!("{} → {}", one.name, other.name)),
            }
        }
    }
    delays.sort_unstable();
    let median = delays.get(told / 2).map_or(0, |delay| *delay);
    println!("| shows another clip | moved | {told} of {all} | {median} s | | – | – |");
    println!("\nnot told: {}", missed.join("; "));
}
