//! What became of a command as JSON, for `P/reply`.

use serde::Serialize;

use super::{explanation_fields, json};
use crate::command::Answer;

#[derive(Serialize)]
struct ReplyPayload<'a> {
    id: Option<&'a str>,
    topic: Option<&'a str>,
    command: Option<&'a str>,
    ok: bool,
    reason: Option<&'a str>,
    persisted: Option<bool>,
    notes: &'a [String],
    explanation: Option<serde_json::Value>,
    taught: Option<serde_json::Value>,
}

/// The answer to a command as JSON. `reason`: why it was not carried out; `persisted`: it will be so
/// after a restart, null when nothing was changed; `notes`: what was done besides; `explanation`: what
/// was asked for; `taught`: how many frames a label goes by, null but for teaching.
pub fn reply(answer: &Answer) -> Vec<u8> {
    let (done, refusal) = (answer.result.as_ref().ok(), answer.result.as_ref().err());
    json(&ReplyPayload {
        id: answer.tag.id.as_deref(),
        topic: answer.tag.topic.as_deref(),
        command: answer.tag.command,
        ok: done.is_some(),
        reason: refusal.map(|refusal| refusal.reason.as_str()),
        persisted: done.and_then(|done| done.persisted),
        notes: done.map(|done| done.notes.as_slice()).unwrap_or_default(),
        explanation: done.and_then(|done| done.explanation.as_deref()).map(explanation_fields),
        taught: done
            .and_then(|done| done.taught.as_deref())
            .map(|counts| {
                serde_json::json!({ "added": counts.added, "yes": counts.yes, "no": counts.no })
            }),
    })
}
