//! A real RTSP camera that plays video files, for tests and the demo.
//!
//! A file is read once into memory as H.264 access units: as they are when the file holds H.264,
//! else encoded once, at full size. Each client session then gets them at the pace of the file,
//! loop after loop, with time stamps that only grow: a seeking or restarting pipeline would show
//! the client a gap or an end at every seam.
//!
//! Owns one main loop thread and one feeder thread per playing mount; both end when the `Server`
//! is dropped. The clip starts anew when the first client of a mount connects; later clients share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use gstreamer::prelude::*;
use gstreamer::{self as gst, glib};
use gstreamer_app as gst_app;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPFilterResult, RTSPMedia, RTSPMediaFactory, RTSPServer};

/// Longest wait for the next frame while a file is read; an encoder needs a moment to start.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The start of one loop of one mount: what a viewer needs to know the position in the clip.
#[derive(Debug, Clone)]
pub(crate) struct LoopStart {
    pub(crate) mount: String,
    /// Counts from 1 since the first client of this mount connected.
    pub(crate) number: u32,
    pub(crate) at: SystemTime,
}

type OnLoop = Arc<dyn Fn(LoopStart) + Send + Sync>;

/// A running server on 127.0.0.1; dropping it disconnects every client.
pub(crate) struct Server {
    server: RTSPServer,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Serves each `(name, file)` as `rtsp://127.0.0.1:port/name`; port 0 takes a free one.
    pub(crate) fn start(
        port: u16,
        mounts: &[(String, PathBuf)],
        on_loop: impl Fn(LoopStart) + Send + Sync + 'static,
    ) -> Result<Self> {
        gst::init()?;
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let server = RTSPServer::new();
        let stop = Arc::new(AtomicBool::new(false));
        let on_loop: OnLoop = Arc::new(on_loop);
        server.set_address("127.0.0.1");
        server.set_service(&port.to_string());
        let points = server.mount_points().context("the RTSP server has no mount points")?;
        for (name, file) in mounts {
            let clip = Clip::load(file).with_context(|| format!("reading {}", file.display()))?;
            let player = Player {
                mount: name.clone(),
                clip: Arc::new(clip),
                stop: Arc::clone(&stop),
                on_loop: Arc::clone(&on_loop),
            };
            points.add_factory(&format!("/{name}"), player.into_factory());
        }
        server.attach(Some(&context)).with_context(|| format!("listening on port {port}"))?;
        let running = main_loop.clone();
        let thread = Builder::new().name("rtsp-server".into()).spawn(move || {
            if context.with_thread_default(|| running.run()).is_err() {
                unreachable!("the context was made for this thread");
            }
        })?;
        Ok(Self { server, main_loop, thread: Some(thread), stop })
    }

    pub(crate) fn port(&self) -> u16 {
        // Zero once it is closed, which it is not before the drop.
        u16::try_from(self.server.bound_port()).unwrap_or_default()
    }

    pub(crate) fn url(&self, mount: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{mount}", self.port())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.server.client_filter(Some(&mut |_, _| RTSPFilterResult::Remove));
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed already.
            drop(thread.join());
        }
    }
}

/// One mount: a clip and who is told about its loops.
#[derive(Clone)]
struct Player {
    mount: String,
    clip: Arc<Clip>,
    stop: Arc<AtomicBool>,
    on_loop: OnLoop,
}

impl Player {
    fn into_factory(self) -> RTSPMediaFactory {
        let factory = RTSPMediaFactory::new();
        factory.set_shared(true);
        factory.set_launch("( appsrc name=feed is-live=true format=time ! rtph264pay name=pay0 )");
        factory.connect_media_configure(move |_, media| {
            if let Err(error) = self.clone().play_into(media) {
                // The client's DESCRIBE fails then.
                let text = format!("{}: {error:#}", self.mount);
                gst::element_error!(media.element(), gst::CoreError::Failed, ["{text}"]);
            }
        });
        factory
    }

