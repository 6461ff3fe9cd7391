//! How a label rises: the stay above the threshold before its event starts.
//!
//! A rise begins with a frame at or above the threshold. Frames below are forgiven as long as its
//! consensus `m of n frames` can be reached: of the newest `n` frames at most `n - m` may be below.
//! With one more the rise does not end at once, but begins later: with its earliest frame at or
//! above since which that held throughout. When there is none it is over.
//!
//! So nothing that counts is ever forgotten: whenever `m` of the newest `n` frames are at or above,
//! all of these are frames of the rise. Without a consensus it is `1 of 1`, and every frame below
//! ends the rise.

use std::collections::VecDeque;

use crate::model::{Captured, Probability};
use crate::watch::Consensus;

/// A stay of a label, from its first frame at or above the threshold on.
#[derive(Debug, Clone)]
pub(super) struct Stay {
    pub(super) since: Captured,
    pub(super) last: Captured,
    pub(super) top: Probability,
}

impl Stay {
    fn new(frame: Vote) -> Self {
        Self { since: frame.captured, last: frame.captured, top: frame.probability }
    }

    pub(super) fn grow(&mut self, captured: Captured, probability: Probability) {
        self.last = captured;
        self.top = self.top.max(probability);
    }
}

/// One frame, and whether it was at or above the threshold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vote {
    pub(super) captured: Captured,
    pub(super) probability: Probability,
    pub(super) above: bool,
}

/// A stay that is no event yet.
#[derive(Debug, Clone)]
pub(super) struct Rise {
    stay: Stay,
    /// The newest frames of the stay, at most as many as the consensus asks for.
    votes: VecDeque<Vote>,
    consensus: Consensus,
}

impl Rise {
    /// `None` when `frame` is below the threshold.
    pub(super) fn begin(frame: Vote, consensus: Consensus) -> Option<Self> {
        let rise = || Self { stay: Stay::new(frame), votes: VecDeque::from([frame]), consensus };
        frame.above.then(rise)
    }

    /// The rise with one frame more; `None` when it is over.
    pub(super) fn grown(mut self, frame: Vote) -> Option<Self> {
        self.votes.push_back(frame);
        if self.votes.len() > self.consensus.of() {
            self.votes.pop_front();
        }
        self.stay.grow(frame.captured, frame.probability);
        let forgiven = self.consensus.of() - self.consensus.needed();
        let mut below = self.votes.iter().filter(|vote| !vote.above).count();
        if below <= forgiven {
            return Some(self);
        }
        while below > forgiven || self.votes.front().is_some_and(|vote| !vote.above) {
            let gone = self.votes.pop_front()?;
            below -= usize::from(!gone.above);
        }
        self.stay = Stay::new(*self.votes.front()?);
        for vote in &self.votes {
            self.stay.grow(vote.captured, vote.probability);
        }
        Some(self)
    }

    pub(super) fn stay(&self) -> &Stay {
        &self.stay
    }

    /// How many of the newest frames are at or above the threshold.
    pub(super) fn agree(&self) -> usize {
        self.votes.iter().filter(|vote| vote.above).count()
    }

    /// Whether the newest frame and enough of those before it are at or above the threshold.
    pub(super) fn is_agreed(&self) -> bool {
        let newest = self.votes.back().is_some_and(|vote| vote.above);
        newest && self.agree() >= self.consensus.needed()
    }
}
