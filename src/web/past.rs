//! The history of embeddings: searched by words, and as a curve.
#![allow(unused_qualifications, reason = "in what utoipa makes of params(...)")]

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::bench::{LabelWords, Words};
use super::{Moment, PastPoint, PastWanted, SearchWanted, Shared, Trouble, TuneWanted};
use crate::model::{CameraId, LabelId, LabelKey, WallTime, WatchId};
use crate::publish::payload::{rounded, seconds};
use crate::watch::Label;

const MOST_HITS: usize = 200;
const MOST_POINTS: usize = 2000;
const MOST_SPANS: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(past))
        .routes(routes!(tune))
        .routes(routes!(thumbnail))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// What is looked for, in words.
    q: String,
    /// Without it all are searched.
    camera: Option<String>,
    /// Unix seconds.
    since: Option<f64>,
    until: Option<f64>,
    /// At most 200; 20 without it.
    limit: Option<usize>,
}

/// The moments that fit best, the best first.
#[derive(Serialize, ToSchema)]
struct Found {
    /// Frames that were compared.
    scanned: u64,
    /// Seconds.
    took: f64,
    hits: Vec<Hit>,
}

#[derive(Serialize, ToSchema)]
struct Hit {
    camera: String,
    /// Of the best frame, Unix seconds.
    time: f64,
    /// The frames around it that are like it.
    from: f64,
    until: f64,
    cosine: f64,
    /// How many standard deviations above the mean of all frames that were compared.
    deviations: f64,
    /// Where its picture is, where one was kept.
    picture: Option<String>,
}

/// Searches the history of embeddings for what a text describes.
#[utoipa::path(get, path = "/api/search", params(Wanted),
    responses((status = 200, body = Found), (status = 400), (status = 404)))]
async fn search(
    State(web): State<Shared>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Found>, Trouble> {
    let started = Instant::now();
    let Wanted { q, camera, since, until, limit } = wanted;
    let camera = camera.map(|id| camera_id(&id)).transpose()?;
    let wanted = SearchWanted {
        text: q,
        cameras: camera.into_iter().collect(),
        from: since,
        to: until,
        limit: limit.unwrap_or(20).clamp(1, MOST_HITS),
    };
    let found = web.backend.search(wanted).await?;
    Ok(Json(Found {
        scanned: found.scanned,
        took: seconds(WallTime(started.elapsed().as_secs_f64())),
        hits: found.moments.iter().map(hit).collect(),
    }))
}

fn hit(moment: &Moment) -> Hit {
    let second = |time| seconds(WallTime(time));
    Hit {
        camera: moment.camera.to_string(),
        time: second(moment.time),
        from: second(moment.from),
        until: second(moment.to),
        cosine: rounded(moment.cosine),
        deviations: rounded(moment.deviations),
        picture: moment.picture.then(|| picture(&moment.camera, moment.time)),
    }
}

/// Where the small picture of a frame is.
pub(super) fn picture(camera: &CameraId, time: f64) -> String {
    format!("/api/pictures/{camera}/{time:.3}.jpg")
}

fn camera_id(id: &str) -> Result<CameraId, Trouble> {
    CameraId::try_new(id).map_err(|error| Trouble::Bad(error.to_string()))
}

pub(super) fn label_key(camera: &str, watch: &str, label: &str) -> Result<LabelKey, Trouble> {
    let bad = |error: crate::model::BadId| Trouble::Bad(error.to_string());
    Ok(LabelKey {
        camera: camera_id(camera)?,
        watch: WatchId::try_new(watch).map_err(bad)?,
        label: LabelId::try_new(label).map_err(bad)?,
    })
}

/// Words, and the span that they are tried out over.
// Not `Words` flattened: each of the two would forbid what the other has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PastWords {
    labels: Vec<LabelWords>,
    /// As of `/api/prompts`, like the two that follow.
    templates: Option<Vec<String>>,
    score: Option<String>,
    watch: Option<String>,
    camera: String,
    /// Unix seconds.
    since: f64,
    until: f64,
    /// At most 2000; 300 without it.
    points: Option<usize>,
}

