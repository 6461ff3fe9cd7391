//! Words that somebody tries out on the page: to embeddings, with a text model of its own.
//!
//! The model stays loaded while it is in use, for people try one word after the other, and goes when nobody
//! has asked for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ndarray::Axis;

use crate::clip::advice::{parallel, prompt_advice};
use crate::clip::cache::PromptEmbedder;
use crate::clip::prompts::{label_embedding, matrix};
use crate::daemon::model::Model;
use crate::model::{Embedding, LabelId, WatchId};
use crate::status::Status;
use crate::status::board::Words;
use crate::watch::{Label, Taught, TaughtGroup, Watch, WatchSet};
use crate::web::{Compiled, Trial, Trouble};

/// The text model is let go of after this.
const IDLE: Duration = Duration::from_secs(120);
const MOST_LABELS: usize = 32;
const MOST_PROMPTS: usize = 32;
const LONGEST: usize = 500;

/// See the module.
pub(super) struct Tryout {
    model: Arc<Model>,
    status: Arc<Status>,
    /// Held while words are made embeddings of: one asker after the other.
    embedder: Mutex<Option<(PromptEmbedder, Instant)>>,
}

impl Tryout {
    pub(super) fn new(model: Arc<Model>, status: Arc<Status>) -> Self {
        Self { model, status, embedder: Mutex::new(None) }
    }

    /// The watches in force.
    pub(super) fn set(&self) -> Result<Arc<WatchSet>, Trouble> {
        let set = self.status.board().set();
        set.ok_or_else(|| Trouble::Busy("seewhen is starting".to_owned()))
    }

    pub(super) fn tidy(&self) {
        // Somebody who is at it keeps it.
        let Ok(mut embedder) = self.embedder.try_lock() else { return };
        if embedder.as_ref().is_some_and(|(_, used)| used.elapsed() > IDLE) {
            *embedder = None;
        }
    }

    /// One embedding for each text, each in these templates.
    pub(super) fn embed(
        &self,
        templates: &[String],
        texts: &[Vec<String>],
    ) -> Result<Vec<Embedding>, Trouble> {
        let mut held = self.embedder.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut embedder, _) =
            held.take().unwrap_or_else(|| (self.model.trying_embedder(), Instant::now()));
        let made: Result<Vec<Embedding>, _> = texts
            .iter()
            .map(|prompts| label_embedding(templates, prompts, &mut embedder))
            .collect();
        *held = Some((embedder, Instant::now()));
        made.map_err(|error| Trouble::Failed(error.to_string()))
    }

    /// Waits for the text model.
    ///
    /// # Errors
    /// For words that cannot be meant, and a watch that is not known.
    pub(super) fn compile(&self, trial: &Trial) -> Result<Compiled, Trouble> {
        let (board, set) = (self.status.board(), self.set()?);
        let beside = trial.watch.as_ref().map(|id| watch(&set, id)).transpose()?;
        let (scale, bias, model) = (set.logit_scale, set.logit_bias, set.model.clone());
        if let Some(watch) = beside.and_then(|watch| own(watch, &board.words(&watch.id), trial)) {
            return Ok(Compiled { watch, scale, bias, model, advice: Vec::new() });
        }
        check(trial)?;
        let templates = match (&trial.templates, &trial.watch) {
            (Some(templates), _) => templates.clone(),
            (None, Some(watch)) => board.words(watch).templates,
            (None, None) => vec!["{}".to_owned()],
        };
        let texts: Vec<Vec<String>> = trial.labels.iter().map(|(_, texts)| texts.clone()).collect();
        let mut rows = self.embed(&templates, &texts)?;
        let mut names: Vec<String> = trial.labels.iter().map(|(name, _)| name.clone()).collect();
        // Labels without prompts cannot compete.
        let worded = |watch: &&Watch| {
            let rows = watch.labels.iter().zip(watch.matrix.rows()).enumerate();
            let rows = rows.filter(|(place, _)| !watch.taught.unworded.contains(place));
            rows.map(|(_, (label, row))| (label.id.clone(), row.to_vec())).collect::<Vec<_>>()
        };
        for (label, row) in beside.iter().flat_map(worded) {
            if !names.iter().any(|name| *name == label.as_str()) {
                names.push(label.to_string());
                rows.push(Embedding(row));
            }
        }
        let advice = self.advice(&templates, &texts, &names, &rows);
        let matrix = matrix(&rows)
            .ok_or_else(|| Trouble::Failed("embeddings of different lengths".to_owned()))?;
        let label = |name: &String| Label { id: LabelId::of_prompt(name), rule: None };
        let watch = Watch {
            id: WatchId::try_new("trial").map_err(|error| Trouble::Failed(error.to_string()))?,
            cameras: Vec::new(),
            labels: names.iter().map(label).collect(),
            score: trial.score.or(beside.map(|watch| watch.score)).unwrap_or_default(),
            matrix,
            taught: Taught::default(),
            publish_every: Duration::ZERO,
            enabled: true,
        };
        Ok(Compiled { watch, scale, bias, model, advice })
    }

    fn advice(
        &self,
        templates: &[String],
        texts: &[Vec<String>],
        names: &[String],
        rows: &[Embedding],
    ) -> Vec<String> {
        // Without it nothing is known of a text's length.
        let tokenizer = self.model.tokenizer().ok();
        let truncated = |text: &str| {
            let tokens = tokenizer.as_ref().and_then(|tokenizer| tokenizer.encode(text).ok());
            tokens.is_some_and(|tokens| tokens.truncated)
        };
        let of_prompt = |prompt: &String| prompt_advice(templates, prompt, &truncated);
        let mut advice: Vec<String> = texts.iter().flatten().flat_map(of_prompt).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        advice.extend(parallel(&names, rows));
        advice
    }
}

