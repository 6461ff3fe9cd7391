//! The page's password: kept as an argon2id hash, from which it cannot be told.

use std::fmt;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _};

/// More memory for one check than this is more than a small machine can spare, KiB.
const MOST_MEMORY: u32 = 256 * 1024;
/// More rounds than this keep people waiting.
const MOST_ROUNDS: u32 = 16;

/// An argon2id hash, as `seewhen password` prints one.
#[derive(Clone, PartialEq)]
pub struct PasswordHash(Phc);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PasswordHash {
    /// Reads a hash in PHC form, `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`.
    ///
    /// # Errors
    /// Words that say what to do, and quote nothing: it may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = "write the line that `seewhen password` prints";
        if !text.starts_with("$argon2id$") {
            return Err(format!(
                "this is no argon2id hash; passwords are not kept as they are: {wanted}"
            ));
        }
        let damaged = || format!("this hash is damaged; {wanted}");
        let hash = Phc::new(text).map_err(|_| damaged())?;
        let params = Params::try_from(&hash).map_err(|_| damaged())?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(format!("this hash lacks a part; {wanted}"));
        }
        if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_ROUNDS {
            return Err(format!(
                "this hash takes too much to check (m={}, t={}; at most m={MOST_MEMORY}, \
                 t={MOST_ROUNDS}); {wanted}",
                params.m_cost(),
                params.t_cost()
            ));
        }
        Ok(Self(hash))
    }

    /// Makes the hash of a password, with a salt of its own: takes tens of milliseconds and 19 MiB.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn make(password: &str) -> Result<String, String> {
        let argon2 = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, Params::DEFAULT);
        let hash = argon2.hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
        Ok(hash.to_string())
    }

    /// Whether `password` is the one. Takes as long and as much as making the hash did.
    pub fn matches(&self, password: &str) -> bool {
        Argon2::default().verify_password(password.as_bytes(), &self.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_hash_and_no_other() {
        let made = PasswordHash::make("open sesame").expect("random numbers");
        let hash = PasswordHash::parse(&made).expect("what was made can be read");
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert!(hash.matches("open sesame") && !hash.matches("open sesamE") && !hash.matches(""));
        assert_ne!(made, PasswordHash::make("open sesame").expect("random numbers"), "salted");
        assert_eq!(format!("{hash:?}"), "***");
    }

    #[test]
    fn other_things_are_refused_and_not_quoted() {
        let made = PasswordHash::make("x").expect("random numbers");
        let cases = [
            ("hunter2", "no argon2id hash"),
            ("$2b$12$abcdefghijklmnopqrstuv", "no argon2id hash"),
            ("$argon2id$v=19$m=hunter2", "damaged"),
            ("$argon2id$v=19$m=19456,t=2,p=1", "lacks a part"),
            (&made.replace("m=19456", "m=4194304"), "too much"),
            (&made.replace("t=2", "t=4000"), "too much"),
        ];
        for (text, reason) in cases {
            let found = PasswordHash::parse(text).expect_err(text);
            assert!(found.contains(reason) && found.contains("seewhen password"), "{found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }
}
