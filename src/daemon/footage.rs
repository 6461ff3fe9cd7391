//! What the model makes of a file of footage, frame by frame: for `seewhen teach --from`.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::live::{self, Flow, Live};
use super::model::Model;
use crate::capture::gstreamer::Pace;
use crate::config::Camera;
use crate::embeddings::{Seen, Tally};
use crate::infer::Keeping;
use crate::model::CameraState;
use crate::watch::{Notice, WatchSet};

/// Frames that wait to be taken over: they are, whenever a frame is told of.
const WAITING: usize = 1024;

/// Looks at all of a file, as `camera` would see it, as fast as that goes. Times count from its start.
/// `pictures`: what was looked at comes along.
///
/// # Errors
/// When it cannot be read, and when no frame came out of it.
pub fn look(
    model: &Model,
    camera: &Camera,
    set: WatchSet,
    pictures: bool,
) -> anyhow::Result<Vec<Seen>> {
    let (to, seen) = crossbeam_channel::bounded(WAITING);
    let tally = Arc::new(Tally::default());
    let live = Live {
        cameras: vec![camera.clone()],
        set,
        encoder: Box::new(model.warm_image_encoder(1)?),
        pace: Pace::AsFastAsPossible,
        keeping: Some(Keeping { to, pictures, tally: tally.clone() }),
    };
    let (mut frames, mut trouble) = (Vec::new(), None);
    live::run(live, |notice| {
        frames.extend(seen.try_iter());
        match notice {
            Notice::Camera(change)
                if matches!(change.state, CameraState::Stalled | CameraState::Retrying) =>
            {
                trouble = Some(change.reason.clone());
                Ok(Flow::Stop)
            }
            _ => Ok(Flow::Continue),
        }
    })?;
    frames.extend(seen.try_iter());
    if let Some(reason) = trouble {
        bail!("{}: {reason}", camera.source);
    }
    if tally.lost() > 0 {
        bail!("{}: {} frames came too fast to be taken", camera.source, tally.lost());
    }
    frames.first().with_context(|| format!("{}: there is no frame in it", camera.source))?;
    Ok(frames)
}
