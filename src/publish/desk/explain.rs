//! The command `explain`: the alert stage is asked, and what it says goes out on `P/reply`.
//!
//! Reads nothing but this one command; what is malformed or another command is for others.

use serde_json::Value;

use super::Desk;
use crate::model::{CameraId, LabelId, LabelKey, WatchId};
use crate::publish::{Explained, payload};
use crate::watch::Request;

impl Desk {
    /// A message on `P/command`.
    pub(super) fn command(&self, message: &[u8], retained: bool) {
        let Ok(command) = serde_json::from_slice::<Value>(message) else { return };
        if retained || command["command"] != "explain" {
            return;
        }
        match read_key(&command) {
            Ok(key) => self.explain(command["id"].clone(), key),
            Err(error) => self.reply_to_command(payload::refused(&command["id"], &error)),
        }
    }

    /// Asks why a label is on or off. The answer comes to [`Desk::explained`].
    pub(super) fn explain(&self, id: Value, key: LabelKey) {
        let (answers, for_id) = (self.settings.answers.clone(), id.clone());
        let answer = Box::new(move |result| {
            if answers.try_send(Explained { id: for_id, result }).is_err() {
                tracing::debug!("an explanation is dropped: too many are asked for");
            }
        });
        if self.settings.requests.try_send(Request::Explain { key, answer }).is_err() {
            let error = "too many are asked for at once; ask again in a moment";
            self.reply_to_command(payload::refused(&id, error));
        }
    }

    pub(in crate::publish) fn explained(&self, explained: &Explained) {
        self.reply_to_command(payload::explained(&explained.id, &explained.result));
    }

    fn reply_to_command(&self, payload: Vec<u8>) {
        self.send_now(self.settings.topics.reply(), payload);
    }
}

/// The label that a command names by `camera`, `watch` and `label`.
fn read_key(command: &Value) -> Result<LabelKey, String> {
    let name = |key: &str| {
        command[key].as_str().ok_or_else(|| format!("{key}: found {}; write an id", command[key]))
    };
    let wrong = |key: &str, error: crate::model::BadId| format!("{key}: {error}");
    Ok(LabelKey {
        camera: CameraId::try_new(name("camera")?).map_err(|error| wrong("camera", error))?,
        watch: WatchId::try_new(name("watch")?).map_err(|error| wrong("watch", error))?,
        label: LabelId::try_new(name("label")?).map_err(|error| wrong("label", error))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_label_is_named_by_three_ids() {
        let key = read_key(&json!({ "camera": "c", "watch": "w", "label": "l" })).unwrap();
        assert_eq!((key.camera.as_str(), key.watch.as_str(), key.label.as_str()), ("c", "w", "l"));
        let error = |command: Value| read_key(&command).unwrap_err();
        assert_eq!(error(json!({ "camera": 3 })), "camera: found 3; write an id");
        assert_eq!(error(json!({ "camera": "c" })), "watch: found null; write an id");
        let slash = error(json!({ "camera": "c", "watch": "w", "label": "a/b" }));
        assert!(slash.starts_with("label: \"a/b\" cannot be an id"), "{slash}");
    }
}
