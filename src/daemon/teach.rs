//! Teaching a label: from times to examples, out of the history of embeddings, and into its lesson.

pub mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use jiff::{Timestamp, ZonedDateTime};

use super::model::Model;
use super::{lessons, search};
use crate::clip::scoring::Scorer;
use crate::command::When;
use crate::config::{Config, LabelConfig, LabelScore};
use crate::embeddings::reader::{History, RowPlace};
use crate::embeddings::when::{self, show};
use crate::embeddings::{Filter, names};
use crate::model::{CameraId, Embedding, LabelId, LabelKey, WallTime, WatchId};
use crate::publish::history::{self, Wanted};
use crate::taught::shelf::Shelf;
use crate::taught::{Change, Example, Lesson, Source, mean};
use crate::watch::{Watch, WatchSet};

/// Most frames that a span gives: neighbours are copies of each other.
const MOST_OF_A_SPAN: usize = 50;
/// Rows that the usual view is made of.
const MOST_OF_A_DAY: usize = 500;
/// How far the frame of a moment may be from it, seconds.
const NEAR: f64 = 5.0;

/// What is to be taught.
#[derive(Debug, Clone, PartialEq)]
pub struct Teaching {
    pub key: LabelKey,
    pub yes: Vec<When>,
    pub no: Vec<When>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub change: Change,
    /// Frames that count now.
    pub yes: usize,
    pub no: usize,
}

/// A label that can be taught.
pub struct Pupil<'a> {
    pub label: &'a LabelConfig,
    pub shelf: Shelf,
}

/// Finds a label that can be taught.
///
/// # Errors
/// Why it cannot.
pub fn pupil<'a>(
    config: &'a Config,
    watch: &WatchId,
    label: &LabelId,
) -> anyhow::Result<Pupil<'a>> {
    let shelf = lessons::shelf(config).context(
        "nothing can be taught: taught.dir is empty, or neither STATE_DIRECTORY nor HOME is set",
    )?;
    let known = |ids: Vec<&str>| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
    let found = config.watches.iter().find(|known| known.id == *watch).ok_or_else(|| {
        let ids = config.watches.iter().map(|watch| watch.id.as_str()).collect();
        anyhow!("no watch \"{watch}\"; watches: {}", known(ids))
    })?;
    let found = found.labels.iter().find(|known| known.id == *label).ok_or_else(|| {
        let ids = found.labels.iter().map(|label| label.id.as_str()).collect();
        anyhow!("no label \"{label}\" in watch \"{watch}\"; labels: {}", known(ids))
    })?;
    if found.rule.is_none() {
        bail!("{watch}/{label} is background, which never fires; teach labels with a threshold");
    }
    if found.score == LabelScore::Prompts {
        bail!("{watch}/{label} has score = \"prompts\", so examples do not count; remove that key");
    }
    Ok(Pupil { label: found, shelf })
}

/// Teaches frames of the history. What holds is told by the lesson's file, not by this.
///
/// # Errors
/// When there is no such label, camera or frame, or the examples cannot be meant; then nothing is taught.
pub fn teach(
    config: &Config,
    model: &Model,
    set: &WatchSet,
    teaching: &Teaching,
) -> anyhow::Result<Told> {
    let LabelKey { camera, watch, label } = &teaching.key;
    let pupil = pupil(config, watch, label)?;
    let finder = Finder::new(config, model, set, &teaching.key)?;
    let mut examples = finder.all(&teaching.yes, true)?;
    examples.extend(finder.all(&teaching.no, false)?);
    tracing::debug!(%camera, examples = examples.len(), "examples out of the history");
    let usual = finder.usual()?.map(|usual| (Source::Camera(camera.clone()), usual));
    keep(&pupil, model, watch, label, Given { examples, usual: usual.into_iter().collect() })
}

/// Examples, and what their sources usually show.
pub struct Given {
    pub examples: Vec<Example>,
    pub usual: Vec<(Source, Embedding)>,
}

/// Puts examples into the lesson of a label.
///
/// # Errors
/// As [`teach`].
pub fn keep(
    pupil: &Pupil<'_>,
    model: &Model,
    watch: &WatchId,
    label: &LabelId,
    given: Given,
) -> anyhow::Result<Told> {
    let (bundle, worded) = (model.bundle(), !pupil.label.prompts.is_empty());
    let told = pupil.shelf.change(watch, label, |old| {
        let mut lesson = old.unwrap_or_else(|| {
            Lesson::new(watch.clone(), label.clone(), bundle.name(), bundle.digest())
        });
        lesson.of_bundle(bundle.name(), bundle.digest())?;
        let change = lesson.teach(given.examples, worded)?;
        for (source, usual) in given.usual {
            lesson.note_usual(&source, usual);
        }
        let (yes, no) = lesson.counts();
        Ok((Some(lesson), Told { change, yes, no }))
    })?;
    Ok(told)
}