    fn play_into(self, media: &RTSPMedia) -> Result<()> {
        let feed = media.element().downcast::<gst::Bin>().ok().and_then(|bin| bin.by_name("feed"));
        let feed = feed.and_then(|element| element.downcast::<gst_app::AppSrc>().ok());
        let feed = feed.context("the RTSP media has no appsrc")?;
        feed.set_caps(Some(&self.clip.caps));
        // Detached: it ends when the media is torn down, since pushing fails then.
        drop(Builder::new().name(format!("rtsp-{}", self.mount)).spawn(move || self.play(&feed))?);
        Ok(())
    }

    fn play(&self, feed: &gst_app::AppSrc) {
        let Some(zero) = self.first_running_time(feed) else { return };
        let start = Instant::now();
        for number in 1.. {
            let begin = self.clip.length * u64::from(number - 1);
            self.wait_until(start + Duration::from(begin));
            let mount = self.mount.clone();
            (self.on_loop)(LoopStart { mount, number, at: SystemTime::now() });
            for unit in &self.clip.units {
                self.wait_until(start + Duration::from(begin + unit.due));
                let mut buffer = unit.buffer.copy();
                let stamped = buffer.make_mut();
                stamped.set_pts(zero + begin + unit.shown);
                stamped.set_dts(zero + begin + unit.due);
                if self.stop.load(Ordering::Relaxed) || feed.push_buffer(buffer).is_err() {
                    return;
                }
            }
        }
    }

    /// The pipeline gets its clock a moment after it was configured, and its base time another
    /// moment later: without that the running time would be the clock's, hours ahead.
    fn first_running_time(&self, feed: &gst_app::AppSrc) -> Option<gst::ClockTime> {
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience && !self.stop.load(Ordering::Relaxed) {
            let started = feed.base_time().is_some_and(|base| base > gst::ClockTime::ZERO);
            if let (true, Some(now)) = (started, feed.current_running_time()) {
                return Some(now);
            }
            sleep(Duration::from_millis(2));
        }
        None
    }

    fn wait_until(&self, moment: Instant) {
        sleep(moment.saturating_duration_since(Instant::now()));
    }
}

/// One H.264 access unit and its place in the clip.
struct Unit {
    buffer: gst::Buffer,
    /// When it is sent, from the clip's start (decoding order).
    due: gst::ClockTime,
    /// When it is shown, from the clip's start; never before it was sent.
    shown: gst::ClockTime,
}

struct Clip {
    caps: gst::Caps,
    units: Vec<Unit>,
    length: gst::ClockTime,
}

impl Clip {
    fn load(file: &Path) -> Result<Self> {
        let pipeline = reading_pipeline(file)?;
        let sink = pipeline.by_name("out").and_then(|e| e.downcast::<gst_app::AppSink>().ok());
        let sink = sink.context("no appsink")?;
        let started = pipeline.set_state(gst::State::Playing);
        let samples = read_all(&pipeline, &sink);
        pipeline.set_state(gst::State::Null)?;
        let samples = samples?; // says more than the failed state change
        started?;
        Self::from_samples(&samples)
    }

    fn from_samples(samples: &[gst::Sample]) -> Result<Self> {
        let caps = samples.first().and_then(|sample| sample.caps()).context("no video in it")?;
        let stamps = samples.iter().map(stamps).collect::<Option<Vec<_>>>();
        let stamps = stamps.context("frames without time stamps")?;
        let first_sent = stamps[0].0;
        let first_shown = stamps.iter().map(|&(_, pts)| pts).min().unwrap_or_default();
        let due = |dts: gst::ClockTime| dts.saturating_sub(first_sent);
        let shown = |pts: gst::ClockTime| pts.saturating_sub(first_shown);
        // With B frames the order of sending is not that of showing: show all a little later.
        let lead = stamps.iter().map(|&(dts, pts)| due(dts).saturating_sub(shown(pts))).max();
        let lead = lead.unwrap_or_default();
        let last = stamps.iter().map(|&(_, pts)| shown(pts)).max().unwrap_or_default();
        let frames_after_first = stamps.len() as u64 - 1;
        ensure!(frames_after_first > 0 && last > gst::ClockTime::ZERO, "a single frame is no clip");
        let unit = |(sample, &(dts, pts)): (&gst::Sample, &(gst::ClockTime, gst::ClockTime))| {
            let buffer = sample.buffer_owned()?;
            Some(Unit { buffer, due: due(dts), shown: shown(pts) + lead })
        };
        let units = samples.iter().zip(&stamps).filter_map(unit).collect();
        // The last frame lasts as long as the average one.
        let length = last + last / frames_after_first;
        Ok(Self { caps: caps.to_owned(), units, length })
    }
}

