//! `tokenizer.json` of OpenAI's CLIP, made of its list of merges.
//!
//! The vocabulary is built as `SimpleTokenizer` of OpenAI's code builds it
//! (<https://github.com/openai/CLIP/blob/main/clip/simple_tokenizer.py>): 256 signs for bytes, the
//! same at a word's end, one token per merge, start and end. A model's embedding table has one
//! row per token, which tells how many merges it was trained with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The merges, most frequent first, one a line: two tokens and a space between them.
const MERGES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/clip/merges.txt"));
/// At the end of a word.
const WORD_END: &str = "</w>";
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Bytes, bytes at the end of a word, start and end.
const FIXED: usize = 256 * 2 + 2;
/// What is one word: a special token, an ending with apostrophe, letters, one digit, or signs.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The file, for a model whose embedding table has `vocabulary` rows; `None` when CLIP's list
/// does not give that many tokens.
pub fn tokenizer_json(vocabulary: usize) -> Option<Value> {
    let wanted = vocabulary.checked_sub(FIXED)?;
    let merges: Vec<&str> = MERGES.lines().take(wanted).collect();
    if merges.len() != wanted {
        return None;
    }
    let (start, end) = (vocabulary - 2, vocabulary - 1);
    let special = |id: usize, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    Some(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(start, START), special(end, END)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
                           "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "",
                  "end_of_word_suffix": WORD_END, "fuse_unk": false, "byte_fallback": false,
                  "vocab": vocab(&merges), "merges": merges},
    }))
}

/// Token to id.
fn vocab(merges: &[&str]) -> BTreeMap<String, usize> {
    let bytes = byte_signs().map(String::from);
    let tokens = bytes
        .clone()
        .chain(bytes.map(|sign| sign + WORD_END))
        .chain(merges.iter().map(|merge| merge.replace(' ', "")))
        .chain([START.to_owned(), END.to_owned()]);
    tokens.enumerate().map(|(id, token)| (token, id)).collect()
}

/// A visible sign for every byte, in the order of their ids: printable Latin-1 for itself, then
/// the others from U+0100 on.
fn byte_signs() -> impl Iterator<Item = char> + Clone {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(move |byte| !printable(byte)).count() as u32;
    let moved = (0..others).filter_map(|index| char::from_u32(256 + index));
    (0..=u8::MAX).filter(printable).map(char::from).chain(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_openais() {
        let json = tokenizer_json(49_408).unwrap();
        let id = |token: &str| json["model"]["vocab"][token].as_u64();
        assert_eq!(
            (id("!"), id("a</w>"), id(START), id(END)),
            (Some(0), Some(320), Some(49_406), Some(49_407))
        );
        assert_eq!(id("photo</w>"), Some(1125));
        assert_eq!(json["model"]["vocab"].as_object().unwrap().len(), 49_408);
    }

    #[test]
    fn a_vocabulary_of_another_size_is_cut_or_refused() {
        let json = tokenizer_json(FIXED + 3).unwrap();
        assert_eq!(json["model"]["merges"].as_array().unwrap().len(), 3);
        assert!(tokenizer_json(100).is_none());
        assert!(tokenizer_json(60_000).is_none());
    }
}
