//! What the rules promise, over random frames, ticks, losses, reloads and set clocks.
//!
//! A slow second version of the rules, which keeps all frames and counts over them, says after
//! every step which events there must be. What nobody may ever see is checked beside it, from the
//! events alone, and that an explanation says what the rules then do.

mod slow;

use jiff::{ToSpan as _, civil};
use proptest::prelude::*;

use self::slow::{Slow, Told};
use super::*;
use crate::model::ModelState;
use crate::watch::explanation::{Explanation, Verdict};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Moments at which clocks are set, in UTC, and where.
const CLOCKS_SET: [(&str, &str); 4] = [
    ("Europe/Vienna", "2026-03-29T01:00:00Z"),
    ("Europe/Vienna", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
];

/// A range of a schedule: days, and minutes since midnight.
type Plan = (Vec<usize>, i32, i32);

/// A rule, and its schedule in the words of this test.
#[derive(Debug, Clone)]
struct Planned {
    rule: LabelRule,
    plans: Option<Vec<Plan>>,
}

#[derive(Debug, Clone)]
enum Step {
    /// A frame of a camera, seen so many milliseconds after it was captured.
    Frame {
        camera: usize,
        gap: u64,
        late: u64,
        p: f32,
    },
    Tick {
        gap: u64,
    },
    Lost {
        camera: usize,
    },
    /// The broker confirms an end.
    Delivered {
        camera: usize,
    },
    /// The rule of that number comes into force; there is none of the last number.
    Reload {
        rule: usize,
    },
    /// The clock on the wall is set by so many seconds.
    SetClock {
        by: f64,
    },
}

fn planned() -> impl Strategy<Value = Planned> {
    let days = prop::collection::btree_set(prop_oneof![3 => 5..7_usize, 1 => 0..7_usize], 1..4);
    // Mostly times about those that are left out or occur twice.
    let quarter = || prop_oneof![3 => 0..20_i32, 1 => 0..=96_i32].prop_map(|n| n * 15);
    let plan = (days, quarter(), quarter())
        .prop_filter("two times", |(_, from, to)| from != to && *from < 1440)
        .prop_map(|(days, from, to)| (days.into_iter().collect(), from, to));
    let plans = prop::option::of(prop::collection::vec(plan, 1..4));
    let consensus = (1..=6_usize).prop_flat_map(|of| (1..=of, Just(of)));
    let times = (0_u64..500, 0_u64..2000, prop_oneof![Just(0_u64), Just(300)]);
    (plans, consensus, times, any::<bool>()).prop_map(|(plans, (needed, of), times, shadow)| {
        let (hold, cooldown, update_every) = times;
        let rule = LabelRule {
            hold: ms(hold),
            cooldown: ms(cooldown),
            update_every: ms(update_every),
            shadow,
            ..agreed(needed, of)
        };
        Planned { rule, plans }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Gaps from one frame to past the stale time; probabilities that often sit on the edges.
    let gap = || prop_oneof![8 => 1_u64..400, 1 => 15_000_u64..25_000];
    let edge = prop_oneof![Just(0.8_f32), Just(0.6), Just(0.599), Just(0.799)];
    let p = prop_oneof![2 => 0.8_f32..=1.0, 1 => 0.6_f32..0.8, 1 => 0.0_f32..=1.0, 1 => edge];
    let quarters = (-100..100_i32, -2..2_i32).prop_map(|(n, s)| f64::from(n * 900 + s));
    let late = prop_oneof![3 => Just(0_u64), 1 => 0_u64..300];
    let frame = (0..4_usize, gap(), late, p).prop_map(|(camera, gap, late, p)| Step::Frame {
        camera: camera / 3,
        gap,
        late,
        p,
    });
    let step = prop_oneof![
        40 => frame,
        8 => gap().prop_map(|gap| Step::Tick { gap }),
        1 => (0..2_usize).prop_map(|camera| Step::Lost { camera }),
        3 => (0..2_usize).prop_map(|camera| Step::Delivered { camera }),
        2 => (0..4_usize).prop_map(|rule| Step::Reload { rule }),
        3 => quarters.prop_map(|by| Step::SetClock { by }),
    ];
    prop::collection::vec(step, 1..150)
}

/// Whether a plan has `local`, told in dates.
fn covers((days, from, to): &Plan, local: civil::DateTime) -> bool {
    [0, 1].into_iter().any(|back| {
        let day = local.date().checked_sub(back.days()).unwrap();
        let at = |minutes: i32| day.at(0, 0, 0, 0).checked_add(minutes.minutes()).unwrap();
        let end = if to > from { at(*to) } else { at(*to + 1440) };
        let name = day.strftime("%a").to_string();
        days.iter().any(|day| DAYS[*day] == name) && at(*from) <= local && local < end
    })
}

/// Both versions side by side.
struct World {
    zone: TimeZone,
    rules: Rules,
    set: Arc<WatchSet>,
    planned: Option<Planned>,
    slow: [Slow; 2],
    now: Captured,
    /// The events that anybody who listens holds to be on.
    on: BTreeMap<CameraId, Arc<str>>,
}

impl World {
    fn new(zone: &TimeZone, start: WallTime, planned: Option<Planned>) -> Self {
        let set = set(1, planned.as_ref().map(|planned| planned.rule.clone()));
        let now = Captured { at: Moment(ms(1000)), time: start };
        let (rules, slow) = (Rules::new(set.clone()), Default::default());
        Self { zone: zone.clone(), rules, set, planned, slow, now, on: BTreeMap::new() }
    }

    fn inside(&self, time: WallTime) -> bool {
        let local = self.zone.to_datetime(Timestamp::from_second(time.0 as i64).unwrap());
        let plans = self.planned.as_ref().and_then(|planned| planned.plans.as_ref());
        plans.is_none_or(|plans| plans.iter().any(|plan| covers(plan, local)))
    }

    fn wait(&mut self, gap: u64) {
        self.now.at.0 += ms(gap);
        self.now.time.0 += gap as f64 / 1000.0;
    }

    /// Each explanation is of what is, and of what a next frame like the last would bring.
    fn explanations(&self) -> Result<(), TestCaseError> {
        for (number, camera) in CAMERAS.map(named).into_iter().enumerate() {
            let model = &ModelState::Working;
            let around = Surroundings { now: self.now, camera: None, model };
            let explanation = self.rules.explain(&key(number), around).unwrap();
            let open = self.on.contains_key(&camera);
            prop_assert_eq!(explanation.is_on(), open);
            let sentence = explanation.sentence();
            let state = if open { "on" } else { "off" };
            let begins = self.planned.is_none() || sentence.starts_with(state);
            prop_assert!(begins, "{}", sentence);
            if let Some(p) = explanation.probability().filter(|_| !open) {
                let next = frame_of(&self.set, camera, self.now, p);
                let events = self.rules.clone().observe(&next);
                self.foretold(&explanation, p, !events.is_empty())?;
            }
        }
        Ok(())
    }

    /// `starts`: the next frame like the last, with probability `p`, starts an event.
    fn foretold(&self, said: &Explanation, p: f32, starts: bool) -> Result<(), TestCaseError> {
        let Some(standing) = &said.standing else {
            prop_assert_eq!(&said.verdict, &Verdict::Background);
            return Ok(());
        };
        let inside = self.inside(self.now.time);
        prop_assert!(standing.schedule.is_none_or(|shift| shift.active == inside));
        let missing = standing.consensus.needed() - standing.agree.min(standing.consensus.needed());
        match said.verdict {
            Verdict::Inactive => prop_assert!(!inside && !starts),
            Verdict::BelowThreshold => prop_assert!(p < standing.threshold && !starts),
            Verdict::Cooling => prop_assert!(!standing.cooldown_left.is_zero() && !starts),
            Verdict::TooFewFrames => prop_assert!(missing > 0 && (missing == 1 || !starts)),
            Verdict::Holding => prop_assert!(standing.held < standing.hold && !starts),
            Verdict::Due => prop_assert!(p >= standing.threshold && inside && starts),
            Verdict::Stale(_) => prop_assert!(said.frame.as_ref().unwrap().age > STALE),
            Verdict::Anew => prop_assert!(p >= standing.threshold && inside),
            _ => prop_assert!(false, "{:?}", said.verdict),
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, all: &[Planned]) -> Result<(), TestCaseError> {
        let rule = self.planned.clone().map(|planned| planned.rule);
        match step {
            Step::SetClock { by } => self.now.time.0 += by,
            Step::Reload { rule: number } => self.reload(all.get(*number).cloned())?,
            Step::Delivered { camera } => {
                self.rules.delivered(&key(*camera), self.now.at);
                if let Some(rule) = &rule {
                    self.slow[*camera].delivered(self.now.at, rule);
                }
            }
            Step::Lost { camera } => {
                let events = self.rules.camera_lost(&named(CAMERAS[*camera]), self.now.at);
                let slow = &mut self.slow[*camera];
                slow.lost = Some(self.now.at);
                let from = slow.seen.unwrap_or_default().at;
                let told = rule.and_then(|rule| slow.end(from, &rule));
                self.compare(
                    &events,
                    &told.map(|told| (*camera, told)).into_iter().collect::<Vec<_>>(),
                )?;
            }
            Step::Tick { gap } => {
                self.wait(*gap);
                let events = self.rules.tick(self.now);
                let (now, inside) = (self.now.at, self.inside(self.now.time));
                let mut told = Vec::new();
                if let Some(rule) = rule {
                    let ends = |slow: &mut Slow| slow.expire(now, &rule);
                    told.extend(self.slow.iter_mut().map(ends).enumerate());
                    let ends = |slow: &mut Slow| if inside { None } else { slow.end(now, &rule) };
                    told.extend(self.slow.iter_mut().map(ends).enumerate());
                }
                let told: Vec<_> = told.into_iter().filter_map(|(n, t)| Some((n, t?))).collect();
                self.compare(&events, &told)?;
            }
            Step::Frame { camera, gap, late, p } => self.frame(*camera, *gap, *late, *p)?,
        }
        Ok(())
    }

    fn frame(&mut self, camera: usize, gap: u64, late: u64, p: f32) -> Result<(), TestCaseError> {
        self.wait(gap);
        // Frames of a camera keep their order.
        let seen = self.slow[camera].seen.unwrap_or_default().at;
        let late = late.min(self.now.at.since(seen).as_millis() as u64);
        let at = Moment(self.now.at.0 - ms(late));
        let captured = Captured { at, time: WallTime(self.now.time.0 - late as f64 / 1000.0) };
        let inside = self.inside(captured.time);
        let scored = frame_of(&self.set, named(CAMERAS[camera]), captured, p);
        let events = self.rules.observe(&scored);
        let slow = &mut self.slow[camera];
        let mut told = Vec::new();
        if let Some(Planned { rule, .. }) = &self.planned {
            let cooling = captured.at < slow.quiet_until;
            if slow.lost.is_none_or(|lost| at > lost) {
                told = slow.see(captured, p, rule, inside);
                prop_assert!(slow.open.is_none() || (inside && p >= rule.clear));
            }
            for event in events.iter().filter(|event| event.kind == EventKind::Start) {
                prop_assert!(inside && p >= rule.threshold && event.probability == p);
                prop_assert!(!cooling && self.inside(event.start_time));
            }
        }
        prop_assert!(
            events.iter().all(|e| e.kind == EventKind::End || e.frame_time == captured.time)
        );
        self.compare(&events, &told.into_iter().map(|told| (camera, told)).collect::<Vec<_>>())
    }

    fn reload(&mut self, next: Option<Planned>) -> Result<(), TestCaseError> {
        let set = set(self.set.revision + 1, next.as_ref().map(|planned| planned.rule.clone()));
        let events = self.rules.adopt(&set);
        let mut told = Vec::new();
        if let Some(Planned { rule, .. }) = &self.planned {
            for (camera, slow) in self.slow.iter_mut().enumerate() {
                let new = next.as_ref().map(|next| &next.rule);
                let from = slow.seen.unwrap_or_default().at;
                if new.is_none_or(|new| new.shadow != rule.shadow) {
                    told.extend(slow.end(from, rule).map(|told| (camera, told)));
                }
                if new != Some(rule) {
                    slow.history.clear();
                    slow.stay_over();
                }
                if new.is_some_and(|new| new.shadow != rule.shadow) {
                    slow.suppressed.clear();
                }
                if new.is_none() {
                    *slow = Slow { lost: slow.lost, ..Slow::default() };
                }
            }
        }
        self.compare(&events, &told)?;
        (self.set, self.planned) = (set, next);
        Ok(())
    }

    fn compare(&mut self, events: &[Event], told: &[(usize, Told)]) -> Result<(), TestCaseError> {
        let found: Vec<(usize, Told)> = events
            .iter()
            .map(|event| {
                let camera =
                    CAMERAS.iter().position(|id| *id == event.key.camera.as_str()).unwrap();
                let suppressed = event.suppressed;
                let (start, end, top) = (event.start_time, event.end_time, event.top_probability);
                (camera, (event.kind, start, end, top, suppressed))
            })
            .collect();
        prop_assert_eq!(&found, told);
        for event in events {
            let camera = event.key.camera.clone();
            if let Some(suppressed) = event.suppressed {
                prop_assert!(suppressed.count > 0 && suppressed.top_probability >= 0.8);
            }
            match event.kind {
                EventKind::Start => prop_assert_eq!(self.on.insert(camera, event.id.clone()), None),
                EventKind::Update => prop_assert_eq!(self.on.get(&camera), Some(&event.id)),
                EventKind::End => prop_assert_eq!(self.on.remove(&camera), Some(event.id.clone())),
            }
        }
        let shadow = self.planned.as_ref().is_some_and(|planned| planned.rule.shadow);
        for slow in &self.slow {
            prop_assert!(slow.open.as_ref().is_none_or(|open| open.shadow == shadow));
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn promises(
        (zone, set_at) in prop::sample::select(CLOCKS_SET.to_vec()),
        (quarter, second) in (-192..192_i32, -5..1_i32),
        planned in prop::collection::vec(planned(), 3),
        steps in steps(),
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let schedule = |plans: &Vec<Plan>| {
            let ranges = plans.iter().map(|(days, from, to)| {
                let days: Vec<&str> = days.iter().map(|day| DAYS[*day]).collect();
                let time = |minutes: &i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
                Range::parse(&format!("{} {}-{}", days.join(","), time(from), time(to))).unwrap()
            });
            Schedule::new(ranges.collect(), zone.clone())
        };
        let planned: Vec<Planned> = planned
            .into_iter()
            .map(|one| {
                let active = one.plans.as_ref().map(schedule);
                Planned { rule: LabelRule { active, ..one.rule }, plans: one.plans }
            })
            .collect();
        let time: Timestamp = set_at.parse().unwrap();
        let start = WallTime(time.as_second() as f64 + f64::from(quarter * 900 + second));
        let mut world = World::new(&zone, start, planned.first().cloned());
        for step in &steps {
            world.step(step, &planned)?;
            world.explanations()?;
        }
        let left = world.on.len();
        let ended = world.rules.end_all();
        prop_assert_eq!(ended.len(), left);
        prop_assert!(ended.iter().all(|event| event.kind == EventKind::End
            && world.on.get(&event.key.camera) == Some(&event.id)));
    }
}
