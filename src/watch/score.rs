//! What watches say of a frame: a probability for each of their labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Label;
use crate::model::{LabelId, Probability, Region, WatchId};

/// The probabilities of a watch's labels in one frame, in the watch's order. Shared, not copied, by whoever keeps
/// them: labels may be thousands.
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    labels: Arc<[Label]>,
    values: Arc<[Probability]>,
}

impl Probabilities {
    /// `values`: one for each of `labels`, in their order.
    pub fn new(labels: Arc<[Label]>, values: impl Into<Arc<[Probability]>>) -> Self {
        Self { labels, values: values.into() }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&LabelId, Probability)> {
        self.labels.iter().map(|label| &label.id).zip(self.values.iter().copied())
    }

    /// In the order of the labels.
    pub fn values(&self) -> &[Probability] {
        &self.values
    }

    /// `None` when the watch has no such label.
    pub fn of(&self, label: &LabelId) -> Option<Probability> {
        self.iter().find(|(id, _)| *id == label).map(|(_, probability)| probability)
    }

    /// The same, for a label whose place is known, unless these are of other labels.
    pub fn at(&self, place: usize, label: &LabelId) -> Option<Probability> {
        let is_it = self.labels.get(place).is_some_and(|known| known.id == *label);
        if is_it { self.values.get(place).copied() } else { self.of(label) }
    }

    /// By label, for payloads.
    pub fn by_label(&self) -> BTreeMap<LabelId, Probability> {
        self.iter().map(|(label, probability)| (label.clone(), probability)).collect()
    }
}

/// What one watch says of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchScore {
    pub watch: WatchId,
    pub probabilities: Probabilities,
    /// The tile that each probability was highest in; empty when the picture was not cut.
    pub tiles: Arc<[Region]>,
}

impl WatchScore {
    /// Of a picture that was not cut.
    pub fn new(watch: WatchId, probabilities: Probabilities) -> Self {
        Self { watch, probabilities, tiles: [].into() }
    }
}
