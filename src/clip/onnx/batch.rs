//! What goes into one run of a model: batch sizes, and the values of text inputs. Pure.

use super::signature::Feed;
use crate::clip::tokenizer::Tokens;

/// 1, 2, 4, 8, … and `max_batch` itself.
pub(super) fn buckets(max_batch: usize) -> Vec<usize> {
    let most = max_batch.max(1);
    let powers = (0..usize::BITS).map(|bit| 1_usize << bit).take_while(|size| *size < most);
    powers.chain([most]).collect()
}

/// What one input of a text model gets, filled with zeros up to `length`. Token ids fit `i32`: the largest vocabularies have a quarter of a million.
pub(super) fn feed_values(feed: Feed, tokens: &[Tokens], length: usize) -> Vec<i32> {
    let row = |tokens: &Tokens| match feed {
        Feed::Ids => tokens.ids.clone(),
        Feed::Mask => tokens.mask.clone(),
        Feed::Zeros => vec![0; tokens.ids.len()],
    };
    let mut values: Vec<i32> = tokens.iter().flat_map(row).map(u32::cast_signed).collect();
    values.resize(length, 0);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_powers_of_two_up_to_the_most() {
        assert_eq!(buckets(0), [1]);
        assert_eq!(buckets(1), [1]);
        assert_eq!(buckets(8), [1, 2, 4, 8]);
        assert_eq!(buckets(12), [1, 2, 4, 8, 12]);
    }

    #[test]
    fn missing_rows_are_zeros() {
        let tokens = Tokens { ids: vec![7, 8, 0], mask: vec![1, 1, 0], truncated: false };
        let values = |feed| feed_values(feed, std::slice::from_ref(&tokens), 6);
        assert_eq!(values(Feed::Ids), [7, 8, 0, 0, 0, 0]);
        assert_eq!(values(Feed::Mask), [1, 1, 0, 0, 0, 0]);
        assert_eq!(values(Feed::Zeros), [0; 6]);
    }
}
