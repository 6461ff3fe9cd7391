//! The page: its thread, and what it asks of the rest.

mod past;
mod prompts;
mod taught;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use self::past::Memory;
use self::prompts::Tryout;
use super::flow::history_file;
use super::model::Model;
use super::worker::Worker;
use crate::clock::Clock;
use crate::command::intake::Intake;
use crate::command::{Answer, Outcome, Request};
use crate::config::Config;
use crate::embeddings::Tally;
use crate::model::{CameraId, LabelKey};
use crate::publish::history::{self, Wanted};
use crate::status::Status;
use crate::web::taught::Report;
use crate::web::{
    self, Access, Answering, Backend, Compiled, Events, EventsWanted, Past, PastWanted,
    SearchFound, SearchWanted, Trial, Trouble, TuneWanted, Web,
};

/// Looks into the past at once: each reads gigabytes, and frames are analysed meanwhile.
const MOST_LOOKS: usize = 2;
/// For a command: the text model may have to be loaded.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command from the page, and where its answer goes.
pub(super) struct Order {
    pub(super) request: Request,
    pub(super) tell: oneshot::Sender<Answer>,
}

/// The running page.
pub(super) struct Site {
    /// Dropping it ends the page.
    stop: oneshot::Sender<()>,
    worker: Worker,
    desk: Arc<Desk>,
    security: watch::Sender<web::Security>,
}

impl Site {
    /// Takes note of the configuration that holds now.
    pub(super) fn renew(&self, config: &Config) {
        *self.desk.config() = Arc::new(config.clone());
    }

    /// New connections are encrypted in this way.
    pub(super) fn secure(&self, security: web::Security) {
        let _old: web::Security = self.security.send_replace(security);
    }

    /// Lets go of what has not been needed for a while.
    pub(super) fn tidy(&self) {
        self.desk.tryout.tidy();
    }

    /// Gives the name of the thread when it has not ended by the deadline.
    pub(super) async fn stop(mut self, deadline: Instant) -> Option<String> {
        drop(self.stop);
        let ended = tokio::time::timeout_at(deadline, self.worker.ended()).await;
        ended.is_err().then(|| self.worker.name().to_owned())
    }
}

/// Starts the page, where there is to be one. An address that cannot be had costs the page alone.
pub(super) fn start(
    config: &Config,
    model: &Arc<Model>,
    status: &Arc<Status>,
    tally: &Arc<Tally>,
    orders: mpsc::Sender<Order>,
) -> anyhow::Result<Option<Site>> {
    let Some(address) = config.web.listen else { return Ok(None) };
    let clock = Clock::start();
    let desk = Arc::new(Desk {
        orders,
        config: Mutex::new(Arc::new(config.clone())),
        model: model.clone(),
        tryout: Arc::new(Tryout::new(model.clone(), status.clone())),
        memory: Memory::new(config, model).map(Arc::new),
        looks: Arc::new(Semaphore::new(MOST_LOOKS)),
        clock,
        intake: Mutex::default(),
        history: history_file(config),
        snapshots: config.snapshots.dir.clone(),
    });
    let broker = &config.mqtt.broker;
    let web = Web {
        node: config.node.clone(),
        status: status.clone(),
        tally: tally.clone(),
        clock,
        backend: desk.clone(),
        broker: format!("{}:{}", broker.host, broker.port),
        commands: config.commands.enabled,
        access: Access::new(&config.web),
    };
    let (security, in_force) = watch::channel(security(config)?);
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = Worker::start("web".to_owned(), move || {
        let stopped = async {
            // Dropped is the only thing that happens to it.
            let _closed: Result<(), oneshot::error::RecvError> = stopped.await;
        };
        if let Err(error) = runtime.block_on(web::serve(address, in_force, web, stopped)) {
            tracing::error!(%address, %error, "the page cannot be served; set web.listen");
        }
        // What still runs beside is nobody's any more.
        runtime.shutdown_background();
    })?;
    Ok(Some(Site { stop, worker, desk, security }))
}

/// How the page is encrypted.
pub(super) fn security(config: &Config) -> anyhow::Result<web::Security> {
    web::security(config.web.tls.as_ref()).context("web.cert")
}

/// What the page asks of the rest.
struct Desk {
    orders: mpsc::Sender<Order>,
    /// What holds now.
    config: Mutex<Arc<Config>>,
    model: Arc<Model>,
    tryout: Arc<Tryout>,
    /// `None` when no embeddings are kept.
    memory: Option<Arc<Memory>>,
    looks: Arc<Semaphore>,
    clock: Clock,
    intake: Mutex<Intake>,
    history: Option<PathBuf>,
    snapshots: Option<PathBuf>,
}

