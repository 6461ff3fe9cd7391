//! What taught labels have learnt, for every camera of a watch. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2};

use super::{ModelInfo, matrix};
use crate::clip::scoring::{cosines, prompt_odds};
use crate::config::{LabelScore, WatchConfig};
use crate::model::{CameraId, Embedding, LabelId, WatchId};
use crate::taught::fit::{Learnt, Row, fit};
use crate::taught::{Example, Lesson, Source};
use crate::watch::{Taught, TaughtGroup};

/// The lessons of a node, all of its bundle.
pub type Lessons = BTreeMap<(WatchId, LabelId), Lesson>;

/// What an example of another source counts, where a camera has examples of its own.
const ELSEWHERE: f64 = 0.25;

/// The lesson that a label of the watch goes by.
fn lesson<'a>(watch: &WatchConfig, label: usize, lessons: &'a Lessons) -> Option<&'a Lesson> {
    let label = watch.labels.get(label).filter(|label| label.score != LabelScore::Prompts)?;
    lessons.get(&(watch.id.clone(), label.id.clone()))
}

/// The lengths of the embeddings that the watch's lessons have.
pub(super) fn lengths(watch: &WatchConfig, lessons: &Lessons) -> Vec<usize> {
    let lessons = (0..watch.labels.len()).filter_map(|label| lesson(watch, label, lessons));
    lessons.filter_map(|lesson| Some(lesson.examples.first()?.embedding.0.len())).collect()
}

/// Learns all of the watch's lessons. Each camera with examples of its own beside those of others learns
/// for itself, and all the others learn once.
pub(super) fn learn(
    watch: &WatchConfig,
    matrix: &Array2<f32>,
    model: &ModelInfo,
    lessons: &Lessons,
) -> Taught {
    let unworded = |place: &usize| watch.labels[*place].prompts.is_empty();
    let unworded: Vec<usize> = (0..watch.labels.len()).filter(unworded).collect();
    let subjects: Vec<Subject<'_>> = (0..watch.labels.len())
        .filter_map(|label| {
            let lesson = lesson(watch, label, lessons)?;
            Subject::new(watch, label, lesson, (matrix.view(), &unworded), model)
        })
        .collect();
    let (mut own, mut shared) = (BTreeSet::new(), Vec::new());
    for camera in &watch.cameras {
        if subjects.iter().any(|subject| subject.is_special(camera)) {
            own.insert(camera);
        } else {
            shared.push(camera.clone());
        }
    }
    let groups = own
        .into_iter()
        .map(|camera| group(&subjects, vec![camera.clone()]))
        .chain((!shared.is_empty()).then(|| group(&subjects, shared)));
    Taught { unworded, groups: groups.flatten().collect() }
}

/// `None` when no label is taught.
fn group(subjects: &[Subject<'_>], cameras: Vec<CameraId>) -> Option<TaughtGroup> {
    let camera = cameras.first()?;
    let learnt: Vec<(usize, Learnt)> =
        subjects.iter().filter_map(|one| Some((one.label, one.learn(camera)?))).collect();
    let rows: Vec<Embedding> =
        learnt.iter().map(|(_, learnt)| Embedding(learnt.direction.clone())).collect();
    Some(TaughtGroup {
        labels: learnt.iter().map(|(label, _)| *label).collect(),
        bounds: learnt.iter().map(|(_, learnt)| learnt.bounds).collect(),
        biases: learnt.iter().map(|(_, learnt)| learnt.bias).collect(),
        directions: matrix(&rows).filter(|matrix| matrix.nrows() > 0)?,
        cameras,
    })
}

/// A label and its examples.
struct Subject<'a> {
    label: usize,
    lesson: &'a Lesson,
    examples: Vec<&'a Example>,
    /// What the prompts give each.
    odds: Vec<f64>,
}

impl<'a> Subject<'a> {
    /// `matrix` with the labels whose rows mean nothing. `None` for examples that do not fit the bundle, and when there are none.
    fn new(
        watch: &WatchConfig,
        label: usize,
        lesson: &'a Lesson,
        (matrix, unworded): (ArrayView2<'_, f32>, &[usize]),
        model: &ModelInfo,
    ) -> Option<Self> {
        let examples: Vec<&Example> = lesson.counting().collect();
        if examples.is_empty() || examples.iter().any(|e| e.embedding.0.len() != matrix.ncols()) {
            return None;
        }
        let embeddings: Vec<&Embedding> =
            examples.iter().map(|example| &example.embedding).collect();
        let logit = (watch.score, model.logit_scale, model.logit_bias);
        let odds = cosines(&embeddings, matrix).into_iter();
        let odds = odds.map(|cosines| prompt_odds(cosines, unworded, label, logit)).collect();
        Some(Self { label, lesson, examples, odds })
    }

    /// Whether `camera` has examples of its own, and others have some too.
    fn is_special(&self, camera: &CameraId) -> bool {
        let own = self.examples.iter().filter(|example| is_of(example, camera)).count();
        own > 0 && own < self.examples.len()
    }

    fn learn(&self, camera: &CameraId) -> Option<Learnt> {
        let special = self.is_special(camera);
        let weight = |example| if special && !is_of(example, camera) { ELSEWHERE } else { 1.0 };
        let row = |(example, odds): (&&'a Example, &f64)| Row {
            embedding: &example.embedding,
            yes: example.yes,
            odds: *odds,
            weight: weight(example),
        };
        let rows: Vec<Row<'_>> = self.examples.iter().zip(&self.odds).map(row).collect();
        let usual = self.lesson.usual_of(Some(&Source::Camera(camera.clone())));
        fit(&rows, usual.as_ref())
    }
}

fn is_of(example: &Example, camera: &CameraId) -> bool {
    matches!(&example.source, Source::Camera(own) if own == camera)
}
