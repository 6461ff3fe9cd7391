//! Promise: the link tells every confirmed message apart, in both versions of MQTT, hands on what
//! comes in, and is held up by nothing. A real mosquitto.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use seewhen::backoff::Backoff;
use seewhen::config::{Broker as Address, MqttVersion};
use seewhen::publish::mqtt::{self, Link};
use seewhen::publish::{LinkEvent, Message};
use seewhen::status::Status;
use support::{Broker, Seewhen};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

struct Running {
    messages: mpsc::Sender<Message>,
    events: mpsc::Receiver<LinkEvent>,
    status: Arc<Status>,
    link: JoinHandle<()>,
}

impl Running {
    /// A link that is connected and listens to `filter`.
    async fn to(port: u16, version: MqttVersion, filter: &str, room: usize) -> Self {
        let (messages, inbox) = mpsc::channel(64);
        let (out, events) = mpsc::channel(room);
        let (host, status) = ("127.0.0.1".to_owned(), Arc::<Status>::default());
        let broker = Address { host, port, version, tls: None, user: None, password: None };
        let link = Link {
            access: watch::channel(mqtt::access(&broker).unwrap()).1,
            client_id: format!("link-{version:?}"),
            will_topic: Some(format!("seewhen/{version:?}/gone")),
            subscriptions: vec![filter.to_owned()],
            messages: inbox,
            events: out,
            backoff: Backoff::default(),
            status: status.clone(),
        };
        let link = tokio::spawn(mqtt::run(link));
        let mut running = Self { messages, events, status, link };
        assert_eq!(running.event().await, LinkEvent::Connected { connection: 1 });
        running
    }

    async fn event(&mut self) -> LinkEvent {
        tokio::time::timeout(SOON, self.events.recv()).await.expect("an event").unwrap()
    }

    async fn end(self) {
        drop(self.messages);
        tokio::time::timeout(SOON, self.link).await.expect("an end").unwrap();
    }
}

const VERSIONS: [MqttVersion; 2] = [MqttVersion::V3, MqttVersion::V5];

fn message(token: u64, topic: &str, payload: &[u8], confirmed: bool) -> Message {
    let (topic, payload) = (topic.to_owned(), payload.to_owned());
    Message { topic, payload, retain: false, confirmed, connection: 1, token }
}

#[tokio::test]
async fn tokens_come_back_in_order_among_messages_without() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut link = Running::to(broker.port, version, "nothing", 16).await;
        let sent: Vec<u64> = (1000..1200).collect();
        let messages = link.messages.clone();
        let send = async {
            for token in &sent {
                messages.send(message(0, "beside", b"x", false)).await.unwrap();
                messages.send(message(*token, "told", b"x", true)).await.unwrap();
            }
        };
        let hear = async {
            let mut acked = Vec::new();
            while acked.len() < sent.len() {
                match link.event().await {
                    LinkEvent::Acked { token } => acked.push(token),
                    other => panic!("{other:?}"),
                }
            }
            acked
        };
        let ((), acked) = tokio::join!(send, hear);
        assert_eq!(acked, sent);
        drop(messages);
        link.end().await;
    }
}

