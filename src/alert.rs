//! From scores to notices: the stage around the rules.
//!
//! Owns the [`Rules`]. Ends when its input closes, after it has ended every open event. Says
//! what happened; who is told, and how, is the publisher's matter. Hears from there what has arrived,
//! and explains a label to whoever asks.

pub mod rules;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use self::rules::{Rules, Surroundings};
use crate::clock::Clock;
use crate::model::{
    CameraChange, CameraId, CameraState, Event, EventKind, LabelKey, ModelState, Moment, Picture,
    ProblemKind, WallTime, WatchId,
};
use crate::watch::{Notice, Observation, Request, Scored, WatchScore, WatchSet};

/// How often labels are checked for having gone stale.
const TICK: Duration = Duration::from_secs(1);

/// The channel ends and the clock of the stage.
pub struct Alerts {
    pub inbox: mpsc::Receiver<Observation>,
    pub sets: watch::Receiver<Arc<WatchSet>>,
    pub out: mpsc::Sender<Notice>,
    pub requests: mpsc::Receiver<Request>,
    /// When the newest event of labels ended in an earlier life, or the broker confirmed that.
    pub earlier: Vec<(LabelKey, WallTime)>,
    /// `None`: time is the media's own, and nothing goes stale between frames.
    pub clock: Option<Clock>,
}

/// Runs until every observer is gone or nobody listens any more.
pub async fn run(alerts: Alerts) {
    let Alerts { mut inbox, mut sets, out, mut requests, earlier, clock } = alerts;
    let first = sets.borrow_and_update().clone();
    let mut teller = Teller { out, told: HashMap::new(), problems: HashMap::new() };
    let mut rules = resumed(&first, &earlier, clock);
    let mut around = Around { cameras: HashMap::new(), model: ModelState::Working };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    teller.watching(None, &first, clock).await;
    let mut reloads = true;
    while !teller.out.is_closed() {
        tokio::select! {
            biased;
            changed = sets.changed(), if reloads => {
                // The daemon drops its end when it stops; what is queued is still worked off.
                reloads = changed.is_ok();
                let set = sets.borrow_and_update().clone();
                adopt(&mut rules, &set, &mut teller, clock).await;
            }
            observation = inbox.recv() => match observation {
                Some(Observation::Scored(scored)) => {
                    observe(&mut rules, &scored, &mut teller, clock).await;
                }
                Some(Observation::Asked(frame)) => teller.tell(Notice::Asked(frame)).await,
                // The last words of one that was switched off.
                Some(Observation::Camera(change)) if rules.set().is_off(&change.camera) => {}
                Some(Observation::Camera(change)) => {
                    around.cameras.insert(change.camera.clone(), change.clone());
                    // In the media's own time every frame still counts; the end comes last.
                    if clock.is_some() && !change.available() {
                        let ended = rules.camera_lost(&change.camera, change.captured.at);
                        teller.events(ended, rules.set()).await;
                    }
                    teller.camera(change).await;
                }
                Some(Observation::Model(state)) => {
                    if state != ModelState::Working {
                        // Nobody looks any more: no label may stay on.
                        teller.events(rules.end_all(), rules.set()).await;
                    }
                    around.model = state.clone();
                    teller.tell(Notice::Model(state)).await;
                }
                None => break,
            },
            _ = ticks.tick() => {
                if let Some(clock) = clock {
                    teller.events(rules.tick(clock.captured()), rules.set()).await;
                }
            }
            Some(request) = requests.recv() => {
                if let Some(clock) = clock {
                    around.answer(request, &mut rules, clock);
                }
            }
        }
    }
    teller.events(rules.end_all(), rules.set()).await;
}

/// The rules, with what an earlier life has left of cooldowns.
fn resumed(set: &Arc<WatchSet>, earlier: &[(LabelKey, WallTime)], clock: Option<Clock>) -> Rules {
    let mut rules = Rules::new(set.clone());
    if let Some(clock) = clock {
        let now = clock.captured();
        earlier.iter().for_each(|(key, last)| rules.resume(key, *last, now));
    }
    rules
}

/// What was last heard of the cameras and of the model.
struct Around {
    cameras: HashMap<CameraId, CameraChange>,
    model: ModelState,
}

impl Around {
    fn answer(&self, request: Request, rules: &mut Rules, clock: Clock) {
        match request {
            Request::Delivered(key) => rules.delivered(&key, clock.now()),
            Request::Explain { key, answer } => {
                let camera = self.cameras.get(&key.camera);
                let around = Surroundings { now: clock.captured(), camera, model: &self.model };
                answer(rules.explain(&key, around));
            }
        }
    }
}

async fn adopt(rules: &mut Rules, set: &Arc<WatchSet>, teller: &mut Teller, clock: Option<Clock>) {
    if set.revision > rules.set().revision {
        // What ends here was told, or not, by the rules that it started under.
        let old = rules.set().clone();
        let ended = rules.adopt(set);
        teller.events(ended, &old).await;
        teller.watching(Some(&old), set, clock).await;
    }
}

