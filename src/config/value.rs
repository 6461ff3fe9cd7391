//! From a raw value to a type, or to words that say what was found and what is allowed.

use std::ops::RangeInclusive;
use std::time::Duration;

use ::config::{Value, ValueKind};

use super::keys;
use super::layer::Origin;
use super::source::masked;

/// What a value is, in words; long texts are cut.
pub(super) fn describe(value: &Value) -> String {
    match &value.kind {
        // Masked, since an address may have landed in the wrong place.
        ValueKind::String(text) => match masked(text) {
            long if long.chars().count() > 60 => {
                format!(
                    "the text {:?}",
                    long.chars().take(57).chain("...".chars()).collect::<String>()
                )
            }
            short => format!("the text {short:?}"),
        },
        ValueKind::Boolean(boolean) => format!("{boolean}"),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::Nil => "a date or time".to_owned(),
        number => format!("the number {number}"),
    }
}

pub(super) fn text(value: &Value) -> Result<String, String> {
    match &value.kind {
        ValueKind::String(text) => Ok(text.clone()),
        _ => Err(format!("found {}; write a text in quotes", describe(value))),
    }
}

/// A text that is not empty.
pub(super) fn words(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.trim().is_empty() { Err("found an empty text".to_owned()) } else { Ok(text) }
}

pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    match &value.kind {
        ValueKind::Boolean(boolean) => Ok(*boolean),
        // Environment variables are texts.
        ValueKind::String(text) if Origin::of(value).is_none() && text == "true" => Ok(true),
        ValueKind::String(text) if Origin::of(value).is_none() && text == "false" => Ok(false),
        _ => Err(format!("found {}; write true or false", describe(value))),
    }
}

pub(super) fn number(value: &Value) -> Result<f64, String> {
    match &value.kind {
        ValueKind::Float(number) => Ok(*number),
        // Numbers that a user means fit; others fail the range check that follows.
        ValueKind::I64(number) => Ok(*number as f64),
        _ => Err(format!("found {}; write a number", describe(value))),
    }
}

pub(super) fn count(value: &Value, allowed: RangeInclusive<usize>) -> Result<usize, String> {
    let found = match &value.kind {
        ValueKind::I64(number) => usize::try_from(*number).ok(),
        // Environment variables are texts.
        ValueKind::String(text) if Origin::of(value).is_none() => text.trim().parse().ok(),
        _ => None,
    };
    found.filter(|number| allowed.contains(number)).ok_or_else(|| {
        let (least, most) = allowed.clone().into_inner();
        format!("found {}; write a whole number from {least} to {most}", describe(value))
    })
}

pub(super) fn duration(
    value: &Value,
    allowed: RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let text = match &value.kind {
        ValueKind::String(text) => text,
        ValueKind::I64(number) => {
            return Err(format!(
                "found the number {number}; write a duration with its unit, such as \"{number}s\""
            ));
        }
        _ => return Err(format!("found {}; write a duration such as \"2s\"", describe(value))),
    };
    let found = humantime::parse_duration(text).map_err(|_| {
        format!("found {text:?}; write a number and its unit, such as \"500ms\", \"2s\" or \"5m\"")
    })?;
    if allowed.contains(&found) {
        return Ok(found);
    }
    let (least, most) = allowed.into_inner();
    let show = |duration| humantime::format_duration(duration);
    Err(format!("found {text:?}; allowed are {} to {}", show(least), show(most)))
}

/// One of several words.
pub(super) fn choice<T: Copy>(value: &Value, allowed: &[(&str, T)]) -> Result<T, String> {
    let found = text(value)?;
    let words = || allowed.iter().map(|(word, _)| *word);
    allowed.iter().find(|(word, _)| *word == found).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let list: Vec<String> = words().map(|word| format!("{word:?}")).collect();
        let guess = keys::did_you_mean(&found, words(), '"');
        format!("found {found:?}; allowed are {}{guess}", list.join(", "))
    })
}
