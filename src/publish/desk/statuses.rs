//! What the node and its cameras say of themselves.

use std::time::Duration;

use tokio::time::Instant;

use super::Desk;
use crate::model::{CameraChange, CameraId, LabelKey, Problem};
use crate::publish::payload::{self, Load, NodeStatus};

/// A camera's last change, and its counts when its status was last published.
pub(super) struct CameraDesk {
    change: CameraChange,
    problem: Option<Problem>,
    analysed: u64,
    cpu: Duration,
    since: Instant,
    /// Frames analysed and share of a processor, per second, when there was last time to measure.
    rates: (f64, f64),
}

impl Desk {
    pub(super) fn camera(&mut self, change: CameraChange) {
        let camera = change.camera.clone();
        if !self.known.contains(&camera) {
            return;
        }
        self.settings.status.board().camera(&change);
        let available = payload::availability(change.available());
        self.retain(self.settings.topics.camera_available(&camera), available);
        let status = self.settings.status.camera(&camera);
        let (analysed, cpu) = (status.counts().analysed, status.effort().cpu);
        let since = Instant::now();
        // What a camera shows that has no frames is told anew with the next.
        let desk = CameraDesk { change, problem: None, analysed, cpu, since, rates: (0.0, 0.0) };
        self.cameras.insert(camera.clone(), desk);
        self.publish_status(&camera);
    }

    /// What is wrong with what a camera shows has changed.
    pub(super) fn view(&mut self, camera: &CameraId, problem: Option<Problem>) {
        if let Some(desk) = self.cameras.get_mut(camera) {
            desk.problem = problem;
            self.publish_status(camera);
        }
    }

    pub(in crate::publish) fn refresh_statuses(&mut self) {
        self.publish_node_status();
        let cameras: Vec<CameraId> = self.cameras.keys().cloned().collect();
        for camera in cameras {
            self.publish_status(&camera);
        }
    }

    pub(super) fn publish_node_status(&mut self) {
        if self.model.is_empty() {
            return;
        }
        self.measure_rate();
        let history = self.trouble.clone();
        let snapshots = self.darkroom.trouble().map(str::to_owned);
        self.settings.status.board().node(|node| {
            (node.history, node.snapshots) = (history, snapshots);
        });
        let runs_on = self.settings.status.runs_on();
        let status = payload::node_status(&NodeStatus {
            version: env!("CARGO_PKG_VERSION"),
            model: &self.model,
            provider: runs_on.as_ref().map(|runs_on| runs_on.provider.as_str()),
            precision: runs_on.as_ref().map(|runs_on| runs_on.precision.as_str()),
            fps: self.rate,
            outbox: self.outbox.waiting(),
            history: self.trouble.as_deref(),
            snapshots: self.darkroom.trouble(),
            commands: &self.settings.status.commands(),
        });
        self.retain(self.settings.topics.node_status(), status);
    }

    fn measure_rate(&mut self) {
        let (before, since) = self.analysed;
        let seconds = since.elapsed().as_secs_f64();
        // Too short a time says nothing.
        if seconds < 1.0 {
            return;
        }
        let counts = self.settings.status.counts();
        let analysed: u64 = counts.iter().map(|(_, counts)| counts.analysed).sum();
        self.rate = analysed.saturating_sub(before) as f64 / seconds;
        self.analysed = (analysed, Instant::now());
    }

    pub(super) fn publish_status(&mut self, camera: &CameraId) {
        let Some(desk) = self.cameras.get_mut(camera) else { return };
        let status = self.settings.status.camera(camera);
        let (counts, effort) = (status.counts(), status.effort());
        let seconds = desk.since.elapsed().as_secs_f64();
        // Too short a time says nothing.
        if seconds >= 1.0 {
            let analysed = counts.analysed.saturating_sub(desk.analysed) as f64;
            let cpu = effort.cpu.saturating_sub(desk.cpu).as_secs_f64();
            desk.rates = (analysed / seconds, cpu / seconds);
            (desk.analysed, desk.cpu, desk.since) = (counts.analysed, effort.cpu, Instant::now());
        }
        let (fps, cpu) = desk.rates;
        let load = Load {
            fps,
            dropped: counts.replaced,
            unchanged: counts.unchanged,
            cpu,
            work: effort.work,
            problem: desk.problem,
        };
        let counted = |key: &LabelKey| (key.clone(), self.settings.status.events(key).shadow);
        let shadows: Vec<(LabelKey, u64)> =
            self.shadows.get(camera).into_iter().flatten().map(counted).collect();
        let payload = payload::status(&desk.change, &load, &shadows);
        self.retain(self.settings.topics.camera_status(camera), payload);
    }
}
