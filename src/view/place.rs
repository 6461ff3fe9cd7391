//! Whether a camera looks where it usually does. Pure.
//!
//! What stays where it is in a view are its edges: people and cars pass in front of them, lamps and the
//! sun change their strength, infrared light changes which side is the lighter, and none of that moves
//! them. So the mean of the last seconds' edges is compared with that of the usual view, as an angle between
//! two long vectors: near 1 in the same place, near 0 once everything has gone a cell further. Embeddings
//! hardly see that a camera was turned a little, for it still shows a road; they see what is shown.

use std::time::Duration;

use super::sight::Sight;
use super::spell::{Finding, Lasting, Run, Spell};
use crate::model::{Captured, Moment, Problem, ProblemKind};

/// Until the usual view is known nothing is compared with it.
const WARM: Lasting = Lasting { time: Duration::from_secs(120), frames: 20 };
/// People and cars are gone from a mean of so long.
const RECENT: f32 = 20.0;
/// The usual view follows the sun and the seasons in so many seconds.
const LEARN: f32 = 1800.0;
/// How alike the view is to itself is learnt faster: it is one number.
const LEVEL: f32 = 300.0;
/// A lorry or a van that stops in front of the lens is gone by then, mostly.
const AWAY: Lasting = Lasting { time: Duration::from_secs(120), frames: 15 };
const BACK: Lasting = Lasting { time: Duration::from_secs(20), frames: 5 };
/// Whoever moves a camera and leaves it so for this long has meant it.
const SETTLED: Lasting = Lasting { time: Duration::from_secs(1800), frames: 30 };
/// Away: so much less alike than the view is to itself as a rule.
const FAR: f32 = 0.5;
/// Back: so near to it.
const NEAR: f32 = 0.6;
/// A view that is less alike to itself has no edges that could tell: fog, water, an empty wall.
const POOR: f32 = 0.35;
/// The same of pictures: where edges do not stay from one to the next there is noise alone.
const STEADY: f32 = 0.55;
/// A picture in infrared light has no colours.
const GREY: f32 = 1.0;
const COLOURED: f32 = 2.5;
/// Views that are remembered as usual: day, night, and some to which a camera is turned and back.
const MOST: usize = 4;
/// What a picture counts at most, however rarely they come.
const MOST_SHARE: f32 = 0.2;
/// What a picture of another view counts once there are many.
const OTHER: f32 = 0.02;

/// A mean over pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Mean {
    pub(super) edges: Vec<f32>,
    /// Of single pictures' edges, how long they are.
    pub(super) length: f32,
    pub(super) colour: f32,
    pub(super) detail: f32,
    pub(super) pictures: u32,
}

impl Mean {
    /// A picture more. `share`: what it counts once there are many.
    fn take(&mut self, sight: &Sight, share: f32) {
        self.pictures = self.pictures.saturating_add(1);
        let share = share.max(1.0 / self.pictures as f32);
        if self.edges.len() != sight.edges.len() {
            self.edges = vec![0.0; sight.edges.len()];
        }
        for (mean, new) in self.edges.iter_mut().zip(&sight.edges) {
            *mean += share * (new - *mean);
        }
        self.length += share * (length(&sight.edges) - self.length);
        self.colour += share * (sight.colour - self.colour);
        self.detail += share * (sight.detail - self.detail);
    }

    /// 1 when every picture had the same edges, near 0 when each had its own.
    fn steadiness(&self) -> f32 {
        length(&self.edges) / self.length.max(f32::MIN_POSITIVE)
    }
}

fn length(edges: &[f32]) -> f32 {
    edges.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// The cosine of the angle between two pictures' edges.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    product / (length(a) * length(b)).max(f32::MIN_POSITIVE)
}

/// One of the views that a camera usually has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Usual {
    pub(super) mean: Mean,
    /// How alike recent pictures are to it as a rule, when they are of it.
    pub(super) level: f32,
}