/// Takes the last act of teaching back; gives how many examples went, and how many count now.
///
/// # Errors
/// When there is none.
pub fn undo(
    config: &Config,
    watch: &WatchId,
    label: &LabelId,
) -> anyhow::Result<(usize, (usize, usize))> {
    let pupil = pupil(config, watch, label)?;
    Ok(pupil.shelf.change(watch, label, |old| {
        let mut lesson = old.ok_or(crate::taught::Refused::NoAct)?;
        let went = lesson.undo()?;
        let counts = lesson.counts();
        Ok(((!lesson.examples.is_empty()).then_some(lesson), (went, counts)))
    })?)
}

fn watch_of<'a>(set: &'a WatchSet, key: &LabelKey) -> anyhow::Result<&'a Watch> {
    let looks = |watch: &&Watch| watch.id == key.watch && watch.cameras.contains(&key.camera);
    let found = set.watches.iter().find(looks);
    found.with_context(|| format!("watch {} does not look at camera {}", key.watch, key.camera))
}

fn place_of(watch: &Watch, label: &LabelId) -> anyhow::Result<usize> {
    let place = watch.labels.iter().position(|known| known.id == *label);
    place.with_context(|| format!("{}/{label} is not watched", watch.id))
}

/// Finds examples in the history of one camera.
struct Finder<'a> {
    history: History,
    key: &'a LabelKey,
    scorer: Scorer<'a>,
    place: usize,
    now: ZonedDateTime,
    events: Option<PathBuf>,
    pictures: bool,
}

impl<'a> Finder<'a> {
    fn new(
        config: &Config,
        model: &Model,
        set: &'a WatchSet,
        key: &'a LabelKey,
    ) -> anyhow::Result<Self> {
        let camera = std::slice::from_ref(&key.camera);
        let watch = watch_of(set, key)?;
        Ok(Self {
            history: search::open(config, model, camera)?,
            key,
            scorer: Scorer::of(set, watch, &key.camera),
            place: place_of(watch, &key.label)?,
            now: Timestamp::now().to_zoned_datetime(config.embeddings.zone.clone()),
            events: super::flow::history_file(config),
            pictures: config.embeddings.pictures,
        })
    }

    /// The mean of what the camera has seen in the newest day: some frames of it, evenly.
    fn usual(&self) -> anyhow::Result<Option<Embedding>> {
        let extent = self.history.cameras().get(&self.key.camera).cloned();
        let Some(extent) = extent else { return Ok(None) };
        let rows = self.history.places(&self.filter(extent.to.0 - names::DAY, f64::INFINITY))?;
        let mut embeddings = Vec::new();
        for row in rows.iter().step_by(rows.len().div_ceil(MOST_OF_A_DAY).max(1)) {
            embeddings.extend(self.history.embedding(row)?);
        }
        Ok(mean(&embeddings))
    }

    fn all(&self, times: &[When], yes: bool) -> anyhow::Result<Vec<Example>> {
        let mut examples: Vec<Example> = Vec::new();
        for when in times {
            for example in self.of(when, yes)? {
                let known = |one: &Example| one.time == example.time && one.tile == example.tile;
                if !examples.iter().any(known) {
                    examples.push(example);
                }
            }
        }
        Ok(examples)
    }

    fn of(&self, when: &When, yes: bool) -> anyhow::Result<Vec<Example>> {
        let (from, to) = match when {
            When::Span(from, to) => (WallTime(*from), WallTime(*to)),
            When::Text(text) if text.trim() == "last event" => self.last_event()?,
            When::Text(text) => when::span(text, &self.now).map_err(|error| anyhow!(error))?,
        };
        let frames = if from == to { self.nearest(from)? } else { self.within(from, to)? };
        let mut examples = Vec::new();
        for tiles in frames {
            examples.extend(self.examples(&tiles, yes)?);
        }
        Ok(examples)
    }

    fn filter(&self, from: f64, to: f64) -> Filter {
        let camera = self.key.camera.clone();
        Filter { cameras: vec![camera], from: WallTime(from), to: WallTime(to) }
    }

    /// The rows of the frame next to a moment.
    fn nearest(&self, moment: WallTime) -> anyhow::Result<Vec<Vec<RowPlace>>> {
        let frames = self.frames(moment.0 - NEAR, moment.0 + NEAR)?;
        let far = |frame: &[RowPlace]| {
            frame.first().map_or(f64::MAX, |row| (row.time.0 - moment.0).abs())
        };
        let found = frames.into_iter().min_by(|a, b| far(a).total_cmp(&far(b)));
        found.map(|frame| vec![frame]).ok_or_else(|| self.nothing(moment, moment))
    }