impl Backend for Desk {
    fn command(&self, request: Request) -> Answering<Answer> {
        let tag = request.tag.clone();
        let mut intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = intake.admits(self.clock.now());
        drop(intake);
        let (tell, told) = oneshot::channel();
        let sent = admitted && self.orders.try_send(Order { request, tell }).is_ok();
        Box::pin(async move {
            if !sent {
                let reason = "too many commands; send them more slowly";
                return Ok(Answer::refuse(tag, Outcome::Flooding, reason));
            }
            match tokio::time::timeout(PATIENCE, told).await {
                Ok(Ok(answer)) => Ok(answer),
                _ => Err(Trouble::Busy("no answer: seewhen is busy, or stops".to_owned())),
            }
        })
    }

    fn compile(&self, trial: Trial) -> Answering<Compiled> {
        let tryout = self.tryout.clone();
        beside(move || tryout.compile(&trial))
    }

    fn events(&self, wanted: EventsWanted) -> Answering<Events> {
        let Some(file) = self.history.clone() else {
            let reason = "there is no history: history.dir is empty in the configuration";
            return Box::pin(async move { Err(Trouble::NotFound(reason.to_owned())) });
        };
        let EventsWanted { before, camera, watch, label, limit } = wanted;
        let wanted = Wanted { before, camera, watch, label, limit };
        beside(move || {
            let history::Past { events, more } =
                history::past(&file, &wanted).map_err(Trouble::Failed)?;
            Ok(Events { events, more })
        })
    }

    fn beside(&self, work: Box<dyn FnOnce() -> bool + Send>) -> Answering<bool> {
        beside(move || Ok(work()))
    }

    fn search(&self, wanted: SearchWanted) -> Answering<SearchFound> {
        let tryout = self.tryout.clone();
        self.look(move |memory| memory.search(&tryout, &wanted))
    }

    fn past(&self, wanted: PastWanted) -> Answering<Past> {
        self.look(move |memory| memory.past(&wanted))
    }

    fn tune(&self, wanted: TuneWanted) -> Answering<Value> {
        let tryout = self.tryout.clone();
        self.look(move |memory| {
            let set = tryout.set()?;
            memory.tune(&set, &wanted)
        })
    }

    fn taught(&self, key: LabelKey) -> Answering<Report> {
        let (config, model) = (self.config().clone(), self.model.clone());
        let tryout = self.tryout.clone();
        // Lessons are there without a history too.
        self.in_turn(move || taught::report(&config, &model, &*tryout.set()?, &key))
    }

    fn thumbnail(&self, camera: CameraId, time: f64) -> Answering<Vec<u8>> {
        let memory = self.memory();
        beside(move || memory?.thumbnail(&camera, time))
    }

    fn snapshot(&self, file: String) -> Answering<Vec<u8>> {
        let folder = self.snapshots.clone();
        beside(move || {
            let none = || Trouble::NotFound(format!("there is no picture {file}"));
            let folder = folder.ok_or_else(none)?;
            std::fs::read(folder.join(&file)).map_err(|_| none())
        })
    }
}

impl Desk {
    /// Looks into the past, after those who came before.
    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Memory) -> Result<T, Trouble> + Send + 'static,
    ) -> Answering<T> {
        match self.memory() {
            Ok(memory) => self.in_turn(move || look(&memory)),
            Err(trouble) => Box::pin(async move { Err(trouble) }),
        }
    }

    /// Does what reads much of a disk, after those who came before.
    fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
    ) -> Answering<T> {
        let looks = self.looks.clone();
        Box::pin(async move {
            let place = looks.acquire_owned().await;
            let place = place.map_err(|error| Trouble::Failed(error.to_string()))?;
            beside(move || {
                let found = work();
                drop(place);
                found
            })
            .await
        })
    }

    fn config(&self) -> MutexGuard<'_, Arc<Config>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> Result<Arc<Memory>, Trouble> {
        self.memory.clone().ok_or_else(|| {
            Trouble::NotFound("no embeddings are kept: embeddings.dir is empty".to_owned())
        })
    }
}

/// Does what waits for a disk, or computes long, in a thread beside those that serve.
fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Answering<T> {
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(Trouble::Failed(error.to_string())))
    })
}
