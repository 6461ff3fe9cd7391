//! Footage that is not in a file: what a camera has seen, as far as its embeddings are kept.

use anyhow::Context as _;
use jiff::Timestamp;

use super::Args;
use super::footage::{Footage, Piece, configured, mark, read_timeline};
use crate::cli::Usage;
use crate::config::{Config, LabelConfig, load};
use crate::daemon::model::Model;
use crate::daemon::{course, lessons, search};
use crate::embeddings::{Filter, when};
use crate::model::LabelKey;
use crate::tune::Clip;
use crate::tune::timeline::Base;

/// Where it is, and which of it is wanted.
pub(super) struct Kept {
    config: Config,
    filter: Filter,
}

/// Reads the arguments, the configuration and the timeline.
pub(super) fn read(args: &Args) -> anyhow::Result<(Footage, Kept)> {
    let mut config = load(&args.config)?.config;
    args.model.overrides().apply(&mut config.model);
    let wanted = configured(args)?;
    let zone = config.embeddings.zone.clone();
    let now = Timestamp::now().to_zoned_datetime(zone.clone());
    let cameras = vec![wanted.camera.id.clone()];
    let filter =
        when::filter(cameras, args.since.as_deref(), args.until.as_deref(), &now).map_err(Usage)?;
    let timeline = args.marks.as_deref();
    let timeline = timeline.map(|path| read_timeline(path, &zone, Base::Clock)).transpose()?;
    let name = wanted.camera.id.to_string();
    let mut pieces = vec![Piece { name, timeline, marks: None }];
    mark(args, &wanted.label.id, &mut pieces)?;
    let LabelConfig { id: label, rule, .. } = wanted.label;
    let footage = Footage {
        label,
        rule,
        model: wanted.model,
        cameras: vec![wanted.camera],
        watch: wanted.watch,
        pieces,
        config: None,
    };
    Ok((footage, Kept { config, filter }))
}

/// Scores all of it with the prompts as they are now.
pub(super) fn analyse(footage: &Footage, kept: &Kept) -> anyhow::Result<Vec<Clip>> {
    let model = Model::load(&footage.model)?;
    let history = search::open(&kept.config, &model, &kept.filter.cameras)?;
    let mut embedder = model.trying_embedder();
    let (lessons, _) = lessons::read(&kept.config, &model);
    let watches = std::slice::from_ref(&footage.watch);
    let set = model.compile(&mut embedder, &footage.cameras, watches, &lessons, 1)?;
    let (camera, watch) = (footage.cameras[0].id.clone(), footage.watch.id.clone());
    let key = LabelKey { camera, watch, label: footage.label.clone() };
    let marks = footage.pieces[0].marks.clone();
    let clip = course::clip(&history, &set, &key, &kept.filter, marks)?;
    let clip = clip.filter(|clip| !clip.samples.is_empty());
    let clip = clip.with_context(|| {
        format!("no frame of camera {} was kept in that time; see --since and --until", key.camera)
    })?;
    Ok(vec![clip])
}