    /// Some of the frames of a span, evenly.
    fn within(&self, from: WallTime, to: WallTime) -> anyhow::Result<Vec<Vec<RowPlace>>> {
        let mut frames = self.frames(from.0, to.0)?;
        if frames.is_empty() {
            return Err(self.nothing(from, to));
        }
        let (all, few) = (frames.len(), frames.len().min(MOST_OF_A_SPAN));
        Ok((0..few).map(|index| std::mem::take(&mut frames[index * all / few])).collect())
    }

    /// Rows by frame.
    fn frames(&self, from: f64, to: f64) -> anyhow::Result<Vec<Vec<RowPlace>>> {
        let mut frames: BTreeMap<u64, Vec<RowPlace>> = BTreeMap::new();
        for row in self.history.places(&self.filter(from, to))? {
            // Unix times are positive, so their bits are in their order.
            frames.entry(row.time.0.to_bits()).or_default().push(row);
        }
        Ok(frames.into_values().collect())
    }

    fn nothing(&self, from: WallTime, to: WallTime) -> anyhow::Error {
        let (zone, camera) = (self.now.time_zone(), &self.key.camera);
        let when = match from == to {
            true => format!("within {NEAR} s of {}", show(from, zone)),
            false => format!("from {} to {}", show(from, zone), show(to, zone)),
        };
        let kept = self.history.cameras().get(camera).map(|extent| {
            format!(
                "; frames are kept from {} to {}",
                show(extent.from, zone),
                show(extent.to, zone)
            )
        });
        anyhow!("no frame of camera {camera} is kept {when}{}", kept.unwrap_or_default())
    }

    fn last_event(&self) -> anyhow::Result<(WallTime, WallTime)> {
        let LabelKey { camera, watch, label } = self.key;
        let file =
            self.events.as_ref().context("last event: history.dir is empty, so none is kept")?;
        let (camera, watch, label) =
            (Some(camera.clone()), Some(watch.clone()), Some(label.clone()));
        let wanted = Wanted { before: None, camera, watch, label, limit: 1 };
        let past = history::past(file, &wanted).map_err(|error| anyhow!(error))?;
        let event = past.events.first().context("last event: there was none of this label")?;
        // One that is open goes on.
        let now = WallTime(self.now.timestamp().as_millisecond() as f64 / 1000.0);
        Ok((event.start_time, event.end_time.unwrap_or(now)))
    }

    /// A frame's rows as examples: where it shows the label, the tile that shows it best; where it does not,
    /// none of them does.
    fn examples(&self, tiles: &[RowPlace], yes: bool) -> anyhow::Result<Vec<Example>> {
        let mut rows: Vec<(&RowPlace, Embedding)> = Vec::new();
        for row in tiles {
            rows.extend(self.history.embedding(row)?.map(|embedding| (row, normalised(embedding))));
        }
        if yes && rows.len() > 1 {
            let embeddings: Vec<&Embedding> = rows.iter().map(|(_, embedding)| embedding).collect();
            let best = self.scorer.best_tile(self.place, &embeddings);
            rows = vec![rows.swap_remove(best)];
        }
        let picture = match rows.first().filter(|_| self.pictures) {
            Some((row, _)) => self.history.picture_at(row)?,
            None => None,
        };
        let example = |(row, embedding): (&RowPlace, Embedding)| Example {
            yes,
            source: Source::Camera(CameraId::clone(self.history.camera(row))),
            time: row.time.0,
            tile: row.tile,
            embedding,
            // Only of a whole frame: what a tile shows cannot be cut out of it again.
            picture: if tiles.len() == 1 { picture.clone() } else { None },
            act: 0,
            replaced: None,
        };
        Ok(rows.into_iter().map(example).collect())
    }
}

/// Rows of the history are of nearly unit length.
fn normalised(mut embedding: Embedding) -> Embedding {
    crate::clip::normalise(&mut embedding.0);
    embedding
}

impl Told {
    /// What is worth to be known of it, for people.
    pub fn notes(&self) -> Vec<String> {
        let Change { added, known, replaced, against } = self.change;
        let mut notes = vec![format!(
            "added {added}; it goes by {} that show it and {} that do not",
            self.yes, self.no
        )];
        let counted = |number: usize, what: &str| (number > 0).then(|| format!("{what}: {number}"));
        notes.extend(counted(known, "known already"));
        notes
            .extend(counted(replaced, "earlier ones that said the opposite, and do not count now"));
        let alike = "look like frames that were taught as the opposite (is that meant so?)";
        notes.extend(counted(against, alike));
        notes
            .extend(counted(replaced, "earlier ones said the opposite, and do not count any more"));
        notes.extend(counted(
            against,
            "look like frames that were taught as the opposite: is that meant so?",
        ));
        notes
    }
}
