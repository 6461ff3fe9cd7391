//! The prompt cache: a JSON file of prompt embeddings, and the embedder that fills it.
//!
//! Owns the file (entries of several bundles side by side, found by bundle digest, template
//! and prompt). With every prompt in it the text model is neither loaded nor needed, so a small
//! box can do without. A cache never stops anything: a file that cannot be read is rebuilt, one
//! that cannot be written is a warning. What the texts are is left to [`super::prompts`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::draft::Draft;
use super::prompts::{Prompt, PromptSource};
use super::{EncodeError, TextEncoder};
use crate::model::Embedding;

/// Entries kept per bundle; the oldest go first. Prompts are few, but they can be changed
/// over MQTT without end.
const MAX_ENTRIES: usize = 10_000;
const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct File {
    version: u32,
    /// By bundle digest.
    bundles: BTreeMap<String, Vec<Entry>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    template: String,
    prompt: String,
    /// Written with the fewest digits that read back as the same `f32`.
    embedding: Vec<f32>,
}

impl Entry {
    fn is(&self, prompt: &Prompt) -> bool {
        self.template == prompt.template && self.prompt == prompt.prompt
    }
}

/// `prompts.json` in systemd's `$STATE_DIRECTORY`, else in the user's cache folder. `None`
/// when the environment names neither.
pub fn default_path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    // systemd gives several folders as a list; the first is ours.
    let state = std::env::var("STATE_DIRECTORY").ok().filter(|v| !v.is_empty());
    let state = state.and_then(|list| list.split(':').next().map(PathBuf::from));
    state
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("seewhen")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/seewhen")))
        .map(|folder| folder.join("prompts.json"))
}

/// Embeddings of prompts by bundle.
#[derive(Debug)]
pub struct PromptCache {
    path: Option<PathBuf>,
    bundles: BTreeMap<String, Vec<Entry>>,
}

impl PromptCache {
    /// A cache that is never written.
    pub fn in_memory() -> Self {
        Self { path: None, bundles: BTreeMap::new() }
    }

    /// Opens the file; one that is missing or cannot be used gives an empty cache.
    pub fn open(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), bundles: read(path) }
    }

    /// Looks up, but never writes.
    pub fn read_only(path: &Path) -> Self {
        Self { path: None, bundles: read(path) }
    }

    /// The embedding of `prompt` for the bundle with this digest.
    pub fn get(&self, digest: &str, prompt: &Prompt) -> Option<Embedding> {
        let entry = self.bundles.get(digest)?.iter().find(|entry| entry.is(prompt))?;
        Some(Embedding(entry.embedding.clone()))
    }

    /// Takes an embedding, replacing an older one. [`save`](Self::save) writes it.
    pub fn put(&mut self, digest: &str, prompt: &Prompt, embedding: &Embedding) {
        let entry = Entry {
            template: prompt.template.clone(),
            prompt: prompt.prompt.clone(),
            embedding: embedding.0.clone(),
        };
        add(self.bundles.entry(digest.to_owned()).or_default(), entry);
    }

    /// Writes the file whole: to a temporary name beside it, then renamed. Entries that another
    /// process wrote meanwhile are kept.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let mut bundles = read(&path);
        for (digest, entries) in &self.bundles {
            let kept = bundles.entry(digest.clone()).or_default();
            entries.iter().for_each(|entry| add(kept, entry.clone()));
        }
        let file = File { version: VERSION, bundles };
        let text = serde_json::to_vec(&file).map_err(io::Error::other)?;
        self.bundles = file.bundles;
        Draft::write(&path, &text)?.keep()
    }
}

fn add(entries: &mut Vec<Entry>, entry: Entry) {
    let same = |old: &Entry| old.template == entry.template && old.prompt == entry.prompt;
    match entries.iter_mut().find(|old| same(old)) {
        Some(old) => *old = entry,
        None => {
            if entries.len() >= MAX_ENTRIES {
                entries.remove(0);
            }
            entries.push(entry);
        }
    }
}

fn read(path: &Path) -> BTreeMap<String, Vec<Entry>> {
    let parsed = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => Err(error.to_string()),
        Ok(bytes) => serde_json::from_slice::<File>(&bytes).map_err(|error| error.to_string()),
    };
    match parsed {
        Ok(file) if file.version == VERSION => file.bundles,
        Ok(file) => {
            let (found, path) = (file.version, path.display());
            warn!(%path, found, expected = VERSION, "prompt cache of another version, building a new one");
            BTreeMap::new()
        }
        Err(error) => {
            warn!(path = %path.display(), %error, "prompt cache cannot be used, building a new one");
            BTreeMap::new()
        }
    }
}

/// Loads the text model, when first it is needed.
pub type TextLoader = Box<dyn FnMut() -> Result<Box<dyn TextEncoder + Send>, EncodeError> + Send>;

/// Prompts to embeddings: from the cache, else by the text model, which is loaded only then.
/// Drop it after use: it keeps the text model in memory.
pub struct PromptEmbedder {
    digest: String,
    cache: PromptCache,
    load: TextLoader,
    encoder: Option<Box<dyn TextEncoder + Send>>,
}

impl PromptEmbedder {
    /// `digest` is that of the bundle which `load` loads from.
    pub fn new(digest: impl Into<String>, cache: PromptCache, load: TextLoader) -> Self {
        Self { digest: digest.into(), cache, load, encoder: None }
    }

    /// Writes the cache now, new entries or not.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn save(&mut self) -> io::Result<()> {
        self.cache.save()
    }

    fn encode(&mut self, missing: &[&Prompt]) -> Result<(), EncodeError> {
        if self.encoder.is_none() {
            self.encoder = Some((self.load)().map_err(|cause| without_model(missing, &cause))?);
        }
        let Some(encoder) = self.encoder.as_mut() else { return Ok(()) };
        let texts: Vec<String> = missing.iter().map(|prompt| prompt.text()).collect();
        let embeddings = encoder.encode(&texts)?;
        for (prompt, embedding) in missing.iter().zip(&embeddings) {
            self.cache.put(&self.digest, prompt, embedding);
        }
        if let Err(error) = self.cache.save() {
            let path = self.cache.path.as_deref().unwrap_or(Path::new(""));
            warn!(path = %path.display(), %error, "prompt cache cannot be written; the text model will be needed again");
        }
        Ok(())
    }
}

impl PromptSource for PromptEmbedder {
    fn embeddings(&mut self, prompts: &[Prompt]) -> Result<Vec<Embedding>, EncodeError> {
        let unknown = |prompt: &&Prompt| self.cache.get(&self.digest, prompt).is_none();
        let missing: Vec<&Prompt> = prompts.iter().filter(unknown).collect();
        if !missing.is_empty() {
            self.encode(&missing)?;
        }
        let known = |prompt| {
            let found = self.cache.get(&self.digest, prompt);
            found.ok_or_else(|| {
                EncodeError::Failed(format!("the text model gave nothing for {:?}", prompt.text()))
            })
        };
        prompts.iter().map(known).collect()
    }
}

fn without_model(missing: &[&Prompt], cause: &EncodeError) -> EncodeError {
    const SHOWN: usize = 5;
    let texts: Vec<String> =
        missing.iter().take(SHOWN).map(|prompt| format!("{:?}", prompt.text())).collect();
    let more = match missing.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    EncodeError::Failed(format!(
        "no embedding in the prompt cache for {}{more}, and the text model cannot be used: {cause}; \
         `seewhen embed --config FILE --output prompts.json` on a machine that has the whole bundle \
         writes them",
        texts.join(", ")
    ))
}

#[cfg(test)]
mod tests;
