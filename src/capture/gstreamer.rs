//! Frames from GStreamer: RTSP, HTTP, files, V4L2 devices and the test picture.
//!
//! The only file that knows GStreamer. Its threads never run our code: the capture thread pulls
//! decoded frames in the decoder's own format from an appsink and polls the bus; only frames
//! that are due are converted to RGB. Dropping the source ends the pipeline.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_video as video;

use super::sampler::Sampler;
use super::{CaptureError, Open, Pulled, Source};
use crate::clock::Clock;
use crate::config::{CameraSource, Secret};
use crate::model::{Captured, Moment, Picture, WallTime};

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
    bus: gst::Bus,
    converter: Option<Converter>,
    pace: Pace,
    clock: Clock,
}

impl Pipeline {
    fn open(opener: &Opener) -> Result<Self, CaptureError> {
        let pipeline = build(&opener.source)?;
        let sink = pipeline
            .by_name("frames")
            .and_then(|element| element.downcast::<AppSink>().ok())
            .ok_or_else(|| CaptureError::Source("the pipeline has no appsink".to_owned()))?;
        let live = opener.pace == Pace::Live;
        // Drop old when full: a frame is worth most when it is new. Counted as "received" less
        // "sampled" further on; this place only fills while one frame is being converted.
        sink.set_max_buffers(1);
        sink.set_drop(live);
        // Files have no clock of their own: the sink's keeps them at real time.
        sink.set_sync(live && matches!(opener.source, CameraSource::File(_)));
        let bus = pipeline
            .bus()
            .ok_or_else(|| CaptureError::Source("the pipeline has no bus".to_owned()))?;
        let source =
            Self { pipeline, sink, bus, converter: None, pace: opener.pace, clock: opener.clock };
        source.start()?;
        Ok(source)
    }

    fn start(&self) -> Result<(), CaptureError> {
        self.pipeline.set_state(gst::State::Playing).map(|_| ()).map_err(|error| {
            // The bus knows more than the state change.
            self.trouble().unwrap_or_else(|| CaptureError::Source(error.to_string()))
        })
    }

    /// The first error on the bus, if any.
    fn trouble(&self) -> Option<CaptureError> {
        let wanted = [gst::MessageType::Error, gst::MessageType::Element];
        let mut missing = None;
        while let Some(message) = self.bus.pop_filtered(&wanted) {
            match message.view() {
                gst::MessageView::Error(error) => {
                    return Some(missing.unwrap_or_else(|| {
                        CaptureError::Source(explain(&error.error(), error.debug().as_deref()))
                    }));
                }
                gst::MessageView::Element(element) => {
                    missing = missing.or_else(|| element.structure().and_then(missing_plugin));
                }
                _ => {}
            }
        }
        missing
    }

    fn read(
        &mut self,
        sample: &gst::Sample,
        sampler: &mut Sampler,
    ) -> Result<Pulled, CaptureError> {
        let broken = |what: &str| CaptureError::Source(format!("a frame without {what}"));
        let buffer = sample.buffer().ok_or_else(|| broken("data"))?;
        let now = self.clock.captured();
        let media = media_time(sample, buffer);
        if !sampler.keep(media.unwrap_or(now.at.0)) {
            return Ok(Pulled::Skipped);
        }
        let caps = sample.caps().ok_or_else(|| broken("a format"))?;
        let info = video::VideoInfo::from_caps(caps).map_err(|_| broken("a known format"))?;
        if self.converter.as_ref().is_none_or(|converter| converter.from != info) {
            self.converter = Some(Converter::new(info)?);
        }
        let Some(converter) = &self.converter else { return Err(broken("a converter")) };
        let picture = converter.convert(buffer)?;
        let captured = match (self.pace, media) {
            (Pace::AsFastAsPossible, Some(time)) => {
                Captured { at: Moment(time), time: WallTime(time.as_secs_f64()) }
            }
            _ => now,
        };
        Ok(Pulled::Frame(picture, captured))
    }
}

impl Source for Pipeline {
    fn pull(&mut self, timeout: Duration, sampler: &mut Sampler) -> Result<Pulled, CaptureError> {
        let timeout = gst::ClockTime::try_from(timeout).unwrap_or(gst::ClockTime::SECOND);
        if let Some(sample) = self.sink.try_pull_sample(timeout) {
            return self.read(&sample, sampler);
        }
        if let Some(error) = self.trouble() {
            return Err(error);
        }
        if self.sink.is_eos() { Err(CaptureError::End) } else { Ok(Pulled::Nothing) }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::warn!(%error, "the pipeline did not stop cleanly");
        }
    }
}

/// From the decoder's format to RGB of the same size.
struct Converter {
    from: video::VideoInfo,
    to: video::VideoInfo,
    convert: video::VideoConverter,
}

impl Converter {
    fn new(from: video::VideoInfo) -> Result<Self, CaptureError> {
        let cannot = |why: String| {
            let format = from.format();
            CaptureError::Source(format!("cannot convert {format} frames to RGB: {why}"))
        };
        // Only the format may differ: a converter refuses to change pace or interlacing.
        let to = video::VideoInfo::builder(video::VideoFormat::Rgb, from.width(), from.height())
            .fps(from.fps())
            .par(from.par())
            .interlace_mode(from.interlace_mode())
            .build()
            .map_err(|error| cannot(error.to_string()))?;
        let convert = video::VideoConverter::new(&from, &to, None)
            .map_err(|error| cannot(error.to_string()))?;
        Ok(Self { from, to, convert })
    }

