//! Rust sources as text: what is a comment, a string, a test or a word. For `tests/layering.rs`.

/// Offsets of `needle` as whole words, with the text before each.
pub(crate) fn words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let ends = move |&(at, _): &(usize, &str)| {
        !code[at + needle.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    starts(code, needle).filter(ends)
}

/// Offsets where a word begins with `needle`, with the text before each.
pub(crate) fn starts<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let found = code.match_indices(needle).map(|(at, _)| (at, &code[..at]));
    found.filter(|(_, before)| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The offset of the brace that closes the one at `open`; None when there is none at `open`.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then_some(open + at);
        }
    }
    None
}

/// Blanks every item under `#[cfg(test)]`.
pub(crate) fn blank_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let from = at + attribute.len();
        let Some(open) = code[from..].find(['{', ';']).map(|n| from + n) else { continue };
        let end = closing(code, open).unwrap_or(open);
        out.replace_range(at..=end, &blank(&code[at..=end]));
    }
    out
}

/// The same length in bytes, the same lines, nothing else.
fn blank(text: &str) -> String {
    text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
}

pub(crate) fn blank_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word_before = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match opaque_length(rest, word_before) {
            Some(length) => {
                let length = length.min(rest.len());
                out.push_str(&blank(&rest[..length]));
                rest = &rest[length..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// The length of the comment, string or character that `text` begins with.
fn opaque_length(text: &str, word_before: bool) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if text.starts_with('"') {
        return Some(quoted_length(text, '"'));
    }
    if let Some(after) = text.strip_prefix('r').filter(|_| !word_before || text.starts_with("r#")) {
        let hashes = after.len() - after.trim_start_matches('#').len();
        if after[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
        }
    }
    if let Some(after) = text.strip_prefix('\'') {
        // A lifetime has no second quote there.
        let escaped = after.starts_with('\\');
        let closes = after.chars().nth(1) == Some('\'');
        return (escaped || closes).then(|| quoted_length(text, '\''));
    }
    None
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}
