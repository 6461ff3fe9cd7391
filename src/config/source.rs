//! Where a camera's frames come from: text to [`CameraSource`] and back.
//!
//! User name and password are split off before references are put in, so the value of a
//! `${NAME}` may hold any character. Printing shows neither them nor anything that may be a
//! token: no query, no part of a path with a `=`. Whether the source exists is left to capture.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::keys::did_you_mean;
use super::secret::{Piece, Secret, Surroundings, expand, pieces};

/// Where frames come from. `Display` and `Debug` show it without user name and password.
#[derive(Clone, PartialEq)]
pub enum CameraSource {
    /// `url` carries no user information; it is in `user` and `password`.
    Rtsp {
        url: String,
        user: Option<String>,
        password: Option<Secret>,
    },
    Http {
        url: String,
        user: Option<String>,
        password: Option<Secret>,
    },
    File(PathBuf),
    V4l2(PathBuf),
    /// GStreamer's test picture; the pattern by name ("smpte", "ball"), empty for the default.
    Test(String),
}

/// How a network camera is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub transport: Transport,
    /// Whether the camera's certificate must be one that the system trusts.
    pub tls_verify: bool,
    /// How long GStreamer waits for one answer, which whoever ends a connection may have to wait for too.
    pub patience: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self { transport: Transport::Tcp, tls_verify: true, patience: Duration::from_secs(12) }
    }
}

/// What carries the pictures of an RTSP camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

const ALLOWED: &str = "write rtsp://, rtsps://, http://, https://, file:PATH, v4l2:/dev/video0, \
                       test: or the path of a file";
const SCHEMES: [&str; 7] = ["rtsp", "rtsps", "http", "https", "file", "v4l2", "test"];

/// Reads a source as the command line takes it; `base` is where relative paths begin.
/// `${NAME}` stands for an environment variable, which keeps passwords out of process lists.
pub fn parse_source(text: &str, base: &Path) -> Result<CameraSource, String> {
    parse(text, &Surroundings::of_process(base))
}

pub(super) fn parse(text: &str, surroundings: &Surroundings) -> Result<CameraSource, String> {
    let found = || format!("found {:?}", masked(text));
    let parts = pieces(text).map_err(|reason| format!("{}; {reason}", found()))?;
    if let [Piece::Reference(name)] = parts[..] {
        let whole = surroundings.look_up(name)?;
        let nested = |_: &str| Err("a reference in a reference".to_owned());
        // Addresses only, since a path would be shown; a general reason, so that nothing of the
        // value can show.
        return match read(&whole, surroundings, &nested) {
            Ok(source @ (CameraSource::Rtsp { .. } | CameraSource::Http { .. })) => Ok(source),
            _ => Err(format!("the value of ${{{name}}} is no rtsp or http address")),
        };
    }
    read(text, surroundings, &|name| surroundings.look_up(name))
        .map_err(|reason| format!("{}; {reason}", found()))
}

/// Finds the value of a reference.
pub(super) type LookUp<'a> = &'a dyn Fn(&str) -> Result<String, String>;

fn read(
    text: &str,
    surroundings: &Surroundings,
    look_up: LookUp<'_>,
) -> Result<CameraSource, String> {
    let text = text.trim();
    let (scheme, rest) = scheme_of(text).unwrap_or(("", text));
    if let "rtsp" | "rtsps" | "http" | "https" = scheme {
        let Address { url, user, password } = Address::read(text, look_up)?;
        let password = password.map(Secret::new);
        let url = url.to_string();
        return Ok(match scheme {
            "rtsp" | "rtsps" => CameraSource::Rtsp { url, user, password },
            _ => CameraSource::Http { url, user, password },
        });
    }
    if text.contains("${") {
        return Err("references work in rtsp and http addresses only".to_owned());
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    match scheme {
        "" | "file" if path.is_empty() => Err(ALLOWED.to_owned()),
        "" => Ok(CameraSource::File(surroundings.folder.join(text))),
        "file" if path != rest && !path.starts_with('/') => {
            Err("write file:/absolute/path or file:relative/path".to_owned())
        }
        "file" => Ok(CameraSource::File(surroundings.folder.join(path))),
        "v4l2" if path.starts_with('/') => Ok(CameraSource::V4l2(path.into())),
        "v4l2" => Err("write the device's path, such as v4l2:/dev/video0".to_owned()),
        "test" if path.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
            Ok(CameraSource::Test(path.to_owned()))
        }
        "test" => Err("write test: or test: and a pattern, such as test:ball".to_owned()),
        other => {
            let guess = did_you_mean(other, SCHEMES, '"');
            Err(format!("{other:?} sources are not supported{guess}; {ALLOWED}"))
        }
    }
}

