//! Whether each camera still shows what it should: every analysed frame passes by here, and some are looked at.

use std::collections::HashMap;
use std::time::Duration;

use crate::cores;
use crate::model::{CameraId, Frame, Moment, Problem, View};
use crate::view::{Sight, Watcher};
use crate::watch::WatchSet;

/// A camera's view is looked at no more often: what is found must last for many seconds, and looking at a
/// large picture costs a fast model a tenth of its time.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of each camera whose view is checked.
#[derive(Debug, Default)]
pub(super) struct Views(HashMap<CameraId, Known>);

#[derive(Debug)]
struct Known {
    /// How its frames are looked at; another way shows another picture.
    view: View,
    watcher: Watcher,
    /// When it was last looked at.
    looked: Moment,
    said: Option<Problem>,
}

impl Views {
    /// What is wrong with the view in each of `frames`, of one batch. Logs what begins and what ends.
    pub(super) fn look(&mut self, rules: &WatchSet, frames: &[&Frame]) -> Vec<Option<Problem>> {
        let due: Vec<bool> = frames.iter().map(|frame| self.is_due(rules, frame)).collect();
        let looked = frames.iter().zip(&due).filter(|(_, due)| **due).map(|(frame, _)| *frame);
        let sights = cores::each(looked.collect(), |frame| Sight::of(&frame.picture, frame.view));
        let mut sights = sights.into_iter();
        let problem = |(frame, due): (&&Frame, bool)| {
            self.problem(rules, frame, if due { sights.next() } else { None })
        };
        frames.iter().zip(due).map(problem).collect()
    }

    /// Whether the camera is one whose view is checked, and was not looked at a moment ago.
    fn is_due(&self, rules: &WatchSet, frame: &Frame) -> bool {
        let Frame { camera, captured, view, .. } = frame;
        let known = self.0.get(camera).filter(|known| known.view == *view);
        // A file that began again is earlier than before.
        let fresh = known.is_some_and(|known| {
            known.looked <= captured.at && captured.at.since(known.looked) < PAUSE
        });
        !fresh && rules.checks_view(camera)
    }

    /// With what was seen in the frame, if it was looked at.
    fn problem(
        &mut self,
        rules: &WatchSet,
        frame: &Frame,
        sight: Option<Sight>,
    ) -> Option<Problem> {
        let Frame { camera, captured, view, .. } = frame;
        if !rules.checks_view(camera) {
            self.0.remove(camera);
            return None;
        }
        let Some(sight) = sight else { return self.0.get(camera)?.said };
        if self.0.get(camera).is_none_or(|known| known.view != *view) {
            let (watcher, looked) = (Watcher::default(), captured.at);
            let known = Known { view: *view, watcher, looked, said: None };
            self.0.insert(camera.clone(), known);
        }
        let known = self.0.get_mut(camera)?;
        known.looked = captured.at;
        let problem = known.watcher.look(*captured, &sight);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Captured, Picture, ProblemKind, WallTime};
    use crate::watch::WatchedCamera;

    fn rules() -> WatchSet {
        let id = CameraId::try_new("porch").unwrap();
        WatchSet {
            cameras: vec![WatchedCamera {
                id,
                stale_after: Duration::MAX,
                enabled: true,
                view_check: true,
            }],
            watches: Vec::new(),
            logit_scale: 100.0,
            logit_bias: 0.0,
            model: "mini".into(),
            revision: 1,
        }
    }

    fn frame(seconds: f64, level: u8) -> Frame {
        let at = Moment(Duration::from_secs_f64(seconds));
        let rgb = (0..64 * 36).flat_map(|n: u32| [(n % 3) as u8 * level; 3]).collect();
        Frame {
            camera: CameraId::try_new("porch").unwrap(),
            captured: Captured { at, time: WallTime(seconds) },
            view: View::default(),
            gate: None,
            picture: Arc::new(Picture { width: 64, height: 36, rgb }),
        }
    }

    #[test]
    fn a_camera_is_looked_at_twice_a_second() {
        let (rules, mut views) = (rules(), Views::default());
        let due: Vec<bool> = [0.0, 0.1, 0.4, 0.5, 0.9, 1.1, 0.2, 0.3]
            .into_iter()
            .map(|seconds| {
                let frame = frame(seconds, 80);
                let due = views.is_due(&rules, &frame);
                views.look(&rules, &[&frame]);
                due
            })
            .collect();
        // The last but one is of a file that began again.
        assert_eq!(due, [true, false, false, true, false, true, true, false]);
        let turned = Frame { view: View { tiles: true, ..View::default() }, ..frame(0.3, 80) };
        assert!(views.is_due(&rules, &turned));
        assert!(!views.is_due(&WatchSet { cameras: Vec::new(), ..rules }, &frame(9.0, 80)));
    }

    #[test]
    fn what_is_wrong_stays_so_between_the_looks() {
        let (rules, mut views) = (rules(), Views::default());
        let black: Vec<Frame> = (0..250).map(|n| frame(f64::from(n) / 10.0, 0)).collect();
        let said: Vec<Option<ProblemKind>> = black
            .iter()
            .flat_map(|frame| views.look(&rules, &[frame]))
            .map(|problem| problem.map(|problem| problem.kind))
            .collect();
        let first = said.iter().position(Option::is_some).unwrap();
        // A covered lens is told of after twenty seconds.
        assert!((200..=205).contains(&first), "{first}");
        assert!(said[first..].iter().all(|kind| *kind == Some(ProblemKind::Covered)));
    }
}
