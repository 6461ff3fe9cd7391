//! The bundle and what is made of it: the image encoder, and compiled watches.
//!
//! Loads the text model only for prompts that are not in the cache, and lets go of it when the
//! watches are compiled: it is needed again only for new prompts.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::clip::advice::watch_advice;
use crate::clip::bundle::Bundle;
use crate::clip::cache::{self, PromptCache, PromptEmbedder};
use crate::clip::onnx::{self, OnnxImageEncoder, OnnxTextEncoder, Runtime};
use crate::clip::{EncodeError, ImageEncoder, TextEncoder, prompts};
use crate::config::{Camera, Config, Device, ModelConfig, WatchConfig};
use crate::model::Embedding;
use crate::watch::WatchSet;

/// An opened bundle and the runtime for it.
pub struct Model {
    runtime: Runtime,
    bundle: Bundle,
    device: Device,
    max_batch: usize,
    cache: Option<PathBuf>,
}

impl Model {
    /// Opens the bundle and ONNX Runtime. A device that this version has not is an error here.
    pub fn load(config: &ModelConfig) -> anyhow::Result<Self> {
        onnx::provider(config.device)?;
        let bundle = Bundle::open(&config.bundle, config.dir.as_deref())?.at(config.precision);
        for note in bundle.notes() {
            tracing::warn!(bundle = bundle.name(), "{note}");
        }
        Ok(Self {
            runtime: Runtime::load()?,
            bundle,
            device: config.device,
            max_batch: config.max_batch,
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

    /// The execution provider's name.
    pub fn provider(&self) -> &'static str {
        // `load` has refused what this version has not.
        onnx::provider(self.device).unwrap_or("none")
    }

    /// Loads the image model.
    pub fn image_encoder(&self) -> anyhow::Result<OnnxImageEncoder> {
        let (runtime, bundle) = (&self.runtime, &self.bundle);
        Ok(OnnxImageEncoder::open(runtime, bundle, self.device, self.max_batch)?)
    }

    /// Loads the image model and runs a first batch of grey pictures, one for each of `cameras`
    /// (no batch of live cameras is larger), so that the first frames meet a warm one.
    pub fn warm_image_encoder(&self, cameras: usize) -> anyhow::Result<Box<dyn ImageEncoder>> {
        let mut encoder = self.image_encoder()?;
        let (size, took) = encoder.warm_up(cameras).context("the image model does not run")?;
        tracing::info!(provider = encoder.provider(), batch = size, ?took, "image model is warm");
        Ok(Box::new(encoder))
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
            Err(error) => Err(EncodeError(error.to_string())),
        };
        PromptEmbedder::new(self.bundle.digest(), cache, Box::new(load))
    }

    /// Turns watches into matrices. Nothing that runs is touched.
    pub fn compile(
        &self,
        embedder: &mut PromptEmbedder,
        cameras: &[Camera],
        watches: &[WatchConfig],
        revision: u64,
    ) -> anyhow::Result<WatchSet> {
        let set = prompts::compile(cameras, watches, embedder, &self.bundle.info())?;
        Ok(WatchSet { revision, ..set })
    }

    /// What is odd about the prompts of a configuration: for `seewhen check`.
    pub fn advice(&self, config: &Config, set: &WatchSet) -> anyhow::Result<Vec<String>> {
        let tokenizer = onnx::tokenizer(&self.bundle)?;
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
