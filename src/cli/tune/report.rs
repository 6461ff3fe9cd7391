//! The report for people.

use super::{Found, HeldOut, Marked, Verdict};
use crate::tune::allowance::Allowance;
use crate::tune::blocks;
use crate::tune::bounds::{self, Bounded, DAY};
use crate::tune::plot::{Point, Value};
use crate::tune::replay::replay;
use crate::tune::score::Outcome;
use crate::tune::suggest::{Promise, Rate};
use crate::tune::truth::Span;
use crate::tune::{Clip, Setting};

/// Columns of a course over time.
const COLUMNS: usize = 60;
/// Clips of which the course is shown.
const SHOWN: usize = 8;

pub(super) fn text(found: &Found) -> String {
    let mut text = format!("{}: {}\n", found.label, extent(&found.clips));
    match &found.result {
        Verdict::Marked(marked) => of_marked(&mut text, found, marked),
        Verdict::Unmarked { promise, allowance } => {
            of_unmarked(&mut text, found, promise, *allowance);
        }
    }
    text
}

fn extent(clips: &[Clip]) -> String {
    let seconds = clips.iter().map(Clip::seconds).sum();
    let frames: usize = clips.iter().map(|clip| clip.samples.len()).sum();
    let spans = clips.iter().filter_map(|clip| clip.marks.as_ref()).map(|marks| marks.there.len());
    let spans: Vec<usize> = spans.collect();
    let marked = match &spans[..] {
        [] => "unmarked".to_owned(),
        spans => format!("there {}", times(spans.iter().sum::<usize>() as u32)),
    };
    let files = if clips.len() == 1 { "file" } else { "files" };
    format!("{} {files}, {}, {frames} frames, {marked}", clips.len(), length(seconds))
}

fn of_marked(text: &mut String, found: &Found, marked: &Marked) {
    let (now, best) = (&marked.suggestion.now, &marked.suggestion.best);
    let title = if found.configured { "now" } else { "default" };
    text.push_str(&table(title, (&now.setting, &now.outcome), (&best.setting, &best.outcome)));
    let (low, high) = marked.suggestion.range;
    text.push_str(&format!(
        "\n{} settings were tried; with this hold and consensus thresholds from {low} to {high} do as \
         well.\n",
        marked.suggestion.tried
    ));
    if best.outcome.f_score() == now.outcome.f_score() {
        text.push_str(&format!(
            "By this footage that is no better than what is under \"{title}\"; it leaves more room on \
             both sides.\n"
        ));
    }
    caution(text, &best.outcome);
    if let Some(HeldOut { clips, now, suggested }) = &marked.held_out {
        text.push_str(&format!("\non what was held out: {}\n", extent(clips)));
        text.push_str(&figures(title, now, suggested));
        lacking(text, suggested);
        if suggested.f_score() < now.f_score() {
            text.push_str(&format!(
                "There the suggestion does worse than \"{title}\": mark more footage before taking it.\n"
            ));
        }
    }
    text.push_str("\nto paste:\n");
    text.push_str(&toml(&best.setting));
    text.push_str(&curve(&marked.points, &best.setting, &now.setting));
    for clip in found.clips.iter().take(SHOWN) {
        text.push_str(&course(clip, &best.setting));
    }
}

fn table(title: &str, now: (&Setting, &Outcome), best: (&Setting, &Outcome)) -> String {
    let mut text = String::new();
    row(&mut text, "", title, "suggested");
    let mut of = |name: &str, value: &dyn Fn(&Setting) -> String| {
        row(&mut text, name, &value(now.0), &value(best.0));
    };
    of("threshold", &|setting| setting.threshold.to_string());
    of("clear", &|setting| setting.clear.to_string());
    of("hold", &|setting| humantime::format_duration(setting.hold).to_string());
    of("for", &|setting| votes(setting));
    text + &figures(title, now.1, best.1)
        .lines()
        .skip(1)
        .fold(String::new(), |all, line| all + line + "\n")
}

