//! What went wrong, in words for people: GStreamer's messages, and frames that cannot be used.

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::capture::CaptureError;

/// A pipeline's messages. They are kept until somebody reads them, so somebody must.
#[derive(Debug)]
pub(super) struct Messages {
    bus: gst::Bus,
    /// A plug-in that something in the stream would need; only an error tells whether it is the
    /// video.
    missing: Option<String>,
}

impl Messages {
    pub(super) fn of(pipeline: &gst::Pipeline) -> Result<Self, CaptureError> {
        let bus = pipeline.bus();
        let bus = bus.ok_or_else(|| CaptureError::Source("a pipeline has no bus".to_owned()))?;
        Ok(Self { bus, missing: None })
    }

    /// The first error, if there is one; all messages before it are gone.
    pub(super) fn error(&mut self) -> Option<CaptureError> {
        let wanted = [gst::MessageType::Error, gst::MessageType::Element];
        while let Some(message) = self.bus.pop_filtered(&wanted) {
            match message.view() {
                gst::MessageView::Error(error) => {
                    let (error, debug) = (error.error(), error.debug());
                    let text = explain(&error, debug.as_deref());
                    if error.matches(gst::ResourceError::NotAuthorized) {
                        return Some(CaptureError::Refused(text));
                    }
                    return Some(CaptureError::Source(self.missing.take().unwrap_or(text)));
                }
                gst::MessageView::Element(element) if self.missing.is_none() => {
                    self.missing = element.structure().and_then(missing_plugin);
                }
                _ => {}
            }
        }
        None
    }
}

pub(super) fn broken(what: &str) -> CaptureError {
    CaptureError::Source(format!("a frame {what}"))
}

/// GStreamer's words, with the part of its debug text that tells more.
pub(super) fn explain(error: &gst::glib::Error, debug: Option<&str>) -> String {
    let text = error.message().trim_end_matches('.').to_owned();
    // The last line of the debug text is the cause ("Not Found (404)"); those before it name
    // source files of GStreamer.
    match debug.and_then(|debug| debug.lines().last()).map(str::trim) {
        // Nothing in it fits our end of the pipeline.
        Some(cause) if cause.ends_with("reason not-linked (-1)") => {
            "there is no video in it that can be used".to_owned()
        }
        Some(cause) if !cause.is_empty() && !cause.contains(".c(") => format!("{text}: {cause}"),
        _ => text,
    }
}

fn missing_plugin(structure: &gst::StructureRef) -> Option<String> {
    (structure.name() == "missing-plugin").then(|| {
        let name = structure.get::<String>("name").unwrap_or_else(|_| "an element".to_owned());
        format!("GStreamer lacks {name}: install the plug-in package for it")
    })
}
