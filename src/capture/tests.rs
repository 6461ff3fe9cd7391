//! The capture loop against sources that follow a script.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::mailbox::{Batch, Receiver, WhenFull, mailbox};
use crate::stop::{StopHandle, stop};

/// What a scripted source does, pull by pull.
#[derive(Debug, Clone)]
enum Step {
    Frame,
    Skip,
    Nothing,
    Fail(CaptureError),
}

struct Scripted(VecDeque<Step>);

impl Source for Scripted {
    fn pull(&mut self, _timeout: Duration, _sampler: &mut Sampler) -> Result<Pulled, CaptureError> {
        match self.0.pop_front().unwrap_or(Step::Fail(CaptureError::End)) {
            Step::Frame => {
                let picture = Picture { width: 1, height: 1, rgb: vec![0; 3] };
                Ok(Pulled::Frame(picture, Captured::default()))
            }
            Step::Skip => Ok(Pulled::Skipped),
            Step::Nothing => Ok(Pulled::Nothing),
            Step::Fail(error) => Err(error),
        }
    }

    fn work(&self) -> Work {
        Work::default()
    }
}

/// Opens one script per life; when there are none left the camera is stopped, so that the loop
/// ends the way it does in production.
struct Lives {
    scripts: Mutex<VecDeque<Result<Vec<Step>, CaptureError>>>,
    handle: Mutex<Option<StopHandle>>,
    file: Option<bool>,
}

impl Open for Lives {
    fn open(&self) -> Result<Box<dyn Source>, CaptureError> {
        match self.scripts.lock().unwrap().pop_front() {
            Some(script) => Ok(Box::new(Scripted(script?.into()))),
            None => {
                drop(self.handle.lock().unwrap().take());
                Err(CaptureError::Source("no more lives".to_owned()))
            }
        }
    }

    fn describe(&self) -> String {
        "scripted".to_owned()
    }

    fn ends(&self) -> bool {
        self.file == Some(false)
    }

    fn repeats(&self) -> bool {
        self.file == Some(true)
    }
}

/// A capture that knows no patience.
fn capture(opener: Lives, frames: Sender, changes: mpsc::Sender<Observation>) -> Capture {
    Capture {
        camera: CameraId::try_new("c").unwrap(),
        view: View::default(),
        every: Every::KeyFrames,
        mask: Vec::new(),
        gate: None,
        connect_timeout: Duration::ZERO,
        stall_timeout: Duration::ZERO,
        opener: Box::new(opener),
        frames,
        changes,
        status: Arc::default(),
        clock: Clock::start(),
        backoff: Backoff::try_new(Duration::from_millis(1), Duration::from_millis(2), 0.0).unwrap(),
        refused: Backoff::after_refusal(),
    }
}

/// Runs the lives to their end; returns the states that were told and the frames' receiver.
fn lives(
    scripts: Vec<Result<Vec<Step>, CaptureError>>,
    file: Option<bool>,
) -> (Vec<String>, Receiver, Arc<CameraStatus>) {
    let (handle, stop) = stop();
    let (frames, receiver) = mailbox(WhenFull::Replace);
    let (changes, mut told) = mpsc::channel(64);
    let status = Arc::new(CameraStatus::default());
    let opener =
        Lives { scripts: Mutex::new(scripts.into()), handle: Mutex::new(Some(handle)), file };
    let capture = Capture { status: status.clone(), ..capture(opener, frames, changes) };
    run(&capture, &stop);
    drop(capture);
    let mut states = Vec::new();
    while let Some(Observation::Camera(change)) = told.blocking_recv() {
        states.push(format!("{} {} {}", change.state.word(), change.attempt, change.reason));
    }
    (states, receiver, status)
}

#[test]
fn a_camera_comes_back_after_every_kind_of_end() {
    let refused = CaptureError::Source("refused".to_owned());
    let (states, ..) = lives(
        vec![
            Err(refused),
            Ok(vec![Step::Nothing]),
            Ok(vec![Step::Frame, Step::Nothing]),
            Ok(vec![Step::Frame, Step::Fail(CaptureError::End)]),
        ],
        None,
    );
    assert_eq!(
        states,
        [
            "connecting 0 ",
            "retrying 1 refused",
            "retrying 2 no first frame within 0s",
            "running 0 ",
            "stalled 3 no frame for 0s",
            "running 0 ",
            "retrying 4 the stream ended",
            "retrying 5 no more lives",
        ]
    );
}

