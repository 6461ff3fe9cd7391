//! `[web]`: where the page is served.

use std::net::SocketAddr;

use super::keys;
use super::section::Section;
use super::value::text;

/// `[web]`
#[derive(Debug, Clone, PartialEq)]
pub struct WebConfig {
    /// `None`: there is no page.
    pub listen: Option<SocketAddr>,
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(root: &Section<'_>) -> Option<WebConfig> {
    let web = root.section("web", keys::WEB)?;
    let listen = web.get("listen", |value| {
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
    Some(WebConfig { listen: listen? })
}
