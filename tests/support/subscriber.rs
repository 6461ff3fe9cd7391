//! What mosquitto_sub, an independent subscriber, has heard.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Process, publish, schema, wait_for};

/// What is published here tells a subscriber that it has heard what came before.
pub(super) const FENCE: &str = "fence";

/// One message as an independent subscriber saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub time: f64,
    pub retained: bool,
    pub topic: String,
    pub payload: String,
}

impl Heard {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.topic, self.payload))
    }
}

/// The oldest that a camera's newest analysed frame became, in seconds: from when it was captured
/// until the next one was heard of, or until `end`. Endless when there was none.
pub fn worst_age(probabilities: &[Heard], end: f64) -> f64 {
    let captured = |heard: &Heard| heard.json()["time"].as_f64().unwrap();
    let ages = probabilities.windows(2).map(|two| two[1].time - captured(&two[0]));
    let last = probabilities.last().map_or(f64::INFINITY, |last| end - captured(last));
    ages.fold(last, f64::max)
}

/// mosquitto_sub on everything below `seewhen/`. What it hears is checked against its schema.
pub struct Subscriber {
    process: Process,
    port: u16,
    /// How many lines have been checked.
    checked: AtomicUsize,
}

impl Subscriber {
    /// From here on it misses nothing.
    pub(super) fn new(process: Process, port: u16) -> Self {
        let subscriber = Self { process, port, checked: AtomicUsize::new(0) };
        subscriber.catch_up();
        subscriber
    }

    #[track_caller]
    pub fn heard(&self) -> Vec<Heard> {
        let parse = |line: &String| {
            let mut parts = line.splitn(4, ' ');
            Some(Heard {
                time: parts.next()?.parse().ok()?,
                retained: parts.next()? == "1",
                topic: parts.next()?.to_owned(),
                payload: parts.next().unwrap_or_default().to_owned(),
            })
        };
        let ended = self.process.ended();
        assert!(ended.is_none(), "mosquitto_sub ended: {ended:?}");
        let mut heard: Vec<Heard> = self.process.lines().iter().filter_map(parse).collect();
        heard.retain(|heard| heard.topic != FENCE);
        let checked = self.checked.swap(heard.len(), Ordering::Relaxed);
        for Heard { topic, payload, .. } in heard.iter().skip(checked) {
            schema::check_message(topic, payload);
        }
        heard
    }

    /// Waits until it has heard all that the broker has been sent: for a test that looks once, or
    /// that expects nothing.
    #[track_caller]
    pub fn catch_up(&self) -> &Self {
        let fence = fastrand::u64(..).to_string();
        let passed = || self.process.lines().iter().any(|line| line.ends_with(&fence));
        wait_for("what the broker has been sent", Duration::from_secs(20), || {
            // Again: one that is not connected yet hears nothing.
            publish(self.port, FENCE, fence.as_bytes(), false);
            let end = Instant::now() + Duration::from_millis(200);
            while !passed() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
            passed().then_some(())
        });
        self
    }

    /// All messages so far on topics that end with `end`.
    pub fn on(&self, end: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| heard.topic.ends_with(end)).collect()
    }

    /// Waits for a message on a topic that ends with `end` and fulfils `wanted`.
    #[track_caller]
    pub fn expect(&self, end: &str, limit: Duration, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let what = format!("a message on …{end}");
        wait_for(&what, limit, || self.on(end).into_iter().find(|heard| wanted(heard)))
    }
}
