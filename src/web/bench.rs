//! The prompt bench: words, and what they give on the frames there are.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Compiled, Shared, Trial, Trouble};
use crate::clip::scoring::Scorer;
use crate::model::{CameraId, WatchId};
use crate::publish::payload::{rounded, seconds};
use crate::status::board::Newest;
use crate::watch::{Look, ScoreKind};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(prompts))
}

/// Words to try out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) labels: Vec<LabelWords>,
    /// Each with one `{}`. Without them: those of the watch, or none.
    pub(super) templates: Option<Vec<String>>,
    /// `softmax` or `sigmoid`; without it as the watch has it, or `softmax`.
    pub(super) score: Option<String>,
    /// Its labels compete, but for those of the same names. Words that are those of its own labels, and no others,
    /// give what these labels give, with what they were taught.
    pub(super) watch: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelWords {
    label: String,
    prompts: Vec<String>,
}

/// What words give on the newest frame of every camera.
#[derive(Serialize, ToSchema)]
struct Tried {
    /// The bundle.
    model: String,
    /// What is odd about the prompts.
    advice: Vec<String>,
    cameras: Vec<OnCamera>,
}

#[derive(Serialize, ToSchema)]
struct OnCamera {
    camera: String,
    /// Of the frame, Unix seconds.
    time: f64,
    probabilities: BTreeMap<String, f64>,
    cosines: BTreeMap<String, f64>,
}

/// Tries words out on the newest frame of every camera.
#[utoipa::path(post, path = "/api/prompts", request_body = Words,
    responses((status = 200, body = Tried), (status = 400), (status = 503)))]
async fn prompts(
    State(web): State<Shared>,
    Json(words): Json<Words>,
) -> Result<Json<Tried>, Trouble> {
    let compiled = web.backend.compile(words.trial()?).await?;
    let cameras = web.status.board().since(0).cameras;
    let newest = cameras.iter().filter_map(|(id, camera)| Some((id, camera.newest.as_deref()?)));
    Ok(Json(Tried {
        model: compiled.model.to_string(),
        advice: compiled.advice.clone(),
        cameras: newest.map(|(id, newest)| compiled.on(id, newest)).collect(),
    }))
}

impl Words {
    pub(super) fn trial(self) -> Result<Trial, Trouble> {
        let bad = |text: String| Trouble::Bad(text);
        let score = match self.score.as_deref() {
            None => None,
            Some("softmax") => Some(ScoreKind::Softmax),
            Some("sigmoid") => Some(ScoreKind::Sigmoid),
            Some(other) => {
                return Err(bad(format!(
                    "score: found {other:?}; allowed are softmax and sigmoid"
                )));
            }
        };
        let watch = self.watch.map(|id| WatchId::try_new(&id)).transpose();
        Ok(Trial {
            labels: self.labels.into_iter().map(|one| (one.label, one.prompts)).collect(),
            templates: self.templates,
            score,
            watch: watch.map_err(|error| bad(error.to_string()))?,
        })
    }
}

impl Compiled {
    fn on(&self, camera: &CameraId, newest: &Newest) -> OnCamera {
        let (probabilities, cosines) = self.scores(camera, &newest.look);
        OnCamera {
            camera: camera.to_string(),
            time: seconds(newest.captured.time),
            probabilities: self.named(&probabilities),
            cosines: self.named(&cosines),
        }
    }

    fn named(&self, values: &[f32]) -> BTreeMap<String, f64> {
        let labels = self.watch.labels.iter().map(|label| label.id.to_string());
        labels.zip(values.iter().map(|value| rounded(*value))).collect()
    }

    /// Probabilities and cosines, of each label's best tile.
    fn scores(&self, camera: &CameraId, look: &Look) -> (Vec<f32>, Vec<f32>) {
        let embeddings: Vec<_> = look.embeddings.iter().collect();
        let scorer = Scorer::new(&self.watch, Some(camera), self.scale, self.bias);
        let rows = scorer.values(&embeddings);
        let mut highest = vec![-1.0_f32; self.watch.labels.len()];
        for row in &rows {
            highest.iter_mut().zip(row).for_each(|(highest, value)| *highest = highest.max(*value));
        }
        (scorer.best(rows).probabilities, highest)
    }
}
