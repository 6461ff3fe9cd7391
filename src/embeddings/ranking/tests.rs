//! Made-up scans.

use super::*;

fn camera(file: u32) -> CameraId {
    CameraId::try_new(["yard", "porch"][file as usize]).unwrap()
}

fn frame(file: u32, time: f64, cosine: f32) -> Candidate {
    Candidate { cosine, time: WallTime(time), tile: 0, tiles: 0, file, picture: 0 }
}

fn ranking(frames: impl IntoIterator<Item = Candidate>) -> Ranking {
    let mut ranking = Ranking::default();
    frames.into_iter().for_each(|frame| ranking.add(frame));
    ranking
}

#[test]
fn neighbours_are_one_hit_with_its_span() {
    let quiet = (0..1000).map(|second| frame(0, f64::from(second), 0.10));
    let stay = [(300.0, 0.19), (301.0, 0.30), (302.0, 0.28), (303.0, 0.22), (304.0, 0.15)];
    let other = [(900.0, 0.25)];
    let seen = stay.iter().chain(&other).map(|(time, cosine)| frame(0, *time + 0.5, *cosine));
    let hits = ranking(quiet.chain(seen)).hits(2, camera);
    let spans: Vec<_> = hits.iter().map(|hit| (hit.best.time.0, hit.from.0, hit.to.0)).collect();
    // 0.19 and 0.15 are less than half as far above 0.10 as 0.30.
    assert_eq!(spans, [(301.5, 301.5, 303.5), (900.5, 900.5, 900.5)]);
    assert!(hits[0].deviations > hits[1].deviations && hits[1].deviations > 10.0);
}

#[test]
fn cameras_are_apart_and_parts_of_a_scan_add_up() {
    let all: Vec<Candidate> =
        (0..200).map(|n| frame(n % 2, f64::from(n), 0.1 + 0.001 * (n * 7 % 200) as f32)).collect();
    let whole = ranking(all.iter().copied());
    let (first, second) = all.split_at(77);
    let mut merged = ranking(first.iter().copied());
    merged.merge(ranking(second.iter().copied()));
    assert_eq!(whole.frames(), 200);
    let spread = (whole.spread(), merged.spread());
    assert!((spread.0.0 - spread.1.0).abs() < 1e-6 && (spread.0.1 - spread.1.1).abs() < 1e-6);
    let best = |ranking: Ranking| -> Vec<(CameraId, f64)> {
        ranking.hits(4, camera).into_iter().map(|hit| (hit.camera, hit.best.time.0)).collect()
    };
    let (whole, merged) = (best(whole), best(merged));
    assert_eq!(whole, merged);
    assert!(
        whole.iter().any(|(id, _)| *id == camera(0))
            && whole.iter().any(|(id, _)| *id == camera(1))
    );
}

#[test]
fn the_best_stay_however_many_come() {
    let many = 5 * MOST;
    let cosine = |n: usize| (n * 7919 % many) as f32 / many as f32;
    let all = (0..many).map(|n| frame(0, n as f64 * 100.0, cosine(n)));
    let ranking = ranking(all);
    assert!(ranking.kept.len() <= 2 * MOST);
    let hits = ranking.hits(50, camera);
    let found: Vec<f32> = hits.iter().map(|hit| hit.best.cosine).collect();
    let wanted: Vec<f32> = (1..=50).map(|n| (many - n) as f32 / many as f32).collect();
    assert_eq!(found, wanted);
}

#[test]
fn of_nothing_there_is_nothing() {
    assert!(Ranking::default().hits(5, camera).is_empty());
    let one = ranking([frame(0, 5.0, 0.2)]).hits(5, camera);
    assert_eq!((one.len(), one[0].deviations), (1, 0.0));
}
