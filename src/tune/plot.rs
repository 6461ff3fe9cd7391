//! Plots as SVG, for files and for pages: precision and recall against the threshold, and a clip's
//! probability over time.
//!
//! Each is one `<svg>` that needs nothing else. Colours follow the viewer's choice of dark or light; the
//! styles hold inside of the plot alone, so that several can stand in one page.

use super::replay::Stay;
use super::score::{FrameCounts, Outcome, frames};
use super::suggest::Suggestion;
use super::truth::Span;
use super::{Clip, Setting};
use crate::model::Probability;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 40.0;

const STYLE: &str = "\
.tune-plot{font:12px system-ui,sans-serif;--ink:#1c2430;--pale:#c9d1da;--paper:#fff;--a:#0b62c4;\
--b:#b3470b;--mark:#2e9e5b;--rule:#8a2be2}\
@media(prefers-color-scheme:dark){.tune-plot{--ink:#e6eaf0;--pale:#46505c;--paper:#14181d;--a:#6fb1ff;\
--b:#ffa868;--mark:#58cf8b;--rule:#c99bff}}\
.tune-plot .paper{fill:var(--paper)}.tune-plot text{fill:var(--ink)}\
.tune-plot .grid{stroke:var(--pale);stroke-width:1}.tune-plot path{fill:none;stroke-width:2}\
.tune-plot .a{stroke:var(--a);stroke-width:2}.tune-plot .b{stroke:var(--b);stroke-width:2}\
.tune-plot .thin{stroke-width:1;\
stroke-dasharray:3 3}.tune-plot .rule{stroke:var(--rule);stroke-width:1.5}.tune-plot .now{\
stroke:var(--ink);stroke-width:1;stroke-dasharray:6 4}.tune-plot .mark{fill:var(--mark);opacity:.3}\
.tune-plot .unsure{fill:var(--pale);opacity:.5}.tune-plot .event{fill:var(--rule)}";

/// One threshold of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub threshold: Probability,
    /// Over events.
    pub precision: Option<f64>,
    /// Over marked spans.
    pub recall: Option<f64>,
    pub frame_precision: Option<f64>,
    pub frame_recall: Option<f64>,
}

impl Point {
    pub fn new(threshold: Probability, outcome: &Outcome, frames: FrameCounts) -> Self {
        Self {
            threshold,
            precision: outcome.precision(),
            recall: outcome.recall(),
            frame_precision: frames.precision(),
            frame_recall: frames.recall(),
        }
    }
}

/// One of the values of a point.
pub type Value = fn(&Point) -> Option<f64>;

/// Precision and recall against the threshold, with the suggested threshold and that of now.
pub fn curve(title: &str, points: &[Point], suggested: Probability, now: Probability) -> String {
    let axes = Axes { from: 0.0, to: 1.0 };
    let mut svg = open(title);
    axes.grid(&mut svg, |value| format!("{value:.1}"));
    text(&mut svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0, "middle", "threshold");
    let lines: [(&str, Value); 4] = [
        ("a thin", |point| point.frame_precision),
        ("b thin", |point| point.frame_recall),
        ("a", |point| point.precision),
        ("b", |point| point.recall),
    ];
    for (class, value) in lines {
        let values = points.iter().map(|point| (f64::from(point.threshold), value(point)));
        axes.path(&mut svg, class, values);
    }
    axes.upright(&mut svg, "now", f64::from(now));
    axes.upright(&mut svg, "rule", f64::from(suggested));
    let legend = [
        ("a", "precision of events"),
        ("b", "recall of stays"),
        ("a thin", "of frames"),
        ("b thin", "of frames"),
        ("rule", "suggested"),
        ("now", "now"),
    ];
    keys(&mut svg, &legend);
    svg.push_str("</svg>\n");
    svg
}

