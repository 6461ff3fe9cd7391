//! Secrets: `${NAME}` and `file:` references, and a type that never prints its value.
//!
//! Messages made here name the reference and never what it stands for. Where the values come
//! from (environment, systemd's credentials folder) is injected with [`Surroundings`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

/// A value that no log, error, page or topic may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a configuration takes from outside its files. No `Debug`: the variables hold secrets.
#[derive(Clone)]
pub struct Surroundings {
    /// Relative paths in the configuration begin here.
    pub folder: PathBuf,
    /// The node's name where none is configured.
    pub host: String,
    /// The system's time zone; jiff's "unknown" where it has none.
    pub zone: TimeZone,
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Reads a small file: `file:` secrets and systemd credentials.
    pub read: fn(&Path) -> io::Result<String>,
}

impl Surroundings {
    /// Those of this process; variables that are not UTF-8 count as unset.
    pub fn of_process(folder: &Path) -> Self {
        let pair = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            folder: folder.to_owned(),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            zone: TimeZone::system(),
            variables: std::env::vars_os().filter_map(pair).collect(),
            read: |path| std::fs::read_to_string(path),
        }
    }

    /// The value behind `${name}`.
    pub(super) fn look_up(&self, name: &str) -> Result<String, String> {
        if let Some(value) = self.variables.get(name) {
            return filled(name, value.clone());
        }
        if let Some(folder) = self.variables.get("CREDENTIALS_DIRECTORY") {
            match (self.read)(&Path::new(folder).join(name)) {
                Ok(value) => return filled(name, without_newline(value)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(format!(
                        "the systemd credential of ${{{name}}} cannot be read: {error}"
                    ));
                }
            }
        }
        Err(format!(
            "${{{name}}} is not set; set the environment variable {name}, or give systemd \
             LoadCredential={name}:/path/to/file"
        ))
    }

    /// A user name or password: plain, with references, or `file:` and a path.
    pub(super) fn resolve(&self, text: &str) -> Result<String, String> {
        let Some(path) = text.strip_prefix("file:") else {
            return expand(text, |name| self.look_up(name), str::to_owned);
        };
        let path = self.folder.join(path);
        (self.read)(&path).map(without_newline).map_err(|error| {
            format!("{text:?} cannot be read: {error}; the file must be readable for this user")
        })
    }
}

fn filled(name: &str, value: String) -> Result<String, String> {
    if value.is_empty() { Err(format!("${{{name}}} is set but empty")) } else { Ok(value) }
}

/// A file that was written with an editor or `echo` ends with a newline that nobody means.
fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.truncate(text.len() - 1);
        if text.ends_with('\r') {
            text.truncate(text.len() - 1);
        }
    }
    text
}

/// A part of a text with references.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Piece<'t> {
    Plain(&'t str),
    Reference(&'t str),
}

/// Splits `text` at its `${NAME}`.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once("${") {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let (name, remaining) = after
            .split_once('}')
            .filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
            .filter(|(name, _)| name.chars().all(allowed))
            .ok_or("a ${ does not begin a reference; write ${NAME} with letters, digits and '_'")?;
        found.extend([Piece::Plain(plain), Piece::Reference(name)]);
        rest = remaining;
    }
    found.push(Piece::Plain(rest));
    found.retain(|piece| *piece != Piece::Plain(""));
    Ok(found)
}

/// Puts the values of references into `text`, each treated by `encode`.
pub(super) fn expand(
    text: &str,
    look_up: impl Fn(&str) -> Result<String, String>,
    encode: impl Fn(&str) -> String,
) -> Result<String, String> {
    let one = |piece: &Piece<'_>| match piece {
        Piece::Plain(plain) => Ok((*plain).to_owned()),
        Piece::Reference(name) => look_up(name).map(|value| encode(&value)),
    };
    pieces(text)?.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Surroundings {
            folder: "/etc/seewhen".into(),
            host: "gate".into(),
            zone: TimeZone::UTC,
            variables: variables.iter().map(own).collect(),
            read: |path| match path.to_str() {
                Some("/run/cred/BROKER") => Ok("from systemd\n".into()),
                Some("/etc/seewhen/broker.txt") => Ok("from file\r\n".into()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
        }
    }

    #[test]
    fn looks_in_the_environment_then_in_the_credentials() {
        let both = [("CREDENTIALS_DIRECTORY", "/run/cred"), ("BROKER", "from environment")];
        let resolve = |variables: &[_], text| surroundings(variables).resolve(text);
        assert_eq!(resolve(&both, "${BROKER}").as_deref(), Ok("from environment"));
        assert_eq!(resolve(&both[..1], "a-${BROKER}-z").as_deref(), Ok("a-from systemd-z"));
        assert_eq!(resolve(&[], "file:broker.txt").as_deref(), Ok("from file"));
        assert_eq!(resolve(&[], "pa$$word}").as_deref(), Ok("pa$$word}"));
        assert!(resolve(&[], "${BROKER}").expect_err("unset").contains("${BROKER} is not set"));
        assert!(resolve(&[("E", "")], "${E}").expect_err("empty").contains("empty"));
        assert!(resolve(&[], "${BROKER").expect_err("open").contains("write ${NAME}"));
    }
}
