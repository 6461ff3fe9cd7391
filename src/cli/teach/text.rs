//! A report as people read it.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::daemon::teach::report::{Report, Score};
use crate::embeddings::when::show;
use crate::model::WallTime;

pub(super) fn report(label: &str, report: &Report, zone: &TimeZone) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        // A text takes everything.
        let _never_fails: std::fmt::Result = writeln!(text, "{words}");
    };
    let Report { yes, no, bundle, .. } = report;
    if yes + no == 0 {
        line(format!("{label} was not taught; give frames with --yes and --no"));
    } else {
        let yes = counted(*yes, "example that shows it", "examples that show it");
        let no = counted(*no, "that does not", "that do not");
        line(format!("{label}: {yes}, {no} (bundle {bundle})"));
        score(&report.score).into_iter().for_each(&mut line);
    }
    if report.copies > 0 {
        let copies = report.copies;
        line(format!("{copies} look like another one and teach nothing new: choose other moments"));
    }
    for [a, b] in &report.contradictions {
        let word = |yes: bool| if yes { "yes" } else { "no" };
        let at = |time: f64| match time > 1e8 {
            true => show(WallTime(time), zone),
            false => format!("{time:.1} s"),
        };
        line(format!(
            "contradiction: {} {} was taught as {}, and {} {}, which looks the same, as {}",
            a.source,
            at(a.time),
            word(a.yes),
            b.source,
            at(b.time),
            word(b.yes)
        ));
    }
    if !report.next.is_empty() {
        line("most useful to mark next (time, probability now):".to_owned());
    }
    for doubt in &report.next {
        line(format!("  {}  {:.2}", show(WallTime(doubt.time), zone), doubt.probability));
    }
    text
}

fn score(score: &Score) -> Vec<String> {
    let Score { yes_events, no_events, fewest, found, wrong, .. } = score;
    let share = |[seen, low, high]: [Option<f64>; 3]| match (seen, low, high) {
        (Some(seen), Some(low), Some(high)) => format!("{seen:.2} ({low:.2}–{high:.2})"),
        _ => "–".to_owned(),
    };
    let mut lines = Vec::new();
    if score.enough {
        lines.push(format!(
            "events that it was not taught: found {found} of {yes_events}, {wrong} of {no_events} others wrongly"
        ));
        lines.push(format!(
            "precision {}, recall {}; in brackets: 95 % confidence",
            share(score.precision),
            share(score.recall)
        ));
    } else {
        lines.push(format!(
            "not enough to tell how good it is: {} and {}, and it takes {fewest} of each (frames within half a \
             minute are one event)",
            counted(*yes_events, "event that shows it", "events that show it"),
            counted(*no_events, "that does not", "that do not"),
        ));
    }
    lines
}

fn counted(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}
