//! The encoder of the inference thread, and what becomes of it when its device fails.
//!
//! A batch that does not fit the device's memory goes through in halves, and no later one is that
//! large. An encoder whose device is gone is let go of at once, so that its memory is free, and
//! loaded again after a pause; after [`TRIES`] failures in a row there is no use in going on in this
//! process (a GPU's error sticks to the process that saw it), and whoever started it must start
//! another. Owns the encoder; time comes in as an argument.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::clip::{EncodeError, ImageEncoder, Next, Took};
use crate::model::{Embedding, Picture, View};

/// How often in a row the model is loaded in vain.
const TRIES: u32 = 3;

/// Loads the encoder again.
pub type Load = Box<dyn FnMut() -> Result<Box<dyn ImageEncoder>, String> + Send>;

/// An encoder that may be lost, and come back.
pub struct Engine {
    encoder: Option<Box<dyn ImageEncoder>>,
    load: Load,
    backoff: Backoff,
    /// Most pictures at once, as far as is known.
    largest: usize,
    tries: u32,
    due: Option<Instant>,
    took: Took,
}

/// Whether there is an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Working,
    /// It was gone, and is there again.
    Back,
    /// It is gone, and will be loaded again.
    Away,
    /// It is gone for good.
    Gone,
}

impl Engine {
    pub fn new(encoder: Box<dyn ImageEncoder>, load: Load) -> Self {
        let largest = encoder.max_batch().max(1);
        let backoff = Backoff::default();
        let (tries, due, took) = (0, None, Took::default());
        Self { encoder: Some(encoder), load, backoff, largest, tries, due, took }
    }

    /// One that cannot be loaded again.
    pub fn only(encoder: Box<dyn ImageEncoder>) -> Self {
        Self::new(encoder, Box::new(|| Err("there is no way to load it again".to_owned())))
    }

    /// Most pictures in one run of the model.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// Whether nothing can be encoded now.
    pub fn is_away(&self) -> bool {
        self.encoder.is_none()
    }

    /// What the last [`encode`](Self::encode) took.
    pub fn took(&self) -> Took {
        self.took
    }

