//! Whether each camera still shows what it should: every analysed frame passes by here.

use std::collections::HashMap;

use crate::model::{CameraId, Embedding, Frame, Problem, View};
use crate::view::{Sight, Watcher};
use crate::watch::{Look, WatchSet};

/// What is known of each camera whose view is checked.
#[derive(Debug, Default)]
pub(super) struct Views(HashMap<CameraId, Known>);

#[derive(Debug)]
struct Known {
    /// How its frames are looked at; another way shows another picture.
    view: View,
    watcher: Watcher,
    said: Option<Problem>,
}

impl Views {
    /// What is wrong with the view in this frame. Logs what begins and what ends.
    pub(super) fn look(&mut self, rules: &WatchSet, frame: &Frame, look: &Look) -> Option<Problem> {
        let camera = &frame.camera;
        let Some(embedding) = mean(&look.embeddings).filter(|_| rules.checks_view(camera)) else {
            self.0.remove(camera);
            return None;
        };
        let view = frame.view;
        if self.0.get(camera).is_none_or(|known| known.view != view) {
            let known = Known { view, watcher: Watcher::default(), said: None };
            self.0.insert(camera.clone(), known);
        }
        let known = self.0.get_mut(camera)?;
        let sight = Sight::of(&frame.picture, view);
        let problem = known.watcher.look(frame.captured, &sight, &embedding);
        tell(camera, known.said, problem);
        known.said = problem;
        problem
    }

    /// Forgets the cameras that are not among `known`.
    pub(super) fn retain(&mut self, known: impl Fn(&CameraId) -> bool) {
        self.0.retain(|camera, _| known(camera));
    }
}

/// Each once.
fn tell(camera: &CameraId, before: Option<Problem>, now: Option<Problem>) {
    let kind = |problem: Option<Problem>| problem.map(|problem| problem.kind);
    if kind(before) == kind(now) {
        return;
    }
    match (before, now) {
        (_, Some(problem)) => {
            tracing::warn!(%camera, problem = problem.kind.word(), "{}", problem.reason);
        }
        (Some(problem), None) => {
            tracing::info!(%camera, problem = problem.kind.word(), "the view is as usual again");
        }
        (None, None) => {}
    }
}

/// Of the tiles, unit length; `None` without any.
fn mean(embeddings: &[Embedding]) -> Option<Embedding> {
    let (first, others) = embeddings.split_first()?;
    let mut sum = first.0.clone();
    for other in others {
        for (sum, value) in sum.iter_mut().zip(&other.0) {
            *sum += value;
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    for value in &mut sum {
        *value /= length;
    }
    Some(Embedding(sum))
}
