//! What may be wrong with what a camera shows.

use super::WallTime;

/// What is wrong with what a camera shows. The words are those of `P/<camera>/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// There is nothing in the picture: it is black, or something is in front of the lens.
    Covered,
    /// Nothing can be told apart: too much light, or no sharp edge.
    Blinded,
    /// The very same picture comes again and again.
    Frozen,
    /// It lastingly shows another view than usual.
    Moved,
}

impl ProblemKind {
    pub const ALL: [Self; 4] = [Self::Covered, Self::Blinded, Self::Frozen, Self::Moved];

    pub fn word(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Blinded => "blinded",
            Self::Frozen => "frozen",
            Self::Moved => "moved",
        }
    }
}

/// What decides what a camera can show, as a digest: where it comes from, and which part of it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown(pub u64);

/// Why what a camera shows is not to be trusted. While it lasts, it stays the same in every frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// For people: "the picture is black".
    pub reason: &'static str,
    /// The first frame of which that is true.
    pub since: WallTime,
}
