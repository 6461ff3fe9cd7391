//! From what somebody sent to a [`Request`], or to why it is none. Pure.
//!
//! Strict: a field that is not known, or given twice, is an error, for whoever mistypes one must not
//! believe that it was heard. What values may be is left to the configuration, which is the same for all.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;
use toml::Value;

use super::{Answer, Command, MOST, Outcome, Request, Tag, Target, When, shortened};
use crate::config::{LABEL_KEYS, unknown_key};
use crate::model::{BadId, CameraId, LabelId, LabelKey, WatchId};

/// Most characters of an id.
const LONGEST_ID: usize = 64;
/// Most prompts of a label, and the longest: the model reads 77 tokens at most.
const MOST_PROMPTS: usize = 32;
const LONGEST_PROMPT: usize = 500;

const COMMANDS: &[&str] = &[
    "enable",
    "disable",
    "set_threshold",
    "add_label",
    "change_label",
    "remove_label",
    "snapshot",
    "learn_view",
    "explain",
    "teach",
    "undo_teach",
];

/// Most times that a command teaches, of each kind.
const MOST_TIMES: usize = 100;

/// A command as JSON: `{"id": …, "command": …, …}`.
///
/// # Errors
/// The answer that says what is wrong with it.
pub fn json(payload: &[u8]) -> Result<Request, Answer> {
    let mut tag = Tag::default();
    read(payload, &mut tag).map_err(|(outcome, reason)| Answer::refuse(tag, outcome, reason))
}

/// `ON` or `OFF`, for a camera.
///
/// # Errors
/// As [`json`].
pub fn switch(topic: &str, camera: &str, payload: &[u8]) -> Result<Request, Answer> {
    let on = match payload {
        b"ON" => Some(true),
        b"OFF" => Some(false),
        _ => None,
    };
    let word = if on == Some(false) { "disable" } else { "enable" };
    let tag = Tag { id: None, topic: Some(topic.to_owned()), command: Some(word) };
    let command = || {
        let camera = CameraId::try_new(camera).map_err(bad_id)?;
        let on = on.ok_or_else(|| malformed(payload, "write ON or OFF"))?;
        Ok(Command::Enable(Target::Camera(camera), on))
    };
    finish(command(), tag)
}

/// A number, for the threshold of a label.
///
/// # Errors
/// As [`json`].
pub fn threshold(topic: &str, key: [&str; 2], payload: &[u8]) -> Result<Request, Answer> {
    let tag = Tag { id: None, topic: Some(topic.to_owned()), command: Some("set_threshold") };
    let command = || {
        let (watch, label) = (WatchId::try_new(key[0]), LabelId::try_new(key[1]));
        let (watch, label) = (watch.map_err(bad_id)?, label.map_err(bad_id)?);
        let text = std::str::from_utf8(payload).ok().filter(|text| text.len() <= 32);
        let number = text.and_then(|text| text.trim().parse().ok());
        let number = number.filter(|number: &f64| number.is_finite());
        let wanted = "write a number above 0 and at most 1, such as 0.8";
        let number = number.ok_or_else(|| malformed(payload, wanted))?;
        Ok(Command::SetThreshold(watch, label, number))
    };
    finish(command(), tag)
}

type Wrong = (Outcome, String);

fn finish(command: Result<Command, Wrong>, tag: Tag) -> Result<Request, Answer> {
    match command {
        Ok(command) => Ok(Request { tag, command, persist: None }),
        Err((outcome, reason)) => Err(Answer::refuse(tag, outcome, reason)),
    }
}

fn wrong(reason: impl Into<String>) -> Wrong {
    (Outcome::Malformed, reason.into())
}

fn malformed(payload: &[u8], wanted: &str) -> Wrong {
    let found = String::from_utf8_lossy(&payload[..payload.len().min(200)]).into_owned();
    wrong(format!("found {:?}; {wanted}", shortened(&found, 40)))
}

fn bad_id(error: BadId) -> Wrong {
    (Outcome::Refused, shortened(&error.to_string(), 300))
}

