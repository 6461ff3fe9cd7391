//! Prompts to label matrices: templates, prompt ensembling, compiled watches.
//!
//! A label's embedding is the normalised mean of its prompts' normalised embeddings: "prompt
//! ensembling" of the CLIP paper (arXiv:2103.00020, section 3.1.4) and of openai/CLIP's
//! notebook `Prompt_Engineering_for_ImageNet.ipynb`. Pure: where embeddings come from (a
//! cache, the text model) is behind [`PromptSource`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{EncodeError, normalise};
use crate::config::{Camera, WatchConfig};
use crate::model::Embedding;
use crate::watch::{Label, Watch, WatchSet, WatchedCamera};

mod lessons;
#[cfg(test)]
mod tests;

pub use super::scoring::matrix;
pub use lessons::Lessons;

/// One prompt in one template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prompt {
    /// With one `{}`, where the prompt goes.
    pub template: String,
    pub prompt: String,
}

impl Prompt {
    /// What the text model reads.
    pub fn text(&self) -> String {
        self.template.replacen("{}", &self.prompt, 1)
    }
}

/// Where embeddings of prompts come from.
pub trait PromptSource {
    /// One unit-length embedding per prompt, in order.
    fn embeddings(&mut self, prompts: &[Prompt]) -> Result<Vec<Embedding>, EncodeError>;
}

/// What a [`WatchSet`] keeps of the bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// Name of the bundle, as payloads show it.
    pub name: Arc<str>,
    pub logit_scale: f32,
    pub logit_bias: f32,
}

/// Why a configuration could not be turned into matrices.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("watch {watch}, label {label}: {cause}")]
    Encode { watch: String, label: String, cause: EncodeError },
    #[error(transparent)]
    Source(#[from] EncodeError),
    #[error(
        "watch {watch}, label {label}: the embeddings of its prompts cancel each other out or \
         differ in length; use prompts that describe one thing"
    )]
    Mean { watch: String, label: String },
    #[error("watch {watch}: its labels have embeddings of different lengths")]
    Shape { watch: String },
}

/// Every prompt in every template, templates outermost.
pub fn expand(templates: &[String], prompts: &[String]) -> Vec<Prompt> {
    let pair = |template: &String, prompt: &String| Prompt {
        template: template.clone(),
        prompt: prompt.clone(),
    };
    templates.iter().flat_map(|t| prompts.iter().map(move |p| pair(t, p))).collect()
}

/// The normalised mean of unit-length embeddings, shape `[dim]` like each of them. `None` when
/// there are none, when their lengths differ, or when they cancel each other out.
pub fn mean(embeddings: &[Embedding]) -> Option<Embedding> {
    let first = embeddings.first()?;
    let mut sum = vec![0.0_f32; first.0.len()];
    for embedding in embeddings {
        let mut values = embedding.0.clone();
        if values.len() != sum.len() || !normalise(&mut values) {
            return None;
        }
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    normalise(&mut sum).then_some(Embedding(sum))
}

/// The embedding of one label: its prompts in all templates, averaged.
///
/// # Errors
/// When the source has none for a prompt, or [`mean`] has no answer.
pub fn label_embedding(
    templates: &[String],
    prompts: &[String],
    source: &mut dyn PromptSource,
) -> Result<Embedding, EncodeError> {
    let embeddings = source.embeddings(&expand(templates, prompts))?;
    mean(&embeddings).ok_or_else(|| {
        EncodeError::Failed(format!(
            "the embeddings of {prompts:?} have no mean: they cancel each other out"
        ))
    })
}

/// All prompts of these watches, each once, in a stable order.
pub fn all(watches: &[WatchConfig]) -> Vec<Prompt> {
    let labels = watches.iter().flat_map(|watch| watch.labels.iter().map(move |l| (watch, l)));
    let unique: BTreeSet<Prompt> =
        labels.flat_map(|(watch, label)| expand(&watch.templates, &label.prompts)).collect();
    unique.into_iter().collect()
}

/// Builds everything that scoring and the rules need. Nothing of the old set is touched, so a
/// failed reload changes nothing.
///
/// # Errors
/// When a prompt has no embedding, or a label's prompts cancel each other out.
pub fn compile(
    cameras: &[Camera],
    watches: &[WatchConfig],
    source: &mut dyn PromptSource,
    model: &ModelInfo,
    lessons: &Lessons,
) -> Result<WatchSet, CompileError> {
    // One call for all prompts: full batches for the text model, one save of the cache.
    source.embeddings(&all(watches))?;
    let compiled = |watch| compile_watch(watch, source, model, lessons);
    let watches = watches.iter().map(compiled).collect::<Result<_, _>>()?;
    let cameras = cameras.iter().map(|camera| WatchedCamera {
        id: camera.id.clone(),
        // A connection counts as stalled after `stall_timeout`; a frame may then still be
        // waiting to be sampled and to be encoded.
        stale_after: camera.stall_timeout + 2 * camera.every.longest(),
        enabled: camera.enabled,
        view_check: camera.view_check.then(|| camera.shown()),
    });
    Ok(WatchSet {
        cameras: cameras.collect(),
        watches,
        logit_scale: model.logit_scale,
        logit_bias: model.logit_bias,
        model: model.name.clone(),
        revision: 0,
    })
}

fn compile_watch(
    watch: &WatchConfig,
    source: &mut dyn PromptSource,
    model: &ModelInfo,
    lessons: &Lessons,
) -> Result<Watch, CompileError> {
    let name = || watch.id.to_string();
    let mut rows: Vec<Option<Embedding>> = Vec::with_capacity(watch.labels.len());
    for label in &watch.labels {
        let id = || label.id.to_string();
        if label.prompts.is_empty() {
            rows.push(None);
            continue;
        }
        let embeddings = source
            .embeddings(&expand(&watch.templates, &label.prompts))
            .map_err(|cause| CompileError::Encode { watch: name(), label: id(), cause })?;
        let mean = mean(&embeddings);
        rows.push(Some(mean.ok_or_else(|| CompileError::Mean { watch: name(), label: id() })?));
    }
    let taught = lessons::lengths(watch, lessons);
    let dim = rows.iter().flatten().map(|row| row.0.len()).chain(taught).next().unwrap_or(0);
    let rows: Vec<Embedding> =
        rows.into_iter().map(|row| row.unwrap_or_else(|| Embedding(vec![0.0; dim]))).collect();
    let matrix = matrix(&rows).ok_or_else(|| CompileError::Shape { watch: name() })?;
    let taught = lessons::learn(watch, &matrix, model, lessons);
    Ok(Watch {
        id: watch.id.clone(),
        cameras: watch.cameras.clone(),
        labels: watch
            .labels
            .iter()
            .map(|label| Label { id: label.id.clone(), rule: label.rule.clone() })
            .collect(),
        score: watch.score,
        matrix,
        taught,
        publish_every: watch.publish_every,
        enabled: watch.enabled,
    })
}
