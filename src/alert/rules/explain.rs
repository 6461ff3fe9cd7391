//! Why a label is on, or why it is not, out of what the rules remember of it.
//!
//! The reasons come in the order in which the rules look: `promises` checks that they agree.

use std::fmt;

use super::Rules;
use super::label::{LabelMemory, Phase};
use super::watch::Look;
use crate::model::{CameraChange, CameraId, CameraState, Captured, LabelId, LabelKey, ModelState};
use crate::watch::explanation::{Explanation, OpenStay, SeenFrame, Standing, Unknown, Verdict};
use crate::watch::{LabelRule, Watch};

/// What the rules do not know themselves.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub now: Captured,
    /// The camera's newest change; `None` before the first.
    pub camera: Option<&'a CameraChange>,
    pub model: &'a ModelState,
}

impl Rules {
    /// Why the label is on, or why it is not.
    ///
    /// # Errors
    /// When there is no such label, with the names that there are.
    pub fn explain(
        &self,
        key: &LabelKey,
        around: Surroundings<'_>,
    ) -> Result<Explanation, Unknown> {
        let (watch, place) = self.find(key)?;
        let rule = watch.labels[place].rule.as_ref();
        let known = self.watches.get(&(key.camera.clone(), key.watch.clone()));
        let fresh = LabelMemory::default();
        let memory = known.and_then(|known| known.labels.get(place)).unwrap_or(&fresh);
        let look = known.and_then(|known| known.look.as_ref());
        Ok(Explanation {
            key: key.clone(),
            verdict: match rule {
                None => Verdict::Background,
                Some(rule) => self.verdict(key, rule, memory, look, around),
            },
            score: watch.score,
            taught: taught(watch, &key.camera),
            is_blank: is_blank(watch, key),
            frame: look.map(|look| SeenFrame {
                time: look.captured.time,
                age: around.now.at.since(look.captured.at),
                unchanged: look.unchanged,
                probabilities: look.probabilities.clone(),
            }),
            standing: rule.map(|rule| memory.standing(rule, around.now)),
            camera: around.camera.cloned(),
            model: self.set.model.clone(),
            now: around.now.time,
        })
    }

    /// The watch, and the label's place in it.
    fn find(&self, key: &LabelKey) -> Result<(&Watch, usize), Unknown> {
        let LabelKey { camera, watch: watch_id, label: label_id } = key;
        let cameras = &self.set.cameras;
        if !cameras.iter().any(|known| known.id == *camera) {
            let names = listed(cameras.iter().map(|known| &known.id));
            return Err(Unknown::Camera(camera.to_string(), names));
        }
        let watch = self.set.watch(camera, watch_id).ok_or_else(|| {
            let names = listed(self.set.for_camera(camera).map(|watch| &watch.id));
            Unknown::Watch(watch_id.to_string(), names)
        })?;
        let place = watch.labels.iter().position(|label| label.id == *label_id);
        let place = place.ok_or_else(|| {
            let names = listed(watch.labels.iter().map(|label| &label.id));
            Unknown::Label(label_id.to_string(), names)
        })?;
        Ok((watch, place))
    }

    fn verdict(
        &self,
        key: &LabelKey,
        rule: &LabelRule,
        memory: &LabelMemory,
        look: Option<&Look>,
        around: Surroundings<'_>,
    ) -> Verdict {
        let now = around.now;
        if matches!(memory.phase, Phase::On(_)) {
            return Verdict::On;
        }
        if !rule.enabled || self.set.is_off(&key.camera) {
            return Verdict::Disabled;
        }
        if around.camera.is_some_and(|camera| camera.state != CameraState::Running) {
            return Verdict::CameraAway;
        }
        if let ModelState::Lost(reason) = around.model {
            return Verdict::ModelAway(reason.clone());
        }
        let Some(look) = look else { return Verdict::NoFrame };
        let watched = self.set.cameras.iter().find(|known| known.id == key.camera);
        if let Some(limit) = watched.map(|watched| watched.stale_after)
            && now.at.since(look.captured.at) > limit
        {
            return Verdict::Stale(limit);
        }
        if !rule.is_active(now.time) {
            return Verdict::Inactive;
        }
        if let Some(problem) = look.problem.filter(|_| self.set.is_taught(key)) {
            return Verdict::OtherView(problem.reason);
        }
        let found = look.probabilities.of(&key.label);
        if found.is_none_or(|probability| probability < rule.threshold) {
            return Verdict::BelowThreshold;
        }
        let Phase::Rising(rise) = &memory.phase else { return Verdict::Anew };
        if !memory.quiet.left(now.at).is_zero() {
            Verdict::Cooling
        } else if rise.agree() < rule.consensus.needed() {
            Verdict::TooFewFrames
        } else if now.at.since(rise.stay().since.at) < rule.hold {
            Verdict::Holding
        } else {
            Verdict::Due
        }
    }
}

impl LabelMemory {
    fn standing(&self, rule: &LabelRule, now: Captured) -> Standing {
        let (held, agree) = match &self.phase {
            Phase::Off => Default::default(),
            Phase::Rising(rise) => (now.at.since(rise.stay().since.at), rise.agree()),
            Phase::On(open) => (now.at.since(open.stay.since.at), rule.consensus.needed()),
        };
        let open = match &self.phase {
            Phase::On(open) => Some(OpenStay {
                id: open.id.clone(),
                since: open.stay.since.time,
                top_probability: open.stay.top,
            }),
            _ => None,
        };
        Standing {
            threshold: rule.threshold,
            clear: rule.clear,
            hold: rule.hold,
            held,
            consensus: rule.consensus,
            agree,
            cooldown: rule.cooldown,
            cooldown_left: self.quiet.left(now.at),
            schedule: rule.active.as_ref().map(|schedule| schedule.shift(now.time)),
            shadow: rule.shadow,
            open,
            highest: self.highest,
            events: self.events,
            suppressed: self.quiet.suppressed(),
        }
    }
}

fn listed(names: impl Iterator<Item = impl fmt::Display>) -> String {
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The labels of the watch that go by examples on `camera`.
fn taught(watch: &Watch, camera: &CameraId) -> Vec<LabelId> {
    let group = watch.taught.on(camera);
    let places = group.map(|group| group.labels.as_slice()).unwrap_or_default();
    places.iter().filter_map(|place| Some(watch.labels.get(*place)?.id.clone())).collect()
}

/// Whether the label has neither prompts nor examples.
fn is_blank(watch: &Watch, key: &LabelKey) -> bool {
    let is_it = |place: &&usize| watch.labels.get(**place).is_some_and(|one| one.id == key.label);
    let unworded = watch.taught.unworded.iter().any(|place| is_it(&place));
    unworded && !taught(watch, &key.camera).contains(&key.label)
}
