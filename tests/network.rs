//! RTSP cameras as they are in the field, against a real server: codecs, transports, TLS, logins,
//! and streams beside the picture.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

#[path = "support/frames.rs"]
mod frames;
#[path = "support/live.rs"]
mod live;

use std::path::Path;

use frames::{frames, opener};
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPAuth, RTSPToken, gio};
use live::{Server, allow, require_login};
use seewhen::capture::CaptureError;
use seewhen::capture::gstreamer::Opener;
use seewhen::config::{CameraSource, Transport, parse_source};

/// The camera as a user would write it; `login` ends with '@' or is empty.
fn source(server: &Server, scheme: &str, login: &str) -> CameraSource {
    let address = format!("{scheme}://{login}127.0.0.1:{}/live", server.port);
    parse_source(&address, Path::new("")).unwrap()
}

const VIDEO: &str = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=10/1";
const H264: &str = "x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0";

fn h264() -> String {
    format!("( {VIDEO} ! {H264} )")
}

fn seen(opener: &Opener) -> usize {
    let (pictures, _) = frames(opener, 3).unwrap_or_else(|error| panic!("{opener:?}: {error}"));
    assert!(pictures.iter().all(|picture| (picture.width, picture.height) == (320, 240)));
    pictures.len()
}

#[test]
fn codecs_over_both_transports() {
    for pay in [
        H264,
        "x265enc tune=zerolatency key-int-max=10 ! rtph265pay name=pay0",
        "videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0",
    ] {
        let server = Server::start(&format!("( {VIDEO} ! {pay} )"), |_, _| {});
        let mut opener = opener(source(&server, "rtsp", ""));
        for transport in [Transport::Tcp, Transport::Udp] {
            opener.network.transport = transport;
            assert_eq!(seen(&opener), 3, "{pay} over {transport:?}");
        }
    }
}

#[test]
fn sound_and_metadata_are_left_aside() {
    let launch =
        format!("( audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay1 {VIDEO} ! {H264} )");
    let server = Server::start(&launch, |_, _| {});
    assert_eq!(seen(&opener(source(&server, "rtsp", ""))), 3);
    // Data, as ONVIF's, before the picture in the description.
    let launch = format!(
        "( audiotestsrc is-live=true ! rtpgstpay name=pay0 {VIDEO} ! {} )",
        H264.replace("pay0", "pay1")
    );
    let server = Server::start(&launch, |_, _| {});
    assert_eq!(seen(&opener(source(&server, "rtsp", ""))), 3);
}

#[test]
fn a_certificate_must_be_trusted_unless_told_otherwise() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/camera.pem");
    let server = Server::start(&h264(), |server, factory| {
        let auth = RTSPAuth::new();
        allow(factory, "anonymous");
        auth.set_tls_certificate(Some(&gio::TlsCertificate::from_file(&file).unwrap()));
        let token = RTSPToken::builder().field("media.factory.role", "anonymous").build();
        auth.set_default_token(Some(&mut token.clone()));
        server.set_auth(Some(&auth));
    });
    let mut opener = opener(source(&server, "rtsps", ""));
    let error = frames(&opener, 1).unwrap_err().to_string();
    assert!(error.contains("ertificate"), "{error}");
    assert!(error.contains("tls_verify"), "{error}");
    opener.network.tls_verify = false;
    assert_eq!(seen(&opener), 3);
}

#[test]
fn a_wrong_login_is_told_apart_from_a_lost_camera() {
    let server = Server::start(&h264(), |server, factory| {
        require_login(server, factory, "viewer", "right");
    });
    for login in ["", "viewer:wrong@"] {
        let error = frames(&opener(source(&server, "rtsp", login)), 1).unwrap_err();
        assert!(matches!(error, CaptureError::Refused(_)), "{login}: {error:?}");
        let text = error.to_string();
        assert!(text.starts_with("the camera refuses the login: "), "{text}");
        assert!(!text.contains("wrong") && !text.contains("viewer"), "{text}");
    }
    assert_eq!(seen(&opener(source(&server, "rtsp", "viewer:right@"))), 3);
}
