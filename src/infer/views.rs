//! Whether each camera still shows what it should: every analysed frame passes by here, and some are looked at.

use std::collections::HashMap;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::cores;
use crate::model::{CameraId, Captured, Frame, Moment, Problem, Shown};
use crate::view::{Memo, News, Sight, Watcher};
use crate::watch::WatchSet;

/// A camera's view is looked at no more often: what is found must last for many seconds, and looking at a
/// large picture costs a fast model a tenth of its time.
const PAUSE: Duration = Duration::from_millis(500);
/// How often what was learnt is written down, so that a power cut costs no more: as long as the usual view
/// takes to change.
const KEEP_EVERY: Duration = Duration::from_secs(1800);

/// The way to what outlives this process, and what an earlier one has left.
#[derive(Debug)]
pub struct Remembering {
    pub earlier: HashMap<CameraId, Memo>,
    pub to: Sender<News>,
}

/// What is known of each camera whose view is checked.
#[derive(Debug)]
pub(super) struct Views {
    known: HashMap<CameraId, Known>,
    /// `None`: nothing outlives this process.
    remembering: Option<Remembering>,
}

#[derive(Debug)]
struct Known {
    shown: Shown,
    watcher: Watcher,
    /// When it was last looked at.
    looked: Captured,
    said: Option<Problem>,
    /// When its view was last written down, and how many had become usual ones by then.
    kept: (Moment, u64),
}

impl Views {
    pub(super) fn new(remembering: Option<Remembering>) -> Self {
        Self { known: HashMap::new(), remembering }
    }

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
        let Frame { camera, captured, .. } = frame;
        let Some(shown) = rules.view_check(camera) else { return false };
        let known = self.known.get(camera).filter(|known| known.shown == shown);
        // A file that began again is earlier than before.
        let fresh = |known: &Known| {
            known.looked.at <= captured.at && captured.at.since(known.looked.at) < PAUSE
        };
        !known.is_some_and(fresh)
    }

    /// With what was seen in the frame, if it was looked at.
    fn problem(
        &mut self,
        rules: &WatchSet,
        frame: &Frame,
        sight: Option<Sight>,
    ) -> Option<Problem> {
        let Frame { camera, captured, .. } = frame;
        let Some(shown) = rules.view_check(camera) else {
            self.forget(camera);
            return None;
        };
        let Some(sight) = sight else { return self.known.get(camera)?.said };
        if self.known.get(camera).is_none_or(|known| known.shown != shown) {
            let watcher = self.watcher(camera, shown);
            let known =
                Known { shown, watcher, looked: *captured, said: None, kept: (captured.at, 0) };
            self.known.insert(camera.clone(), known);
        }
        let known = self.known.get_mut(camera)?;
        known.looked = *captured;
        let problem = known.watcher.look(*captured, &sight);
        known.tell(camera, problem);
        if let Some(Remembering { to, .. }) = &self.remembering
            && known.is_to_be_kept()
            && let Some(memo) = known.memo(camera)
            // The disk is behind: with the next look, then.
            && to.try_send((camera.clone(), Some(memo))).is_ok()
        {
            known.kept = (known.looked.at, known.watcher.adopted());
        }
        problem
    }

    /// For a camera that begins: with what an earlier life knew of it, as long as it shows the same.
    fn watcher(&mut self, camera: &CameraId, shown: Shown) -> Watcher {
        let remembering = self.remembering.as_mut();
        let memo = remembering.and_then(|remembering| remembering.earlier.remove(camera));
        let fits = memo.filter(|memo| memo.shown == shown);
        fits.map_or_else(Watcher::default, |memo| Watcher::knowing(memo.learnt))
    }

    /// Whatever is known of a camera's view, is known no more.
    pub(super) fn forget(&mut self, camera: &CameraId) {
        let known = self.known.remove(camera).is_some();
        if let Some(Remembering { earlier, to }) = &mut self.remembering
            && (known | earlier.remove(camera).is_some())
            && to.try_send((camera.clone(), None)).is_err()
        {
            tracing::warn!(%camera, "what was learnt of its view is forgotten only until the next start");
        }
    }

    /// Forgets the cameras that are not among `known`.
    pub(super) fn retain(&mut self, known: impl Fn(&CameraId) -> bool) {
        let gone: Vec<CameraId> =
            self.known.keys().filter(|camera| !known(camera)).cloned().collect();
        gone.iter().for_each(|camera| self.forget(camera));
    }

    /// Everything that was learnt and is not written down yet, is.
    pub(super) fn keep_all(&self) {
        let Some(Remembering { to, .. }) = &self.remembering else { return };
        for (camera, known) in &self.known {
            let Some(memo) = known.memo(camera) else { continue };
            if to.send((camera.clone(), Some(memo))).is_err() {
                tracing::debug!("nobody keeps views any more");
            }
        }
    }
}

impl Known {
    fn is_to_be_kept(&self) -> bool {
        let (at, adopted) = self.kept;
        self.watcher.adopted() != adopted || self.looked.at.since(at) >= KEEP_EVERY
    }

    fn memo(&self, camera: &CameraId) -> Option<Memo> {
        let learnt = self.watcher.learnt()?;
        Some(Memo { camera: camera.clone(), shown: self.shown, time: self.looked.time, learnt })
    }

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
    use crate::model::{Picture, ProblemKind, View, WallTime};
    use crate::watch::WatchedCamera;

    fn porch() -> CameraId {
        CameraId::try_new("porch").unwrap()
    }

