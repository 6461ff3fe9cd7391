//! What is remembered goes with a label, not with its place: labels come, go and change places. Cooldowns outlive
//! the process.

use super::*;

/// A set whose watch has these labels, in this order; all have the rule.
fn labelled(revision: u64, rule: &LabelRule, labels: &[&str]) -> Arc<WatchSet> {
    let mut set = WatchSet::clone(&set(revision, None));
    let label = |id: &&str| Label { id: LabelId::try_new(id).unwrap(), rule: Some(rule.clone()) };
    set.watches[0].labels = labels.iter().map(label).collect();
    Arc::new(set)
}

fn seen(rules: &Arc<WatchSet>, at: u64, values: &[f32]) -> Scored {
    let watch = &rules.watches[0];
    let probabilities = Probabilities::new(watch.labels.clone(), values);
    let scores = vec![WatchScore::new(watch.id.clone(), probabilities)];
    Scored { scores, ..frame(rules, at, 0.0) }
}

/// "Start package@1" for each event, and its id.
fn told(events: Vec<Event>) -> Vec<(String, Arc<str>)> {
    let told = |event: Event| (format!("{:?} {}", event.kind, event.key.label), event.id);
    events.into_iter().map(told).collect()
}

#[test]
fn a_label_keeps_its_memory_where_it_moves() {
    let cooling = LabelRule { cooldown: ms(1000), ..rule() };
    let first = labelled(1, &cooling, &["cat", "package", "van"]);
    let mut rules = Rules::new(first.clone());
    let started = told(rules.observe(&seen(&first, 0, &[0.9, 0.9, 0.1])));
    assert_eq!(
        started.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>(),
        ["Start cat", "Start package"]
    );

    // "dog" comes, "cat" goes, the others change places: "cat" ends, "package" goes on.
    let second = labelled(2, &cooling, &["van", "dog", "package"]);
    let events = told(rules.observe(&seen(&second, 10, &[0.1, 0.1, 0.9])));
    assert_eq!(events, [("End cat".to_owned(), started[0].1.clone())]);
    let events = told(rules.observe(&seen(&second, 20, &[0.9, 0.9, 0.1])));
    let words: Vec<_> = events.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(words, ["Start van", "Start dog", "End package"]);
    assert_eq!(events[2].1, started[1].1, "the event that had been open");

    // What is confirmed, and what keeps quiet, is the package's.
    rules.delivered(&key(0), captured(500).at);
    let third = labelled(3, &cooling, &["package", "van"]);
    let events = told(rules.observe(&seen(&third, 1100, &[0.9, 0.9])));
    assert_eq!(events.len(), 1, "of the dog alone: {events:?}");
    assert_eq!(events[0].0, "End dog");
    let events = told(rules.observe(&seen(&third, 1600, &[0.9, 0.9])));
    assert_eq!(events[0].0, "Start package");
}

#[test]
fn background_that_becomes_a_label_begins_anew() {
    let first = set(1, None);
    let mut rules = Rules::new(first.clone());
    assert!(rules.observe(&frame(&first, 0, 0.9)).is_empty());
    let second = set(2, Some(LabelRule { hold: ms(100), ..rule() }));
    assert!(rules.observe(&frame(&second, 50, 0.9)).is_empty());
    assert!(rules.observe(&frame(&second, 120, 0.9)).is_empty(), "held since 50");
    assert_eq!(rules.observe(&frame(&second, 150, 0.9))[0].kind, EventKind::Start);
}

#[test]
fn what_is_left_of_an_earlier_lifes_cooldown_holds() {
    let set = set(1, Some(LabelRule { cooldown: ms(1000), ..rule() }));
    // (the last word about it, when the next event may start); this life begins at 1000 s.
    for (last, start) in [(999.5, 500), (998.0, 0), (1000.0, 1000), (1007.0, 1000)] {
        let mut rules = Rules::new(set.clone());
        rules.resume(&key(0), WallTime(last), captured(0));
        for at in [0, 499, 500, 999, 1000] {
            let events = rules.observe(&frame(&set, at, 0.9)).len();
            assert_eq!(events, usize::from(at == start), "{last}, at {at}");
        }
    }
    let mut rules = Rules::new(set.clone());
    rules.resume(&LabelKey { camera: named("gone"), ..key(0) }, WallTime(1000.0), captured(0));
    assert_eq!(rules.observe(&frame(&set, 1, 0.9)).len(), 1);
}
