//! What a label was taught, and how good that is.
#![allow(unused_qualifications, reason = "in what utoipa makes of params(...)")]

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::past::{label_key, picture};
use super::{Shared, Trouble};
use crate::model::{CameraId, Probability, WallTime};
use crate::publish::payload::{rounded, seconds};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(taught))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WantedLabel {
    /// Whose frames are looked at for what to mark next.
    camera: String,
    watch: String,
    label: String,
}

/// What a label was taught. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Taught)]
pub struct Report {
    /// Examples that count: those that show it, and those that do not.
    pub yes: usize,
    pub no: usize,
    /// Of which model they are.
    pub bundle: String,
    /// How many say nothing that another one does not say.
    pub copies: usize,
    pub score: Score,
    /// Pairs that look the same and say the opposite; the first few.
    pub contradictions: Vec<[Mark; 2]>,
    /// Frames of the camera that are worth to be marked next, the most useful first.
    pub next: Vec<Doubt>,
}

/// What the label says of events that it was not taught: each is left out in turn.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = TaughtScore)]
pub struct Score {
    /// False: too few events of a kind to tell anything.
    pub enough: bool,
    /// How many it takes, of each kind.
    pub fewest: usize,
    pub yes_events: usize,
    pub no_events: usize,
    /// Of the first those that reached the threshold, and of the second.
    pub found: usize,
    pub wrong: usize,
    pub precision: Share,
    pub recall: Share,
}

/// A share, and between what it lies in 95 of 100 cases.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Share {
    pub seen: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// A frame that was taught.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = TaughtMark)]
pub struct Mark {
    /// A camera, or the name of a file.
    pub source: String,
    /// Unix seconds, or seconds into a file.
    pub time: f64,
    pub yes: bool,
}

/// A frame that the label is in doubt of.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Doubt {
    pub time: f64,
    /// What the label says of it now.
    pub probability: f64,
    /// Where its picture is, where one was kept.
    pub picture: Option<String>,
}

impl Doubt {
    /// A frame of `camera`, at `time` in Unix seconds; `kept`: with a picture.
    pub fn new(camera: &CameraId, time: f64, probability: Probability, kept: bool) -> Self {
        let picture = kept.then(|| picture(camera, time));
        Self { time: seconds(WallTime(time)), probability: rounded(probability), picture }
    }
}

/// What a label was taught, how it fares with what it was not taught, and what to mark next. One that was
/// not taught has no examples.
#[utoipa::path(get, path = "/api/taught", params(WantedLabel),
    responses((status = 200, body = Report), (status = 400), (status = 404)))]
async fn taught(
    State(web): State<Shared>,
    Query(wanted): Query<WantedLabel>,
) -> Result<Json<Report>, Trouble> {
    let WantedLabel { camera, watch, label } = wanted;
    Ok(Json(web.backend.taught(label_key(&camera, &watch, &label)?).await?))
}
