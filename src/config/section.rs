//! A typed reader over one table of the merged configuration.
//!
//! Every question that gets a wrong answer becomes a problem with place and key, and the reader
//! goes on; the caller sees `None`. Unknown keys are reported when a section is opened.

use ::config::{Map, Value, ValueKind};

use super::layer::{Origin, id_of, list_of, unknown_key};
use super::problem::{Place, Report};
use super::value::{describe, text};

/// Name of the layer that no user wrote.
pub(super) const DEFAULTS: &str = "defaults";

/// One table: the root, `[mqtt]`, one `[[camera]]`, …
pub(super) struct Section<'a> {
    values: &'a Map<String, Value>,
    /// Dotted, as problems show it; empty for the root.
    path: String,
    /// Where the table begins.
    place: Place,
    report: &'a Report,
}

impl<'a> Section<'a> {
    /// The whole configuration; `file` is the place of what is missing in it.
    pub(super) fn root(values: &'a Map<String, Value>, file: Place, report: &'a Report) -> Self {
        Self { values, path: String::new(), place: file, report }
    }

    /// A table inside this one; `None` when it is not there.
    pub(super) fn section(&self, key: &str, known: &[&str]) -> Option<Self> {
        let value = self.values.get(key)?;
        let ValueKind::Table(values) = &value.kind else {
            let (found, known) = (describe(value), known.join(", "));
            self.problem(key, format!("found {found}; it must be a table with the keys {known}"));
            return None;
        };
        let section = Section { values, path: self.path(key), place: self.place(key), ..*self };
        Some(section.checked(known))
    }

    /// The tables of `[[key]]`; `none` is the problem when there are none.
    pub(super) fn entries(&self, key: &str, known: &[&str], none: Option<&str>) -> Vec<Self> {
        let items = match self.values.get(key) {
            Some(value) if list_of(value).is_none() => {
                // The path without ids is what a header has: `watch.label`.
                let path = self.path(key);
                let header: String =
                    path.split('[').map(|part| part.rsplit(']').next().unwrap_or(part)).collect();
                let found = describe(value);
                self.problem(key, format!("found {found}; begin each with [[{header}]]"));
                return Vec::new();
            }
            value => value.and_then(list_of).map_or(&[][..], Vec::as_slice),
        };
        if let (true, Some(none)) = (items.is_empty(), none) {
            self.problem(key, none);
        }
        let open = |(number, item): (usize, &'a Value)| {
            let place = Origin::of(item).map_or_else(|| self.place.clone(), |found| found.value);
            let id = id_of(item).filter(|id| !id.is_empty());
            let id = id.map_or_else(|| format!("#{}", number + 1), str::to_owned);
            let path = format!("{}[{id}]", self.path(key));
            let ValueKind::Table(values) = &item.kind else {
                self.report.problem(
                    place,
                    &path,
                    format!("found {}; it must be a table", describe(item)),
                );
                return None;
            };
            Some(Section { values, path, place, report: self.report }.checked(known))
        };
        items.iter().enumerate().filter_map(open).collect()
    }

    fn checked(self, known: &[&str]) -> Self {
        for (key, value) in self.values {
            if !known.contains(&key.as_str()) {
                let place = Origin::of(value).map_or_else(|| self.place(key), |found| found.key);
                self.report.problem(place, &self.path(key), unknown_key(key, known));
            }
        }
        self
    }

    /// Whether the key is there at all, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A value that may be left out.
    pub(super) fn get<T>(
        &self,
        key: &str,
        convert: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        match convert(self.values.get(key)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(key, message);
                None
            }
        }
    }

    /// A value with a default; `None` when it is there and wrong.
    pub(super) fn get_or<T>(
        &self,
        key: &str,
        default: T,
        convert: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if self.has(key) { self.get(key, convert) } else { Some(default) }
    }

    /// A value for a cross-check: what is wrong with it is said elsewhere.
    pub(super) fn peek<T>(
        &self,
        key: &str,
        convert: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        convert(self.values.get(key)?).ok()
    }

    /// A value that must be there; `wanted` says what to write when it is not.
    pub(super) fn require<T>(
        &self,
        key: &str,
        wanted: &str,
        convert: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.report.problem(self.place.clone(), &self.path(key), format!("missing; {wanted}"));
        }
        self.get(key, convert)
    }

    /// A list of texts, each with its place; `None` when it is not there or no list. `wanted`
    /// says what to write instead of an empty one.
    pub(super) fn texts(&self, key: &str, wanted: &str) -> Option<Vec<(Place, String)>> {
        let items = self.get(key, |value| match (&value.kind, list_of(value)) {
            (_, Some(items)) if items.is_empty() => Err(format!("found an empty list; {wanted}")),
            (_, Some(items)) => Ok(items.clone()),
            (ValueKind::String(_), None) => {
                Err(format!("found {}; write a list, with [ and ] around it", describe(value)))
            }
            _ => Err(format!("found {}; write a list of texts", describe(value))),
        })?;
        let one = |item: &Value| {
            let place = Origin::of(item).map_or_else(|| self.place(key), |found| found.value);
            match text(item) {
                Ok(text) => Some((place, text)),
                Err(message) => {
                    self.report.problem(place, &self.path(key), message);
                    None
                }
            }
        };
        Some(items.iter().filter_map(one).collect())
    }

    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        self.report.problem(self.place(key), &self.path(key), message);
    }

    pub(super) fn problem_at(&self, place: Place, key: &str, message: impl Into<String>) {
        self.report.problem(place, &self.path(key), message);
    }

    pub(super) fn warning(&self, key: &str, message: impl Into<String>) {
        self.report.warning(self.place(key), &self.path(key), message);
    }

    /// Where the key's value is, or the section when the key is not there.
    fn place(&self, key: &str) -> Place {
        let Some(value) = self.values.get(key) else { return self.place.clone() };
        match (Origin::of(value), &value.kind) {
            (Some(origin), _) => origin.value,
            // The crate loses the origin of tables that it merges; a key in them has one.
            (None, ValueKind::Table(table)) => {
                let origins = table.values().filter_map(Origin::of).map(|found| found.key);
                let first = origins.filter(|place| place.file != DEFAULTS).min();
                first.unwrap_or_else(|| self.place.clone())
            }
            (None, _) => {
                let name = self.path(key).replace('.', "__").to_uppercase();
                Place::whole(format!("environment SEEWHEN_{name}"))
            }
        }
    }

    fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
