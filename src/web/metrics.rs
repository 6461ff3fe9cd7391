//! `/metrics`: everything that is counted, for Prometheus.

mod text;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::text::{Kind, Labels, Text};
use super::{Shared, Web, health, views};
use crate::model::{CameraId, DecodeStrategy, LabelKey, ProblemKind};
use crate::publish::payload::seconds;
use crate::status::board::Camera;
use crate::status::{CameraCounts, Stage};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Everything that is counted, for Prometheus.
#[utoipa::path(get, path = "/metrics",
    responses((status = 200, content_type = "text/plain; version=0.0.4", body = String)))]
async fn metrics(State(web): State<Shared>) -> Response {
    let mut text = Text::default();
    node(&web, &mut text);
    stages(&web, &mut text);
    cameras(&web, &mut text);
    labels(&web, &mut text);
    process(&mut text);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text.finish()).into_response()
}

fn node(web: &Web, text: &mut Text) {
    let status = &web.status;
    let (told, _) = status.board().told();
    let model = status.board().set().map(|set| set.model.to_string()).unwrap_or_default();
    let on = status.runs_on();
    let (provider, precision) = on.map(|on| (on.provider, on.precision)).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let about: Labels<'_> = &[
        ("version", version),
        ("node", web.node.as_str()),
        ("model", &model),
        ("provider", &provider),
        ("precision", &precision),
    ];
    let mut gauge = |name, help, value: f64| {
        text.metric(name, Kind::Gauge, help).sample(&[], value);
    };
    gauge(
        "seewhen_broker_connected",
        "Whether the MQTT broker is connected.",
        flag(told.connected),
    );
    gauge("seewhen_outbox_events", "Events that wait for the broker.", told.outbox as f64);
    gauge("seewhen_history_up", "Whether events are kept.", flag(told.history.is_none()));
    gauge("seewhen_snapshots_up", "Whether pictures are kept.", flag(told.snapshots.is_none()));
    let trouble = web.tally.trouble();
    gauge("seewhen_embeddings_up", "Whether embeddings are kept.", flag(trouble.is_none()));
    if let Some(since) = status.since_turn() {
        let help = "Time since the inference loop came round.";
        gauge("seewhen_inference_idle_seconds", help, since.as_secs_f64());
    }
    let help = "What runs, as labels; always 1.";
    text.metric("seewhen_build_info", Kind::Gauge, help).sample(about, 1.0);
    let (batches, encoded) = status.encoded();
    let help = "Batches that went through the model.";
    text.metric("seewhen_batches_total", Kind::Counter, help).sample(&[], batches as f64);
    let help = "Pictures that went through the model; with tiles a frame has several.";
    text.metric("seewhen_pictures_encoded_total", Kind::Counter, help).sample(&[], encoded as f64);
    let help = "Frames whose embeddings are in the history.";
    let kept = web.tally.kept() as f64;
    text.metric("seewhen_embeddings_kept_total", Kind::Counter, help).sample(&[], kept);
    let help = "Frames whose embeddings could not be kept.";
    let lost = web.tally.lost() as f64;
    text.metric("seewhen_embeddings_lost_total", Kind::Counter, help).sample(&[], lost);
    let help = "Commands, by what became of them.";
    let mut commands = text.metric("seewhen_commands_total", Kind::Counter, help);
    for (outcome, count) in status.commands() {
        commands.sample(&[("outcome", outcome)], count as f64);
    }
}

/// What a stage's times are called.
fn times(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Waiting => {
            ("seewhen_frame_wait_seconds", "Time from a frame's capture to the start of its batch.")
        }
        Stage::Preprocess => {
            ("seewhen_preprocess_seconds", "Time of a batch from pixels to the model's input.")
        }
        Stage::Model => ("seewhen_inference_seconds", "Time of a batch in the model."),
        Stage::Delivered => (
            "seewhen_event_delivery_seconds",
            "Time from a frame's capture to the broker's confirmation of its event.",
        ),
    }
}

fn stages(web: &Web, text: &mut Text) {
    for stage in Stage::ALL {
        let (name, help) = times(stage);
        text.metric(name, Kind::Histogram, help).spread(&[], &web.status.spread(stage));
    }
}

type Count = fn(&CameraCounts) -> u64;

const COUNTS: [(&str, &str, Count); 6] = [
    ("seewhen_frames_received_total", "Frames that came from the camera.", |counts| {
        counts.received
    }),
    ("seewhen_frames_sampled_total", "Frames that were due for analysis.", |counts| counts.sampled),
    ("seewhen_frames_analysed_total", "Frames that were scored.", |counts| counts.analysed),
    (
        "seewhen_frames_dropped_total",
        "Frames that a newer one replaced before they were analysed.",
        |counts| counts.replaced,
    ),
    (
        "seewhen_frames_unchanged_total",
        "Frames that were like the one before and not encoded.",
        |counts| counts.unchanged,
    ),
    ("seewhen_frames_failed_total", "Frames that could not be encoded.", |counts| counts.failed),
];