/// Decoding and presentation time of one access unit.
fn stamps(sample: &gst::Sample) -> Option<(gst::ClockTime, gst::ClockTime)> {
    let buffer = sample.buffer()?;
    let pts = buffer.pts().or(buffer.dts())?;
    Some((buffer.dts().unwrap_or(pts), pts))
}

/// `decodebin` stops at H.264 where the file holds it, and decodes everything else.
fn reading_pipeline(file: &Path) -> Result<gst::Pipeline> {
    let pipeline = gst::parse::launch(
        "filesrc name=file ! decodebin name=parts caps=\"video/x-h264;video/x-raw\" \
         appsink name=out sync=false max-buffers=16 \
         caps=\"video/x-h264,stream-format=byte-stream,alignment=au\"",
    )?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().ok().context("not a pipeline")?;
    let part = |name: &str| pipeline.by_name(name).with_context(|| format!("no {name}"));
    let (parts, out) = (part("parts")?, part("out")?);
    part("file")?.set_property("location", file);
    let weak = pipeline.downgrade();
    parts.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else { return };
        if let Err(error) = link_video(&pipeline, pad, &out) {
            let text = format!("{error:#}");
            gst::element_error!(pipeline, gst::CoreError::Pad, ["{text}"]);
        }
    });
    Ok(pipeline)
}

fn link_video(pipeline: &gst::Pipeline, pad: &gst::Pad, out: &gst::Element) -> Result<()> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let kind = caps.structure(0).map(|s| s.name().to_string()).unwrap_or_default();
    // config-interval=-1 repeats the parameter sets at every key frame, so that a client can join
    // at any of them. The payloader would put them before every slice, which breaks such frames.
    let chain = match kind.as_str() {
        "video/x-h264" => "h264parse config-interval=-1",
        "video/x-raw" => {
            "videoconvert ! video/x-raw,format=I420 ! x264enc pass=qual quantizer=21 \
             speed-preset=veryfast bframes=0 key-int-max=30 ! h264parse config-interval=-1"
        }
        _ => return Ok(()),
    };
    let sink = out.static_pad("sink").context("no sink pad")?;
    if sink.is_linked() {
        return Ok(()); // a second video track: the first one is the clip
    }
    let chain = gst::parse::bin_from_description(chain, true)?;
    pipeline.add(&chain)?;
    chain.link(out)?;
    chain.sync_state_with_parent()?;
    pad.link(&chain.static_pad("sink").context("no sink pad")?)?;
    Ok(())
}

fn read_all(pipeline: &gst::Pipeline, sink: &gst_app::AppSink) -> Result<Vec<gst::Sample>> {
    let bus = pipeline.bus().context("no bus")?;
    let mut samples = Vec::new();
    let mut newest = Instant::now();
    while !sink.is_eos() {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
            samples.push(sample);
            newest = Instant::now();
            continue;
        }
        let message = bus.pop_filtered(&[gst::MessageType::Error]);
        if let Some(gst::MessageView::Error(error)) = message.as_ref().map(|m| m.view()) {
            bail!("{} ({})", error.error(), error.debug().unwrap_or_default());
        }
        ensure!(newest.elapsed() < READ_TIMEOUT, "no frame within {READ_TIMEOUT:?}");
    }
    Ok(samples)
}
