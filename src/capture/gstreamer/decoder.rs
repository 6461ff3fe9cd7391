//! A decoder that the capture thread feeds by hand, and the choice among those there are.
//!
//! Coded frames are pushed from our own thread, so a frame that nobody needs costs nothing, what
//! a camera's decoding costs is that thread's time, and there is no thread that works ahead. Owns
//! a small pipeline of the decoder and its sink; dropping it ends both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;

use super::Pace;
use super::trouble::Messages;
use crate::capture::CaptureError;
use crate::model::DecoderChoice;

/// Hardware that takes this many frames and gives none has failed: four times what H.264 and H.265
/// let a decoder hold back.
const STARVED: u32 = 64;
/// What it means to be emptied without giving anything, in frames.
const EMPTIED: u32 = 16;
/// Failures of hardware further apart than this are not held against it.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Which decoders one camera may use, and what became of the hardware among them. Its copies share
/// what they know, from one life of the source to the next.
#[derive(Debug, Clone)]
pub struct Decoders {
    choice: DecoderChoice,
    hardware: Arc<Mutex<Hardware>>,
}

#[derive(Debug, Default)]
struct Hardware {
    failed: Option<Instant>,
    /// Why it is not used any more.
    given_up: Option<Arc<str>>,
}

impl Decoders {
    pub fn new(choice: DecoderChoice) -> Self {
        Self { choice, hardware: Arc::default() }
    }

    /// A decoder for streams of `caps`: the best there is of those that may be used.
    pub(super) fn open(&self, caps: &gst::CapsRef, pace: Pace) -> Result<Decoder, CaptureError> {
        let factory = self.pick(caps).ok_or_else(|| self.none(caps))?;
        match Decoder::new(&factory, caps, pace) {
            Err(error) if is_hardware(&factory) && self.forgive(&error) => self.open(caps, pace),
            opened => opened,
        }
    }

    fn pick(&self, caps: &gst::CapsRef) -> Option<gst::ElementFactory> {
        let given_up = self.note().is_some();
        let allowed = |factory: &gst::ElementFactory| match self.choice {
            DecoderChoice::Auto => !(given_up && is_hardware(factory)),
            DecoderChoice::Software => !is_hardware(factory),
            DecoderChoice::Nvcodec => comes_from(factory, &["nvcodec"]),
            DecoderChoice::Va => comes_from(factory, &["va", "vaapi"]),
            DecoderChoice::V4l2 => comes_from(factory, &["video4linux2", "v4l2codecs"]),
        };
        let found = factories().into_iter();
        let mut usable: Vec<_> =
            found.filter(|factory| factory.can_sink_any_caps(caps) && allowed(factory)).collect();
        // Stable: among hardware and among software GStreamer's own order holds.
        usable.sort_by_key(|factory| !is_hardware(factory));
        usable.into_iter().next()
    }

    /// Hardware failed with `error`: whether to go on, once more with it or then without it. Not
    /// when the configuration insists on it.
    pub(super) fn forgive(&self, error: &CaptureError) -> bool {
        if self.choice != DecoderChoice::Auto {
            return false;
        }
        let mut hardware = self.hardware.lock().unwrap_or_else(PoisonError::into_inner);
        if hardware.failed.is_none_or(|failed| failed.elapsed() > FORGOTTEN) {
            tracing::warn!(%error, "hardware decoding failed; it is tried once more");
            hardware.failed = Some(Instant::now());
        } else if hardware.given_up.is_none() {
            let note = format!("hardware decoding failed, decoding in software: {error}");
            tracing::error!("{note}");
            hardware.given_up = Some(note.into());
        }
        true
    }

    /// Why hardware is not used any more.
    pub(super) fn note(&self) -> Option<Arc<str>> {
        self.hardware.lock().unwrap_or_else(PoisonError::into_inner).given_up.clone()
    }

    fn none(&self, caps: &gst::CapsRef) -> CaptureError {
        let kind = codec(caps);
        CaptureError::Source(match self.choice {
            DecoderChoice::Auto | DecoderChoice::Software => format!(
                "GStreamer has no decoder for {kind}: install gstreamer1.0-libav or the plug-in \
                 package for it"
            ),
            choice => format!(
                "decoder = {:?}: there is no such decoder for {kind} here; the device, its driver \
                 or the plug-in package (gstreamer1.0-plugins-bad) is missing",
                choice.word()
            ),
        })
    }
}

/// Every decoder of video or pictures that is installed, best first. Hardware counts whatever its
/// rank: it is there only where its device is.
pub(super) fn factories() -> Vec<gst::ElementFactory> {
    use gst::ElementFactoryType as Kind;
    let kind = Kind::DECODER | Kind::MEDIA_VIDEO | Kind::MEDIA_IMAGE;
    let all = gst::ElementFactory::factories_with_type(kind, gst::Rank::NONE);
    let usable = |factory: &gst::ElementFactory| {
        factory.rank() >= gst::Rank::MARGINAL || is_hardware(factory)
    };
    all.into_iter().filter(usable).collect()
}

fn is_hardware(factory: &gst::ElementFactory) -> bool {
    factory.klass().contains("Hardware")
}

fn comes_from(factory: &gst::ElementFactory, plugins: &[&str]) -> bool {
    factory.plugin_name().is_some_and(|name| plugins.contains(&name.as_str()))
}

