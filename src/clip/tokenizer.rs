//! Texts to token ids, as the bundle's `tokenizer.json` says.
//!
//! Lower-casing, word pieces, start and end tokens are the file's matter, read by Hugging
//! Face's `tokenizers`. What exports leave out of the file is added: cutting and padding to the
//! context length, and for CLIP's own tokenizer the cleaning that OpenAI's code does before it.

mod clean;

use std::borrow::Cow;

use tokenizers::ModelWrapper;
use tokenizers::utils::padding::{PaddingParams, PaddingStrategy};
use tokenizers::utils::truncation::TruncationParams;

/// CLIP's context length, for bundles that do not say (arXiv:2103.00020, section 2.4: 76,
/// and one for the end token).
const CLIP_CONTEXT: usize = 77;

/// Start token, end token and one word.
const LEAST_CONTEXT: usize = 3;

/// Names of padding tokens, for files that do not say which it is.
const PAD_NAMES: [&str; 3] = ["[PAD]", "<pad>", "<|pad|>"];

/// Why a `tokenizer.json` or a text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error("textual/tokenizer.json cannot be used: {0}")]
    File(String),
    #[error("a context of {found} tokens is too short; {LEAST_CONTEXT} is the least")]
    Context { found: usize },
    #[error("{text:?} cannot be tokenized: {cause}")]
    Text { text: String, cause: String },
}

/// One tokenized text. `ids` and `mask` have [`Tokenizer::length`] values each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub ids: Vec<u32>,
    /// 1 where there is text (start and end tokens included), 0 where there is padding.
    pub mask: Vec<u32>,
    /// Whether words were cut off.
    pub truncated: bool,
}

impl Tokens {
    /// The ids without padding.
    pub fn text_ids(&self) -> Vec<u32> {
        let pairs = self.ids.iter().zip(&self.mask);
        pairs.filter(|(_, mask)| **mask != 0).map(|(id, _)| *id).collect()
    }
}

/// What the bundle says beside `tokenizer.json`.
#[derive(Debug, Clone, Default)]
pub struct TokenizerHints {
    /// `context_length` of `config.json`.
    pub context_length: Option<usize>,
    /// `pad_token` of `tokenizer_config.json`.
    pub pad_token: Option<String>,
}

/// A tokenizer whose every output has the same length.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    length: usize,
    /// It is CLIP's: texts are cleaned first.
    cleans: bool,
}

impl Tokenizer {
    /// Takes the contents of `tokenizer.json`.
    ///
    /// The length is the file's own truncation or the context length, whichever is less. The
    /// padding token is the file's, else that of the hints, else one with a usual name, else
    /// id 0, with which openai/CLIP's `tokenize` pads.
    ///
    /// # Errors
    /// When the file cannot be read, or the context has no room for a word.
    pub fn from_json(bytes: &[u8], hints: &TokenizerHints) -> Result<Self, TokenizerError> {
        let file = |error: tokenizers::Error| TokenizerError::File(error.to_string());
        let mut inner = tokenizers::Tokenizer::from_bytes(plain(bytes)?).map_err(file)?;
        let truncation = inner.get_truncation().cloned();
        let padding = inner.get_padding().cloned();
        let fixed = padding.as_ref().and_then(|padding| match padding.strategy {
            PaddingStrategy::Fixed(length) => Some(length),
            PaddingStrategy::BatchLongest => None,
        });
        let cut = truncation.as_ref().map(|truncation| truncation.max_length);
        let limits = [cut, hints.context_length].into_iter().flatten().min();
        let length = limits.or(fixed).unwrap_or(CLIP_CONTEXT);
        if length < LEAST_CONTEXT {
            return Err(TokenizerError::Context { found: length });
        }
        let padding = padding.unwrap_or_else(|| found_padding(&inner, hints));
        inner.with_padding(Some(PaddingParams {
            strategy: PaddingStrategy::Fixed(length),
            pad_to_multiple_of: None,
            ..padding
        }));
        let truncation = truncation.unwrap_or_default();
        inner
            .with_truncation(Some(TruncationParams { max_length: length, stride: 0, ..truncation }))
            .map_err(file)?;
        let cleans = is_clip(&inner);
        Ok(Self { inner, length, cleans })
    }

    /// Ids in every output.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The padded and cut ids of `text`.
    ///
    /// # Errors
    /// When the tokenizer has no token for a part of the text, and none for the unknown.
    pub fn encode(&self, text: &str) -> Result<Tokens, TokenizerError> {
        let cleaned =
            if self.cleans { Cow::Owned(clean::clean(text)) } else { Cow::Borrowed(text) };
        let encoding = self.inner.encode(cleaned.as_ref(), true).map_err(|error| {
            TokenizerError::Text { text: text.to_owned(), cause: error.to_string() }
        })?;
        Ok(Tokens {
            ids: encoding.get_ids().to_vec(),
            mask: encoding.get_attention_mask().to_vec(),
            truncated: !encoding.get_overflowing().is_empty(),
        })
    }
}

