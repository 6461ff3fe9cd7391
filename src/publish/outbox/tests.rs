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
        suppressed: None,
        snapshot: None,
    }
}

fn push(outbox: &mut Outbox, n: u32) -> Option<Waiting> {
    outbox.push(u64::from(n), event(n), None)
}

/// What is sent next, and its token.
fn next(outbox: &mut Outbox) -> Option<(u64, String)> {
    outbox.next_message().map(|next| match next {
        Next::Retained { token, topic, payload } => {
            (token, format!("{topic}={}", String::from_utf8_lossy(payload)))
        }
        Next::Event { token, event, queued } => {
            (token, format!("{}{}", event.id, if queued { " queued" } else { "" }))
        }
    })
}

fn sent(outbox: &mut Outbox) -> Option<String> {
    next(outbox).map(|(_, text)| text)
}

/// Sends the next message, which has to be `wanted`, and confirms it.
#[track_caller]
fn deliver(outbox: &mut Outbox, wanted: &str) -> Option<Arrived> {
    let (token, text) = next(outbox).unwrap();
    assert_eq!(text, wanted);
    outbox.acked(token)
}

#[test]
fn states_go_before_late_events_and_a_cameras_events_one_by_one() {
    let mut outbox = Outbox::new(10);
    push(&mut outbox, 1);
    outbox.retain("t".into(), "ON");
    assert_eq!(sent(&mut outbox), None, "nobody is there");
    outbox.connected();
    push(&mut outbox, 2);
    let (state, text) = next(&mut outbox).unwrap();
    assert_eq!(text, "t=ON");
    let (first, text) = next(&mut outbox).unwrap();
    assert_eq!(text, "1 queued", "an event does not wait for the state before it");
    assert_eq!(sent(&mut outbox), None, "its camera has one in flight");
    assert_eq!(outbox.acked(state), None);
    assert_eq!(sent(&mut outbox), None);
    outbox.acked(first).unwrap();
    deliver(&mut outbox, "2").unwrap();
    assert!(outbox.is_empty());
}

#[test]
fn an_event_that_happens_goes_before_its_state() {
    let mut outbox = Outbox::new(10);
    push(&mut outbox, 1);
    outbox.connected();
    outbox.retain("t".into(), "ON");
    let mut other = event(2);
    other.key.camera = CameraId::try_new("d").unwrap();
    outbox.push(2, other, None);
    let order: Vec<String> = std::iter::from_fn(|| sent(&mut outbox)).collect();
    assert_eq!(order, ["2", "t=ON", "1 queued"], "a late one waits for the states");
}

#[test]
fn cameras_do_not_wait_for_each_other() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    for (n, camera) in ["c", "c", "d", "e"].into_iter().enumerate() {
        let mut event = event(n as u32);
        event.key.camera = CameraId::try_new(camera).unwrap();
        outbox.push(n as u64, event, Some(n as i64));
    }
    let tokens: Vec<(u64, String)> = std::iter::from_fn(|| next(&mut outbox)).collect();
    let texts: Vec<&str> = tokens.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["0", "2", "3"]);
    let Some(Arrived::Event(waiting)) = outbox.acked(tokens[1].0) else { panic!("an event") };
    assert_eq!((waiting.stored, waiting.queued), (Some(2), false));
    assert_eq!(sent(&mut outbox), None, "the other one of c still waits");
    outbox.acked(tokens[0].0).unwrap();
    assert_eq!(sent(&mut outbox).unwrap(), "1");
}

#[test]
fn no_more_are_in_flight_than_the_link_has_places_for() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    for n in 0..40 {
        outbox.retain(format!("t{n:02}"), "x");
    }
    let sent = std::iter::from_fn(|| next(&mut outbox)).count();
    assert_eq!(sent, usize::from(IN_FLIGHT));
}

#[test]
fn an_unacknowledged_event_is_sent_again() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    push(&mut outbox, 1);
    let (old, _) = next(&mut outbox).unwrap();
    outbox.disconnected();
    outbox.connected();
    let (new, text) = next(&mut outbox).unwrap();
    assert_eq!(text, "1 queued");
    assert_eq!(outbox.acked(old), None, "that was another connection");
    assert!(outbox.acked(new).is_some());
}

