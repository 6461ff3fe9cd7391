//! What was last seen and said, for whoever looks on: the page.
//!
//! Stages pin what is new; nobody waits for readers, and what is not read is replaced. Frames are kept only
//! while somebody looks: those of many cameras are many megabytes.

mod curve;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::curve::Curve;
use crate::model::{
    CameraChange, CameraId, Captured, Event, EventKind, LabelId, LabelKey, ModelState, Picture,
    Problem, WallTime, WatchId,
};
use crate::watch::{Look, Scored, WatchScore, WatchSet};

/// Events that are remembered: more than may happen between two looks.
const EVENTS: usize = 256;
/// Frames are kept for so long after somebody has looked.
const INTEREST: Duration = Duration::from_secs(15);
/// Newest frames by which a camera's rate is told.
const RATED: usize = 16;
/// Labels of a watch whose curves are kept.
const CURVES: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Board(Mutex<Pinned>);

#[derive(Debug, Default)]
struct Pinned {
    /// Counts everything that was pinned.
    change: u64,
    set: Option<Arc<WatchSet>>,
    cameras: BTreeMap<CameraId, Camera>,
    events: VecDeque<(u64, Event)>,
    /// The labels with an open event, and since when.
    on: BTreeMap<LabelKey, WallTime>,
    model: Option<ModelState>,
    node: Node,
    words: BTreeMap<WatchId, Words>,
    looked: Option<Instant>,
}

/// The words of a watch, as they are configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Words {
    pub templates: Vec<String>,
    pub prompts: BTreeMap<LabelId, Vec<String>>,
}

/// What the publisher knows of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    pub connected: bool,
    /// Events that wait for the broker.
    pub outbox: usize,
    /// Why events are not kept.
    pub history: Option<String>,
    /// Why pictures are not kept.
    pub snapshots: Option<String>,
}

/// The newest frame of a camera.
#[derive(Debug, Clone)]
pub struct Newest {
    pub captured: Captured,
    pub scores: Vec<WatchScore>,
    pub look: Arc<Look>,
    /// `None` when nobody has looked for a while.
    pub picture: Option<Arc<Picture>>,
}

/// What is pinned of one camera.
#[derive(Debug, Clone, Default)]
pub struct Camera {
    changed: u64,
    pub life: Option<CameraChange>,
    pub newest: Option<Arc<Newest>>,
    /// What was wrong with the view in the newest frame, while frames flow.
    pub problem: Option<Problem>,
    /// When the last few frames were captured.
    times: VecDeque<f64>,
    curves: BTreeMap<(WatchId, LabelId), Curve>,
}

impl Camera {
    /// Frames analysed per second lately.
    pub fn fps(&self) -> f64 {
        let (Some(first), Some(last)) = (self.times.front(), self.times.back()) else { return 0.0 };
        if last > first { (self.times.len() - 1) as f64 / (last - first) } else { 0.0 }
    }

    fn pin(&mut self, scored: &Scored, picture: Option<Arc<Picture>>) {
        let Scored { captured, scores, look, .. } = scored;
        let time = captured.time.0;
        if self.times.back().is_some_and(|last| time < *last) {
            // The clock was set.
            self.times.clear();
        }
        if self.times.len() == RATED {
            self.times.pop_front();
        }
        self.times.push_back(time);
        for score in scores {
            for (label, probability) in score.probabilities.iter().take(CURVES) {
                let key = (score.watch.clone(), label.clone());
                self.curves.entry(key).or_default().add(time, probability);
            }
        }
        self.problem = scored.problem;
        let (captured, scores, look) = (*captured, scores.clone(), look.clone());
        self.newest = Some(Arc::new(Newest { captured, scores, look, picture }));
    }
}

