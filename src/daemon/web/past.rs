//! The history of embeddings, for the page: searched, and scored with words that are tried out.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::prompts::Tryout;
use crate::clip::scoring::Scorer;
use crate::config::Config;
use crate::daemon::model::Model;
use crate::daemon::{course, search};
use crate::embeddings::Filter;
use crate::embeddings::product::Query;
use crate::embeddings::reader::{Frame, History, HistoryError};
use crate::model::{CameraId, Embedding, NodeId, Probability, WallTime};
use crate::tune::suggest::suggest;
use crate::tune::truth::{Marks, Span};
use crate::tune::{Clip, Setting, bounds, json, plot};
use crate::watch::WatchSet;
use crate::web::{
    Compiled, Moment, Past, PastPoint, PastWanted, SearchFound, SearchWanted, Trouble, TuneWanted,
};

/// Longest text that is looked for, bytes.
const LONGEST: usize = 500;
/// How exact marks on the page are, seconds.
const SLACK: f64 = 0.5;

/// Where the history is.
pub(super) struct Memory {
    dir: PathBuf,
    node: NodeId,
    bundle: String,
    digest: String,
}

impl Memory {
    /// `None` when none is kept.
    pub(super) fn new(config: &Config, model: &Model) -> Option<Self> {
        let (dir, bundle) = (config.embeddings.dir.clone()?, model.bundle());
        let (name, digest) = (bundle.name().to_owned(), bundle.digest().to_owned());
        Some(Self { dir, node: config.node.clone(), bundle: name, digest })
    }

    fn open(&self) -> Result<History, Trouble> {
        History::open(&self.dir, &self.node, &self.digest, &self.bundle).map_err(
            |error| match error {
                HistoryError::Read { .. } => Trouble::Failed(error.to_string()),
                _ => Trouble::NotFound(error.to_string()),
            },
        )
    }

