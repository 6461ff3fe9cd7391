//! Pictures: the newest frame of a camera, and those of events.
#![allow(unused_qualifications, reason = "in what utoipa makes of params(...)")]

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Shared, Trouble};
use crate::jpeg;
use crate::model::CameraId;

/// Of the JPEGs that are made for the page.
const QUALITY: u8 = 75;
const WIDEST: u32 = 1920;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(newest)).routes(routes!(snapshot))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Most pixels across, 16 to 1920.
    width: Option<u32>,
}

/// The newest analysed frame of a camera, masks applied.
#[utoipa::path(get, path = "/api/cameras/{camera}/picture.jpg",
    params(("camera" = String, Path, description = "Its id"), Wanted),
    responses((status = 200, content_type = "image/jpeg", body = [u8]), (status = 304), (status = 400),
        (status = 404)))]
async fn newest(
    State(web): State<Shared>,
    Path(camera): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let none = || Trouble::NotFound(format!("there is no camera {camera:?}"));
    let id = CameraId::try_new(&camera).map_err(|_| none())?;
    let width = wanted.width.unwrap_or(WIDEST);
    if !(16..=WIDEST).contains(&width) {
        return Err(Trouble::Bad(format!("width is {width}; allowed is 16 to {WIDEST}")));
    }
    let board = web.status.board();
    board.look();
    let pinned = board.one(&id).ok_or_else(none)?;
    let newest = pinned.newest.ok_or_else(|| Trouble::NotFound("no frame yet".to_owned()))?;
    let soon = || Trouble::NotFound("the next frame will be there in a moment".to_owned());
    let picture = newest.picture.as_ref().ok_or_else(soon)?;
    let tag = format!("\"{:.3}-{width}\"", newest.captured.time.0);
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let smaller = jpeg::narrower(picture, width);
    let jpeg = jpeg::encode(smaller.as_ref().unwrap_or(picture), QUALITY)
        .map_err(|error| Trouble::Failed(format!("no JPEG can be made: {error}")))?;
    let about = [
        (CONTENT_TYPE, "image/jpeg".to_owned()),
        (CACHE_CONTROL, "private, no-cache".to_owned()),
        (ETAG, tag),
    ];
    Ok((about, jpeg).into_response())
}

/// The frame that started an event. The path is the event's `snapshot`.
#[utoipa::path(get, path = "/api/snapshots/{node}/{camera}/{date}/{file}",
    params(("node" = String, Path), ("camera" = String, Path), ("date" = String, Path),
        ("file" = String, Path)),
    responses((status = 200, content_type = "image/jpeg", body = [u8]), (status = 404)))]
async fn snapshot(
    State(web): State<Shared>,
    Path(parts): Path<[String; 4]>,
) -> Result<Response, Trouble> {
    let plain = |part: &String| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.starts_with('.') && part.len() <= 255 && part.chars().all(allowed)
    };
    if !parts.iter().all(plain) || !parts[3].ends_with(".jpg") {
        return Err(Trouble::NotFound("there is no such picture".to_owned()));
    }
    let jpeg = web.backend.snapshot(parts.join("/")).await?;
    let about = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "private, max-age=86400")];
    Ok((about, jpeg).into_response())
}
