//! Made pictures stand for what a camera sees; docs/view.md has real ones.

use super::*;
use crate::model::{Picture, View, WallTime};

const WIDTH: usize = 256;
const HEIGHT: usize = 144;

/// Seconds from one frame to the next.
const STEP: u64 = 2;

/// Feeds a watcher.
struct Camera {
    watcher: Watcher,
    now: u64,
    noise: fastrand::Rng,
}

impl Camera {
    fn new() -> Self {
        let noise = fastrand::Rng::with_seed(7);
        Self { watcher: Watcher::default(), now: 0, noise }
    }

    /// One that knows its view.
    fn settled() -> Self {
        let mut camera = Self::new();
        assert_eq!(camera.watch(600, wall), [], "nothing happens");
        camera
    }

    fn show(&mut self, picture: &Picture) -> Option<Problem> {
        let at = Moment(Duration::from_secs(self.now));
        let captured = Captured { at, time: WallTime(self.now as f64) };
        self.now += STEP;
        self.watcher.look(captured, &Sight::of(picture, View::default()))
    }

    /// So many seconds of a picture with a camera's noise. What was said, and when, at each change.
    fn watch(
        &mut self,
        seconds: u64,
        level: impl Fn(usize, usize) -> [u8; 3],
    ) -> Vec<(u64, Option<ProblemKind>)> {
        let (mut said, mut changes) = (self.said(), Vec::new());
        for _ in 0..seconds / STEP {
            let mut picture = drawn(&level);
            for point in picture.rgb.chunks_exact_mut(3) {
                let noise = self.noise.i8(-3..=3);
                point.iter_mut().for_each(|value| *value = value.saturating_add_signed(noise));
            }
            let now = self.show(&picture).map(|problem| problem.kind);
            if now != said {
                changes.push((self.now - STEP, now));
                said = now;
            }
        }
        changes
    }

    fn said(&self) -> Option<ProblemKind> {
        let Watcher { lens, still, place, .. } = &self.watcher;
        lens.said().or(still.said()).or(place.said()).map(|problem| problem.kind)
    }
}

fn drawn(level: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
    let points = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    let rgb = points.flat_map(|(x, y)| level(x, y)).collect();
    Picture { width: WIDTH as u32, height: HEIGHT as u32, rgb }
}

/// Blocks of which no two rows are alike: a house front, in some colour.
fn wall(x: usize, y: usize) -> [u8; 3] {
    let block = (x / 20) * 31 + (y / 14) * 57 + 11;
    let level = 60 + (block * block % 120) as u8;
    [level, level.saturating_sub(10), level.saturating_sub(25)]
}

fn kinds(changes: &[(u64, Option<ProblemKind>)]) -> Vec<Option<ProblemKind>> {
    changes.iter().map(|(_, kind)| *kind).collect()
}

const COVERED: Option<ProblemKind> = Some(ProblemKind::Covered);
const BLINDED: Option<ProblemKind> = Some(ProblemKind::Blinded);
const FROZEN: Option<ProblemKind> = Some(ProblemKind::Frozen);
const MOVED: Option<ProblemKind> = Some(ProblemKind::Moved);

#[test]
fn each_problem_of_the_lens_begins_and_ends() {
    type Shade = fn(usize, usize) -> [u8; 3];
    let shades: [(Shade, Option<ProblemKind>, &str); 5] = [
        (|_, _| [4, 4, 4], COVERED, "the picture is black"),
        (|_, _| [90, 60, 50], COVERED, "there is nothing in the picture"),
        (|_, _| [250, 250, 250], BLINDED, "the picture is white"),
        // Skin on the lens, lighter on one side.
        (|x, _| [70 + (x / 10) as u8, 60, 50], COVERED, "something is in front of the lens"),
        (|x, _| [60 + (x / 2) as u8; 3], BLINDED, "the picture is blurred"),
    ];
    for (shade, kind, reason) in shades {
        let mut camera = Camera::settled();
        let began = camera.watch(60, shade);
        assert_eq!(began, [(620, kind)], "{reason}");
        let said = camera.watcher.lens.said().unwrap();
        assert_eq!((said.reason, said.since), (reason, WallTime(600.0)));
        assert_eq!(camera.watch(60, wall), [(670, None)], "{reason}");
    }
}

#[test]
fn a_hand_that_stays_is_no_view_to_get_used_to() {
    let mut camera = Camera::settled();
    let hand = |x: usize, _: usize| [70 + (x / 4) as u8, 60 + (x / 4) as u8, 50];
    assert_eq!(camera.watch(2400, hand), [(620, COVERED)]);
    assert_eq!(camera.watch(300, wall), [(3010, None)]);
}

#[test]
fn noise_is_no_other_view() {
    let mut camera = Camera::settled();
    for frame in 0..300 {
        // Grain of a cell's size, another in each frame, and nothing of the view.
        let grain = |x: usize, y: usize| {
            let mut noise = fastrand::Rng::with_seed((frame * 9999 + y / 4 * 99 + x / 4) as u64);
            let level = noise.u8(40..80);
            [level, level - 10, level - 25]
        };
        assert_eq!(camera.watch(STEP, grain), [], "frame {frame}");
    }
}

#[test]
fn a_frozen_picture_is_the_same_to_the_bit() {
    let mut camera = Camera::settled();
    let still = drawn(wall);
    let said: Vec<_> = (0..100).map(|_| camera.show(&still).map(|problem| problem.kind)).collect();
    assert_eq!(said.iter().position(|said| *said == FROZEN), Some(61));
    assert_eq!(camera.watch(60, wall), [(810, None)]);
    // Of an hour between two frames nothing is known.
    for _ in 0..9 {
        camera.now += 3600;
        assert_eq!(camera.show(&still), None);
    }
}

