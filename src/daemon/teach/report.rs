//! How a label fares that was taught: what it goes by, how good that is, and what to mark next.

use serde::Serialize;

use super::super::course;
use super::super::model::Model;
use super::{Finder, normalised, pupil};
use crate::clip::scoring::Scorer;
use crate::config::Config;
use crate::embeddings::Filter;
use crate::model::{Embedding, LabelKey, Probability};
use crate::taught::honest::{FEWEST, Honest, leave_events_out};
use crate::taught::useful::{Candidate, choose, doubt};
use crate::taught::{Example, Lesson};
use crate::watch::WatchSet;

/// Frames that are suggested.
const SUGGESTED: usize = 6;
/// Doubtful frames that are compared with each other.
const DOUBTFUL: usize = 200;
/// Frames of the past that are looked at: the newest so many seconds.
const RECENT: f64 = 7.0 * 86_400.0;
/// Suggested frames are so far apart, seconds.
const APART: f64 = 2.0;

/// See the module. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Examples that count.
    pub yes: usize,
    pub no: usize,
    pub bundle: String,
    pub score: Score,
    /// Pairs that look the same and say the opposite; the first few.
    pub contradictions: Vec<[Mark; 2]>,
    /// How many say nothing that another one does not say.
    pub copies: usize,
    /// What to mark next, the most useful first.
    pub next: Vec<Doubt>,
}

/// What the label says of events that it was not taught.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// False: too few events of a kind to tell anything.
    pub enough: bool,
    /// How many it takes, of each kind.
    pub fewest: usize,
    pub yes_events: usize,
    pub no_events: usize,
    pub found: usize,
    pub wrong: usize,
    /// Seen, and the bounds of 95 % confidence.
    pub precision: [Option<f64>; 3],
    pub recall: [Option<f64>; 3],
}

/// An example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    pub source: String,
    pub time: f64,
    pub yes: bool,
}

/// A frame that the label is in doubt of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Doubt {
    pub time: f64,
    pub probability: Probability,
    /// A small picture of it was kept.
    pub picture: bool,
}

/// Looks at a label's lesson, and at the newest week of the camera's history.
///
/// # Errors
/// When there is no such label, nothing was taught, or the history cannot be read.
pub fn report(
    config: &Config,
    model: &Model,
    set: &WatchSet,
    key: &LabelKey,
) -> anyhow::Result<Report> {
    let pupil = pupil(config, &key.watch, &key.label)?;
    let lesson = pupil.shelf.read(&key.watch, &key.label)?.unwrap_or_else(|| {
        let bundle = model.bundle();
        Lesson::new(key.watch.clone(), key.label.clone(), bundle.name(), bundle.digest())
    });
    lesson.of_bundle(model.bundle().name(), model.bundle().digest())?;
    let threshold = pupil.label.rule.as_ref().map_or(0.5, |rule| rule.threshold);
    let finder = Finder::new(config, model, set, key);
    let next = match &finder {
        Ok(finder) => finder.doubts(&lesson, threshold)?,
        // Without a history there is nothing to suggest.
        Err(error) => {
            tracing::debug!("no suggestions: {error:#}");
            Vec::new()
        }
    };
    let watch = super::watch_of(set, key)?;
    let scorer = Scorer::of(set, watch, &key.camera);
    let place = super::place_of(watch, &key.label)?;
    let odds = |example: &Example| {
        scorer.odds(place, &[&example.embedding]).first().copied().unwrap_or_default()
    };
    let (yes, no) = lesson.counts();
    let (contradictions, copies) = lesson.alike();
    let mark = |example: &Example| Mark {
        source: example.source.to_string(),
        time: example.time,
        yes: example.yes,
    };
    Ok(Report {
        yes,
        no,
        bundle: lesson.bundle.clone(),
        score: score(&leave_events_out(&lesson, odds, threshold)),
        contradictions: contradictions
            .into_iter()
            .take(SUGGESTED)
            .map(|(a, b)| [mark(a), mark(b)])
            .collect(),
        copies,
        next,
    })
}

fn score(honest: &Honest) -> Score {
    let bounds = |b: &crate::tune::bounds::Bounded| [b.seen, Some(b.low), Some(b.high)];
    Score {
        enough: honest.is_enough(),
        fewest: FEWEST,
        yes_events: honest.yes,
        no_events: honest.no,
        found: honest.found,
        wrong: honest.wrong,
        precision: bounds(&honest.precision),
        recall: bounds(&honest.recall),
    }
}

impl Finder<'_> {
    /// The frames of the newest week that are most worth to be marked.
    fn doubts(&self, lesson: &Lesson, threshold: Probability) -> anyhow::Result<Vec<Doubt>> {
        let extent = self.history.cameras().get(&self.key.camera).cloned();
        let Some(extent) = extent else { return Ok(Vec::new()) };
        let filter = self.filter(extent.to.0 - RECENT, f64::INFINITY);
        let found = self.doubtful(&filter, threshold)?;
        let mut candidates = Vec::new();
        for (time, probability) in found {
            let filter = self.filter(time, time);
            for place in self.history.places(&filter)?.into_iter().take(1) {
                if let Some(embedding) = self.history.embedding(&place)? {
                    let embedding = normalised(embedding);
                    candidates.push((
                        Candidate { probability, embedding },
                        time,
                        place.has_picture(),
                    ));
                }
            }
        }
        let (candidates, about): (Vec<Candidate>, Vec<(f64, bool)>) =
            candidates.into_iter().map(|(one, time, picture)| (one, (time, picture))).unzip();
        let known: Vec<&Embedding> = lesson.counting().map(|example| &example.embedding).collect();
        let chosen = choose(&candidates, &known, threshold, SUGGESTED);
        let doubt = |index: usize| Doubt {
            time: about[index].0,
            probability: candidates[index].probability,
            picture: about[index].1,
        };
        Ok(chosen.into_iter().map(doubt).collect())
    }

    /// The most doubtful frames, apart from each other, with their probabilities.
    fn doubtful(
        &self,
        filter: &Filter,
        threshold: Probability,
    ) -> anyhow::Result<Vec<(f64, Probability)>> {
        let mut kept: Vec<(f32, f64, Probability)> = Vec::new();
        course::scores(&self.history, self.scorer, filter, |frame, probabilities| {
            let Some(probability) = probabilities.get(self.place) else { return };
            let (time, worth) = (frame.time.0, doubt(*probability, threshold));
            match kept.last_mut() {
                Some(last) if (time - last.1).abs() < APART => {
                    if worth > last.0 {
                        *last = (worth, time, *probability);
                    }
                }
                _ => kept.push((worth, time, *probability)),
            }
        })?;
        kept.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(kept.into_iter().take(DOUBTFUL).map(|(_, time, p)| (time, p)).collect())
    }
}
