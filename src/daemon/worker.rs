//! Named threads whose end can be awaited.

use std::io;
use std::thread::{Builder, JoinHandle};

use anyhow::Context as _;
use tokio::sync::oneshot;

/// A running thread.
#[derive(Debug)]
pub(super) struct Worker {
    name: String,
    /// Closes when the thread's work is over, also by a panic.
    done: oneshot::Receiver<()>,
    handle: JoinHandle<()>,
}

impl Worker {
    /// Starts `work` in a thread of this name, inside a log span of the same name.
    pub(super) fn start(
        name: String,
        work: impl FnOnce() + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (open, done) = oneshot::channel::<()>();
        let span = tracing::info_span!("thread", name);
        let body = move || {
            let _inside = span.entered();
            work();
            drop(open);
        };
        let handle = spawn(&name, body).with_context(|| format!("cannot start thread {name}"))?;
        Ok(Self { name, done, handle })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the thread's end. May be dropped and called again.
    pub(super) async fn ended(&mut self) {
        // Closed without a value is the normal end; both mean that the work is over.
        let _closed: Result<(), oneshot::error::RecvError> = (&mut self.done).await;
    }

    /// Collects a thread that has [`ended`](Self::ended).
    pub(super) fn join(self) -> bool {
        self.handle.join().is_ok()
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(body)
}
