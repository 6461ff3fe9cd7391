//! An RTSP server of one stream that GStreamer makes as it goes: for what no file can be.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::thread::{Builder, JoinHandle};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPAuth, RTSPMediaFactory, RTSPServer, RTSPToken};

/// A server of one stream; ends when dropped.
pub struct Server {
    pub port: i32,
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
        server.mount_points().unwrap().add_factory("/live", factory);
        server.attach(Some(&context)).unwrap();
        let (port, main_loop) = (server.bound_port(), glib::MainLoop::new(Some(&context), false));
        let running = main_loop.clone();
        let run = move || {
            context.with_thread_default(|| running.run()).unwrap();
            drop(server);
        };
        let thread = Builder::new().spawn(run).unwrap();
        Self { port, main_loop, thread: Some(thread) }
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
