//! Promise: the connection to the broker is encrypted or it is not there; what is wrong with it is
//! said so that one can put it right. A real mosquitto with certificates that are made here.

#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

mod support;

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/proxy.rs"]
mod proxy;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use certificates::{Authority, For};
use proxy::Proxy;
use support::{Broker, Seewhen};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);
const USER: &str = "porch-watcher";
const PASSWORD: &str = "open-sesame";

/// A folder with the certificates of two CAs, and what they issued.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (home, foreign) = (Authority::new("home CA"), Authority::new("foreign CA"));
        let path = folder.path();
        home.write(path, "ca");
        foreign.write(path, "foreign-ca");
        home.issue(path, "broker", &For::Server("127.0.0.1"));
        home.issue(path, "expired", &For::ExpiredServer("127.0.0.1"));
        home.issue(path, "elsewhere", &For::Server("broker.example"));
        home.issue(path, "me", &For::Client);
        foreign.issue(path, "stranger", &For::Client);
        let status = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(path.join("passwords"))
            .args([USER, PASSWORD])
            .status();
        assert!(status.expect("mosquitto_passwd: run scripts/setup test").success());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A mosquitto with a plain listener and one with TLS, and the port of that one.
    fn broker(&self, certificate: &str, more: &str) -> (Broker, u16) {
        let port = support::free_port();
        let file = |name: &str| self.path(name).display().to_string();
        let (ca, certificate, key) = (
            file("ca.pem"),
            file(&format!("{certificate}.pem")),
            file(&format!("{certificate}.key")),
        );
        let lines = format!(
            "listener {port} 127.0.0.1\ncafile {ca}\ncertfile {certificate}\nkeyfile {key}\n{more}\n"
        );
        (Broker::start_with(|_| lines), port)
    }

    fn login(&self) -> String {
        format!("allow_anonymous false\npassword_file {}", self.path("passwords").display())
    }

    /// `KEY = "PATH"` for the configuration.
    fn key(&self, key: &str, name: &str) -> String {
        format!("{key} = \"{}\"\n", self.path(name).display())
    }
}

/// A configuration whose camera is a test picture.
fn config(scheme: &str, port: u16, lines: &str) -> String {
    format!(
        "node = \"test\"\n[mqtt]\nurl = \"{scheme}://127.0.0.1:{port}\"\n{lines}\n[[camera]]\nid = \
         \"picture\"\nsource = \"test:\"\nevery = \"100ms\"\n[[watch]]\nid = \"room\"\n\
         [[watch.label]]\nid = \"bars\"\nprompts = [\"colour bars\"]\n[[watch.label]]\nid = \
         \"rest\"\nprompts = [\"a street\"]\n"
    )
}

const OPEN: &str = "allow_anonymous true";

fn login(password: &str) -> String {
    format!("user = \"{USER}\"\npassword = \"{password}\"\n")
}

/// Starts a seewhen that finds `expected` wrong with its connection.
#[track_caller]
fn complains(config: &str, expected: &str) {
    let seewhen = Seewhen::start(config);
    seewhen.expect_log(expected, SOON);
    assert!(!seewhen.log().contains("connected to the broker"), "{}", seewhen.log());
    assert!(!seewhen.log().contains(PASSWORD), "{}", seewhen.log());
}

/// What crosses the wire for a while, with a login and every kind of message.
fn recorded(broker: &Broker, port: u16, scheme: &str, lines: &str) -> Proxy {
    let (proxy, subscriber) = (Proxy::recording(port), broker.subscribe());
    let seewhen = Seewhen::start(&config(scheme, proxy.port, &(login(PASSWORD) + lines)));
    seewhen.expect_log("connected to the broker", SOON);
    subscriber.expect("picture/available", SOON, |heard| heard.payload == "online");
    subscriber.expect("room/probabilities", SOON, |heard| heard.payload.contains("bars"));
    subscriber.expect("picture/status", SOON, |heard| heard.payload.contains("running"));
    proxy
}

#[test]
fn nothing_goes_in_the_clear() {
    let files = Files::new();
    let words = [PASSWORD, USER, "seewhen", "picture", "available", "online", "bars", "running"];
    for version in ["3.1.1", "5"] {
        let version = format!("version = \"{version}\"\n");
        let (broker, port) = files.broker("broker", &files.login());
        let proxy = recorded(&broker, port, "mqtts", &(files.key("ca_file", "ca.pem") + &version));
        assert!(proxy.recorded() > 1000);
        for word in words {
            assert!(!proxy.heard(word), "{word:?} went in the clear");
        }
        // The same without TLS, so that the check above is one.
        let port = support::free_port();
        let lines = format!("listener {port} 127.0.0.1\n{}\n", files.login());
        let plain = Broker::start_with(|_| lines);
        let proxy = recorded(&plain, port, "mqtt", &version);
        for word in words {
            assert!(proxy.heard(word), "{word:?} is not found where it must be");
        }
    }
}

