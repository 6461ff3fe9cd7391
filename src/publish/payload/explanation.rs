//! An explanation as JSON, for `P/reply` and `seewhen explain --json`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SuppressedPayload, rounded, seconds};
use crate::watch::explanation::{Explanation, Standing};

/// All that is known of why a label is on or off. Times are Unix seconds, lengths seconds.
pub fn explanation_fields(explanation: &Explanation) -> Value {
    let key = &explanation.key;
    let rival = explanation.rival().map(
        |(label, probability)| json!({ "label": label.as_str(), "probability": rounded(probability) }),
    );
    let frame = explanation.frame.as_ref().map(|frame| {
        let by_name = |(label, p): (&crate::model::LabelId, f32)| {
            (label.as_str().to_owned(), Value::from(rounded(p)))
        };
        json!({
            "time": seconds(frame.time),
            "age": length(frame.age),
            "unchanged": frame.unchanged,
            "probabilities": frame.probabilities.iter().map(by_name).collect::<serde_json::Map<_, _>>(),
        })
    });
    let camera = explanation.camera.as_ref().map(|camera| {
        json!({
            "state": camera.state.word(),
            "reason": camera.reason,
            "since": seconds(camera.captured.time),
        })
    });
    json!({
        "camera": key.camera.as_str(),
        "watch": key.watch.as_str(),
        "label": key.label.as_str(),
        "time": seconds(explanation.now),
        "state": if explanation.is_on() { "ON" } else { "OFF" },
        "why": explanation.verdict.word(),
        "sentence": explanation.sentence(),
        "probability": explanation.probability().map(rounded),
        "rival": rival,
        "rule": explanation.standing.as_ref().map(standing),
        "frame": frame,
        "camera_status": camera,
        "taught": explanation.is_taught(),
        "model": &*explanation.model,
    })
}

fn standing(standing: &Standing) -> Value {
    let shift = standing.schedule.map(|shift| {
        json!({
            "active": shift.active,
            "since": shift.since.map(seconds),
            "until": shift.until.map(seconds),
        })
    });
    let open = standing.open.as_ref().map(|open| {
        json!({
            "id": &*open.id,
            "since": seconds(open.since),
            "top_probability": rounded(open.top_probability),
        })
    });
    let highest = standing.highest.map(
        |(probability, time)| json!({ "probability": rounded(probability), "time": seconds(time) }),
    );
    json!({
        "threshold": rounded(standing.threshold),
        "clear": rounded(standing.clear),
        "hold": { "length": length(standing.hold), "so_far": length(standing.held) },
        "consensus": {
            "needed": standing.consensus.needed(),
            "of": standing.consensus.of(),
            "so_far": standing.agree,
        },
        "cooldown": { "length": length(standing.cooldown), "left": length(standing.cooldown_left) },
        "schedule": shift,
        "shadow": standing.shadow,
        "event": open,
        "highest": highest,
        "events": standing.events,
        "suppressed": standing.suppressed.map(SuppressedPayload::of),
    })
}

/// Seconds, to a thousandth.
fn length(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
