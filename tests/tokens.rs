//! CLIP's tokenizer: the ids that OpenAI's code gives, for every text.
//!
//! Promise: `tokenizer.json` as `model import` writes it, behind our cleaning, gives the
//! reference's ids. Checked on recorded texts, and on random ones against the algorithm written
//! down plainly here.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what it skips, and stops at once"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use seewhen::clip::import::tokenizer_json;
use seewhen::clip::tokenizer::{Tokenizer, TokenizerHints};
use serde::Deserialize;

const MERGES: &str = include_str!("../models/clip/merges.txt");
const START: u32 = 49_406;
const END: u32 = 49_407;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let json = tokenizer_json(49_408).unwrap().to_string();
    let hints = TokenizerHints { context_length: Some(77), pad_token: None };
    Tokenizer::from_json(json.as_bytes(), &hints).unwrap()
});

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
}

fn check(path: &Path) {
    let rows = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in rows.lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let found = TOKENIZER.encode(&row.text).unwrap();
        count += 1;
        if found.text_ids() != row.ids {
            wrong.push(format!("{:?}: {:?}, not {:?}", row.text, found.text_ids(), row.ids));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 100, "only {count} texts in {}", path.display());
}

#[test]
fn ids_are_those_of_the_reference() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clip/tokens.jsonl"));
}

#[test]
fn ids_are_those_of_further_references() {
    let folder = std::env::var_os("SEEWHEN_GOLDEN").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden"));
    let path = folder.join("tokens.jsonl");
    if path.exists() {
        check(&path);
    } else {
        eprintln!("skipped: no tokens.jsonl in SEEWHEN_GOLDEN");
    }
}

/// The reference's rules, as `simple_tokenizer.py` has them, for texts that need no cleaning.
fn reference(text: &str) -> Vec<u32> {
    static RANKS: LazyLock<HashMap<(&str, &str), usize>> = LazyLock::new(|| {
        let pairs = MERGES.lines().map(|line| line.split_once(' ').unwrap());
        pairs.enumerate().map(|(rank, pair)| (pair, rank)).collect()
    });
    let mut ids = vec![START];
    for word in words(&text.to_lowercase()) {
        let signs: Vec<String> = word.bytes().map(|byte| sign(byte).to_string()).collect();
        let mut parts = signs;
        parts.last_mut().unwrap().push_str("</w>");
        loop {
            let rank = |pair: &[String]| RANKS.get(&(pair[0].as_str(), pair[1].as_str())).copied();
            let Some(best) = parts.windows(2).filter_map(rank).min() else { break };
            let mut merged: Vec<String> = Vec::new();
            let mut rest = parts.as_slice();
            while !rest.is_empty() {
                let take = if rest.len() > 1 && rank(&rest[..2]) == Some(best) { 2 } else { 1 };
                merged.push(rest[..take].concat());
                rest = &rest[take..];
            }
            parts = merged;
        }
        ids.extend(parts.iter().map(|part| id(part)));
    }
    ids.truncate(76);
    ids.push(END);
    ids
}

/// Contractions, runs of letters, single digits, runs of other signs.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let contraction = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
        let other = |c: char| !c.is_whitespace() && !c.is_alphabetic() && !c.is_numeric();
        let run = |keep: &dyn Fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let length = match contraction.iter().find(|part| rest.starts_with(**part)) {
            Some(part) => part.len(),
            None if first.is_alphabetic() => run(&char::is_alphabetic),
            None if first.is_numeric() => first.len_utf8(),
            None => run(&other),
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    words
}

fn id(token: &str) -> u32 {
    static IDS: LazyLock<HashMap<String, u32>> = LazyLock::new(|| {
        let json = tokenizer_json(49_408).unwrap();
        let vocab = json["model"]["vocab"].as_object().unwrap();
        vocab
            .iter()
            .map(|(k, v)| (k.clone(), u32::try_from(v.as_u64().unwrap()).unwrap()))
            .collect()
    });
    IDS[token]
}

/// `bytes_to_unicode` of the reference.
fn sign(byte: u8) -> char {
    if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff));
    char::from_u32(256 + u32::try_from(before.count()).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn ids_of_any_text_are_those_of_the_algorithm(text in "([a-zA-Z]{1,12}|[0-9]{1,4}|[-!?.,:'/#@]{1,3}|[äéñßж東京語]{1,3}| ){0,40}") {
        let found = TOKENIZER.encode(&text).unwrap();
        prop_assert_eq!(found.text_ids(), reference(&text), "{:?}", text);
        prop_assert_eq!(found.ids.len(), 77);
    }
}
