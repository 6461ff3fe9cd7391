//! Why a label is on, or why it is not: what the rules say of one label at one moment.
//!
//! Made by `alert::rules`; [`Explanation::sentence`] says it to people, `publish::payload` writes it as
//! JSON. Pure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Probabilities;
use super::{Consensus, ScoreKind};
use crate::model::{CameraChange, LabelId, LabelKey, Probability, Suppressed, WallTime};

/// The reason that decides; the first that holds, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// An event is open.
    On,
    /// A label without a threshold.
    Background,
    /// The label is switched off, or its watch or camera.
    Disabled,
    /// The camera gives no frames, or is switched off: [`Explanation::camera`] has why.
    CameraAway,
    /// The model's device is gone, for this reason.
    ModelAway(String),
    /// No frame since the start, or since the camera came back.
    NoFrame,
    /// The newest frame is older than this, and says nothing any more.
    Stale(Duration),
    /// Outside the schedule.
    Inactive,
    /// Something is wrong with the camera's view, for this reason, and the label was taught another one.
    OtherView(&'static str),
    BelowThreshold,
    /// The newest frame is at the threshold, and was looked at by other rules: the next one counts.
    Anew,
    Cooling,
    /// Too few of the newest frames agree.
    TooFewFrames,
    Holding,
    /// All there is to wait for is over: the next frame like the last starts an event.
    Due,
}

impl Verdict {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Background => "background",
            Self::Disabled => "disabled",
            Self::CameraAway => "camera_away",
            Self::ModelAway(_) => "model_away",
            Self::NoFrame => "no_frame",
            Self::Stale(_) => "stale",
            Self::Inactive => "outside_schedule",
            Self::OtherView(_) => "other_view",
            Self::BelowThreshold => "below_threshold",
            Self::Anew => "begins_anew",
            Self::Cooling => "cooldown",
            Self::TooFewFrames => "too_few_frames",
            Self::Holding => "hold",
            Self::Due => "due",
        }
    }
}

/// The newest frame that was analysed.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenFrame {
    pub time: WallTime,
    pub age: Duration,
    /// How many frames, this one the last, changed nothing and took over their probabilities.
    pub unchanged: u32,
    /// All labels of the watch, in its order.
    pub probabilities: Probabilities,
}

/// When a schedule was entered or left, and when it will be; `None`: not within eight days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    pub active: bool,
    pub since: Option<WallTime>,
    pub until: Option<WallTime>,
}

/// An event that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenStay {
    pub id: Arc<str>,
    pub since: WallTime,
    pub top_probability: Probability,
}

/// Where a label with a threshold stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub threshold: Probability,
    pub clear: Probability,
    pub hold: Duration,
    /// How long it has been at the threshold, as the rules count it.
    pub held: Duration,
    pub consensus: Consensus,
    /// How many of the newest frames agree.
    pub agree: usize,
    pub cooldown: Duration,
    pub cooldown_left: Duration,
    /// `None`: it may always fire.
    pub schedule: Option<Shift>,
    pub shadow: bool,
    pub open: Option<OpenStay>,
    /// The highest probability since the last event started, and when that was.
    pub highest: Option<(Probability, WallTime)>,
    /// Events that have started since seewhen did.
    pub events: u64,
    /// What the cooldown has kept back; the next event tells it.
    pub suppressed: Option<Suppressed>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub key: LabelKey,
    pub verdict: Verdict,
    pub score: ScoreKind,
    /// The labels that go by examples on this camera: they compete with none.
    pub taught: Vec<LabelId>,
    /// It has neither prompts nor examples.
    pub is_blank: bool,
    pub frame: Option<SeenFrame>,
    /// `None` for a label without a threshold.
    pub standing: Option<Standing>,
    /// `None` before the first word of it.
    pub camera: Option<CameraChange>,
    pub model: Arc<str>,
    pub now: WallTime,
}