#[test]
fn data_without_pictures_is_a_stall() {
    let (handle, stop) = stop();
    let (frames, _receiver) = mailbox(WhenFull::Replace);
    let (changes, mut told) = mpsc::channel(64);
    // One frame, and then nothing that can be seen: for as long as the limit takes.
    let script = [vec![Step::Frame], vec![Step::Skip; 1 << 20]].concat();
    let lives = Mutex::new(vec![Ok(script)].into());
    let opener = Lives { scripts: lives, handle: Mutex::new(Some(handle)), file: None };
    let every = Every::Interval(Duration::from_millis(5));
    run(&Capture { every, ..capture(opener, frames, changes) }, &stop);
    let mut reasons = Vec::new();
    while let Ok(Observation::Camera(change)) = told.try_recv() {
        reasons.push(change.reason);
    }
    assert_eq!(reasons, ["", "", "no frame for 10ms", "no more lives"]);
}

#[test]
fn a_file_that_ends_is_done_and_one_that_loops_goes_on() {
    let (states, ..) = lives(vec![Ok(vec![Step::Frame])], Some(false));
    assert_eq!(states, ["connecting 0 ", "running 0 ", "disabled 0 end of file"]);
    let (states, ..) = lives(vec![Ok(vec![Step::Frame]), Ok(vec![Step::Frame])], Some(true));
    assert_eq!(states, ["connecting 0 ", "running 0 ", "retrying 1 no more lives"]);
}

#[test]
fn frames_are_counted_and_the_newest_waits() {
    let script = vec![Step::Frame, Step::Skip, Step::Frame, Step::Frame];
    let (_, receiver, status) = lives(vec![Ok(script)], Some(false));
    let counts = status.counts();
    assert_eq!((counts.received, counts.sampled, counts.replaced), (4, 3, 2));
    let Batch::Frames(frames) = receiver.next_batch(8, Duration::ZERO, Duration::ZERO) else {
        panic!("no frame")
    };
    assert_eq!(frames.len(), 1);
}

#[test]
fn capture_ends_when_nobody_reads() {
    let (_handle, stop) = stop();
    let (frames, receiver) = mailbox(WhenFull::Replace);
    drop(receiver);
    let (changes, _told) = mpsc::channel(64);
    let opener = Lives {
        scripts: Mutex::new(vec![Ok(vec![Step::Frame; 10])].into()),
        handle: Mutex::new(None),
        file: None,
    };
    run(&capture(opener, frames, changes), &stop);
}

/// A source that fails, and does not end before it is let go.
struct Reluctant {
    release: std::sync::mpsc::Receiver<()>,
    ended: Arc<AtomicBool>,
}

impl Source for Reluctant {
    fn pull(&mut self, _timeout: Duration, _sampler: &mut Sampler) -> Result<Pulled, CaptureError> {
        Err(CaptureError::End)
    }

    fn work(&self) -> Work {
        Work::default()
    }
}

impl Drop for Reluctant {
    fn drop(&mut self) {
        self.release.recv_timeout(Duration::from_secs(30)).unwrap();
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// Opens it once; then the camera is stopped.
struct Once(Mutex<Option<Reluctant>>, Mutex<Option<StopHandle>>);

impl Open for Once {
    fn open(&self) -> Result<Box<dyn Source>, CaptureError> {
        let Some(source) = self.0.lock().unwrap().take() else {
            drop(self.1.lock().unwrap().take());
            return Err(CaptureError::End);
        };
        Ok(Box::new(source))
    }

    fn describe(&self) -> String {
        "reluctant".to_owned()
    }

    fn ends(&self) -> bool {
        false
    }

    fn repeats(&self) -> bool {
        false
    }
}

#[test]
fn a_loss_is_told_before_the_source_has_ended() {
    let (handle, stop) = stop();
    let (frames, _receiver) = mailbox(WhenFull::Replace);
    let (changes, mut told) = mpsc::channel(64);
    let (let_go, release) = std::sync::mpsc::channel();
    let ended = Arc::new(AtomicBool::new(false));
    let source = Reluctant { release, ended: ended.clone() };
    let opener = Box::new(Once(Mutex::new(Some(source)), Mutex::new(Some(handle))));
    let lives = Lives { scripts: Mutex::default(), handle: Mutex::default(), file: None };
    let capture = Capture { opener, ..capture(lives, frames, changes) };
    let thread = std::thread::Builder::new().name("cap:c".to_owned());
    let thread = thread.spawn(move || run(&capture, &stop)).unwrap();
    for state in [CameraState::Connecting, CameraState::Retrying] {
        let Some(Observation::Camera(change)) = told.blocking_recv() else { panic!("{state:?}") };
        assert_eq!(change.state, state);
    }
    assert!(!ended.load(Ordering::SeqCst), "it has not ended yet");
    let_go.send(()).unwrap();
    thread.join().unwrap();
    assert!(ended.load(Ordering::SeqCst));
}
