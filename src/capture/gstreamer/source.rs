//! The pipeline of a source: from its address to coded frames, or to raw ones where it has no
//! others.
//!
//! Values are set as properties, never pasted into the description: nothing in an address can
//! become pipeline syntax, and no password can turn up in an error message.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::OnceLock;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use url::Url;

use super::Pace;
use super::trouble::explain;
use crate::capture::CaptureError;
use crate::config::{CameraSource, Network, Secret, Transport};

/// Coded frames that wait for us at most: more than two seconds of them. Then the sender waits.
const WAITING: u32 = 64;

/// The pipeline of `source`, and its sink.
pub(super) fn build(
    source: &CameraSource,
    network: Network,
    pace: Pace,
) -> Result<(gst::Pipeline, AppSink), CaptureError> {
    let head = match source {
        CameraSource::Rtsp { .. } => {
            "rtspsrc name=source latency=200 ! application/x-rtp,media=video ! parsebin"
        }
        CameraSource::Http { .. } => "souphttpsrc name=source is-live=true ! parsebin",
        CameraSource::File(_) => "filesrc name=source ! parsebin",
        CameraSource::V4l2(_) => "v4l2src name=source ! parsebin",
        CameraSource::Test(_) => {
            "videotestsrc name=source is-live=true ! video/x-raw,width=640,height=480,framerate=25/1"
        }
    };
    let failed = |error: gst::glib::Error| CaptureError::Source(explain(&error, None));
    let pipeline = gst::parse::launch(&format!("{head} ! appsink name=frames"))
        .map_err(failed)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| CaptureError::Source("GStreamer made no pipeline".to_owned()))?;
    if let Some(element) = pipeline.by_name("source") {
        address(&element, source)?;
        reach(&element, source, network);
    }
    let sink = pipeline
        .by_name("frames")
        .and_then(|element| element.downcast::<AppSink>().ok())
        .ok_or_else(|| CaptureError::Source("the pipeline has no appsink".to_owned()))?;
    sink.set_caps(Some(decodable()));
    sink.set_max_buffers(WAITING);
    // Files have no clock of their own: the sink's keeps them at real time.
    sink.set_sync(pace == Pace::Live && matches!(source, CameraSource::File(_)));
    Ok((pipeline, sink))
}

/// For a source of raw frames, which is known when the first one comes: a raw frame is large, and
/// worth most when it is new. Coded ones are needed by those behind them.
pub(super) fn newest_only(sink: &AppSink, pace: Pace) {
    if sink.max_buffers() != 1 {
        sink.set_max_buffers(1);
        sink.set_drop(pace == Pace::Live);
    }
}

/// What can be decoded here, and raw frames.
fn decodable() -> &'static gst::Caps {
    static CAPS: OnceLock<gst::Caps> = OnceLock::new();
    CAPS.get_or_init(|| {
        let mut caps = gst::Caps::builder("video/x-raw").build();
        for factory in super::decoder::factories().iter() {
            for template in factory.static_pad_templates() {
                if template.direction() == gst::PadDirection::Sink {
                    caps.merge(template.caps());
                }
            }
        }
        caps
    })
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

/// How the camera is talked to.
fn reach(element: &gst::Element, source: &CameraSource, network: Network) {
    match source {
        CameraSource::Rtsp { .. } => {
            // By default TCP: one lost UDP packet smears a picture until the next key frame.
            let protocols = match network.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            };
            element.set_property_from_str("protocols", protocols);
            let patience = u64::try_from(network.patience.as_micros()).unwrap_or(u64::MAX);
            element.set_property("tcp-timeout", patience);
            if !network.tls_verify {
                element.set_property_from_str("tls-validation-flags", "no-flags");
            }
        }
        CameraSource::Http { .. } => element.set_property("ssl-strict", network.tls_verify),
        CameraSource::File(_) | CameraSource::V4l2(_) | CameraSource::Test(_) => {}
    }
}

/// How long a camera that could not be reached is asked once more, to learn why.
const ASK: Duration = Duration::from_secs(2);

/// Why there is no connection to `source`, where GStreamer only says `text`.
pub(super) fn unreachable(source: &CameraSource, network: Network, text: String) -> String {
    if let Some(obstacle) = obstacle(source) {
        return obstacle;
    }
    let encrypted = matches!(source, CameraSource::Rtsp { url, .. } if url.starts_with("rtsps:"));
    if !(encrypted && network.tls_verify) {
        return text;
    }
    format!(
        "{text}; if the camera is there, its certificate may be one that the system does not \
         trust: tls_verify = false takes any"
    )
}

/// What is wrong with the way to `source`, if anything.
fn obstacle(source: &CameraSource) -> Option<String> {
    let (CameraSource::Rtsp { url, .. } | CameraSource::Http { url, .. }) = source else {
        return None;
    };
    let url = Url::parse(url).ok()?;
    let default = match url.scheme() {
        "rtsp" => 554,
        "rtsps" => 322,
        _ => url.port_or_known_default()?,
    };
    let (host, port) = (url.host_str()?, url.port().unwrap_or(default));
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let place = match (plain, port).to_socket_addrs() {
        Ok(mut places) => places.next()?,
        Err(error) => return Some(format!("the host {host} is not known: {error}")),
    };
    let error = TcpStream::connect_timeout(&place, ASK).err()?;
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("{host} is there, and nothing listens on its port {port}")
        }
        ErrorKind::TimedOut => format!("{host} does not answer on port {port}"),
        _ => format!("no way to {host}, port {port}: {error}"),
    })
}

fn test_pattern(element: &gst::Element, pattern: &str) -> Result<(), CaptureError> {
    let unknown = || CaptureError::Source(format!("test pattern {pattern:?} does not exist"));
    let class = element.find_property("pattern").ok_or_else(unknown)?;
    let class = gst::glib::EnumClass::with_type(class.value_type()).ok_or_else(unknown)?;
    let value = class.to_value_by_nick(pattern).ok_or_else(unknown)?;
    element.set_property_from_value("pattern", &value);
    Ok(())
}
