//! The page, and the HTTP API behind it.
//!
//! Shows what the stages have pinned to the [`Board`](crate::status::board::Board), and asks the [`Backend`]
//! for everything else. [`serve`] runs in a thread of its own with a runtime of its own: no request, however
//! slow or many they are, holds up a frame or an event. It ends when it is told to, and cuts what is still
//! open: nothing of it has to arrive.

mod access;
mod api;
mod backend;
mod bench;
mod document;
mod health;
mod live;
mod metrics;
mod page;
mod past;
mod pictures;
mod server;
pub mod taught;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;

pub use self::access::Access;
pub use self::backend::{
    Answering, Backend, Compiled, Events, EventsWanted, Moment, Past, PastPoint, PastWanted,
    SearchFound, SearchWanted, Trial, Trouble, TuneWanted,
};
pub use self::server::{Security, security};
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
    pub access: Access,
}

/// What every handler gets.
type Shared = Arc<Web>;

/// Everything that can be asked for.
pub fn router(web: Web) -> Router {
    let web = Arc::new(web);
    // All that tells or changes something.
    let (guarded, described) = OpenApiRouter::new()
        .merge(api::routes())
        .merge(live::routes().route_layer(from_fn_with_state(web.clone(), access::streams)))
        .merge(bench::routes())
        .merge(past::routes())
        .merge(taught::routes())
        .merge(pictures::routes())
        .merge(metrics::routes())
        .split_for_parts();
    // What somebody needs who is not let in yet, and the page's files, which anyone may have.
    let (open, more) =
        OpenApiRouter::new().merge(access::routes()).merge(health::routes()).split_for_parts();
    let document = Arc::new(document::complete(described, more));
    let guarded = guarded
        .route("/api/openapi.json", get(move || async move { axum::Json((*document).clone()) }))
        .route_layer(from_fn_with_state(web.clone(), access::guard));
    Router::new()
        .merge(guarded)
        .merge(open)
        .merge(page::routes())
        .layer(from_fn_with_state(web.clone(), access::door))
        .with_state(web)
}

/// Serves until `stop` is over; encrypted where there is `security`, new connections by the newest.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    security: watch::Receiver<Security>,
    web: Web,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    server::serve(listener, security, router(web), stop).await;
    Ok(())
}