pub(super) struct Decoder {
    pipeline: gst::Pipeline,
    feed: gst::Pad,
    sink: AppSink,
    messages: Messages,
    codec: String,
    name: Arc<str>,
    hardware: bool,
    /// Frames that went in since the last one came out.
    owed: u32,
    caps: Option<gst::Caps>,
    segment: Option<gst::Segment>,
}

impl Decoder {
    fn new(
        factory: &gst::ElementFactory,
        caps: &gst::CapsRef,
        pace: Pace,
    ) -> Result<Self, CaptureError> {
        let failed =
            |error: gst::glib::BoolError| CaptureError::Source(format!("decoding: {error}"));
        let decoder = factory.create().name("decoder").build().map_err(failed)?;
        if pace == Pace::Live {
            // More threads would hold as many frames back, and take memory for each.
            single_threaded(&decoder);
        }
        let raw = gst::Caps::new_empty_simple("video/x-raw");
        // As many frames as one pushed frame may bring, and no waiting: our own thread empties it.
        let sink =
            AppSink::builder().caps(&raw).sync(false).async_(false).wait_on_eos(false).build();
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([&decoder, sink.upcast_ref()]).map_err(failed)?;
        decoder.link(&sink).map_err(failed)?;
        let messages = Messages::of(&pipeline)?;
        let feed = gst::Pad::builder(gst::PadDirection::Src).name("feed").build();
        let into = decoder.static_pad("sink").ok_or_else(|| lacking(factory))?;
        feed.set_active(true).map_err(failed)?;
        feed.link(&into).map_err(|error| CaptureError::Source(format!("decoding: {error}")))?;
        let mut new = Self {
            pipeline,
            feed,
            sink,
            messages,
            codec: codec(caps).to_owned(),
            name: factory.name().as_str().into(),
            hardware: is_hardware(factory),
            owed: 0,
            caps: None,
            segment: None,
        };
        if let Err(error) = new.pipeline.set_state(gst::State::Playing) {
            return Err(new.reason(&error));
        }
        new.feed.push_event(gst::event::StreamStart::new("camera"));
        tracing::debug!(decoder = %factory.name(), "decoding");
        Ok(new)
    }

    /// Whether it can go on with a stream of `caps`.
    pub(super) fn takes(&self, caps: &gst::CapsRef) -> bool {
        self.codec == codec(caps)
    }

    /// Decodes one coded frame; what comes out is for [`pull`](Self::pull).
    pub(super) fn push(&mut self, sample: &gst::Sample) -> Result<(), CaptureError> {
        self.announce(sample);
        let Some(buffer) = sample.buffer_owned() else { return Ok(()) };
        self.feed.push(buffer).map_err(|error| self.reason(&error))?;
        self.owed += 1;
        if self.hardware && self.owed > STARVED {
            return Err(CaptureError::Source(format!("{} gives no frames", self.name)));
        }
        Ok(())
    }

    /// Tells the decoder what comes: once, and again when it changes.
    fn announce(&mut self, sample: &gst::Sample) {
        let caps = sample.caps_owned();
        if caps.is_some() && caps != self.caps {
            if let Some(caps) = &caps {
                self.feed.push_event(gst::event::Caps::new(caps));
            }
            self.caps = caps;
        }
        let segment = sample.segment().cloned();
        if segment.is_some() && segment != self.segment {
            if let Some(segment) = &segment {
                self.feed.push_event(gst::event::Segment::new(segment));
            }
            self.segment = segment;
        }
    }

    /// Gets everything out of the decoder. It needs a key frame next.
    pub(super) fn drain(&mut self) -> Result<(), CaptureError> {
        // What a decoder does at the start of another stream; a gap would not make it do so.
        self.feed.push_event(gst::event::StreamStart::new("camera"));
        (self.caps, self.segment) = (None, None);
        self.owed += EMPTIED;
        // Every such start is a message too.
        self.messages.error().map_or(Ok(()), Err)
    }

    /// The same at the end of everything.
    pub(super) fn finish(&self) {
        self.feed.push_event(gst::event::Eos::new());
    }

    /// The next decoded frame, if there is one.
    pub(super) fn pull(&mut self) -> Option<gst::Sample> {
        let sample = self.sink.try_pull_sample(gst::ClockTime::ZERO)?;
        self.owed = 0;
        Some(sample)
    }

    /// GStreamer's name of it.
    pub(super) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    pub(super) fn hardware(&self) -> bool {
        self.hardware
    }

    fn reason(&mut self, error: &dyn std::fmt::Display) -> CaptureError {
        let plain = || CaptureError::Source(format!("the video cannot be decoded: {error}"));
        self.messages.error().unwrap_or_else(plain)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::warn!(%error, "the decoder did not stop cleanly");
        }
    }
}

fn single_threaded(decoder: &gst::Element) {
    for name in ["max-threads", "n-threads", "threads"] {
        if let Some(property) = decoder.find_property(name) {
            match property.value_type() {
                gst::glib::Type::I32 => decoder.set_property(name, 1_i32),
                gst::glib::Type::U32 => decoder.set_property(name, 1_u32),
                _ => {}
            }
        }
    }
}

/// The name of the format: "video/x-h264".
pub(super) fn codec(caps: &gst::CapsRef) -> &str {
    caps.structure(0).map_or("this", |one| one.name().as_str())
}

fn lacking(factory: &gst::ElementFactory) -> CaptureError {
    CaptureError::Source(format!("the decoder {} cannot be used", factory.name()))
}
