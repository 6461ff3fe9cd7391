//! What happens, as it happens: server-sent events.
//!
//! A client gets all there is first, then what has changed, once a second at most; events at once with the
//! next second. One that does not read slows nobody but itself.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::value::RawValue;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Shared, views};
use crate::publish::payload;

/// Between two looks at the board.
const EVERY: Duration = Duration::from_secs(1);
/// The node's figures come with every so manieth look.
const NODE_EVERY: u64 = 3;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(live))
}

/// Where one client is.
struct Looker {
    web: Shared,
    ticks: Interval,
    looks: u64,
    seen: u64,
    known: Vec<String>,
}

/// What changes, as it changes.
///
/// Events of the stream: `node` (as `/api/node`), `cameras` (an array as `/api/cameras`, those that have
/// changed; all at first), `removed` (ids of cameras that are gone) and `event` (as the MQTT topic's).
#[utoipa::path(get, path = "/api/live", responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn live(State(web): State<Shared>) -> Sse<impl Stream<Item = Result<Sent, Infallible>>> {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looker = Looker { web, ticks, looks: 0, seen: 0, known: Vec::new() };
    let batches = stream::unfold(looker, |mut looker| async move {
        looker.ticks.tick().await;
        let sent = looker.look();
        Some((stream::iter(sent.into_iter().map(Ok)), looker))
    });
    Sse::new(futures_util::StreamExt::flatten(batches)).keep_alive(KeepAlive::default())
}

impl Looker {
    fn look(&mut self) -> Vec<Sent> {
        let board = self.web.status.board();
        board.look();
        let news = board.since(self.seen);
        let first = self.seen == 0;
        self.seen = news.upto;
        let mut sent = Vec::new();
        if self.looks.is_multiple_of(NODE_EVERY) {
            sent.extend(message("node", &views::node(&self.web)));
        }
        self.looks += 1;
        let set = board.set();
        let now: Vec<String> =
            set.iter().flat_map(|set| &set.cameras).map(|camera| camera.id.to_string()).collect();
        let gone: Vec<&String> = self.known.iter().filter(|id| !now.contains(id)).collect();
        if !gone.is_empty() {
            sent.extend(message("removed", &gone));
        }
        self.known = now;
        let cameras = views::cameras(&self.web, &news.cameras);
        if first || !cameras.is_empty() {
            sent.extend(message("cameras", &cameras));
        }
        // What happened before is in the list of events.
        for event in news.events.iter().filter(|_| !first) {
            let json = payload::event(event, Some(&self.web.node), false);
            let raw =
                String::from_utf8(json).ok().and_then(|json| RawValue::from_string(json).ok());
            sent.extend(raw.and_then(|raw| message("event", &raw)));
        }
        sent
    }
}

fn message(kind: &str, what: &impl serde::Serialize) -> Option<Sent> {
    Sent::default().event(kind).json_data(what).ok()
}