async fn observe(rules: &mut Rules, scored: &Scored, teller: &mut Teller, clock: Option<Clock>) {
    adopt(rules, &scored.rules, teller, clock).await;
    let events = rules.observe(scored);
    teller.view(scored).await;
    teller.probabilities(scored, &events).await;
    teller.events_of(events, rules.set(), Some(&scored.picture)).await;
}

/// Sends notices, and holds back probabilities that nobody needs yet.
struct Teller {
    out: mpsc::Sender<Notice>,
    /// When each watch's probabilities were last told.
    told: HashMap<(CameraId, WatchId), Moment>,
    /// What was told to be wrong with cameras' views.
    problems: HashMap<CameraId, ProblemKind>,
}

impl Teller {
    /// Waits while the publisher is busy; when it is gone the stage ends, so nothing is lost
    /// that anybody could still have read.
    async fn tell(&self, notice: Notice) {
        if self.out.send(notice).await.is_err() {
            tracing::debug!("nobody listens to notices any more");
        }
    }

    /// Tells the watches in force, and which cameras were switched off with them.
    async fn watching(
        &mut self,
        old: Option<&WatchSet>,
        set: &Arc<WatchSet>,
        clock: Option<Clock>,
    ) {
        self.tell(Notice::Watching(set.clone())).await;
        for camera in set.cameras.iter().filter(|camera| !set.wants(&camera.id)) {
            // Nobody looks at it any more.
            if self.problems.remove(&camera.id).is_some() {
                self.tell(Notice::View { camera: camera.id.clone(), problem: None }).await;
            }
        }
        let captured = clock.map(|clock| clock.captured()).unwrap_or_default();
        let was_off = |id| old.is_some_and(|old| old.is_off(id));
        for camera in set.cameras.iter().filter(|one| !one.enabled && !was_off(&one.id)) {
            let (camera, state) = (camera.id.clone(), CameraState::Disabled);
            let reason = "switched off".to_owned();
            let change = CameraChange { camera, state, reason, attempt: 0, captured };
            self.tell(Notice::Camera(change)).await;
        }
    }

    /// Events that no frame caused. `set` says which of them are of shadow labels.
    async fn events(&self, events: Vec<Event>, set: &WatchSet) {
        self.events_of(events, set, None).await;
    }

    /// `picture`: the frame that they come of.
    async fn events_of(&self, events: Vec<Event>, set: &WatchSet, picture: Option<&Arc<Picture>>) {
        for event in events {
            let picture = picture.filter(|_| event.kind == EventKind::Start).cloned();
            let shadow = set.is_shadow(&event.key);
            let notice =
                if shadow { Notice::Shadow(event) } else { Notice::Event { event, picture } };
            self.tell(notice).await;
        }
    }

    /// Who is told of a change in a camera's life forgets what was wrong with its view.
    async fn camera(&mut self, change: CameraChange) {
        self.problems.remove(&change.camera);
        self.tell(Notice::Camera(change)).await;
    }

    /// Tells what is wrong with the view, when that has changed.
    async fn view(&mut self, scored: &Scored) {
        let kind = scored.problem.map(|problem| problem.kind);
        if self.problems.get(&scored.camera).copied() != kind {
            let camera = scored.camera.clone();
            match kind {
                Some(kind) => self.problems.insert(camera.clone(), kind),
                None => self.problems.remove(&camera),
            };
            self.tell(Notice::View { camera, problem: scored.problem }).await;
        }
    }

    /// Tells a watch's probabilities on trips, and else at most every `publish_every`.
    async fn probabilities(&mut self, scored: &Scored, events: &[Event]) {
        for score in &scored.scores {
            // A trip of a shadow label must not show in what is sent.
            let tripped = events
                .iter()
                .any(|event| event.key.watch == score.watch && !scored.rules.is_shadow(&event.key));
            if tripped || self.due(scored, score) {
                let key = (scored.camera.clone(), score.watch.clone());
                self.told.insert(key, scored.captured.at);
                self.tell(Notice::Probabilities {
                    camera: scored.camera.clone(),
                    watch: score.watch.clone(),
                    time: scored.captured.time,
                    probabilities: score.probabilities.clone(),
                    model: scored.rules.model.clone(),
                })
                .await;
            }
        }
    }

    fn due(&self, scored: &Scored, score: &WatchScore) -> bool {
        let key = (scored.camera.clone(), score.watch.clone());
        let every = scored.rules.for_camera(&scored.camera).find(|watch| watch.id == score.watch);
        match (self.told.get(&key), every) {
            (Some(last), Some(watch)) => scored.captured.at.since(*last) >= watch.publish_every,
            _ => true,
        }
    }
}