/// What came of both, with a line of titles.
fn figures(title: &str, now: &Outcome, best: &Outcome) -> String {
    let mut text = String::new();
    row(&mut text, "", title, "suggested");
    let mut of = |name: &str, value: &dyn Fn(&Outcome) -> String| {
        row(&mut text, name, &value(now), &value(best));
    };
    of("found", &|it| format!("{} of {}", it.found, it.spans));
    of("false events", &|it| it.false_events.to_string());
    of("repeats", &|it| it.repeats.to_string());
    of("recall", &|it| share(bounds::share(it.found, it.spans)));
    of("precision", &|it| share(bounds::share(it.found, it.found + it.false_events)));
    of("delay", &|it| it.delay().map_or("–".to_owned(), |delay| format!("{delay:.1} s")));
    of("false a day", &|it| rate(bounds::a_day(it.false_events, it.without)));
    text
}

fn row(text: &mut String, name: &str, now: &str, best: &str) {
    text.push_str(format!("  {name:<14}{now:<26}{best}").trim_end());
    text.push('\n');
}

/// What the figures do not say.
fn caution(text: &mut String, best: &Outcome) {
    let rate = bounds::a_day(best.false_events, best.without);
    text.push_str("In brackets: 95 % confidence. ");
    if rate.high > 1.0 {
        let days = bounds::most(0) * DAY;
        text.push_str(&format!(
            "{} without it cannot show that there is less than one false event a day: that takes {} with \
             none.\n",
            length(best.without),
            length(days)
        ));
    } else {
        text.push('\n');
    }
    if best.unseen > 0 {
        text.push_str(&format!(
            "It was there {} without a frame being analysed: a shorter `every` would see more.\n",
            times(best.unseen)
        ));
    }
    lacking(text, best);
}

fn lacking(text: &mut String, outcome: &Outcome) {
    if outcome.spans == 0 {
        text.push_str("It was never there, so nothing is said about finding it.\n");
    }
    if outcome.without <= 0.0 {
        text.push_str("It was always there, so nothing is said about false events.\n");
    }
}

fn curve(points: &[Point], best: &Setting, now: &Setting) -> String {
    let mut text = "\nby threshold, with this hold and consensus\n".to_owned();
    let lines: [(&str, Value); 4] = [
        ("precision", |point| point.precision),
        ("recall", |point| point.recall),
        ("… of frames", |point| point.frame_precision),
        ("… of frames", |point| point.frame_recall),
    ];
    for (name, value) in lines {
        text.push_str(&format!("  {name:<14}{}\n", blocks::line(points.iter().map(value))));
    }
    let thresholds: Vec<f32> = points.iter().map(|point| point.threshold).collect();
    text + &marks(&thresholds, best, now)
}

/// Where the thresholds of the curve lie.
fn marks(thresholds: &[f32], best: &Setting, now: &Setting) -> String {
    let at = |threshold| thresholds.iter().position(|known| *known == threshold);
    let (best, now) = (at(best.threshold), at(now.threshold));
    let mark = |n| match (Some(n) == best, Some(n) == now) {
        (true, _) => '▲',
        (_, true) => '△',
        _ => ' ',
    };
    let line: String = (0..thresholds.len()).map(mark).collect();
    let (first, last) = (thresholds.first(), thresholds.last());
    let ends = first.zip(last).map_or_else(String::new, |(first, last)| {
        let gap = thresholds.len().saturating_sub(first.to_string().len());
        format!("{first}{last:>gap$}")
    });
    format!("  {:<14}{ends}\n  {:<14}{}  ▲ suggested △ now\n", "threshold", "", line.trim_end())
}

/// The probability over the time of a clip, what was marked, and the events.
fn course(clip: &Clip, setting: &Setting) -> String {
    let ends = clip.samples.first().zip(clip.samples.last());
    let (from, to) = ends.map_or((0.0, 0.0), |(first, last)| (first.time, last.time));
    let seen = clip.samples.iter().map(|sample| (sample.time, f64::from(sample.probability)));
    let seen = blocks::highest(seen, from, to, COLUMNS);
    // Columns without a frame show the one before.
    let seen = seen.into_iter().scan(None, |last, value| {
        *last = value.or(*last);
        Some(*last)
    });
    let events: Vec<Span> = replay(clip, setting)
        .into_iter()
        .map(|stay| Span { from: stay.told, to: stay.to })
        .collect();
    let mut text = format!("\n{}, {}\n", clip.name, length(to - from));
    text.push_str(&format!("  {:<14}{}\n", "probability", blocks::line(seen)));
    let marks = clip.marks.as_ref();
    let rows = [("marked", marks.map(|marks| &marks.there)), ("events", Some(&events))];
    for (name, spans) in rows {
        let Some(spans) = spans else { continue };
        let line = bars(spans, from, to);
        text.push_str(format!("  {name:<14}{line}").trim_end());
        text.push('\n');
    }
    text
}

