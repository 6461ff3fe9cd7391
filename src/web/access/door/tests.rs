//! Names and sites.

use super::*;
use crate::config::{Secret, WebConfig};

fn access(token: bool, hosts: &[&str]) -> Access {
    Access::new(&WebConfig {
        listen: "127.0.0.1:8480".parse().ok(),
        token: token.then(|| Secret::new("0123456789abcdef")),
        user: None,
        tls: None,
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    })
}

#[test]
fn open_access_is_called_by_known_names_only() {
    let open = access(false, &["gate.lan"]);
    for host in
        ["localhost", "localhost:8480", "127.0.0.1:8480", "[::1]:8480", "gate.lan:1", "gate.lan."]
    {
        assert!(open.is_called(host), "{host}");
    }
    for host in [
        "",
        "evil.example",
        "localhost.evil.example:8480",
        "127.0.0.1.evil.example",
        "gate.lan.evil",
    ] {
        assert!(!open.is_called(host), "{host}");
    }
    assert!(access(true, &[]).is_called("evil.example"), "who has no session there");
    assert!(!access(true, &["gate.lan"]).is_called("evil.example"));
}

#[test]
fn other_sites_are_foreign() {
    let access = access(true, &["gate.lan"]);
    let foreign = |headers: &[(&'static str, &'static str)]| {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        access.is_foreign(&headers.iter().map(pair).collect(), "10.0.0.7:8480")
    };
    assert!(!foreign(&[]), "no browser");
    assert!(!foreign(&[("origin", "http://10.0.0.7:8480")]));
    assert!(!foreign(&[("origin", "https://gate.lan")]), "a proxy in between");
    assert!(!foreign(&[("sec-fetch-site", "same-origin"), ("origin", "https://elsewhere")]));
    for origin in ["null", "", "http://10.0.0.7:8481", "http://evil.example", "http://10.0.0.7"] {
        assert!(foreign(&[("origin", origin)]), "{origin}");
    }
    for site in ["cross-site", "same-site", ""] {
        assert!(foreign(&[("sec-fetch-site", site)]), "{site}");
    }
}
