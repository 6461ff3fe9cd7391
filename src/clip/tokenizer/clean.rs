//! Texts as CLIP's tokenizer wants them: repaired, entities resolved, single spaces.
//!
//! OpenAI's code calls `ftfy.fix_text`, then `html.unescape` twice, then makes white space single
//! (`basic_clean`, `whitespace_clean`:
//! <https://github.com/openai/CLIP/blob/main/clip/simple_tokenizer.py>). This does the same in few
//! lines, but for two rare repairs that ftfy knows and this does not: text that was decoded in
//! other code pages than Latin-1 and Windows-1252, and entities in capitals (`&EACUTE;`).
//! Lower case is left to `tokenizer.json`.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// Rounds of repair; mojibake of mojibake of mojibake is as deep as it gets.
const MOST_ROUNDS: usize = 8;

/// What Windows-1252 has at 0x80 to 0x9F. The five free places stand for themselves.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Cleans a text.
pub(super) fn clean(text: &str) -> String {
    let resolves = !text.contains('<');
    let mut text = text.to_owned();
    for _ in 0..MOST_ROUNDS {
        let fixed = round(&text, resolves);
        if fixed == text {
            break;
        }
        text = fixed;
    }
    let once = htmlize::unescape(text.as_str());
    let twice = htmlize::unescape(once.as_ref());
    twice.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn round(text: &str, resolves: bool) -> String {
    let resolved = if resolves { htmlize::unescape(text) } else { Cow::Borrowed(text) };
    let decoded = decode_again(&resolved);
    let plain = without_escapes(&decoded);
    let mut fixed = String::with_capacity(plain.len());
    for char in plain.chars() {
        push_simple(&mut fixed, char);
    }
    fixed.nfc().collect()
}

/// Appends what a sign stands for: straight quotes for curled ones, letters for ligatures and
/// for full-width forms, nothing for control characters.
fn push_simple(out: &mut String, char: char) {
    match char {
        '\u{80}'..='\u{9f}' => out.push(WINDOWS_1252[char as usize - 0x80]),
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
        '\u{201c}'..='\u{201f}' => out.push('"'),
        // Unicode itself would make this "st".
        'ﬅ' => out.push_str("ſt"),
        'Ĳ'
        | 'ĳ'
        | 'ŉ'
        | '\u{1c4}'..='\u{1cc}'
        | '\u{1f1}'..='\u{1f3}'
        | '\u{fb00}'..='\u{fb06}' => {
            out.extend(std::iter::once(char).nfkc());
        }
        '\u{3000}' | '\u{ff01}'..='\u{ffef}' => out.extend(std::iter::once(char).nfkc()),
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' => {}
        '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
        other => out.push(other),
    }
}

/// Repairs UTF-8 that was read as Latin-1 or Windows-1252, run by run: "cafÃ©" is "café". A run
/// that is not valid UTF-8 when its signs are taken for bytes stays as it is; text that was meant
/// so hardly ever is.
fn decode_again(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|char| high_byte(char).is_some()) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|char| high_byte(char).is_none()).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let bytes: Vec<u8> = run.chars().filter_map(high_byte).collect();
        match std::str::from_utf8(&bytes) {
            Ok(decoded) => out.push_str(decoded),
            Err(_) => out.push_str(run),
        }
        rest = after;
    }
    out + rest
}

/// The byte above 0x7F that a sign was read from, in Latin-1 or Windows-1252.
fn high_byte(char: char) -> Option<u8> {
    match char {
        '\u{80}'..='\u{ff}' => u8::try_from(char as u32).ok(),
        other => {
            let index = WINDOWS_1252.iter().position(|known| *known == other)?;
            u8::try_from(0x80 + index).ok()
        }
    }
}

/// Leaves out colours and cursor movements of terminals: ESC [ 1 ; 31 m.
fn without_escapes(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = "\u{1b}[";
    if !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(BEGIN);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after = part.trim_start_matches(|char: char| char.is_ascii_digit() || char == ';');
        match after.strip_prefix(|char: char| char.is_ascii_alphabetic()) {
            Some(rest) => out.push_str(rest),
            None => out.extend([BEGIN, part]),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_repaired_as_ftfy_does() {
        for (text, expected) in [
            ("  a\t\n b\u{a0}c ", "a b c"),
            ("&amp;amp; &quot;x&quot;", "& \"x\""),
            ("<b> &amp;amp;lt;", "<b> &lt;"),
            ("â€œmojibakeâ€\u{9d}", "\"mojibake\""),
            ("cafÃ© und café", "café und café"),
            ("Ã‚Â½", "½"),
            ("ﬁre ﬀ ﬅ ŉ", "fire ff ſt 'n"),
            ("ＡＢＣ　１２ ｶﾞ", "ABC 12 ガ"),
            ("it’s “so”", "it's \"so\""),
            ("a\u{1b}[1;31mred\u{1b}[0m b\0c\u{7f}", "ared bc"),
            ("e\u{301}", "é"),
            ("Zürich ß ½ naïve 東京 🔥", "Zürich ß ½ naïve 東京 🔥"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
