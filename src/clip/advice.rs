//! Which prompts will disappoint, and what to write instead. Pure.
//!
//! Advice is never an error: `check` shows it, nothing is refused. Sources: CLIP was trained
//! on captions, so bare nouns do worse than "a photo of a …" (arXiv:2103.00020, section
//! 3.1.4); it reads negations as if they were not there (Alhamoud et al., "Vision-Language
//! Models Do Not Understand Negation", 2025, arXiv:2501.09425).

use ndarray::Axis;

use super::prompts::expand;
use super::scoring::{cosines, matrix};
use crate::config::WatchConfig;
use crate::model::Embedding;

/// Two labels nearer than this can hardly be told apart.
const NEAR_PARALLEL: f32 = 0.95;
/// Of thousands of labels thousands of pairs may be near: nobody reads more than this.
const MOST_PAIRS: usize = 10;
/// Labels that are compared with all later ones at a time.
const BLOCK: usize = 64;

/// Words that the model does not understand, apart from "…n't".
const NEGATIONS: [&str; 12] = [
    "no", "not", "without", "never", "nobody", "none", "nothing", "nowhere", "neither", "nor",
    "cannot", "non",
];

/// Everything to say about one watch. `truncated` tells whether the tokenizer cuts a text;
/// `labels` are the compiled label embeddings in the watch's order, or empty when they are not
/// known.
pub fn watch_advice(
    watch: &WatchConfig,
    labels: &[Embedding],
    truncated: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut advice = Vec::new();
    for label in &watch.labels {
        let place = format!("watch {}, label {}", watch.id, label.id);
        for prompt in &label.prompts {
            let found = prompt_advice(&watch.templates, prompt, truncated);
            advice.extend(found.into_iter().map(|text| format!("{place}: {text}")));
        }
    }
    let ids: Vec<&str> = watch.labels.iter().map(|label| label.id.as_str()).collect();
    advice.extend(
        parallel(&ids, labels).into_iter().map(|text| format!("watch {}: {text}", watch.id)),
    );
    advice
}

/// What to say about one prompt in its templates.
pub fn prompt_advice(
    templates: &[String],
    prompt: &str,
    truncated: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(word) = negation(prompt) {
        advice.push(format!(
            "{prompt:?} has {word:?}, which the model does not understand: it sees what is named. \
             Describe what is seen instead (\"an empty porch\", not \"no person\")"
        ));
    }
    if is_bare(prompt) && templates.iter().any(|template| template.trim() == "{}") {
        advice.push(format!(
            "{prompt:?} is a single word; the model was trained on captions. Write \
             {:?}, or add templates = [\"a photo of a {{}}\"]",
            format!("a photo of {} {prompt}", article(prompt))
        ));
    }
    let prompts = [prompt.to_owned()];
    for text in expand(templates, &prompts).iter().map(super::prompts::Prompt::text) {
        if truncated(&text) {
            advice.push(format!(
                "{text:?} is longer than the model reads; its end is cut off. Say the most \
                 important thing first, in fewer words"
            ));
        }
    }
    advice
}

/// Pairs of labels whose embeddings nearly coincide: the nearest of them, and how many more there are.
/// `labels`: unit-length, one for each of `ids`.
pub fn parallel(ids: &[&str], labels: &[Embedding]) -> Vec<String> {
    let (pairs, count) = nearest(labels);
    let named = pairs.iter().filter_map(|(near, a, b)| Some((near, ids.get(*a)?, ids.get(*b)?)));
    let mut advice: Vec<String> = named
        .map(|(near, a, b)| {
            format!(
                "labels {a} and {b} mean nearly the same to the model (cosine {near:.3}) and \
                 will share their probability; join them in one label with several prompts, \
                 or describe what differs"
            )
        })
        .collect();
    match count - pairs.len() {
        0 => {}
        1 => advice.push("one more pair of labels means nearly the same to the model".to_owned()),
        more => {
            advice.push(format!("{more} more pairs of labels mean nearly the same to the model"));
        }
    }
    advice
}

/// The nearest pairs of labels above [`NEAR_PARALLEL`], with their cosine, and how many there are.
fn nearest(labels: &[Embedding]) -> (Vec<(f32, usize, usize)>, usize) {
    let (mut pairs, mut count) = (Vec::new(), 0);
    let Some(matrix) = matrix(labels) else { return (pairs, count) };
    let all: Vec<&Embedding> = labels.iter().collect();
    for (block, some) in all.chunks(BLOCK).enumerate() {
        let from = block * BLOCK;
        let (_, later) = matrix.view().split_at(Axis(0), from);
        for (a, cosines) in (from..).zip(cosines(some, later)) {
            let pairs_of_a = (from..).zip(cosines).skip(a + 1 - from);
            let near = pairs_of_a.filter(|(_, cosine)| *cosine > NEAR_PARALLEL);
            let known = pairs.len();
            pairs.extend(near.map(|(b, cosine)| (cosine, a, b)));
            count += pairs.len() - known;
            pairs.sort_by(|one: &(f32, usize, usize), other| other.0.total_cmp(&one.0));
            pairs.truncate(MOST_PAIRS);
        }
    }
    (pairs, count)
}

