//! Taught labels: frames that somebody has said something about, and what a label learns from them.
//!
//! [`Lesson`] holds the examples of one label: it takes new ones, finds contradictions among them and
//! takes the last ones back. [`file`](mod@file) is how a lesson is kept, [`fit`](mod@fit) what is learnt
//! from it, [`honest`] how good that is, [`useful`] which frames are worth to be marked next. Pure, less
//! [`shelf`], which has the files.

pub mod file;
pub mod fit;
pub mod honest;
mod linear;
pub mod shelf;
pub mod useful;

use std::fmt;

use crate::clip::scoring::{cosine, cosines, matrix};
use crate::model::{CameraId, Embedding, LabelId, WatchId};

/// Most examples that count, of one label.
pub const MOST: usize = 2_000;
/// From this cosine on two frames are the same picture: a still camera's noise stays above.
pub const COPY: f32 = 0.999;
/// So many examples against what was taught before are a mistake rather than a change of mind, where they
/// are more than half of what is given.
const MANY: usize = 10;
/// Frames of one source within this time, seconds, are of one event.
const EVENT_GAP: f64 = 30.0;

/// Whose frame it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    Camera(CameraId),
    /// The name of a file of footage; times are seconds into it.
    File(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(camera) => write!(f, "{camera}"),
            Self::File(name) => write!(f, "{name}"),
        }
    }
}

/// One frame, or one tile of it, of which somebody has said whether it shows the label.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub yes: bool,
    pub source: Source,
    /// Unix seconds, or seconds into a file.
    pub time: f64,
    /// Which tile of its frame; 0 for a frame that was not cut.
    pub tile: u8,
    /// Of unit length.
    pub embedding: Embedding,
    /// A small JPEG, where pictures are kept.
    pub picture: Option<Vec<u8>>,
    /// The act of teaching that brought it.
    pub act: u64,
    /// The act that took its place; it does not count any more.
    pub replaced: Option<u64>,
}

impl Example {
    fn is_same_frame(&self, other: &Self) -> bool {
        self.source == other.source
            && self.tile == other.tile
            && (self.time - other.time).abs() < 0.001
    }

    fn is_copy(&self, other: &Self) -> bool {
        let (a, b) = (&self.embedding, &other.embedding);
        a.0.len() == b.0.len() && cosine(a, b) >= COPY
    }
}

/// All that one label was taught.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    pub watch: WatchId,
    pub label: LabelId,
    /// The bundle's name, for people, and its digest: embeddings of different models cannot be compared.
    pub bundle: String,
    pub digest: String,
    /// Oldest acts first, those that were replaced among them.
    pub examples: Vec<Example>,
    /// Acts of teaching so far.
    pub acts: u64,
    /// The mean of what each source usually shows.
    pub usual: Vec<(Source, Embedding)>,
}

/// What an act of teaching has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    pub added: usize,
    /// They were known already.
    pub known: usize,
    /// Earlier examples of the same frames that said the opposite, and do not count any more.
    pub replaced: usize,
    /// New ones that look like a frame that was taught as the opposite.
    pub against: usize,
}

/// Why nothing was taught.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is nothing to teach: no frame is given")]
    Nothing,
    #[error(
        "the examples are of bundle {found} (digest {}…), and the label's are of {bundle} (digest {}…): \
         embeddings of two models cannot be compared. To begin anew with the one that runs, take what was taught \
         away: seewhen teach … --forget",
        short(found_digest),
        short(digest)
    )]
    OtherBundle { found: String, found_digest: String, bundle: String, digest: String },
    #[error("{0} of the frames are given as yes and as no; nothing was taught")]
    Both(usize),
    #[error(
        "{against} of {all} examples look like frames that were taught as the opposite; nothing was taught. \
         Is yes mixed up with no? Take the earlier ones back first (--undo) if they were wrong"
    )]
    Against { against: usize, all: usize },
    #[error(
        "a label without prompts learns from both: give frames that show it and frames that do not ({} is missing)",
        if *.yes_missing { "yes" } else { "no" }
    )]
    OneKind { yes_missing: bool },
    #[error("{0} examples; a label learns from at most {MOST}. Give fewer, or take some back")]
    TooMany(usize),
    #[error("there is no act of teaching to take back")]
    NoAct,
    #[error("an example has no embedding of {0} finite values of unit length")]
    NoEmbedding(usize),
}

