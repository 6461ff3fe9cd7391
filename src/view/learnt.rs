//! What is known of a camera's usual views, as text that outlives seewhen. Pure.
//!
//! JSON. Edges are in thousandths, which is far below a picture's noise; everything that was measured in this
//! process's own time stays behind.

use serde::{Deserialize, Serialize};

use super::place::{Mean, Usual};
use super::sight::Sight;
use crate::model::{CameraId, Shown, WallTime};

const VERSION: u32 = 1;
/// An edge's longest, in the text.
const ONE: f32 = 1000.0;

/// The views that a camera usually has; the one that was seen last comes last.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt(pub(super) Vec<Usual>);

/// What was known of a camera at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Memo {
    pub camera: CameraId,
    /// What the camera could show. Of another one it says nothing.
    pub shown: Shown,
    pub time: WallTime,
    pub learnt: Learnt,
}

/// News of one camera; `None`: nothing is known of its view any more.
pub type News = (CameraId, Option<Memo>);

/// Why a text is no [`Memo`].
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it is of version {0}, and this seewhen reads version {VERSION}")]
    Version(u32),
}

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    camera: String,
    shown: u64,
    /// Unix seconds.
    time: f64,
    views: Vec<TextView>,
}

#[derive(Serialize, Deserialize)]
struct TextView {
    level: f32,
    length: f32,
    colour: f32,
    detail: f32,
    pictures: u32,
    edges: Vec<i16>,
}

impl Memo {
    pub fn text(&self) -> String {
        let text = Text {
            version: VERSION,
            camera: self.camera.to_string(),
            shown: self.shown.0,
            time: self.time.0,
            views: self.learnt.0.iter().map(text_of).collect(),
        };
        // It holds nothing that JSON could not say.
        serde_json::to_string(&text).unwrap_or_default()
    }

    /// # Errors
    /// When it is not what [`text`](Self::text) has written.
    pub fn read(text: &[u8]) -> Result<Self, Unfit> {
        let damaged = |cause: &dyn ToString| Unfit::Damaged(cause.to_string());
        let Text { version, camera, shown, time, views } =
            serde_json::from_slice(text).map_err(|error| damaged(&error))?;
        if version != VERSION {
            return Err(Unfit::Version(version));
        }
        let camera = CameraId::try_new(&camera).map_err(|error| damaged(&error))?;
        let views: Option<Vec<Usual>> = views.into_iter().map(usual_of).collect();
        let views = views.ok_or_else(|| damaged(&"a view has not as many edges as it must"))?;
        let learnt = Learnt(views);
        Ok(Self { camera, shown: Shown(shown), time: WallTime(time), learnt })
    }
}

fn text_of(usual: &Usual) -> TextView {
    let Usual { mean, level } = usual;
    let edge = |value: &f32| (value * ONE).round().clamp(-ONE, ONE) as i16;
    TextView {
        level: *level,
        length: mean.length,
        colour: mean.colour,
        detail: mean.detail,
        pictures: mean.pictures,
        edges: mean.edges.iter().map(edge).collect(),
    }
}

fn usual_of(text: TextView) -> Option<Usual> {
    let TextView { level, length, colour, detail, pictures, edges } = text;
    if edges.len() != Sight::EDGES {
        return None;
    }
    let edges = edges.iter().map(|value| f32::from(*value) / ONE).collect();
    Some(Usual { mean: Mean { edges, length, colour, detail, pictures }, level })
}
