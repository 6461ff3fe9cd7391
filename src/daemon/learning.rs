//! A running node learns: what is taught by command, and what another process has put on the shelf.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::commands::refuse;
use super::teach::{self, Teaching};
use super::{Node, lessons};
use crate::command::{Done, Refusal, TaughtCounts};
use crate::config::Config;
use crate::model::{LabelId, WatchId};
use crate::taught::shelf::Shelf;
use crate::watch::WatchSet;

/// How often the shelf is looked at: one question to the file system.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A change this young may be followed by another with the same time stamp.
const YOUNG: Duration = Duration::from_millis(50);

/// What is known of the shelf.
pub(super) struct Learning {
    shelf: Option<Shelf>,
    /// Its stamp when it was last read.
    read: Option<SystemTime>,
}

impl Learning {
    /// Before the first reading.
    pub(super) fn start(config: &Config) -> Self {
        let shelf = lessons::shelf(config);
        let read = shelf.as_ref().and_then(Shelf::stamp);
        Self { shelf, read }
    }

    /// Whether lessons have changed since they were read.
    fn is_behind(&self) -> Option<SystemTime> {
        let stamp = self.shelf.as_ref()?.stamp()?;
        let old = SystemTime::now().duration_since(stamp).map_or(true, |age| age > YOUNG);
        (old && self.read != Some(stamp)).then_some(stamp)
    }
}

impl Node {
    /// Takes over what another process has taught.
    pub(super) async fn look_for_lessons(&mut self) {
        let Some(stamp) = self.learning.is_behind() else { return };
        // Before it is read: what changes meanwhile is seen the next time.
        self.learning.read = Some(stamp);
        match self.learn().await {
            Ok(()) => tracing::info!("lessons were changed by another process, and are in force"),
            Err(error) => tracing::error!("lessons were changed, and cannot be used: {error:#}"),
        }
    }

    /// Compiles the watches anew, and swaps them in.
    async fn learn(&mut self) -> anyhow::Result<()> {
        let set = self.compile(&self.config).await?;
        self.flow.stages.sets.send_replace(set);
        Ok(())
    }

    pub(super) async fn teach(&mut self, teaching: Teaching) -> Result<Done, Refusal> {
        let (config, model, set) = (self.config.clone(), self.model.clone(), self.set());
        let told =
            tokio::task::spawn_blocking(move || teach::teach(&config, &model, &set, &teaching));
        let told = told.await.context("teaching panicked").and_then(|told| told);
        let told = told.map_err(|error| refuse(format!("{error:#}")))?;
        let counts = counts(told.change.added, told.yes, told.no);
        self.in_force(told.notes(), counts).await
    }

    pub(super) async fn undo_teach(
        &mut self,
        watch: &WatchId,
        label: &LabelId,
    ) -> Result<Done, Refusal> {
        let (config, watch, label) = (self.config.clone(), watch.clone(), label.clone());
        let undone = tokio::task::spawn_blocking(move || teach::undo(&config, &watch, &label));
        let undone = undone.await.context("teaching panicked").and_then(|undone| undone);
        let (went, (yes, no)) = undone.map_err(|error| refuse(format!("{error:#}")))?;
        let examples = if went == 1 { "example is" } else { "examples are" };
        self.in_force(vec![format!("{went} {examples} taken back")], counts(0, yes, no)).await
    }

    /// The lesson is kept; now it comes into force.
    async fn in_force(
        &mut self,
        notes: Vec<String>,
        taught: TaughtCounts,
    ) -> Result<Done, Refusal> {
        self.learning.read = self.learning.shelf.as_ref().and_then(Shelf::stamp);
        let learnt = self.learn().await;
        learnt.map_err(|error| refuse(format!("it is kept, and not in force: {error:#}")))?;
        Ok(Done { persisted: Some(true), notes, explanation: None, taught: Some(Box::new(taught)) })
    }

    fn set(&self) -> Arc<WatchSet> {
        self.flow.stages.sets.borrow().clone()
    }
}

/// A lesson has some thousands of examples at most.
fn counts(added: usize, yes: usize, no: usize) -> TaughtCounts {
    let few = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    TaughtCounts { added: few(added), yes: few(yes), no: few(no) }
}
