//! The plots as files.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::{Found, Verdict};
use crate::tune::replay::replay;
use crate::tune::{Setting, plot};

/// `curve.svg`, and one file for each piece of footage.
pub(super) fn write(folder: &Path, found: &Found) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let write = |name: String, svg: String| {
        let path = folder.join(name);
        std::fs::write(&path, svg).with_context(|| path.display().to_string())?;
        writeln!(std::io::stderr(), "wrote {}", path.display())?;
        anyhow::Ok(())
    };
    let chosen: Setting = match &found.result {
        Verdict::Marked(marked) => {
            let (best, now) = (&marked.suggestion.best.setting, found.now.threshold);
            let title = format!("{}: precision and recall", found.label);
            write(
                "curve.svg".to_owned(),
                plot::curve(&title, &marked.points, best.threshold, now),
            )?;
            *best
        }
        Verdict::Unmarked { promise, .. } => {
            promise.promised.or(promise.seen).map_or(found.now, |rate| rate.setting)
        }
    };
    for (number, clip) in (1..).zip(&found.clips) {
        let title = format!("{} in {}", found.label, clip.name);
        let stays = replay(clip, &chosen);
        let svg = plot::course(&title, clip, &chosen, &stays, |time| format!("{time} s"));
        write(format!("{number}-{}.svg", clip.name), svg)?;
    }
    Ok(())
}
