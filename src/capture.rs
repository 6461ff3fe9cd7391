//! One camera's thread: opens the source, samples it, puts frames into the mailbox, and comes
//! back after every failure.
//!
//! [`run`] supervises, `run_once` is one life of the source. Owns the source and the camera's
//! sender; ends when its [`Stop`] says so, when a file that does not loop has ended, or when
//! nobody reads frames any more.

pub mod gstreamer;
pub mod lateness;
mod mask;
pub mod sampler;
pub mod selector;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::sampler::Sampler;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::mailbox::{Put, Sender};
use crate::model::{
    CameraChange, CameraId, CameraState, Captured, ChangeGate, Every, Frame, Picture, Polygon, View,
};
use crate::status::{CameraStatus, Effort, Work};
use crate::stop::Stop;
use crate::watch::Observation;

/// How long one pull waits: the longest a stop request goes unnoticed while the camera can be
/// reached. Where it cannot, asking why takes as long as the name service does.
const PULL: Duration = Duration::from_millis(250);
/// How often a camera says what it takes.
const TELL: Duration = Duration::from_secs(1);
/// Frames that flowed this long: the back-off starts over.
const STABLE: Duration = Duration::from_secs(60);

/// Why a source ended. Every one of these ends one life, none ends the camera by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    #[error("the stream ended")]
    End,
    #[error("no first frame within {}", humantime::format_duration(*.0))]
    NoFirstFrame(Duration),
    #[error("no frame for {}", humantime::format_duration(*.0))]
    Stalled(Duration),
    /// User name and password are missing or wrong.
    #[error("the camera refuses the login: {0}")]
    Refused(String),
    #[error("{0}")]
    Source(String),
}

/// What one pull brought.
#[derive(Debug, PartialEq)]
pub enum Pulled {
    /// A frame that is due.
    Frame(Picture, Captured),
    /// A frame that is not.
    Skipped,
    /// Nothing in time.
    Nothing,
}

/// An open source of frames.
pub trait Source {
    /// Waits at most `timeout` for the next frame, and asks `sampler` whether it is due before any
    /// more work goes into it than needed.
    fn pull(&mut self, timeout: Duration, sampler: &mut Sampler) -> Result<Pulled, CaptureError>;

    /// How it does that.
    fn work(&self) -> Work;
}

/// Opens a source, again and again.
pub trait Open: Send {
    fn open(&self) -> Result<Box<dyn Source>, CaptureError>;
    /// The source as people may see it, without user name and password.
    fn describe(&self) -> String;
    /// Whether its end is wished for: a file that does not loop.
    fn ends(&self) -> bool;
    /// Whether it starts again at its end, without this being a failure.
    fn repeats(&self) -> bool;
}

/// What a capture thread works with.
pub struct Capture {
    pub camera: CameraId,
    pub view: View,
    pub every: Every,
    /// Painted black before anything else sees a picture.
    pub mask: Vec<Polygon>,
    pub gate: Option<ChangeGate>,
    pub connect_timeout: Duration,
    pub stall_timeout: Duration,
    pub opener: Box<dyn Open>,
    pub frames: Sender,
    pub changes: mpsc::Sender<Observation>,
    pub status: Arc<CameraStatus>,
    pub clock: Clock,
    pub backoff: Backoff,
    /// The same after a refused login.
    pub refused: Backoff,
}

/// How a life ended.
enum Life {
    /// Asked to stop, or nobody reads.
    Over,
    /// With the source that failed, if there was one.
    Failed(CaptureError, Option<Box<dyn Source>>),
}

/// What goes on from one life of a source to the next while a file plays again and again.
struct Reel {
    sampler: Sampler,
    /// When the first frame came, which was told.
    running: Option<Instant>,
    /// What was told with it.
    note: Option<Arc<str>>,
    /// When the newest frame came.
    newest: Instant,
    /// When the newest one came that was kept.
    kept: Instant,
    /// When it was told what all this takes.
    told: Instant,
    /// The time between the newest frame and the one before.
    gap: Duration,
}

impl Reel {
    fn new(every: Every) -> Self {
        let sampler = Sampler::new(every);
        let now = Instant::now();
        let gap = Duration::ZERO;
        Self { sampler, running: None, note: None, newest: now, kept: now, told: now, gap }
    }

    fn frame_came(&mut self) {
        let now = Instant::now();
        self.gap = now - self.newest;
        self.newest = now;
    }

    /// What is left of the last frame's time: a file ends when its last frame is shown.
    fn rest(&self) -> Duration {
        self.sampler.shown(self.gap).saturating_sub(self.newest.elapsed())
    }
}

