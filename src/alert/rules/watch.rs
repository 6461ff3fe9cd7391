//! The labels of one watch on one camera, by their places in the watch: nothing is looked up by name for a
//! frame, because labels may be thousands.

use std::collections::HashMap;
use std::sync::Arc;

use super::label::{LabelMemory, Seen, Whose};
use crate::model::{CameraId, Captured, Event, LabelId, Moment, Problem};
use crate::watch::{LabelRule, Probabilities, Scored, Watch, WatchScore};

/// The newest frame of a watch on a camera.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) captured: Captured,
    pub(super) probabilities: Probabilities,
    /// What was wrong with the view.
    pub(super) problem: Option<Problem>,
    /// Frames that changed nothing, up to this one.
    pub(super) unchanged: u32,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct WatchMemory {
    /// One for each label of the watch in force, in its order. Background has nothing to remember.
    pub(super) labels: Vec<LabelMemory>,
    /// The newest frame, to explain by.
    pub(super) look: Option<Look>,
}

impl WatchMemory {
    /// Looks at what `watch` says of a frame.
    pub(super) fn observe(
        &mut self,
        watch: &Watch,
        scored: &Scored,
        score: &WatchScore,
        model: &Arc<str>,
    ) -> Vec<Event> {
        self.note(scored, score);
        // What was taught another view says nothing of this one.
        let taught = scored.problem.and_then(|_| watch.taught.on(&scored.camera));
        let blind = taught.map(|group| group.labels.as_slice()).unwrap_or_default();
        let probabilities = score.probabilities.values().iter();
        let labels = watch.labels.iter().zip(&mut self.labels).zip(probabilities);
        let mut events = Vec::new();
        for (place, ((label, memory), probability)) in labels.enumerate() {
            let Some(rule) = &label.rule else { continue };
            let whose = Whose { camera: &scored.camera, watch: &watch.id, label: &label.id, model };
            let captured = scored.captured;
            events.extend(if blind.contains(&place) {
                memory.finish(whose, Some(captured.at), rule.cooldown)
            } else {
                let seen = Seen { captured, probability: *probability, score, place };
                memory.step(whose, rule, &seen)
            });
        }
        events
    }

    /// Goes over to what the watch is `now`, with whether its camera is on; `None`: it does not look at this
    /// camera any more. `before`: what it was; `model`: of the events until then.
    pub(super) fn adopt(
        &mut self,
        camera: &CameraId,
        before: &Watch,
        now: Option<(&Watch, bool)>,
        model: &Arc<str>,
    ) -> Vec<Event> {
        let labels = now.map(|(watch, _)| &*watch.labels).unwrap_or_default();
        let camera_on = now.is_some_and(|(_, on)| on);
        let places: HashMap<&LabelId, usize> =
            labels.iter().enumerate().map(|(place, label)| (&label.id, place)).collect();
        let known = std::mem::take(&mut self.labels);
        self.labels.resize_with(labels.len(), LabelMemory::default);
        let mut events = Vec::new();
        for (label, mut memory) in before.labels.iter().zip(known) {
            let Some(old) = &label.rule else { continue };
            let place = places.get(&label.id);
            let new = place.and_then(|place| Some((*place, labels[*place].rule.as_ref()?)));
            let goes_on =
                |(_, new): (_, &LabelRule)| new.enabled && camera_on && new.shadow == old.shadow;
            if !new.is_some_and(goes_on) {
                let whose = Whose { camera, watch: &before.id, label: &label.id, model };
                events.extend(memory.finish(whose, None, old.cooldown));
            }
            if let Some((place, new)) = new {
                if new != old {
                    memory.go_by(new, old);
                }
                self.labels[place] = memory;
            }
        }
        events
    }

    /// Ends the labels that `lost` speaks of.
    pub(super) fn end_where(
        &mut self,
        camera: &CameraId,
        watch: &Watch,
        end: Option<Moment>,
        lost: impl Fn(&LabelRule, &LabelMemory) -> bool,
        model: &Arc<str>,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for (label, memory) in watch.labels.iter().zip(&mut self.labels) {
            let Some(rule) = &label.rule else { continue };
            if lost(rule, memory) {
                let whose = Whose { camera, watch: &watch.id, label: &label.id, model };
                events.extend(memory.finish(whose, end, rule.cooldown));
            }
        }
        events
    }

    /// Remembers what the watch said of a frame.
    fn note(&mut self, scored: &Scored, score: &WatchScore) {
        let before = self.look.as_ref().map_or(0, |look| look.unchanged);
        self.look = Some(Look {
            captured: scored.captured,
            probabilities: score.probabilities.clone(),
            problem: scored.problem,
            unchanged: if scored.unchanged { before.saturating_add(1) } else { 0 },
        });
    }
}
