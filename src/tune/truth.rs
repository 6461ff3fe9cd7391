//! When a label was there: spans that somebody marked, and time that does not count.
//!
//! People mark by eye, so some time around each span (the slack) does not count either: neither a frame
//! nor an event there is held against anybody.

/// A stretch of time, seconds; `from < to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    pub from: f64,
    pub to: f64,
}

impl Span {
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }

    fn within(self, from: f64, to: f64) -> Option<Self> {
        let cut = Self { from: self.from.max(from), to: self.to.min(to) };
        (cut.from < cut.to).then_some(cut)
    }
}

/// What was marked for one label in one piece of footage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    /// It was there. In order, and none reaches into another.
    pub there: Vec<Span>,
    /// Does not count.
    pub unsure: Vec<Span>,
    /// Seconds before and after each of `there` that do not count.
    pub slack: f64,
}

impl Marks {
    /// What is left of them in a part of the footage. What is left of a span by the cut and is no longer
    /// than the slack does not count.
    #[must_use]
    pub fn within(&self, from: f64, to: f64) -> Self {
        let keep = |spans: &[Span]| -> Vec<Span> {
            spans.iter().filter_map(|span| span.within(from, to)).collect()
        };
        let whole = |span: &Span| self.there.contains(span) || span.seconds() > self.slack;
        let (there, crumbs): (Vec<Span>, Vec<Span>) =
            keep(&self.there).into_iter().partition(whole);
        let unsure = keep(&self.unsure).into_iter().chain(crumbs).collect();
        Self { there, unsure, slack: self.slack }
    }
}

/// Whether the label was there at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    There,
    Not,
    /// Does not count.
    Unsure,
}

/// Marks, ready to be asked.
#[derive(Debug, Clone)]
pub struct Truth {
    /// What is not [`Kind::Not`], in order and apart from each other.
    pieces: Vec<(Span, Kind)>,
}

impl Truth {
    pub fn new(marks: &Marks) -> Self {
        let around =
            |span: &Span| Span { from: span.from - marks.slack, to: span.to + marks.slack };
        let slack: Vec<Span> = marks.there.iter().map(around).collect();
        let spans = || marks.there.iter().chain(&marks.unsure).chain(&slack);
        let mut edges: Vec<f64> = spans().flat_map(|span| [span.from, span.to]).collect();
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let holds = |spans: &[Span], at: f64| spans.iter().any(|s| s.from <= at && at < s.to);
        let mut pieces: Vec<(Span, Kind)> = Vec::new();
        for two in edges.windows(2) {
            let (span, at) = (Span { from: two[0], to: two[1] }, two[0]);
            let kind = if holds(&marks.unsure, at) {
                Kind::Unsure
            } else if holds(&marks.there, at) {
                Kind::There
            } else if holds(&slack, at) {
                Kind::Unsure
            } else {
                continue;
            };
            pieces.push((span, kind));
        }
        Self { pieces }
    }

    pub fn at(&self, time: f64) -> Kind {
        let after = self.pieces.partition_point(|(span, _)| span.to <= time);
        self.pieces.get(after).filter(|(span, _)| span.from <= time).map_or(Kind::Not, |it| it.1)
    }

    /// How many seconds of a stretch the label was there, and how many it was not.
    pub fn seconds(&self, from: f64, to: f64) -> (f64, f64) {
        let (mut there, mut not) = (0.0, (to - from).max(0.0));
        let first = self.pieces.partition_point(|(span, _)| span.to <= from);
        for (span, kind) in self.pieces.iter().skip(first).take_while(|(span, _)| span.from < to) {
            let common = span.to.min(to) - span.from.max(from);
            not -= common;
            if *kind == Kind::There {
                there += common;
            }
        }
        (there, not.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: f64, to: f64) -> Span {
        Span { from, to }
    }

    #[test]
    fn marks_slack_and_doubt() {
        let marks = Marks {
            there: vec![span(4.0, 6.0), span(6.4, 8.0)],
            unsure: vec![span(7.0, 7.5), span(20.0, 21.0)],
            slack: 0.5,
        };
        let truth = Truth::new(&marks);
        let kinds = [
            (3.4, Kind::Not),
            (3.5, Kind::Unsure),
            (4.0, Kind::There),
            (6.2, Kind::Unsure),
            (6.4, Kind::There),
            (7.2, Kind::Unsure),
            (7.9, Kind::There),
            (8.4, Kind::Unsure),
            (8.5, Kind::Not),
            (20.5, Kind::Unsure),
        ];
        for (time, kind) in kinds {
            assert_eq!(truth.at(time), kind, "{time}");
        }
        let (there, not) = truth.seconds(3.0, 9.0);
        assert!((there - 3.1).abs() < 1e-9 && (not - 1.0).abs() < 1e-9, "{there} {not}");
        assert_eq!(truth.seconds(10.0, 12.0), (0.0, 2.0));
    }

    #[test]
    fn a_cut_leaves_a_stay_on_both_sides() {
        let marks = Marks {
            there: vec![span(1.0, 5.0), span(7.0, 7.2)],
            unsure: vec![span(2.0, 4.0)],
            slack: 0.5,
        };
        let early = marks.within(f64::NEG_INFINITY, 3.0);
        assert_eq!((early.there, early.unsure), (vec![span(1.0, 3.0)], vec![span(2.0, 3.0)]));
        // What was short from the start still counts; what the cut made short does not.
        let late = marks.within(4.8, f64::INFINITY);
        assert_eq!((late.there, late.unsure), (vec![span(7.0, 7.2)], vec![span(4.8, 5.0)]));
    }
}
