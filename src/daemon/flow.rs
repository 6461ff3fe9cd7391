//! The whole flow of a node: makes every channel, starts every stage, and stops them in order.
//!
//! | link | capacity | when full |
//! |---|---|---|
//! | capture → infer | mailbox, 1 per camera | newest replaces, counted |
//! | infer → prepare and back | 1 each | never is: one batch at most is on its way |
//! | capture, infer → alert | 64 | wait |
//! | alert → publish | 256 | wait: the publisher always takes in |
//! | publish → history | 1024 | events go out before they are kept |
//! | history → publish | 1024 | wait |
//! | publish → snapshots | 32 | the event goes without a picture, counted and logged |
//! | snapshots → publish | 4 | wait: the publisher always takes in |
//! | publish → link | 32 | probabilities dropped; places are kept for what must arrive |
//! | infer → embeddings | 256, 32 with pictures | the frame is not kept, counted |
//! | infer → views | 64 | with the camera's next look; at the stop: wait |
//! | link → publish | 32 | wait; what was subscribed to is dropped, counted |
//! | publish, daemon → alert | 64 | a cooldown counts from its event's end; who asks is told to ask again |
//! | publish → daemon, commands | 32 | refused as a flood |
//! | daemon → publish, answers | 32 | wait: the publisher always takes in |
//! | daemon → infer, alert | 1 (`watch`) | newest wins |

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::cameras::{Cameras, Ends};
use super::worker::Worker;
use crate::alert::{self, Alerts};
use crate::backoff::Backoff;
use crate::capture::gstreamer::Pace;
use crate::clock::Clock;
use crate::command::{self, Answer};
use crate::config::Config;
use crate::infer::engine::Engine;
use crate::infer::{self, Inference, Keeping, Remembering};
use crate::mailbox::{WhenFull, mailbox};
use crate::model::{LabelKey, WallTime};
use crate::publish::history::{self, History, Limits};
use crate::publish::mqtt::{self, Access, Link};
use crate::publish::snapshots::{self, Snapshots};
use crate::publish::topics::Topics;
use crate::publish::{
    self, Ask, Developed, LinkEvent, Message, Publisher, Reply, Shots, Undelivered,
};
use crate::status::Status;
use crate::watch::explanation::{Explanation, Unknown};
use crate::watch::{Notice, Request, WatchSet};

/// What the publisher may take of the stop's deadline to send what is left.
const GRACE: Duration = Duration::from_secs(5);

/// The parts that every flow has, whoever is told at its end.
pub(super) struct Stages {
    pub(super) cameras: Cameras,
    pub(super) infer: Worker,
    pub(super) alert: JoinHandle<()>,
    pub(super) sets: watch::Sender<Arc<WatchSet>>,
}

/// How the stages run.
pub(super) struct Settings {
    pub(super) engine: Engine,
    pub(super) set: Arc<WatchSet>,
    pub(super) status: Arc<Status>,
    pub(super) keeping: Option<Keeping>,
    pub(super) remembering: Option<Remembering>,
    pub(super) max_wait: Duration,
    pub(super) pace: Pace,
}

/// Starts inference and alerting; cameras are added to [`Stages::cameras`].
pub(super) fn start_stages(
    settings: Settings,
    notices: mpsc::Sender<Notice>,
    requests: mpsc::Receiver<Request>,
    earlier: Vec<(LabelKey, WallTime)>,
) -> anyhow::Result<Stages> {
    let clock = Clock::start();
    let live = settings.pace == Pace::Live;
    let (frames, received) = mailbox(if live { WhenFull::Replace } else { WhenFull::Wait });
    let (changes, observations) = mpsc::channel(64);
    let (sets, newest) = watch::channel(settings.set.clone());
    let inference = Inference {
        frames: received,
        engine: settings.engine,
        sets: newest.clone(),
        out: changes.clone(),
        status: settings.status.clone(),
        keeping: settings.keeping,
        remembering: settings.remembering,
        max_wait: settings.max_wait,
        clock: live.then_some(clock),
    };
    let infer = Worker::start("infer".to_owned(), move || infer::run(inference))?;
    let alerts = Alerts {
        inbox: observations,
        sets: newest,
        out: notices,
        requests,
        earlier,
        clock: live.then_some(clock),
    };
    let ends = Ends { frames, changes, status: settings.status, clock, pace: settings.pace };
    Ok(Stages { cameras: Cameras::new(ends), infer, alert: tokio::spawn(alert::run(alerts)), sets })
}

