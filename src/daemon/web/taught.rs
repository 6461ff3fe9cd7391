//! The report of a taught label, for the page.

use std::io;

use crate::config::Config;
use crate::daemon::model::Model;
use crate::daemon::teach::report;
use crate::model::{LabelKey, WallTime};
use crate::publish::payload::seconds;
use crate::taught::Refused;
use crate::taught::shelf::ShelfError;
use crate::watch::WatchSet;
use crate::web::Trouble;
use crate::web::taught::{Doubt, Mark, Report, Score, Share};

pub(super) fn report(
    config: &Config,
    model: &Model,
    set: &WatchSet,
    key: &LabelKey,
) -> Result<Report, Trouble> {
    let found = report::report(config, model, set, key).map_err(|error| trouble(&error))?;
    let doubt =
        |one: &report::Doubt| Doubt::new(&key.camera, one.time, one.probability, one.picture);
    Ok(Report {
        yes: found.yes,
        no: found.no,
        bundle: found.bundle,
        copies: found.copies,
        score: score(&found.score),
        contradictions: found.contradictions.into_iter().map(|pair| pair.map(mark)).collect(),
        next: found.next.iter().map(doubt).collect(),
    })
}

fn trouble(error: &anyhow::Error) -> Trouble {
    let reason = format!("{error:#}");
    if error.is::<Refused>() {
        return Trouble::Bad(reason);
    }
    match error.is::<ShelfError>() || error.chain().any(|cause| cause.is::<io::Error>()) {
        true => Trouble::Failed(reason),
        // There is no such label, or none that can be taught.
        false => Trouble::NotFound(reason),
    }
}

fn score(score: &report::Score) -> Score {
    let share = |[seen, low, high]: [Option<f64>; 3]| Share { seen, low, high };
    Score {
        enough: score.enough,
        fewest: score.fewest,
        yes_events: score.yes_events,
        no_events: score.no_events,
        found: score.found,
        wrong: score.wrong,
        precision: share(score.precision),
        recall: share(score.recall),
    }
}

fn mark(mark: report::Mark) -> Mark {
    Mark { source: mark.source, time: seconds(WallTime(mark.time)), yes: mark.yes }
}