fn watch<'a>(set: &'a WatchSet, id: &WatchId) -> Result<&'a Watch, Trouble> {
    let found = set.watches.iter().find(|watch| watch.id == *id);
    found.ok_or_else(|| {
        let known: Vec<&str> = set.watches.iter().map(|watch| watch.id.as_str()).collect();
        Trouble::Bad(format!("there is no watch {id}; there are {}", known.join(", ")))
    })
}

/// The watch as it is, with what its labels were taught, where the words are those of its own labels and no
/// others: those labels come first.
fn own(watch: &Watch, words: &Words, trial: &Trial) -> Option<Watch> {
    if trial.labels.is_empty() || trial.templates.is_some() || trial.score.is_some() {
        return None;
    }
    let place = |(name, prompts): &(String, Vec<String>)| {
        let place = watch.labels.iter().position(|label| label.id.as_str() == name)?;
        (words.prompts.get(&watch.labels[place].id)? == prompts).then_some(place)
    };
    let first: Vec<usize> = trial.labels.iter().map(place).collect::<Option<_>>()?;
    if (1..first.len()).any(|index| first[..index].contains(&first[index])) {
        return None;
    }
    let rest = (0..watch.labels.len()).filter(|place| !first.contains(place));
    let order: Vec<usize> = first.iter().copied().chain(rest).collect();
    let moved = |old: &usize| order.iter().position(|place| place == old).unwrap_or(*old);
    let group = |group: &TaughtGroup| TaughtGroup {
        labels: group.labels.iter().map(moved).collect(),
        ..group.clone()
    };
    Some(Watch {
        labels: order.iter().map(|place| watch.labels[*place].clone()).collect(),
        matrix: watch.matrix.select(Axis(0), &order),
        taught: Taught {
            unworded: watch.taught.unworded.iter().map(moved).collect(),
            groups: watch.taught.groups.iter().map(group).collect(),
        },
        ..watch.clone()
    })
}

fn check(trial: &Trial) -> Result<(), Trouble> {
    let bad = |reason: String| Err(Trouble::Bad(reason));
    if !(1..=MOST_LABELS).contains(&trial.labels.len()) {
        return bad(format!("labels: give 1 to {MOST_LABELS}"));
    }
    for (index, (name, prompts)) in trial.labels.iter().enumerate() {
        if name.is_empty() || name.len() > LONGEST {
            return bad(format!("labels[{index}].label: give 1 to {LONGEST} bytes"));
        }
        if trial.labels[..index].iter().any(|(other, _)| other == name) {
            return bad(format!("labels[{index}].label: {name:?} is given twice"));
        }
        if !(1..=MOST_PROMPTS).contains(&prompts.len()) {
            return bad(format!("labels[{index}].prompts: give 1 to {MOST_PROMPTS}"));
        }
        if prompts.iter().any(|text| text.trim().is_empty() || text.len() > LONGEST) {
            return bad(format!("labels[{index}].prompts: each has 1 to {LONGEST} bytes"));
        }
    }
    let template = |text: &String| text.matches("{}").count() == 1 && text.len() <= LONGEST;
    match &trial.templates {
        Some(templates) if templates.is_empty() || templates.len() > MOST_PROMPTS => {
            bad(format!("templates: give 1 to {MOST_PROMPTS}, or leave them out"))
        }
        Some(templates) if !templates.iter().all(template) => {
            bad(format!("templates: each has {{}} once, and at most {LONGEST} bytes"))
        }
        _ => Ok(()),
    }
}
