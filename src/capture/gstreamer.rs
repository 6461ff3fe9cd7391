//! Frames from GStreamer: RTSP, HTTP, files, V4L2 devices and the test picture.
//!
//! With the files below it, the only ones that know GStreamer. Its threads never run our code: the
//! capture thread pulls coded frames from an appsink, polls the bus, and decodes what [`Selector`]
//! asks for; only frames that are due are converted to RGB. Dropping the source ends the pipeline.

mod convert;
mod decoder;
mod halve;
mod nal;
mod orientation;
mod source;
mod trouble;

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_video as video;

use self::convert::Converter;
use self::decoder::Decoder;
pub use self::decoder::Decoders;
use self::nal::Nals;
use self::trouble::{Messages, broken};
use super::lateness::Lateness;
use super::sampler::Sampler;
use super::selector::{Selector, Unit, Verdict};
use super::{CaptureError, Open, Pulled, Source, Work};
use crate::clock::Clock;
use crate::config::{CameraSource, Network};
use crate::model::{Captured, Every, Moment, Region, WallTime};

/// When we are this far behind a camera, we skip to the next key frame.
const LATE: Duration = Duration::from_millis(500);

/// Messages of a pipeline are read this often at least.
const READ: Duration = Duration::from_secs(5);

/// At which pace a source is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As things happen; a file plays at its own speed, and what comes too fast is dropped.
    Live,
    /// As fast as frames are taken, none dropped, with the media's own time stamps.
    AsFastAsPossible,
}

/// Opens one camera's pipeline.
#[derive(Debug, Clone)]
pub struct Opener {
    pub source: CameraSource,
    pub every: Every,
    pub decoders: Decoders,
    pub network: Network,
    /// The part that is analysed: frames need no more pixels than that takes.
    pub region: Option<Region>,
    pub repeat: bool,
    pub pace: Pace,
    pub clock: Clock,
}

/// Loads GStreamer once. Errors tell what is missing.
pub fn init() -> Result<(), CaptureError> {
    gst::init().map_err(|error| CaptureError::Source(format!("GStreamer did not start: {error}")))
}

impl Open for Opener {
    fn open(&self) -> Result<Box<dyn Source>, CaptureError> {
        Ok(Box::new(Pipeline::open(self)?))
    }

    fn describe(&self) -> String {
        self.source.to_string()
    }

    fn ends(&self) -> bool {
        matches!(self.source, CameraSource::File(_)) && !self.repeat
    }

    fn repeats(&self) -> bool {
        matches!(self.source, CameraSource::File(_)) && self.repeat
    }
}

/// A running pipeline and what is needed to read it.
struct Pipeline {
    pipeline: gst::Pipeline,
    sink: AppSink,
    messages: Messages,
    /// When they were read.
    read: Instant,
    selector: Selector,
    decoder: Option<Decoder>,
    nals: Nals,
    converter: Option<Converter>,
    lateness: Lateness,
    opener: Opener,
    /// The stream has ended and the decoder has been emptied.
    ended: bool,
}

impl Pipeline {
    fn open(opener: &Opener) -> Result<Self, CaptureError> {
        let (pipeline, sink) = source::build(&opener.source, opener.network, opener.pace)?;
        let messages = Messages::of(&pipeline)?;
        let mut source = Self {
            pipeline,
            sink,
            messages,
            read: Instant::now(),
            selector: Selector::new(opener.every),
            decoder: None,
            nals: Nals::default(),
            converter: None,
            lateness: Lateness::default(),
            opener: opener.clone(),
            ended: false,
        };
        source.start()?;
        Ok(source)
    }

    fn start(&mut self) -> Result<(), CaptureError> {
        let Err(error) = self.pipeline.set_state(gst::State::Playing) else { return Ok(()) };
        // The messages know more than the state change.
        Err(self.trouble().unwrap_or_else(|| CaptureError::Source(error.to_string())))
    }

    fn trouble(&mut self) -> Option<CaptureError> {
        self.read = Instant::now();
        match self.messages.error()? {
            CaptureError::Source(text) if text.contains("Failed to connect") => {
                let Opener { source, network, .. } = &self.opener;
                Some(CaptureError::Source(source::unreachable(source, *network, text)))
            }
            error => Some(error),
        }
    }

    /// A coded frame: decoded when a frame that is due needs it.
    fn coded(
        &mut self,
        sample: &gst::Sample,
        sampler: &mut Sampler,
    ) -> Result<Pulled, CaptureError> {
        let (buffer, caps) = parts(sample)?;
        let mut unit = unit(sample, buffer, self.opener.clock);
        // Where only key frames are wanted nobody asks.
        let asked = self.opener.every != Every::KeyFrames && !unit.key;
        unit.droppable |= asked && self.nals.droppable(buffer, caps);
        let late = self.opener.pace == Pace::Live
            && self.lateness.see(unit.order, self.opener.clock.captured().at.0) > LATE;
        let verdict = self.selector.judge(&unit, sampler.due(), late);
        if verdict == Verdict::Skip {
            sampler.pass(unit.time);
            return Ok(Pulled::Skipped);
        }
        if let Err(error) = self.decode(sample, caps, verdict) {
            // Without its decoder, hardware that failed is tried again or given up for software.
            let hardware = self.decoder.take().is_some_and(|decoder| decoder.hardware());
            self.selector.lost();
            return if hardware && self.opener.decoders.forgive(&error) {
                Ok(Pulled::Skipped)
            } else {
                Err(error)
            };
        }
        let alone = unit.key && verdict == Verdict::DecodeLast;
        self.decoded(sampler, alone.then(|| self.selector.early()))
    }