#[test]
fn a_broker_that_cannot_prove_itself_is_refused() {
    let files = Files::new();
    let (_right, port) = files.broker("broker", OPEN);
    let foreign = files.key("ca_file", "foreign-ca.pem");
    complains(&config("mqtts", port, &foreign), "was not issued by a CA in mqtt.ca_file");
    complains(&config("mqtts", port, ""), "was issued by no CA that this system trusts");
    let ca = files.key("ca_file", "ca.pem");
    let (_expired, port) = files.broker("expired", OPEN);
    complains(
        &config("mqtts", port, &ca),
        "the broker's certificate expired on 2021-01-01T00:00:00Z: renew it",
    );
    let (_elsewhere, port) = files.broker("elsewhere", OPEN);
    complains(&config("mqtts", port, &ca), "is for broker.example, not for 127.0.0.1");
}

#[test]
fn a_client_certificate_where_the_broker_wants_one() {
    let files = Files::new();
    let (broker, port) = files.broker("broker", "require_certificate true\nallow_anonymous true");
    let ca = files.key("ca_file", "ca.pem");
    complains(&config("mqtts", port, &ca), "the broker requires a client certificate: set");
    let pair = |name: &str| {
        files.key("client_cert", &format!("{name}.pem"))
            + &files.key("client_key", &format!("{name}.key"))
    };
    complains(
        &config("mqtts", port, &(ca.clone() + &pair("stranger"))),
        "does not know the CA that issued the certificate in mqtt.client_cert",
    );
    let subscriber = broker.subscribe();
    let seewhen = Seewhen::start(&config("mqtts", port, &(ca + &pair("me"))));
    subscriber.expect("test/available", SOON, |heard| heard.payload == "online");
    assert!(!seewhen.log().contains("no connection"), "{}", seewhen.log());
}

#[test]
fn renewed_certificates_hold_without_a_restart() {
    let files = Files::new();
    let (mut broker, port) =
        files.broker("broker", "require_certificate true\nallow_anonymous true");
    let put = |from: &str, to: &str| {
        std::fs::copy(files.path(from), files.path(to)).unwrap();
    };
    let put_pair = |name: &str| {
        put(&format!("{name}.pem"), "own.pem");
        put(&format!("{name}.key"), "own.key");
    };
    put("foreign-ca.pem", "used-ca.pem");
    put_pair("me");
    let lines = files.key("ca_file", "used-ca.pem")
        + &files.key("client_cert", "own.pem")
        + &files.key("client_key", "own.key");
    let seewhen = Seewhen::start(&config("mqtts", port, &lines));
    let times = |text: &str| seewhen.log().matches(text).count();
    seewhen.expect_log("was not issued by a CA in mqtt.ca_file", SOON);

    put("ca.pem", "used-ca.pem");
    seewhen.signal("HUP");
    seewhen.expect_log("renewed=[\"mqtt.ca_file\"]", SOON);
    seewhen.expect_log("connected to the broker", SOON);

    // A connection that stands goes on; the next one shows the new certificate.
    let lost = times("no connection to the broker");
    put_pair("stranger");
    seewhen.signal("HUP");
    seewhen.expect_log("renewed=[\"mqtt.client_cert\", \"mqtt.client_key\"]", SOON);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(times("no connection to the broker"), lost, "{}", seewhen.log());
    broker.stop();
    broker.restart();
    seewhen
        .expect_log("does not know the CA that issued the certificate in mqtt.client_cert", SOON);

    // Half of a renewal changes nothing.
    put("me.pem", "own.pem");
    seewhen.signal("HUP");
    seewhen.expect_log("mqtt.client_key: is not the key of the certificate in", SOON);
    seewhen.expect_log("the running one stays", SOON);
    put_pair("me");
    let subscriber = broker.subscribe();
    seewhen.signal("HUP");
    subscriber.expect("test/available", SOON, |heard| heard.payload == "online");
    assert!(!seewhen.log().contains("PRIVATE KEY"));
}