/// A node's running flow, from cameras to broker.
pub(super) struct Flow {
    pub(super) stages: Stages,
    /// Commands for the daemon.
    pub(super) orders: mpsc::Receiver<command::Request>,
    answers: mpsc::Sender<Answer>,
    /// To the rules.
    requests: mpsc::Sender<Request>,
    publisher: JoinHandle<Undelivered>,
    history: Worker,
    /// `None` when no pictures are made.
    snapshots: Option<Worker>,
    link: JoinHandle<()>,
    /// What the next connection to the broker is made with.
    access: watch::Sender<Access>,
}

impl Flow {
    pub(super) fn start(config: &Config, settings: Settings) -> anyhow::Result<Self> {
        let status = settings.status.clone();
        let (notices, inbox) = mpsc::channel(256);
        let (requests, requested) = mpsc::channel(64);
        let earlier = earlier(config, &settings.set);
        let mut stages = start_stages(settings, notices, requested, earlier)?;
        let (to_link, messages) = mpsc::channel(32);
        let (from_link, events) = mpsc::channel(32);
        let (asks, asked) = mpsc::channel(1024);
        let (kept, replies) = mpsc::channel(1024);
        let (to_daemon, orders) = mpsc::channel(32);
        let (to_publisher, answered) = mpsc::channel(32);
        let commands = config.commands.enabled.then_some(to_daemon);
        let topics = Topics::new(&config.mqtt.prefix, &config.node);
        let (access, in_force) = watch::channel(access(config)?);
        let link = link(config, &topics, (messages, from_link), in_force, &status);
        let clock = Clock::start();
        let history = start_history(config, asked, kept, clock)?;
        let (developing, developed) = mpsc::channel(4);
        let (shots, snapshots) = start_snapshots(config, developing)?;
        let publisher = Publisher {
            inbox,
            events,
            replies,
            developed,
            answers: answered,
            grace: GRACE,
            settings: publish::Settings {
                link: to_link,
                history: asks,
                requests: requests.clone(),
                shots,
                commands,
                status,
                clock,
                node: config.node.clone(),
                topics,
                discovery: config.mqtt.discovery.clone(),
                capacity: config.mqtt.outbox,
            },
        };
        for camera in &config.cameras {
            stages.cameras.start(camera)?;
        }
        Ok(Self {
            stages,
            orders,
            answers: to_publisher,
            requests,
            publisher: tokio::spawn(publish::run(publisher)),
            history,
            snapshots,
            link: tokio::spawn(mqtt::run(link)),
            access,
        })
    }

    /// The next connection to the broker is made with this.
    pub(super) fn renew(&self, access: Access) {
        let _old: Access = self.access.send_replace(access);
    }

    /// Tells what became of a command.
    pub(super) async fn answer(&self, answer: Answer) {
        if self.answers.send(answer).await.is_err() {
            tracing::debug!("nobody listens to answers any more");
        }
    }

    /// Asks the rules why a label is on or off; `None` when they have too much to do.
    pub(super) fn explain(
        &self,
        key: LabelKey,
    ) -> Option<oneshot::Receiver<Result<Explanation, Unknown>>> {
        let (tell, told) = oneshot::channel();
        let answer = Box::new(move |explanation| {
            if tell.send(explanation).is_err() {
                tracing::debug!("an explanation came too late");
            }
        });
        self.requests.try_send(Request::Explain { key, answer }).ok()?;
        Some(told)
    }

