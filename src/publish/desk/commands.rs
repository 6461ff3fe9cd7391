//! Commands that come in over the broker, and the answers to them.

use super::Desk;
use crate::command::{Answer, Command, Outcome, Request, parse, shortened};
use crate::model::LabelKey;
use crate::publish::payload;
use crate::publish::topics::Addressed;

/// Most characters of a topic that are shown.
const LONGEST_TOPIC: usize = 300;

impl Desk {
    /// Takes a message in, if it is a command: `false` when it is something else.
    pub(super) fn command(&mut self, topic: &str, payload: &[u8], retained: bool) -> bool {
        if self.settings.commands.is_none() {
            return false;
        }
        let Some(addressed) = self.settings.topics.addressed(topic) else { return false };
        // What comes when a retained message is cleared.
        if payload.is_empty() {
            return true;
        }
        let topic = shortened(topic, LONGEST_TOPIC);
        let read = match addressed {
            Addressed::Any => parse::json(payload),
            Addressed::Enabled(camera) => parse::switch(&topic, camera, payload),
            Addressed::Threshold([camera, watch, label]) => {
                parse::threshold(&topic, [watch, label], payload)
                    .and_then(|request| self.looked_for_on(camera, request))
            }
        };
        let read = match read {
            Ok(Request { tag, .. }) if retained => {
                let reason = format!(
                    "the broker keeps this message and sends it again at every start; clear it: \
                     mosquitto_pub -r -n -t {topic}"
                );
                Err(Answer::refuse(tag, Outcome::Retained, reason))
            }
            read => read,
        };
        if let Err(answer) = read.and_then(|request| self.order(request)) {
            self.answer(&answer);
        }
        true
    }

    /// A threshold is that of a label on all its cameras; this one must be among them.
    fn looked_for_on(&self, camera: &str, request: Request) -> Result<Request, Answer> {
        let Command::SetThreshold(watch, label, _) = &request.command else { return Ok(request) };
        let is_it = |key: &LabelKey| key.watch == *watch && key.label == *label;
        let mut on = self.labels.keys().filter(|key| is_it(key));
        if on.clone().next().is_none() || on.any(|key| key.camera.as_str() == camera) {
            return Ok(request);
        }
        let camera = shortened(camera, 64);
        let reason = format!("{watch}/{label} is not looked for on camera {camera:?}");
        Err(Answer::refuse(request.tag, Outcome::Refused, reason))
    }

    /// Hands a command on to whoever carries it out.
    fn order(&mut self, request: Request) -> Result<(), Answer> {
        let tag = request.tag.clone();
        let admitted = self.intake.admits(self.settings.clock.now());
        let orders = self.settings.commands.as_ref().filter(|_| admitted);
        if orders.is_some_and(|orders| orders.try_send(request).is_ok()) {
            return Ok(());
        }
        Err(Answer::refuse(tag, Outcome::Flooding, "too many commands; send them more slowly"))
    }

    /// Tells what became of a command, and counts it. Of many refusals only some are told.
    pub(in crate::publish) fn answer(&mut self, answer: &Answer) {
        let outcome = answer.outcome();
        self.settings.status.command(outcome);
        if let Err(refusal) = &answer.result {
            let Some(untold) = self.intake.answers(self.settings.clock.now()) else { return };
            let (outcome, reason) = (outcome.word(), &refusal.reason);
            tracing::warn!(outcome, reason, untold, "a command is refused");
        }
        self.send_once(self.settings.topics.reply(), payload::reply(answer), true);
        self.publish_node_status();
    }
}
