//! The line that the example of OpenAI's README prints: probabilities as NumPy writes them.
//!
//! Source: openai/CLIP README ("Label probs: …"); the format is that of `numpy.array2string`
//! for float32 with its default settings, but never broken into several lines.

/// Digits behind the point, at most.
const PRECISION: usize = 8;

/// `Label probs: [[0.9927937  0.00421068 0.00299572]]`
pub(super) fn line(probabilities: &[f32]) -> String {
    format!("Label probs: [[{}]]", numbers(probabilities).join(" "))
}

/// All with exponents as soon as one needs them, all equally wide.
fn numbers(values: &[f32]) -> Vec<String> {
    let sizes = values.iter().map(|value| value.abs()).filter(|value| *value > 0.0);
    let (least, most) = sizes.fold((f32::INFINITY, 0.0_f32), |(a, b), v| (a.min(v), b.max(v)));
    let far = least < 1e-4 || most >= 1e8 || most / least > 1000.0;
    let parts: Vec<_> =
        values.iter().map(|v| if far { scientific(*v) } else { plain(*v) }).collect();
    let width = parts.iter().map(|(mantissa, _)| mantissa.len()).max().unwrap_or(0);
    let padded = |(mantissa, exponent): &(String, String)| match exponent.as_str() {
        "" => format!("{mantissa:<width$}"),
        exponent => format!("{mantissa:0<width$}{exponent}"),
    };
    parts.iter().map(padded).collect()
}

/// The shortest digits that give the value back, at most [`PRECISION`] behind the point.
fn plain(value: f32) -> (String, String) {
    (digits(format!("{value}"), || format!("{value:.PRECISION$}")), String::new())
}

fn scientific(value: f32) -> (String, String) {
    let split = |text: String| {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        (mantissa.to_owned(), format!("e{sign}{:02}", exponent.abs()))
    };
    let (mantissa, exponent) = split(format!("{value:e}"));
    (digits(mantissa, || split(format!("{value:.PRECISION$e}")).0), exponent)
}

/// `exact`, or `rounded` where that has too many digits; always with a point, and without zeros
/// at the end.
fn digits(exact: String, rounded: impl Fn() -> String) -> String {
    let behind = exact.split_once('.').map_or(0, |(_, behind)| behind.len());
    let text = if behind > PRECISION { rounded() } else { exact };
    if text.contains('.') { text.trim_end_matches('0').to_owned() } else { text + "." }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_numpy_does() {
        // Printed by NumPy 2 for the same float32 values.
        for (values, wanted) in [
            (&[0.992_793_7, 0.004_210_68, 0.002_995_72][..], "0.9927937  0.00421068 0.00299572"),
            (&[0.5, 0.5], "0.5 0.5"),
            (&[1.0, 0.0], "1. 0."),
            (&[0.99999, 1e-5], "9.9999e-01 1.0000e-05"),
            (&[0.9, 0.05, 0.04999], "0.9     0.05    0.04999"),
            (&[1.0 / 3.0, 1.0 / 3.0], "0.33333334 0.33333334"),
            (&[0.987_654_3, 0.0123, 5e-5], "9.876543e-01 1.230000e-02 5.000000e-05"),
            (&[1e-9, 1.0], "1.e-09 1.e+00"),
            (&[0.25, 0.75, 1e-4], "2.5e-01 7.5e-01 1.0e-04"),
        ] {
            assert_eq!(line(values), format!("Label probs: [[{wanted}]]"));
        }
    }
}
