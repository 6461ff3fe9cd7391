//! Names that people read and ids that Home Assistant keeps, out of the configuration's ids. Pure.

use crate::model::{CameraId, LabelKey, NodeId};

/// What two entities of every camera are called.
pub(super) const CONNECTION: &str = "Connection";
pub(super) const PROBLEM: &str = "Problem";

/// Entities of a camera that are of the same kind as a label's own.
const TAKEN: &[&str] = &[CONNECTION, PROBLEM];

/// "front_door" is "Front door".
pub(super) fn readable(id: &str) -> String {
    let words: Vec<&str> = id.split(['_', '-']).filter(|word| !word.is_empty()).collect();
    let text = words.join(" ");
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => id.to_owned(),
    }
}

/// A camera's name: the plain id where another's reads the same.
pub(super) fn camera(id: &CameraId, all: &[&str]) -> String {
    let name = readable(id.as_str());
    let twins = all.iter().filter(|other| same(&readable(other), &name)).count();
    if twins > 1 { id.to_string() } else { name }
}

/// A label's name: with the watch where the label alone is not enough, with plain ids where that
/// still is not.
pub(super) fn label<'a>(key: &LabelKey, all: impl Iterator<Item = &'a LabelKey> + Clone) -> String {
    let short = |key: &LabelKey| readable(key.label.as_str());
    let long = |key: &LabelKey| format!("{} {}", readable(key.watch.as_str()), lower(&short(key)));
    let is_one = |name: &dyn Fn(&LabelKey) -> String| {
        let own = name(key);
        let twins = all.clone().filter(|other| same(&name(other), &own)).count();
        let taken = TAKEN.iter().any(|taken| same(taken, &own));
        (twins == 1 && !taken).then_some(own)
    };
    is_one(&short).or_else(|| is_one(&long)).unwrap_or(format!("{}/{}", key.watch, key.label))
}

/// As ids of entities see it, which know no upper case.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// In the middle of a name; abbreviations stay as they are.
fn lower(name: &str) -> String {
    match name.as_bytes() {
        [_, second, ..] if second.is_ascii_uppercase() => name.to_owned(),
        _ => name[..1].to_ascii_lowercase() + &name[1..],
    }
}

/// Makes the ids by which Home Assistant knows entities again after a restart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unique<'a> {
    pub(super) node: &'a NodeId,
}

impl Unique<'_> {
    pub(super) fn of_node(self, what: &str) -> String {
        joined(["seewhen", self.node.as_str(), what])
    }

    pub(super) fn of_camera(self, camera: &CameraId, what: &str) -> String {
        joined(["seewhen", self.node.as_str(), camera.as_str(), what])
    }

    pub(super) fn of_label(self, key: &LabelKey, what: &str) -> String {
        let (node, camera) = (self.node.as_str(), key.camera.as_str());
        joined(["seewhen", node, camera, key.watch.as_str(), key.label.as_str(), what])
    }
}

/// The parts with '_' between them. One inside a part becomes a dot, which no id has: else "a_b"
/// and "c" would be the same as "a" and "b_c".
pub(super) fn joined<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| part.replace('_', ".")).collect();
    parts.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LabelId, WatchId};

    fn key(watch: &str, label: &str) -> LabelKey {
        LabelKey {
            camera: CameraId::try_new("c").unwrap(),
            watch: WatchId::try_new(watch).unwrap(),
            label: LabelId::try_new(label).unwrap(),
        }
    }

    #[track_caller]
    fn names(keys: &[(&str, &str)], expected: &[&str]) {
        let keys: Vec<LabelKey> = keys.iter().map(|(watch, label)| key(watch, label)).collect();
        let found: Vec<String> = keys.iter().map(|key| label(key, keys.iter())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn ids_become_readable() {
        for (id, name) in [
            ("front_door", "Front door"),
            ("USB-cam-2", "USB cam 2"),
            ("_a__b-", "A b"),
            ("-_-", "-_-"),
            ("7", "7"),
        ] {
            assert_eq!(readable(id), name);
        }
        let camera = |id, all: &[&str]| camera(&CameraId::try_new(id).unwrap(), all);
        assert_eq!(camera("front_door", &["front_door", "gate"]), "Front door");
        assert_eq!(camera("front_door", &["front_door", "Front-Door"]), "front_door");
    }

    #[test]
    fn a_label_is_named_with_its_watch_where_it_must_be() {
        names(&[("porch", "parcel")], &["Parcel"]);
        names(&[("porch", "parcel"), ("gate", "person")], &["Parcel", "Person"]);
        names(&[("day", "person"), ("night", "person")], &["Day person", "Night person"]);
        names(&[("day", "UPS_van"), ("night", "UPS_van")], &["Day UPS van", "Night UPS van"]);
        names(&[("w", "a-b"), ("w", "a_b")], &["w/a-b", "w/a_b"]);
        names(&[("tap", "problem"), ("x", "y")], &["Tap problem", "Y"]);
    }

    #[test]
    fn no_two_ids_are_joined_to_the_same() {
        assert_eq!(joined(["seewhen", "gate", "porch"]), "seewhen_gate_porch");
        assert_ne!(joined(["a_b", "c"]), joined(["a", "b_c"]));
        assert_ne!(joined(["a_", "b"]), joined(["a", "_b"]));
    }
}
