//! An RTSP server of one stream that GStreamer makes as it goes: for what no file can be.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPAuth, RTSPMedia, RTSPMediaFactory, RTSPServer, RTSPToken};

/// A server of one stream; ends when dropped.
pub struct Server {
    pub port: u16,
    media: Arc<Mutex<Option<RTSPMedia>>>,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(launch: &str, configure: impl FnOnce(&RTSPServer, &RTSPMediaFactory)) -> Self {
        gst::init().unwrap();
        let context = glib::MainContext::new();
        let (server, factory) = (RTSPServer::new(), RTSPMediaFactory::new());
        factory.set_launch(launch);
        server.set_address("127.0.0.1");
        server.set_service("0");
        configure(&server, &factory);
        let media = Arc::<Mutex<Option<RTSPMedia>>>::default();
        let made = media.clone();
        factory.connect_media_configure(move |_, media| {
            *made.lock().unwrap() = Some(media.clone());
        });
        server.mount_points().unwrap().add_factory("/live", factory);
        server.attach(Some(&context)).unwrap();
        let port = u16::try_from(server.bound_port()).unwrap();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let running = main_loop.clone();
        let run = move || {
            context.with_thread_default(|| running.run()).unwrap();
            drop(server);
        };
        let thread = Builder::new().spawn(run).unwrap();
        Self { port, media, main_loop, thread: Some(thread) }
    }

    /// The part called `name` of what is being sent.
    pub fn part(&self, name: &str) -> gst::Element {
        let media = self.media.lock().unwrap().clone().expect("nobody has connected");
        media.element().downcast::<gst::Bin>().unwrap().by_name(name).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.main_loop.quit();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Lets those with this role in.
pub fn allow(factory: &RTSPMediaFactory, role: &str) {
    let rights = gst::Structure::builder(role)
        .field("media.factory.access", true)
        .field("media.factory.construct", true);
    factory.add_role_from_structure(&rights.build());
}

/// Lets in those who know the password, and nobody else.
pub fn require_login(server: &RTSPServer, factory: &RTSPMediaFactory, user: &str, password: &str) {
    let auth = RTSPAuth::new();
    let token = RTSPToken::builder().field("media.factory.role", user).build();
    auth.add_basic(&RTSPAuth::make_basic(user, password), &token);
    server.set_auth(Some(&auth));
    allow(factory, user);
}

/// Sets the clock of the stream that `payloader` sends back by `seconds`, from now on.
pub fn set_back(payloader: &gst::Element, seconds: u32) {
    let shift = move |packet: &mut gst::BufferRef| {
        let mut packet = packet.map_writable().unwrap();
        // RFC 3550, 5.1; video has 90,000 ticks a second.
        let stamp = u32::from_be_bytes(packet[4..8].try_into().unwrap());
        packet[4..8].copy_from_slice(&stamp.wrapping_sub(seconds * 90_000).to_be_bytes());
    };
    let both = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    let sent = payloader.static_pad("src").unwrap();
    sent.add_probe(both, move |_, probe| {
        match &mut probe.data {
            Some(gst::PadProbeData::Buffer(packet)) => shift(packet.make_mut()),
            Some(gst::PadProbeData::BufferList(packets)) => {
                packets.make_mut().foreach_mut(|mut packet, _| {
                    shift(packet.make_mut());
                    std::ops::ControlFlow::Continue(Some(packet))
                });
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}