/// All thresholds of a suggestion's curve, over events and over frames.
pub fn points(clips: &[Clip], suggestion: &Suggestion) -> Vec<Point> {
    let thresholds: Vec<Probability> =
        suggestion.curve.iter().map(|trial| trial.setting.threshold).collect();
    let trials = suggestion.curve.iter().zip(frames(clips, &thresholds));
    trials
        .map(|(trial, frames)| Point::new(trial.setting.threshold, &trial.outcome, frames))
        .collect()
}

/// A clip's probability over time, with what was marked, the threshold, and the events that there would
/// have been. `label` writes a time below the axis.
pub fn course(
    title: &str,
    clip: &Clip,
    setting: &Setting,
    stays: &[Stay],
    label: impl Fn(f64) -> String,
) -> String {
    let time = |sample: Option<&super::Sample>| sample.map_or(0.0, |sample| sample.time);
    let (from, to) = (time(clip.samples.first()), time(clip.samples.last()));
    let axes = Axes { from, to: if to > from { to } else { from + 1.0 } };
    let mut svg = open(title);
    if let Some(marks) = &clip.marks {
        let spans = marks.there.iter().map(|span| ("mark", span));
        for (class, span) in spans.chain(marks.unsure.iter().map(|span| ("unsure", span))) {
            axes.bar(&mut svg, class, *span, TOP, HEIGHT - BOTTOM);
        }
    }
    axes.grid(&mut svg, label);
    axes.path(&mut svg, "a", axes.thinned(clip));
    axes.level(&mut svg, "rule", f64::from(setting.threshold));
    axes.level(&mut svg, "rule thin", f64::from(setting.clear));
    for stay in stays {
        let span = Span { from: stay.told, to: stay.to };
        axes.bar(&mut svg, "event", span, TOP - 7.0, TOP - 1.0);
    }
    keys(&mut svg, &[("a", "probability"), ("rule", "threshold"), ("rule thin", "clear")]);
    text(&mut svg, WIDTH - RIGHT, 14.0, "end", "bars above: events · shaded: marked");
    svg.push_str("</svg>\n");
    svg
}

/// Times or thresholds from left to right, and 0 to 1 upwards.
struct Axes {
    from: f64,
    to: f64,
}

impl Axes {
    fn x(&self, value: f64) -> f64 {
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(value: f64) -> f64 {
        HEIGHT - BOTTOM - value.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn grid(&self, svg: &mut String, label: impl Fn(f64) -> String) {
        for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
            self.level(svg, "grid", tenth);
            text(svg, LEFT - 6.0, Self::y(tenth) + 4.0, "end", &format!("{tenth}"));
        }
        let step = step(self.to - self.from);
        let mut tick = (self.from / step).ceil() * step;
        while tick <= self.to {
            text(svg, self.x(tick), HEIGHT - BOTTOM + 16.0, "middle", &label(tick));
            tick += step;
        }
    }

    /// A line through what there is of `values`, broken where there is nothing.
    fn path(
        &self,
        svg: &mut String,
        class: &str,
        values: impl IntoIterator<Item = (f64, Option<f64>)>,
    ) {
        let (mut path, mut pen) = (String::new(), 'M');
        for (at, value) in values {
            let Some(value) = value else {
                pen = 'M';
                continue;
            };
            path.push_str(&format!("{pen}{:.1} {:.1}", self.x(at), Self::y(value)));
            pen = 'L';
        }
        svg.push_str(&format!("<path class=\"{class}\" d=\"{path}\"/>\n"));
    }

    /// The samples, where there are many the lowest and the highest of each column of pixels.
    fn thinned(&self, clip: &Clip) -> Vec<(f64, Option<f64>)> {
        let columns = WIDTH as usize;
        let pair = |time: f64, probability: f32| (time, Some(f64::from(probability)));
        if clip.samples.len() <= 2 * columns {
            return clip.samples.iter().map(|one| pair(one.time, one.probability)).collect();
        }
        let mut kept = Vec::new();
        let column = |time: f64| (self.x(time)) as usize;
        for group in clip.samples.chunk_by(|a, b| column(a.time) == column(b.time)) {
            let of = |a: f32, b: f32, least: bool| if least { a.min(b) } else { a.max(b) };
            for least in [true, false] {
                let ends = group.iter().map(|one| one.probability);
                if let Some(probability) = ends.reduce(|a, b| of(a, b, least)) {
                    kept.push(pair(group[0].time, probability));
                }
            }
        }
        kept
    }

    fn upright(&self, svg: &mut String, class: &str, value: f64) {
        line(svg, class, (self.x(value), TOP), (self.x(value), HEIGHT - BOTTOM));
    }

    fn level(&self, svg: &mut String, class: &str, value: f64) {
        line(svg, class, (LEFT, Self::y(value)), (WIDTH - RIGHT, Self::y(value)));
    }

    /// At least a pixel, so that it is seen.
    fn bar(&self, svg: &mut String, class: &str, span: Span, top: f64, bottom: f64) {
        let (left, right) = (self.x(span.from), self.x(span.to));
        let (width, height) = ((right - left).max(1.0), bottom - top);
        svg.push_str(&format!(
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>\n"
        ));
    }
}

/// 1, 2 or 5 of some power of ten: at most ten of them in `range`.
fn step(range: f64) -> f64 {
    let rough = (range / 10.0).max(1e-6);
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|n| n * power);
    steps.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power)
}

