//! What a connection tells, in no version's words.

use super::MAX_RECEIVED;

/// What a connection tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Connected {
        /// The largest packet that the broker takes, where it says so.
        most: Option<usize>,
    },
    /// A message went out, with this packet id; 0 when it is not confirmed.
    Sent {
        pkid: u16,
    },
    Acked {
        pkid: u16,
        /// Why the broker does not want it.
        refused: Option<String>,
    },
    Received {
        topic: String,
        payload: Vec<u8>,
        retained: bool,
    },
    TooLarge {
        topic: String,
        size: usize,
    },
    Subscribed {
        /// The filters that the broker refuses, by their number, and why.
        refused: Vec<(usize, String)>,
    },
    /// Our farewell went out.
    Goodbye,
    Other,
}

impl Heard {
    /// A message; what is too large is not copied.
    pub(super) fn message(topic: String, payload: &[u8], retained: bool) -> Self {
        let size = payload.len();
        if size > MAX_RECEIVED {
            return Self::TooLarge { topic, size };
        }
        Self::Received { topic, payload: payload.to_vec(), retained }
    }

    /// The refused ones among what the broker said to each filter.
    pub(super) fn subscribed(answers: impl Iterator<Item = Option<String>>) -> Self {
        let refused = answers.enumerate().filter_map(|(number, why)| Some((number, why?)));
        Self::Subscribed { refused: refused.collect() }
    }
}