    /// Takes a part of the processors: frames are analysed meanwhile.
    pub(super) fn search(
        &self,
        tryout: &Tryout,
        wanted: &SearchWanted,
    ) -> Result<SearchFound, Trouble> {
        if wanted.text.trim().is_empty() || wanted.text.len() > LONGEST {
            return Err(Trouble::Bad(format!("q: give 1 to {LONGEST} bytes")));
        }
        let history = self.open()?;
        let embedding = tryout.embed(&["{}".to_owned()], &[vec![wanted.text.clone()]])?;
        let filter = Filter {
            cameras: wanted.cameras.clone(),
            from: wanted.from.map_or(WallTime(f64::NEG_INFINITY), WallTime),
            to: wanted.to.map_or(WallTime(f64::INFINITY), WallTime),
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
        let found = search::search(&history, &embedding[0], &filter, wanted.limit, threads)
            .map_err(|error| Trouble::Failed(format!("{error:#}")))?;
        let moments = found.hits.into_iter().map(|hit| Moment {
            camera: hit.camera,
            time: hit.best.time.0,
            from: hit.from.0,
            to: hit.to.0,
            cosine: hit.best.cosine,
            deviations: hit.deviations,
            picture: hit.best.picture > 0,
        });
        Ok(SearchFound { scanned: found.frames, moments: moments.collect() })
    }

    pub(super) fn past(&self, wanted: &PastWanted) -> Result<Past, Trouble> {
        let history = self.open()?;
        let (from, to) = (WallTime(wanted.from), WallTime(wanted.to));
        let filter = Filter { cameras: vec![wanted.camera.clone()], from, to };
        let mut course = Course::new(wanted);
        let Compiled { watch, scale, bias, .. } = &wanted.compiled;
        let take = |frame: &Frame<'_>, probabilities| course.take(frame, probabilities);
        let scorer = Scorer::new(watch, Some(&wanted.camera), *scale, *bias);
        course::scores(&history, scorer, &filter, take)
            .map_err(|error| Trouble::Failed(error.to_string()))?;
        Ok(course.past())
    }

    pub(super) fn tune(&self, set: &WatchSet, wanted: &TuneWanted) -> Result<Value, Trouble> {
        let TuneWanted { key, from, to, there } = wanted;
        let rule = set.rule(key).ok_or_else(|| {
            let (camera, watch, label) = (&key.camera, &key.watch, &key.label);
            Trouble::Bad(format!("{camera}/{watch}/{label} is no label that can fire"))
        })?;
        let history = self.open()?;
        let there = there.iter().map(|(from, to)| Span { from: *from, to: *to }).collect();
        let marks = Marks { there, unsure: Vec::new(), slack: SLACK };
        let filter = Filter { cameras: Vec::new(), from: WallTime(*from), to: WallTime(*to) };
        let clip = course::clip(&history, set, key, &filter, Some(marks))
            .map_err(|error| Trouble::Failed(error.to_string()))?;
        let clips: Vec<Clip> = clip.into_iter().filter(|clip| !clip.samples.is_empty()).collect();
        let nothing = || Trouble::NotFound("no frame of that time was kept".to_owned());
        let first = clips.first().ok_or_else(nothing)?;
        let found = suggest(&clips, &Setting::of(rule)).ok_or_else(|| {
            Trouble::Bad("spans: mark when it was there, once at least".to_owned())
        })?;
        let title = format!("{}: precision and recall", key.label);
        let (points, best) = (plot::points(&clips, &found), found.best.setting.threshold);
        Ok(json!({
            "footage": json::clip(first),
            "confidence": bounds::CONFIDENCE,
            "now": json::trial(&found.now),
            "suggested": json::suggested(&found),
            "curve": points.iter().map(json::point).collect::<Vec<_>>(),
            "svg": plot::curve(&title, &points, best, rule.threshold),
        }))
    }

    pub(super) fn thumbnail(&self, camera: &CameraId, time: f64) -> Result<Vec<u8>, Trouble> {
        let none = || Trouble::NotFound("no picture of that frame was kept".to_owned());
        let failed = |error: std::io::Error| Trouble::Failed(error.to_string());
        let history = self.open()?;
        // Times are told to the millisecond.
        let (from, to) = (WallTime(time - 0.001), WallTime(time + 0.001));
        let filter = Filter { cameras: vec![camera.clone()], from, to };
        let any = Query::new(&Embedding(vec![0.0; history.dim()]));
        let hits = history.nearest(&any, &filter, 1).map_err(failed)?;
        let hit = hits.first().ok_or_else(none)?;
        history.picture(&hit.best).map_err(failed)?.ok_or_else(none)
    }
}

/// Gathers the frames of a span into points.
struct Course<'a> {
    wanted: &'a PastWanted,
    frames: u64,
    points: Vec<Option<PastPoint>>,
}

impl<'a> Course<'a> {
    fn new(wanted: &'a PastWanted) -> Self {
        Self { wanted, frames: 0, points: vec![None; wanted.points.max(1)] }
    }

    fn take(&mut self, frame: &Frame<'_>, probabilities: Vec<Probability>) {
        let PastWanted { from, to, .. } = self.wanted;
        let share = (frame.time.0 - from) / (to - from).max(f64::MIN_POSITIVE);
        let place = ((share * self.points.len() as f64) as usize).min(self.points.len() - 1);
        self.frames += 1;
        let (time, picture) = (frame.time.0, frame.picture > 0);
        let Some(point) = &mut self.points[place] else {
            self.points[place] = Some(PastPoint { time, frames: 1, probabilities, picture });
            return;
        };
        point.frames += 1;
        if probabilities.first() > point.probabilities.first() {
            (point.time, point.picture) = (time, picture);
        }
        for (highest, p) in point.probabilities.iter_mut().zip(probabilities) {
            *highest = highest.max(p);
        }
    }

    fn past(self) -> Past {
        Past { frames: self.frames, points: self.points.into_iter().flatten().collect() }
    }
}
