//! `[[watch]]` and `[[watch.label]]`: what to look for, and when it counts as seen.
//!
//! Reports thresholds that cannot work; what prompts look like to the model is left to `clip`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use ::config::{Value, ValueKind};
use jiff::tz::TimeZone;

use super::keys;
use super::layer::list_of;
use super::section::Section;
use super::value::{boolean, choice, describe, duration, number, text};
use crate::model::{CameraId, LabelId, WatchId};
use crate::watch::schedule::{Range, Schedule};
use crate::watch::{Consensus, LabelRule, ScoreKind};

/// `[[watch]]`
#[derive(Debug, Clone, PartialEq)]
pub struct WatchConfig {
    pub id: WatchId,
    pub cameras: Vec<CameraId>,
    /// Each with one `{}`; at least `"{}"` itself.
    pub templates: Vec<String>,
    pub score: ScoreKind,
    pub publish_every: Duration,
    pub enabled: bool,
    pub labels: Vec<LabelConfig>,
}

/// `[[watch.label]]`
#[derive(Debug, Clone, PartialEq)]
pub struct LabelConfig {
    pub id: LabelId,
    /// None: the label goes by examples alone.
    pub prompts: Vec<String>,
    pub score: LabelScore,
    /// `None`: background.
    pub rule: Option<LabelRule>,
}

/// What a label goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabelScore {
    /// Its prompts, until it is taught.
    #[default]
    Auto,
    /// Its prompts, whatever it was taught.
    Prompts,
    /// Examples, with prompts or without.
    Taught,
}

const UP_TO_A_DAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);

impl WatchConfig {
    pub(super) fn has_schedule(&self) -> bool {
        let rules = self.labels.iter().filter_map(|label| label.rule.as_ref());
        rules.into_iter().any(|rule| rule.active.is_some())
    }
}

/// `known` are the ids of all cameras; schedules go by `zone`. `None` when anything was wrong and
/// has been reported.
pub(super) fn read(watch: &Section<'_>, known: &[String], zone: &TimeZone) -> Option<WatchConfig> {
    let id = watch.require("id", "write a name, such as id = \"porch\"", |value| {
        WatchId::try_new(&text(value)?).map_err(|error| error.to_string())
    });
    let cameras = cameras(watch, known);
    let templates = templates(watch);
    let score = watch.get_or("score", ScoreKind::default(), |value| {
        choice(value, &[("softmax", ScoreKind::Softmax), ("sigmoid", ScoreKind::Sigmoid)])
    });
    let publish_every =
        watch.get_or("publish_every", Duration::from_secs(5), |value| duration(value, UP_TO_A_DAY));
    let active = active(watch, zone);
    let enabled = watch.get_or("enabled", true, boolean);
    let none = "no labels; add [[watch.label]] with id, prompts and threshold";
    let sections = watch.entries("label", keys::LABEL, Some(none));
    let by_default =
        Defaults { active: active.clone().flatten(), enabled: enabled.unwrap_or(true) };
    let labels: Vec<Option<LabelConfig>> =
        sections.iter().map(|one| label(one, zone, &by_default)).collect();
    check_thresholds(watch, &sections, score);
    active?;
    Some(WatchConfig {
        id: id?,
        cameras,
        templates,
        score: score?,
        publish_every: publish_every?,
        enabled: enabled?,
        labels: labels.into_iter().collect::<Option<_>>()?,
    })
}

fn cameras(watch: &Section<'_>, known: &[String]) -> Vec<CameraId> {
    let all = || known.iter().filter_map(|id| CameraId::try_new(id).ok()).collect();
    let wanted = "name cameras, or remove the key for all";
    let Some(names) = watch.texts("cameras", wanted) else { return all() };
    let mut found = Vec::new();
    for (place, name) in names {
        match CameraId::try_new(&name) {
            Ok(id) if found.contains(&id) => {
                watch.problem_at(place, "cameras", format!("{name:?} is given twice; keep one"));
            }
            Ok(id) if known.contains(&name) => found.push(id),
            _ => {
                let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let guess = keys::did_you_mean(&name, known.iter().map(String::as_str), '"');
                let message = format!("no camera {name:?}; known cameras: {list}{guess}");
                watch.problem_at(place, "cameras", message);
            }
        }
    }
    found
}

