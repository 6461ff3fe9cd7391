//! What commands have changed, as a last layer over the files. Pure.
//!
//! Some of it is kept in a file of its own; the rest passes with the process. A change sets a key of a
//! camera, a watch or a label, takes it back (the files hold again), or takes a label out that the
//! files do not have.

use toml::{Table, Value};

use crate::model::{CameraId, LabelId, WatchId};

/// What a change is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Camera(CameraId),
    Watch(WatchId),
    Label(WatchId, LabelId),
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Sets a key; `None` takes back what was set.
    Key(Entry, String, Option<Value>),
    /// Takes back all that was set of a label.
    Remove(WatchId, LabelId),
}

/// All changes of commands that are in force.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Runtime {
    kept: Table,
    /// In the order in which they came, over those that are kept.
    passing: Vec<Change>,
}

/// Stands above what is kept.
const HEADER: &str = "# Written by seewhen: what commands have changed. It is read after all other files.\n\
                      # Edit it if you like, and reload; comments are lost at the next command.\n\n";

impl Runtime {
    /// Reads what is kept. `text` has been found right before.
    ///
    /// # Errors
    /// When it is no TOML after all.
    pub fn read(text: Option<&str>) -> Result<Self, toml::de::Error> {
        Ok(Self { kept: text.unwrap_or_default().parse()?, passing: Vec::new() })
    }

    /// With the passing changes of another.
    pub fn with_passing(self, other: &Self) -> Self {
        Self { passing: other.passing.clone(), ..self }
    }

    /// After more changes, which are kept or pass. A key that is set anew is so whatever was said
    /// before.
    pub fn changed(&self, changes: &[Change], keep: bool) -> Self {
        let mut new = self.clone();
        for change in changes {
            new.passing.retain(|old| !change.replaces(old));
            if keep {
                apply(&mut new.kept, change);
            } else {
                new.passing.push(change.clone());
            }
        }
        new
    }

    pub fn has_passing(&self) -> bool {
        !self.passing.is_empty()
    }

    /// Whether a label is there by a change that passes.
    pub fn is_passing(&self, watch: &WatchId, label: &LabelId) -> bool {
        self.passing.contains(&Change::Remove(watch.clone(), label.clone()))
    }

    /// All of it, as the text of a layer.
    pub fn text(&self) -> String {
        text(&self.in_force())
    }

    /// What is kept, as the text of its file.
    pub fn kept_text(&self) -> String {
        HEADER.to_owned() + &text(&self.kept)
    }

    /// What the changes say of a label's key.
    pub fn of_label(&self, watch: &WatchId, label: &LabelId, key: &str) -> Option<Value> {
        let mut all = self.in_force();
        let watch = find(&mut all, "watch", watch.as_str())?;
        find(watch, "label", label.as_str())?.get(key).cloned()
    }

    fn in_force(&self) -> Table {
        let mut all = self.kept.clone();
        self.passing.iter().for_each(|change| apply(&mut all, change));
        all
    }
}

impl Change {
    /// Whether `old` says nothing any more after this one.
    fn replaces(&self, old: &Self) -> bool {
        match (self, old) {
            (Self::Key(entry, key, _), Self::Key(other, old, _)) => entry == other && key == old,
            (Self::Remove(watch, label), Self::Key(Entry::Label(of, id), ..)) => {
                watch == of && label == id
            }
            (new, old) => new == old,
        }
    }
}

fn text(table: &Table) -> String {
    toml::to_string(table).expect("a table with texts as keys always serialises")
}

fn apply(root: &mut Table, change: &Change) {
    match change {
        Change::Key(entry, key, Some(value)) => {
            if let Some(table) = made(root, entry) {
                table.insert(key.clone(), value.clone());
            }
        }
        Change::Key(entry, key, None) => {
            if let Some(table) = found(root, entry) {
                table.remove(key);
            }
        }
        Change::Remove(watch, label) => {
            let labels =
                find(root, "watch", watch.as_str()).and_then(|watch| watch.get_mut("label"));
            if let Some(Value::Array(labels)) = labels {
                labels.retain(|entry| id_of(entry) != Some(label.as_str()));
            }
        }
    }
    prune(root);
}

fn id_of(entry: &Value) -> Option<&str> {
    entry.get("id")?.as_str()
}

fn find<'t>(table: &'t mut Table, list: &str, id: &str) -> Option<&'t mut Table> {
    let list = table.get_mut(list)?.as_array_mut()?;
    list.iter_mut().find(|entry| id_of(entry) == Some(id))?.as_table_mut()
}