fn cameras(web: &Web, text: &mut Text) {
    let board = web.status.board();
    let set = board.set();
    let pinned = board.since(0).cameras;
    let now = seconds(web.clock.wall());
    let all = |pick: &dyn Fn(&CameraId, &Camera) -> Option<f64>| -> Vec<(String, f64)> {
        let one = |(id, camera): &(CameraId, Camera)| Some((id.to_string(), pick(id, camera)?));
        pinned.iter().filter_map(one).collect()
    };
    let mut put = |name, kind, help, values: Vec<(String, f64)>| {
        let mut metric = text.metric(name, kind, help);
        for (camera, value) in &values {
            metric.sample(&[("camera", camera)], *value);
        }
    };
    for (name, help, count) in COUNTS {
        let counted = all(&|id, _| Some(count(&web.status.counters(id).counts()) as f64));
        put(name, Kind::Counter, help, counted);
    }
    let cpu = all(&|id, _| Some(web.status.counters(id).effort().cpu.as_secs_f64()));
    put(
        "seewhen_camera_cpu_seconds_total",
        Kind::Counter,
        "Processor time of a camera's capture and decoding.",
        cpu,
    );
    let enabled = all(&|id, _| Some(flag(!set.as_ref().is_some_and(|set| set.is_off(id)))));
    put("seewhen_camera_enabled", Kind::Gauge, "Whether the camera is switched on.", enabled);
    let up = all(&|_, camera| Some(flag(health::runs(camera))));
    put("seewhen_camera_up", Kind::Gauge, "Whether the camera's frames flow.", up);
    let age = all(&|_, camera| {
        let newest = camera.newest.as_ref()?;
        Some((now - seconds(newest.captured.time)).max(0.0))
    });
    put(
        "seewhen_frame_age_seconds",
        Kind::Gauge,
        "Age of the newest frame that was analysed.",
        age,
    );
    problems(&pinned, text);
    let mut info = text.metric(
        "seewhen_camera_info",
        Kind::Gauge,
        "How a camera is decoded, as labels; always 1.",
    );
    for (id, _) in &pinned {
        let work = web.status.counters(id).effort().work;
        let strategy = work.strategy.map_or("", DecodeStrategy::word);
        let decoder = work.decoder.as_deref().unwrap_or_default();
        info.sample(&[("camera", id.as_str()), ("strategy", strategy), ("decoder", decoder)], 1.0);
    }
}

/// Each problem of each camera has its number, so that one that ends does not leave a gap.
fn problems(pinned: &[(CameraId, Camera)], text: &mut Text) {
    let help = "Whether this is wrong with what the camera shows.";
    let mut metric = text.metric("seewhen_camera_problem", Kind::Gauge, help);
    for (id, camera) in pinned {
        for kind in ProblemKind::ALL {
            let is = camera.problem.is_some_and(|problem| problem.kind == kind);
            metric.sample(&[("camera", id.as_str()), ("problem", kind.word())], flag(is));
        }
    }
}

fn labels(web: &Web, text: &mut Text) {
    let counted = web.status.all_events();
    let mut put = |name, help, pick: &dyn Fn(&crate::status::EventCounts) -> u64| {
        let mut metric = text.metric(name, Kind::Counter, help);
        for (LabelKey { camera, watch, label }, counts) in &counted {
            let labels: Labels<'_> = &[
                ("camera", camera.as_str()),
                ("watch", watch.as_str()),
                ("label", label.as_str()),
            ];
            metric.sample(labels, pick(counts) as f64);
        }
    };
    put("seewhen_events_total", "Events that have started.", &|counts| counts.told);
    put(
        "seewhen_shadow_events_total",
        "Events of shadow labels, which nobody is told of.",
        &|counts| counts.shadow,
    );
    let mut on =
        text.metric("seewhen_label_on", Kind::Gauge, "Labels with an open event; always 1.");
    for LabelKey { camera, watch, label } in web.status.board().on().keys() {
        on.sample(
            &[("camera", camera.as_str()), ("watch", watch.as_str()), ("label", label.as_str())],
            1.0,
        );
    }
}

fn process(text: &mut Text) {
    if let Some(bytes) = views::memory() {
        let help = "Resident memory.";
        text.metric("process_resident_memory_bytes", Kind::Gauge, help).sample(&[], bytes as f64);
    }
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let spent = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    let help = "Processor time, all threads together.";
    text.metric("process_cpu_seconds_total", Kind::Counter, help).sample(&[], spent);
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let help = "Open file descriptors.";
        text.metric("process_open_fds", Kind::Gauge, help).sample(&[], open.count() as f64);
    }
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}
