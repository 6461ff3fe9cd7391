//! Lessons after a change of the bundle: their pictures, where they were kept, are looked at anew.

use anyhow::{Context as _, ensure};

use super::lessons;
use super::model::Model;
use crate::clip::ImageEncoder as _;
use crate::clip::onnx::OnnxImageEncoder;
use crate::config::{Config, WatchConfig};
use crate::jpeg;
use crate::model::{Embedding, Picture, View};
use crate::taught::shelf::Shelf;
use crate::taught::{Example, Lesson, Source};

/// Makes the lessons of another bundle ones of this, if all their examples have pictures. The others stay as
/// they are; reading them says so.
pub(super) fn relearn(config: &Config, model: &Model) {
    let Some(shelf) = lessons::shelf(config) else { return };
    let mut encoder = None;
    for watch in &config.watches {
        for label in &watch.labels {
            let Ok(Some(lesson)) = shelf.read(&watch.id, &label.id) else { continue };
            let has_pictures = lesson.counting().all(|example| example.picture.is_some());
            if lesson.digest == model.bundle().digest() || !has_pictures {
                continue;
            }
            match renew(config, watch, &shelf, model, lesson, &mut encoder) {
                Ok(examples) => tracing::info!(
                    watch = %watch.id,
                    label = %label.id,
                    examples,
                    "the pictures of a lesson were looked at with the new bundle"
                ),
                Err(error) => tracing::warn!(
                    watch = %watch.id,
                    label = %label.id,
                    "a lesson of another bundle cannot be renewed: {error:#}"
                ),
            }
        }
    }
}

fn renew(
    config: &Config,
    watch: &WatchConfig,
    shelf: &Shelf,
    model: &Model,
    lesson: Lesson,
    encoder: &mut Option<OnnxImageEncoder>,
) -> anyhow::Result<usize> {
    let encoder = match encoder {
        Some(encoder) => encoder,
        none => none.insert(model.image_encoder()?),
    };
    let (label, old) = (lesson.label.clone(), lesson.digest.clone());
    let mut examples = Vec::new();
    // What does not count any more may have no picture, and is of no use.
    for example in lesson.examples.into_iter().filter(|one| one.replaced.is_none()) {
        let view = view(config, watch, &example);
        let embedding = look(encoder, &example, view)?;
        examples.push(Example { embedding, ..example });
    }
    let count = examples.len();
    let (bundle, digest) = (model.bundle().name().to_owned(), model.bundle().digest().to_owned());
    shelf.change(&watch.id, &label, |now| {
        // Somebody may have taught meanwhile.
        let is_same = now.as_ref().is_some_and(|now| now.digest == old);
        let acts = lesson.acts;
        let (watch, usual) = (watch.id.clone(), Vec::new());
        let new = Lesson { watch, label: label.clone(), bundle, digest, examples, acts, usual };
        Ok((if is_same { Some(new) } else { now }, ()))
    })?;
    Ok(count)
}

/// How its camera looks at a frame; that of the watch's first camera for a file's.
fn view(config: &Config, watch: &WatchConfig, example: &Example) -> View {
    let own = match &example.source {
        Source::Camera(camera) => Some(camera),
        Source::File(_) => watch.cameras.first(),
    };
    let camera = config.cameras.iter().find(|camera| Some(&camera.id) == own);
    camera.map(|camera| View { tiles: false, ..camera.view }).unwrap_or_default()
}

fn look(
    encoder: &mut OnnxImageEncoder,
    example: &Example,
    view: View,
) -> anyhow::Result<Embedding> {
    let bytes = example.picture.as_ref().context("an example has no picture")?;
    let picture: Picture = jpeg::decode(bytes).context("the picture of an example is damaged")?;
    let mut embeddings = encoder.encode(&[(&picture, view)])?;
    ensure!(embeddings.len() == 1, "the model gave no embedding");
    Ok(embeddings.remove(0))
}
