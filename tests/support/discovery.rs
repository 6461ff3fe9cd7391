//! What a message of Home Assistant's device discovery must look like, from its documentation of
//! the MQTT integration and of each platform; and that its topics and templates are the contract's.
//!
//! Home Assistant drops a key that it does not know without a word, so none may be unknown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What seewhen publishes, each topic with a payload that it may have, and what it listens to.
pub(crate) struct Contract {
    pub(crate) published: BTreeMap<String, Vec<u8>>,
    pub(crate) commands: BTreeSet<String>,
}

/// Keys that a platform's entities must have and may have, beside those of every entity.
struct Platform {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const PLATFORMS: &[Platform] = &[
    Platform {
        name: "binary_sensor",
        required: &["state_topic"],
        optional: &["value_template", "device_class", "payload_on", "payload_off"],
    },
    Platform {
        name: "sensor",
        required: &["state_topic", "value_template"],
        optional: &[
            "device_class",
            "state_class",
            "unit_of_measurement",
            "suggested_display_precision",
        ],
    },
    Platform {
        name: "event",
        required: &["state_topic", "event_types", "value_template"],
        optional: &["device_class"],
    },
    Platform { name: "image", required: &["image_topic", "content_type"], optional: &[] },
    Platform { name: "switch", required: &["command_topic", "state_topic"], optional: &[] },
    Platform { name: "button", required: &["command_topic"], optional: &["payload_press"] },
    Platform {
        name: "number",
        required: &["command_topic", "state_topic", "min", "max", "step"],
        optional: &["mode", "unit_of_measurement"],
    },
];

/// Of every entity.
const REQUIRED: &[&str] = &["platform", "unique_id", "name"];
const OPTIONAL: &[&str] = &[
    "availability",
    "availability_mode",
    "entity_category",
    "enabled_by_default",
    "icon",
    "json_attributes_topic",
    "json_attributes_template",
    "qos",
];
const DEVICE: &[&str] =
    &["identifiers", "name", "manufacturer", "model", "sw_version", "via_device"];
const MESSAGE: &[&str] = &["device", "origin", "components", "availability", "availability_mode"];

/// The keys that an entity cannot do without.
pub(crate) fn required(platform: &str) -> Vec<&'static str> {
    let own = PLATFORMS.iter().find(|known| known.name == platform).map(|known| known.required);
    [REQUIRED, own.unwrap_or_default()].concat()
}

/// Everything that is wrong with the messages, each with its place.
pub(crate) fn problems(messages: &BTreeMap<String, Vec<u8>>, contract: &Contract) -> Vec<String> {
    let mut checker = Checker { contract, found: Vec::new(), unique: BTreeSet::new() };
    let read = |payload: &Vec<u8>| serde_json::from_slice::<Value>(payload).unwrap_or_default();
    let messages: BTreeMap<&String, Value> =
        messages.iter().map(|(topic, payload)| (topic, read(payload))).collect();
    let devices: Vec<&Value> =
        messages.values().map(|message| &message["device"]["identifiers"][0]).collect();
    for (topic, message) in &messages {
        checker.message(topic, message);
        let via = &message["device"]["via_device"];
        if !via.is_null() && !devices.contains(&via) {
            checker.say(topic, &format!("via_device {via} is no device"));
        }
    }
    checker.found
}

struct Checker<'a> {
    contract: &'a Contract,
    found: Vec<String>,
    unique: BTreeSet<String>,
}

