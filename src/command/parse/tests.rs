//! What is understood, and what is not.
use serde_json::json;

use super::*;

fn reason(text: &str) -> (Outcome, String) {
    let answer = json(text.as_bytes()).expect_err(text);
    let refusal = answer.result.expect_err(text);
    (refusal.outcome, refusal.reason)
}

#[test]
fn commands_are_understood() {
    let watch = || WatchId::try_new("w").unwrap();
    let label = || LabelId::try_new("l").unwrap();
    let camera = || CameraId::try_new("c").unwrap();
    let key = LabelKey { camera: camera(), watch: watch(), label: label() };
    let both = |key: &str, value: Option<Value>| vec![(key.to_owned(), value)];
    for (text, command) in [
        (r#""enable","camera":"c""#, Command::Enable(Target::Camera(camera()), true)),
        (r#""disable","watch":"w""#, Command::Enable(Target::Watch(watch()), false)),
        (
            r#""disable","watch":"w","label":"l""#,
            Command::Enable(Target::Label(watch(), label()), false),
        ),
        (
            r#""set_threshold","watch":"w","label":"l","threshold":0.5"#,
            Command::SetThreshold(watch(), label(), 0.5),
        ),
        (
            r#""add_label","watch":"w","label":"l","prompts":["a","b"]"#,
            Command::AddLabel(
                watch(),
                label(),
                vec![("prompts".to_owned(), Value::from(vec!["a", "b"]))],
            ),
        ),
        (
            r#""change_label","watch":"w","label":"l","clear":null"#,
            Command::ChangeLabel(watch(), label(), both("clear", None)),
        ),
        (
            r#""change_label","watch":"w","label":"l","threshold":1"#,
            Command::ChangeLabel(watch(), label(), both("threshold", Some(1.into()))),
        ),
        (r#""remove_label","watch":"w","label":"l""#, Command::RemoveLabel(watch(), label())),
        (r#""snapshot","camera":"c""#, Command::Snapshot(camera())),
        (r#""learn_view","camera":"c""#, Command::LearnView(camera())),
        (r#""explain","camera":"c","watch":"w","label":"l""#, Command::Explain(key.clone())),
        (
            r#""teach","camera":"c","watch":"w","label":"l","yes":[7,[8,9.5]],"no":"last event""#,
            Command::Teach {
                key,
                yes: vec![When::Span(7.0, 7.0), When::Span(8.0, 9.5)],
                no: vec![When::Text("last event".to_owned())],
            },
        ),
        (r#""undo_teach","watch":"w","label":"l""#, Command::UndoTeach(watch(), label())),
    ] {
        let request = json(format!(r#"{{"id":"7","command":{text}}}"#).as_bytes()).expect(text);
        assert_eq!((request.command, request.persist), (command, None), "{text}");
        assert_eq!(request.tag.id.as_deref(), Some("7"));
        assert!(text.contains(request.tag.command.unwrap()));
    }
    let request = json(br#"{"command":"enable","camera":"c","persist":false}"#).unwrap();
    assert_eq!((request.persist, request.tag.id), (Some(false), None));
}

#[test]
fn mistakes_are_named() {
    for (text, word) in [
        ("", "no JSON object"),
        ("[1]", "no JSON object"),
        ("\"ON\"", "no JSON object"),
        ("{} {}", "no JSON object"),
        ("{}", "command is missing"),
        (r#"{"command":7}"#, "command: write a text"),
        (r#"{"command":"enabel","camera":"c"}"#, "no command \"enabel\"; commands: enable, "),
        (r#"{"command":"enable"}"#, "write what is meant"),
        (r#"{"command":"enable","label":"l"}"#, "write what is meant"),
        (r#"{"command":"enable","camera":"c","watch":"w"}"#, "write what is meant"),
        (r#"{"command":"enable","camera":["c"]}"#, "camera: write a text"),
        (r#"{"command":"enable","camera":"c","camera":"d"}"#, "\"camera\" is given twice"),
        (r#"{"command":"enable","camera":"c","persit":true}"#, "did you mean `persist`?"),
        (r#"{"command":"enable","camera":"c","persist":"no"}"#, "persist: write true or false"),
        (r#"{"command":"enable","camera":"c","id":7}"#, "id: write a text"),
        (r#"{"command":"snapshot","camera":"c","persist":true}"#, "changes nothing"),
        (r#"{"command":"learn_view","camera":"c","persist":true}"#, "always kept"),
        (r#"{"command":"learn_view"}"#, "camera is missing"),
        (r#"{"command":"undo_teach","watch":"w","label":"l","persist":true}"#, "always kept"),
        (r#"{"command":"teach","camera":"c","watch":"w","label":"l"}"#, "write in yes when"),
        (
            r#"{"command":"teach","camera":"c","watch":"w","label":"l","yes":[[9,8]]}"#,
            "yes: found [9,8]",
        ),
        (
            r#"{"command":"teach","camera":"c","watch":"w","label":"l","no":[true]}"#,
            "no: found true",
        ),
        (r#"{"command":"set_threshold","watch":"w","label":"l"}"#, "threshold: write a number"),
        (r#"{"command":"change_label","watch":"w","label":"l"}"#, "nothing to change"),
        (r#"{"command":"change_label","watch":"w","label":"l","treshold":1}"#, "`threshold`"),
        (r#"{"command":"add_label","watch":"w","label":"l","hold":null}"#, "hold: found null"),
        (r#"{"command":"add_label","watch":"w","label":"l","hold":{}}"#, "hold: found an object"),
        (r#"{"command":"add_label","watch":"w","label":"l","prompts":[[]]}"#, "a list in a list"),
    ] {
        let (outcome, reason) = reason(text);
        assert!(reason.contains(word), "{text}: {reason}");
        assert_eq!(outcome, Outcome::Malformed, "{text}");
    }
    let (outcome, bad) = reason(r#"{"command":"enable","camera":"../../etc/passwd"}"#);
    assert!(outcome == Outcome::Refused && bad.contains("cannot be an id"), "{bad}");
    assert_eq!(reason(&" ".repeat(MOST + 1)).0, Outcome::TooLarge);
    let many =
        json!({ "command": "add_label", "watch": "w", "label": "l", "prompts": vec!["x"; 33] });
    assert!(reason(&many.to_string()).1.contains("at most 32"));
    let deep = format!("{{\"command\":{}", "[".repeat(8000));
    assert!(reason(&deep).1.len() < 300);
}

#[test]
fn the_answer_to_a_mistake_carries_what_could_be_read() {
    let answer = json(br#"{"id":"a","command":"enable"}"#).expect_err("no target");
    assert_eq!((answer.tag.id.as_deref(), answer.tag.command), (Some("a"), Some("enable")));
    let long = format!(r#"{{"id":"{}","command":"enable"}}"#, "x".repeat(65));
    assert_eq!(json(long.as_bytes()).expect_err("a long id").tag, Tag::default());
}

#[test]
fn set_topics_take_plain_values() {
    let camera = Command::Enable(Target::Camera(CameraId::try_new("c").unwrap()), false);
    assert_eq!(switch("t", "c", b"OFF").map(|request| request.command), Ok(camera));
    for payload in [&b"off"[..], b"", b"1", b"\xff\xfe", &[b'x'; 5000]] {
        let answer = switch("t", "c", payload).expect_err("not ON or OFF");
        let reason = answer.result.expect_err("refused").reason;
        assert!(reason.contains("write ON or OFF") && reason.len() < 400, "{reason}");
    }
    let number = |payload: &[u8]| match threshold("t", ["w", "l"], payload).map(|it| it.command) {
        Ok(Command::SetThreshold(_, _, number)) => Some(number),
        _ => None,
    };
    assert_eq!(
        [number(b"0.8"), number(b" 1\n"), number(b"-3")],
        [Some(0.8), Some(1.0), Some(-3.0)]
    );
    for payload in [&b"NaN"[..], b"inf", b"0,8", b"", b"0x1", b"\xff", &[b'1'; 40]] {
        assert_eq!(number(payload), None, "{payload:?}");
    }
}