#[test]
fn what_the_history_takes_later_is_known_by_its_number() {
    let mut outbox = Outbox::new(10);
    push(&mut outbox, 7);
    assert_eq!(outbox.unstored(), 1);
    assert!(outbox.stored(7, 70));
    assert!(!outbox.stored(8, 80));
    assert_eq!((outbox.unstored(), outbox.waiting()), (0, 1));
}

#[test]
fn a_state_that_changes_in_flight_is_sent_again() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    outbox.retain("t".into(), "ON");
    let (token, _) = next(&mut outbox).unwrap();
    outbox.retain("t".into(), "OFF");
    assert_eq!(sent(&mut outbox), None, "two values of one topic could change places");
    outbox.acked(token);
    deliver(&mut outbox, "t=OFF");
    outbox.retain("t".into(), "OFF");
    assert!(outbox.is_empty(), "the same value is not news");
}

#[test]
fn a_cleared_topic_is_forgotten_once_the_broker_knows() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    outbox.retain("t".into(), "");
    assert_eq!(deliver(&mut outbox, "t="), Some(Arrived::Cleared("t".into())));
    outbox.disconnected();
    outbox.connected();
    assert_eq!(sent(&mut outbox), None);
}

#[test]
fn a_full_outbox_drops_its_oldest_but_never_the_one_in_flight() {
    let mut outbox = Outbox::new(2);
    assert_eq!(push(&mut outbox, 1), None);
    assert_eq!(push(&mut outbox, 2), None);
    assert_eq!(push(&mut outbox, 3).unwrap().number, 1);
    outbox.connected();
    let (token, text) = next(&mut outbox).unwrap();
    assert_eq!(text, "2 queued");
    assert_eq!(push(&mut outbox, 4).unwrap().number, 3);
    outbox.acked(token);
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
    unacked: VecDeque<u64>,
}

impl Broker {
    fn hear(&mut self, outbox: &mut Outbox) -> bool {
        match outbox.next_message() {
            None => return false,
            Some(Next::Retained { token, topic, payload }) => {
                self.retained.insert(topic, payload.to_vec());
                self.unacked.push_back(token);
            }
            Some(Next::Event { token, event, .. }) => {
                self.events.push(event.id.parse().unwrap());
                self.unacked.push_back(token);
            }
        }
        true
    }

    fn ack(&mut self, outbox: &mut Outbox) {
        if let Some(token) = self.unacked.pop_front() {
            outbox.acked(token);
        }
    }
}

proptest! {
    /// However connections break: every event arrives, first copies of each camera in order, and
    /// the broker ends up with the newest value of every topic.
    #[test]
    fn nothing_is_lost(steps in steps()) {
        let cameras = ["a", "b"].map(|id| CameraId::try_new(id).unwrap());
        let mut outbox = Outbox::new(1000);
        let mut broker = Broker::default();
        let mut wanted: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut pushed = 0;
        for step in steps {
            match step {
                Step::Push => {
                    let mut event = event(pushed);
                    event.key.camera = cameras[pushed as usize % 2].clone();
                    outbox.push(u64::from(pushed), event, None);
                    pushed += 1;
                }
                Step::Retain(topic, value) => {
                    wanted.insert(topic.to_string(), vec![value + 1]);
                    outbox.retain(topic.to_string(), vec![value + 1]);
                }
                Step::Send => { broker.hear(&mut outbox); }
                Step::Ack => broker.ack(&mut outbox),
                Step::Lose => { outbox.disconnected(); broker.unacked.clear(); }
                Step::Connect => if !outbox.is_connected() { outbox.connected(); },
            }
        }
        outbox.disconnected();
        outbox.connected();
        broker.unacked.clear();
        while !outbox.is_empty() {
            while broker.hear(&mut outbox) {}
            broker.ack(&mut outbox);
        }
        prop_assert!(outbox.is_empty());
        prop_assert_eq!(broker.retained, wanted);
        let mut first_copies: Vec<u32> = Vec::new();
        for n in broker.events {
            if !first_copies.contains(&n) { first_copies.push(n) }
        }
        for camera in 0..2 {
            let copies: Vec<u32> = first_copies.iter().copied().filter(|n| n % 2 == camera).collect();
            prop_assert_eq!(copies, (camera..pushed).step_by(2).collect::<Vec<_>>());
        }
    }
}

