//! `seewhen password`: the hash of a password, for the configuration.

use std::io::{IsTerminal as _, Read as _, Write as _, stdin, stdout};

use anyhow::{Context as _, anyhow, bail};

use super::Outcome;
use crate::config::PasswordHash;

/// Shorter ones are guessed, even a few times a minute.
const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// Print the hash of a password, for `web.password` in the configuration.
///
/// The password is typed unseen, twice, or read from standard input. Only the hash is kept anywhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  seewhen password
  seewhen password > /etc/seewhen/web-password   # and: password = \"file:/etc/seewhen/web-password\"
  pass show seewhen | seewhen password")]
pub struct Args {}

pub fn run(_: &Args) -> anyhow::Result<Outcome> {
    let password = read()?;
    let letters = password.chars().count();
    if letters < SHORTEST || password.len() > LONGEST {
        bail!("the password has {letters} characters; write {SHORTEST} or more, at most {LONGEST}");
    }
    let hash = PasswordHash::make(&password).map_err(|reason| anyhow!(reason))?;
    writeln!(stdout(), "{hash}")?;
    Ok(Outcome::Done)
}

fn read() -> anyhow::Result<String> {
    if stdin().is_terminal() {
        let ask = |what| rpassword::prompt_password(what).context("the terminal cannot be read");
        let password = ask("Password: ")?;
        if ask("Once more: ")? != password {
            bail!("these were two different passwords; nothing was made");
        }
        return Ok(password);
    }
    let mut text = String::new();
    let most = LONGEST as u64 + 2;
    stdin().take(most).read_to_string(&mut text).context("standard input is no text")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        bail!("standard input has several lines; write the password alone");
    }
    Ok(line.to_owned())
}
