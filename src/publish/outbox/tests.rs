//! The outbox against a broker that comes and goes.

use proptest::prelude::*;

use super::*;
use crate::model::{CameraId, EventKind, LabelId, LabelKey, WallTime, WatchId};

fn event(n: u32) -> Event {
    Event {
        id: n.to_string().into(),
        kind: EventKind::Start,
        key: LabelKey {
            camera: CameraId::try_new("c").unwrap(),
            watch: WatchId::try_new("w").unwrap(),
            label: LabelId::try_new("l").unwrap(),
        },
        start_time: WallTime(0.0),
        end_time: None,
        frame_time: WallTime(0.0),
        probability: 1.0,
        top_probability: 1.0,
        threshold: 0.5,
        probabilities: BTreeMap::new(),
        tile: None,
        model: "m".into(),
    }
}

fn sent(outbox: &mut Outbox) -> Option<String> {
    outbox.next_message().map(|next| match next {
        Next::Retained { topic, payload } => {
            format!("{topic}={}", String::from_utf8_lossy(payload))
        }
        Next::Event { event, queued } => {
            format!("{}{}", event.id, if queued { " queued" } else { "" })
        }
    })
}

#[test]
fn one_message_at_a_time_states_before_events() {
    let mut outbox = Outbox::new(10);
    outbox.push(event(1));
    outbox.retain("t".into(), "ON");
    assert_eq!(sent(&mut outbox), None, "nobody is there");
    outbox.connected();
    outbox.push(event(2));
    assert_eq!(sent(&mut outbox).unwrap(), "t=ON");
    assert_eq!(sent(&mut outbox), None, "one in flight");
    outbox.acked();
    assert_eq!(sent(&mut outbox).unwrap(), "1 queued");
    outbox.acked();
    assert_eq!(sent(&mut outbox).unwrap(), "2");
    assert!(!outbox.is_empty());
    outbox.acked();
    assert!(outbox.is_empty());
}

#[test]
fn an_unacknowledged_event_is_sent_again() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    outbox.push(event(1));
    assert_eq!(sent(&mut outbox).unwrap(), "1");
    outbox.disconnected();
    outbox.connected();
    assert_eq!(sent(&mut outbox).unwrap(), "1 queued");
}

#[test]
fn a_state_that_changes_in_flight_is_sent_again() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    outbox.retain("t".into(), "ON");
    assert_eq!(sent(&mut outbox).unwrap(), "t=ON");
    outbox.retain("t".into(), "OFF");
    outbox.acked();
    assert_eq!(sent(&mut outbox).unwrap(), "t=OFF");
    outbox.acked();
    outbox.retain("t".into(), "OFF");
    assert!(outbox.is_empty(), "the same value is not news");
}

#[test]
fn a_cleared_topic_is_forgotten_once_the_broker_knows() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    outbox.retain("t".into(), "");
    assert_eq!(sent(&mut outbox).unwrap(), "t=");
    outbox.acked();
    outbox.disconnected();
    outbox.connected();
    assert_eq!(sent(&mut outbox), None);
}

#[test]
fn a_full_outbox_drops_its_oldest_but_never_the_one_in_flight() {
    let mut outbox = Outbox::new(2);
    assert!(!outbox.push(event(1)));
    assert!(!outbox.push(event(2)));
    assert!(outbox.push(event(3)));
    outbox.connected();
    assert_eq!(sent(&mut outbox).unwrap(), "2 queued");
    assert!(outbox.push(event(4)));
    outbox.acked();
    assert_eq!(sent(&mut outbox).unwrap(), "4");
    assert_eq!((outbox.dropped(), outbox.waiting()), (2, 1));
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    Retain(u8, u8),
    Send,
    Ack,
    Lose,
    Connect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Push),
        3 => (0_u8..3, 0_u8..3).prop_map(|(topic, value)| Step::Retain(topic, value)),
        5 => Just(Step::Send),
        5 => Just(Step::Ack),
        1 => Just(Step::Lose),
        2 => Just(Step::Connect),
    ];
    prop::collection::vec(step, 0..200)
}

/// A broker that keeps retained values and the events it heard.
#[derive(Default)]
struct Broker {
    retained: BTreeMap<String, Vec<u8>>,
    events: Vec<u32>,
    unacked: bool,
}

impl Broker {
    fn hear(&mut self, outbox: &mut Outbox) -> bool {
        match outbox.next_message() {
            None => return false,
            Some(Next::Retained { topic, payload }) => {
                self.retained.insert(topic.to_owned(), payload.to_vec());
            }
            Some(Next::Event { event, .. }) => self.events.push(event.id.parse().unwrap()),
        }
        self.unacked = true;
        true
    }
}

proptest! {
    /// However connections break: every event arrives, first copies in order, and the broker
    /// ends up with the newest value of every topic.
    #[test]
    fn nothing_is_lost(steps in steps()) {
        let mut outbox = Outbox::new(1000);
        let mut broker = Broker::default();
        let mut wanted: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut pushed = 0;
        for step in steps {
            match step {
                Step::Push => { outbox.push(event(pushed)); pushed += 1; }
                Step::Retain(topic, value) => {
                    wanted.insert(topic.to_string(), vec![value + 1]);
                    outbox.retain(topic.to_string(), vec![value + 1]);
                }
                Step::Send => { broker.hear(&mut outbox); }
                Step::Ack => if std::mem::take(&mut broker.unacked) { drop(outbox.acked()); },
                Step::Lose => { outbox.disconnected(); broker.unacked = false; }
                Step::Connect => if !outbox.is_connected() { outbox.connected() },
            }
        }
        outbox.disconnected();
        outbox.connected();
        while broker.hear(&mut outbox) { outbox.acked(); }
        prop_assert!(outbox.is_empty());
        prop_assert_eq!(broker.retained, wanted);
        let mut first_copies: Vec<u32> = Vec::new();
        for n in broker.events {
            if !first_copies.contains(&n) { first_copies.push(n) }
        }
        prop_assert_eq!(first_copies, (0..pushed).collect::<Vec<_>>());
    }
}
