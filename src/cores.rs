//! Work that is shared out to all cores, on rayon's threads. They wait while there is none.

use rayon::prelude::*;

/// What `work` makes of each item, in order. A single item is done by the caller, who would have to wake
/// another thread and wait for it.
pub fn each<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    if items.len() < 2 {
        return items.into_iter().map(work).collect();
    }
    items.into_par_iter().map(work).collect()
}

/// Does both.
pub fn both(first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    rayon::join(first, second);
}

/// How many there are.
pub fn count() -> usize {
    rayon::current_num_threads()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let squares = |count: u32| each((0..count).collect(), |n| n * n);
        for count in [0, 1, 2, 1000] {
            assert_eq!(squares(count), (0..count).map(|n| n * n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_item_stays_with_the_caller() {
        let here = std::thread::current().id();
        assert_eq!(each(vec![()], |()| std::thread::current().id()), [here]);
    }
}
