//! How often somebody may be wrong: per address, and all together. Pure: time comes in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::command::intake::Bucket;
use crate::model::Moment;

/// See the module. Its memory is bounded by what all together may do while one address's bucket fills up.
#[derive(Debug)]
pub(super) struct Limiter {
    each: Bucket,
    all: Bucket,
    /// Those with less than a full bucket.
    known: HashMap<IpAddr, Bucket>,
}

impl Limiter {
    /// For logins, which cost time and memory: five at once, then one in twelve seconds.
    pub(super) fn logins() -> Self {
        Self::new(Bucket::new(5.0, 1.0 / 12.0), Bucket::new(30.0, 0.5))
    }

    /// For tokens, which cost nothing to check.
    pub(super) fn tokens() -> Self {
        Self::new(Bucket::new(20.0, 1.0 / 3.0), Bucket::new(200.0, 5.0))
    }

    fn new(each: Bucket, all: Bucket) -> Self {
        Self { each, all, known: HashMap::new() }
    }

    /// How long nobody at this address is heard; `None` when somebody is.
    pub(super) fn wait(&mut self, address: IpAddr, now: Moment) -> Option<Duration> {
        let own = self.known.get_mut(&network(address)).and_then(|bucket| bucket.wait(now));
        own.or_else(|| self.all.wait(now))
    }

    /// One more attempt from `address`.
    ///
    /// # Errors
    /// When there have been too many: how long to wait.
    pub(super) fn attempt(&mut self, address: IpAddr, now: Moment) -> Result<(), Duration> {
        if let Some(wait) = self.wait(address, now) {
            return Err(wait);
        }
        self.known.retain(|_, bucket| !bucket.is_full(now));
        self.all.take(now);
        self.known.entry(network(address)).or_insert(self.each).take(now);
        Ok(())
    }

    /// The attempt was a right one and counts for nothing.
    pub(super) fn forgive(&mut self, address: IpAddr) {
        self.all.give_back();
        if let Some(bucket) = self.known.get_mut(&network(address)) {
            bucket.give_back();
        }
    }
}

/// What one party has: in IPv6 that is a whole network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment(Duration::from_secs_f64(seconds))
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_is_stopped_and_another_is_not() {
        let mut limiter = Limiter::logins();
        let let_in = (0..9).filter(|_| limiter.attempt(address(1), at(1.0)).is_ok()).count();
        assert_eq!(let_in, 5);
        let wait = limiter.wait(address(1), at(1.0)).unwrap();
        assert!((11.9..12.1).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(limiter.attempt(address(2), at(1.0)), Ok(()));
        assert_eq!(limiter.attempt(address(1), at(13.1)), Ok(()));
        assert!(limiter.attempt(address(1), at(13.1)).is_err());
    }

    #[test]
    fn many_addresses_are_stopped_too_and_take_little_memory() {
        let mut limiter = Limiter::logins();
        let mut right = 0;
        for n in 0..100_000_u32 {
            let address = IpAddr::from(n.to_be_bytes());
            right += usize::from(limiter.attempt(address, at(f64::from(n) / 1000.0)).is_ok());
            assert!(limiter.known.len() < 100, "{}", limiter.known.len());
        }
        assert!((70..=80).contains(&right), "{right}: 30, then one in two seconds of a hundred");
    }

    #[test]
    fn who_is_right_is_never_stopped() {
        let mut limiter = Limiter::logins();
        for _ in 0..1000 {
            assert_eq!(limiter.attempt(address(1), at(1.0)), Ok(()));
            limiter.forgive(address(1));
        }
    }

    #[test]
    fn an_ipv6_network_is_one_party() {
        let mut limiter = Limiter::logins();
        let let_in = (0..64_u16).filter(|n| {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, *n, 2, 3, 4);
            limiter.attempt(address.into(), at(1.0)).is_ok()
        });
        assert_eq!(let_in.count(), 5);
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(network(mapped), address(1));
    }
}
