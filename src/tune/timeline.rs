//! Timelines: small text files that say when something was there.
//!
//! ```text
//! # one span a line: when, and the label
//! 4.4-5.4 cyclist
//! 1:02:10 - 1:02:14.5 cyclist
//! ~ 5.4-6 cyclist            # nobody is sure: does not count
//! 2026-11-24 18:03:10 - 18:04:00 package
//! ```
//!
//! A span without a label is of whatever is tuned. An empty file says that nothing was ever there.

use jiff::tz::TimeZone;

pub use super::times::Base;

use super::times::{self, ALLOWED};
use super::truth::{Marks, Span};
use crate::config::{Place, Problem};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub span: Span,
    /// `None`: of whatever is tuned.
    pub label: Option<String>,
    /// Does not count.
    pub unsure: bool,
    /// From 1.
    pub line: usize,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// `None`: no line, so no times.
    pub base: Option<Base>,
    /// As written.
    pub marks: Vec<Mark>,
}

/// Reads a timeline; `file` is its name for messages, `zone` that of dates without one.
///
/// # Errors
/// Every problem, each with its line.
pub fn parse(text: &str, file: &str, zone: &TimeZone) -> Result<Timeline, Vec<Problem>> {
    let (mut timeline, mut problems) = (Timeline { base: None, marks: Vec::new() }, Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let plain = line.split('#').next().unwrap_or_default();
        let written = plain.trim();
        if written.is_empty() {
            continue;
        }
        let column = 1 + plain.chars().take_while(|c| c.is_whitespace()).count();
        let read = read(written, number, zone).and_then(|(mark, base)| {
            let same = *timeline.base.get_or_insert(base) == base;
            let mixed = "dates and times into the file in one timeline; write all lines in one way";
            if same { clear_of_others(mark, &timeline.marks) } else { Err(mixed.to_owned()) }
        });
        match read {
            Ok(mark) => timeline.marks.push(mark),
            Err(message) => {
                let place = Place { file: file.to_owned(), line: number, column };
                problems.push(Problem { place, key: String::new(), message });
            }
        }
    }
    if problems.is_empty() { Ok(timeline) } else { Err(problems) }
}

fn read(line: &str, number: usize, zone: &TimeZone) -> Result<(Mark, Base), String> {
    let rest = line.strip_prefix(['~', '?']);
    let (span, base, label) = times::span(rest.unwrap_or(line).trim_start(), zone)?;
    if label.starts_with(|c: char| c.is_ascii_digit() || c == '-') && label.contains('-') {
        return Err(format!("found {label:?} after the span; one span a line. {ALLOWED}"));
    }
    let label = (!label.is_empty()).then(|| label.to_owned());
    Ok((Mark { span, label, unsure: rest.is_some(), line: number }, base))
}

/// The same thing cannot be there twice.
fn clear_of_others(mark: Mark, others: &[Mark]) -> Result<Mark, String> {
    let twice = others.iter().find(|other| {
        let common = other.span.from < mark.span.to && mark.span.from < other.span.to;
        common && !other.unsure && !mark.unsure && other.label == mark.label
    });
    match twice {
        Some(other) => Err(format!(
            "this span and that of line {} have time in common; write one span for one stay",
            other.line
        )),
        None => Ok(mark),
    }
}