fn templates(watch: &Section<'_>) -> Vec<String> {
    let wanted = "write [\"{}\"], or remove the key";
    let Some(found) = watch.texts("templates", wanted) else { return vec!["{}".to_owned()] };
    for (place, template) in &found {
        if template.matches("{}").count() != 1 {
            let message = format!(
                "found {template:?}; a template has exactly one {{}}, where the prompt goes: \
                 \"a photo of {{}}\""
            );
            watch.problem_at(place.clone(), "templates", message);
        }
    }
    found.into_iter().map(|(_, template)| template).collect()
}

/// `Some(None)` where there is none, `None` when something was wrong.
fn active(section: &Section<'_>, zone: &TimeZone) -> Option<Option<Schedule>> {
    if !section.has("active") {
        return Some(None);
    }
    let wanted = "write [\"00:00-24:00\"] for always";
    let found = section.texts("active", wanted)?;
    let read = |(place, text): (_, String)| {
        let range = Range::parse(&text);
        range.map_err(|message| section.problem_at(place, "active", message)).ok()
    };
    // All of them, so that every problem is reported.
    let ranges: Vec<Option<Range>> = found.into_iter().map(read).collect();
    let ranges = ranges.into_iter().collect::<Option<_>>()?;
    Some(Some(Schedule::new(ranges, zone.clone())))
}

/// What a watch says for its labels.
struct Defaults {
    active: Option<Schedule>,
    /// Of a watch that is switched off no label is on.
    enabled: bool,
}

fn label(label: &Section<'_>, zone: &TimeZone, by_default: &Defaults) -> Option<LabelConfig> {
    let id = label.require("id", "write a name, such as id = \"package\"", |value| {
        LabelId::try_new(&text(value)?).map_err(|error| error.to_string())
    });
    let wanted = "write what the model should see, such as prompts = [\"a parcel by a door\"]";
    let score = label.get_or("score", LabelScore::default(), label_score);
    if score != Some(LabelScore::Taught) {
        label.require("prompts", wanted, |_| Ok(()));
    }
    let prompts = label.texts("prompts", wanted).unwrap_or_default();
    for (place, prompt) in &prompts {
        if prompt.trim().is_empty() {
            label.problem_at(
                place.clone(),
                "prompts",
                "found an empty prompt; write words, or remove it",
            );
        }
    }
    let rule = rule(label, zone, by_default);
    let prompts = prompts.into_iter().map(|(_, prompt)| prompt).collect();
    let (rule, score) = (rule?, score?);
    if score == LabelScore::Taught && rule.is_none() {
        label
            .problem("score", "a taught label stands alone, so it is no background; add threshold");
        return None;
    }
    Some(LabelConfig { id: id?, prompts, score, rule })
}

fn label_score(value: &Value) -> Result<LabelScore, String> {
    choice(value, &[("prompts", LabelScore::Prompts), ("taught", LabelScore::Taught)])
}

/// `Some(None)` for a background label, `None` when something was wrong.
fn rule(label: &Section<'_>, zone: &TimeZone, by_default: &Defaults) -> Option<Option<LabelRule>> {
    if !label.has("threshold") {
        for key in keys::RULE.iter().filter(|key| label.has(key)) {
            let message = "there is no threshold, so this label is background and never fires; \
                           add threshold, or remove this key";
            label.problem(key, message);
        }
        return Some(None);
    }
    let threshold = label.get("threshold", |value| probability(value, 1.0));
    let clear = match label.has("clear") {
        true => label.get("clear", |value| probability(value, threshold.unwrap_or(1.0))),
        false => threshold.map(|threshold| threshold * 0.8),
    };
    let time = |key| label.get_or(key, Duration::ZERO, |value| duration(value, UP_TO_A_DAY));
    let (hold, cooldown, update_every) = (time("hold"), time("cooldown"), time("update_every"));
    let consensus = label.get_or("for", Consensus::default(), consensus);
    let active = active(label, zone);
    let shadow = label.get_or("shadow", false, boolean);
    let enabled = label.get_or("enabled", true, boolean);
    Some(Some(LabelRule {
        threshold: threshold? as f32,
        clear: clear? as f32,
        hold: hold?,
        consensus: consensus?,
        cooldown: cooldown?,
        update_every: update_every?,
        active: active?.or_else(|| by_default.active.clone()),
        shadow: shadow?,
        enabled: enabled? && by_default.enabled,
    }))
}

