//! The lessons of a node, read for the watches that go by them.

use super::model::Model;
use crate::clip::cache::PromptEmbedder;
use crate::clip::prompts::Lessons;
use crate::config::{Config, LabelScore};
use crate::taught::shelf::Shelf;
use crate::watch::WatchSet;

/// Where lessons are kept; `None` when nothing can be taught.
pub fn shelf(config: &Config) -> Option<Shelf> {
    config.taught.dir.as_ref().map(|dir| Shelf::new(dir, &config.node))
}

/// Reads the lessons of every label of the configuration. One that cannot be used is named, with what it
/// takes to mend it, and its label goes by its prompts.
pub fn read(config: &Config, model: &Model) -> (Lessons, Vec<String>) {
    let (mut lessons, mut troubles) = (Lessons::new(), Vec::new());
    let Some(shelf) = shelf(config) else { return (lessons, troubles) };
    for watch in &config.watches {
        for label in watch.labels.iter().filter(|label| label.score != LabelScore::Prompts) {
            let key = (watch.id.clone(), label.id.clone());
            let instead =
                if label.prompts.is_empty() { "it stays at 0" } else { "its prompts stand alone" };
            match shelf.read(&watch.id, &label.id) {
                Ok(Some(lesson)) if lesson.digest == model.bundle().digest() => {
                    lessons.insert(key, lesson);
                }
                Ok(Some(lesson)) => troubles.push(format!(
                    "{}/{} was taught with bundle {}, and this is {}: teach it anew (seewhen teach … --forget, \
                     then --yes and --no); until then {instead}",
                    watch.id,
                    label.id,
                    lesson.bundle,
                    model.bundle().name()
                )),
                Ok(None) if label.score == LabelScore::Taught => troubles.push(format!(
                    "{}/{} is not taught yet (seewhen teach, or the page): {instead}",
                    watch.id, label.id
                )),
                Ok(None) => {}
                Err(error) => {
                    troubles.push(format!("{}/{}: {error}; {instead}", watch.id, label.id));
                }
            }
        }
    }
    (lessons, troubles)
}

/// Compiles the watches of a configuration with what their labels were taught.
///
/// # Errors
/// As [`Model::compile`]. A lesson that cannot be used is none: the log has it.
pub fn watches(
    config: &Config,
    model: &Model,
    embedder: &mut PromptEmbedder,
    revision: u64,
) -> anyhow::Result<WatchSet> {
    let (lessons, troubles) = read(config, model);
    for trouble in troubles {
        tracing::warn!("{trouble}");
    }
    model.compile(embedder, &config.cameras, &config.watches, &lessons, revision)
}
