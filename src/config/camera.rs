//! `[[camera]]`: where frames come from, how often, and which part of the picture counts.

use std::ops::RangeInclusive;
use std::time::Duration;

use ::config::{Value, ValueKind};

use super::keys;
use super::secret::Surroundings;
use super::section::Section;
use super::source::{self, CameraSource};
use super::value::{boolean, choice, duration, number, text};
use crate::model::{CameraId, Every, Fit, Region, View};

/// `[[camera]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    pub id: CameraId,
    pub source: CameraSource,
    pub every: Every,
    pub view: View,
    /// A file starts again at its end.
    pub repeat: bool,
    /// No first frame within this time ends the attempt.
    pub connect_timeout: Duration,
    /// No frame for this long ends the connection.
    pub stall_timeout: Duration,
}

const EVERY: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(camera: &Section<'_>, surroundings: &Surroundings) -> Option<Camera> {
    let id = camera.require("id", "write a name, such as id = \"porch\"", |value| {
        CameraId::try_new(&text(value)?).map_err(|error| error.to_string())
    });
    let wanted = "write where frames come from, such as source = \"rtsp://192.0.2.7/stream1\"";
    let source =
        camera.require("source", wanted, |value| source::parse(&text(value)?, surroundings));
    let every = camera.get_or("every", Every::Interval(Duration::from_secs(1)), every);
    let fit = camera.get_or("fit", None, |value| fit(value).map(Some));
    let region = match camera.section("region", keys::REGION) {
        Some(region) => read_region(&region).map(Some),
        None => (!camera.has("region")).then_some(None),
    };
    let repeat = camera.get_or("loop", false, boolean);
    let timeout =
        |key| camera.get_or(key, Duration::from_secs(10), |value| duration(value, TIMEOUT));
    let (connect_timeout, stall_timeout) = (timeout("connect_timeout"), timeout("stall_timeout"));
    Some(Camera {
        id: id?,
        source: source?,
        every: every?,
        view: View { region: region?, fit: fit? },
        repeat: repeat?,
        connect_timeout: connect_timeout?,
        stall_timeout: stall_timeout?,
    })
}

fn every(value: &Value) -> Result<Every, String> {
    match &value.kind {
        ValueKind::String(word) if word == "keyframes" => Ok(Every::KeyFrames),
        _ => duration(value, EVERY).map(Every::Interval),
    }
}

fn fit(value: &Value) -> Result<Fit, String> {
    match &value.kind {
        ValueKind::String(word) if word == "tiles" => {
            Err("found \"tiles\"; this version cannot cut a picture into tiles: write \"pad\" to \
                 see all of it, or add a camera with another region for each part"
                .to_owned())
        }
        _ => choice(value, &[("crop", Fit::Crop), ("pad", Fit::Pad), ("stretch", Fit::Stretch)]),
    }
}

fn read_region(region: &Section<'_>) -> Option<Region> {
    let fraction = |key| {
        region.require(key, "write a fraction of the picture, 0 to 1", |value| {
            let found = number(value)?;
            let what = if key == "width" || key == "height" {
                "above 0 and at most 1"
            } else {
                "from 0 to 1"
            };
            let fits = (0.0..=1.0).contains(&found) && (found > 0.0 || what.starts_with("from"));
            let wrong = || format!("found {found}; write a fraction of the picture, {what}");
            fits.then_some(found).ok_or_else(wrong)
        })
    };
    let (x, y, width, height) =
        (fraction("x"), fraction("y"), fraction("width"), fraction("height"));
    let found = Region { x: x?, y: y?, width: width?, height: height? };
    for (key, start, size) in [("width", found.x, found.width), ("height", found.y, found.height)] {
        // Decimal fractions such as 0.1 + 0.9 may come out a hair above 1.
        if start + size > 1.0 + 1e-9 {
            let (axis, most) = (if key == "width" { "x" } else { "y" }, 1.0 - start);
            let most = (most * 1000.0).floor() / 1000.0;
            let message = format!(
                "found {size}, which reaches beyond the picture with {axis} = {start}; \
                 at most {most}"
            );
            region.problem(key, message);
            return None;
        }
    }
    Some(found)
}
