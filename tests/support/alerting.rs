//! A running alert stage between a test's channels, in its first life.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]

use std::sync::Arc;

use seewhen::alert::{self, Alerts};
use seewhen::clock::Clock;
use seewhen::watch::{Notice, Observation, Request, WatchSet};
use tokio::sync::{mpsc, watch};

/// Where its observations go in, and its notices come out. `clock`: `None` for the media's own time.
pub fn start(
    set: Arc<WatchSet>,
    clock: Option<Clock>,
) -> (mpsc::Sender<Observation>, mpsc::Receiver<Notice>) {
    // Nobody asks.
    start_asked(set, clock, mpsc::channel(1).1)
}

/// The same, with somebody who tells and asks it something.
pub fn start_asked(
    set: Arc<WatchSet>,
    clock: Option<Clock>,
    requests: mpsc::Receiver<Request>,
) -> (mpsc::Sender<Observation>, mpsc::Receiver<Notice>) {
    let (observe, inbox) = mpsc::channel(64);
    let (out, notices) = mpsc::channel(64);
    let (_, sets) = watch::channel(set);
    tokio::spawn(alert::run(Alerts { inbox, sets, out, requests, earlier: Vec::new(), clock }));
    (observe, notices)
}
