//! Frames out of a source, as the capture thread gets them.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::time::{Duration, Instant};

use seewhen::capture::gstreamer::{Decoders, Opener, Pace};
use seewhen::capture::sampler::Sampler;
use seewhen::capture::{CaptureError, Open as _, Pulled};
use seewhen::clock::Clock;
use seewhen::config::{CameraSource, Network};
use seewhen::model::{DecoderChoice, Every, Picture};
use seewhen::status::Work;

/// Opens `source` to analyse every frame, as it comes.
pub fn opener(source: CameraSource) -> Opener {
    seewhen::capture::gstreamer::init().unwrap();
    Opener {
        source,
        every: Every::Interval(Duration::from_millis(10)),
        decoders: Decoders::new(DecoderChoice::Auto),
        network: Network::default(),
        region: None,
        repeat: false,
        pace: Pace::Live,
        clock: Clock::start(),
    }
}

/// The first `count` pictures of one life, and how they were got; fewer when it ends before.
pub fn frames(opener: &Opener, count: usize) -> Result<(Vec<Picture>, Work), CaptureError> {
    let mut source = opener.open()?;
    let mut sampler = Sampler::new(opener.every);
    let (mut pictures, limit) = (Vec::new(), Instant::now() + Duration::from_secs(20));
    while pictures.len() < count {
        assert!(Instant::now() < limit, "{} of {count} frames within 20 s", pictures.len());
        match source.pull(Duration::from_millis(100), &mut sampler) {
            Ok(Pulled::Frame(picture, _)) => pictures.push(picture),
            Ok(Pulled::Skipped | Pulled::Nothing) => {}
            Err(CaptureError::End) if !pictures.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok((pictures, source.work()))
}

/// The mean colour around a place, in fractions of the picture.
pub fn colour(picture: &Picture, x: f64, y: f64) -> [u8; 3] {
    let place = |part: f64, whole: u32| (part * f64::from(whole)) as u32;
    let (left, top) = (place(x, picture.width), place(y, picture.height));
    let mut sum = [0_u32; 3];
    for (dx, dy) in (0..4).flat_map(|dy| (0..4).map(move |dx| (dx, dy))) {
        let start = (((top + dy) * picture.width + left + dx) * 3) as usize;
        for (sum, value) in sum.iter_mut().zip(&picture.rgb[start..start + 3]) {
            *sum += u32::from(*value);
        }
    }
    sum.map(|sum| u8::try_from(sum / 16).unwrap())
}
