//! What a watch says over the history of embeddings: curves for the page, footage for `tune`.

use std::io;

use crate::clip::scoring::Scorer;
use crate::embeddings::Filter;
use crate::embeddings::product::Query;
use crate::embeddings::reader::{Frame, History, scan};
use crate::model::{CameraId, Embedding, LabelKey, Probability};
use crate::tune::truth::Marks;
use crate::tune::{Clip, Sample};
use crate::watch::WatchSet;

/// Gives every frame that `filter` lets through with the probability of each of the watch's labels, in their
/// order; newest days first.
///
/// # Errors
/// When a file that is there cannot be read, or is of another model.
pub fn scores(
    history: &History,
    scorer: Scorer<'_>,
    filter: &Filter,
    mut found: impl FnMut(&Frame<'_>, Vec<Probability>),
) -> io::Result<()> {
    let queries: Vec<Query> =
        scorer.rows().map(|row| Query::new(&Embedding(row.to_vec()))).collect();
    for part in history.parts(filter) {
        scan(history, part, filter, &queries, |frame| {
            let tiles = frame.cosines.chunks_exact(queries.len()).map(<[f32]>::to_vec);
            found(frame, scorer.best(tiles).probabilities);
        })?;
    }
    Ok(())
}

/// What the watch of `key` says of every frame of its camera that `filter` lets through, as footage.
/// `None` when the set has no such label or camera.
///
/// # Errors
/// As [`scores`].
pub fn clip(
    history: &History,
    set: &WatchSet,
    key: &LabelKey,
    filter: &Filter,
    marks: Option<Marks>,
) -> io::Result<Option<Clip>> {
    let watch = set.watches.iter().find(|watch| watch.id == key.watch);
    let camera = set.cameras.iter().find(|camera| camera.id == key.camera);
    let (Some(watch), Some(camera)) = (watch, camera) else { return Ok(None) };
    let Some(label) = watch.labels.iter().position(|label| label.id == key.label) else {
        return Ok(None);
    };
    let filter = Filter { cameras: vec![key.camera.clone()], ..filter.clone() };
    let mut samples = Vec::new();
    let scorer = Scorer::of(set, watch, &key.camera);
    scores(history, scorer, &filter, |frame, probabilities| {
        if let Some(probability) = probabilities.get(label) {
            samples.push(Sample { time: frame.time.0, probability: *probability });
        }
    })?;
    // Clocks are set.
    samples.sort_by(|a, b| a.time.total_cmp(&b.time));
    let name = CameraId::to_string(&key.camera);
    Ok(Some(Clip { name, key: key.clone(), samples, stale_after: camera.stale_after, marks }))
}