/// A view that is none of them yet.
#[derive(Debug, Default)]
struct Other {
    mean: Mean,
    run: Option<Run>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Place {
    newest: Option<Moment>,
    recent: Mean,
    /// The one that was seen last comes last.
    usual: Vec<Usual>,
    other: Option<Other>,
    spell: Spell,
    /// The last problem ended because the view became a usual one.
    settled: bool,
    /// Views that have become usual ones.
    adopted: u64,
}

impl Place {
    /// One whose usual views are known from an earlier life.
    pub(super) fn known(mut usual: Vec<Usual>) -> Self {
        usual.drain(..usual.len().saturating_sub(MOST));
        Self { usual, ..Self::default() }
    }

    pub(super) fn usual(&self) -> &[Usual] {
        &self.usual
    }

    /// How many views have become usual ones so far.
    pub(super) fn adopted(&self) -> u64 {
        self.adopted
    }

    /// How alike one picture is to the nearest usual view, and the detail of that; `None` while there is
    /// none.
    pub(super) fn compare(&self, sight: &Sight) -> Option<(f32, f32)> {
        let each = self
            .usual
            .iter()
            .map(|usual| (likeness(&sight.edges, &usual.mean.edges), usual.mean.detail));
        each.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    pub(super) fn said(&self) -> Option<Problem> {
        self.spell.said()
    }

    pub(super) fn has_settled(&self) -> bool {
        self.settled
    }

    /// What is said of the place after a picture in which something can be seen.
    pub(super) fn look(&mut self, captured: Captured, sight: &Sight) -> Option<Problem> {
        let now = captured.at;
        let passed = self.newest.map_or(0.0, |newest| now.since(newest).as_secs_f32());
        self.newest = Some(now);
        let share = |time: f32| (1.0 - (-passed / time).exp()).min(MOST_SHARE);
        self.recent.take(sight, share(RECENT));
        if self.is_there(share(LEARN), share(LEVEL), sight) {
            self.other = None;
        } else if self.stays_elsewhere(captured, sight) {
            self.adopt();
            self.settled = self.said().is_some();
            self.spell = Spell::default();
            return None;
        }
        let moved = self.other.is_some() && !self.usual.is_empty() && !self.is_switch();
        self.settled &= !moved;
        let finding: Finding = (ProblemKind::Moved, "the camera shows another view than usual");
        self.spell.look(captured, moved.then_some(finding), (AWAY, BACK))
    }

    /// Whether the recent pictures are of a usual view, as far as that can be told. It learns of them.
    fn is_there(&mut self, learn: f32, level: f32, sight: &Sight) -> bool {
        let like = |usual: &Usual| likeness(&self.recent.edges, &usual.mean.edges);
        let each = self.usual.iter().map(like).enumerate();
        let Some((index, like)) = each.max_by(|a, b| a.1.total_cmp(&b.1)) else { return false };
        let steady = self.recent.steadiness() >= STEADY;
        let usual = &mut self.usual[index];
        let wanted = usual.level * if self.other.is_some() { NEAR } else { FAR };
        if steady && usual.level >= POOR && like < wanted {
            return false;
        }
        if steady {
            usual.mean.take(sight, learn);
            usual.level += level * (like - usual.level);
        }
        // The newest that was used comes last, so that the first is the one to forget.
        self.usual[index..].rotate_left(1);
        true
    }

    /// Whether the view has been none of the usual ones for so long that it is one.
    fn stays_elsewhere(&mut self, captured: Captured, sight: &Sight) -> bool {
        let other = self.other.get_or_insert_default();
        other.mean.take(sight, OTHER);
        let run = Run::on(&mut other.run, captured);
        let wait = if self.usual.is_empty() || self.is_switch() { WARM } else { SETTLED };
        run.lasts(captured.at, wait)
    }

    fn adopt(&mut self) {
        let Some(other) = self.other.take() else { return };
        if self.usual.len() == MOST {
            self.usual.remove(0);
        }
        let level = likeness(&self.recent.edges, &other.mean.edges);
        self.usual.push(Usual { mean: other.mean, level });
        self.adopted += 1;
    }

    /// Whether what came is the same in infrared light, or by day: colours have gone or come.
    fn is_switch(&self) -> bool {
        let (Some(other), Some(usual)) = (&self.other, self.usual.last()) else { return false };
        let (now, before) = (other.mean.colour, usual.mean.colour);
        now.min(before) < GREY && now.max(before) > COLOURED
    }
}
