//! Stop by dropping: the one [`StopHandle`] is dropped, every [`Stop`] notices.
//!
//! Only sources watch it; every later stage ends because its input closes.

use std::convert::Infallible;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

/// Keeps the sources running; dropping it stops them.
#[derive(Debug)]
pub struct StopHandle {
    /// Nobody can send an `Infallible`: the channel only ever closes.
    _open: Sender<Infallible>,
}

/// Watches for the end. Clones share it.
#[derive(Debug, Clone)]
pub struct Stop(Receiver<Infallible>);

/// A fresh pair. Capacity 0 is enough: nothing is ever sent.
pub fn stop() -> (StopHandle, Stop) {
    let (open, closed) = crossbeam_channel::bounded(0);
    (StopHandle { _open: open }, Stop(closed))
}

impl Stop {
    pub fn requested(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Sleeps for `time` or until stopped; `true` means keep going.
    pub fn pause(&self, time: Duration) -> bool {
        matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_dropped_handle_ends_every_pause() {
        let (handle, stop) = stop();
        assert!(!stop.requested());
        assert!(stop.pause(Duration::from_millis(1)));
        let waiting = std::thread::Builder::new().spawn({
            let stop = stop.clone();
            move || (stop.pause(Duration::from_secs(60)), Instant::now())
        });
        drop(handle);
        let (keep_going, _) = waiting.unwrap().join().unwrap();
        assert!(!keep_going);
        assert!(stop.requested());
    }
}
