//! `[mqtt]`: the broker, the topics' first levels, the outbox.

use std::fmt;

use ::config::Value;
use url::Host;

use super::keys;
use super::secret::{Piece, Secret, Surroundings, pieces};
use super::section::Section;
use super::source::{Address, LookUp, masked};
use super::tls::{self, Tls};
use super::value::{choice, count, text};

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq)]
pub struct MqttConfig {
    pub broker: Broker,
    /// First topic levels, before the node.
    pub prefix: String,
    /// Home Assistant's discovery prefix; empty turns discovery off.
    pub discovery: String,
    /// Most events kept while the broker cannot be reached.
    pub outbox: usize,
}

/// Where the broker is. `Debug` shows neither user name nor password.
#[derive(Clone, PartialEq)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub version: MqttVersion,
    /// How the connection is encrypted, where it is.
    pub tls: Option<Tls>,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

impl Broker {
    /// User and password, which is empty where there is none.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        let password = self.password.as_ref().map_or("", Secret::reveal);
        self.user.as_deref().map(|user| (user, password))
    }
}

/// What is spoken with a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttVersion {
    /// 3.1.1
    #[default]
    V3,
    V5,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, port) = (if self.tls.is_some() { "mqtts" } else { "mqtt" }, self.port);
        let user = if self.user.is_some() { "***@" } else { "" };
        write!(f, "Broker({scheme}://{user}{}:{port})", self.host)
    }
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn read(root: &Section<'_>, surroundings: &Surroundings) -> Option<MqttConfig> {
    let mqtt = root.section("mqtt", keys::MQTT)?;
    let broker = mqtt.get("url", |value| address(value, surroundings));
    let versions = [("3.1.1", MqttVersion::V3), ("5", MqttVersion::V5)];
    let version = mqtt.get("version", |value| choice(value, &versions));
    let tls = tls::read(&mqtt, surroundings);
    let user = credential(&mqtt, "user", surroundings);
    let password = credential(&mqtt, "password", surroundings);
    let prefix = mqtt.get("prefix", |value| levels(text(value)?));
    let discovery = mqtt.get("discovery", |value| match text(value)? {
        off if off.is_empty() => Ok(off),
        prefix => levels(prefix),
    });
    let outbox = mqtt.get("outbox", |value| count(value, 1..=1_000_000));
    let mut broker = broker?;
    for (key, in_url, own) in [
        ("user", broker.user.is_some(), user.is_some()),
        ("password", broker.password.is_some(), password.is_some()),
    ] {
        if in_url && own {
            mqtt.problem(key, "is also in url; keep one of them");
        }
    }
    match &mut broker.tls {
        Some(wanted) => *wanted = tls,
        None => tls::must_be_absent(&mqtt),
    }
    broker.version = version?;
    broker.user = broker.user.or(user);
    broker.password = broker.password.or(password.map(Secret::new));
    if broker.password.is_some() && broker.user.is_none() && !mqtt.has("user") {
        let key = if mqtt.has("password") { "password" } else { "url" };
        mqtt.problem(key, "there is a password and no user name; set user");
    }
    Some(MqttConfig { broker, prefix: prefix?, discovery: discovery?, outbox: outbox? })
}

/// An empty text counts as not given, so that the environment can take one away.
pub(super) fn credential(
    section: &Section<'_>,
    key: &str,
    surroundings: &Surroundings,
) -> Option<String> {
    let read = |value: &Value| {
        // The value itself is not quoted: a number may well be a password.
        let text =
            text(value).map_err(|_| "write a text in quotes, ${NAME} or file:PATH".to_owned())?;
        surroundings.resolve(&text)
    };
    section.get(key, read).filter(|value| !value.is_empty())
}

fn address(value: &Value, surroundings: &Surroundings) -> Result<Broker, String> {
    let text = text(value)?;
    let found = || format!("found {:?}", masked(&text));
    if text == "embedded" {
        return Err("found \"embedded\"; there is no broker inside this version: run one such as \
                    mosquitto and write its address, mqtt://127.0.0.1:1883"
            .to_owned());
    }
    let parts = pieces(&text).map_err(|reason| format!("{}; {reason}", found()))?;
    if let [Piece::Reference(name)] = parts[..] {
        let whole = surroundings.look_up(name)?;
        let nested = |_: &str| Err("a reference in a reference".to_owned());
        // A general reason, so that nothing of the value can show.
        return broker(&whole, &nested)
            .map_err(|_| format!("the value of ${{{name}}} is no broker; {ALLOWED}"));
    }
    broker(&text, &|name| surroundings.look_up(name))
        .map_err(|reason| format!("{}; {reason}", found()))
}

const ALLOWED: &str = "write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS";

fn broker(text: &str, look_up: LookUp<'_>) -> Result<Broker, String> {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let (tls, default_port) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        "" => return Err(ALLOWED.to_owned()),
        other => return Err(format!("{other:?} is not supported; {ALLOWED}")),
    };
    let Address { url, user, password } = Address::read(text, look_up)?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("a broker's address ends after the port; topics begin with prefix".to_owned());
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err("the host is missing".to_owned()),
    };
    let port = url.port().unwrap_or(default_port);
    let (version, tls) = (MqttVersion::default(), tls.then(Tls::default));
    Ok(Broker { host, port, version, tls, user, password: password.map(Secret::new) })
}

/// Levels of an MQTT topic that can be published to.
fn levels(found: String) -> Result<String, String> {
    let wrong = |level: &str| level.is_empty() || level.contains(['+', '#', '\0']);
    if found.split('/').any(wrong) || found.starts_with('$') {
        return Err(format!(
            "found {:?}; write topic levels such as \"home/cameras\": no '+' or '#', no '/' \
             at either end or twice in a row, no '$' at the beginning",
            masked(&found)
        ));
    }
    Ok(found)
}
