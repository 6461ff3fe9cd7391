//! The page, and the HTTP API behind it.
//!
//! Shows what the stages have pinned to the [`Board`](crate::status::board::Board), and asks the [`Backend`]
//! for everything else. [`serve`] runs in a thread of its own with a runtime of its own: no request, however
//! slow or many they are, holds up a frame or an event. It ends when it is told to, and cuts what is still
//! open: nothing of it has to arrive.

mod api;
mod backend;
mod bench;
mod live;
mod page;
mod past;
mod pictures;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

pub use self::backend::{
    Answering, Backend, Compiled, Events, EventsWanted, Moment, Past, PastPoint, PastWanted,
    SearchFound, SearchWanted, Trial, Trouble, TuneWanted,
};
use crate::clock::Clock;
use crate::embeddings::Tally;
use crate::model::NodeId;
use crate::status::Status;

/// What the page is about.
pub struct Web {
    pub node: NodeId,
    pub status: Arc<Status>,
    /// How keeping embeddings goes.
    pub tally: Arc<Tally>,
    pub clock: Clock,
    pub backend: Arc<dyn Backend>,
    /// The broker, as `host:port`.
    pub broker: String,
    /// Whether things may be changed.
    pub commands: bool,
}

/// What every handler gets.
type Shared = Arc<Web>;

/// Everything that can be asked for.
pub fn router(web: Web) -> Router {
    let web = Arc::new(web);
    let (api, document) = OpenApiRouter::new()
        .merge(api::routes())
        .merge(bench::routes())
        .merge(live::routes())
        .merge(past::routes())
        .merge(pictures::routes())
        .split_for_parts();
    let document = Arc::new(document);
    Router::new()
        .merge(api)
        .merge(page::routes())
        .route("/api/openapi.json", get(move || async move { axum::Json((*document).clone()) }))
        .with_state(web)
}

/// Serves until `stop` is over.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    web: Web,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::select! {
        served = axum::serve(listener, router(web)) => served,
        () = stop => Ok(()),
    }
}