/// `tag` is filled as far as reading comes.
fn read(payload: &[u8], tag: &mut Tag) -> Result<Request, Wrong> {
    if payload.len() > MOST {
        let size = payload.len();
        return Err((Outcome::TooLarge, format!("{size} bytes; a command has at most {MOST}")));
    }
    let fields: Fields = serde_json::from_slice(payload).map_err(|error| {
        wrong(format!("no JSON object: {}", shortened(&error.to_string(), 200)))
    })?;
    let mut fields = fields.0;
    let twin = |n: &usize| fields[..*n].iter().any(|(name, _)| *name == fields[*n].0);
    if let Some(n) = (0..fields.len()).find(twin) {
        return Err(wrong(format!("{:?} is given twice", shortened(&fields[n].0, 40))));
    }
    tag.id = match take(&mut fields, "id") {
        None | Some(Json::Null) => None,
        Some(Json::String(id)) if id.chars().count() <= LONGEST_ID => Some(id),
        Some(_) => {
            return Err(wrong(format!("id: write a text of at most {LONGEST_ID} characters")));
        }
    };
    let word = text(&mut fields, "command")?;
    let known = COMMANDS.iter().find(|known| **known == word);
    tag.command = known.copied();
    let Some(known) = known else {
        let list = COMMANDS.join(", ");
        return Err(wrong(format!("no command {:?}; commands: {list}", shortened(&word, 40))));
    };
    let persist = match take(&mut fields, "persist") {
        None => None,
        Some(Json::Bool(persist)) => Some(persist),
        Some(_) => return Err(wrong("persist: write true or false")),
    };
    let command = command(known, &mut fields)?;
    if persist.is_some() {
        match command {
            Command::Snapshot(_) | Command::Explain(_) => {
                return Err(wrong("persist: this command changes nothing"));
            }
            Command::LearnView(_) => {
                return Err(wrong("persist: what is learnt of a view is always kept"));
            }
            Command::Teach { .. } | Command::UndoTeach(..) => {
                return Err(wrong(
                    "persist: what is taught is always kept; undo_teach takes it back",
                ));
            }
            _ => {}
        }
    }
    if let Some((name, _)) = fields.first() {
        return Err(unknown(name, known));
    }
    Ok(Request { tag: tag.clone(), command, persist })
}

fn unknown(name: &str, command: &str) -> Wrong {
    let known: &[&str] = match command {
        "enable" | "disable" => &["camera", "watch", "label"],
        "set_threshold" => &["watch", "label", "threshold"],
        "snapshot" | "learn_view" => &["camera"],
        "explain" => &["camera", "watch", "label"],
        "teach" => &["camera", "watch", "label", "yes", "no"],
        "undo_teach" | "remove_label" => &["watch", "label"],
        _ => &[&["watch", "label"], &LABEL_KEYS[1..]].concat(),
    };
    let known = [&["id", "command", "persist"], known].concat();
    wrong(format!("{:?}: {}", shortened(name, 40), unknown_key(&shortened(name, 40), &known)))
}

fn command(word: &str, fields: &mut Vec<(String, Json)>) -> Result<Command, Wrong> {
    Ok(match word {
        "enable" | "disable" => Command::Enable(target(fields)?, word == "enable"),
        "set_threshold" => {
            let (watch, label) = label(fields)?;
            let threshold = match take(fields, "threshold") {
                Some(Json::Number(number)) => number.as_f64(),
                _ => None,
            };
            let threshold =
                threshold.ok_or_else(|| wrong("threshold: write a number, such as 0.8"))?;
            Command::SetThreshold(watch, label, threshold)
        }
        "add_label" => {
            let (watch, label) = label(fields)?;
            let given = |(key, value): (String, Option<Value>)| match value {
                Some(value) => Ok((key, value)),
                None => Err(wrong(format!("{key}: found null; leave it out"))),
            };
            let keys = keys(fields)?.into_iter().map(given).collect::<Result<_, _>>()?;
            Command::AddLabel(watch, label, keys)
        }
        "change_label" => {
            let (watch, label) = label(fields)?;
            let keys = keys(fields)?;
            if keys.is_empty() && fields.is_empty() {
                let list = LABEL_KEYS[1..].join(", ");
                return Err(wrong(format!("nothing to change; keys of a label: {list}")));
            }
            Command::ChangeLabel(watch, label, keys)
        }
        "remove_label" => {
            let (watch, label) = label(fields)?;
            Command::RemoveLabel(watch, label)
        }
        "snapshot" => Command::Snapshot(id(fields, "camera", CameraId::try_new)?),
        "learn_view" => Command::LearnView(id(fields, "camera", CameraId::try_new)?),
        "undo_teach" => {
            let (watch, label) = label(fields)?;
            Command::UndoTeach(watch, label)
        }
        "teach" => {
            let key = label_key(fields)?;
            let (yes, no) = (times(fields, "yes")?, times(fields, "no")?);
            if yes.is_empty() && no.is_empty() {
                return Err(wrong(
                    "write in yes when it was there, and in no when it was not: a list of times",
                ));
            }
            Command::Teach { key, yes, no }
        }
        _ => Command::Explain(label_key(fields)?),
    })
}

fn label_key(fields: &mut Vec<(String, Json)>) -> Result<LabelKey, Wrong> {
    let camera = id(fields, "camera", CameraId::try_new)?;
    let (watch, label) = label(fields)?;
    Ok(LabelKey { camera, watch, label })
}