/// What words give over a camera's past.
#[derive(Serialize, ToSchema)]
struct Curve {
    /// What is odd about the prompts.
    advice: Vec<String>,
    frames: u64,
    points: Vec<Point>,
}

#[derive(Serialize, ToSchema)]
struct Point {
    /// Of the frame in which the first label was highest, Unix seconds.
    time: f64,
    frames: u64,
    /// The highest of each label among these frames.
    probabilities: BTreeMap<String, f64>,
    /// Where that frame's picture is, where one was kept.
    picture: Option<String>,
}

/// Tries words out over the past of a camera.
#[utoipa::path(post, path = "/api/past", request_body = PastWords,
    responses((status = 200, body = Curve), (status = 400), (status = 404)))]
async fn past(
    State(web): State<Shared>,
    Json(wanted): Json<PastWords>,
) -> Result<Json<Curve>, Trouble> {
    let PastWords { labels, templates, score, watch, camera, since, until, points } = wanted;
    let words = Words { labels, templates, score, watch };
    let camera = camera_id(&camera)?;
    if since >= until {
        return Err(Trouble::Bad("until: give a time after since".to_owned()));
    }
    let compiled = web.backend.compile(words.trial()?).await?;
    let (labels, advice) = (compiled.watch.labels.clone(), compiled.advice.clone());
    let points = points.unwrap_or(300).clamp(1, MOST_POINTS);
    let wanted = PastWanted { compiled, camera: camera.clone(), from: since, to: until, points };
    let past = web.backend.past(wanted).await?;
    Ok(Json(Curve {
        advice,
        frames: past.frames,
        points: past.points.iter().map(|one| point(one, &camera, &labels)).collect(),
    }))
}

fn point(point: &PastPoint, camera: &CameraId, labels: &[Label]) -> Point {
    let named = labels.iter().map(|label| label.id.to_string());
    Point {
        time: seconds(WallTime(point.time)),
        frames: point.frames,
        probabilities: named.zip(point.probabilities.iter().map(|p| rounded(*p))).collect(),
        picture: point.picture.then(|| picture(camera, point.time)),
    }
}

/// When a label was there, as far as somebody knows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Marked {
    camera: String,
    watch: String,
    label: String,
    /// Pairs of Unix seconds, from and until; all other time the label was not there.
    spans: Vec<(f64, f64)>,
    since: f64,
    until: f64,
}

/// Finds the threshold, hold and consensus that suit a label. The answer is that of `seewhen tune --json`, with
/// a plot (`svg`).
#[utoipa::path(post, path = "/api/tune", request_body = Marked,
    responses((status = 200, body = Value), (status = 400), (status = 404)))]
async fn tune(
    State(web): State<Shared>,
    Json(marked): Json<Marked>,
) -> Result<Json<Value>, Trouble> {
    let Marked { camera, watch, label, mut spans, since, until } = marked;
    let key = label_key(&camera, &watch, &label)?;
    if since >= until {
        return Err(Trouble::Bad("until: give a time after since".to_owned()));
    }
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let apart = spans.windows(2).all(|two| two[0].1 <= two[1].0);
    if spans.len() > MOST_SPANS || !apart || spans.iter().any(|(from, to)| from >= to) {
        let wanted = format!(
            "spans: give at most {MOST_SPANS}, each from a time to a later one, apart from each other"
        );
        return Err(Trouble::Bad(wanted));
    }
    Ok(Json(web.backend.tune(TuneWanted { key, from: since, to: until, there: spans }).await?))
}

/// The small picture of an analysed frame, where those are kept. `time` as told, with `.jpg`.
#[utoipa::path(get, path = "/api/pictures/{camera}/{time}",
    params(("camera" = String, Path), ("time" = String, Path)),
    responses((status = 200, content_type = "image/jpeg", body = [u8]), (status = 404)))]
async fn thumbnail(
    State(web): State<Shared>,
    Path((camera, time)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let none = || Trouble::NotFound("there is no such picture".to_owned());
    let time: f64 =
        time.strip_suffix(".jpg").and_then(|time| time.parse().ok()).ok_or_else(none)?;
    let jpeg = web.backend.thumbnail(camera_id(&camera)?, time).await?;
    let about = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "private, max-age=86400")];
    Ok((about, jpeg).into_response())
}