/// `scheme:rest`; one letter before the ':' is no scheme.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.len() > 1 && scheme.chars().all(allowed)).then_some((scheme, rest))
}

/// An address with its user information split off.
pub(super) struct Address {
    pub(super) url: Url,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Address {
    /// The reason on failure does not quote the text: it may hold a password.
    pub(super) fn read(text: &str, look_up: LookUp<'_>) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            "write // and a host after the scheme, such as rtsp://192.0.2.7/".to_owned()
        })?;
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("an address has no spaces".to_owned());
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (info, host) =
            authority.rsplit_once('@').map_or((None, authority), |(i, h)| (Some(i), h));
        if host.contains("${")
            || tail.split(['/', '?']).any(|part| part.contains("${") && !part.contains('='))
        {
            return Err("a reference may stand for user name, password, a NAME=${VALUE} or the \
                        whole address"
                .to_owned());
        }
        let tail = expand(tail, look_up, encode)?;
        let url = Url::parse(&format!("{scheme}://{host}{tail}")).map_err(|error| {
            let hint = "; in a user name or password write '/' as %2F, '?' as %3F and '#' as %23, \
                        or put it into a ${NAME}";
            format!("{error}{}", if rest.contains('@') { hint } else { "" })
        })?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("the host is missing".to_owned());
        }
        let (user, password) = match info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
            Some((user, password)) => (part(user, look_up)?, part(password, look_up)?),
            None => (None, None),
        };
        Ok(Self { url, user, password })
    }
}

/// A user name or password of an address, decoded; `None` when empty.
fn part(text: &str, look_up: LookUp<'_>) -> Result<Option<String>, String> {
    let one = |piece: &Piece<'_>| match piece {
        Piece::Plain(plain) => decode(plain),
        Piece::Reference(name) => look_up(name),
    };
    let value: String = pieces(text)?.iter().map(one).collect::<Result<_, _>>()?;
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn encode(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one =
        |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(one).collect()
}

fn decode(text: &str) -> Result<String, String> {
    let wrong = || "a % in user name or password needs two hexadecimal digits (write % as %25)";
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('%') {
        let digits = after.get(..2).filter(|two| two.chars().all(|c| c.is_ascii_hexdigit()));
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok()).ok_or_else(wrong)?;
        bytes.extend(plain.bytes());
        bytes.push(byte);
        rest = &after[2..];
    }
    bytes.extend(rest.bytes());
    String::from_utf8(bytes).map_err(|_| "user name or password is not UTF-8".to_owned())
}

/// An address as it may be shown. Goes by the text alone, so it also covers broken ones: all up
/// to the last '@' may be a password.
pub(super) fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.rsplit_once('@').map_or(text.to_owned(), |(_, rest)| format!("***@{rest}"));
    };
    let (info, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("***@", rest));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let part = |part| if str::contains(part, '=') { "***" } else { part };
    let path: Vec<&str> = rest[..end].split('/').map(part).collect();
    let query = if end < rest.len() { "?***" } else { "" };
    format!("{scheme}://{info}{}{query}", path.join("/"))
}

impl CameraSource {
    /// Where it is, without user name and password. Not for people: tokens may be in it.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Rtsp { url, .. } | Self::Http { url, .. } => url.clone(),
            Self::File(path) => format!("file:{}", path.display()),
            Self::V4l2(path) => format!("v4l2:{}", path.display()),
            Self::Test(pattern) => format!("test:{pattern}"),
        }
    }
}

impl fmt::Display for CameraSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtsp { url, user, password } | Self::Http { url, user, password } => {
                let url = masked(url);
                match url.split_once("://") {
                    Some((scheme, rest)) if user.is_some() || password.is_some() => {
                        write!(f, "{scheme}://***@{rest}")
                    }
                    _ => f.write_str(&url),
                }
            }
            Self::File(path) => write!(f, "{}", path.display()),
            Self::V4l2(path) => write!(f, "v4l2:{}", path.display()),
            Self::Test(pattern) => write!(f, "test:{pattern}"),
        }
    }
}

impl fmt::Debug for CameraSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraSource({self})")
    }
}