fn open(title: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tune-plot\" role=\"img\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    )
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    svg.push_str(&format!(
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>\n",
        from.0, from.1, to.0, to.1
    ));
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escaped(words);
    svg.push_str(&format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n"
    ));
}

/// What the lines mean, along the top.
fn keys(svg: &mut String, legend: &[(&str, &str)]) {
    let mut x = LEFT;
    for (class, words) in legend {
        line(svg, class, (x, 10.0), (x + 18.0, 10.0));
        text(svg, x + 22.0, 14.0, "start", words);
        x += 36.0 + 6.2 * words.chars().count() as f64;
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no place for others.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::{clip, default};
    use super::*;

    #[test]
    fn a_curve_breaks_where_there_is_nothing() {
        let point = |threshold, precision| Point {
            threshold,
            precision,
            recall: Some(1.0),
            frame_precision: None,
            frame_recall: None,
        };
        let points = [point(0.0, Some(0.0)), point(0.5, None), point(1.0, Some(1.0))];
        let svg = curve("a < b & \"c\"\u{1}", &points, 0.5, 0.25);
        assert!(svg.contains("<path class=\"a\" d=\"M44.0 240.0M706.0 34.0\"/>"), "{svg}");
        assert!(svg.contains("<title>a &lt; b &amp; &quot;c&quot; </title>"));
        assert!(svg.contains("<line class=\"rule\" x1=\"375.0\" y1=\"34.0\""));
    }

    #[test]
    fn peaks_of_long_footage_are_drawn() {
        let mut seen = vec![0.25_f32; 100_000];
        seen[50_000] = 1.0;
        let clip = clip(&seen, &[(100.0, 200.0)]);
        let stay = Stay { from: 25_000.0, told: 25_000.0, to: 25_000.0, top: 1.0 };
        let svg = course("long", &clip, &default(), &[stay], |time| format!("{time:.0} s"));
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
        assert!(svg.contains(" 34.0L"), "the peak");
        assert_eq!(svg.matches("class=\"event\"").count(), 1);
        assert_eq!(svg.matches("class=\"mark\"").count(), 1);
        assert!(svg.contains(">40000 s<"));
    }

    #[test]
    fn steps_are_round() {
        for (range, expected) in [(1.0, 0.1), (30.2, 5.0), (10.0, 1.0), (86_400.0, 10_000.0)] {
            let found = step(range);
            assert!((found - expected).abs() < 1e-9 * expected, "{range}: {found}");
        }
    }
}