    fn rules() -> WatchSet {
        let id = porch();
        WatchSet {
            cameras: vec![WatchedCamera {
                id,
                stale_after: Duration::MAX,
                enabled: true,
                view_check: Some(Shown(1)),
            }],
            watches: Vec::new(),
            logit_scale: 100.0,
            logit_bias: 0.0,
            model: "mini".into(),
            revision: 1,
        }
    }

    fn showing(what: u64) -> WatchSet {
        let mut rules = rules();
        rules.cameras[0].view_check = Some(Shown(what));
        rules
    }

    fn frame(seconds: f64, level: u8) -> Frame {
        let at = Moment(Duration::from_secs_f64(seconds));
        let rgb = (0..64 * 36).flat_map(|n: u32| [(n % 3) as u8 * level; 3]).collect();
        Frame {
            camera: porch(),
            captured: Captured { at, time: WallTime(seconds) },
            view: View::default(),
            gate: None,
            picture: Arc::new(Picture { width: 64, height: 36, rgb }),
        }
    }

    #[test]
    fn a_camera_is_looked_at_twice_a_second() {
        let (rules, mut views) = (rules(), Views::new(None));
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
        let other = showing(2);
        assert!(views.is_due(&other, &frame(0.3, 80)), "it shows something else");
        assert!(!views.is_due(&WatchSet { cameras: Vec::new(), ..rules }, &frame(9.0, 80)));
    }

    #[test]
    fn what_is_wrong_stays_so_between_the_looks() {
        let (rules, mut views) = (rules(), Views::new(None));
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

    /// Blocks of which no two rows are alike, with a camera's noise.
    fn wall(seconds: u32, shift: u32) -> Frame {
        let block = |place: u32| ((place % 64 + shift) / 5) * 31 + ((place / 64) / 4) * 57 + 11;
        let level = |place: u32| (60 + block(place) * block(place) % 120 + seconds % 3) as u8;
        let rgb = (0..64 * 36).flat_map(|place| [level(place); 3]).collect();
        let picture = Arc::new(Picture { width: 64, height: 36, rgb });
        Frame { picture, ..frame(f64::from(seconds), 0) }
    }

    /// Five minutes of a wall; what was said in the end.
    fn watch(views: &mut Views, rules: &WatchSet, shift: u32) -> Option<ProblemKind> {
        let look = |n| views.look(rules, &[&wall(n, shift)]).remove(0);
        (0..300).map(look).last().unwrap().map(|problem| problem.kind)
    }

    fn remembering(earlier: Option<Memo>) -> (Views, crossbeam_channel::Receiver<News>) {
        let (to, kept) = crossbeam_channel::bounded(64);
        let earlier = earlier.into_iter().map(|memo| (porch(), memo)).collect();
        (Views::new(Some(Remembering { earlier, to })), kept)
    }

    /// The newest of what was written down, as the disk has it.
    fn newest(kept: &crossbeam_channel::Receiver<News>) -> Option<Memo> {
        let (camera, memo) = kept.try_iter().last().unwrap();
        assert_eq!(camera, porch());
        memo.map(|memo| Memo::read(memo.text().as_bytes()).unwrap())
    }

    #[test]
    fn what_is_usual_outlives_a_process() {
        let (mut views, kept) = remembering(None);
        assert_eq!(watch(&mut views, &rules(), 0), None);
        assert_eq!(kept.len(), 1, "as soon as the view is a usual one");
        views.keep_all();
        let memo = newest(&kept).unwrap();
        assert_eq!((memo.shown, memo.time), (Shown(1), WallTime(299.0)));

        // The next life knows it from its first frame on.
        let (mut views, kept) = remembering(Some(memo.clone()));
        assert_eq!(watch(&mut views, &rules(), 0), None);
        assert!(kept.is_empty(), "nothing is new");
        let (mut views, _kept) = remembering(Some(memo.clone()));
        assert_eq!(watch(&mut views, &rules(), 19), Some(ProblemKind::Moved));
        // Not of a camera that was configured to show something else.
        let (mut views, kept) = remembering(Some(memo));
        assert_eq!(watch(&mut views, &showing(2), 19), None);
        assert_eq!(newest(&kept).map(|memo| memo.shown), Some(Shown(2)));
    }

    #[test]
    fn what_is_forgotten_is_not_there_in_the_next_life() {
        let (mut views, kept) = remembering(None);
        watch(&mut views, &rules(), 0);
        let memo = newest(&kept);
        views.forget(&porch());
        assert_eq!(newest(&kept), None);
        views.forget(&porch());
        assert!(kept.is_empty(), "once is enough");
        // It may not have had a frame yet.
        let (mut views, kept) = remembering(memo.clone());
        views.forget(&porch());
        assert_eq!(newest(&kept), None);
        let (mut views, kept) = remembering(memo);
        watch(&mut views, &rules(), 0);
        views.retain(|_| false);
        assert_eq!(newest(&kept), None, "the camera was taken out");
    }

    #[test]
    fn what_changes_is_written_down_every_half_an_hour() {
        let (mut views, kept) = remembering(None);
        for seconds in (0..7200).step_by(2) {
            views.look(&rules(), &[&wall(seconds, 0)]);
        }
        let times: Vec<f64> = kept.try_iter().map(|(_, memo)| memo.unwrap().time.0).collect();
        let gaps: Vec<f64> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(gaps, [1800.0, 1800.0, 1800.0], "{times:?}");
        assert!((120.0..160.0).contains(&times[0]), "{times:?}");
    }
}
