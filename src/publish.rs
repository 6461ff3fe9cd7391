//! The MQTT side of the contract: what is published, when, and in which order.
//!
//! Topics below `<prefix>/<node>`:
//!
//! | topic | payload | retained | QoS |
//! |---|---|---|---|
//! | `available` | `online` / `offline` (also the last will, and while the model's device is gone) | yes | 1 |
//! | `status` | JSON, see [`payload::node_status`] | yes | 1 |
//! | `<camera>/available` | `online` / `offline` | yes | 1 |
//! | `<camera>/status` | JSON, see [`payload::status`] | yes | 1 |
//! | `<camera>/snapshot` | JPEG of the frame that started the newest event | yes | 0 |
//! | `<camera>/<watch>/probabilities` | JSON, see [`payload::probabilities`] | no | 0 |
//! | `<camera>/<watch>/<label>/state` | `ON` / `OFF` | yes | 1 |
//! | `<camera>/<watch>/<label>/attributes` | JSON, see [`payload::attributes`] | yes | 1 |
//! | `<camera>/<watch>/<label>/event` | JSON, see [`payload::event`] | no | 1 |
//! | `<camera>/enabled/state` | `ON` / `OFF` | yes | 1 |
//! | `<camera>/<watch>/<label>/threshold/state` | a number | yes | 1 |
//! | `command`, `<camera>/enabled/set`, `<camera>/<watch>/<label>/threshold/set` | commands that come in | – | 1 |
//! | `reply` | JSON, see [`payload::reply`] | no | 1 |
//!
//! and what Home Assistant is told of them, see [`discovery`].
//!
//! [`run`] owns the [`Outbox`]. An event goes to the [`history`] first, and into the outbox when it is
//! kept there; with a history that does not answer it goes out all the same. What [`snapshots`] makes of
//! the frame that started it is named in it and comes after it. It ends when its input
//! closes: what is left is sent until the grace period is over, then everything goes `offline`, the
//! link is closed, and the history learns what has arrived.

mod desk;
pub mod discovery;
pub mod history;
mod home_assistant;
pub mod mqtt;
pub mod outbox;
pub mod payload;
pub mod snapshots;
pub mod topics;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel as crossbeam;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use self::desk::Desk;
use self::topics::Topics;
use crate::clock::Clock;
use crate::command::{self, Answer};
use crate::model::{CameraId, Event, NodeId, Picture};
use crate::status::Status;
use crate::watch::{Notice, Request};

/// How often a running camera's numbers are published.
const STATUS_EVERY: Duration = Duration::from_secs(30);

/// One message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// QoS 1: [`LinkEvent::Acked`] with `token` follows. Else QoS 0.
    pub confirmed: bool,
    /// The connection it was meant for: a later one must not send it, because everything is
    /// sent afresh then.
    pub connection: u64,
    /// What [`LinkEvent::Acked`] calls it.
    pub token: u64,
}

/// What the link to the broker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Connection number `connection` stands.
    Connected {
        connection: u64,
    },
    Disconnected,
    /// The confirmed message with this token has arrived.
    Acked {
        token: u64,
    },
    /// A message on a topic that was subscribed to.
    Received {
        topic: String,
        payload: Vec<u8>,
        retained: bool,
    },
}

/// What the history is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Keep an event; [`Reply::Kept`] with the same number follows.
    Keep { number: u64, event: Box<Event> },
    /// Note what became of the event in this place.
    Settle { stored: i64, how: Settled },
    /// Note that a broker may keep a value of this topic.
    Topic(String),
    /// Note that no broker does any more.
    NoTopic(String),
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Delivered,
    /// Too many waited.
    Dropped,
}

/// What an earlier life left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Left {
    /// Events that no broker has confirmed, in order, with their places.
    pub events: Vec<(i64, Event)>,
    /// Topics that a broker may keep a value of.
    pub topics: Vec<String>,
    /// Older events that were too many to take over.
    pub dropped: usize,
}