/// Keeps the camera alive until `stop`.
pub fn run(capture: &Capture, stop: &Stop) {
    let (mut attempt, mut refused) = (0, false);
    let mut reel = Reel::new(capture.every);
    capture.tell(CameraState::Connecting, String::new(), attempt);
    while !stop.requested() {
        let Life::Failed(error, source) = run_once(capture, stop, &mut reel) else { return };
        if error == CaptureError::End && capture.opener.repeats() && reel.running.is_some() {
            drop(source);
            if !stop.pause(reel.rest()) {
                return;
            }
            reel.sampler.rewind();
            continue;
        }
        if reel.running.is_some_and(|since| since.elapsed() >= STABLE) {
            attempt = 0;
        }
        reel = Reel::new(capture.every);
        if error == CaptureError::End && capture.opener.ends() {
            tracing::info!(source = capture.opener.describe(), "the file has been played");
            capture.tell(CameraState::Disabled, "end of file".to_owned(), 0);
            return;
        }
        if matches!(error, CaptureError::Refused(_)) != refused {
            (attempt, refused) = (0, !refused);
        }
        let backoff = if refused { &capture.refused } else { &capture.backoff };
        let wait = backoff.delay(attempt, fastrand::f64());
        attempt += 1;
        let state = match error {
            CaptureError::Stalled(_) => CameraState::Stalled,
            _ => CameraState::Retrying,
        };
        tracing::warn!(source = capture.opener.describe(), %error, attempt, ?wait, "camera lost");
        capture.tell(state, error.to_string(), attempt);
        // What has failed may take its time to end: by now nobody takes it for alive.
        drop(source);
        if !stop.pause(wait) {
            return;
        }
    }
}

/// One life of the source, from opening to its end. That it runs is told with the first frame;
/// of a file that starts again it has been told already.
fn run_once(capture: &Capture, stop: &Stop, reel: &mut Reel) -> Life {
    let mut source = match capture.opener.open() {
        Ok(source) => source,
        Err(error) => return Life::Failed(error, None),
    };
    let opened = Instant::now();
    reel.newest = opened;
    while !stop.requested() {
        let pulled = match source.pull(PULL, &mut reel.sampler) {
            Ok(pulled) => pulled,
            Err(error) => return Life::Failed(error, Some(source)),
        };
        if let Some(error) = overdue(capture, reel, opened, &pulled) {
            return Life::Failed(error, Some(source));
        }
        if pulled == Pulled::Nothing {
            continue;
        }
        reel.frame_came();
        capture.status.frame_received();
        capture.report(source.as_ref(), reel, matches!(pulled, Pulled::Frame(..)));
        if let Pulled::Frame(picture, captured) = pulled {
            if capture.put(picture, captured) == Put::Closed {
                return Life::Over;
            }
            reel.kept = Instant::now();
        }
    }
    Life::Over
}

/// Whether what was pulled comes too late to save this life, and as what it ends.
fn overdue(
    capture: &Capture,
    reel: &Reel,
    opened: Instant,
    pulled: &Pulled,
) -> Option<CaptureError> {
    if matches!(pulled, Pulled::Frame(..)) {
        return None;
    }
    let beyond = |since: Instant, limit: Duration| since.elapsed() >= limit;
    if reel.running.is_none() {
        let limit = capture.connect_timeout;
        return beyond(opened, limit).then_some(CaptureError::NoFirstFrame(limit));
    }
    let stalled = capture.stall_timeout;
    if *pulled == Pulled::Nothing && beyond(reel.newest, stalled) {
        return Some(CaptureError::Stalled(stalled));
    }
    // Data still comes, and no picture of it. Thrifty cameras go a minute without a key frame when
    // nothing moves.
    let blind = 6 * stalled + 2 * capture.every.longest();
    beyond(reel.kept, blind).then_some(CaptureError::Stalled(blind))
}

impl Capture {
    /// Tells that frames flow, once, what should be known about that, and what it takes.
    fn report(&self, source: &dyn Source, reel: &mut Reel, frame: bool) {
        let first = frame && reel.running.is_none();
        if !first && reel.told.elapsed() < TELL {
            return;
        }
        reel.told = Instant::now();
        let work = source.work();
        let news = reel.running.is_some() && work.note != reel.note;
        reel.note.clone_from(&work.note);
        self.status.tell_effort(Effort { work, cpu: thread_time() });
        if first {
            reel.running = Some(reel.newest);
            tracing::info!(source = self.opener.describe(), "frames are flowing");
        }
        if first || news {
            let note = reel.note.as_deref().unwrap_or_default();
            self.tell(CameraState::Running, note.to_owned(), 0);
        }
    }

    fn put(&self, mut picture: Picture, captured: Captured) -> Put {
        self.status.frame_sampled();
        mask::paint(&mut picture, &self.mask);
        let (camera, view, gate) = (self.camera.clone(), self.view, self.gate);
        let picture = Arc::new(picture);
        let frame = Frame { camera, captured, view, gate, picture };
        let put = self.frames.put(frame);
        if put == Put::Replaced {
            self.status.frame_replaced();
        }
        put
    }

    /// Tells the alert stage, and waits when it is busy: a lost change would leave a stale
    /// state behind.
    fn tell(&self, state: CameraState, reason: String, attempt: u32) {
        let captured = self.clock.captured();
        let camera = self.camera.clone();
        let change = CameraChange { camera, state, reason, attempt, captured };
        if self.changes.blocking_send(Observation::Camera(change)).is_err() {
            tracing::debug!("nobody listens to camera changes any more");
        }
    }
}

/// What this thread has taken of a processor; it decodes by itself.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
#[path = "capture/tests.rs"]
mod tests;
