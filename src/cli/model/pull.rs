//! `seewhen model pull`: bundles from the network.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Conversion, Folder, checked_name};
use crate::cli::{Outcome, Usage};
use crate::clip::catalogue::{self, RELEASED};
use crate::clip::import::Activation;
use crate::clip::pull::{self, MIRROR, Pulled, Step};
use crate::clip::store;

const EXAMPLES: &str = "\
Examples:
  seewhen model pull ViT-B/32
  seewhen model pull ViT-L/14 --dtype fp16
  seewhen model pull https://models.example.org/porch-2
  SEEWHEN_MODEL_MIRROR=https://mirror.lan/clip seewhen model pull RN50

NAME is one of OpenAI's nine (`seewhen model list`). URL is a folder on a web server that has a
SHA256SUMS, as every imported bundle does. What was fetched stays when a pull breaks off, and the
next one goes on from there. Proxies come from HTTPS_PROXY and NO_PROXY.";

/// Fetch a model by name, or a bundle by its address
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One of OpenAI's models, or the address of a bundle
    #[arg(value_name = "NAME|URL")]
    model: String,
    /// Name of the bundle [default: the model's, or the last part of the address]
    #[arg(long, value_parser = checked_name)]
    name: Option<String>,
    #[command(flatten)]
    conversion: Conversion,
    #[command(flatten)]
    folder: Folder,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut bar = Bar::default();
    let mut tell = |step| bar.show(step);
    let models = || args.folder.writable();
    let (name, pulled) = if args.model.contains("://") {
        let name = args.name.clone().map_or_else(|| name_of_address(&args.model), Ok)?;
        let folder = models()?.join(&name);
        (name, pull::bundle(&args.model, &folder, &mut tell)?)
    } else {
        let released = catalogue::find(&args.model).ok_or_else(|| unknown(&args.model))?;
        let name = args.name.clone().unwrap_or_else(|| released.bundle().to_owned());
        let folder = models()?.join(&name);
        let mirror = std::env::var(MIRROR).ok().filter(|value| !value.is_empty());
        let options = args.conversion.options(Activation::QuickGelu);
        (name, pull::released(released, mirror.as_deref(), &folder, options, &mut tell)?)
    };
    drop(bar);
    let word = match pulled {
        Pulled::New => "is here",
        Pulled::Already => "was here already",
    };
    writeln!(io::stderr(), "{name} {word}; use it with --bundle {name}")?;
    Ok(Outcome::Done)
}

fn unknown(name: &str) -> Usage {
    let names: Vec<&str> = RELEASED.iter().map(|model| model.name).collect();
    Usage(format!(
        "{name:?} is no known model; known are {}, and any bundle's http(s) address",
        names.join(", ")
    ))
}

/// The last part of an address.
fn name_of_address(address: &str) -> Result<String> {
    let bad = |why: &str| Usage(format!("the address {why}"));
    let url = url::Url::parse(address).map_err(|error| bad(&format!("is wrong: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("must begin with http:// or https://").into());
    }
    let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
    let name = last.filter(|name| store::is_name(name));
    Ok(name.ok_or_else(|| bad("gives no name for the bundle; use --name"))?.to_owned())
}

/// A progress bar on a terminal; lines elsewhere.
#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
    said: String,
}

impl Bar {
    fn show(&mut self, step: Step) {
        match step {
            Step::Fetching { file, progress } => {
                self.say(&format!("fetching {file}"));
                let bar = self.bar.get_or_insert_with(bar);
                bar.set_length(progress.whole.unwrap_or(progress.done));
                bar.set_position(progress.done);
            }
            Step::Waiting => self.say("waiting for another pull of the same bundle"),
            Step::Checking { file } => self.say(&format!("checking {file}")),
            Step::Importing => self.say("making the bundle"),
        }
    }

    /// Each thing once.
    fn say(&mut self, text: &str) {
        if self.said != text {
            self.said = text.to_owned();
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            // Progress is no result: a closed stderr is no reason to stop.
            drop(writeln!(io::stderr(), "{text}"));
        }
    }
}

/// Hidden by itself where stderr is no terminal.
fn bar() -> ProgressBar {
    const STYLE: &str = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style =
        ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