/// The file, checked to be JSON and without its decoder, which turns ids back to text: not needed
/// here, and the library panics when it cannot read that part.
fn plain(bytes: &[u8]) -> Result<Vec<u8>, TokenizerError> {
    let file = |error: serde_json::Error| TokenizerError::File(error.to_string());
    let mut json: serde_json::Value = serde_json::from_slice(bytes).map_err(file)?;
    if let Some(decoder) = json.get_mut("decoder") {
        *decoder = serde_json::Value::Null;
    }
    serde_json::to_vec(&json).map_err(file)
}

/// Whether this is the tokenizer of OpenAI's CLIP: byte pairs that mark the end of a word, and
/// its special tokens.
fn is_clip(inner: &tokenizers::Tokenizer) -> bool {
    let marks_ends = match inner.get_model() {
        ModelWrapper::BPE(model) => model.end_of_word_suffix.as_deref() == Some("</w>"),
        _ => false,
    };
    let special = ["<|startoftext|>", "<|endoftext|>"];
    marks_ends && special.iter().all(|token| inner.token_to_id(token).is_some())
}

fn found_padding(inner: &tokenizers::Tokenizer, hints: &TokenizerHints) -> PaddingParams {
    let names = hints.pad_token.as_deref().into_iter().chain(PAD_NAMES);
    let found = names.filter_map(|name| Some((name, inner.token_to_id(name)?))).next();
    let (token, id) = found.unwrap_or(("", 0));
    PaddingParams { pad_id: id, pad_token: token.to_owned(), ..PaddingParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole words only; `extra` goes into the top object.
    fn words(extra: &str) -> Vec<u8> {
        format!(
            r#"{{"version": "1.0", {extra} "added_tokens": [], "normalizer": {{"type": "Lowercase"}},
            "pre_tokenizer": {{"type": "Whitespace"}}, "decoder": null,
            "post_processor": {{"type": "BertProcessing", "sep": ["end", 2], "cls": ["start", 1]}},
            "model": {{"type": "WordLevel", "unk_token": "?",
                      "vocab": {{"!": 0, "start": 1, "end": 2, "?": 3, "a": 4, "cat": 5, "<pad>": 6}}}}}}"#
        )
        .into_bytes()
    }

    fn hints(context_length: Option<usize>, pad_token: Option<&str>) -> TokenizerHints {
        TokenizerHints { context_length, pad_token: pad_token.map(str::to_owned) }
    }

    #[test]
    fn texts_are_padded_and_cut_keeping_the_end_token() {
        let tokenizer = Tokenizer::from_json(&words(""), &hints(Some(5), None)).unwrap();
        let short = tokenizer.encode("A cat").unwrap();
        assert_eq!((short.ids.as_slice(), short.truncated), ([1, 4, 5, 2, 6].as_slice(), false));
        assert_eq!(
            (short.mask.as_slice(), short.text_ids()),
            ([1, 1, 1, 1, 0].as_slice(), vec![1, 4, 5, 2])
        );
        let long = tokenizer.encode("a cat a cat a cat").unwrap();
        assert_eq!((long.ids.as_slice(), long.truncated), ([1, 4, 5, 4, 2].as_slice(), true));
    }

    #[test]
    fn the_padding_token_is_found() {
        let pad = |hint: Option<&str>, json: &[u8]| {
            let tokenizer = Tokenizer::from_json(json, &hints(Some(4), hint)).unwrap();
            tokenizer.encode("").unwrap().ids[3]
        };
        assert_eq!(pad(None, &words("")), 6);
        assert_eq!(pad(Some("end"), &words("")), 2);
        let own = r#""padding": {"strategy": "BatchLongest", "direction": "Right", "pad_id": 3,
                     "pad_type_id": 0, "pad_token": "?", "pad_to_multiple_of": null},"#;
        assert_eq!(pad(Some("end"), &words(own)), 3);
        let nameless = String::from_utf8(words("")).unwrap().replace("<pad>", "x");
        assert_eq!(pad(None, nameless.as_bytes()), 0);
    }

    #[test]
    fn the_length_is_the_least_that_anyone_asks_for() {
        let cut = r#""truncation": {"direction": "Right", "max_length": 6, "strategy": "LongestFirst", "stride": 0},"#;
        let length = |json: &[u8], context| {
            Tokenizer::from_json(json, &hints(context, None)).map(|t| t.length())
        };
        assert_eq!(length(&words(cut), None).unwrap(), 6);
        assert_eq!(length(&words(cut), Some(5)).unwrap(), 5);
        assert_eq!(length(&words(cut), Some(9)).unwrap(), 6);
        assert_eq!(length(&words(""), None).unwrap(), 77);
        assert!(matches!(length(&words(""), Some(2)), Err(TokenizerError::Context { found: 2 })));
    }

    #[test]
    fn broken_files_are_errors() {
        for bytes in [b"".as_slice(), b"{}", b"[1]", b"\xff"] {
            assert!(matches!(
                Tokenizer::from_json(bytes, &TokenizerHints::default()),
                Err(TokenizerError::File(_))
            ));
        }
    }
}