impl Checker<'_> {
    fn say(&mut self, place: &str, what: &str) {
        self.found.push(format!("{place}: {what}"));
    }

    fn message(&mut self, topic: &str, message: &Value) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let id = topic.strip_prefix("homeassistant/device/");
        let id = id.and_then(|rest| rest.strip_suffix("/config"));
        if id.is_none_or(|id| id.is_empty() || !id.chars().all(allowed)) {
            self.say(topic, "is no topic of device discovery");
        }
        self.keys(topic, message, &["device", "origin", "components"], MESSAGE);
        self.keys(topic, &message["device"], &["identifiers", "name"], DEVICE);
        self.keys(topic, &message["origin"], &["name"], &["name", "sw_version"]);
        self.availability(topic, message);
        let name = &message["device"]["name"];
        if name.as_str().is_none_or(|name| name.trim().is_empty()) {
            self.say(topic, "the device has no name");
        }
        for (id, component) in message["components"].as_object().into_iter().flatten() {
            let place = format!("{topic} {id}");
            if id.is_empty() || id.contains(' ') {
                self.say(&place, "Home Assistant splits ids at spaces");
            }
            self.component(&place, component);
        }
    }

    fn component(&mut self, place: &str, component: &Value) {
        let platform = component["platform"].as_str().unwrap_or_default();
        let Some(known) = PLATFORMS.iter().find(|known| known.name == platform) else {
            return self.say(place, &format!("no platform {platform:?}"));
        };
        let required = required(platform);
        let all = [&required, known.optional, OPTIONAL].concat();
        self.keys(place, component, &required, &all);
        self.availability(place, component);
        for key in ["unique_id", "name"] {
            if component[key].as_str().is_none_or(|text| text.trim().is_empty()) {
                self.say(place, &format!("{key} is empty"));
            }
        }
        let unique = format!("{platform} {}", component["unique_id"]);
        if !self.unique.insert(unique) {
            self.say(place, &format!("unique_id {} twice", component["unique_id"]));
        }
        self.values(place, platform, component);
        self.topics(place, component);
        self.template(place, component, "state_topic", "value_template");
        self.template(place, component, "json_attributes_topic", "json_attributes_template");
    }

    fn keys(&mut self, place: &str, object: &Value, required: &[&str], allowed: &[&str]) {
        for key in required {
            if object[key].is_null() {
                self.say(place, &format!("{key} is missing"));
            }
        }
        for key in object.as_object().into_iter().flat_map(|object| object.keys()) {
            if !allowed.contains(&key.as_str()) {
                self.say(place, &format!("{key} is not known"));
            }
        }
    }

    fn values(&mut self, place: &str, platform: &str, component: &Value) {
        let category = component["entity_category"].as_str();
        let read_only = !matches!(platform, "switch" | "number" | "button");
        if category.is_some_and(|word| word != "diagnostic" && (word != "config" || read_only)) {
            self.say(place, &format!("no entity_category {category:?} here"));
        }
        let class = component["device_class"].as_str();
        if class.is_some_and(|class| !["connectivity", "problem"].contains(&class)) {
            self.say(place, &format!("no device_class {class:?}"));
        }
        if platform == "number" {
            let number = |key: &str| component[key].as_f64().unwrap_or(f64::NAN);
            // Home Assistant takes no finer step.
            if !(number("min") < number("max") && number("step") >= 0.001) {
                self.say(place, "min, max or step is wrong");
            }
        }
        if platform == "event" && component["event_types"].as_array().is_none_or(Vec::is_empty) {
            self.say(place, "event_types is empty");
        }
    }

    fn availability(&mut self, place: &str, object: &Value) {
        for entry in object["availability"].as_array().into_iter().flatten() {
            let topic = entry["topic"].as_str().unwrap_or_default();
            let sample = self.contract.published.get(topic).map(Vec::as_slice);
            if !matches!(sample, Some(b"online" | b"offline")) {
                self.say(place, &format!("{topic:?} tells no availability"));
            }
        }
        let mode = object["availability_mode"].as_str();
        if mode.is_some_and(|mode| !["all", "any", "latest"].contains(&mode)) {
            self.say(place, &format!("no availability_mode {mode:?}"));
        }
    }

    fn topics(&mut self, place: &str, component: &Value) {
        for (key, topic) in component.as_object().into_iter().flatten() {
            if !key.ends_with("_topic") {
                continue;
            }
            let topic = topic.as_str().unwrap_or_default();
            let known = match key.as_str() {
                "command_topic" => self.contract.commands.contains(topic),
                _ => self.contract.published.contains_key(topic),
            };
            if !known {
                self.say(place, &format!("{key} {topic:?} is not in the contract"));
            }
        }
    }

    /// A template over JSON uses fields that are there; plain payloads need none.
    fn template(&mut self, place: &str, component: &Value, topic_key: &str, key: &str) {
        let Some(topic) = component[topic_key].as_str() else { return };
        let sample = self.contract.published.get(topic).map(Vec::as_slice).unwrap_or_default();
        let sample: Value = serde_json::from_slice(sample).unwrap_or_default();
        let template = component[key].as_str();
        if topic_key == "state_topic" && sample.is_object() != template.is_some() {
            self.say(place, &format!("{key} is for JSON, and JSON needs it"));
        }
        let Some(template) = template else { return };
        let count = |text| template.matches(text).count();
        if count("{{") != 1 || count("}}") != 1 || count("'") % 2 != 0 {
            self.say(place, &format!("{key} is not balanced: {template}"));
        }
        let mut uses = template.split("value_json").skip(1).peekable();
        if uses.peek().is_none() {
            self.say(place, &format!("{key} uses nothing of the payload"));
        }
        for rest in uses {
            if !has(&sample, rest) {
                self.say(place, &format!("{key} uses what {topic} lacks: value_json{rest}"));
            }
        }
    }
}

/// Whether `sample` has the field that `path` (".a['b'] …") begins with.
fn has(sample: &Value, path: &str) -> bool {
    let Some(path) = path.strip_prefix('.') else { return false };
    let end = path.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let (field, rest) = path.split_at(end.unwrap_or(path.len()));
    let Some(value) = sample.get(field) else { return false };
    match rest.strip_prefix("['").and_then(|rest| rest.split_once("']")) {
        Some((inner, _)) => value.get(inner).is_some(),
        None => true,
    }
}