    /// Stops the cameras and waits for every later stage to end because its input closed.
    /// Returns the names of what was not done by the deadline.
    pub(super) async fn stop(self, deadline: Instant) -> Vec<String> {
        let Self { stages, publisher, history, snapshots, link, .. } = self;
        let Stages { cameras, mut infer, alert, sets } = stages;
        let mut stragglers = cameras.stop_all(deadline).await;
        drop(sets);
        if tokio::time::timeout_at(deadline, infer.ended()).await.is_err() {
            stragglers.push(infer.name().to_owned());
        }
        if tokio::time::timeout_at(deadline, alert).await.is_err() {
            stragglers.push("alert".to_owned());
        }
        match tokio::time::timeout_at(deadline, publisher).await {
            Ok(Ok(Undelivered { kept, lost })) => {
                if kept > 0 {
                    tracing::info!(kept, "events that no broker took wait for the next start");
                }
                if lost > 0 {
                    tracing::warn!(lost, "events that no broker took are lost");
                }
            }
            Ok(Err(_)) | Err(_) => stragglers.push("publish".to_owned()),
        }
        for mut worker in [Some(history), snapshots].into_iter().flatten() {
            if tokio::time::timeout_at(deadline, worker.ended()).await.is_err() {
                stragglers.push(worker.name().to_owned());
            }
        }
        if tokio::time::timeout_at(deadline, link).await.is_err() {
            stragglers.push("mqtt".to_owned());
        }
        stragglers
    }
}

fn start_history(
    config: &Config,
    inbox: mpsc::Receiver<Ask>,
    out: mpsc::Sender<Reply>,
    clock: Clock,
) -> anyhow::Result<Worker> {
    let history = History {
        file: history_file(config),
        limits: Limits {
            keep: config.history.keep,
            size: config.history.max_size as u64 * 1024 * 1024,
        },
        capacity: config.mqtt.outbox,
        inbox,
        out,
        clock,
    };
    Worker::start("history".to_owned(), move || history::run(history))
}

fn link(
    config: &Config,
    topics: &Topics,
    (messages, events): (mpsc::Receiver<Message>, mpsc::Sender<LinkEvent>),
    access: watch::Receiver<Access>,
    status: &Arc<Status>,
) -> Link {
    Link {
        access,
        client_id: format!("seewhen-{}", config.node),
        will_topic: Some(topics.available()),
        subscriptions: publish::subscriptions(
            topics,
            &config.mqtt.discovery,
            config.commands.enabled,
        ),
        messages,
        events,
        backoff: Backoff::default(),
        status: status.clone(),
    }
}

/// What connections to the broker are made with.
pub(super) fn access(config: &Config) -> anyhow::Result<Access> {
    mqtt::access(&config.mqtt.broker).context("TLS for the broker")
}

/// One for each node: two that run beside each other do not send each other's events.
pub(super) fn history_file(config: &Config) -> Option<PathBuf> {
    let folder = config.history.dir.as_ref()?;
    Some(folder.join(format!("history-{}.sqlite", config.node)))
}

/// When labels with a cooldown were last told of, as far as it may still hold.
fn earlier(config: &Config, set: &WatchSet) -> Vec<(LabelKey, WallTime)> {
    let longest = set.told().map(|(_, rule)| rule.cooldown).max().unwrap_or_default();
    let Some(file) = history_file(config).filter(|_| !longest.is_zero()) else {
        return Vec::new();
    };
    let since = WallTime(Clock::start().wall().0 - longest.as_secs_f64());
    history::newest(&file, since).unwrap_or_else(|reason| {
        tracing::warn!(reason, "cooldowns begin anew");
        Vec::new()
    })
}

/// What the publisher needs for pictures, and the thread that makes them where there are to be any.
fn start_snapshots(
    config: &Config,
    out: mpsc::Sender<Developed>,
) -> anyhow::Result<(Shots, Option<Worker>)> {
    let wanted = &config.snapshots;
    let kept = wanted.dir.is_some().then(|| wanted.zone.clone());
    if !wanted.topic && kept.is_none() {
        return Ok((Shots { to: None, shown: false, kept }, None));
    }
    // Frames are large: this is about 50 MB of 1080p cameras.
    let (to, inbox) = crossbeam_channel::bounded(32);
    let snapshots = Snapshots {
        inbox,
        out,
        shown: wanted.topic,
        folder: wanted.dir.clone(),
        node: config.node.clone(),
        limits: snapshots::Limits { keep: wanted.keep, size: wanted.max_size as u64 * 1024 * 1024 },
        // 1 to 100, as the configuration has checked.
        quality: u8::try_from(wanted.quality).unwrap_or(100),
    };
    let worker = Worker::start("snapshots".to_owned(), move || snapshots::run(snapshots))?;
    Ok((Shots { to: Some(to), shown: wanted.topic, kept }, Some(worker)))
}
