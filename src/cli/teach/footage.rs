//! Examples out of a file of footage.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cli::Usage;
use crate::clip::scoring::Scorer;
use crate::config::{self, Camera, Config};
use crate::daemon::footage::look;
use crate::daemon::model::Model;
use crate::daemon::teach::Given;
use crate::embeddings::Seen;
use crate::jpeg;
use crate::model::{Embedding, Every, LabelKey};
use crate::taught::{Example, Source, mean};
use crate::watch::{WatchSet, WatchedCamera};

/// How far the frame of a moment may be from it, seconds.
const NEAR: f64 = 2.0;

/// Which frames of which file.
pub(super) struct Wanted<'a> {
    pub(super) file: &'a Path,
    pub(super) every: Option<Every>,
    pub(super) yes: &'a [String],
    pub(super) no: &'a [String],
}

/// Looks at the file as the label's camera would, and takes the frames that were named.
///
/// # Errors
/// For times that cannot be meant, footage that cannot be read, and times without a frame.
pub(super) fn examples(
    config: &Config,
    model: &Model,
    set: WatchSet,
    key: &LabelKey,
    wanted: &Wanted<'_>,
) -> anyhow::Result<Given> {
    let spans = |option: &str, texts: &[String]| -> Result<Vec<(f64, f64)>, Usage> {
        texts.iter().map(|text| span(text).map_err(|e| Usage(format!("{option}: {e}")))).collect()
    };
    let (yes, no) = (spans("--yes", wanted.yes)?, spans("--no", wanted.no)?);
    let camera = camera(config, key, wanted)?;
    let (id, stale_after) = (camera.id.clone(), camera.stall_timeout);
    let only = vec![WatchedCamera { id, stale_after, enabled: true, view_check: None }];
    let looking = WatchSet { cameras: only, ..set.clone() };
    let frames = look(model, &camera, looking, config.embeddings.pictures)?;
    let watch = set.watches.iter().find(|watch| watch.id == key.watch);
    let watch = watch.with_context(|| format!("no watch {}", key.watch))?;
    let place = watch.labels.iter().position(|label| label.id == key.label);
    let place = place.with_context(|| format!("no label {}", key.label))?;
    let taker =
        Taker { frames: &frames, scorer: Scorer::of(&set, watch, &key.camera), place, wanted };
    let mut examples = Vec::new();
    for (spans, yes) in [(yes, true), (no, false)] {
        for span in spans {
            examples.extend(taker.take(span, yes)?);
        }
    }
    let source = examples.first().map(|example| example.source.clone());
    let usual = mean(frames.iter().flat_map(|seen| seen.embeddings.iter()));
    Ok(Given { usual: source.zip(usual).into_iter().collect(), examples })
}

/// The label's camera, with the file in place of its source.
fn camera(config: &Config, key: &LabelKey, wanted: &Wanted<'_>) -> anyhow::Result<Camera> {
    let known = config.cameras.iter().find(|camera| camera.id == key.camera);
    let known = known.with_context(|| format!("no camera {}", key.camera))?;
    let source = config::parse_source(&wanted.file.display().to_string(), Path::new(""));
    Ok(Camera {
        source: source.map_err(|error| Usage(format!("--from: {error}")))?,
        every: wanted.every.unwrap_or(known.every),
        gate: None,
        repeat: false,
        enabled: true,
        ..known.clone()
    })
}

struct Taker<'a> {
    frames: &'a [Seen],
    scorer: Scorer<'a>,
    place: usize,
    wanted: &'a Wanted<'a>,
}

impl Taker<'_> {
    fn take(&self, (from, to): (f64, f64), yes: bool) -> anyhow::Result<Vec<Example>> {
        let far = |seen: &&Seen| (seen.captured.time.0 - from).abs();
        let found: Vec<&Seen> = if from == to {
            let nearest = self.frames.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
            nearest.filter(|seen| far(seen) <= NEAR).into_iter().collect()
        } else {
            let within = |seen: &&Seen| (from..=to).contains(&seen.captured.time.0);
            self.frames.iter().filter(within).collect()
        };
        if found.is_empty() {
            let last = self.frames.last().map_or(0.0, |seen| seen.captured.time.0);
            let every = "; give more of it, or look more often with --every 250ms";
            let file = self.wanted.file.display();
            bail!("{file}: no frame from {from} to {to} s, and it has {last:.1} s{every}");
        }
        Ok(found.into_iter().flat_map(|seen| self.examples(seen, yes)).collect())
    }

    fn examples(&self, seen: &Seen, yes: bool) -> Vec<Example> {
        let mut tiles: Vec<(u8, &Embedding)> = (0..).zip(seen.embeddings.iter()).collect();
        let whole = tiles.len() == 1;
        if yes && !whole {
            let embeddings: Vec<&Embedding> = seen.embeddings.iter().collect();
            let best = self.scorer.best_tile(self.place, &embeddings);
            tiles = vec![tiles.swap_remove(best)];
        }
        let picture = seen.picture.as_ref().filter(|_| whole);
        let picture = picture.and_then(|picture| jpeg::thumbnail(picture).ok());
        let name = self.wanted.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let example = |(tile, embedding): (u8, &Embedding)| Example {
            yes,
            source: Source::File(name.clone()),
            time: seen.captured.time.0,
            tile,
            embedding: embedding.clone(),
            picture: picture.clone(),
            act: 0,
            replaced: None,
        };
        tiles.into_iter().map(example).collect()
    }
}

/// A moment or a span into a file: "9.5", "4s-8s", "1:02-1:10".
fn span(text: &str) -> Result<(f64, f64), String> {
    let wrong =
        || format!("found {text:?}; write seconds into the file (9.5, 4s, 1:02) or a span (4s-8s)");
    let (from, to) = match text.split_once(['-', '–']) {
        Some((from, to)) => (moment(from), moment(to)),
        None => (moment(text), moment(text)),
    };
    let (from, to) = from.zip(to).ok_or_else(wrong)?;
    if from > to {
        Err(format!("found {text:?}; a span ends after it begins"))
    } else {
        Ok((from, to))
    }
}

fn moment(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(time) = humantime::parse_duration(text) {
        return Some(time.as_secs_f64());
    }
    let parts: Option<Vec<f64>> = text.split(':').map(|part| part.parse().ok()).collect();
    let seconds = parts?.into_iter().fold(0.0, |sum, part| sum * 60.0 + part);
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_into_a_file() {
        for (text, span) in [
            ("9.5", (9.5, 9.5)),
            ("4s-8s", (4.0, 8.0)),
            ("500ms - 1m 2s", (0.5, 62.0)),
            ("1:02-1:10", (62.0, 70.0)),
            ("0-3.2", (0.0, 3.2)),
        ] {
            assert_eq!(super::span(text), Ok(span), "{text}");
        }
        for bad in ["", "x", "8s-4s", "last event", "1:x"] {
            assert!(super::span(bad).unwrap_err().contains("found"), "{bad}");
        }
    }
}