    fn decode(
        &mut self,
        sample: &gst::Sample,
        caps: &gst::CapsRef,
        verdict: Verdict,
    ) -> Result<(), CaptureError> {
        if self.decoder.as_ref().is_none_or(|decoder| !decoder.takes(caps)) {
            self.decoder = None;
            self.decoder = Some(self.opener.decoders.open(caps, self.opener.pace)?);
        }
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        decoder.push(sample)?;
        if verdict == Verdict::DecodeLast {
            decoder.drain()?;
        }
        Ok(())
    }

    /// The first frame that is due of those that the decoder has ready; one that it decoded
    /// `alone` may come that early.
    fn decoded(
        &mut self,
        sampler: &mut Sampler,
        alone: Option<Duration>,
    ) -> Result<Pulled, CaptureError> {
        while let Some(sample) = self.decoder.as_mut().and_then(Decoder::pull) {
            let pulled = self.raw(&sample, sampler, alone)?;
            if pulled != Pulled::Skipped {
                return Ok(pulled);
            }
        }
        Ok(Pulled::Skipped)
    }

    /// A frame in pixels: converted when it is due.
    fn raw(
        &mut self,
        sample: &gst::Sample,
        sampler: &mut Sampler,
        alone: Option<Duration>,
    ) -> Result<Pulled, CaptureError> {
        let (buffer, caps) = parts(sample)?;
        let now = self.opener.clock.captured();
        let media = media_time(sample, buffer.pts());
        let time = media.unwrap_or(now.at.0);
        let due = match alone {
            Some(early) => sampler.keep_alone(time, early),
            None => sampler.keep(time),
        };
        if !due {
            return Ok(Pulled::Skipped);
        }
        let info =
            video::VideoInfo::from_caps(caps).map_err(|_| broken("without a known format"))?;
        let orientation = orientation::of(&self.sink);
        let turned = orientation.is_sideways();
        if self.converter.as_ref().is_none_or(|converter| !converter.takes(&info, turned)) {
            self.converter = Some(Converter::new(info, self.opener.region, turned)?);
        }
        let Some(converter) = &mut self.converter else {
            return Err(broken("without a converter"));
        };
        let picture = orientation.apply(converter.convert(buffer)?);
        let captured = match (self.opener.pace, media) {
            (Pace::AsFastAsPossible, Some(time)) => {
                Captured { at: Moment(time), time: WallTime(time.as_secs_f64()) }
            }
            _ => now,
        };
        Ok(Pulled::Frame(picture, captured))
    }

    /// At the end of the stream: what the decoder still holds.
    fn last(&mut self, sampler: &mut Sampler) -> Result<Pulled, CaptureError> {
        if !self.ended {
            self.ended = true;
            if let Some(decoder) = &self.decoder {
                decoder.finish();
            }
        }
        match self.decoded(sampler, None)? {
            Pulled::Skipped | Pulled::Nothing => Err(CaptureError::End),
            frame @ Pulled::Frame(..) => Ok(frame),
        }
    }
}

impl Source for Pipeline {
    fn pull(&mut self, timeout: Duration, sampler: &mut Sampler) -> Result<Pulled, CaptureError> {
        let timeout = gst::ClockTime::try_from(timeout).unwrap_or(gst::ClockTime::SECOND);
        let ready = self.sink.try_pull_sample(gst::ClockTime::ZERO);
        if ready.is_none() {
            self.lateness.waited();
        }
        // Frames that never pause are no reason to let messages pile up.
        if self.read.elapsed() > READ
            && let Some(error) = self.trouble()
        {
            return Err(error);
        }
        if let Some(sample) = ready.or_else(|| self.sink.try_pull_sample(timeout)) {
            let raw = sample.caps().is_some_and(|caps| decoder::codec(caps) == "video/x-raw");
            return if raw {
                source::newest_only(&self.sink, self.opener.pace);
                self.raw(&sample, sampler, None)
            } else {
                self.coded(&sample, sampler)
            };
        }
        if let Some(error) = self.trouble() {
            return Err(error);
        }
        if self.sink.is_eos() { self.last(sampler) } else { Ok(Pulled::Nothing) }
    }

    fn work(&self) -> Work {
        Work {
            strategy: self.selector.strategy(),
            key_interval: self.selector.key_interval(),
            decoder: self.decoder.as_ref().map(Decoder::name),
            note: self.opener.decoders.note(),
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::warn!(%error, "the pipeline did not stop cleanly");
        }
    }
}

fn parts(sample: &gst::Sample) -> Result<(&gst::BufferRef, &gst::CapsRef), CaptureError> {
    let buffer = sample.buffer().ok_or_else(|| broken("without data"))?;
    Ok((buffer, sample.caps().ok_or_else(|| broken("without a format"))?))
}

fn unit(sample: &gst::Sample, buffer: &gst::BufferRef, clock: Clock) -> Unit {
    let flags = buffer.flags();
    let at = |time: Option<gst::ClockTime>| media_time(sample, time);
    let shown = at(buffer.pts()).or_else(|| at(buffer.dts()));
    let time = shown.unwrap_or_else(|| clock.captured().at.0);
    Unit {
        time,
        order: at(buffer.dts()).unwrap_or(time),
        key: !flags.contains(gst::BufferFlags::DELTA_UNIT),
        droppable: flags.contains(gst::BufferFlags::DROPPABLE),
    }
}

/// Where in the media a frame belongs: its time stamp less what the container puts before the
/// start (edit lists, the delay of reordered frames).
fn media_time(sample: &gst::Sample, stamp: Option<gst::ClockTime>) -> Option<Duration> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    segment.to_stream_time(stamp?).map(Duration::from)
}
