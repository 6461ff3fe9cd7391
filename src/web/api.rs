//! What is known, and commands: JSON.
#![allow(unused_qualifications, reason = "in what utoipa makes of params(...)")]

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::backend::EventsWanted;
use super::{Shared, Trouble, views};
use crate::command::{self, Answer, Outcome};
use crate::model::{CameraId, LabelId, WallTime, WatchId};
use crate::publish::payload::{self, rounded, seconds};

/// Most events in one answer.
const MOST_EVENTS: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(node))
        .routes(routes!(cameras))
        .routes(routes!(curves))
        .routes(routes!(events))
        .routes(routes!(command))
}

/// This seewhen.
#[utoipa::path(get, path = "/api/node", responses((status = 200, body = views::Node)))]
async fn node(State(web): State<Shared>) -> Json<views::Node> {
    Json(views::node(&web))
}

/// All cameras, with the labels that are looked for.
#[utoipa::path(get, path = "/api/cameras", responses((status = 200, body = Vec<views::Camera>)))]
async fn cameras(State(web): State<Shared>) -> Json<Vec<views::Camera>> {
    Json(views::cameras(&web, &web.status.board().since(0).cameras))
}

/// By `watch/label`, the points `[time, probability]`.
type Curves = BTreeMap<String, Vec<(f64, f64)>>;

/// The last ten minutes of each label of a camera, a point a second at most.
#[utoipa::path(get, path = "/api/cameras/{camera}/curves",
    params(("camera" = String, Path, description = "Its id")),
    responses((status = 200, body = BTreeMap<String, Vec<Vec<f64>>>), (status = 404)))]
async fn curves(
    State(web): State<Shared>,
    Path(camera): Path<String>,
) -> Result<Json<Curves>, Trouble> {
    let none = || Trouble::NotFound(format!("there is no camera {camera:?}"));
    let id = CameraId::try_new(&camera).map_err(|_| none())?;
    let curves = web.status.board().curves(&id).ok_or_else(none)?;
    let points = curves.iter().map(|((watch, label), curve)| {
        let points = curve.points().map(|(time, p)| (seconds(WallTime(time)), rounded(p)));
        (format!("{watch}/{label}"), points.collect())
    });
    Ok(Json(points.collect()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WantedEvents {
    /// Those that started before this, Unix seconds.
    before: Option<f64>,
    camera: Option<String>,
    watch: Option<String>,
    label: Option<String>,
    /// At most 500; 50 without it.
    limit: Option<usize>,
}

/// Events, the newest first, each with its newest message.
#[derive(Serialize, ToSchema)]
struct FoundEvents {
    events: Vec<Value>,
    /// There are older ones.
    more: bool,
}

/// Events from the history, the newest first.
#[utoipa::path(get, path = "/api/events", params(WantedEvents),
    responses((status = 200, body = FoundEvents), (status = 400)))]
async fn events(
    State(web): State<Shared>,
    Query(wanted): Query<WantedEvents>,
) -> Result<Json<FoundEvents>, Trouble> {
    let bad = |error: crate::model::BadId| Trouble::Bad(error.to_string());
    let WantedEvents { before, camera, watch, label, limit } = wanted;
    if before.is_some_and(|time| !time.is_finite()) {
        return Err(Trouble::Bad("before is no time; write Unix seconds".to_owned()));
    }
    let found = web.backend.events(EventsWanted {
        before,
        camera: camera.map(|id| CameraId::try_new(&id)).transpose().map_err(bad)?,
        watch: watch.map(|id| WatchId::try_new(&id)).transpose().map_err(bad)?,
        label: label.map(|id| LabelId::try_new(&id)).transpose().map_err(bad)?,
        limit: limit.unwrap_or(50).clamp(1, MOST_EVENTS),
    });
    let found = found.await?;
    let json = |event| {
        serde_json::from_slice(&payload::event(event, Some(&web.node), false)).unwrap_or_default()
    };
    Ok(Json(FoundEvents { events: found.events.iter().map(json).collect(), more: found.more }))
}

/// A command. It may have any other key of a label too: docs/commands.md.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `command::parse` reads")]
struct CommandWanted {
    /// Comes back with the answer; at most 64 characters.
    id: Option<String>,
    command: Word,
    camera: Option<String>,
    watch: Option<String>,
    label: Option<String>,
    prompts: Option<Vec<String>>,
    threshold: Option<f64>,
    /// `teach`: when the label was there, Unix seconds; also pairs and texts: docs/commands.md.
    yes: Option<Vec<f64>>,
    /// `teach`: when it was not.
    no: Option<Vec<f64>>,
    /// Whether it holds after a restart; without it as `commands.persist` says.
    persist: Option<bool>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what `command::parse` reads")]
enum Word {
    Enable,
    Disable,
    SetThreshold,
    AddLabel,
    ChangeLabel,
    RemoveLabel,
    Snapshot,
    LearnView,
    Explain,
    Teach,
    UndoTeach,
}

/// A command, as on the MQTT topic `command`. The answer is that of the topic `reply`.
#[utoipa::path(post, path = "/api/command", request_body = CommandWanted,
    responses((status = 200, body = Value), (status = 400, body = Value), (status = 403, body = Value),
        (status = 409, body = Value), (status = 413, body = Value), (status = 429, body = Value)))]
async fn command(State(web): State<Shared>, body: Bytes) -> Result<Response, Trouble> {
    if !web.commands {
        let reason = "commands are off: commands.enabled is false in the configuration";
        let error = Json(serde_json::json!({ "error": reason }));
        return Ok((StatusCode::FORBIDDEN, error).into_response());
    }
    let answer = match command::parse::json(&body) {
        Ok(request) => web.backend.command(request).await?,
        Err(answer) => answer,
    };
    web.status.command(answer.outcome());
    Ok(reply(&answer))
}

fn reply(answer: &Answer) -> Response {
    let status = match answer.outcome() {
        Outcome::Done => StatusCode::OK,
        Outcome::Refused => StatusCode::CONFLICT,
        Outcome::Malformed | Outcome::Retained => StatusCode::BAD_REQUEST,
        Outcome::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Outcome::Flooding => StatusCode::TOO_MANY_REQUESTS,
    };
    (status, [(CONTENT_TYPE, "application/json")], payload::reply(answer)).into_response()
}
