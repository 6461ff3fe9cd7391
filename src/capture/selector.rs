//! Which coded frames a decoder needs to see. Pure: what is known of a frame before it is decoded
//! goes in, a verdict comes out.
//!
//! A coded video is a row of groups: a key frame, which stands alone, and the frames that build on
//! it. To get one frame of a group everything before it in the group has to be decoded; nothing
//! after it has to. So a group in which no frame is due is skipped whole, and one in which a frame
//! is due is decoded up to that frame. Where intervals and groups fit together, this decodes key
//! frames only.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{DecodeStrategy, Every};

/// Groups that are remembered: they say when the next key frame is safe to expect. Where scenes
/// change, few groups are as long as the encoder lets them be.
const REMEMBERED: usize = 32;
/// Those of them that say what is done at present.
const RECENT: usize = 8;
/// A stream without key frames (some encoders refresh pictures bit by bit) is decoded after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// A coded frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// When it is shown.
    pub time: Duration,
    /// When it is decoded: every frame that is shown before this has come.
    pub order: Duration,
    pub key: bool,
    /// No other frame builds on it.
    pub droppable: bool,
}

/// What to do with a coded frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Skip,
    Decode,
    /// Decode it and get everything out of the decoder: what follows is skipped up to the next
    /// key frame.
    DecodeLast,
}

#[derive(Debug, Clone, Copy, Default)]
struct Group {
    length: Duration,
    units: u32,
    decoded: u32,
}

/// Follows one stream.
#[derive(Debug)]
pub struct Selector {
    every: Every,
    groups: VecDeque<Group>,
    current: Group,
    key: Option<Duration>,
    first: Option<Duration>,
    /// The decoder has everything since the key frame that others build on.
    open: bool,
}

impl Selector {
    pub fn new(every: Every) -> Self {
        Self {
            every,
            groups: VecDeque::new(),
            current: Group::default(),
            key: None,
            first: None,
            open: false,
        }
    }

    /// What to do with the next coded frame when `due` is the next time at which a frame is
    /// wanted (`None`: at once), and whether we are `late` with everything.
    pub fn judge(&mut self, unit: &Unit, due: Option<Duration>, late: bool) -> Verdict {
        if unit.key {
            self.begin_group(unit.time);
        }
        let verdict = match self.every {
            Every::KeyFrames if unit.key => Verdict::DecodeLast,
            Every::KeyFrames => Verdict::Skip,
            Every::Interval(every) if unit.key => self.at_key(unit, due, every),
            Every::Interval(_) if late && self.key.is_some() => Verdict::Skip,
            Every::Interval(every) => self.between(unit, due, every),
        };
        self.current.units += 1;
        self.current.decoded += u32::from(verdict != Verdict::Skip);
        self.open = match verdict {
            Verdict::Decode => true,
            Verdict::DecodeLast => false,
            // Leaving out what nothing builds on breaks nothing.
            Verdict::Skip => self.open && unit.droppable && !late,
        };
        verdict
    }

    /// The decoder was lost with all it had: nothing makes sense before the next key frame.
    pub fn lost(&mut self) {
        self.open = false;
    }

    /// The longest of the last groups: from one key frame to the next.
    pub fn key_interval(&self) -> Option<Duration> {
        self.groups.iter().map(|group| group.length).max()
    }

    /// The length that no group exceeds: the longest of the last ones, when the encoder has gone
    /// to that length twice. Shorter ones are scenes that changed.
    fn limit(&self) -> Option<Duration> {
        let longest = self.key_interval()?;
        let near = self.groups.iter().filter(|group| group.length + longest / 16 >= longest);
        (near.count() >= 2).then_some(longest)
    }

    /// How early a frame may come that is decoded alone.
    pub fn early(&self) -> Duration {
        match (self.every, self.limit()) {
            (Every::Interval(every), Some(length)) => slack(length, every),
            _ => Duration::ZERO,
        }
    }

    /// What has been done lately.
    pub fn strategy(&self) -> Option<DecodeStrategy> {
        let recent = || self.groups.iter().rev().take(RECENT);
        let sum = |count: fn(&Group) -> u32| recent().map(count).sum::<u32>();
        let (units, decoded) = (sum(|group| group.units), sum(|group| group.decoded));
        if units == 0 {
            return None;
        }
        let key_frames = recent().all(|group| group.decoded <= 1);
        Some(match () {
            () if decoded == units => DecodeStrategy::All,
            () if key_frames => DecodeStrategy::KeyFrames,
            () => DecodeStrategy::Partial,
        })
    }

    fn begin_group(&mut self, time: Duration) {
        if let Some(length) = self.key.and_then(|key| time.checked_sub(key)) {
            self.groups.push_back(Group { length, ..self.current });
            if self.groups.len() > REMEMBERED {
                self.groups.pop_front();
            }
        }
        self.current = Group::default();
        self.key = Some(time);
    }

    fn at_key(&self, unit: &Unit, due: Option<Duration>, every: Duration) -> Verdict {
        let Some(due) = due else { return Verdict::Decode };
        let Some(length) = self.limit() else { return Verdict::Decode };
        let slack = slack(length, every);
        let taken = unit.time + slack > due || jumped_back(unit, due, every);
        let next = if taken { unit.time.max(due) + every } else { due };
        if next + slack < unit.time + length {
            return Verdict::Decode;
        }
        if taken { Verdict::DecodeLast } else { Verdict::Skip }
    }

    fn between(&mut self, unit: &Unit, due: Option<Duration>, every: Duration) -> Verdict {
        let Some(key) = self.key else {
            let first = *self.first.get_or_insert(unit.time);
            let waited = unit.time.saturating_sub(first) >= PATIENCE;
            return if waited { Verdict::Decode } else { Verdict::Skip };
        };
        if !self.open {
            return Verdict::Skip;
        }
        let (Some(due), Some(length)) = (due, self.limit()) else { return Verdict::Decode };
        let end = key + length;
        // A group that has outgrown all before it: when it ends nobody knows.
        if unit.time >= end || jumped_back(unit, due, every) {
            return Verdict::Decode;
        }
        let slack = slack(length, every);
        if due + slack >= end {
            return Verdict::Skip;
        }
        if unit.droppable && unit.time + slack < due {
            return Verdict::Skip;
        }
        let in_hand = unit.order >= due;
        if in_hand && due + every + slack >= end { Verdict::DecodeLast } else { Verdict::Decode }
    }
}

/// How far from its due time a key frame may be and still be taken for it, so that its group need
/// not be decoded: nearer than any other key frame, and not far off.
fn slack(group: Duration, every: Duration) -> Duration {
    (every / 8).min(group / 2)
}

/// The stream's clock was set back: what was due is not any more.
fn jumped_back(unit: &Unit, due: Duration, every: Duration) -> bool {
    unit.time + every * 2 < due
}

#[cfg(test)]
#[path = "selector/tests.rs"]
mod tests;