    /// Encodes `pictures`, one unit-length embedding each, in order; in several runs when they are
    /// many.
    ///
    /// # Errors
    /// When one of the pictures cannot be encoded, when not even one fits the device's memory, and
    /// when the device is gone.
    pub fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
        self.encode_before(pictures, &mut Vec::new)
    }

    /// The same; what follows may be prepared meanwhile: see [`ImageEncoder::encode_before`].
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_before(
        &mut self,
        pictures: &[(&Picture, View)],
        next: Next<'_>,
    ) -> Result<Vec<Embedding>, EncodeError> {
        self.took = Took::default();
        let mut embeddings = Vec::with_capacity(pictures.len());
        while embeddings.len() < pictures.len() {
            let rest = &pictures[embeddings.len()..];
            let batch = &rest[..rest.len().min(self.largest)];
            let last = batch.len() == rest.len();
            match self.encode_once(batch, if last { Some(&mut *next) } else { None }) {
                Err(EncodeError::Memory(cause)) if batch.len() > 1 => {
                    self.largest = batch.len() / 2;
                    tracing::warn!(
                        pictures = batch.len(),
                        at_most = self.largest,
                        cause,
                        "a batch does not fit the device's memory; batches are smaller from now on"
                    );
                }
                result => embeddings.extend(result?),
            }
        }
        Ok(embeddings)
    }

    fn encode_once(
        &mut self,
        pictures: &[(&Picture, View)],
        next: Option<Next<'_>>,
    ) -> Result<Vec<Embedding>, EncodeError> {
        let away = || EncodeError::Lost("the model is not loaded".to_owned());
        let encoder = self.encoder.as_mut().ok_or_else(away)?;
        let result = match next {
            Some(next) => encoder.encode_before(pictures, next),
            None => encoder.encode(pictures),
        };
        let took = encoder.took();
        self.took.preprocess += took.preprocess;
        self.took.model += took.model;
        if matches!(result, Err(EncodeError::Lost(_))) {
            // At once: what it holds of the device must be free before the next try.
            self.encoder = None;
        }
        result
    }

    /// Loads the encoder again when it is gone and the time has come. `random` is in 0..1.
    pub fn recover(&mut self, now: Instant, random: f64) -> Health {
        if self.encoder.is_some() {
            return Health::Working;
        }
        let backoff = self.backoff;
        let due = *self.due.get_or_insert_with(|| now + backoff.delay(0, random));
        if now < due {
            return Health::Away;
        }
        match (self.load)() {
            Ok(encoder) => {
                self.largest = self.largest.min(encoder.max_batch().max(1));
                (self.encoder, self.tries, self.due) = (Some(encoder), 0, None);
                Health::Back
            }
            Err(cause) => {
                self.tries += 1;
                let pause = backoff.delay(self.tries, random);
                self.due = Some(now + pause);
                tracing::error!(cause, attempt = self.tries, "the model cannot be loaded again");
                if self.tries < TRIES { Health::Away } else { Health::Gone }
            }
        }
    }

    /// How long to wait before the next [`recover`](Self::recover).
    pub fn pause(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Takes at most `room` pictures, and is lost after `life` calls.
    struct Small {
        room: usize,
        life: usize,
        calls: Arc<AtomicUsize>,
    }

    impl ImageEncoder for Small {
        fn encode(&mut self, pictures: &[(&Picture, View)]) -> Result<Vec<Embedding>, EncodeError> {
            if self.calls.fetch_add(1, Ordering::Relaxed) >= self.life {
                return Err(EncodeError::Lost("gone".into()));
            }
            if pictures.len() > self.room {
                return Err(EncodeError::Memory("full".into()));
            }
            Ok(pictures.iter().map(|(picture, _)| Embedding(vec![picture.width as f32])).collect())
        }

        fn max_batch(&self) -> usize {
            16
        }
    }

    fn small(room: usize, life: usize) -> (Box<dyn ImageEncoder>, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        (Box::new(Small { room, life, calls: calls.clone() }), calls)
    }

    fn pictures(count: u32) -> Vec<Picture> {
        (1..=count).map(|width| Picture { width, height: 1, rgb: Vec::new() }).collect()
    }

    fn encode(engine: &mut Engine, pictures: &[Picture]) -> Result<Vec<f32>, EncodeError> {
        let views: Vec<_> = pictures.iter().map(|picture| (picture, View::default())).collect();
        Ok(engine.encode(&views)?.into_iter().map(|embedding| embedding.0[0]).collect())
    }

    #[test]
    fn what_does_not_fit_goes_in_halves_from_then_on() {
        let (encoder, calls) = small(3, usize::MAX);
        let mut engine = Engine::only(encoder);
        let many = pictures(10);
        let all: Vec<f32> = (1..=10_u8).map(f32::from).collect();
        assert_eq!(encode(&mut engine, &many), Ok(all.clone()));
        // 10 and 5 do not fit, 2 do.
        assert_eq!((engine.largest(), calls.swap(0, Ordering::Relaxed)), (2, 7));
        assert_eq!(encode(&mut engine, &many), Ok(all));
        assert_eq!(calls.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn not_even_one_is_an_error() {
        let mut engine = Engine::only(small(0, usize::MAX).0);
        assert_eq!(encode(&mut engine, &pictures(4)), Err(EncodeError::Memory("full".into())));
        assert_eq!(engine.largest(), 1);
        assert_eq!(engine.recover(Instant::now(), 0.0), Health::Working);
    }

    #[test]
    fn a_lost_device_comes_back_after_pauses() {
        let failures = Arc::new(AtomicUsize::new(2));
        let left = failures.clone();
        let load: Load = Box::new(move || {
            let failed =
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            failed.map_or_else(|_| Ok(small(4, usize::MAX).0), |_| Err("no device".into()))
        });
        let mut engine = Engine::new(small(16, 1).0, load);
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        assert!(encode(&mut engine, &pictures(1)).is_ok());
        assert_eq!(encode(&mut engine, &pictures(1)), Err(EncodeError::Lost("gone".into())));
        // Nothing is tried between the pauses of 1, 2 and 4 s.
        let steps = [(0, Health::Away), (1, Health::Away), (2, Health::Away), (3, Health::Away)];
        for (at, health) in steps {
            assert_eq!(engine.recover(now + at * second, 0.0), health, "{at} s");
            assert!(matches!(encode(&mut engine, &pictures(1)), Err(EncodeError::Lost(_))));
        }
        assert_eq!(failures.load(Ordering::Relaxed), 0);
        assert_eq!(engine.recover(now + 6 * second, 0.0), Health::Away);
        assert_eq!(engine.recover(now + 7 * second, 0.0), Health::Back);
        assert_eq!(engine.recover(now + 7 * second, 0.0), Health::Working);
        assert!(encode(&mut engine, &pictures(8)).is_ok());
        assert_eq!(engine.largest(), 4);
    }

    #[test]
    fn a_device_that_stays_away_is_given_up() {
        let mut engine = Engine::only(small(1, 0).0);
        assert!(encode(&mut engine, &pictures(1)).is_err());
        let mut now = Instant::now();
        let mut seen = vec![engine.recover(now, 0.0)];
        while *seen.last().unwrap() == Health::Away && seen.len() < 20 {
            now += engine.pause(now);
            seen.push(engine.recover(now, 0.0));
        }
        assert_eq!(seen, [Health::Away, Health::Away, Health::Away, Health::Gone]);
    }
}
