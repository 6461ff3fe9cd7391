//! The report as one JSON object.

use serde_json::{Value, json};

use super::{Found, HeldOut, Marked, Verdict};
use crate::tune::Setting;
use crate::tune::allowance::Allowance;
use crate::tune::bounds;
use crate::tune::json::{bounded, clip, outcome, point, setting, suggested, trial};
use crate::tune::suggest::{Promise, Rate};

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

fn marked(found: &Marked) -> Value {
    let suggestion = &found.suggestion;
    let best = suggested(suggestion);
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
