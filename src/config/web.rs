//! `[web]`: where the page is served, and who may use it.

use std::net::{IpAddr, SocketAddr};

use super::broker::credential;
use super::keys;
use super::password::PasswordHash;
use super::secret::{Secret, Surroundings};
use super::section::Section;
use super::tls::{self, Identity};
use super::value::text;

/// Shorter ones can be guessed.
const SHORTEST_TOKEN: usize = 16;
const LONGEST_TOKEN: usize = 256;

/// `[web]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebConfig {
    /// `None`: there is no page.
    pub listen: Option<SocketAddr>,
    /// What programs prove themselves with. With neither this nor a user all may use the page, which
    /// is then for this machine alone.
    pub token: Option<Secret>,
    /// Who may log in.
    pub user: Option<User>,
    /// The page is encrypted with this.
    pub tls: Option<Identity>,
    /// Names, in lower case, by which the page may be called beside this machine's own.
    pub hosts: Vec<String>,
}

/// Somebody who may log in.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub name: String,
    pub password: PasswordHash,
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(root: &Section<'_>, surroundings: &Surroundings) -> Option<WebConfig> {
    let web = root.section("web", keys::WEB)?;
    let listen: Option<Option<SocketAddr>> = web.get("listen", |value| {
        let address = text(value)?;
        if address.is_empty() {
            return Ok(None);
        }
        address.parse().map(Some).map_err(|_| {
            format!(
                "found {address:?}; write an address and a port, such as \"127.0.0.1:8480\", or \
                 \"\" for no page"
            )
        })
    });
    let token = credential(&web, "token", surroundings);
    let token = token.and_then(|token| match checked_token(&token) {
        Ok(()) => Some(Secret::new(token)),
        Err(message) => {
            web.problem("token", message);
            None
        }
    });
    let user = read_user(&web, surroundings);
    let tls = tls::identity(&web, surroundings, ["cert", "key"]);
    let hosts = read_hosts(&web);
    let listen = listen?;
    let protected = given(&web, "token") || given(&web, "user");
    if let Some(address) = listen.filter(|address| !is_local(address.ip())) {
        if !protected {
            web.problem(
                "listen",
                format!(
                    "{address} can be reached from other machines, and anyone there could look and \
                     change things; set token, or user and password (`seewhen password` makes one), \
                     or listen on 127.0.0.1"
                ),
            );
        } else if !given(&web, "cert") {
            web.warning(
                "listen",
                format!(
                    "{address} can be reached from other machines, and without TLS pictures and \
                     passwords go there for all to read; set cert and key"
                ),
            );
        }
    }
    Some(WebConfig { listen, token, user, tls, hosts })
}

/// Whether nobody but this machine can reach it.
fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// An empty text counts as not given, so that the environment can take one away.
fn given(web: &Section<'_>, key: &str) -> bool {
    web.has(key) && web.peek(key, text).as_deref() != Some("")
}

fn checked_token(token: &str) -> Result<(), String> {
    // It goes into a header.
    if !(SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&token.len())
        || !token.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(format!(
            "a token is {SHORTEST_TOKEN} to {LONGEST_TOKEN} letters, digits and signs, without \
             spaces; `openssl rand -hex 32` makes a good one"
        ));
    }
    Ok(())
}

fn read_user(web: &Section<'_>, surroundings: &Surroundings) -> Option<User> {
    for (one, other) in [("user", "password"), ("password", "user")] {
        if given(web, one) && !given(web, other) {
            let made = "; `seewhen password` makes a password's hash";
            web.problem(one, format!("is set and {other} is not; both belong together{made}"));
        }
    }
    let name = credential(web, "user", surroundings);
    let hash = credential(web, "password", surroundings);
    let hash = hash.and_then(|hash| match PasswordHash::parse(hash.trim_end()) {
        Ok(hash) => Some(hash),
        Err(message) => {
            web.problem("password", message);
            None
        }
    });
    Some(User { name: name?, password: hash? })
}

fn read_hosts(web: &Section<'_>) -> Vec<String> {
    let wanted = "write names such as \"gate.lan\", or remove this key";
    let hosts = web.texts("hosts", wanted).unwrap_or_default();
    let read = |(place, host): (super::Place, String)| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if host.is_empty() || !host.chars().all(allowed) {
            let message =
                format!("found {host:?}; write a name alone, without port, such as \"gate.lan\"");
            web.problem_at(place, "hosts", message);
            return None;
        }
        Some(host.trim_end_matches('.').to_ascii_lowercase())
    };
    hosts.into_iter().filter_map(read).collect()
}