/// The first word of `prompt` that negates.
fn negation(prompt: &str) -> Option<&str> {
    let letter = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
    prompt.split(|c| !letter(c)).find(|word| {
        let lower = word.to_lowercase().replace('’', "'");
        NEGATIONS.contains(&lower.as_str()) || lower.ends_with("n't")
    })
}

fn is_bare(prompt: &str) -> bool {
    let mut words = prompt.split_whitespace();
    words.next().is_some_and(|word| word.chars().any(char::is_alphabetic)) && words.next().is_none()
}

fn article(noun: &str) -> &'static str {
    let vowel = |c: char| "aeiou".contains(c.to_ascii_lowercase());
    if noun.starts_with(vowel) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::scoring::cosine;

    fn advise(template: &str, prompt: &str) -> Vec<String> {
        prompt_advice(&[template.to_owned()], prompt, &|text| text.len() > 60)
    }

    #[track_caller]
    fn check(template: &str, prompt: &str, expected: &[&str]) {
        let advice = advise(template, prompt);
        assert_eq!(advice.len(), expected.len(), "{advice:#?}");
        for (text, part) in advice.iter().zip(expected) {
            assert!(text.contains(part), "{text} / {part}");
        }
    }

    #[test]
    fn bare_nouns_want_a_caption() {
        check("{}", "cat", &["a photo of a cat"]);
        check("{}", "Elephant", &["a photo of an Elephant"]);
        check("a photo of a {}", "cat", &[]);
        check("{}", "a cat", &[]);
        check("{}", "123", &[]);
    }

    #[test]
    fn negations_are_named() {
        check("{}", "no person at the door", &["\"no\""]);
        check("{}", "a street without cars", &["\"without\""]);
        check("{}", "a dog that isn’t barking", &["\"isn’t\""]);
        check("{}", "a door that doesn't close", &["\"doesn't\""]);
        check("{}", "a person, not a dog", &["\"not\""]);
        check("{}", "Nobody is here", &["\"Nobody\""]);
        check("{}", "a notice on a north wall, a knot", &[]);
    }

    #[test]
    fn long_prompts_are_named_with_their_template() {
        let long = "a very long prompt with far too many words ".repeat(2);
        check("{}", &long, &["cut off"]);
        check("security camera footage of a really big {}", "dog on a leash", &[]);
        check(
            "a security camera's footage, at night, of a really big {}",
            "dog on a leash",
            &["cut off"],
        );
    }

    #[test]
    fn parallel_labels_are_paired() {
        let labels = [[1.0, 0.0], [0.999, 0.0447], [0.0, 1.0]].map(|e| Embedding(e.to_vec()));
        let advice = parallel(&["a", "b", "c"], &labels);
        assert_eq!(advice.len(), 1);
        assert!(advice[0].contains("labels a and b"), "{advice:?}");
        assert!(parallel(&["a", "b"], &[]).is_empty(), "nothing is known of them");
    }

    #[test]
    fn of_many_pairs_the_nearest_are_named() {
        // All over the circle; the last two are nearest to each other.
        let at = |angle: f32| Embedding(vec![angle.cos(), angle.sin()]);
        let mut labels: Vec<Embedding> = (0..150_u8).map(|n| at(0.37 * f32::from(n))).collect();
        labels.extend([at(1.0), at(1.0 + 1e-3)]);
        let names: Vec<String> = (0..labels.len()).map(|n| format!("l{n}")).collect();
        let ids: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut near = 0;
        for (index, first) in labels.iter().enumerate() {
            let later = &labels[index + 1..];
            near += later.iter().filter(|one| cosine(first, one) > NEAR_PARALLEL).count();
        }
        let advice = parallel(&ids, &labels);
        assert_eq!(advice.len(), MOST_PAIRS + 1);
        assert!(advice[0].contains("labels l150 and l151"), "{advice:?}");
        let rest = format!("{} more pairs of labels", near - MOST_PAIRS);
        assert!(advice[MOST_PAIRS].starts_with(&rest), "{near}: {advice:?}");
    }
}
