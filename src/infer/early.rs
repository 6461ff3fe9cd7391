//! The pictures of a batch, and those of the next one before it is its turn.

use std::sync::Arc;

use tokio::sync::watch;

use crate::clip::preprocess::geometry;
use crate::mailbox::Receiver;
use crate::model::{Frame, Picture, Region, View};
use crate::watch::WatchSet;

/// The next batch, before the one before it is done.
pub(super) struct Early<'a> {
    pub(super) frames: &'a Receiver,
    pub(super) sets: &'a watch::Receiver<Arc<WatchSet>>,
    pub(super) largest: usize,
}

impl Early<'_> {
    /// Takes the next frames when nothing is gained by waiting for more, and gives the pictures of
    /// their first run.
    pub(super) fn take(&self, into: &mut Vec<Frame>) -> Vec<(Arc<Picture>, View)> {
        let rules = self.sets.borrow().clone();
        if into.is_empty() {
            let cameras = rules.cameras.iter().filter(|camera| camera.enabled).count();
            *into = self.frames.full_batch(self.largest.min(cameras).max(1));
        }
        let pictures = |frame: &Frame| {
            let picture = frame.picture.clone();
            views(frame.view, &tiles_of(frame))
                .map(move |view| (picture.clone(), view))
                .collect::<Vec<_>>()
        };
        let wanted = into.iter().filter(|frame| rules.wants(&frame.camera));
        wanted.flat_map(pictures).take(self.largest).collect()
    }
}

pub(super) fn tiles_of(frame: &Frame) -> Vec<Region> {
    let Picture { width, height, .. } = *frame.picture;
    if !frame.view.tiles || width == 0 || height == 0 {
        return Vec::new();
    }
    geometry::tiles(width, height, frame.view.region)
}

/// How the encoder is to look at a frame: once at each tile, or once at all of it.
pub(super) fn views(whole: View, tiles: &[Region]) -> impl Iterator<Item = View> {
    let uncut = tiles.is_empty().then_some(View { tiles: false, ..whole });
    let tile = move |tile: &Region| View { region: Some(*tile), fit: whole.fit, tiles: false };
    uncut.into_iter().chain(tiles.iter().map(tile))
}
