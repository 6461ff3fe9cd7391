//! The bundle and what is made of it: the image encoder, and compiled watches.
//!
//! Loads the text model only for prompts that are not in the cache, and lets go of it when the
//! watches are compiled: it is needed again only for new prompts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::worker::Worker;
use crate::clip::advice::watch_advice;
use crate::clip::bundle::Bundle;
use crate::clip::cache::{self, PromptCache, PromptEmbedder};
use crate::clip::onnx::{self, OnnxImageEncoder, OnnxTextEncoder, Runtime, Wanted, ahead};
use crate::clip::prompts::Lessons;
use crate::clip::tokenizer::Tokenizer;
use crate::clip::{EncodeError, ImageEncoder, TextEncoder, prompts};
use crate::config::{Camera, Config, ModelConfig, WatchConfig};
use crate::infer::engine::Engine;
use crate::model::Embedding;
use crate::status::{RunsOn, Status};
use crate::watch::WatchSet;

/// An opened bundle and the runtime for it.
pub struct Model {
    runtime: Runtime,
    bundle: Bundle,
    wanted: Wanted,
    cache: Option<PathBuf>,
}

impl Model {
    /// Opens the bundle and ONNX Runtime.
    pub fn load(config: &ModelConfig) -> anyhow::Result<Self> {
        let bundle = Bundle::open(&config.bundle, config.dir.as_deref())?.at(config.precision);
        for note in bundle.notes() {
            tracing::warn!(bundle = bundle.name(), "{note}");
        }
        Ok(Self {
            runtime: Runtime::load()?,
            bundle,
            wanted: wanted(config),
            cache: config.prompt_cache.clone().or_else(cache::default_path),
        })
    }

    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The file of the prompt cache, where there is a place for one.
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// Loads the image model on what the configuration asks for, or the fastest that is there.
    pub fn image_encoder(&self) -> anyhow::Result<OnnxImageEncoder> {
        Ok(OnnxImageEncoder::choose(&self.runtime, &self.bundle, &self.wanted)?)
    }

    /// Loads the image model and runs grey pictures, one for each of `cameras` (no batch of live
    /// cameras is larger), so that the first frames meet a warm one.
    pub fn warm_image_encoder(&self, cameras: usize) -> anyhow::Result<OnnxImageEncoder> {
        let mut encoder = self.image_encoder()?;
        let (provider, precision) = (encoder.provider(), encoder.precision());
        for batch in encoder.batches(cameras) {
            let (size, took) = encoder.warm_up(batch).context("the image model does not run")?;
            tracing::info!(%provider, %precision, batch = size, ?took, "image model is warm");
        }
        Ok(encoder)
    }

    /// Gives `encoder` a thread that prepares the next batch while one runs.
    pub fn ahead(mut encoder: OnnxImageEncoder) -> anyhow::Result<OnnxImageEncoder> {
        let (jobs, todo) = crossbeam_channel::bounded(1);
        let (finished, done) = crossbeam_channel::bounded(1);
        // The encoder waits for its end.
        Worker::start("prepare".to_owned(), move || ahead::run(&todo, &finished))?;
        encoder.prepare_ahead(jobs, done);
        Ok(encoder)
    }

    /// The same where the model runs on a device of its own. On the processor both would share the
    /// cores.
    pub fn ahead_of_gpu(encoder: OnnxImageEncoder) -> anyhow::Result<OnnxImageEncoder> {
        if encoder.provider().is_gpu() { Self::ahead(encoder) } else { Ok(encoder) }
    }

    /// The same, for inference: it is loaded again when its device is lost.
    pub fn engine(
        self: &Arc<Self>,
        cameras: usize,
        status: &Arc<Status>,
    ) -> anyhow::Result<Engine> {
        let (model, status) = (self.clone(), status.clone());
        let load = move || -> anyhow::Result<Box<dyn ImageEncoder>> {
            let encoder = Self::ahead_of_gpu(model.warm_image_encoder(cameras)?)?;
            let (provider, precision) = (encoder.provider(), encoder.precision());
            let runs_on =
                RunsOn { provider: provider.to_string(), precision: precision.to_string() };
            status.tell_runs_on(runs_on);
            Ok(Box::new(encoder))
        };
        let first = load()?;
        let again = move || load().map_err(|error| format!("{error:#}"));
        Ok(Engine::new(first, Box::new(again)))
    }

    /// Loads the text model.
    pub fn text_encoder(&self) -> anyhow::Result<OnnxTextEncoder> {
        Ok(OnnxTextEncoder::open(&self.runtime, &self.bundle)?)
    }

    /// Prompts to embeddings, through the configured cache.
    pub fn embedder(&self) -> PromptEmbedder {
        let cache = self.cache.as_deref();
        self.embedder_with(cache.map_or_else(PromptCache::in_memory, PromptCache::open))
    }

    /// The same, but prompts that somebody only tries out are not kept.
    pub fn trying_embedder(&self) -> PromptEmbedder {
        let cache = self.cache.as_deref();
        self.embedder_with(cache.map_or_else(PromptCache::in_memory, PromptCache::read_only))
    }

    fn embedder_with(&self, cache: PromptCache) -> PromptEmbedder {
        let (runtime, bundle) = (self.runtime.clone(), self.bundle.clone());
        let load = move || match OnnxTextEncoder::open(&runtime, &bundle) {
            Ok(encoder) => Ok(Box::new(encoder) as Box<dyn TextEncoder + Send>),
            Err(error) => Err(EncodeError::Failed(error.to_string())),
        };
        PromptEmbedder::new(self.bundle.digest(), cache, Box::new(load))
    }

    /// Turns watches into matrices. Nothing that runs is touched.
    pub fn compile(
        &self,
        embedder: &mut PromptEmbedder,
        cameras: &[Camera],
        watches: &[WatchConfig],
        lessons: &Lessons,
        revision: u64,
    ) -> anyhow::Result<WatchSet> {
        let set = prompts::compile(cameras, watches, embedder, &self.bundle.info(), lessons)?;
        Ok(WatchSet { revision, ..set })
    }

    /// What cuts texts into the text model's tokens.
    pub fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        Ok(onnx::tokenizer(&self.bundle)?)
    }

    /// What is odd about the prompts of a configuration: for `seewhen check`.
    pub fn advice(&self, config: &Config, set: &WatchSet) -> anyhow::Result<Vec<String>> {
        let tokenizer = self.tokenizer()?;
        let truncated = |text: &str| tokenizer.encode(text).is_ok_and(|tokens| tokens.truncated);
        let mut advice = Vec::new();
        for (watch, compiled) in config.watches.iter().zip(&set.watches) {
            let labels: Vec<Embedding> =
                compiled.matrix.rows().into_iter().map(|row| Embedding(row.to_vec())).collect();
            let lines = watch_advice(watch, &labels, &truncated);
            advice.extend(lines);
        }
        Ok(advice)
    }
}

fn wanted(config: &ModelConfig) -> Wanted {
    let cache = config.prompt_cache.clone().or_else(cache::default_path);
    Wanted {
        device: config.device,
        max_batch: config.max_batch,
        gpu_memory: (config.gpu_memory > 0).then_some(config.gpu_memory << 20),
        preprocess: None,
        // Beside the other things that are made once.
        engines: cache.and_then(|file| Some(file.parent()?.join("tensorrt"))),
    }
}
