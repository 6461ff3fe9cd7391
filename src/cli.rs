//! The command line: one file per command, each with its `Args` and its `run`.
//!
//! Results go to stdout, words for people to stderr. Exit codes: 0 done, 1 failed, 64 usage,
//! 78 configuration.

pub mod bench;
pub mod check;
pub mod classify;
pub mod embed;
pub mod explain;
mod heap;
pub mod model;
pub mod model_args;
pub mod password;
pub mod run;
pub mod search;
pub mod teach;
pub mod tune;
pub mod watch;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Problems;
use crate::logging;

const FAILED: u8 = 1;
const USAGE: u8 = 64;
const CONFIG: u8 = 78;

/// Tell your cameras, in words, what to look for; get an MQTT message when it is seen.
#[derive(Debug, Parser)]
#[command(name = "seewhen", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Classify(classify::Args),
    Watch(watch::Args),
    Tune(tune::Args),
    Embed(embed::Args),
    Explain(explain::Args),
    Search(search::Args),
    Teach(teach::Args),
    Bench(bench::Args),
    Model(model::Args),
    Password(password::Args),
}

/// A command line that cannot be meant: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Whether a command did all it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It said what went wrong and did the rest.
    Partly,
}

/// Parses the arguments, runs the command and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows the stream for each.
            let code = if error.use_stderr() { USAGE } else { 0 };
            return if error.print().is_ok() { code.into() } else { FAILED.into() };
        }
    };
    match dispatch(cli.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Partly) => FAILED.into(),
        Err(error) => fail(&error).into(),
    }
}

fn dispatch(command: Command) -> anyhow::Result<Outcome> {
    // The daemon tells what it does; the other commands speak through their results.
    logging::start(if matches!(command, Command::Run(_)) { "info" } else { "error" })?;
    match command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(args),
        Command::Classify(args) => classify::run(&args),
        Command::Watch(args) => watch::run(args),
        Command::Tune(args) => tune::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Teach(args) => teach::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Password(args) => password::run(&args),
    }
}

/// Prints an error and picks the exit code.
fn fail(error: &anyhow::Error) -> u8 {
    let mut stderr = std::io::stderr().lock();
    let code = match error {
        error if error.is::<Problems>() => CONFIG,
        error if error.is::<Usage>() => USAGE,
        _ => FAILED,
    };
    // A reader that closed stdout ("| head") is no failure to speak of.
    if is_broken_pipe(error) {
        return 0;
    }
    let printed = if code == CONFIG {
        writeln!(stderr, "{error}")
    } else {
        writeln!(stderr, "seewhen: {error:#}")
    };
    if printed.is_ok() { code } else { FAILED }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
