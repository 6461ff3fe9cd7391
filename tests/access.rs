//! Promise: the page lets in whom the configuration lets in and nobody else, on every route of it.
//!
//! The real binary; the routes come out of its own OpenAPI document, so a new one is in here by itself.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/http.rs"]
mod http;
#[path = "support/page.rs"]
mod page;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use certificates::{Authority, For};
use http::{Answer, Site};
use page::{Page, TOKEN};
use serde_json::Value;

const PASSWORD: &str = "pa55word-of-the-test";
/// Those that anyone may ask.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/api/session", "/api/login", "/api/logout"];

/// What `seewhen password` prints.
fn hash(password: &str) -> (bool, String, String) {
    let mut command = support::command();
    command.arg("password").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn keys() -> String {
    let (done, hash, _) = hash(&format!("{PASSWORD}\n"));
    assert!(done);
    format!("token = \"{TOKEN}\"\nuser = \"me\"\npassword = \"{hash}\"")
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// `(method, path)` of everything in the document, with something for the names in paths.
fn routes(site: &Site) -> Vec<(String, String)> {
    let document = site.get("/api/openapi.json", &[("Authorization", &bearer(TOKEN))]).json();
    let mut routes = vec![("GET".to_owned(), "/api/openapi.json".to_owned())];
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{camera}", "picture").replace("{date}", "2026-06-03");
        let path = path.replace("{node}", "test").replace("{file}", "12-00-00.jpg");
        let path = path.replace("{time}", "1780502400.000");
        assert!(!path.contains('{'), "{path}: write here what stands for the name");
        let methods = item.as_object().unwrap().keys();
        routes.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    assert!(routes.len() >= 14, "{routes:?}");
    routes
}

fn login(site: &Site, user: &str, password: &str) -> Answer {
    let json = serde_json::json!({ "user": user, "password": password }).to_string();
    site.post("/api/login", &json, &[])
}

/// `name=value` of the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[track_caller]
fn check_headers(what: &str, answer: &Answer) {
    let csp = answer.header("content-security-policy").unwrap_or_default();
    for part in ["default-src 'self'", "img-src 'self' blob: data:", "frame-ancestors 'none'"] {
        assert!(csp.contains(part), "{what}: {answer:?}");
    }
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{what}");
    let cached = answer.header("cache-control").unwrap_or_default();
    if what.contains("/api/") || what.contains("/metrics") {
        let kept_away =
            ["no-store", "private", "no-cache"].iter().any(|word| cached.contains(word));
        assert!(kept_away && !cached.contains("public"), "{what}: {cached:?}");
    }
    if answer.status >= 400 && !what.contains("/readyz") {
        let error = answer.json();
        let words = error["error"].as_str().or(error["reason"].as_str()).unwrap_or_default();
        assert!(!words.is_empty(), "{what}: {error}");
    }
}

#[test]
fn every_route_by_everyone() {
    let Page { seewhen, site } = page::start(&keys());
    let in_session = cookie(&login(&site, "me", PASSWORD));
    let (right, wrong) = (bearer(TOKEN), bearer("t0ken-of-the-test-9876543210"));
    let token = ("Authorization", right.as_str());
    for (method, path) in routes(&site) {
        let open = OPEN.contains(&path.as_str());
        let ask = |headers: &[(&str, &str)]| {
            let kind = ("Content-Type", "application/json");
            let body: &[u8] = if method == "POST" { b"{}" } else { b"" };
            let answer = site.ask(&method, &path, &[headers, &[kind]].concat(), body);
            check_headers(&format!("{method} {path} {headers:?}"), &answer);
            answer.status
        };
        let refused = |status: u16| status == 401 || status == 429;
        if !open {
            for nobody in [
                &[][..],
                &[("Authorization", "Basic bWU6cGE1NXdvcmQ=")],
                &[("Cookie", "seewhen=1; seewhen-1=00")],
                &[("Cookie", &in_session[..in_session.len() - 1])],
            ] {
                assert!(refused(ask(nobody)), "{method} {path} {nobody:?}");
            }
        }
        for known in [token, ("Cookie", in_session.as_str())] {
            if path == "/api/logout" && known.0 == "Cookie" {
                // It would be the end of this session.
                continue;
            }
            // What is asked for may not be there, or not make sense.
            let status = ask(&[known]);
            let fits =
                matches!(status, 200 | 204 | 400 | 404) || path == "/readyz" && status == 503;
            // The login is one without user and password.
            assert!(fits, "{method} {path}: {status} with {known:?}");
            if method == "POST" {
                for (name, value) in [
                    ("Origin", "https://evil.example"),
                    ("Sec-Fetch-Site", "cross-site"),
                    ("Origin", "null"),
                ] {
                    assert_eq!(ask(&[known, (name, value)]), 403, "{method} {path} {name} {value}");
                }
                let form = [known, ("Content-Type", "text/plain")];
                let answer = site.ask(&method, &path, &form, b"{}");
                assert_eq!(answer.status, 415, "{method} {path}");
            }
        }
    }
    // Wrong tokens last, for they end in 429.
    let statuses: Vec<u16> =
        (0..25).map(|_| site.get("/api/node", &[("Authorization", &wrong)]).status).collect();
    assert!(statuses.contains(&401) && statuses.ends_with(&[429]), "{statuses:?}");
    let told = site.get("/api/node", &[token]);
    assert_eq!(told.status, 429, "guessing must not pay");
    assert!(told.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(site.get("/api/node", &[("Cookie", &in_session)]).status, 200);
    let log = seewhen.log();
    for secret in [TOKEN, PASSWORD, "argon2", in_session.split_once('=').unwrap().1] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn in_and_out() {
    let Page { seewhen, site } = page::start(&keys());
    let session = |headers: &[(&str, &str)]| -> Value { site.get("/api/session", headers).json() };
    assert_eq!(session(&[]), serde_json::json!({ "access": "needed", "user": null }));
    for (user, password) in [("me", "wrong"), ("you", PASSWORD), ("me", TOKEN), ("", "")] {
        assert_eq!(login(&site, user, password).status, 401, "{user}");
    }
    let answer = login(&site, "me", PASSWORD);
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let set = answer.header("set-cookie").unwrap();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(flag), "{set}");
    }
    assert!(!set.contains("Secure"), "it would not come back over http: {set}");
    let own = cookie(&answer);
    assert_eq!(own.split_once('=').unwrap().1.len(), 64, "256 bits");
    let mine = [("Cookie", own.as_str())];
    assert_eq!(session(&mine), serde_json::json!({ "access": "granted", "user": "me" }));
    assert_ne!(cookie(&login(&site, "me", PASSWORD)), own, "every login has its own");
    assert_eq!(site.get("/api/live", &mine).status, 200);
    assert_eq!(site.ask("POST", "/api/logout", &mine, b"").status, 204);
    assert_eq!(site.get("/api/node", &mine).status, 401);
    seewhen.expect_log("a login was refused", page::SOON);
}

#[test]
fn logins_are_slowed_down() {
    let Page { site, seewhen: _seewhen } = page::start(&keys());
    let statuses: Vec<u16> = (0..7).map(|_| login(&site, "me", "guess").status).collect();
    assert_eq!(statuses[..5], [401; 5], "{statuses:?}");
    let answer = login(&site, "me", PASSWORD);
    assert_eq!(answer.status, 429, "{statuses:?}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert!(answer.json()["error"].as_str().unwrap().contains("wait"));
    assert_eq!(site.get("/api/node", &[("Authorization", &bearer(TOKEN))]).status, 200);
}

#[test]
fn a_token_alone_is_the_password() {
    let Page { site, seewhen: _seewhen } = page::start(&format!("token = \"{TOKEN}\""));
    assert_eq!(login(&site, "", "guess").status, 401);
    let own = cookie(&login(&site, "", TOKEN));
    assert_eq!(site.get("/api/node", &[("Cookie", &own)]).status, 200);
}

#[test]
fn open_access_is_for_this_machine_by_its_own_name() {
    let Page { site, seewhen: _seewhen } = page::start("hosts = [\"gate.lan\"]");
    assert_eq!(site.get("/api/session", &[]).json()["access"], "open");
    assert_eq!(login(&site, "x", "y").status, 204, "nobody has to");
    for host in ["localhost", "127.0.0.1", "[::1]:80", "gate.lan", "GATE.lan:8480"] {
        assert_eq!(site.get("/api/node", &[("Host", host)]).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""] {
        let answer = site.get("/api/node", &[("Host", host)]);
        assert_eq!(answer.status, 421, "{host}");
        assert!(answer.json()["error"].as_str().unwrap().contains("web.hosts"), "{answer:?}");
        assert_eq!(site.get("/", &[("Host", host)]).status, 421, "{host}");
        assert_eq!(site.get("/healthz", &[("Host", host)]).status, 200, "{host}");
    }
    let foreign = site.post("/api/command", "{}", &[("Origin", "https://evil.example")]);
    assert_eq!(foreign.status, 403);
}

#[test]
fn over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (path, authority) = (folder.path(), Authority::new("home CA"));
    authority.write(path, "ca");
    authority.issue(path, "page", &For::Server("127.0.0.1"));
    let file = |name: &str| path.join(name).display().to_string();
    let keys = format!("{}\ncert = {:?}\nkey = {:?}", keys(), file("page.pem"), file("page.key"));
    let site = Site::encrypted(support::free_port(), &path.join("ca.pem"));
    let Page { site, seewhen } = page::start_at(&keys, site);
    let answer = login(&site, "me", PASSWORD);
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-") && set.contains("; Secure"), "{set}");
    assert_eq!(site.get("/api/node", &[("Cookie", &cookie(&answer))]).status, 200);
    assert_eq!(site.get("/api/node", &[]).status, 401);
    assert!(Site::plain(site.port).send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_err());
    assert_eq!(site.get("/healthz", &[]).status, 200, "and it goes on");

    // Renewed by another CA: new connections have it after a reload.
    let authority = Authority::new("newer CA");
    authority.write(path, "newer-ca");
    authority.issue(path, "page", &For::Server("127.0.0.1"));
    assert_eq!(site.get("/healthz", &[]).status, 200, "nothing yet");
    seewhen.signal("HUP");
    seewhen.expect_log("renewed=[\"web.cert\", \"web.key\"]", page::SOON);
    let newer = Site::encrypted(site.port, &path.join("newer-ca.pem"));
    support::wait_for("the new certificate", page::SOON, || {
        newer.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()
    });
    assert!(site.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").is_err(), "the old one is gone");
    assert_eq!(newer.get("/api/node", &[("Cookie", &cookie(&answer))]).status, 200, "logged in");
    assert!(!seewhen.log().contains("PRIVATE KEY"));
}

#[test]
fn what_is_too_much_is_refused_and_nothing_else_suffers() {
    let Page { site, seewhen: _seewhen } = page::start("");
    let host = format!("Host: 127.0.0.1:{}\r\n", site.port);
    let many: String = (0..100).map(|n| format!("X-{n}: y\r\n")).collect();
    let head = |more: &str| format!("GET /api/node HTTP/1.1\r\n{host}{more}\r\n");
    let status = |request: &str| site.send(request.as_bytes()).map(|answer| answer.status).ok();
    assert_eq!(status(&head(&many)), Some(431));
    assert_eq!(status(&head(&format!("X: {}\r\n", "y".repeat(40_000)))), Some(431));
    assert_eq!(status("\0\0\0\r\n\r\n"), Some(400));
    let large = "x".repeat(200_000);
    assert_eq!(site.post("/api/command", &large, &[]).status, 413);
    let post = |more: &str| {
        format!("POST /api/command HTTP/1.1\r\n{host}Content-Type: application/json\r\n{more}")
    };
    assert_eq!(status(&post("Content-Length: 99999999999\r\n\r\n")), Some(413), "before it comes");
    let chunks = format!(
        "Transfer-Encoding: chunked\r\n\r\n{}",
        format!("ffff\r\n{}\r\n", "x".repeat(0xffff)).repeat(3)
    );
    assert_eq!(status(&post(&chunks)), Some(413));
    // One that never finishes its head holds a place, and nobody else up.
    let mut slow = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    assert_eq!(site.get("/api/node", &[]).status, 200);
    slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");
    // The last few of these are turned away.
    let connections: Vec<TcpStream> =
        (0..260).filter_map(|_| TcpStream::connect(("127.0.0.1", site.port)).ok()).collect();
    let refused = support::wait_for("one is turned away", page::SOON, || {
        let answer = site.send(head("").as_bytes()).ok()?;
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(refused.json()["error"], "too many connections");
    drop(connections);
    support::wait_for("it goes on", page::SOON, || {
        site.send(head("Connection: close\r\n").as_bytes())
            .ok()
            .filter(|answer| answer.status == 200)
    });
}

#[test]
fn a_page_for_others_needs_a_token_or_a_user() {
    let folder = tempfile::tempdir().unwrap();
    let check = |web: &str| {
        let file = folder.path().join("seewhen.toml");
        let config = page::config(1, web).replace("127.0.0.1:1", "0.0.0.0:8480");
        std::fs::write(&file, config).unwrap();
        let output = support::command().arg("check").arg("--config").arg(file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = check("");
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("seewhen.toml:9:10: web.listen: 0.0.0.0:8480 can be reached"), "{said}");
    assert!(said.contains("seewhen password"), "what to do: {said}");
    let (code, said) = check(&keys());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("web.listen") && said.contains("without TLS"), "{said}");
}

#[test]
fn passwords_are_hashed_unseen() {
    let (done, hash, _) = hash("correct horse\n");
    assert!(done && hash.starts_with("$argon2id$v=19$"), "{hash}");
    assert!(seewhen::config::PasswordHash::parse(&hash).unwrap().matches("correct horse"));
    for (bad, reason) in
        [("short", "8 or more"), ("", "8 or more"), ("two lines\nof it", "several lines")]
    {
        let (done, out, said) = self::hash(bad);
        assert!(!done && out.is_empty() && said.contains(reason), "{bad}: {said}");
        assert!(bad.is_empty() || !said.contains(bad), "{said}");
    }
}
