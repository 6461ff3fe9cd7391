//! A running publisher between a test's channels, without a broker and without a history.
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]
#![allow(dead_code, unreachable_pub, reason = "a part of each test binary that names it")]

use std::sync::Arc;
use std::time::Duration;

use seewhen::clock::Clock;
use seewhen::model::NodeId;
use seewhen::publish::topics::Topics;
use seewhen::publish::{self, Developed, LinkEvent, Message, Publisher, Settings, Shots};
use seewhen::status::Status;
use seewhen::watch::{Notice, Request};
use tokio::sync::mpsc;

/// A connected one of node "gate": what it sends, and where it hears what became of that.
pub async fn start(
    inbox: mpsc::Receiver<Notice>,
    clock: Clock,
    grace: Duration,
) -> (mpsc::Receiver<Message>, mpsc::Sender<LinkEvent>) {
    // Nobody is asked.
    start_asked(inbox, clock, grace, mpsc::channel(1).0).await
}

/// The same, with somebody who is told and asked.
pub async fn start_asked(
    inbox: mpsc::Receiver<Notice>,
    clock: Clock,
    grace: Duration,
    requests: mpsc::Sender<Request>,
) -> (mpsc::Receiver<Message>, mpsc::Sender<LinkEvent>) {
    let (_, developed) = mpsc::channel(1);
    let shots = Shots { to: None, shown: false, kept: None };
    start_with(inbox, clock, grace, (requests, shots, developed)).await
}

/// The same with pictures.
pub async fn start_with(
    inbox: mpsc::Receiver<Notice>,
    clock: Clock,
    grace: Duration,
    (requests, shots, developed): (mpsc::Sender<Request>, Shots, mpsc::Receiver<Developed>),
) -> (mpsc::Receiver<Message>, mpsc::Sender<LinkEvent>) {
    let (link, messages) = mpsc::channel(16);
    let (to_publisher, events) = mpsc::channel(16);
    // A history that has nothing and has ended: events go out all the same.
    let (history, _) = mpsc::channel(1);
    let (_, replies) = mpsc::channel(1);
    let (_, answers) = mpsc::channel(1);
    let node = NodeId::try_new("gate").unwrap();
    let settings = Settings {
        link,
        history,
        requests,
        shots,
        commands: None,
        status: Arc::new(Status::default()),
        clock,
        topics: Topics::new("seewhen", &node),
        node,
        discovery: String::new(),
        capacity: 10,
    };
    tokio::spawn(publish::run(Publisher {
        inbox,
        events,
        replies,
        answers,
        developed,
        grace,
        settings,
    }));
    to_publisher.send(LinkEvent::Connected { connection: 1 }).await.unwrap();
    (messages, to_publisher)
}
