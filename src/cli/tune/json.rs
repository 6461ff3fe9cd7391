//! The report as one JSON object.

use serde_json::{Value, json};

use super::{Found, HeldOut, Marked, Verdict, exact};
use crate::tune::allowance::Allowance;
use crate::tune::bounds::{self, Bounded};
use crate::tune::plot::Point;
use crate::tune::score::Outcome;
use crate::tune::suggest::{Promise, Rate, Trial};
use crate::tune::{Clip, Setting};

pub(super) fn report(found: &Found) -> Value {
    let mut report = json!({
        "label": found.label,
        "footage": found.clips.iter().map(clip).collect::<Vec<_>>(),
        "confidence": bounds::CONFIDENCE,
    });
    let more = match &found.result {
        Verdict::Marked(found) => marked(found),
        Verdict::Unmarked { promise, allowance } => unmarked(promise, *allowance, &found.now),
    };
    if let (Value::Object(report), Value::Object(more)) = (&mut report, more) {
        report.extend(more);
    }
    report["now"]["configured"] = found.configured.into();
    report
}

fn clip(clip: &Clip) -> Value {
    let spans = clip.marks.as_ref().map(|marks| marks.there.len());
    json!({
        "name": clip.name, "seconds": clip.seconds(), "frames": clip.samples.len(), "spans": spans,
    })
}

fn marked(found: &Marked) -> Value {
    let suggestion = &found.suggestion;
    let (low, high) = suggestion.range;
    let mut best = trial(&suggestion.best);
    best["as_good"] = json!({ "from": exact(low), "to": exact(high) });
    let held_out = found.held_out.as_ref().map(|HeldOut { clips, now, suggested }| {
        json!({
            "footage": clips.iter().map(clip).collect::<Vec<_>>(),
            "now": outcome(now),
            "suggested": outcome(suggested),
        })
    });
    json!({
        "now": trial(&suggestion.now), "suggested": best, "tried": suggestion.tried,
        "curve": found.points.iter().map(point).collect::<Vec<_>>(), "held_out": held_out,
    })
}

fn setting(setting: &Setting) -> Value {
    json!({
        "threshold": exact(setting.threshold),
        "clear": exact(setting.clear),
        "hold": setting.hold.as_secs_f64(),
        "for": { "needed": setting.consensus.needed(), "of": setting.consensus.of() },
    })
}

fn trial(trial: &Trial) -> Value {
    let mut value = setting(&trial.setting);
    value["outcome"] = outcome(&trial.outcome);
    value
}

fn outcome(outcome: &Outcome) -> Value {
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
fn bounded(value: Bounded) -> Value {
    json!({ "seen": value.seen, "low": value.low, "high": value.high })
}

fn point(point: &Point) -> Value {
    json!({
        "threshold": exact(point.threshold),
        "precision": point.precision,
        "recall": point.recall,
        "frame_precision": point.frame_precision,
        "frame_recall": point.frame_recall,
    })
}

fn unmarked(promise: &Promise, allowance: Allowance, now: &Setting) -> Value {
    let rate = |rate: &Rate| {
        let mut value = setting(&rate.setting);
        value["events"] = rate.events.into();
        value["a_day"] = bounded(bounds::a_day(rate.events, promise.seconds));
        value["at_most_a_day"] = json!(bounds::most(rate.events) / (promise.seconds / bounds::DAY));
        value
    };
    let of_now = promise.curve.iter().find(|rate| rate.setting.threshold == now.threshold);
    json!({
        "at_most": { "text": allowance.to_string(), "a_day": allowance.a_day() },
        "seconds": promise.seconds,
        "seconds_needed": promise.needed,
        "now": of_now.map(rate),
        "promised": promise.promised.as_ref().map(rate),
        "seen": promise.seen.as_ref().map(rate),
        "curve": promise.curve.iter().map(rate).collect::<Vec<_>>(),
    })
}
