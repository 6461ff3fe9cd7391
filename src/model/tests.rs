//! What the vocabulary takes and what it does not.

use super::*;

#[test]
fn ids_take_topic_levels_only() {
    for good in ["porch", "Cam-1", "a_b", &"x".repeat(64)] {
        assert_eq!(CameraId::try_new(good).unwrap().as_str(), good);
    }
    for bad in ["", "a b", "a/b", "a+", "#", "ü", &"x".repeat(65)] {
        assert!(CameraId::try_new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn time_never_runs_backwards() {
    let (a, b) = (Moment(Duration::from_secs(1)), Moment(Duration::from_secs(3)));
    assert_eq!(b.since(a), Duration::from_secs(2));
    assert_eq!(a.since(b), Duration::ZERO);
}
