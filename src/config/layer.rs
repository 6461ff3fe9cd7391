//! One TOML file as a layer for the `config` crate, with the position of every value kept.
//!
//! The crate's own TOML reader forgets lines and columns, so this one writes them into each
//! value's origin. It also merges lists by `id`: an entry of a later file overrides the keys of
//! the entry with its id, a new id is appended. What the values mean is left to the sections.

use ::config::{ConfigError, Map, Source, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::problem::{Place, Report};

pub(super) type Table = Map<String, Value>;

/// One file, parsed.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    values: Table,
}

impl Layer {
    /// Reports syntax errors, and is `None` then: what a broken file means is a guess. Reports
    /// unknown sections and ids given twice as well.
    pub(super) fn parse(name: &str, text: &str, report: &Report) -> Option<Self> {
        let file = File::new(name, text);
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            file.report_syntax(&errors, report);
            return None;
        }
        let mut values = file.table(root.get_ref());
        drop_unknown(&mut values, report);
        report_twins(&values, "", report);
        Some(Self { values })
    }

    /// What stands at a key of the root.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The entry with `id` in a list of `table`.
    pub(super) fn entry<'v>(list: Option<&'v Value>, id: &str) -> Option<&'v Table> {
        let entry = list_of(list?)?.iter().find(|entry| id_of(entry) == Some(id))?;
        match &entry.kind {
            ValueKind::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Table, ConfigError> {
        Ok(self.values.clone())
    }

    // The default implementation would replace lists and take each key for a path.
    fn collect_to(&self, cache: &mut Value) -> Result<(), ConfigError> {
        merge(cache, Value::new(None, self.values.clone()), "");
        Ok(())
    }
}

/// Where a value and its key are, as written into its origin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Origin {
    pub(super) key: Place,
    pub(super) value: Place,
}

impl Origin {
    /// `None` for a value that came from no file.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let mut parts = value.origin()?.splitn(5, ':');
        let mut numbers = [0; 4];
        for number in &mut numbers {
            *number = parts.next()?.parse().ok()?;
        }
        let file = parts.next()?;
        let place = |line, column| Place { file: file.to_owned(), line, column };
        Some(Self { key: place(numbers[0], numbers[1]), value: place(numbers[2], numbers[3]) })
    }

    fn encode(&self) -> String {
        let Self { key, value } = self;
        format!("{}:{}:{}:{}:{}", key.line, key.column, value.line, value.column, value.file)
    }
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> File<'a> {
    fn new(name: &'a str, text: &'a str) -> Self {
        let later = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { name, text, lines: std::iter::once(0).chain(later).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        Place { file: self.name.to_owned(), line, column: before.chars().count() + 1 }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let entry = |(key, value): (&Spanned<_>, &_)| {
            let name: &str = AsRef::<str>::as_ref(key.get_ref());
            (name.to_owned(), self.value(key.span().start, value))
        };
        table.iter().map(entry).collect()
    }

    fn value(&self, key: usize, value: &Spanned<DeValue<'_>>) -> Value {
        let start = value.span().start;
        let origin = Origin { key: self.place(key), value: self.place(start) };
        let kind = match value.get_ref() {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Boolean(boolean) => ValueKind::Boolean(*boolean),
            DeValue::Float(float) => {
                ValueKind::Float(float.as_str().parse().unwrap_or(f64::INFINITY))
            }
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or(ValueKind::Float(f64::INFINITY), ValueKind::I64),
            DeValue::Array(items) => ValueKind::Array(
                items.iter().map(|item| self.value(item.span().start, item)).collect(),
            ),
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
            // The crate knows no dates, and no key of ours takes one.
            DeValue::Datetime(_) => ValueKind::Nil,
        };
        Value::new(Some(&origin.encode()), kind)
    }

    fn report_syntax(&self, errors: &[toml::de::Error], report: &Report) {
        let mut errors: Vec<_> =
            errors.iter().map(|error| (error.span().unwrap_or_default(), error)).collect();
        errors.sort_by_key(|(span, _)| span.start);
        let mut last_line = 0;
        for (span, error) in errors {
            let place = self.place(span.start);
            // What follows on the same line is nearly always a consequence.
            if place.line == last_line {
                continue;
            }
            last_line = place.line;
            let message = match (error.message(), self.text.get(span)) {
                ("duplicate key", Some(key)) => format!("`{key}` is given twice; keep one of them"),
                (message, _) => format!("not valid TOML: {message}"),
            };
            report.problem(place, "", message);
        }
    }
}

/// Unknown keys of the root are reported here and go no further: the crate would take quoted
/// ones such as `"camera[0]"` for paths, and forgets where a top-level table begins.
fn drop_unknown(values: &mut Table, report: &Report) {
    values.retain(|key, value| {
        let known = keys::TOP.contains(&key.as_str());
        if !known {
            let place = Origin::of(value).map(|origin| origin.key).unwrap_or_default();
            report.problem(place, key, unknown_key(key, keys::TOP));
        }
        known
    });
}

/// What to say of a key that no section knows.
pub fn unknown_key(key: &str, known: &[&str]) -> String {
    match keys::did_you_mean(key, known.iter().copied(), '`') {
        guess if guess.is_empty() => format!("unknown key; known here: {}", known.join(", ")),
        guess => format!("unknown key{guess}"),
    }
}

/// The id of a list entry.
pub(super) fn id_of(entry: &Value) -> Option<&str> {
    let ValueKind::Table(table) = &entry.kind else { return None };
    match &table.get("id")?.kind {
        ValueKind::String(id) => Some(id),
        _ => None,
    }
}

/// The entries of a list, when the value is one.
pub(super) fn list_of(value: &Value) -> Option<&Vec<Value>> {
    match &value.kind {
        ValueKind::Array(items) => Some(items),
        _ => None,
    }
}

fn report_twins(values: &Table, path: &str, report: &Report) {
    for list_key in keys::BY_ID {
        let entries = values.get(*list_key).and_then(list_of);
        let mut seen: Vec<(&str, Place)> = Vec::new();
        for entry in entries.into_iter().flatten() {
            let (Some(id), ValueKind::Table(table)) = (id_of(entry), &entry.kind) else { continue };
            let own = format!("{path}{list_key}[{id}]");
            let place = Origin::of(&table["id"]).map(|origin| origin.value).unwrap_or_default();
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == id) {
                let message = format!(
                    "{id:?} is already the id of the {list_key} in line {}; give each its own",
                    first.line
                );
                report.problem(place.clone(), &format!("{own}.id"), message);
            }
            seen.push((id, place));
            report_twins(table, &format!("{own}."), report);
        }
    }
}

/// Tables by key, lists of `BY_ID` by id; anything else is replaced.
fn merge(into: &mut Value, from: Value, key: &str) {
    match (&mut into.kind, from) {
        (ValueKind::Table(old), Value { kind: ValueKind::Table(new), .. }) => {
            for (key, value) in new {
                match old.get_mut(&key) {
                    Some(slot) => merge(slot, value, &key),
                    None => drop(old.insert(key, value)),
                }
            }
        }
        (ValueKind::Array(old), Value { kind: ValueKind::Array(new), .. })
            if keys::BY_ID.contains(&key) =>
        {
            for entry in new {
                let twin =
                    |other: &&mut Value| id_of(other).is_some_and(|id| Some(id) == id_of(&entry));
                match old.iter_mut().find(twin) {
                    Some(slot) => merge(slot, entry, ""),
                    None => old.push(entry),
                }
            }
        }
        (_, from) => *into = from,
    }
}
