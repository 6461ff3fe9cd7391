//! `[[camera]]`: where frames come from, how often, and which part of the picture counts.

use std::ops::RangeInclusive;
use std::time::Duration;

use ::config::{Value, ValueKind};
use sha2::{Digest as _, Sha256};

use super::keys;
use super::layer::list_of;
use super::secret::Surroundings;
use super::section::Section;
use super::source::{self, CameraSource, Network, Transport};
use super::value::{boolean, choice, describe, duration, number, text};
use crate::model::{
    CameraId, ChangeGate, DecoderChoice, Every, Fit, Point, Polygon, Region, Shown, View,
};

/// `[[camera]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    pub id: CameraId,
    pub source: CameraSource,
    pub every: Every,
    pub view: View,
    /// Areas that are black in every picture, whoever sees it.
    pub mask: Vec<Polygon>,
    pub gate: Option<ChangeGate>,
    pub decoder: DecoderChoice,
    pub network: Network,
    /// A file starts again at its end.
    pub repeat: bool,
    /// No first frame within this time ends the attempt.
    pub connect_timeout: Duration,
    /// No frame for this long ends the connection.
    pub stall_timeout: Duration,
    /// One that is not is known and not captured.
    pub enabled: bool,
    /// It is told when the camera was moved, covered, blinded or is frozen.
    pub view_check: bool,
}

impl Camera {
    /// What decides what it can show. Not its password, nor anything else that leaves the view as it is.
    pub fn shown(&self) -> Shown {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        part(self.source.place().as_bytes());
        let Region { x, y, width, height } = self.view.region.unwrap_or(WHOLE);
        [x, y, width, height].iter().for_each(|side| part(&side.to_le_bytes()));
        for area in &self.mask {
            part(&area.len().to_le_bytes());
            area.iter()
                .flat_map(|corner| [corner.x, corner.y])
                .for_each(|at| part(&at.to_le_bytes()));
        }
        let digest = digest.finalize();
        Shown(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

const WHOLE: Region = Region { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };

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
    let fit = camera.get_or("fit", (None, false), |value| choice(value, FITS));
    let mask = camera.get_or("mask", Vec::new(), mask);
    let gate = match camera.section("change_gate", keys::CHANGE_GATE) {
        Some(gate) => read_gate(&gate).map(Some),
        None => (!camera.has("change_gate")).then_some(None),
    };
    let region = match camera.section("region", keys::REGION) {
        Some(region) => read_region(&region).map(Some),
        None => (!camera.has("region")).then_some(None),
    };
    let decoder = camera.get_or("decoder", DecoderChoice::Auto, |value| {
        choice(value, &DecoderChoice::ALL.map(|decoder| (decoder.word(), decoder)))
    });
    let network = network(camera, source.as_ref());
    let repeat = camera.get_or("loop", false, boolean);
    let timeout =
        |key| camera.get_or(key, Duration::from_secs(10), |value| duration(value, TIMEOUT));
    let (connect_timeout, stall_timeout) = (timeout("connect_timeout"), timeout("stall_timeout"));
    let enabled = camera.get_or("enabled", true, boolean);
    let view_check = camera.get_or("view_check", true, boolean);
    let (fit, tiles) = fit?;
    Some(Camera {
        id: id?,
        source: source?,
        every: every?,
        view: View { region: region?, fit, tiles },
        mask: mask?,
        gate: gate?,
        decoder: decoder?,
        network: Network { patience: connect_timeout? + LONGER, ..network? },
        repeat: repeat?,
        connect_timeout: connect_timeout?,
        stall_timeout: stall_timeout?,
        enabled: enabled?,
        view_check: view_check?,
    })
}

/// Than `connect_timeout` GStreamer waits for an answer, so that it is us who end an attempt and say why.
const LONGER: Duration = Duration::from_secs(2);

fn every(value: &Value) -> Result<Every, String> {
    match &value.kind {
        ValueKind::String(word) if word == "keyframes" => Ok(Every::KeyFrames),
        _ => duration(value, EVERY).map(Every::Interval),
    }
}

/// The fit, and whether the region is cut into tiles, which are square and need none.
const FITS: &[(&str, (Option<Fit>, bool))] = &[
    ("crop", (Some(Fit::Crop), false)),
    ("pad", (Some(Fit::Pad), false)),
    ("stretch", (Some(Fit::Stretch), false)),
    ("tiles", (Some(Fit::Crop), true)),
];

fn network(camera: &Section<'_>, source: Option<&CameraSource>) -> Option<Network> {
    let default = Network::default();
    let transport = camera.get_or("transport", default.transport, |value| {
        choice(value, &[("tcp", Transport::Tcp), ("udp", Transport::Udp)])
    });
    let tls_verify = camera.get_or("tls_verify", default.tls_verify, boolean);
    let rtsp = source.is_none_or(|source| matches!(source, CameraSource::Rtsp { .. }));
    if camera.has("transport") && !rtsp {
        camera.problem("transport", "this is for rtsp:// sources; remove it");
        return None;
    }
    Some(Network { transport: transport?, tls_verify: tls_verify?, ..default })
}

fn mask(value: &Value) -> Result<Vec<Polygon>, String> {
    let wanted = "write a list of areas, each with at least three corners [x, y] in fractions of \
                  the picture, such as [[[0.0, 0.0], [0.3, 0.0], [0.0, 0.4]]]";
    let wrong = |found: String| format!("found {found}; {wanted}");
    let list = |value| list_of(value).ok_or_else(|| wrong(describe(value)));
    let corner = |value| match list(value)?.as_slice() {
        [x, y] => {
            let (x, y) = (number(x)?, number(y)?);
            let inside = [x, y].iter().all(|part| (0.0..=1.0).contains(part));
            inside.then_some(Point { x, y }).ok_or_else(|| wrong(format!("the corner [{x}, {y}]")))
        }
        other => Err(wrong(format!("a corner of {} numbers", other.len()))),
    };
    let area = |value| -> Result<Polygon, String> {
        let corners: Polygon = list(value)?.iter().map(corner).collect::<Result<_, _>>()?;
        let count = corners.len();
        if count < 3 { Err(wrong(format!("an area with {count} corners"))) } else { Ok(corners) }
    };
    list(value)?.iter().map(area).collect()
}

fn read_gate(gate: &Section<'_>) -> Option<ChangeGate> {
    let difference = gate.get_or("difference", 0.02, |value| match number(value)? {
        found if found > 0.0 && found <= 1.0 => Ok(found),
        found => Err(format!("found {found}; write a share of full brightness, such as 0.02")),
    });
    let allowed = Duration::from_secs(1)..=Duration::from_secs(3600);
    let max_age = gate.get_or("max_age", Duration::from_secs(30), |value| duration(value, allowed));
    Some(ChangeGate { difference: difference? as f32, max_age: max_age? })
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
