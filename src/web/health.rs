//! Whether it works, for whoever restarts it (`/healthz`) or sends people to it (`/readyz`).
//!
//! Both are open to all, so they name no camera, no address and no file.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::model::ModelState;
use crate::status::board::Camera;

/// The inference loop comes round many times a second; systemd's watchdog waits as long.
const LONGEST_TURN: Duration = Duration::from_secs(30);

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Whether seewhen is alive: the inference loop comes round.
#[utoipa::path(get, path = "/healthz", responses(
    (status = 200, content_type = "text/plain", body = String), (status = 503)))]
async fn healthz(State(web): State<Shared>) -> Response {
    let reason = match web.status.since_turn() {
        Some(since) if since <= LONGEST_TURN => return "ok\n".into_response(),
        Some(since) => format!("the inference loop has not come round for {} s", since.as_secs()),
        None => "the inference loop has not come round yet".to_owned(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": reason }))).into_response()
}

/// What there is to do the work with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// The model runs.
    model: bool,
    /// The broker is connected.
    broker: bool,
    /// Cameras that are switched on, and those of them whose frames flow.
    cameras: usize,
    running: usize,
    /// Why it is not ready.
    reasons: Vec<&'static str>,
}

/// Whether events get from cameras to the broker.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn readyz(State(web): State<Shared>) -> Response {
    let ready = ready(&web);
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready)).into_response()
}

fn ready(web: &Shared) -> Ready {
    let board = web.status.board();
    let (node, state) = board.told();
    let set = board.set();
    let model = set.is_some() && !matches!(state, Some(ModelState::Lost(_)));
    let cameras = board.since(0).cameras;
    let on = cameras.iter().filter(|(id, _)| !set.as_ref().is_some_and(|set| set.is_off(id)));
    let on: Vec<&Camera> = on.map(|(_, camera)| camera).collect();
    let running = on.iter().filter(|camera| runs(camera)).count();
    let reasons = [
        (model, "the model does not run"),
        (node.connected, "the broker is not connected"),
        (on.is_empty() || running > 0, "no camera gives frames"),
    ];
    let reasons: Vec<_> =
        reasons.into_iter().filter(|(right, _)| !right).map(|(_, reason)| reason).collect();
    let (ready, broker) = (reasons.is_empty(), node.connected);
    Ready { ready, model, broker, cameras: on.len(), running, reasons }
}

/// Whether the camera's frames flow.
pub(super) fn runs(camera: &Camera) -> bool {
    camera.life.as_ref().is_some_and(|life| life.available())
}
