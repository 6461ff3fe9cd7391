//! Every key of the configuration, section by section, and the guess for a mistyped one.
//!
//! The readers of the sections must ask for no other; `config/seewhen.toml` must show them all.

pub(super) const TOP: &[&str] = &[
    "node",
    "timezone",
    "model",
    "mqtt",
    "history",
    "snapshots",
    "embeddings",
    "taught",
    "commands",
    "web",
    "camera",
    "watch",
];
pub(super) const MODEL: &[&str] = &[
    "bundle",
    "device",
    "precision",
    "dir",
    "prompt_cache",
    "max_batch",
    "gpu_memory",
    "max_wait",
];
pub(super) const COMMANDS: &[&str] = &["enabled", "persist", "file"];
pub(super) const WEB: &[&str] = &["listen", "token", "user", "password", "cert", "key", "hosts"];
pub(super) const HISTORY: &[&str] = &["dir", "keep", "max_size"];
pub(super) const SNAPSHOTS: &[&str] = &["topic", "dir", "keep", "max_size", "quality"];
pub(super) const EMBEDDINGS: &[&str] = &["enabled", "dir", "keep", "max_size", "pictures"];
pub(super) const TAUGHT: &[&str] = &["dir"];
pub(super) const MQTT: &[&str] = &[
    "url",
    "version",
    "user",
    "password",
    "ca_file",
    "client_cert",
    "client_key",
    "prefix",
    "discovery",
    "outbox",
];
pub(super) const CAMERA: &[&str] = &[
    "id",
    "enabled",
    "source",
    "every",
    "region",
    "mask",
    "fit",
    "change_gate",
    "view_check",
    "decoder",
    "transport",
    "tls_verify",
    "loop",
    "connect_timeout",
    "stall_timeout",
];
pub(super) const CHANGE_GATE: &[&str] = &["difference", "max_age"];
pub(super) const REGION: &[&str] = &["x", "y", "width", "height"];
pub(super) const WATCH: &[&str] =
    &["id", "enabled", "cameras", "templates", "score", "publish_every", "active", "label"];
pub(super) const LABEL: &[&str] = &[
    "id",
    "prompts",
    "score",
    "threshold",
    "clear",
    "hold",
    "for",
    "cooldown",
    "update_every",
    "active",
    "shadow",
    "enabled",
];
/// Keys of a label that say how it fires, so they mean nothing without `threshold`.
pub(super) const RULE: &[&str] =
    &["clear", "hold", "for", "cooldown", "update_every", "active", "shadow", "enabled"];

/// Lists of tables whose entries are told apart by `id`.
pub(super) const BY_ID: &[&str] = &["camera", "watch", "label"];

/// `; did you mean X?`, or nothing when no known word is near.
pub(super) fn did_you_mean<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
    quote: char,
) -> String {
    let near = |word: &str| distance(&found.to_lowercase(), &word.to_lowercase());
    known
        .into_iter()
        .map(|word| (near(word), word))
        .filter(|(far, word)| *far <= word.len().max(3) / 3 && *far < found.len())
        .min()
        .map(|(_, word)| format!("; did you mean {quote}{word}{quote}?"))
        .unwrap_or_default()
}

/// Insertions, deletions, replacements and swaps of neighbours from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_near_words_only() {
        let guess = |found| did_you_mean(found, LABEL.iter().copied(), '`');
        assert_eq!(guess("treshold"), "; did you mean `threshold`?");
        assert_eq!(guess("Prompts"), "; did you mean `prompts`?");
        assert_eq!(guess("prompst"), "; did you mean `prompts`?");
        assert_eq!(guess("di"), "; did you mean `id`?");
        assert_eq!(guess("colour"), "");
        assert_eq!(did_you_mean("w", ["x", "y"], '`'), "", "one letter is no hint");
    }
}
