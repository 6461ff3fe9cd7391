//! Whether each camera still shows what it should: every analysed frame passes by here.

use std::collections::HashMap;

use crate::model::{CameraId, Frame, Problem, View};
use crate::view::{Sight, Watcher};
use crate::watch::WatchSet;

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
    pub(super) fn look(&mut self, rules: &WatchSet, frame: &Frame) -> Option<Problem> {
        let (camera, view) = (&frame.camera, frame.view);
        if !rules.checks_view(camera) {
            self.0.remove(camera);
            return None;
        }
        if self.0.get(camera).is_none_or(|known| known.view != view) {
            let known = Known { view, watcher: Watcher::default(), said: None };
            self.0.insert(camera.clone(), known);
        }
        let known = self.0.get_mut(camera)?;
        let problem = known.watcher.look(frame.captured, &Sight::of(&frame.picture, view));
        known.tell(camera, problem);
        problem
    }

    /// Forgets the cameras that are not among `known`.
    pub(super) fn retain(&mut self, known: impl Fn(&CameraId) -> bool) {
        self.0.retain(|camera, _| known(camera));
    }
}

impl Known {
    /// Each once.
    fn tell(&mut self, camera: &CameraId, problem: Option<Problem>) {
        let before = std::mem::replace(&mut self.said, problem);
        let kind = |problem: Option<Problem>| problem.map(|problem| problem.kind);
        if kind(before) == kind(problem) {
            return;
        }
        match (before, problem) {
            (_, Some(Problem { kind, reason, .. })) => {
                tracing::warn!(%camera, problem = kind.word(), "{reason}");
            }
            (Some(over), None) if self.watcher.has_settled() => {
                tracing::warn!(%camera, problem = over.kind.word(), "this is the usual view from now on");
            }
            (Some(over), None) => {
                tracing::info!(%camera, problem = over.kind.word(), "the view is as usual again");
            }
            (None, None) => {}
        }
    }
}
