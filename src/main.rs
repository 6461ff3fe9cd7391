//! Stand-in.
use std::process::ExitCode;

use clap::Parser;
use seewhen::cli::{classify, embed};

#[derive(Parser)]
#[command(name = "seewhen")]
enum Command {
    Classify(classify::ClassifyArgs),
    Embed(embed::EmbedArgs),
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Classify(args) => classify::run(&args),
        Command::Embed(args) => embed::run(&args),
    }
}
