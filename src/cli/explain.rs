//! `seewhen explain`: why a label is on, or why it does not fire.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};

use super::{Outcome, Usage};
use crate::config;
use crate::daemon::ask;

/// Ask a running seewhen why a label is on, or why it does not fire.
///
/// Goes over the broker of the configuration: the seewhen that is asked is the one with its node.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seewhen explain porch/porch/package
  seewhen explain porch/porch/package --config porch.toml
  seewhen explain porch/porch/package --json")]
pub struct Args {
    /// The label, as in its topics: CAMERA/WATCH/LABEL
    #[arg(value_name = "CAMERA/WATCH/LABEL")]
    label: String,
    /// The configuration file
    #[arg(long, short, default_value = "/etc/seewhen/seewhen.toml", env = "SEEWHEN_CONFIG")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let parts: Vec<&str> = args.label.split('/').collect();
    let [camera, watch, label] = parts[..] else {
        let text = format!(
            "found {:?}; write a label as CAMERA/WATCH/LABEL, such as porch/porch/package",
            args.label
        );
        return Err(Usage(text).into());
    };
    let config = config::load(&args.config)?.config;
    let command = json!({ "command": "explain", "camera": camera, "watch": watch, "label": label });
    let reply = ask::ask(&config, command)?;
    if reply["ok"] != true {
        bail!("{}", reply["reason"].as_str().unwrap_or("the answer makes no sense"));
    }
    let explanation = &reply["explanation"];
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{explanation}")?;
    } else {
        write!(out, "{}", text(explanation))?;
    }
    Ok(Outcome::Done)
}

/// The sentence, and below it the numbers behind it.
fn text(explanation: &Value) -> String {
    let mut text = format!("{}\n", explanation["sentence"].as_str().unwrap_or_default());
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<14} {value}\n"));
        }
    };
    let now = explanation["time"].as_f64().unwrap_or_default();
    let rule = &explanation["rule"];
    line("probabilities", probabilities(&explanation["frame"]));
    line("frame", frame(&explanation["frame"]));
    line("camera", camera(&explanation["camera_status"], now));
    if rule.is_null() {
        return text;
    }
    line("threshold", number(&rule["threshold"]));
    line("clear", number(&rule["clear"]));
    line("highest", moment(&rule["highest"], now));
    line("hold", of(&rule["hold"]["so_far"], &rule["hold"]["length"]));
    let consensus = &rule["consensus"];
    line(
        "frames",
        (consensus["of"] != 1).then(|| {
            format!(
                "{} so far; needed {} of {}",
                consensus["so_far"], consensus["needed"], consensus["of"]
            )
        }),
    );
    line("cooldown", left(&rule["cooldown"]));
    line("schedule", schedule(&rule["schedule"], now));
    line("events", rule["events"].as_u64().map(|events| events.to_string()));
    line("suppressed", suppressed(&rule["suppressed"], now));
    line("shadow", (rule["shadow"] == true).then(|| "yes: nobody is told".to_owned()));
    text
}

fn number(value: &Value) -> Option<String> {
    let value = value.as_f64()?;
    let digits = if value > 0.0 && value < 0.005 { 4 } else { 2 };
    Some(format!("{value:.digits$}"))
}

/// A length in seconds as people write it.
fn length(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if time < Duration::from_secs(10) {
        return format!("{:.1}s", time.as_secs_f64());
    }
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

fn ago(now: f64, time: &Value) -> String {
    time.as_f64().map_or_else(String::new, |time| format!("{} ago", length(now - time)))
}

/// The most probable first.
fn probabilities(frame: &Value) -> Option<String> {
    let mut all: Vec<(&String, f64)> = frame["probabilities"]
        .as_object()?
        .iter()
        .filter_map(|(label, p)| Some((label, p.as_f64()?)))
        .collect();
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let listed: Vec<String> =
        all.iter().take(8).map(|(label, p)| format!("{label} {p:.2}")).collect();
    let more = if all.len() > 8 { ", …" } else { "" };
    Some(listed.join(", ") + more)
}

fn frame(frame: &Value) -> Option<String> {
    let age = format!("{} old", length(frame["age"].as_f64()?));
    Some(match frame["unchanged"].as_u64() {
        Some(0) | None => age,
        Some(unchanged) => format!("{age}; unchanged in the last {unchanged}"),
    })
}

fn camera(camera: &Value, now: f64) -> Option<String> {
    let state = camera["state"].as_str()?;
    let since = ago(now, &camera["since"]);
    let reason = camera["reason"].as_str().filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{state} since {since}{reason}"))
}

fn moment(highest: &Value, now: f64) -> Option<String> {
    Some(format!("{}, {}", number(&highest["probability"])?, ago(now, &highest["time"])))
}

fn of(so_far: &Value, length_of: &Value) -> Option<String> {
    let whole = length_of.as_f64().filter(|whole| *whole > 0.0)?;
    Some(format!("{} of {}", length(so_far.as_f64()?), length(whole)))
}

fn left(cooldown: &Value) -> Option<String> {
    let whole = cooldown["length"].as_f64().filter(|whole| *whole > 0.0)?;
    let left = cooldown["left"].as_f64()?;
    Some(format!("{} left of {}", length(left), length(whole)))
}

fn schedule(schedule: &Value, now: f64) -> Option<String> {
    let side = if schedule["active"].as_bool()? { "inside" } else { "outside" };
    let since = schedule["since"].as_f64().map(|since| format!(", since {}", length(now - since)));
    let until =
        schedule["until"].as_f64().map(|until| format!(", for another {}", length(until - now)));
    Some(format!("{side}{}{}", since.unwrap_or_default(), until.unwrap_or_default()))
}

fn suppressed(suppressed: &Value, now: f64) -> Option<String> {
    let count = suppressed["count"].as_u64()?;
    let top = number(&suppressed["top_probability"])?;
    Some(format!("{count} by the cooldown, at most {top}, last {}", ago(now, &suppressed["last"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_sentence() {
        assert_eq!(number(&json!(0.000_1)).as_deref(), Some("0.0001"));
        let rule = json!({
            "threshold": 0.6, "clear": 0.48, "hold": { "so_far": 1.25, "length": 2.0 },
            "consensus": { "needed": 3, "of": 5, "so_far": 2 },
            "cooldown": { "length": 300.0, "left": 12.3 },
            "schedule": { "active": true, "since": null, "until": 3700.0 },
            "shadow": true, "event": null, "highest": { "probability": 0.58, "time": 40.0 },
            "events": 4,
            "suppressed": { "count": 2, "top_probability": 0.9, "first": 50.0, "last": 90.0 },
        });
        let explanation = json!({
            "sentence": "off: so it is", "time": 100.0, "rule": rule,
            "frame": { "age": 0.5, "unchanged": 3, "probabilities": { "a": 0.41, "b": 0.55 } },
            "camera_status": { "state": "running", "reason": "", "since": 0.0 },
        });
        let expected = "\
off: so it is
  probabilities  b 0.55, a 0.41
  frame          0.5s old; unchanged in the last 3
  camera         running since 1m 40s ago
  threshold      0.60
  clear          0.48
  highest        0.58, 1m ago
  hold           1.2s of 2.0s
  frames         2 so far; needed 3 of 5
  cooldown       12s left of 5m
  schedule       inside, for another 1h
  events         4
  suppressed     2 by the cooldown, at most 0.90, last 10s ago
  shadow         yes: nobody is told
";
        assert_eq!(text(&explanation), expected);
    }
}
