//! What is said of a label that is seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LabelId, LabelKey, Probability, Region, WallTime};

/// Where in its stay an event message stands. The words are those of payloads and the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Start,
    Update,
    End,
}

impl EventKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::End => "end",
        }
    }
}

/// The stays of a label that its cooldown kept from becoming events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suppressed {
    pub count: u64,
    /// The highest probability in any of them.
    pub top_probability: Probability,
    /// First frame of the first at or above the threshold.
    pub first: WallTime,
    /// Last frame of the last that had not cleared.
    pub last: WallTime,
}

/// One message about one stay of a label above its threshold. All messages of a stay share `id`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: Arc<str>,
    pub kind: EventKind,
    pub key: LabelKey,
    /// First frame at or above the threshold (the start of the hold).
    pub start_time: WallTime,
    /// Last frame in which the label had not cleared; `None` while the event is open.
    pub end_time: Option<WallTime>,
    /// The frame that caused this message.
    pub frame_time: WallTime,
    /// Probability in that frame.
    pub probability: Probability,
    /// Highest probability of the stay so far.
    pub top_probability: Probability,
    pub threshold: Probability,
    /// All labels of the watch in that frame.
    pub probabilities: BTreeMap<LabelId, Probability>,
    /// Where in that frame the label was seen best, when it was cut into tiles.
    pub tile: Option<Region>,
    pub model: Arc<str>,
    /// What the cooldown before this stay kept back.
    pub suppressed: Option<Suppressed>,
    /// The picture of the frame that started the event: its file, where pictures are kept.
    pub snapshot: Option<Arc<str>>,
}

impl Event {
    /// Whether a frame caused this message. What ends because its camera's frames have stopped, or seewhen
    /// stops, bears the time of the last one.
    pub fn is_a_frames(&self) -> bool {
        self.end_time != Some(self.frame_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CameraId, WatchId};

    #[test]
    fn an_end_without_a_frame_bears_the_last_ones_time() {
        let key = LabelKey {
            camera: CameraId::try_new("c").unwrap(),
            watch: WatchId::try_new("w").unwrap(),
            label: LabelId::try_new("l").unwrap(),
        };
        let event = |kind, end_time: Option<f64>| Event {
            id: "1".into(),
            kind,
            key: key.clone(),
            start_time: WallTime(1.0),
            end_time: end_time.map(WallTime),
            frame_time: WallTime(4.0),
            probability: 0.5,
            top_probability: 0.9,
            threshold: 0.8,
            probabilities: BTreeMap::new(),
            tile: None,
            model: "mini".into(),
            suppressed: None,
            snapshot: None,
        };
        assert!(event(EventKind::Start, None).is_a_frames());
        assert!(event(EventKind::Update, None).is_a_frames());
        assert!(event(EventKind::End, Some(3.0)).is_a_frames());
        assert!(!event(EventKind::End, Some(4.0)).is_a_frames());
    }
}