/// What is new since an earlier look.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Where the next look begins.
    pub upto: u64,
    pub cameras: Vec<(CameraId, Camera)>,
    /// In the order in which they happened.
    pub events: Vec<Event>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Pinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These watches hold from now on; what is not in them is taken down.
    pub fn watching(&self, set: &Arc<WatchSet>) {
        let mut pinned = self.lock();
        pinned.change += 1;
        let changed = pinned.change;
        pinned.cameras.retain(|id, _| set.cameras.iter().any(|camera| camera.id == *id));
        for camera in &set.cameras {
            let pin = pinned.cameras.entry(camera.id.clone()).or_default();
            pin.changed = changed;
            pin.problem = pin.problem.filter(|_| set.wants(&camera.id));
            pin.curves.retain(|(watch, label), _| {
                let mut watches = set.for_camera(&camera.id).filter(|one| one.id == *watch);
                watches.any(|one| one.labels.iter().any(|known| known.id == *label))
            });
        }
        pinned.on.retain(|key, _| set.rule(key).is_some());
        pinned.set = Some(set.clone());
    }

    /// A frame was scored.
    pub fn scored(&self, scored: &Scored) {
        let mut pinned = self.lock();
        pinned.change += 1;
        let (changed, watched) = (pinned.change, is_recent(pinned.looked));
        // It may have left the configuration meanwhile.
        let Some(camera) = pinned.cameras.get_mut(&scored.camera) else { return };
        camera.changed = changed;
        camera.pin(scored, watched.then(|| scored.picture.clone()));
    }

    pub fn camera(&self, change: &CameraChange) {
        let mut pinned = self.lock();
        pinned.change += 1;
        let changed = pinned.change;
        let Some(camera) = pinned.cameras.get_mut(&change.camera) else { return };
        camera.changed = changed;
        if !change.available() {
            camera.times.clear();
            camera.problem = None;
        }
        camera.life = Some(change.clone());
    }

    pub fn event(&self, event: &Event) {
        let mut pinned = self.lock();
        pinned.change += 1;
        let changed = pinned.change;
        match event.kind {
            EventKind::Start | EventKind::Update => {
                pinned.on.insert(event.key.clone(), event.start_time);
            }
            EventKind::End => {
                pinned.on.remove(&event.key);
            }
        }
        if let Some(camera) = pinned.cameras.get_mut(&event.key.camera) {
            camera.changed = changed;
        }
        if pinned.events.len() == EVENTS {
            pinned.events.pop_front();
        }
        pinned.events.push_back((changed, event.clone()));
    }

    pub fn model(&self, state: &ModelState) {
        self.lock().model = Some(state.clone());
    }

    pub fn node(&self, change: impl FnOnce(&mut Node)) {
        change(&mut self.lock().node);
    }

    /// The words of the watches in force.
    pub fn describe(&self, words: BTreeMap<WatchId, Words>) {
        self.lock().words = words;
    }

    /// Empty for a watch that is not known.
    pub fn words(&self, watch: &WatchId) -> Words {
        self.lock().words.get(watch).cloned().unwrap_or_default()
    }

    /// Somebody looks: frames are kept for a while.
    pub fn look(&self) {
        self.lock().looked = Some(Instant::now());
    }

    /// What was pinned after `since`; 0 for all.
    pub fn since(&self, since: u64) -> News {
        let pinned = self.lock();
        let cameras = pinned.cameras.iter().filter(|(_, camera)| camera.changed > since);
        let events = pinned.events.iter().filter(|(at, _)| *at > since);
        News {
            upto: pinned.change,
            cameras: cameras.map(|(id, camera)| (id.clone(), camera.without_curves())).collect(),
            events: events.map(|(_, event)| event.clone()).collect(),
        }
    }

    /// `None` when there is no such camera.
    pub fn one(&self, camera: &CameraId) -> Option<Camera> {
        Some(self.lock().cameras.get(camera)?.without_curves())
    }

    /// The last ten minutes of each label. `None` when there is no such camera.
    pub fn curves(&self, camera: &CameraId) -> Option<BTreeMap<(WatchId, LabelId), Curve>> {
        Some(self.lock().cameras.get(camera)?.curves.clone())
    }

    /// The watches in force; `None` before the first.
    pub fn set(&self) -> Option<Arc<WatchSet>> {
        self.lock().set.clone()
    }

    /// The labels with an open event, and since when.
    pub fn on(&self) -> BTreeMap<LabelKey, WallTime> {
        self.lock().on.clone()
    }

    pub fn told(&self) -> (Node, Option<ModelState>) {
        let pinned = self.lock();
        (pinned.node.clone(), pinned.model.clone())
    }
}

impl Camera {
    fn without_curves(&self) -> Self {
        Self {
            changed: self.changed,
            life: self.life.clone(),
            newest: self.newest.clone(),
            problem: self.problem,
            times: self.times.clone(),
            curves: BTreeMap::new(),
        }
    }
}

fn is_recent(looked: Option<Instant>) -> bool {
    looked.is_some_and(|at| at.elapsed() < INTEREST)
}

#[cfg(test)]
#[path = "board/tests.rs"]
mod tests;
