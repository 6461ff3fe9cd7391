//! Settings, and what came of them, as JSON.

use serde_json::{Value, json};

use super::bounds::{self, Bounded};
use super::plot::Point;
use super::score::Outcome;
use super::suggest::{Suggestion, Trial};
use super::{Clip, Setting};

pub fn clip(clip: &Clip) -> Value {
    let spans = clip.marks.as_ref().map(|marks| marks.there.len());
    json!({
        "name": clip.name, "seconds": clip.seconds(), "frames": clip.samples.len(), "spans": spans,
    })
}

pub fn setting(setting: &Setting) -> Value {
    json!({
        "threshold": exact(setting.threshold),
        "clear": exact(setting.clear),
        "hold": setting.hold.as_secs_f64(),
        "for": { "needed": setting.consensus.needed(), "of": setting.consensus.of() },
    })
}

pub fn trial(trial: &Trial) -> Value {
    let mut value = setting(&trial.setting);
    value["outcome"] = outcome(&trial.outcome);
    value
}

pub fn outcome(outcome: &Outcome) -> Value {
    let told = outcome.found + outcome.false_events;
    json!({
        "spans": outcome.spans,
        "found": outcome.found,
        "false_events": outcome.false_events,
        "repeats": outcome.repeats,
        "unseen": outcome.unseen,
        "recall": bounded(bounds::share(outcome.found, outcome.spans)),
        "precision": bounded(bounds::share(outcome.found, told)),
        "f_score": outcome.f_score(),
        "delay": outcome.delay(),
        "seconds_without": outcome.without,
        "false_a_day": bounded(bounds::a_day(outcome.false_events, outcome.without)),
    })
}

/// What has no end is null.
pub fn bounded(value: Bounded) -> Value {
    json!({ "seen": value.seen, "low": value.low, "high": value.high })
}

pub fn point(point: &Point) -> Value {
    json!({
        "threshold": exact(point.threshold),
        "precision": point.precision,
        "recall": point.recall,
        "frame_precision": point.frame_precision,
        "frame_recall": point.frame_recall,
    })
}

/// What is suggested, beside how well other thresholds do.
pub fn suggested(suggestion: &Suggestion) -> Value {
    let (low, high) = suggestion.range;
    let mut best = trial(&suggestion.best);
    best["as_good"] = json!({ "from": exact(low), "to": exact(high) });
    best
}

/// As it was written: 0.3, not 0.30000001.
pub fn exact(probability: f32) -> f64 {
    probability.to_string().parse().unwrap_or_else(|_| f64::from(probability))
}