impl Timeline {
    /// The labels that are named, in order, each once.
    pub fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> =
            self.marks.iter().filter_map(|mark| mark.label.as_deref()).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// What was marked for `label`. Spans of it and spans without a label that have time in common are
    /// one stay.
    pub fn marks_of(&self, label: &str, slack: f64) -> Marks {
        let of = |unsure: bool| {
            let fits = move |mark: &&Mark| {
                mark.unsure == unsure && mark.label.as_deref().is_none_or(|name| name == label)
            };
            let mut spans: Vec<Span> =
                self.marks.iter().filter(fits).map(|mark| mark.span).collect();
            spans.sort_by(|a, b| a.from.total_cmp(&b.from));
            let mut apart: Vec<Span> = Vec::new();
            for span in spans {
                match apart.last_mut() {
                    Some(last) if span.from < last.to => last.to = last.to.max(span.to),
                    _ => apart.push(span),
                }
            }
            apart
        };
        Marks { there: of(false), unsure: of(true), slack }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vienna() -> TimeZone {
        TimeZone::get("Europe/Vienna").unwrap()
    }

    #[test]
    fn spans_as_people_write_them() {
        let text = "\
# the street clip
4.4-5.4 cyclist   # a comment
  0:07.5 - 0:09.9\tbicycle
1:02:10–1:02:14.5 a man in a suit
~ 90-95
? 75:30-76:00 cyclist
";
        let timeline = parse(text, "a.txt", &vienna()).unwrap();
        let found: Vec<_> = timeline
            .marks
            .iter()
            .map(|mark| (mark.span.from, mark.span.to, mark.label.as_deref(), mark.unsure))
            .collect();
        let expected = [
            (4.4, 5.4, Some("cyclist"), false),
            (7.5, 9.9, Some("bicycle"), false),
            (3730.0, 3734.5, Some("a man in a suit"), false),
            (90.0, 95.0, None, true),
            (4530.0, 4560.0, Some("cyclist"), true),
        ];
        assert_eq!(found, expected);
        assert_eq!(timeline.base, Some(Base::File));
        assert_eq!(timeline.labels(), ["a man in a suit", "bicycle", "cyclist"]);
        let marks = timeline.marks_of("cyclist", 0.5);
        assert_eq!(marks.there, [Span { from: 4.4, to: 5.4 }]);
        assert_eq!(marks.unsure.len(), 2, "one of them is of any label");
    }

    #[test]
    fn dates_go_by_the_clocks_of_the_zone() {
        let text = "\
2026-11-24 18:03:10 - 18:04:00 package
2026-11-24T23:59 - 0:01
2026-11-24T17:30:00Z - 2026-11-24T17:31:00.5Z
";
        let text = text.replace(" 0:01", " 00:01");
        let timeline = parse(&text, "a.txt", &vienna()).unwrap();
        let found: Vec<_> =
            timeline.marks.iter().map(|mark| (mark.span.from, mark.span.to)).collect();
        let at =
            |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond() as f64 / 1e6;
        let expected = [
            (at("2026-11-24T17:03:10Z"), at("2026-11-24T17:04:00Z")),
            (at("2026-11-24T22:59:00Z"), at("2026-11-24T23:01:00Z")),
            (at("2026-11-24T17:30:00Z"), at("2026-11-24T17:31:00.5Z")),
        ];
        assert_eq!(found, expected);
        assert_eq!(timeline.base, Some(Base::Clock));
    }

    #[test]
    fn every_problem_with_its_line() {
        let text = "\
4.4 cyclist
  5-4 cyclist
1:75-2:00 cyclist
7-8cyclist
10-12 cyclist
11-13 cyclist
11-13 bicycle
2026-11-24 18:03:10 - 18:04:00 cyclist
-3-4
14-15 16-17
a-b
1:2:3:4-9
";
        let problems = parse(text, "a.txt", &vienna()).unwrap_err();
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let expected = [
            "a.txt:1:1: found \"4.4 cyclist\"; write a span such as",
            "a.txt:2:3: found 5 - 4; a span ends after it begins",
            "a.txt:3:1: found \"1:75\"; write seconds, m:ss or h:mm:ss",
            "a.txt:4:1: found \"7-8cyclist\"; write a span",
            "a.txt:6:1: this span and that of line 5 have time in common",
            "a.txt:8:1: dates and times into the file in one timeline",
            "a.txt:9:1: found \"-3-4\"; write a span",
            "a.txt:10:1: found \"16-17\" after the span",
            "a.txt:11:1: found \"a-b\"; write a span",
            "a.txt:12:1: found \"1:2:3:4\"; write seconds",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\nnot {expected}");
        }
    }

    #[test]
    fn nothing_is_a_timeline_too() {
        let timeline = parse("# never\n\n", "a.txt", &vienna()).unwrap();
        assert_eq!(timeline, Timeline { base: None, marks: Vec::new() });
    }
}
