//! What inference does for an encoder that prepares the next batch while one runs: it gives the next
//! one early when that is full, in order, and whatever happens in between no frame is lost or kept.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ndarray::array;
use seewhen::clip::{EncodeError, ImageEncoder, Next};
use seewhen::infer::engine::Engine;
use seewhen::infer::{self, Inference};
use seewhen::mailbox::{Sender, WhenFull, mailbox};
use seewhen::model::{
    CameraId, Captured, ChangeGate, Embedding, Frame, LabelId, Picture, View, WatchId,
};
use seewhen::status::Status;
use seewhen::watch::{Label, Observation, ScoreKind, Watch, WatchSet, WatchedCamera};
use tokio::sync::{mpsc, watch};

const GATE: ChangeGate = ChangeGate { difference: 0.02, max_age: Duration::from_secs(10) };

/// Cameras are letters; a frame is known by its width.
type Shown = (char, u32);

/// What one call was given to encode, and what it was told will follow.
type Call = (Vec<u32>, Vec<u32>);

/// While it encodes, cameras show what `script` says; at its end they are gone. Pictures of width 13
/// cannot be encoded, and of those of width 66 the device dies.
struct Scripted {
    frames: Option<Sender>,
    script: VecDeque<Vec<Shown>>,
    calls: Arc<Mutex<Vec<Call>>>,
    gate: Option<ChangeGate>,
    most: usize,
}

impl ImageEncoder for Scripted {
    fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        self.encode_before(pictures, &mut Vec::new)
    }

    fn encode_before(
        &mut self,
        pictures: &[(&Picture, View)],
        next: Next<'_>,
    ) -> Result<Vec<Embedding>, EncodeError> {
        if let (Some(shown), Some(frames)) = (self.script.pop_front(), &self.frames) {
            show(frames, &shown, self.gate);
        }
        if self.script.is_empty() {
            self.frames = None;
        }
        let widths: Vec<u32> = pictures.iter().map(|(picture, _)| picture.width).collect();
        let told = next().iter().map(|(picture, _)| picture.width).collect();
        assert_eq!(next().iter().map(|(picture, _)| picture.width).collect::<Vec<_>>(), told);
        self.calls.lock().unwrap().push((widths.clone(), told));
        match () {
            () if widths.contains(&66) => Err(EncodeError::Lost("gone".into())),
            () if widths.contains(&13) => Err(EncodeError::Failed("unlucky".into())),
            () => Ok(widths.iter().map(|_| Embedding(vec![1.0, 0.0])).collect()),
        }
    }

    fn max_batch(&self) -> usize {
        self.most
    }
}

fn id(camera: char) -> CameraId {
    CameraId::try_new(&camera.to_string()).unwrap()
}

fn show(frames: &Sender, shown: &[Shown], gate: Option<ChangeGate>) {
    for &(camera, width) in shown {
        let picture = Picture { width, height: 8, rgb: vec![width as u8; width as usize * 24] };
        frames.put(Frame {
            camera: id(camera),
            captured: Captured::default(),
            view: View::default(),
            gate,
            picture: Arc::new(picture),
        });
    }
}

fn rules(cameras: &str) -> Arc<WatchSet> {
    let label = |name| Label { id: LabelId::try_new(name).unwrap(), rule: None };
    let cameras: Vec<CameraId> = cameras.chars().map(id).collect();
    let watched = |id: &CameraId| WatchedCamera {
        id: id.clone(),
        stale_after: Duration::from_secs(60),
        enabled: true,
        view_check: None,
    };
    Arc::new(WatchSet {
        cameras: cameras.iter().map(watched).collect(),
        watches: vec![Watch {
            id: WatchId::try_new("w").unwrap(),
            cameras,
            labels: [label("thing"), label("nothing")].into(),
            score: ScoreKind::Softmax,
            matrix: array![[1.0, 0.0], [0.0, 1.0]],
            taught: Default::default(),
            publish_every: Duration::ZERO,
            enabled: true,
        }],
        logit_scale: 10.0,
        logit_bias: 0.0,
        model: "scripted".into(),
        revision: 1,
    })
}

struct Run {
    calls: Vec<Call>,
    scored: Vec<u32>,
    failed: u64,
}