impl Explanation {
    pub fn is_on(&self) -> bool {
        self.verdict == Verdict::On
    }

    /// The label's probability in the newest frame.
    pub fn probability(&self) -> Option<Probability> {
        let frame = self.frame.as_ref()?;
        frame.probabilities.of(&self.key.label)
    }

    pub fn is_taught(&self) -> bool {
        self.taught.contains(&self.key.label)
    }

    /// The most probable other label. With `sigmoid`, and for what was taught, labels do not compete, and
    /// there is none.
    pub fn rival(&self) -> Option<(&LabelId, Probability)> {
        let competes = self.score == ScoreKind::Softmax && !self.is_taught() && !self.is_blank;
        let frame = self.frame.as_ref().filter(|_| competes)?;
        let others = frame.probabilities.iter();
        let others =
            others.filter(|(label, _)| **label != self.key.label && !self.taught.contains(label));
        others.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// What decides, in one sentence.
    pub fn sentence(&self) -> String {
        let state = if self.is_on() { "on" } else { "off" };
        let shadow = self.standing.as_ref().is_some_and(|standing| standing.shadow);
        let shadow = if shadow { " (a shadow label: nobody is told)" } else { "" };
        let Some(standing) = &self.standing else {
            return "background: without a threshold it takes probability and never fires"
                .to_owned();
        };
        let mut reason = self.reason(standing);
        let unchanged = self.frame.as_ref().map_or(0, |frame| frame.unchanged);
        let of_a_frame = !matches!(
            self.verdict,
            Verdict::Disabled
                | Verdict::CameraAway
                | Verdict::ModelAway(_)
                | Verdict::NoFrame
                | Verdict::Inactive
        );
        if unchanged > 0 && of_a_frame {
            let frames = counted(u64::from(unchanged), "frame");
            reason.push_str(&format!(
                "; the last {frames} changed nothing and took the probabilities over"
            ));
        }
        format!("{state}{shadow}: {reason}")
    }

    fn reason(&self, standing: &Standing) -> String {
        match &self.verdict {
            Verdict::On => self.stay(standing),
            Verdict::Background => "it has no threshold".to_owned(),
            Verdict::Disabled => "it is switched off, or its watch or camera is".to_owned(),
            Verdict::CameraAway => match &self.camera {
                Some(camera) => {
                    let reason =
                        if camera.reason.is_empty() { "no reason" } else { &camera.reason };
                    format!("the camera is {}: {reason}", camera.state.word())
                }
                None => "the camera has not started".to_owned(),
            },
            Verdict::ModelAway(reason) => format!("the model's device is gone: {reason}"),
            Verdict::NoFrame => "no frame of the camera has been analysed yet".to_owned(),
            Verdict::Stale(limit) => {
                let age = Short(self.frame.as_ref().map_or(Duration::ZERO, |frame| frame.age));
                format!("the last frame is {age} old, and says nothing after {}", Short(*limit))
            }
            Verdict::Inactive => match standing.schedule.and_then(|shift| shift.until) {
                Some(until) => {
                    format!("outside its schedule for another {}", Short(self.until(until)))
                }
                None => "outside its schedule".to_owned(),
            },
            Verdict::OtherView(reason) => {
                format!("the label was taught another view than the camera shows now: {reason}")
            }
            Verdict::BelowThreshold => {
                if self.is_blank {
                    return "it has no prompts, and was not taught yet (seewhen teach, or the page)"
                        .to_owned();
                }
                let p = self.probability().unwrap_or_default();
                let (shown, threshold) = figures(p, standing.threshold);
                format!(
                    "probability {shown} of the last frame is under the threshold {threshold}{}",
                    self.against(p)
                )
            }
            Verdict::Anew => {
                "its rule, its schedule, its camera or the model changed since the last frame; the \
                 next one counts"
                    .to_owned()
            }
            Verdict::TooFewFrames => format!(
                "{} of the last {} frames reached the threshold {:.2}; {} are needed",
                standing.agree,
                standing.consensus.of(),
                standing.threshold,
                standing.consensus.needed()
            ),
            Verdict::Cooling | Verdict::Holding | Verdict::Due => self.waiting(standing),
        }
    }

    fn stay(&self, standing: &Standing) -> String {
        let Some(open) = &standing.open else { return "an event is open".to_owned() };
        let (p, clear) = figures(self.probability().unwrap_or_default(), standing.clear);
        let (top, since) = (open.top_probability, Short(self.ago(open.since)));
        format!(
            "probability {p} of the last frame has not fallen below the clear {clear}, at most \
             {top:.2} since {since} ago"
        )
    }

    /// What a label at its threshold waits for.
    fn waiting(&self, standing: &Standing) -> String {
        let (p, threshold) = figures(self.probability().unwrap_or_default(), standing.threshold);
        let what = match self.verdict {
            Verdict::Cooling => format!(
                "and {} of the cooldown of {} are left",
                Short(standing.cooldown_left),
                Short(standing.cooldown)
            ),
            Verdict::Holding => format!(
                "for {} so far, and the hold is {}",
                Short(standing.held),
                Short(standing.hold)
            ),
            _ => "and a next frame like it starts an event".to_owned(),
        };
        format!("probability {p} of the last frame is at the threshold {threshold}, {what}")
    }

    /// What the label lost to, or came before.
    fn against(&self, probability: Probability) -> String {
        match self.rival() {
            Some((rival, p)) if p > probability => format!("; it lost to '{rival}' {p:.2}"),
            Some((rival, p)) => format!("; next to it is '{rival}' {p:.2}"),
            None => String::new(),
        }
    }

    fn ago(&self, time: WallTime) -> Duration {
        Duration::try_from_secs_f64(self.now.0 - time.0).unwrap_or_default()
    }

    fn until(&self, time: WallTime) -> Duration {
        Duration::try_from_secs_f64(time.0 - self.now.0).unwrap_or_default()
    }
}

/// A probability and its bound with as many digits as it takes to tell them apart, two or more.
fn figures(probability: Probability, bound: Probability) -> (String, String) {
    let shown = |digits: usize| (format!("{probability:.digits$}"), format!("{bound:.digits$}"));
    let clear = |digits: &usize| {
        let (p, b) = shown(*digits);
        (p != b || probability == bound) && b.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
    };
    shown((2..6).find(clear).unwrap_or(6))
}

/// `1 frame`, `2 frames`.
fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A time as people read it: tenths of a second below ten seconds, whole seconds above.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(10) {
            return write!(f, "{:.1}s", self.0.as_secs_f64());
        }
        write!(f, "{}", humantime::format_duration(Duration::from_secs(self.0.as_secs())))
    }
}

/// Why there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error("there is no camera {0:?}; there are {1}")]
    Camera(String, String),
    #[error("no watch {0:?} looks at this camera; there are {1}")]
    Watch(String, String),
    #[error("the watch has no label {0:?}; it has {1}")]
    Label(String, String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_tell_probabilities_apart() {
        let figures = |p, bound| figures(p, bound);
        let text = |p: &str, bound: &str| (p.to_owned(), bound.to_owned());
        assert_eq!(figures(0.41, 0.6), text("0.41", "0.60"));
        assert_eq!(figures(0.6, 0.6), text("0.60", "0.60"));
        assert_eq!(figures(0.998_9, 0.999), text("0.9989", "0.9990"));
        assert_eq!(figures(0.5, 0.000_1), text("0.5000", "0.0001"));
    }

    #[test]
    fn times_are_short() {
        let short = |milliseconds| Short(Duration::from_millis(milliseconds)).to_string();
        assert_eq!([short(0), short(9940), short(75_900)], ["0.0s", "9.9s", "1m 15s"]);
    }
}
