//! One command to a running node, over its broker, and the answer.
//!
//! A connection of its own, with a client id of its own and without a last will: whatever becomes of it,
//! the node is not spoken for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::backoff::Backoff;
use crate::config::Config;
use crate::publish::mqtt::{self, Link};
use crate::publish::topics::Topics;
use crate::publish::{LinkEvent, Message};

/// From the first try to connect to the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a goodbye that the broker need not hear.
const GOODBYE: Duration = Duration::from_secs(1);

/// Publishes `command` on `P/command`, with an `id` that is put in, and gives the message on `P/reply`
/// that has the same.
///
/// # Errors
/// When there is no broker, or no answer within five seconds; says what to look at.
pub fn ask(config: &Config, mut command: Value) -> anyhow::Result<Value> {
    let id = format!("{:016x}", fastrand::u64(..));
    command["id"] = id.as_str().into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(exchange(config, &id, &command))
}

async fn exchange(config: &Config, id: &str, command: &Value) -> anyhow::Result<Value> {
    let broker = &config.mqtt.broker;
    let address = format!("{}:{}", broker.host, broker.port);
    let topics = Topics::new(&config.mqtt.prefix, &config.node);
    let (to_link, messages) = mpsc::channel(4);
    let (from_link, mut events) = mpsc::channel(64);
    let (_, access) = watch::channel(mqtt::access(broker).context("TLS for the broker")?);
    let mut link = tokio::spawn(mqtt::once(Link {
        access,
        client_id: format!("seewhen-ask-{}", &id[..8]),
        will_topic: None,
        subscriptions: vec![topics.reply()],
        messages,
        events: from_link,
        backoff: Backoff::default(),
        status: Arc::default(),
    }));
    let mut connected = false;
    let asking = async {
        while let Some(event) = events.recv().await {
            match event {
                LinkEvent::Connected { connection } => {
                    connected = true;
                    let message = question(&topics, command, connection);
                    to_link.send(message).await.context("the link has ended")?;
                }
                LinkEvent::Received { topic, payload, .. } if topic == topics.reply() => {
                    let reply: Value = serde_json::from_slice(&payload).unwrap_or_default();
                    if reply["id"] == *id {
                        return Ok(Some(reply));
                    }
                }
                _ => {}
            }
        }
        Ok::<_, anyhow::Error>(None)
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    drop(to_link);
    let ended = tokio::time::timeout(GOODBYE, &mut link).await;
    match answer {
        Ok(Ok(Some(reply))) => Ok(reply),
        // The link has ended by itself, or its end of the channel is gone.
        Ok(_) => match ended {
            Ok(Ok(Err(reason))) => Err(anyhow!("no connection to the broker {address}: {reason}")),
            _ => bail!("the connection to the broker {address} ended"),
        },
        Err(_) if connected => bail!(
            "no answer within {PATIENCE:?} on {}: is seewhen running as node {} on the broker \
             {address}, are its commands on, and does the broker let this user read and write there?",
            topics.reply(),
            config.node
        ),
        Err(_) => bail!("no connection to the broker {address} within {PATIENCE:?}"),
    }
}

fn question(topics: &Topics, command: &Value, connection: u64) -> Message {
    Message {
        topic: topics.command(),
        payload: command.to_string().into_bytes(),
        retain: false,
        confirmed: true,
        connection,
        token: 1,
    }
}
