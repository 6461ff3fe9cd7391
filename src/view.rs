//! Whether a camera still shows what it should: whether it was moved, covered, blinded, or is frozen. Pure.
//!
//! Fed with every analysed frame of one camera. Nothing here depends on what is looked for, and time comes in
//! with the frames. Every finding must last before it counts, and be gone for a while before it is over, so
//! that nothing that passes by is told. docs/view.md has what it finds on simulated footage.

pub mod grid;
mod learnt;
mod place;
pub mod shelf;
pub mod sight;
mod spell;

use std::time::Duration;

pub use self::learnt::{Learnt, Memo, News, Unfit};
use self::place::Place;
pub use self::sight::Sight;
use self::spell::{Finding, Lasting, Spell};
use crate::model::{Captured, Moment, Problem, ProblemKind};

/// What stops in front of the lens and goes on, such as a bus, is gone by then.
const COVERED: Lasting = Lasting { time: Duration::from_secs(20), frames: 5 };
const UNCOVERED: Lasting = Lasting { time: Duration::from_secs(10), frames: 3 };
/// Thrifty cameras send no key frame for a minute when nothing moves, and what is decoded meanwhile may be the
/// same to the bit: twice that.
const STILL: Lasting = Lasting { time: Duration::from_secs(120), frames: 10 };
const MOVING: Lasting = Lasting { time: Duration::from_secs(10), frames: 3 };

/// Less contrast has no view: fog at its thickest leaves more.
const FLAT: f32 = 2.0;
/// A flat picture that is darker is black, one that is lighter is white.
const DARK: f32 = 16.0;
const BRIGHT: f32 = 200.0;
/// With so much of the picture blown out, what is left of it says little.
const WHITE: f32 = 0.6;
/// So little of the usual detail is left of a picture that is out of focus or covered.
const DULL: f32 = 0.2;
/// In the dark detail goes with the contrast, and edges stay where they are. Below this they do not.
const STRANGE: f32 = 0.5;
/// A hand on the lens has less contrast than a view that is out of focus.
const SOFT: f32 = 20.0;

/// What is known of one camera's view.
#[derive(Debug, Default)]
pub struct Watcher {
    newest: Moment,
    lens: Spell,
    digest: Option<u64>,
    still: Spell,
    place: Place,
}

impl Watcher {
    /// One that knows what an earlier life has learnt.
    pub fn knowing(learnt: Learnt) -> Self {
        Self { place: Place::known(learnt.0), ..Self::default() }
    }

    /// What should outlive this life; `None` while no view is a usual one.
    pub fn learnt(&self) -> Option<Learnt> {
        let usual = self.place.usual();
        (!usual.is_empty()).then(|| Learnt(usual.to_vec()))
    }

    /// How many views have become usual ones so far.
    pub fn adopted(&self) -> u64 {
        self.place.adopted()
    }

    /// What is wrong with the view after one more frame, with the first frame in which it was.
    pub fn look(&mut self, captured: Captured, sight: &Sight) -> Option<Problem> {
        if captured.at < self.newest {
            // A file that began again.
            *self = Self::default();
        }
        self.newest = captured.at;
        let dull = lens(sight, self.place.compare(sight));
        let same = self.digest.replace(sight.digest) == Some(sight.digest);
        let frozen = (ProblemKind::Frozen, "the very same picture comes again and again");
        let blind = self.lens.look(captured, dull, (COVERED, UNCOVERED));
        let still = self.still.look(captured, same.then_some(frozen), (STILL, MOVING));
        // A picture without a view says nothing of where the camera looks.
        let seen = dull.is_none() && !same;
        let moved = if seen { self.place.look(captured, sight) } else { self.place.said() };
        blind.or(still).or(moved)
    }

    /// Whether the last problem ended because a view that had been another for long is the usual one now.
    pub fn has_settled(&self) -> bool {
        self.place.has_settled()
    }
}

/// Why nothing can be seen in this frame. `usual`: how alike it is to the usual view, and the detail of that.
fn lens(sight: &Sight, usual: Option<(f32, f32)>) -> Option<Finding> {
    let covered = |reason| Some((ProblemKind::Covered, reason));
    let blinded = |reason| Some((ProblemKind::Blinded, reason));
    if sight.contrast < FLAT {
        return match sight.light {
            light if light < DARK => covered("the picture is black"),
            light if light > BRIGHT => blinded("the picture is white"),
            _ => covered("there is nothing in the picture"),
        };
    }
    // Whether that is much is known only of a view that is known.
    let (like, detail) = usual?;
    if sight.white > WHITE && like < STRANGE {
        return blinded("the picture is over-exposed");
    }
    if sight.detail > DULL * detail || like > STRANGE {
        return None;
    }
    if sight.contrast < SOFT {
        covered("something is in front of the lens")
    } else {
        blinded("the picture is blurred")
    }
}

#[cfg(test)]
#[path = "view/tests.rs"]
mod tests;
