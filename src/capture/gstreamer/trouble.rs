//! What went wrong, in words for people: GStreamer's messages, and frames that cannot be used.

use gstreamer as gst;

use crate::capture::CaptureError;

/// The first error on the bus, if any.
pub(super) fn trouble(bus: &gst::Bus) -> Option<CaptureError> {
    let wanted = [gst::MessageType::Error, gst::MessageType::Element];
    let mut missing = None;
    while let Some(message) = bus.pop_filtered(&wanted) {
        match message.view() {
            gst::MessageView::Error(error) => {
                let (error, debug) = (error.error(), error.debug());
                let text = explain(&error, debug.as_deref());
                let refused = error.matches(gst::ResourceError::NotAuthorized);
                let kind = if refused { CaptureError::Refused } else { CaptureError::Source };
                return Some(missing.unwrap_or_else(|| kind(text)));
            }
            gst::MessageView::Element(element) => {
                missing = missing.or_else(|| element.structure().and_then(missing_plugin));
            }
            _ => {}
        }
    }
    missing
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

fn missing_plugin(structure: &gst::StructureRef) -> Option<CaptureError> {
    (structure.name() == "missing-plugin").then(|| {
        let name = structure.get::<String>("name").unwrap_or_else(|_| "an element".to_owned());
        CaptureError::Source(format!("GStreamer lacks {name}: install the plug-in package for it"))
    })
}
