//! Prometheus's text format, version 0.0.4.

use std::fmt::Write as _;

use crate::status::Spread;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Metrics as they are written.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a metric, whose samples follow.
    pub(super) fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        debug_assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        let (help, kind) = (escaped(help, false), kind.word());
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        Metric { text: self, name }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let written = writeln!(self.0, "{line}");
        debug_assert!(written.is_ok());
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A metric that was begun.
pub(super) struct Metric<'t> {
    text: &'t mut Text,
    name: &'static str,
}

impl Metric<'_> {
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) -> &mut Self {
        self.put("", labels, value)
    }

    /// A histogram's samples.
    pub(super) fn spread(&mut self, labels: Labels<'_>, spread: &Spread) {
        let ends = spread.within.iter().map(|(end, count)| (format!("{end:.2e}"), *count));
        for (end, count) in ends.chain([("+Inf".to_owned(), spread.count)]) {
            let with_end: Vec<_> = labels.iter().copied().chain([("le", end.as_str())]).collect();
            self.put("_bucket", &with_end, count as f64);
        }
        self.put("_sum", labels, spread.sum).put("_count", labels, spread.count as f64);
    }

    fn put(&mut self, end: &str, labels: Labels<'_>, value: f64) -> &mut Self {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true)))
            .collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let name = self.name;
        self.text.line(format_args!("{name}{end}{labels} {}", number(value)));
        self
    }
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        // "NaN" is what it is called there too.
        value => value.to_string(),
    }
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_the_format_wants() {
        let mut text = Text::default();
        text.metric("a_total", Kind::Counter, "Two\nlines.").sample(&[], 3.0);
        let odd = [("camera", "a\\b\"c\nd"), ("x", "")];
        text.metric("b", Kind::Gauge, "B.").sample(&odd, 0.25).sample(&[], f64::INFINITY);
        let spread = Spread { within: vec![(0.00123, 1), (2.0, 2)], count: 3, sum: 9.5 };
        text.metric("c_seconds", Kind::Histogram, "C.").spread(&[("stage", "s")], &spread);
        let wanted = r#"# HELP a_total Two\nlines.
# TYPE a_total counter
a_total 3
# HELP b B.
# TYPE b gauge
b{camera="a\\b\"c\nd",x=""} 0.25
b +Inf
# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{stage="s",le="1.23e-3"} 1
c_seconds_bucket{stage="s",le="2.00e0"} 2
c_seconds_bucket{stage="s",le="+Inf"} 3
c_seconds_sum{stage="s"} 9.5
c_seconds_count{stage="s"} 3
"#;
        assert_eq!(text.finish(), wanted);
    }
}
