//! The cache survives what happens to files, and the text model stays away when it can.

use proptest::prelude::*;

use super::*;

fn prompt(text: &str) -> Prompt {
    Prompt { template: "{}".into(), prompt: text.into() }
}

/// Embeds a text as its length.
struct Lengths;

impl TextEncoder for Lengths {
    fn encode(&mut self, texts: &[String]) -> Result<Vec<Embedding>, EncodeError> {
        Ok(texts.iter().map(|text| Embedding(vec![text.len() as f32])).collect())
    }
}

fn working() -> TextLoader {
    Box::new(|| Ok(Box::new(Lengths)))
}

fn absent() -> TextLoader {
    Box::new(|| Err(EncodeError::Failed("textual/model.onnx is not there".into())))
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/prompts.json");
    (folder, path)
}

#[test]
fn the_text_model_is_loaded_once_and_never_again() {
    let (_folder, path) = file();
    let mut first = PromptEmbedder::new("d", PromptCache::open(&path), working());
    let prompts = [prompt("a"), prompt("abc")];
    let expected = first.embeddings(&prompts).unwrap();
    let mut second = PromptEmbedder::new(
        "d",
        PromptCache::open(&path),
        Box::new(|| panic!("every prompt is cached")),
    );
    assert_eq!(second.embeddings(&prompts).unwrap(), expected);
}

#[test]
fn a_missing_text_model_names_the_prompts_and_the_way_out() {
    let mut embedder = PromptEmbedder::new("d", PromptCache::in_memory(), absent());
    let error = embedder.embeddings(&[prompt("a red bus")]).unwrap_err().to_string();
    for part in ["\"a red bus\"", "textual/model.onnx", "seewhen embed --config"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn templates_and_bundles_do_not_mix() {
    let mut cache = PromptCache::in_memory();
    cache.put("d", &prompt("a"), &Embedding(vec![1.0]));
    assert!(cache.get("e", &prompt("a")).is_none());
    assert!(cache.get("d", &Prompt { template: "x {}".into(), prompt: "a".into() }).is_none());
}

#[test]
fn other_bundles_and_other_processes_keep_their_entries() {
    let (_folder, path) = file();
    let mut one = PromptCache::open(&path);
    let mut two = PromptCache::open(&path);
    one.put("d", &prompt("a"), &Embedding(vec![1.0]));
    one.save().unwrap();
    two.put("e", &prompt("b"), &Embedding(vec![2.0]));
    two.save().unwrap();
    let both = PromptCache::open(&path);
    assert_eq!(both.get("d", &prompt("a")), Some(Embedding(vec![1.0])));
    assert_eq!(both.get("e", &prompt("b")), Some(Embedding(vec![2.0])));
    let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "no temporary file stays");
}

#[test]
fn a_broken_file_is_rebuilt() {
    for text in ["", "{", "[]", r#"{"version":9,"bundles":{}}"#, "\u{0}\u{1}"] {
        let (_folder, path) = file();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let mut embedder = PromptEmbedder::new("d", PromptCache::open(&path), working());
        embedder.embeddings(&[prompt("abc")]).unwrap();
        assert!(PromptCache::open(&path).get("d", &prompt("abc")).is_some(), "{text:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let cache = PromptCache::open(&folder.path().join("file/prompts.json"));
    let mut embedder = PromptEmbedder::new("d", cache, working());
    assert_eq!(embedder.embeddings(&[prompt("ab")]).unwrap(), [Embedding(vec![2.0])]);
}

#[test]
fn the_oldest_entries_go_first() {
    let mut cache = PromptCache::in_memory();
    for i in 0..=MAX_ENTRIES {
        cache.bundles.entry("d".into()).or_default();
        let entry = Entry { template: "{}".into(), prompt: i.to_string(), embedding: vec![] };
        let entries = cache.bundles.get_mut("d").unwrap();
        if i < MAX_ENTRIES { entries.push(entry) } else { add(entries, entry) }
    }
    assert!(cache.get("d", &prompt("0")).is_none());
    assert!(cache.get("d", &prompt("1")).is_some());
}

proptest! {
    #[test]
    fn floats_come_back_as_they_were(values in prop::collection::vec(-1.0..1.0_f32, 1..50)) {
        let (_folder, path) = file();
        let mut cache = PromptCache::open(&path);
        cache.put("d", &prompt("a"), &Embedding(values.clone()));
        cache.save().unwrap();
        let found = PromptCache::open(&path).get("d", &prompt("a")).unwrap();
        prop_assert_eq!(found.0, values);
    }
}