fn found<'t>(root: &'t mut Table, entry: &Entry) -> Option<&'t mut Table> {
    match entry {
        Entry::Camera(camera) => find(root, "camera", camera.as_str()),
        Entry::Watch(watch) => find(root, "watch", watch.as_str()),
        Entry::Label(watch, label) => {
            find(find(root, "watch", watch.as_str())?, "label", label.as_str())
        }
    }
}

/// The entry, which is made where it is not there.
fn made<'t>(root: &'t mut Table, entry: &Entry) -> Option<&'t mut Table> {
    let (list, id) = match entry {
        Entry::Camera(camera) => ("camera", camera.as_str()),
        Entry::Watch(watch) | Entry::Label(watch, _) => ("watch", watch.as_str()),
    };
    let table = make(root, list, id)?;
    match entry {
        Entry::Label(_, label) => make(table, "label", label.as_str()),
        _ => Some(table),
    }
}

fn make<'t>(table: &'t mut Table, list: &str, id: &str) -> Option<&'t mut Table> {
    if find(table, list, id).is_none() {
        let entries = table.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        let new = Table::from_iter([("id".to_owned(), Value::from(id))]);
        entries.as_array_mut()?.push(Value::Table(new));
    }
    find(table, list, id)
}

/// Entries that say nothing but their ids go.
fn prune(table: &mut Table) {
    for list in ["camera", "watch", "label"] {
        let Some(Value::Array(entries)) = table.get_mut(list) else { continue };
        entries.iter_mut().filter_map(Value::as_table_mut).for_each(prune);
        entries.retain(|entry| entry.as_table().is_none_or(|entry| entry.len() > 1));
        if entries.is_empty() {
            table.remove(list);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> WatchId {
        WatchId::try_new("w").unwrap()
    }

    fn label(id: &str) -> LabelId {
        LabelId::try_new(id).unwrap()
    }

    fn set(id: &str, key: &str, value: impl Into<Value>) -> Change {
        Change::Key(Entry::Label(watch(), label(id)), key.to_owned(), Some(value.into()))
    }

    fn reset(id: &str, key: &str) -> Change {
        Change::Key(Entry::Label(watch(), label(id)), key.to_owned(), None)
    }

    fn remove(id: &str) -> Change {
        Change::Remove(watch(), label(id))
    }

    #[test]
    fn changes_become_a_layer_and_are_taken_back() {
        let camera = Entry::Camera(CameraId::try_new("c").unwrap());
        let off = Change::Key(camera, "enabled".to_owned(), Some(false.into()));
        let all = Runtime::default().changed(&[off, set("a", "threshold", 0.5)], true);
        assert_eq!(
            all.text(),
            "[[camera]]\nenabled = false\nid = \"c\"\n\n[[watch]]\nid = \"w\"\n\n\
             [[watch.label]]\nid = \"a\"\nthreshold = 0.5\n"
        );
        assert_eq!(Runtime::read(Some(&all.kept_text())).as_ref(), Ok(&all));
        let back = all.changed(&[reset("a", "threshold")], true);
        assert_eq!(back.text(), "[[camera]]\nenabled = false\nid = \"c\"\n");
        assert_eq!(all.changed(&[remove("a")], true), back);
    }

    #[test]
    fn the_newest_word_counts_whether_it_is_kept_or_not() {
        let value = |runtime: &Runtime| runtime.of_label(&watch(), &label("a"), "threshold");
        let kept = Runtime::default().changed(&[set("a", "threshold", 0.5)], true);
        let passing = kept.changed(&[set("a", "threshold", 0.6)], false);
        assert_eq!((value(&passing), passing.kept_text()), (Some(0.6.into()), kept.kept_text()));
        let again = passing.changed(&[set("a", "threshold", 0.7)], true);
        assert_eq!((value(&again), again.has_passing()), (Some(0.7.into()), false));
        let none = passing.changed(&[reset("a", "threshold")], false);
        assert_eq!((value(&none), none.kept_text()), (None, kept.kept_text()));
        for n in 0..100 {
            assert!(passing.changed(&[set("a", "threshold", n)], false).passing.len() < 2);
        }
    }

    #[test]
    fn a_label_that_passes_is_known_as_one() {
        let kept = Runtime::default().changed(&[set("a", "hold", "1s")], true);
        let anew = [remove("a"), set("a", "threshold", 0.5)];
        let passing = kept.changed(&anew, false);
        assert!(
            passing.is_passing(&watch(), &label("a")) && !kept.is_passing(&watch(), &label("a"))
        );
        assert_eq!(passing.of_label(&watch(), &label("a"), "hold"), None, "it began anew");
        assert!(!passing.changed(&anew, true).has_passing());
        assert_eq!(passing.changed(&[remove("a")], false).text(), "");
    }
}