/// Inference over `cameras`, in batches of at most `most`, from its first frame, which `a` shows.
fn run(cameras: &str, most: usize, gate: Option<ChangeGate>, script: &[&[Shown]]) -> Run {
    let (frames, received) = mailbox(WhenFull::Replace);
    show(&frames, &[('a', 1)], gate);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let status = Arc::new(Status::default());
    for camera in cameras.chars() {
        status.camera(&id(camera));
    }
    let encoder = Scripted {
        frames: Some(frames),
        script: script.iter().map(|shown| shown.to_vec()).collect(),
        calls: calls.clone(),
        gate,
        most,
    };
    // Loaded again, it has no cameras.
    let again = calls.clone();
    let load = move || -> Result<Box<dyn ImageEncoder>, String> {
        let (script, calls) = (VecDeque::new(), again.clone());
        Ok(Box::new(Scripted { frames: None, script, calls, gate, most }))
    };
    let (out, mut observed) = mpsc::channel(64);
    let (_set, sets) = watch::channel(rules(cameras));
    infer::run(Inference {
        keeping: None,
        remembering: None,
        frames: received,
        engine: Engine::new(Box::new(encoder), Box::new(load)),
        sets,
        out,
        status: status.clone(),
        max_wait: Duration::ZERO,
        clock: None,
    });
    let mut scored = Vec::new();
    while let Ok(observation) = observed.try_recv() {
        if let Observation::Scored(frame) = observation {
            scored.push(frame.picture.width);
        }
    }
    let failed = |camera| status.camera(&id(camera)).counts().failed;
    let failed = cameras.chars().map(failed).sum();
    let calls = calls.lock().unwrap().clone();
    Run { calls, scored, failed }
}

#[test]
fn a_full_batch_is_given_early_and_comes_next() {
    let script: [&[Shown]; 3] = [&[('a', 2), ('b', 3)], &[('b', 4), ('a', 5)], &[]];
    let Run { calls, scored, .. } = run("ab", 8, None, &script);
    let told = [(vec![1], vec![2, 3]), (vec![2, 3], vec![4, 5]), (vec![4, 5], vec![])];
    assert_eq!(calls, told);
    assert_eq!(scored, [1, 2, 3, 4, 5]);
}

#[test]
fn who_could_get_company_is_left_to_wait_for_it() {
    // b may still show something while the first runs, and c never does.
    let script: [&[Shown]; 3] = [&[('a', 2)], &[('b', 3), ('a', 4)], &[]];
    let Run { calls, scored, .. } = run("abc", 8, None, &script);
    assert_eq!(calls, [(vec![1], vec![]), (vec![2], vec![]), (vec![3, 4], vec![])]);
    assert_eq!(scored, [1, 2, 3, 4]);
}

#[test]
fn the_largest_batch_is_full() {
    let script: [&[Shown]; 3] = [&[('a', 2), ('b', 3), ('c', 4)], &[], &[]];
    let Run { calls, scored, .. } = run("abcd", 2, None, &script);
    assert_eq!(calls, [(vec![1], vec![2, 3]), (vec![2, 3], vec![]), (vec![4], vec![])]);
    assert_eq!(scored, [1, 2, 3, 4]);
}

#[test]
fn a_bad_frame_costs_only_itself() {
    // It is in the batch that runs, then in the one that was given early.
    let script: [&[Shown]; 4] = [&[('a', 13), ('b', 3)], &[('a', 4), ('b', 5)], &[], &[]];
    let Run { calls, scored, failed } = run("ab", 8, None, &script);
    let told = [
        (vec![1], vec![13, 3]),
        (vec![13, 3], vec![4, 5]),
        (vec![13], vec![]),
        (vec![3], vec![]),
        (vec![4, 5], vec![]),
    ];
    assert_eq!(calls, told);
    assert_eq!((scored, failed), (vec![1, 3, 4, 5], 1));
}

#[test]
fn what_was_given_early_goes_with_the_device() {
    let script: [&[Shown]; 3] = [&[('a', 66), ('b', 3)], &[('a', 4), ('b', 5)], &[('a', 6)]];
    let Run { calls, scored, failed } = run("ab", 8, None, &script);
    assert_eq!(calls, [(vec![1], vec![66, 3]), (vec![66, 3], vec![4, 5])]);
    assert_eq!((scored, failed), (vec![1], 4));
}

#[test]
fn a_gate_sees_what_became_of_the_frame_before() {
    // The second frame is like the first, so it is scored without a call.
    let Run { calls, scored, .. } = run("a", 8, Some(GATE), &[&[('a', 1)]]);
    assert_eq!((calls, scored), (vec![(vec![1], vec![])], vec![1, 1]));
    let Run { calls, .. } = run("a", 8, None, &[&[('a', 1)], &[]]);
    assert_eq!(calls, [(vec![1], vec![1]), (vec![1], vec![])]);
}
