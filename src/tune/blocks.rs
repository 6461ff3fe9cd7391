//! Curves in characters, for a terminal.

/// Eighths of a character's height.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One character a value, 0 to 1; `None` is a dot.
pub fn line(values: impl IntoIterator<Item = Option<f64>>) -> String {
    let block = |value: f64| {
        // What is not nothing is seen.
        let eighths = (value.clamp(0.0, 1.0) * 8.0).round() as usize;
        BLOCKS[if value > 0.0 { eighths.max(1) } else { 0 }]
    };
    values.into_iter().map(|value| value.map_or('·', block)).collect()
}

/// The highest value of each of `columns` equal parts of the time from `from` to `to`; `None` where
/// there is none. `values` are pairs of a time and a value.
pub fn highest(
    values: impl IntoIterator<Item = (f64, f64)>,
    from: f64,
    to: f64,
    columns: usize,
) -> Vec<Option<f64>> {
    let mut highest = vec![None; columns];
    for (time, value) in values {
        let share = if to > from { (time - from) / (to - from) } else { 0.0 };
        let column = ((share * columns as f64).max(0.0) as usize).min(columns.saturating_sub(1));
        if let Some(slot) = highest.get_mut(column) {
            *slot = Some(slot.map_or(value, |before: f64| before.max(value)));
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights() {
        let values = [Some(0.0), Some(0.01), Some(0.5), Some(1.0), None];
        assert_eq!(line(values), " ▁▄█·");
    }

    #[test]
    fn peaks_are_kept() {
        let values = [(0.0, 0.1), (0.4, 0.9), (0.9, 0.2), (2.9, 0.3), (3.0, 0.4)];
        assert_eq!(highest(values, 0.0, 3.0, 3), [Some(0.9), None, Some(0.4)]);
        assert_eq!(highest([(5.0, 0.5)], 5.0, 5.0, 2), [Some(0.5), None]);
        assert!(highest([(5.0, 0.5)], 5.0, 5.0, 0).is_empty());
    }
}