/// What is sent of pictures, one after the other.
fn pictures(outbox: &mut Outbox) -> Vec<String> {
    let mut next = || {
        let (topic, jpeg) = outbox.next_picture()?;
        Some(format!("{topic}={}", String::from_utf8_lossy(jpeg)))
    };
    std::iter::from_fn(&mut next).collect()
}

#[test]
fn of_pictures_the_newest_goes_when_nothing_else_has_to() {
    let mut outbox = Outbox::new(10);
    outbox.show("p".into(), b"old".to_vec());
    outbox.show("p".into(), b"new".to_vec());
    assert!(pictures(&mut outbox).is_empty(), "nobody is there");
    outbox.connected();
    push(&mut outbox, 1);
    push(&mut outbox, 2);
    outbox.retain("t".into(), "ON");
    assert!(pictures(&mut outbox).is_empty());
    let (first, text) = next(&mut outbox).unwrap();
    assert_eq!(text, "1");
    assert!(pictures(&mut outbox).is_empty(), "a state waits");
    deliver(&mut outbox, "t=ON");
    assert!(pictures(&mut outbox).is_empty(), "the second waits for the first");
    outbox.acked(first).unwrap();
    assert!(pictures(&mut outbox).is_empty(), "it has not been sent yet");
    assert_eq!(sent(&mut outbox).unwrap(), "2");
    assert_eq!(pictures(&mut outbox), ["p=new"], "an event on its way is no event that waits");
    assert!(pictures(&mut outbox).is_empty(), "once");
}

#[test]
fn a_picture_that_no_connection_survives_is_left() {
    let mut outbox = Outbox::new(10);
    outbox.show("p".into(), b"large".to_vec());
    outbox.show("q".into(), b"x".to_vec());
    for _ in 0..2 {
        assert!(outbox.connected().is_empty());
        assert_eq!(pictures(&mut outbox), ["p=large", "q=x"]);
        outbox.disconnected();
    }
    assert_eq!(outbox.connected(), [("p".to_owned(), 5), ("q".to_owned(), 1)]);
    assert!(pictures(&mut outbox).is_empty());
    outbox.show("q".into(), b"y".to_vec());
    outbox.retain("t".into(), "1");
    let (before, _) = next(&mut outbox).unwrap();
    assert_eq!(pictures(&mut outbox), ["q=y"]);
    outbox.acked(before);
    outbox.disconnected();
    outbox.connected();
    deliver(&mut outbox, "t=1");
    assert_eq!(pictures(&mut outbox), ["q=y"], "what was sent before it proves nothing");
    outbox.retain("t".into(), "2");
    deliver(&mut outbox, "t=2");
    for _ in 0..2 {
        outbox.disconnected();
        assert!(outbox.connected().iter().all(|(topic, _)| topic == "p"));
        deliver(&mut outbox, "t=2");
        assert_eq!(pictures(&mut outbox), ["q=y"], "it had arrived: what was sent after it has");
    }
}

#[test]
fn a_picture_is_cleared_and_comes_back() {
    let mut outbox = Outbox::new(10);
    outbox.connected();
    outbox.show("p".into(), b"1".to_vec());
    outbox.hide("p".into());
    assert!(!outbox.shows("p") && pictures(&mut outbox).is_empty());
    outbox.show("p".into(), b"2".to_vec());
    assert_eq!(sent(&mut outbox), None, "the clearing would come after the picture");
    assert_eq!(pictures(&mut outbox), ["p=2"]);
    outbox.hide("p".into());
    let (clear, text) = next(&mut outbox).unwrap();
    assert_eq!(text, "p=");
    outbox.show("p".into(), b"3".to_vec());
    assert_eq!(outbox.acked(clear), None, "there is a picture again");
    assert_eq!(pictures(&mut outbox), ["p=3"]);
    outbox.hide("p".into());
    assert_eq!(deliver(&mut outbox, "p="), Some(Arrived::Cleared("p".into())));
}