/// What the history says.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The first: what an earlier life left.
    Opened(Left),
    /// Event `number` has been dealt with; `stored` is its place, `None` when it could not be kept.
    Kept { number: u64, stored: Option<i64> },
    /// Events are not kept, for this reason; `None`: they are again.
    Trouble(Option<String>),
}

/// A frame that becomes a JPEG.
#[derive(Debug, Clone)]
pub struct Shot {
    pub camera: CameraId,
    pub picture: Arc<Picture>,
    /// Where it is kept, from the pictures' folder on; `None`: it is not.
    pub file: Option<Arc<str>>,
}

/// What the snapshots' thread says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Developed {
    /// The newest picture of a camera.
    Jpeg { camera: CameraId, jpeg: Vec<u8> },
    /// Pictures are not kept, for this reason; `None`: they are again.
    Trouble(Option<String>),
}

/// The publisher's channel ends and settings.
pub struct Publisher {
    pub inbox: mpsc::Receiver<Notice>,
    pub events: mpsc::Receiver<LinkEvent>,
    pub replies: mpsc::Receiver<Reply>,
    pub developed: mpsc::Receiver<Developed>,
    /// What became of commands.
    pub answers: mpsc::Receiver<Answer>,
    /// How long the end may take for what is left.
    pub grace: Duration,
    pub settings: Settings,
}

/// Whom a publisher tells, and what it needs for that.
pub struct Settings {
    pub link: mpsc::Sender<Message>,
    pub history: mpsc::Sender<Ask>,
    /// To the alert stage.
    pub requests: mpsc::Sender<Request>,
    pub shots: Shots,
    /// Whom commands go to; `None`: none are taken.
    pub commands: Option<mpsc::Sender<command::Request>>,
    pub status: Arc<Status>,
    pub clock: Clock,
    pub node: NodeId,
    pub topics: Topics,
    /// Home Assistant's discovery prefix; empty for none.
    pub discovery: String,
    /// Most events kept while the broker cannot be reached.
    pub capacity: usize,
}

/// What becomes of the frames that start events.
pub struct Shots {
    /// `None`: nothing, neither of what follows.
    pub to: Option<crossbeam::Sender<Shot>>,
    /// They are shown on the cameras' topics.
    pub shown: bool,
    /// They are kept, in files that are named by these clocks.
    pub kept: Option<TimeZone>,
}

/// Events that were not delivered when the publisher ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Undelivered {
    /// In the history: the next start sends them.
    pub kept: usize,
    pub lost: usize,
}

/// The topics to listen on: what Home Assistant says, and commands where they are taken.
pub fn subscriptions(topics: &Topics, discovery: &str, commands: bool) -> Vec<String> {
    let mut filters = home_assistant::subscriptions(discovery);
    if commands {
        filters.extend(topics.commands());
    }
    filters
}

/// Runs until the alert stage has ended and what is left is sent or the grace is over.
pub async fn run(publisher: Publisher) -> Undelivered {
    let Publisher {
        mut inbox,
        mut events,
        mut replies,
        mut answers,
        mut developed,
        grace,
        settings,
    } = publisher;
    let mut desk = Desk::new(settings);
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        desk.send();
        tokio::select! {
            notice = inbox.recv() => match notice {
                Some(notice) => desk.take(notice),
                None => break,
            },
            event = events.recv() => match event {
                Some(event) => desk.link_event(&event),
                // Only a daemon that is going down drops the link first.
                None => return desk.undelivered(),
            },
            Some(reply) = replies.recv() => desk.reply(reply),
            Some(developed) = developed.recv() => desk.developed(developed),
            () = desk.next_picture() => {}
            Some(answer) = answers.recv() => desk.answer(&answer),
            () = desk.overdue() => desk.send_unkept(),
            () = desk.greeting() => desk.say_all(),
            _ = ticks.tick() => desk.refresh_statuses(),
        }
    }
    desk.close(&mut events, &mut replies, Instant::now() + grace).await
}