fn short(digest: &str) -> &str {
    digest.get(..16).unwrap_or(digest)
}

impl Lesson {
    pub fn new(watch: WatchId, label: LabelId, bundle: &str, digest: &str) -> Self {
        let (bundle, digest) = (bundle.to_owned(), digest.to_owned());
        Self { watch, label, bundle, digest, examples: Vec::new(), acts: 0, usual: Vec::new() }
    }

    /// The examples that count.
    pub fn counting(&self) -> impl Iterator<Item = &Example> {
        self.examples.iter().filter(|example| example.replaced.is_none())
    }

    /// How many count as yes and as no.
    pub fn counts(&self) -> (usize, usize) {
        let yes = self.counting().filter(|example| example.yes).count();
        (yes, self.counting().count() - yes)
    }

    /// Takes examples in, as one act. `worded`: the label has prompts. After an error nothing is changed.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn teach(&mut self, new: Vec<Example>, worded: bool) -> Result<Change, Refused> {
        if new.is_empty() {
            return Err(Refused::Nothing);
        }
        let dim = self.examples.first().or(new.first()).map_or(0, |one| one.embedding.0.len());
        if new.iter().any(|example| !is_unit(&example.embedding, dim)) {
            return Err(Refused::NoEmbedding(dim));
        }
        let both = |a: &&Example| new.iter().any(|b| a.yes && !b.yes && a.is_same_frame(b));
        let both = new.iter().filter(both).count();
        if both > 0 {
            return Err(Refused::Both(both));
        }
        let against = self.against(&new);
        if against >= MANY && against * 2 > new.len() {
            return Err(Refused::Against { against, all: new.len() });
        }
        let mut next = self.clone();
        let change = next.take(new, against);
        let (yes, no) = next.counts();
        if !worded && (yes == 0 || no == 0) {
            return Err(Refused::OneKind { yes_missing: yes == 0 });
        }
        if yes + no > MOST {
            return Err(Refused::TooMany(yes + no));
        }
        *self = next;
        Ok(change)
    }

    /// How many of `new` look like the opposite: of what is known, the same frames left out (those are
    /// corrected), or of each other.
    fn against(&self, new: &[Example]) -> usize {
        let known: Vec<&Example> = self.counting().chain(new).collect();
        let rows: Vec<Embedding> = known.iter().map(|one| one.embedding.clone()).collect();
        let Some(rows) = matrix(&rows) else { return 0 };
        let embeddings: Vec<&Embedding> = new.iter().map(|one| &one.embedding).collect();
        let cosines = cosines(&embeddings, rows.view());
        let is_against = |(one, cosines): &(&Example, Vec<f32>)| {
            let mut pairs = known.iter().zip(cosines);
            pairs.any(|(k, cosine)| *cosine >= COPY && k.yes != one.yes && !k.is_same_frame(one))
        };
        new.iter().zip(cosines).filter(is_against).count()
    }

    /// Pairs of counting examples that look the same and say the opposite, and how many say nothing that an
    /// earlier one does not say.
    pub fn alike(&self) -> (Vec<(&Example, &Example)>, usize) {
        let all: Vec<&Example> = self.counting().collect();
        let (mut contradictions, mut copies) = (Vec::new(), 0);
        for (index, one) in all.iter().enumerate() {
            let mut is_copy = false;
            for other in all[..index].iter().filter(|other| one.is_copy(other)) {
                if one.yes == other.yes {
                    is_copy = true;
                } else {
                    contradictions.push((*other, *one));
                }
            }
            copies += usize::from(is_copy);
        }
        (contradictions, copies)
    }

    fn take(&mut self, new: Vec<Example>, against: usize) -> Change {
        let act = self.acts + 1;
        let mut change = Change { against, ..Change::default() };
        for example in new {
            let known = self
                .examples
                .iter_mut()
                .find(|known| known.replaced.is_none() && known.is_same_frame(&example));
            match known {
                Some(known) if known.yes == example.yes => {
                    change.known += 1;
                    continue;
                }
                Some(known) => {
                    known.replaced = Some(act);
                    change.replaced += 1;
                }
                None => {}
            }
            change.added += 1;
            self.examples.push(Example { act, replaced: None, ..example });
        }
        if change.added > 0 {
            self.acts = act;
        }
        change
    }

    /// Takes the last act back; what it replaced counts again. Gives how many examples went.
    ///
    /// # Errors
    /// When there is none.
    pub fn undo(&mut self) -> Result<usize, Refused> {
        let last = self.examples.iter().map(|example| example.act).max().ok_or(Refused::NoAct)?;
        let before = self.examples.len();
        self.examples.retain(|example| example.act != last);
        for example in &mut self.examples {
            if example.replaced == Some(last) {
                example.replaced = None;
            }
        }
        Ok(before - self.examples.len())
    }

    /// The counting examples by event: of one source and kind, close in time. Frames beside each other are
    /// copies, so only whole events tell how good the label is.
    pub fn events(&self) -> Vec<Vec<&Example>> {
        let mut all: Vec<&Example> = self.counting().collect();
        all.sort_by(|a, b| {
            (&a.source, a.yes).cmp(&(&b.source, b.yes)).then(a.time.total_cmp(&b.time))
        });
        let mut events: Vec<Vec<&Example>> = Vec::new();
        for example in all {
            match events.last_mut() {
                Some(event) if event.last().is_some_and(|last| is_one_event(last, example)) => {
                    event.push(example);
                }
                _ => events.push(vec![example]),
            }
        }
        events
    }

    /// What a camera usually shows: its own view, or else the mean of all that are known.
    pub fn usual_of(&self, source: Option<&Source>) -> Option<Embedding> {
        let own = self.usual.iter().find(|(known, _)| Some(known) == source);
        if let Some((_, own)) = own {
            return Some(own.clone());
        }
        mean(self.usual.iter().map(|(_, embedding)| embedding))
    }

    /// Takes over what a source usually shows.
    pub fn note_usual(&mut self, source: &Source, usual: Embedding) {
        self.usual.retain(|(known, _)| known != source);
        self.usual.push((source.clone(), usual));
    }

    /// Whether its examples can be compared with what this bundle makes.
    ///
    /// # Errors
    /// When they cannot.
    pub fn of_bundle(&self, found: &str, digest: &str) -> Result<(), Refused> {
        if self.digest == digest {
            return Ok(());
        }
        let (bundle, own) = (self.bundle.clone(), self.digest.clone());
        let (found, found_digest) = (found.to_owned(), digest.to_owned());
        Err(Refused::OtherBundle { found, found_digest, bundle, digest: own })
    }
}

/// The mean of embeddings of one length, not normalised; `None` without any.
pub fn mean<'a>(embeddings: impl IntoIterator<Item = &'a Embedding>) -> Option<Embedding> {
    let (mut sum, mut count): (Vec<f32>, f32) = (Vec::new(), 0.0);
    for embedding in embeddings {
        sum.resize(embedding.0.len(), 0.0);
        sum.iter_mut().zip(&embedding.0).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    (count > 0.0).then(|| Embedding(sum.into_iter().map(|value| value / count).collect()))
}

fn is_one_event(last: &Example, next: &Example) -> bool {
    last.source == next.source && last.yes == next.yes && next.time - last.time <= EVENT_GAP
}

fn is_unit(embedding: &Embedding, dim: usize) -> bool {
    let square: f32 = embedding.0.iter().map(|value| value * value).sum();
    // Those of the history are of nearly unit length.
    dim > 0 && embedding.0.len() == dim && (0.9..1.1).contains(&square)
}

#[cfg(test)]
mod tests;
