//! What may be asked of a running seewhen, whoever carries the words: MQTT, and anything else. Pure.
//!
//! [`parse`] turns bytes into a [`Request`], [`plan`] a request into changes of the configuration, and
//! [`intake`] keeps floods away. Field names are those of the configuration.

pub mod intake;
pub mod parse;
pub mod plan;

use toml::Value;

use crate::model::{CameraId, LabelId, LabelKey, WatchId};
use crate::watch::explanation::Explanation;

/// The largest command, bytes.
pub const MOST: usize = 16 * 1024;

/// One command.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub tag: Tag,
    pub command: Command,
    /// Whether what it changes is to be kept over a restart; `None`: as configured.
    pub persist: Option<bool>,
}

/// By what whoever asked knows the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tag {
    /// As it was given.
    pub id: Option<String>,
    /// Where the command came in, when not where all do.
    pub topic: Option<String>,
    /// The command's word, where there was one that is known.
    pub command: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Switches on or off.
    Enable(Target, bool),
    SetThreshold(WatchId, LabelId, f64),
    /// With the keys of `[[watch.label]]`.
    AddLabel(WatchId, LabelId, Vec<(String, Value)>),
    /// `None` takes back what commands have set: the files hold again.
    ChangeLabel(WatchId, LabelId, Vec<(String, Option<Value>)>),
    RemoveLabel(WatchId, LabelId),
    /// A picture of the newest frame.
    Snapshot(CameraId),
    /// What the camera shows from now on is its usual view.
    LearnView(CameraId),
    /// Why a label is on, or not.
    Explain(LabelKey),
    /// Frames that show a label, and frames that do not.
    Teach {
        key: LabelKey,
        yes: Vec<When>,
        no: Vec<When>,
    },
    /// Takes the last act of teaching a label back.
    UndoTeach(WatchId, LabelId),
}

/// Which frames of the past.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// Unix seconds; the same twice is the frame next to it.
    Span(f64, f64),
    /// As people write it: `embeddings::when`, or `last event`.
    Text(String),
}

/// What can be switched.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Camera(CameraId),
    Watch(WatchId),
    Label(WatchId, LabelId),
}

/// What became of a command, for whoever counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It was understood, and is not possible.
    Refused,
    /// It was not understood.
    Malformed,
    TooLarge,
    /// The broker keeps it, so that it would be carried out again at every start.
    Retained,
    /// Too many came in too short a time.
    Flooding,
}

impl Outcome {
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Refused,
        Self::Malformed,
        Self::TooLarge,
        Self::Retained,
        Self::Flooding,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Retained => "retained",
            Self::Flooding => "flooding",
        }
    }
}

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub outcome: Outcome,
    pub reason: String,
}

/// What a command has done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Done {
    /// It will be so after a restart; `None`: nothing was changed.
    pub persisted: Option<bool>,
    /// What should be known besides.
    pub notes: Vec<String>,
    /// What was asked for.
    pub explanation: Option<Box<Explanation>>,
    /// How many frames a label goes by since.
    pub taught: Option<Box<TaughtCounts>>,
}

/// Examples of a label that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaughtCounts {
    /// Those that this command has brought: what `undo_teach` would take back.
    pub added: u32,
    pub yes: u32,
    pub no: u32,
}

/// To the one who asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub tag: Tag,
    pub result: Result<Done, Refusal>,
}

impl Answer {
    pub fn refuse(tag: Tag, outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { tag, result: Err(Refusal { outcome, reason: reason.into() }) }
    }

    pub fn outcome(&self) -> Outcome {
        self.result.as_ref().map_or_else(|refusal| refusal.outcome, |_| Outcome::Done)
    }
}

/// A text of somebody else's, short enough to be shown.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
