//! A finding that counts once it has lasted, and is over once it has been gone for a while. Pure.

use std::time::Duration;

use crate::model::{Captured, Moment, Problem, ProblemKind};

/// What a finding says, and in which words.
pub(super) type Finding = (ProblemKind, &'static str);

/// How long a finding must hold, or be gone, and in how many frames on end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting {
    pub(super) time: Duration,
    pub(super) frames: u32,
}

/// Frames on end of which one thing is true.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: Captured,
    frames: u32,
}

impl Run {
    /// One frame more.
    pub(super) fn on(run: &mut Option<Self>, captured: Captured) -> Self {
        let run = run.get_or_insert(Self { first: captured, frames: 0 });
        run.frames = run.frames.saturating_add(1);
        *run
    }

    pub(super) fn lasts(self, now: Moment, wanted: Lasting) -> bool {
        self.frames >= wanted.frames && now.since(self.first.at) >= wanted.time
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spell {
    with: Option<Run>,
    without: Option<Run>,
    said: Option<Problem>,
}

impl Spell {
    pub(super) fn said(&self) -> Option<Problem> {
        self.said
    }

    /// What is said after a frame with or without a finding.
    pub(super) fn look(
        &mut self,
        captured: Captured,
        finding: Option<Finding>,
        (begin, end): (Lasting, Lasting),
    ) -> Option<Problem> {
        match finding {
            Some((kind, reason)) => {
                self.without = None;
                let run = Run::on(&mut self.with, captured);
                if self.said.is_none() && run.lasts(captured.at, begin) {
                    self.said = Some(Problem { kind, reason, since: run.first.time });
                }
            }
            None => {
                self.with = None;
                if Run::on(&mut self.without, captured).lasts(captured.at, end) {
                    self.said = None;
                }
            }
        }
        self.said
    }
}
