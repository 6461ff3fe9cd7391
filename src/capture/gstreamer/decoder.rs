//! A decoder that the capture thread feeds by hand.
//!
//! Coded frames are pushed from our own thread, so a frame that nobody needs costs nothing, what
//! a camera's decoding costs is that thread's time, and there is no thread that works ahead. Owns
//! a small pipeline of the decoder and its sink; dropping it ends both.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;

use super::{Pace, trouble};
use crate::capture::CaptureError;

pub(super) struct Decoder {
    pipeline: gst::Pipeline,
    feed: gst::Pad,
    sink: AppSink,
    bus: gst::Bus,
    codec: String,
    caps: Option<gst::Caps>,
    segment: Option<gst::Segment>,
}

/// Every decoder of video or pictures that is installed, best first.
pub(super) fn factories() -> gst::glib::List<gst::ElementFactory> {
    use gst::ElementFactoryType as Kind;
    let kind = Kind::DECODER | Kind::MEDIA_VIDEO | Kind::MEDIA_IMAGE;
    gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL)
}

impl Decoder {
    /// A decoder for streams of `caps`.
    pub(super) fn new(caps: &gst::CapsRef, pace: Pace) -> Result<Self, CaptureError> {
        let factory = factories()
            .into_iter()
            .find(|factory| factory.can_sink_any_caps(caps))
            .ok_or_else(|| no_decoder(caps))?;
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
        let bus = pipeline.bus().ok_or_else(|| no_decoder(caps))?;
        let feed = gst::Pad::builder(gst::PadDirection::Src).name("feed").build();
        let into = decoder.static_pad("sink").ok_or_else(|| no_decoder(caps))?;
        feed.set_active(true).map_err(failed)?;
        feed.link(&into).map_err(|error| CaptureError::Source(format!("decoding: {error}")))?;
        let new = Self { pipeline, feed, sink, bus, codec: codec(caps), caps: None, segment: None };
        new.pipeline.set_state(gst::State::Playing).map_err(|error| new.reason(&error))?;
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
        match self.feed.push(buffer) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.reason(&error)),
        }
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
    pub(super) fn drain(&mut self) {
        // What a decoder does at the start of another stream; a gap would not make it do so.
        self.feed.push_event(gst::event::StreamStart::new("camera"));
        (self.caps, self.segment) = (None, None);
    }

    /// The same at the end of everything.
    pub(super) fn finish(&self) {
        self.feed.push_event(gst::event::Eos::new());
    }

    /// The next decoded frame, if there is one.
    pub(super) fn pull(&self) -> Option<gst::Sample> {
        self.sink.try_pull_sample(gst::ClockTime::ZERO)
    }

    fn reason(&self, error: &dyn std::fmt::Display) -> CaptureError {
        let plain = || CaptureError::Source(format!("the video cannot be decoded: {error}"));
        trouble(&self.bus).unwrap_or_else(plain)
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
pub(super) fn codec(caps: &gst::CapsRef) -> String {
    caps.structure(0).map_or("this", |one| one.name().as_str()).to_owned()
}

fn no_decoder(caps: &gst::CapsRef) -> CaptureError {
    let kind = codec(caps);
    CaptureError::Source(format!(
        "GStreamer has no decoder for {kind}: install gstreamer1.0-libav or the plug-in package \
         for it"
    ))
}
