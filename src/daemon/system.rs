//! The world around the process: signals in, systemd's notifications out.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior};

use crate::status::Status;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Stop,
    Reload,
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Requests to reload, from now on.
pub(super) async fn hangup() -> anyhow::Result<Signal> {
    Ok(signal(SignalKind::hangup())?)
}

impl Signals {
    /// Requests to stop end the process until then: a start may take long.
    pub(super) fn listen(hangup: Signal) -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    /// From now on a second request to stop ends the process at once.
    pub(super) fn exit_on_another(mut self) {
        tokio::spawn(async move {
            while self.next().await != Wish::Stop {}
            tracing::warn!("told twice to stop: exiting at once");
            std::process::exit(1);
        });
    }
}

/// Tells systemd that the inference loop comes round, and only then.
pub(super) struct Watchdog {
    ticks: Option<Interval>,
    turns: u64,
}

impl Watchdog {
    pub(super) fn from_systemd() -> Self {
        Self { ticks: sd_notify::watchdog_enabled().map(|limit| interval(limit / 3)), turns: 0 }
    }

    pub(super) async fn due(&mut self) {
        match &mut self.ticks {
            Some(ticks) => {
                ticks.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    pub(super) fn pat(&mut self, status: &Status) {
        let turns = status.worker_turns();
        if turns != self.turns {
            self.turns = turns;
            notify(&[NotifyState::Watchdog]);
        }
    }
}

pub(super) fn interval(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Tells systemd, when there is one.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