fn bars(spans: &[Span], from: f64, to: f64) -> String {
    let step = (to - from) / COLUMNS as f64;
    let holds = |column: usize| {
        let left = from + step * column as f64;
        spans.iter().any(|span| span.from < left + step && span.to >= left)
    };
    (0..COLUMNS).map(|column| if holds(column) { '━' } else { ' ' }).collect()
}

fn of_unmarked(text: &mut String, found: &Found, promise: &Promise, allowance: Allowance) {
    let title = if found.configured { "now" } else { "default" };
    let unit = allowance.unit();
    text.push_str(&format!("  {:<12}{:<12}{:<10}{unit}\n", "", "threshold", "events"));
    let of_now = promise.curve.iter().find(|rate| rate.setting.threshold == found.now.threshold);
    let rows =
        [(title, of_now), ("promised", promise.promised.as_ref()), ("seen", promise.seen.as_ref())];
    for (name, rate) in rows {
        let Some(Rate { setting, events, .. }) = rate else { continue };
        let a_day = bounds::a_day(*events, promise.seconds);
        let in_unit = |a_day: f64| allowance.in_unit(a_day, DAY);
        let bounded = Bounded {
            seen: a_day.seen.map(in_unit),
            low: in_unit(a_day.low),
            high: in_unit(a_day.high),
        };
        let line =
            format!("  {name:<12}{:<12}{events:<10}{}", setting.threshold, self::rate(bounded));
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(&words(promise, allowance));
    if let Some(chosen) = promise.promised.as_ref().or(promise.seen.as_ref()) {
        text.push_str("\nto paste:\n");
        text.push_str(&toml(&chosen.setting));
        let most = promise.curve.iter().map(|rate| rate.events).max().unwrap_or(0).max(1);
        let heights = promise.curve.iter().map(|it| Some(f64::from(it.events) / f64::from(most)));
        text.push_str(&format!(
            "\nevents by threshold, at most {most}\n  {:<14}{}\n",
            "",
            blocks::line(heights)
        ));
        let thresholds: Vec<f32> = promise.curve.iter().map(|it| it.setting.threshold).collect();
        text.push_str(&marks(&thresholds, &chosen.setting, &found.now));
        for clip in found.clips.iter().take(SHOWN) {
            text.push_str(&course(clip, &chosen.setting));
        }
    }
}

/// What may be promised.
fn words(promise: &Promise, allowance: Allowance) -> String {
    let footage = length(promise.seconds);
    match (&promise.promised, &promise.seen) {
        (Some(it), _) => format!(
            "\nAt {} there are at most {allowance}, with 95 % confidence, if what comes is like this \
             footage.\n",
            it.setting.threshold
        ),
        (None, Some(it)) => format!(
            "\n{footage} of footage is too short to promise {allowance}: that takes {} without an event. \
             At {} this footage had no more than that.\n",
            length(promise.needed),
            it.setting.threshold
        ),
        (None, None) => format!(
            "\nNo threshold keeps to {allowance} in this footage: the label is on for most of it, or \
             fires at 0.999 still. Other prompts, or another background, would do more than a threshold.\n"
        ),
    }
}

fn toml(setting: &Setting) -> String {
    format!(
        "  threshold = {}\n  clear = {}\n  hold = \"{}\"\n  for = \"{}\"\n",
        setting.threshold,
        setting.clear,
        humantime::format_duration(setting.hold),
        votes(setting)
    )
}

fn votes(setting: &Setting) -> String {
    format!("{} of {} frames", setting.consensus.needed(), setting.consensus.of())
}

fn share(value: Bounded) -> String {
    let seen = value.seen.map_or("–".to_owned(), |seen| format!("{seen:.2}"));
    format!("{seen} ({:.2}–{:.2})", value.low, value.high)
}

fn rate(value: Bounded) -> String {
    let number = |value: f64| match value {
        value if value.is_infinite() => "?".to_owned(),
        value if value >= 9.95 || value == 0.0 => format!("{value:.0}"),
        value if value >= 0.095 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    };
    let seen = value.seen.map_or("–".to_owned(), number);
    format!("{seen} ({}–{})", number(value.low), number(value.high))
}

fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        many => format!("{many} times"),
    }
}

/// A length in seconds, in the unit that suits it.
fn length(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{:.1} days", seconds / DAY),
    }
}
