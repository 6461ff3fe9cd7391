//! Pictures of the frames that started events: asked for, named in the events, shown on their topics.
//!
//! An event names its file before the file is there: nothing that is to be sent waits for a picture.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Desk;
use crate::model::{CameraId, Event, EventKind, Frame, LabelKey, NodeId, Picture, WallTime};
use crate::publish::{Developed, Message, Shot};

/// Between two pictures events can go out.
const PAUSE: Duration = Duration::from_millis(50);

/// What is known of pictures.
#[derive(Debug, Default)]
pub(super) struct Darkroom {
    /// The files of open events, by the events' ids.
    files: BTreeMap<Arc<str>, Arc<str>>,
    /// Why pictures are not kept.
    trouble: Option<String>,
    /// Frames that came when too many waited.
    lost: u64,
}

impl Darkroom {
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

impl Desk {
    /// Has a picture made of the frame that started the event. All messages of an event name its file.
    pub(super) fn depict(&mut self, event: &mut Event, picture: Option<Arc<Picture>>) {
        if let Some(picture) = picture {
            let key = &event.key;
            let file = self.shoot(&key.camera, event.frame_time, Some(key), picture);
            self.darkroom.files.extend(file.map(|file| (event.id.clone(), file)));
        }
        event.snapshot = self.darkroom.files.get(&event.id).cloned();
        if event.kind == EventKind::End {
            self.darkroom.files.remove(&event.id);
        }
    }

    pub(super) fn asked_to_see(&mut self, frame: Frame) {
        let file = self.shoot(&frame.camera, frame.captured.time, None, frame.picture);
        tracing::info!(camera = %frame.camera, file = file.as_deref(), "snapshot as asked");
    }

    /// Gives the file that the picture will be kept in.
    fn shoot(
        &mut self,
        camera: &CameraId,
        time: WallTime,
        key: Option<&LabelKey>,
        picture: Arc<Picture>,
    ) -> Option<Arc<str>> {
        let shots = self.settings.shots.to.as_ref()?;
        let zone = self.settings.shots.kept.as_ref();
        let file = zone.map(|zone| file_name(&self.settings.node, camera, time, key, zone));
        let shot = Shot { camera: camera.clone(), picture, file: file.clone() };
        if shots.try_send(shot).is_err() {
            self.darkroom.lost += 1;
            let lost = self.darkroom.lost;
            tracing::warn!(%camera, lost, "no picture is made: too many wait for the disk");
            return None;
        }
        // While the disk takes none a name would promise what is not there.
        file.filter(|_| self.darkroom.trouble.is_none())
    }

    pub(in crate::publish) fn developed(&mut self, developed: Developed) {
        match developed {
            Developed::Jpeg { camera, jpeg } => {
                // It may have left the configuration meanwhile.
                if self.settings.shots.shown && self.known.contains(&camera) {
                    let topic = self.settings.topics.snapshot(&camera);
                    if !self.outbox.shows(&topic) {
                        self.ask(super::Ask::Topic(topic.clone()));
                    }
                    self.outbox.show(topic, jpeg);
                }
            }
            // The snapshots' thread has said it in the log.
            Developed::Trouble(trouble) => {
                self.darkroom.trouble = trouble;
                self.publish_node_status();
            }
        }
    }

    /// Sends one picture, when nothing lies before it in the link.
    pub(super) fn send_picture(&mut self) {
        let link = &self.settings.link;
        if link.capacity() < link.max_capacity() {
            return;
        }
        let Some((topic, jpeg)) = self.outbox.next_picture() else { return };
        let message = Message {
            topic: topic.to_owned(),
            payload: jpeg.to_vec(),
            retain: true,
            confirmed: false,
            connection: self.connection,
            token: 0,
        };
        if link.try_send(message).is_err() {
            tracing::debug!("a picture is lost: the link has gone");
        }
    }

    /// Comes when the next picture may be tried.
    pub(in crate::publish) async fn next_picture(&self) {
        if self.outbox.picture_waits() {
            tokio::time::sleep(PAUSE).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}

/// `<node>/<camera>/<date>/<time>-<watch>-<label>.jpg`, by the clocks of `zone`.
fn file_name(
    node: &NodeId,
    camera: &CameraId,
    time: WallTime,
    key: Option<&LabelKey>,
    zone: &TimeZone,
) -> Arc<str> {
    // Times that no calendar has count as the first of 1970.
    let stamp = Timestamp::from_millisecond((time.0 * 1000.0).round() as i64).unwrap_or_default();
    let local = zone.to_datetime(stamp).strftime("%Y-%m-%d/%H-%M-%S%.3f").to_string();
    let what = key.map_or_else(String::new, |key| format!("-{}-{}", key.watch, key.label));
    format!("{node}/{camera}/{local}{what}.jpg").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LabelId, WatchId};

    #[test]
    fn a_file_is_found_by_camera_day_and_time() {
        let node = NodeId::try_new("gate").unwrap();
        let camera = CameraId::try_new("porch").unwrap();
        let key = LabelKey {
            camera: camera.clone(),
            watch: WatchId::try_new("night").unwrap(),
            label: LabelId::try_new("cat").unwrap(),
        };
        let name = |time, zone: &TimeZone, key| file_name(&node, &camera, time, key, zone);
        let (vienna, time) =
            (TimeZone::get("Europe/Vienna").unwrap(), WallTime(1_795_735_805.672_4));
        assert_eq!(
            &*name(time, &TimeZone::UTC, Some(&key)),
            "gate/porch/2026-11-26/23-30-05.672-night-cat.jpg"
        );
        assert_eq!(
            &*name(time, &vienna, Some(&key)),
            "gate/porch/2026-11-27/00-30-05.672-night-cat.jpg",
            "a new day has begun there"
        );
        assert_eq!(&*name(time, &vienna, None), "gate/porch/2026-11-27/00-30-05.672.jpg");
        assert_eq!(
            &*name(WallTime(2.0), &TimeZone::UTC, None),
            "gate/porch/1970-01-01/00-00-02.000.jpg"
        );
        assert!(name(WallTime(f64::MAX), &vienna, None).starts_with("gate/porch/"));
    }
}
