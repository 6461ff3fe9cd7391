//! What is wrong in a configuration, and where.
//!
//! Owns the way problems are counted and printed: one per line, `file:line:column: key: message`.
//! Reading goes on after each, so a user sees all of them at once. A message names what was
//! found and what is allowed, and never holds the value of a secret.

use std::cell::RefCell;
use std::fmt;

/// A spot in a file, or something without lines such as an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The file as it was named to us, or `environment NAME`.
    pub file: String,
    /// From 1; 0 when the whole of `file` is meant.
    pub line: usize,
    /// From 1, in characters; 0 when the whole of `file` is meant.
    pub column: usize,
}

impl Place {
    /// All of a file.
    pub fn whole(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// One thing that is wrong, or odd enough for a warning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub place: Place,
    /// Dotted, list entries by id: `camera[porch].every`; empty when no key is meant.
    pub key: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.place, self.message)
        } else {
            write!(f, "{}: {}: {}", self.place, self.key, self.message)
        }
    }
}

/// Why a configuration cannot be used: at least one problem, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems while reading goes on.
///
/// Behind a `RefCell`, so that every section reader can hold a shared reference to it.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Report {
    pub(super) fn problem(&self, place: Place, key: &str, message: impl Into<String>) {
        self.problems.borrow_mut().push(new(place, key, message.into()));
    }

    pub(super) fn warning(&self, place: Place, key: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(new(place, key, message.into()));
    }

    /// `value` with the warnings; the problems instead when there are any.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        let Self { problems, warnings } = self;
        let mut problems = problems.into_inner();
        if let (Some(value), true) = (value, problems.is_empty()) {
            let mut warnings = warnings.into_inner();
            warnings.sort();
            return Ok((value, warnings));
        }
        debug_assert!(!problems.is_empty(), "a reader gave up and did not say why");
        problems.sort();
        problems.dedup();
        Err(Problems(problems))
    }
}

fn new(place: Place, key: &str, message: String) -> Problem {
    Problem { place, key: key.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_one_problem_a_line_in_file_order() {
        let report = Report::default();
        let at = |line| Place { file: "a.toml".into(), line, column: 3 };
        report.problem(at(10), "mqtt.url", "second");
        report.problem(at(9), "", "first");
        report.warning(Place::whole("a.toml"), "watch", "not shown with problems");
        let problems = report.finish(Some(())).expect_err("two problems");
        assert_eq!(problems.to_string(), "a.toml:9:3: first\na.toml:10:3: mqtt.url: second");
    }
}