#[test]
fn a_short_clip_that_repeats_is_not_frozen() {
    let mut camera = Camera::new();
    let clip = [0, 1, 2].map(|n| drawn(|x, y| if x < 40 * n { [30; 3] } else { wall(x, y) }));
    for _ in 0..200 {
        assert!(clip.iter().all(|picture| camera.show(picture).is_none()));
    }
}

#[test]
fn a_moved_camera_is_told_until_it_is_back_or_has_settled() {
    let turned = |x: usize, y: usize| wall(x + 33, y + 9);
    let mut camera = Camera::settled();
    let began = camera.watch(300, turned);
    assert_eq!(kinds(&began), [MOVED]);
    let delay = began[0].0 - 600;
    assert!((120..180).contains(&delay), "{delay} s");
    let back = camera.watch(120, wall);
    assert_eq!(kinds(&back), [None]);
    assert!(!camera.watcher.has_settled());

    let again = camera.watch(2400, turned);
    assert_eq!(kinds(&again), [MOVED, None]);
    let lasted = again[1].0 - again[0].0;
    assert!((1500..=1800).contains(&lasted), "{lasted} s");
    assert!(camera.watcher.has_settled());
    // Both views are known now.
    assert_eq!(camera.watch(600, wall), []);
    assert_eq!(camera.watch(600, turned), []);
}

#[test]
fn what_passes_by_is_not_told() {
    let mut camera = Camera::settled();
    // A lorry fills the picture, and goes on.
    assert_eq!(camera.watch(16, |_, y| [120 + (y / 24 * 9) as u8, 110, 90]), []);
    assert_eq!(camera.watch(100, wall), []);
    // It stops, with planks and all.
    assert_eq!(camera.watch(60, |x, y| if y / 9 % 2 == 0 { [120; 3] } else { wall(y, x / 3) }), []);
    assert_eq!(camera.watch(100, wall), []);
    // A car parks for good in a quarter of it.
    let parked = |x, y| if x < 128 && y > 72 { [180, 20, 20] } else { wall(x, y) };
    assert_eq!(camera.watch(2400, parked), []);
    // The camera shakes by a pixel.
    for shaken in 0..150 {
        assert_eq!(camera.watch(STEP, |x, y| wall(x + shaken % 2, y)), []);
    }
}

#[test]
fn lights_and_nights_are_not_told() {
    let mut camera = Camera::settled();
    let dim = |x, y| wall(x, y).map(|level| level / 6);
    for _ in 0..5 {
        assert_eq!(camera.watch(200, dim), [], "the lamp is off");
        assert_eq!(camera.watch(200, wall), [], "and on again");
    }
    // Infrared light: no colours, and edges elsewhere.
    let night = |x: usize, y: usize| [wall(x + 33, y + 9)[0] / 2 + 20; 3];
    assert_eq!(camera.watch(2400, night), []);
    assert_eq!(camera.watch(600, wall), []);
    assert_eq!(camera.watch(600, night), []);
    let moved = camera.watch(300, |x, y| [wall(x + 100, y + 50)[0] / 2 + 20; 3]);
    assert_eq!(kinds(&moved), [MOVED], "its night is a view of its own");
}

#[test]
fn until_the_view_is_known_only_the_lens_is_told_of() {
    let mut camera = Camera::new();
    assert_eq!(camera.watch(40, wall), []);
    assert_eq!(camera.watch(130, |x, y| wall(x + 33, y + 9)), [], "it is being put up");
    let mut camera = Camera::new();
    assert_eq!(camera.watch(40, |_, _| [4; 3]), [(20, COVERED)]);
    // A new beginning of the time is one of the view.
    camera.now = 0;
    assert_eq!(camera.watch(20, wall), [(0, None)]);
}

#[test]
fn what_comes_and_goes_does_not_flap() {
    let mut camera = Camera::settled();
    // Black for less than it takes, again and again.
    for _ in 0..20 {
        assert_eq!(camera.watch(16, |_, _| [4; 3]), []);
        assert_eq!(camera.watch(2, wall), []);
    }
    assert_eq!(kinds(&camera.watch(30, |_, _| [4; 3])), [COVERED]);
    // And a little light in between is not the end of it.
    for _ in 0..20 {
        assert_eq!(camera.watch(6, wall), []);
        assert_eq!(camera.watch(16, |_, _| [4; 3]), []);
    }
}

#[test]
fn a_mask_is_no_structure() {
    let masked = |shade: fn(usize, usize) -> [u8; 3]| {
        move |x: usize, y: usize| if x < 100 || y < 60 { [0; 3] } else { shade(x, y) }
    };
    let mut camera = Camera::new();
    for _ in 0..100 {
        assert_eq!(camera.show(&drawn(masked(wall))).map(|problem| problem.kind), None);
        let mut other = drawn(masked(wall));
        other.rgb[3 * (WIDTH * HEIGHT - 1)] += 1;
        assert_eq!(camera.show(&other).map(|problem| problem.kind), None);
    }
    let flat = drawn(masked(|_, _| [90, 70, 60]));
    let said: Vec<_> = (0..40).filter_map(|_| camera.show(&flat)).collect();
    assert_eq!(said.first().map(|problem| problem.reason), Some("there is nothing in the picture"));
    // All of it is masked.
    let sight = Sight::of(&drawn(|_, _| [0; 3]), View::default());
    assert_eq!((sight.contrast, sight.light), (0.0, 0.0));
}
