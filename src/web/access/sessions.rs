//! Who is logged in: in memory, so a restart logs everyone out. Pure: time and random bytes come in.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::model::Moment;

/// A session ends so long after the login,
pub(super) const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// or when it was not used for so long.
const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// With more than these the one that was not used for longest ends.
const MOST: usize = 100;

/// Only hashes of ids are kept: what leaks from memory opens nothing.
type Hash = [u8; 32];

#[derive(Debug, Clone, Copy)]
struct Session {
    began: Moment,
    used: Moment,
}

impl Session {
    fn holds(&self, now: Moment) -> bool {
        now.since(self.began) < LONGEST && now.since(self.used) < IDLE
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<Hash, Session>);

impl Sessions {
    /// A new session; gives what the cookie holds: `id` in hexadecimal digits.
    pub(super) fn begin(&mut self, id: [u8; 32], now: Moment) -> String {
        self.0.retain(|_, session| session.holds(now));
        if self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, session)| session.used);
            let oldest = oldest.map(|(hash, _)| *hash);
            oldest.and_then(|hash| self.0.remove(&hash));
        }
        let cookie: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.insert(hash(&cookie), Session { began: now, used: now });
        cookie
    }

    /// Whether the cookie is one of a session that holds; that it was used counts.
    pub(super) fn uses(&mut self, cookie: &str, now: Moment) -> bool {
        let Some(session) = self.0.get_mut(&hash(cookie)) else { return false };
        let holds = session.holds(now);
        if holds {
            session.used = now;
        }
        holds
    }

    pub(super) fn end(&mut self, cookie: &str) {
        self.0.remove(&hash(cookie));
    }
}

/// A lookup by hash tells nothing of ids by the time it takes.
fn hash(cookie: &str) -> Hash {
    Sha256::digest(cookie.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn day(days: u64) -> Moment {
        Moment(Duration::from_secs(days * DAY))
    }

    #[test]
    fn a_session_ends_by_itself() {
        let mut sessions = Sessions::default();
        let cookie = sessions.begin([7; 32], day(0));
        assert_eq!(cookie.len(), 64);
        for days in [1, 6, 12, 18, 24, 29] {
            assert!(sessions.uses(&cookie, day(days)), "used often enough: {days}");
        }
        assert!(!sessions.uses(&cookie, day(30)), "too old");
        let idle = sessions.begin([8; 32], day(30));
        assert!(!sessions.uses(&idle, day(37)), "not used");
        assert!(!sessions.uses("", day(37)) && !sessions.uses(&cookie[..63], day(37)));
    }

    #[test]
    fn logging_out_ends_it() {
        let mut sessions = Sessions::default();
        let (one, other) = (sessions.begin([1; 32], day(0)), sessions.begin([2; 32], day(0)));
        sessions.end(&one);
        assert!(!sessions.uses(&one, day(0)) && sessions.uses(&other, day(0)));
    }

    #[test]
    fn there_are_only_so_many() {
        let mut sessions = Sessions::default();
        let id = |n: u16| std::array::from_fn(|place| n.to_be_bytes()[place % 2]);
        let first = sessions.begin(id(0), day(0));
        for n in 1..1000 {
            sessions.begin(id(n), day(1));
            assert!(sessions.0.len() <= MOST);
        }
        assert!(!sessions.uses(&first, day(1)), "the one that was not used for longest");
    }
}
