//! How good a taught label is, by events it has not seen. Pure.
//!
//! Frames beside each other are copies of each other: a label that is tested on a frame whose neighbour it
//! learnt from is always right. So a whole event is left out, the label learns from the rest, and then says
//! something of the event that it has not seen.

use super::fit::{Learnt, Row, fit};
use super::{Example, Lesson};
use crate::model::Probability;
use crate::tune::bounds::{Bounded, share};

/// With fewer events of a kind nothing can be told.
pub const FEWEST: usize = 3;
/// With more events they are left out in so many parts, not one by one.
const PARTS: usize = 20;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Honest {
    /// Events that show it, and that do not.
    pub yes: usize,
    pub no: usize,
    /// Of the first those that reached the threshold, and of the second.
    pub found: usize,
    pub wrong: usize,
    /// Found of all that reached the threshold.
    pub precision: Bounded,
    /// Found of all that show it.
    pub recall: Bounded,
}

impl Honest {
    /// Whether there are enough events to say anything.
    pub fn is_enough(&self) -> bool {
        self.yes >= FEWEST && self.no >= FEWEST
    }
}

/// An example and what the prompts say of it.
type Known<'a> = (&'a Example, f64);

/// Leaves out each event in turn. `odds` are the prompts' log-odds of an example.
pub fn leave_events_out(
    lesson: &Lesson,
    odds: impl Fn(&Example) -> f64,
    threshold: Probability,
) -> Honest {
    let events: Vec<Vec<Known<'_>>> = lesson
        .events()
        .into_iter()
        .map(|event| event.into_iter().map(|example| (example, odds(example))).collect())
        .collect();
    let usual = lesson.usual_of(None);
    let parts = events.len().clamp(1, PARTS);
    let (mut found, mut wrong) = (0, 0);
    for part in 0..parts {
        let is_out = |index: &usize| index % parts == part;
        let rest = (0..events.len()).filter(|index| !is_out(index));
        let rows: Vec<Row<'_>> = rest.flat_map(|index| &events[index]).map(row).collect();
        let learnt = fit(&rows, usual.as_ref());
        for event in (0..events.len()).filter(is_out).map(|index| &events[index]) {
            if reaches(event, learnt.as_ref(), threshold) {
                if event[0].0.yes { found += 1 } else { wrong += 1 }
            }
        }
    }
    let yes = events.iter().filter(|event| event[0].0.yes).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Honest {
        yes,
        no: events.len() - yes,
        found,
        wrong,
        precision: share(count(found), count(found + wrong)),
        recall: share(count(found), count(yes)),
    }
}

fn row<'a>((example, odds): &Known<'a>) -> Row<'a> {
    Row { embedding: &example.embedding, yes: example.yes, odds: *odds, weight: 1.0 }
}

/// Whether one frame of the event would start one.
fn reaches(event: &[Known<'_>], learnt: Option<&Learnt>, threshold: Probability) -> bool {
    // Without anything learnt the prompts stand alone.
    let nothing = Learnt { direction: Vec::new(), bias: 0.0, bounds: (0.0, 0.0) };
    let learnt = learnt.unwrap_or(&nothing);
    let probability = |(example, odds): &Known<'_>| learnt.probability(&example.embedding, *odds);
    event.iter().map(probability).any(|p| p >= f64::from(threshold))
}