    fn convert(&self, buffer: &gst::BufferRef) -> Result<Picture, CaptureError> {
        let broken = |what: &str| CaptureError::Source(format!("a frame {what}"));
        let from = video::VideoFrameRef::from_buffer_ref_readable(buffer, &self.from)
            .map_err(|_| broken("that is smaller than its format says"))?;
        let mut rgb =
            gst::Buffer::with_size(self.to.size()).map_err(|_| broken("too large for memory"))?;
        {
            let rgb = rgb.get_mut().ok_or_else(|| broken("that is shared"))?;
            let mut to = video::VideoFrameRef::from_buffer_ref_writable(rgb, &self.to)
                .map_err(|_| broken("that cannot be written"))?;
            self.convert.frame_ref(&from, &mut to);
        }
        let to = video::VideoFrameRef::from_buffer_ref_readable(&rgb, &self.to)
            .map_err(|_| broken("that cannot be read"))?;
        let stride = usize::try_from(self.to.stride()[0]).unwrap_or(0);
        let row = self.to.width() as usize * 3;
        let data = to.plane_data(0).map_err(|_| broken("without pixels"))?;
        let mut pixels = Vec::with_capacity(row * self.to.height() as usize);
        for line in data.chunks_exact(stride.max(1)).take(self.to.height() as usize) {
            pixels.extend_from_slice(&line[..row]);
        }
        Ok(Picture { width: self.to.width(), height: self.to.height(), rgb: pixels })
    }
}

/// Where in the media a frame belongs: its time stamp less what the container puts before the
/// start (edit lists, the delay of reordered frames).
fn media_time(sample: &gst::Sample, buffer: &gst::BufferRef) -> Option<Duration> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    segment.to_stream_time(buffer.pts()?).map(Duration::from)
}

/// The pipeline of a source, with a sink named "frames". Values are set as properties, never
/// pasted into the description: nothing in an address can become pipeline syntax, and no
/// password can turn up in an error message.
fn build(source: &CameraSource) -> Result<gst::Pipeline, CaptureError> {
    const SINK: &str = "appsink name=frames caps=video/x-raw";
    let head = match source {
        CameraSource::Rtsp { .. } => {
            // TCP: one lost UDP packet smears a picture until the next key frame.
            "rtspsrc name=source protocols=tcp latency=200 \
             ! application/x-rtp,media=video ! decodebin"
        }
        CameraSource::Http { .. } => "souphttpsrc name=source is-live=true ! decodebin",
        CameraSource::File(_) => "filesrc name=source ! decodebin",
        CameraSource::V4l2(_) => "v4l2src name=source ! decodebin",
        CameraSource::Test(_) => {
            "videotestsrc name=source is-live=true ! video/x-raw,width=640,height=480,framerate=25/1"
        }
    };
    let failed = |error: gst::glib::Error| CaptureError::Source(explain(&error, None));
    let pipeline = gst::parse::launch(&format!("{head} ! {SINK}"))
        .map_err(failed)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| CaptureError::Source("GStreamer made no pipeline".to_owned()))?;
    if let Some(element) = pipeline.by_name("source") {
        address(&element, source)?;
    }
    Ok(pipeline)
}

/// Points the source element at the camera.
fn address(element: &gst::Element, source: &CameraSource) -> Result<(), CaptureError> {
    let login = |user: &Option<String>, password: &Option<Secret>| {
        element.set_property("user-id", user);
        element.set_property("user-pw", password.as_ref().map(Secret::reveal));
    };
    match source {
        CameraSource::Rtsp { url, user, password } | CameraSource::Http { url, user, password } => {
            element.set_property("location", url);
            login(user, password);
        }
        CameraSource::File(path) => {
            if !path.is_file() {
                return Err(CaptureError::Source(format!("no file at {}", path.display())));
            }
            element.set_property("location", path);
        }
        CameraSource::V4l2(path) => {
            element.set_property("device", path.display().to_string());
        }
        CameraSource::Test(pattern) => {
            if !pattern.is_empty() {
                test_pattern(element, pattern)?;
            }
        }
    }
    Ok(())
}

fn test_pattern(element: &gst::Element, pattern: &str) -> Result<(), CaptureError> {
    let unknown = || CaptureError::Source(format!("test pattern {pattern:?} does not exist"));
    let class = element.find_property("pattern").ok_or_else(unknown)?;
    let class = gst::glib::EnumClass::with_type(class.value_type()).ok_or_else(unknown)?;
    let value = class.to_value_by_nick(pattern).ok_or_else(unknown)?;
    element.set_property_from_value("pattern", &value);
    Ok(())
}

/// GStreamer's words, with the part of its debug text that tells more.
fn explain(error: &gst::glib::Error, debug: Option<&str>) -> String {
    let text = error.message().trim_end_matches('.').to_owned();
    // The last line of the debug text is the cause ("Not Found (404)"); those before it name
    // source files of GStreamer.
    match debug.and_then(|debug| debug.lines().last()).map(str::trim) {
        Some(cause) if !cause.is_empty() && !cause.contains(".c(") => format!("{text}: {cause}"),
        _ => text,
    }
}

fn missing_plugin(structure: &gst::StructureRef) -> Option<CaptureError> {
    (structure.name() == "missing-plugin").then(|| {
        let name = structure.get::<String>("name").unwrap_or_else(|_| "an element".to_owned());
        CaptureError::Source(format!("GStreamer lacks {name}: install the plug-in package for it"))
    })
}
