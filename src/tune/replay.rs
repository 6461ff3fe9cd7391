//! What the rules would have done with footage: `alert::rules` itself, driven with the footage's time.

use std::sync::Arc;
use std::time::Duration;

use ndarray::Array2;

use super::{Clip, Sample, Setting};
use crate::alert::rules::Rules;
use crate::model::{Captured, Event, EventKind, LabelKey, Moment, Picture, Probability, WallTime};
use crate::watch::{
    Label, Look, Probabilities, ScoreKind, Scored, Watch, WatchScore, WatchSet, WatchedCamera,
};

/// One event, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stay {
    /// First frame at or above the threshold.
    pub from: f64,
    /// The frame that started the event: when it would have been told.
    pub told: f64,
    /// Last frame before it cleared.
    pub to: f64,
    pub top: Probability,
}

/// The events of a clip, in order.
pub fn replay(clip: &Clip, setting: &Setting) -> Vec<Stay> {
    let mut driver = Driver::new(clip, setting);
    let mut stays = Vec::new();
    let (mut on, mut below) = (false, 0);
    for sample in &clip.samples {
        // Most of most footage: nothing is on, and no frame is remembered that could count. The rules
        // would do nothing with one more below.
        let idle = !on && below >= setting.consensus.of();
        below = if sample.probability >= setting.threshold { 0 } else { below + 1 };
        if idle && below > 0 {
            continue;
        }
        for event in driver.look(*sample) {
            on = take(&event, &mut stays);
        }
    }
    for event in driver.rules.end_all() {
        take(&event, &mut stays);
    }
    stays
}

/// Whether the label is on after it.
fn take(event: &Event, stays: &mut Vec<Stay>) -> bool {
    let (from, told) = (event.start_time.0, event.frame_time.0);
    match (event.kind, stays.last_mut()) {
        (EventKind::Start, _) => {
            stays.push(Stay { from, told, to: told, top: event.top_probability });
        }
        (_, Some(stay)) => {
            stay.to = event.end_time.map_or(told, |time| time.0);
            stay.top = event.top_probability;
        }
        (_, None) => {}
    }
    event.kind == EventKind::Start
}

/// The rules, and what they know of the clip's camera and label.
struct Driver {
    rules: Rules,
    /// The newest frame; only its time and its probability change.
    scored: Scored,
}

impl Driver {
    fn new(clip: &Clip, setting: &Setting) -> Self {
        let LabelKey { camera, watch, label } = clip.key.clone();
        let set = Arc::new(WatchSet {
            cameras: vec![WatchedCamera {
                id: camera.clone(),
                stale_after: clip.stale_after,
                enabled: true,
                view_check: None,
            }],
            watches: vec![Watch {
                id: watch.clone(),
                cameras: vec![camera.clone()],
                labels: [Label { id: label, rule: Some(setting.rule()) }].into(),
                score: ScoreKind::Sigmoid,
                matrix: Array2::zeros((1, 0)),
                taught: Default::default(),
                publish_every: Duration::ZERO,
                enabled: true,
            }],
            logit_scale: 1.0,
            logit_bias: 0.0,
            model: "".into(),
            revision: 1,
        });
        let scored = Scored {
            camera,
            captured: Captured::default(),
            unchanged: false,
            problem: None,
            scores: Vec::new(),
            look: Arc::new(Look { tiles: Vec::new(), embeddings: [].into() }),
            rules: set.clone(),
            picture: Arc::new(Picture { width: 0, height: 0, rgb: Vec::new() }),
        };
        Self { rules: Rules::new(set), scored }
    }

    fn look(&mut self, sample: Sample) -> Vec<Event> {
        self.scored.captured = captured(sample.time);
        let watch = &self.rules.set().watches[0];
        let probabilities = Probabilities::new(watch.labels.clone(), [sample.probability]);
        self.scored.scores = vec![WatchScore::new(watch.id.clone(), probabilities)];
        self.rules.observe(&self.scored)
    }
}

/// Whole microseconds, so that a hold of a second is over after frames a second apart.
fn captured(time: f64) -> Captured {
    let at = Duration::from_micros((time.max(0.0) * 1e6).round() as u64);
    Captured { at: Moment(at), time: WallTime(time) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tune::tests::key;
    use crate::watch::Consensus;

    fn clip(samples: impl IntoIterator<Item = (f64, f32)>) -> Clip {
        let samples =
            samples.into_iter().map(|(time, probability)| Sample { time, probability }).collect();
        let stale_after = Duration::from_secs(5);
        Clip { name: "clip".to_owned(), key: key(), samples, stale_after, marks: None }
    }

    #[test]
    fn holds_gaps_and_the_end() {
        let seen = [0.1, 0.9, 0.9, 0.9, 0.45, 0.3, 0.9, 0.9];
        let mut samples: Vec<(f64, f32)> =
            seen.iter().enumerate().map(|(n, p)| (n as f64, *p)).collect();
        // Nobody looked for a while.
        samples.extend([(20.0, 0.8), (21.0, 0.8), (22.0, 0.7)]);
        let plain = Setting::plain(0.5, 0.8);
        let stay = |from, told, to, top| Stay { from, told, to, top };
        let expected =
            vec![stay(1.0, 1.0, 4.0, 0.9), stay(6.0, 6.0, 7.0, 0.9), stay(20.0, 20.0, 22.0, 0.8)];
        assert_eq!(replay(&clip(samples.clone()), &plain), expected);
        let held = Setting { hold: Duration::from_secs(2), ..plain };
        let expected = vec![stay(1.0, 3.0, 4.0, 0.9), stay(20.0, 22.0, 22.0, 0.8)];
        assert_eq!(replay(&clip(samples), &held), expected);
    }

    fn every_frame(clip: &Clip, setting: &Setting) -> Vec<Stay> {
        let (mut driver, mut stays) = (Driver::new(clip, setting), Vec::new());
        for sample in &clip.samples {
            for event in driver.look(*sample) {
                take(&event, &mut stays);
            }
        }
        for event in driver.rules.end_all() {
            take(&event, &mut stays);
        }
        stays
    }

    proptest! {
        #[test]
        fn what_is_left_out_changes_nothing(
            frames in prop::collection::vec((1..70_u32, 0..10_u8), 0..60),
            (needed, more) in (1..4_usize, 0..4_usize),
            hold in 0..5_u64,
        ) {
            let mut time = 0.0;
            let samples = frames.iter().map(|(gap, p)| {
                time += f64::from(*gap) / 10.0;
                (time, f32::from(*p) / 10.0)
            });
            let clip = clip(samples.collect::<Vec<_>>());
            let setting = Setting {
                hold: Duration::from_secs(hold),
                consensus: Consensus::try_new(needed, needed + more).unwrap(),
                ..Setting::plain(0.5, 0.8)
            };
            prop_assert_eq!(replay(&clip, &setting), every_frame(&clip, &setting));
        }
    }
}