#[tokio::test]
async fn what_comes_in_is_handed_on_unless_it_is_too_large() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut link = Running::to(broker.port, version, "told/+", 16).await;
        let large = vec![b'x'; 64 * 1024 + 1];
        for (token, payload) in [(1, &large[..]), (2, &large[1..]), (3, b"short")] {
            link.messages.send(message(token, "told/me", payload, true)).await.unwrap();
        }
        let (mut received, mut acked) = (Vec::new(), 0);
        while received.len() < 2 || acked < 3 {
            match link.event().await {
                LinkEvent::Acked { .. } => acked += 1,
                LinkEvent::Received { topic, payload, retained } => {
                    assert_eq!((topic.as_str(), retained), ("told/me", false));
                    received.push(payload.len());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(received, [64 * 1024, 5]);
        assert_eq!(link.status.messages_ignored(), 1);
        link.end().await;
    }
}

/// Retained messages are there at once, and say that they are; nobody takes them here.
#[tokio::test]
async fn a_flood_is_counted_and_holds_nothing_up() {
    let broker = Broker::start();
    for version in VERSIONS {
        let mut filler = Running::to(broker.port, version, "nothing", 64).await;
        for number in 0..50 {
            let mut kept = message(number, &format!("kept/{number}"), b"x", true);
            kept.retain = true;
            filler.messages.send(kept).await.unwrap();
        }
        for _ in 0..50 {
            filler.event().await;
        }
        filler.end().await;
        // The place of the channel is Connected's until it is taken.
        let mut link = Running::to(broker.port, version, "kept/#", 1).await;
        let counted = async {
            while link.status.messages_ignored() < 49 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, counted).await.expect("49 that nobody takes");
        while let Ok(event) = link.events.try_recv() {
            assert!(matches!(event, LinkEvent::Received { retained: true, .. }), "{event:?}");
        }
        link.messages.send(message(7, "told", b"x", true)).await.unwrap();
        assert_eq!(link.event().await, LinkEvent::Acked { token: 7 });
        link.end().await;
    }
}

/// MQTT 5 says no; 3.1.1 cannot. Either way the next message is not held up.
#[tokio::test]
async fn a_message_that_the_broker_refuses_counts_as_arrived() {
    let port = support::free_port();
    let broker = Broker::start_with(|folder| {
        let rules = folder.join("acl");
        std::fs::write(&rules, "topic readwrite told/#\n").unwrap();
        format!("listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {}\n", rules.display())
    });
    for version in VERSIONS {
        let mut link = Running::to(port, version, "told/#", 64).await;
        for token in 1..=40 {
            let topic = if token % 2 == 0 { "told/me" } else { "forbidden" };
            link.messages.send(message(token, topic, b"x", true)).await.unwrap();
        }
        let mut acked = Vec::new();
        while acked.len() < 40 {
            if let LinkEvent::Acked { token } = link.event().await {
                acked.push(token);
            }
        }
        assert_eq!(acked, (1..=40).collect::<Vec<u64>>());
        link.end().await;
    }
    drop(broker);
}

/// So does one that is larger than the broker takes: it would end every connection.
#[tokio::test]
async fn a_message_that_is_larger_than_the_broker_takes_is_not_sent() {
    let broker = Broker::start_with(|_| "max_packet_size 2000\n".to_owned());
    let mut link = Running::to(broker.port, MqttVersion::V5, "nothing", 64).await;
    for (token, size) in [(1, 10), (2, 4000), (3, 1900)] {
        link.messages.send(message(token, "told", &vec![b'x'; size], true)).await.unwrap();
    }
    let mut acked = Vec::new();
    while acked.len() < 3 {
        match link.event().await {
            LinkEvent::Acked { token } => acked.push(token),
            other => panic!("{other:?}"),
        }
    }
    acked.sort_unstable();
    assert_eq!(acked, [1, 2, 3]);
    link.end().await;
}

#[tokio::test]
async fn a_lost_broker_is_found_again() {
    let mut broker = Broker::start();
    for version in VERSIONS {
        let mut link = Running::to(broker.port, version, "told/#", 16).await;
        broker.stop();
        assert_eq!(link.event().await, LinkEvent::Disconnected);
        broker.restart();
        let connection = loop {
            if let LinkEvent::Connected { connection } = link.event().await {
                break connection;
            }
        };
        let mut told = message(9, "told/me", b"again", true);
        told.connection = connection;
        link.messages.send(told).await.unwrap();
        let (mut acked, mut received) = (false, false);
        while !(acked && received) {
            match link.event().await {
                LinkEvent::Acked { token: 9 } => acked = true,
                LinkEvent::Received { payload, .. } if payload == b"again" => received = true,
                other => panic!("{other:?}"),
            }
        }
        link.end().await;
    }
}

#[tokio::test]
async fn the_last_will_is_for_those_who_do_not_say_goodbye() {
    let broker = Broker::start();
    let subscriber = broker.subscribe();
    for version in VERSIONS {
        let topic = format!("{version:?}/gone");
        Running::to(broker.port, version, "nothing", 16).await.end().await;
        let link = Running::to(broker.port, version, "nothing", 16).await;
        assert_eq!(subscriber.catch_up().on(&topic), [], "a goodbye was said");
        link.link.abort();
        assert!(link.link.await.is_err());
        subscriber.expect(&topic, SOON, |heard| heard.payload == "offline");
        assert!(broker.subscribe().expect(&topic, SOON, |_| true).retained);
    }
}

#[test]
fn the_log_names_what_the_broker_refuses() {
    let port = support::free_port();
    let broker = Broker::start_with(|folder| {
        let rules = folder.join("acl");
        let allowed =
            "topic readwrite seewhen/test/available\ntopic readwrite seewhen/test/+/status\n";
        std::fs::write(&rules, allowed).unwrap();
        format!("listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {}\n", rules.display())
    });
    let subscriber = broker.subscribe();
    let watch = "[[watch]]\nid = \"room\"\nlabel = [{ id = \"bars\", prompts = [\"colour bars\"] }, \
                 { id = \"rest\", prompts = [\"a street\"] }]\n";
    let config = support::picture(port).replace("[mqtt]", "[mqtt]\nversion = \"5\"") + watch;
    let seewhen = Seewhen::start(&config);
    seewhen.expect_log("the broker refuses a message", SOON);
    let refused = "topic=\"seewhen/test/picture/available\" reason=\"NotAuthorized\"";
    seewhen.expect_log(refused, SOON);
    subscriber.expect("picture/status", SOON, |heard| heard.payload.contains("running"));
}