/// A list of times: Unix seconds, pairs of them, or texts.
fn times(fields: &mut Vec<(String, Json)>, name: &str) -> Result<Vec<When>, Wrong> {
    let found = match take(fields, name) {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::Array(found)) if found.len() <= MOST_TIMES => found,
        Some(Json::Array(_)) => return Err(wrong(format!("{name}: at most {MOST_TIMES} times"))),
        Some(one) => vec![one],
    };
    let time = |time: &Json| time.as_f64().filter(|time| (0.0..1e11).contains(time));
    let when = |one: &Json| match one {
        Json::String(text) if text.chars().count() <= LONGEST_ID => Some(When::Text(text.clone())),
        Json::Array(pair) => match pair[..] {
            [ref from, ref to] => {
                let (from, to) = (time(from)?, time(to)?);
                (from <= to).then_some(When::Span(from, to))
            }
            _ => None,
        },
        one => time(one).map(|time| When::Span(time, time)),
    };
    found
        .iter()
        .map(|one| {
            when(one).ok_or_else(|| {
        wrong(format!(
            "{name}: found {}; write Unix seconds, a pair of them ([from, to]), or a text such as \
             \"2026-11-24 18:03:10 - 18:04:00\" or \"last event\"",
            shortened(&one.to_string(), 40)
        ))
    })
        })
        .collect()
}

fn target(fields: &mut Vec<(String, Json)>) -> Result<Target, Wrong> {
    let has = |name: &str| fields.iter().any(|(known, _)| known == name);
    match (has("camera"), has("watch"), has("label")) {
        (true, false, false) => Ok(Target::Camera(id(fields, "camera", CameraId::try_new)?)),
        (false, true, false) => Ok(Target::Watch(id(fields, "watch", WatchId::try_new)?)),
        (false, true, true) => label(fields).map(|(watch, label)| Target::Label(watch, label)),
        _ => Err(wrong("write what is meant: camera, or watch, or watch and label")),
    }
}

fn label(fields: &mut Vec<(String, Json)>) -> Result<(WatchId, LabelId), Wrong> {
    Ok((id(fields, "watch", WatchId::try_new)?, id(fields, "label", LabelId::try_new)?))
}

fn id<T>(
    fields: &mut Vec<(String, Json)>,
    name: &str,
    try_new: impl Fn(&str) -> Result<T, BadId>,
) -> Result<T, Wrong> {
    try_new(&text(fields, name)?).map_err(|error| {
        let (outcome, reason) = bad_id(error);
        (outcome, format!("{name}: {reason}"))
    })
}

fn text(fields: &mut Vec<(String, Json)>, name: &str) -> Result<String, Wrong> {
    match take(fields, name) {
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(wrong(format!("{name}: write a text"))),
        None => Err(wrong(format!("{name} is missing"))),
    }
}

fn take(fields: &mut Vec<(String, Json)>, name: &str) -> Option<Json> {
    let index = fields.iter().position(|(known, _)| known == name)?;
    Some(fields.remove(index).1)
}

/// The keys of a label; its id is `label`.
fn keys(fields: &mut Vec<(String, Json)>) -> Result<Vec<(String, Option<Value>)>, Wrong> {
    let mut found = Vec::new();
    for key in LABEL_KEYS.iter().filter(|key| **key != "id") {
        let Some(value) = take(fields, key) else { continue };
        if *key == "prompts" {
            few_prompts(&value)?;
        }
        let value = match value {
            Json::Null => None,
            value => Some(toml(&value, true).map_err(|reason| wrong(format!("{key}: {reason}")))?),
        };
        found.push(((*key).to_owned(), value));
    }
    Ok(found)
}

/// Each prompt costs a run of the text model, during which no other command is carried out.
fn few_prompts(prompts: &Json) -> Result<(), Wrong> {
    let Json::Array(prompts) = prompts else { return Ok(()) };
    let long =
        |prompt: &Json| prompt.as_str().is_some_and(|it| it.chars().count() > LONGEST_PROMPT);
    if prompts.len() > MOST_PROMPTS || prompts.iter().any(long) {
        return Err(wrong(format!(
            "prompts: at most {MOST_PROMPTS}, of at most {LONGEST_PROMPT} characters each"
        )));
    }
    Ok(())
}

/// A value as the configuration may have it; no key of a label is a table.
fn toml(value: &Json, list: bool) -> Result<Value, &'static str> {
    match value {
        Json::String(text) => Ok(Value::String(text.clone())),
        Json::Bool(boolean) => Ok(Value::Boolean(*boolean)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Value::Integer(whole)),
            (None, Some(number)) => Ok(Value::Float(number)),
            (None, None) => Err("no number that can be used"),
        },
        Json::Array(items) if list => {
            items.iter().map(|item| toml(item, false)).collect::<Result<_, _>>().map(Value::Array)
        }
        Json::Array(_) => Err("found a list in a list"),
        Json::Object(_) => Err("found an object"),
        Json::Null => Err("found null in a list"),
    }
}

/// The fields of an object in the order they came, twins included, which a map would hide.
struct Fields(Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
#[path = "parse/tests.rs"]
mod tests;