/// "3 of 5 frames"
fn consensus(value: &Value) -> Result<Consensus, String> {
    let example = "such as \"3 of 5 frames\"";
    let ValueKind::String(text) = &value.kind else {
        return Err(format!(
            "found {}; write how many frames must agree, {example}",
            describe(value)
        ));
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let numbers = match words[..] {
        [needed, "of", of, "frames"] => needed.parse().ok().zip(of.parse().ok()),
        _ => None,
    };
    let (needed, of) = numbers
        .ok_or_else(|| format!("found {text:?}; write how many frames must agree, {example}"))?;
    Consensus::try_new(needed, of).ok_or_else(|| {
        let most = Consensus::MOST;
        format!(
            "found {text:?}; write at least 1 and no more than there are frames, of at most \
             {most} frames, {example}"
        )
    })
}

fn probability(value: &Value, most: f64) -> Result<f64, String> {
    let found = number(value)?;
    if found > 0.0 && found <= most {
        return Ok(found);
    }
    let what = if most < 1.0 { " (the threshold)" } else { "" };
    Err(format!("found {found}; write a probability above 0 and at most {most}{what}"))
}

/// Thresholds that are always or never reached, whatever the camera sees.
fn check_thresholds(watch: &Section<'_>, labels: &[Section<'_>], score: Option<ScoreKind>) {
    let threshold = |label: &Section<'_>| label.peek("threshold", number);
    if !labels.is_empty() && labels.iter().all(|label| !label.has("threshold")) {
        watch.warning("label", "no label has a threshold, so this watch never fires");
    }
    for label in labels.iter().filter(|label| threshold(label) == Some(1.0)) {
        label.warning("threshold", "a probability of 1 is reached by rounding only; write less");
    }
    if score != Some(ScoreKind::Softmax) {
        return;
    }
    let is_taught =
        |label: &Section<'_>| label.peek("score", label_score) == Some(LabelScore::Taught);
    if let [only] = labels
        && only.has("threshold")
        && !is_taught(only)
    {
        only.problem(
            "threshold",
            "this is the watch's only label, and softmax shares 1 among the labels of a watch, so \
             its probability is always 1; add a background label (prompts without threshold) for \
             what is there otherwise, such as \"an empty porch\"",
        );
    }
    let prompts = |label: &Section<'_>| label.peek("prompts", sorted_prompts).unwrap_or_default();
    let prompts: Vec<Vec<String>> = labels.iter().map(prompts).collect();
    let mut times: BTreeMap<&[String], u32> = BTreeMap::new();
    for prompts in prompts.iter().filter(|prompts| !prompts.is_empty()) {
        *times.entry(prompts.as_slice()).or_default() += 1;
    }
    for (label, prompts) in labels.iter().zip(&prompts) {
        let twins = times.get(prompts.as_slice()).copied().unwrap_or_default();
        if twins > 1 && threshold(label).is_some_and(|it| it > 1.0 / f64::from(twins)) {
            let most = 1.0 / f64::from(twins);
            let message = format!(
                "unreachable: {twins} labels of this watch have the same prompts and so the same \
                 probability, at most {most:.2}; give each its own prompts"
            );
            label.problem("threshold", message);
        }
    }
}

/// In one order, whichever they were written in; one given twice counts twice.
fn sorted_prompts(value: &Value) -> Result<Vec<String>, String> {
    let mut found: Vec<String> =
        list_of(value).into_iter().flatten().map(text).collect::<Result<_, _>>()?;
    found.sort();
    Ok(found)
}
