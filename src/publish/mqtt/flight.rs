//! Which message an acknowledgement is for. Pure.
//!
//! rumqttc gives a message its packet id when it sends it, in the order in which messages were
//! requested: the ids come back to the tokens by that order.

use std::collections::{BTreeMap, VecDeque};

/// A message that must arrive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Confirmed {
    pub(super) token: u64,
    pub(super) topic: String,
}

/// The confirmed messages of one connection.
#[derive(Debug, Default)]
pub(super) struct Flight {
    requested: VecDeque<Confirmed>,
    sent: BTreeMap<u16, Confirmed>,
    /// The largest packet that the broker takes, where it says so.
    pub(super) most: Option<usize>,
}

impl Flight {
    /// Goes to rumqttc now.
    pub(super) fn requested(&mut self, token: u64, topic: &str) {
        self.requested.push_back(Confirmed { token, topic: topic.to_owned() });
    }

    /// A message went out; those that are not confirmed have no id.
    pub(super) fn sent(&mut self, pkid: u16) {
        if pkid == 0 {
            return;
        }
        if let Some(confirmed) = self.requested.pop_front() {
            self.sent.insert(pkid, confirmed);
        }
    }

    /// The broker has it.
    pub(super) fn acked(&mut self, pkid: u16) -> Option<Confirmed> {
        self.sent.remove(&pkid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_to_tokens_in_any_order() {
        let mut flight = Flight::default();
        for token in [70, 71, 72] {
            flight.requested(token, "t");
        }
        for pkid in [1, 0, 2, 0, 3] {
            flight.sent(pkid);
        }
        let mut acked = |pkid| flight.acked(pkid).map(|confirmed| confirmed.token);
        assert_eq!((acked(2), acked(3), acked(1)), (Some(71), Some(72), Some(70)));
        assert_eq!((acked(1), acked(9)), (None, None), "twice, or never sent");
        // Ids are used again.
        flight.requested(73, "t");
        flight.sent(1);
        assert_eq!(flight.acked(1), Some(Confirmed { token: 73, topic: "t".into() }));
    }
}
