//! A seewhen with a page, on a port of its own, that looks at a test picture and has no broker.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]

use std::time::Duration;

use crate::http::Site;
use crate::support::{Seewhen, free_port, picture, wait_for};

pub const SOON: Duration = Duration::from_secs(60);
pub const TOKEN: &str = "t0ken-of-the-test-0123456789";

pub struct Page {
    pub seewhen: Seewhen,
    pub site: Site,
}

const WATCH: &str = r#"
[[watch]]
id = "look"
[[watch.label]]
id = "bars"
prompts = ["a test card with bars of colour"]
threshold = 0.5
[[watch.label]]
id = "nothing"
prompts = ["an empty street"]
"#;

/// The configuration, with these keys of `[web]`.
pub fn config(port: u16, web: &str) -> String {
    // Nobody listens on the discard port.
    format!("{}\n[web]\nlisten = \"127.0.0.1:{port}\"\n{web}\n{WATCH}", picture(9))
}

/// Starts one, with these keys of `[web]`.
pub fn start(web: &str) -> Page {
    start_at(web, Site::plain(free_port()))
}

pub fn start_at(web: &str, site: Site) -> Page {
    let listen = format!("127.0.0.1:{}", site.port);
    let variables = [("SEEWHEN_WEB__LISTEN", listen.as_str())];
    let seewhen = Seewhen::start_with(&config(site.port, web), &variables);
    let what = "the page is served";
    wait_for(what, SOON, || {
        let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        site.send(request).ok().filter(|answer| answer.status == 200)
    });
    Page { seewhen, site }
}
