//! How much of something may happen at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

use super::Refusal;
use crate::web::Shared;

/// A stream ends after so long, and the browser asks again: whoever is logged out by then gets no more.
const LONGEST_STREAM: Duration = Duration::from_secs(3600);

/// So many places.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Arc<AtomicUsize>,
}

/// Free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// `None` when all are taken.
    pub(super) fn take(&self) -> Option<Place> {
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(self.taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets only so many streams of events be open.
pub(in crate::web) async fn streams(
    State(web): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let Some(place) = web.access.streams.take() else {
        let wait = Some(Duration::from_secs(10));
        let full =
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open; close some");
        return Refusal { wait, ..full }.into_response();
    };
    let (mut parts, body) = next.run(request).await.into_parts();
    // A proxy that gathers answers would keep events back.
    parts
        .headers
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let held = body.into_data_stream().map(move |part| {
        let _held: &Place = &place;
        part
    });
    let ending = held.take_until(Box::pin(tokio::time::sleep(LONGEST_STREAM)));
    Response::from_parts(parts, Body::from_stream(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again() {
        let places = Places::new(2);
        let (one, other) = (places.take(), places.take());
        assert!(one.is_some() && other.is_some() && places.take().is_none());
        drop(one);
        assert!(places.take().is_some());
    }
}