#[test]
fn a_login_that_the_broker_does_not_take() {
    let files = Files::new();
    let (_broker, port) = files.broker("broker", &files.login());
    for version in ["version = \"3.1.1\"\n", "version = \"5\"\n"] {
        let lines = files.key("ca_file", "ca.pem") + version;
        complains(
            &config("mqtts", port, &(login("wrong") + &lines)),
            "the broker refused user and password: check mqtt.user and mqtt.password",
        );
        complains(&config("mqtts", port, &lines), "the broker wants a user and a password");
    }
}

#[test]
fn the_wrong_port() {
    let files = Files::new();
    let (broker, port) = files.broker("broker", OPEN);
    complains(&config("mqtt", port, ""), "a TLS port (usually 8883)");
    let ca = files.key("ca_file", "ca.pem");
    complains(&config("mqtts", broker.port, &ca), "a port without TLS (usually 1883)");
    complains(&config("mqtt", support::free_port(), ""), "nothing listens on port");
}

/// What `seewhen check` says of a configuration in `folder`.
fn checked(folder: &Path, lines: &str) -> String {
    let file = folder.join("seewhen.toml");
    std::fs::write(&file, config("mqtts", 8883, lines)).unwrap();
    let output = support::command().arg("check").arg("--config").arg(&file).output().unwrap();
    assert!(!output.status.success(), "{lines} is taken");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap().replace(&*folder.to_string_lossy(), "DIR");
    assert!(!said.contains("PRIVATE KEY-----\n"), "{said}");
    said
}

#[test]
fn files_that_cannot_be_used_stop_the_start() {
    let files = Files::new();
    let folder = files.folder.path();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("ca.der", &[0x30, 0x82, 0xff, 0xfe]);
    write("cut.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n");
    write("other.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    write("locked.key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    let pair = |key: &str| format!("client_cert = \"me.pem\"\nclient_key = \"{key}\"");
    for (lines, line, expected) in [
        ("ca_file = \"none.pem\"", 4, "mqtt.ca_file: \"none.pem\" cannot be read: No such file"),
        ("ca_file = \"ca.der\"", 4, "mqtt.ca_file: \"ca.der\" is no text, so it is not in PEM"),
        ("ca_file = \"me.key\"", 4, "mqtt.ca_file: \"me.key\" holds no certificate in PEM form"),
        ("ca_file = \"cut.pem\"", 4, "mqtt.ca_file: \"cut.pem\" is damaged"),
        ("ca_file = \"other.pem\"", 4, "\"other.pem\": certificate 1 in it cannot be understood"),
        (&pair("stranger.key"), 5, "mqtt.client_key: is not the key of the certificate in"),
        (&pair("me.pem"), 5, "mqtt.client_key: \"me.pem\" holds no private key"),
        (&pair("locked.key"), 5, "\"locked.key\" is protected with a password"),
        ("client_key = \"me.key\"", 4, "mqtt.client_key: is set and client_cert is not"),
    ] {
        let said = checked(folder, lines);
        assert!(said.contains(expected), "{lines}:\n{said}");
        assert!(said.contains(&format!("DIR/seewhen.toml:{line}:")), "{lines}:\n{said}");
    }
    // The start stops as well.
    let seewhen = Seewhen::start(&config("mqtts", 8883, "ca_file = \"none.pem\""));
    assert!(!seewhen.wait(SOON).success());
    seewhen.expect_log("mqtt.ca_file: \"none.pem\" cannot be read", SOON);
}

#[test]
fn a_password_that_was_put_right_needs_no_restart() {
    let files = Files::new();
    let (mut broker, port) = files.broker("broker", &files.login());
    let subscriber = broker.subscribe();
    let with = |password: &str| {
        config("mqtts", port, &(login(password) + &files.key("ca_file", "ca.pem")))
    };
    let seewhen = Seewhen::start(&with("wrong"));
    let times = |text: &str| seewhen.log().matches(text).count();
    seewhen.expect_log("the broker refused user and password", SOON);
    seewhen.configure(&with(PASSWORD));
    seewhen.signal("HUP");
    seewhen.expect_log("renewed=[\"mqtt.password\"]", SOON);
    subscriber.expect("test/available", SOON, |heard| heard.payload == "online");

    // A connection that stands goes on; the next one is made with the new password.
    let refused = times("the broker refused user and password");
    seewhen.configure(&with("another"));
    seewhen.signal("HUP");
    support::wait_for("the reload", SOON, || (times("reloaded") == 2).then_some(()));
    assert_eq!(times("no connection to the broker"), refused, "{}", seewhen.log());
    broker.stop();
    broker.restart();
    support::wait_for("the new password is refused", SOON, || {
        (times("the broker refused user and password") > refused).then_some(())
    });
    assert!(!seewhen.log().contains(PASSWORD), "{}", seewhen.log());
}
