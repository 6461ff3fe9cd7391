//! Promise: a wrong configuration is refused whole, with every problem, its file, line and key.
//!
//! Each `tests/data/configs/bad/NAME.toml` must give exactly `NAME.txt`; each in `good/` must
//! load. `NAME.d/*.toml` are its conf.d, `NAME.env` its environment (`KEY=value` lines).
//! `BLESS=1` writes the `.txt` files, for review with `git diff`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use seewhen::config::{self, CameraSource, File, Loaded, Problems, Surroundings};
use seewhen::model::{Every, WallTime};
use seewhen::watch::Consensus;

const CONFIGS: &str = "tests/data/configs";

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no *.toml in {folder:?}");
    paths
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn surroundings(folder: &Path, variables: BTreeMap<String, String>) -> Surroundings {
    let host = "test-host".to_owned();
    let zone = TimeZone::UTC;
    let read = |path: &Path| fs::read_to_string(path);
    Surroundings { folder: folder.into(), host, zone, variables, read }
}

fn outcome(main: &Path) -> Result<Loaded, Problems> {
    let folder = main.parent().expect("a folder");
    let drop_ins = main.with_extension("d");
    let mut paths = vec![main.to_owned()];
    if drop_ins.exists() {
        paths.extend(toml_files(&drop_ins));
    }
    let environment = main.with_extension("env");
    let variables = if environment.exists() { read(&environment) } else { String::new() };
    let pair = |line: &str| line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
    let variables = variables.lines().map(|line| pair(line).expect("KEY=value")).collect();
    let texts: Vec<(String, String)> = paths
        .iter()
        .map(|path| {
            let shown = path.strip_prefix(folder).expect("below it").display().to_string();
            (shown, read(path))
        })
        .collect();
    let files: Vec<File<'_>> = texts.iter().map(|(name, text)| File { name, text }).collect();
    config::parse(&files, &surroundings(folder, variables))
}

#[test]
fn every_bad_file_gives_its_problems() {
    let files = toml_files(&Path::new(CONFIGS).join("bad"));
    assert!(files.len() >= 25, "only {} bad files", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let found = match outcome(&path) {
            Ok(_) => "loads\n".to_owned(),
            Err(problems) => format!("{problems}\n"),
        };
        let expected = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).expect("a writable folder");
        } else if read(&expected) != found {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
        assert_ne!(found, "loads\n", "{} has no problem", path.display());
    }
    assert!(wrong.is_empty(), "not as in the .txt files:\n{}", wrong.join("\n"));
}

#[test]
fn every_good_file_loads() {
    for path in toml_files(&Path::new(CONFIGS).join("good")) {
        let loaded = outcome(&path).unwrap_or_else(|problems| panic!("{problems}"));
        let found: String = loaded.warnings.iter().map(|warning| format!("{warning}\n")).collect();
        let expected = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).expect("a writable folder");
        }
        assert_eq!(read(&expected), found, "warnings of {}", path.display());
    }
}

#[test]
fn later_files_change_entries_by_id() {
    let loaded = outcome(&Path::new(CONFIGS).join("good/layers.toml")).expect("right");
    let config = loaded.config;
    let cameras: Vec<String> =
        config.cameras.iter().map(|camera| format!("{} {}", camera.id, camera.source)).collect();
    assert_eq!(cameras, ["porch test:ball", "yard test:", "drive test:smpte"]);
    assert_eq!(
        config.cameras[0].every,
        Every::Interval(Duration::from_millis(250)),
        "the first file's, not changed"
    );
    assert_eq!(config.watches.len(), 1);
    let labels: Vec<(&str, Option<f32>)> = config.watches[0]
        .labels
        .iter()
        .map(|label| (label.id.as_str(), label.rule.as_ref().map(|rule| rule.threshold)))
        .collect();
    assert_eq!(labels, [("package", Some(0.9)), ("nothing", None), ("dog", Some(0.5))]);
    let watched: Vec<&str> = config.watches[0].cameras.iter().map(|id| id.as_str()).collect();
    assert_eq!(watched, ["porch", "yard", "drive"], "all, those of later files included");
}

#[test]
fn a_label_has_its_own_schedule_or_that_of_its_watch() {
    let config = outcome(&Path::new(CONFIGS).join("good/rules.toml")).expect("right").config;
    let rules: Vec<_> = config.watches[0].labels.iter().map(|label| label.rule.as_ref()).collect();
    let [Some(package), Some(cat), None] = rules[..] else { panic!("{rules:?}") };
    // The 3rd of June 2026, a Wednesday, at 15:59 and 16:00 UTC: 18 o'clock in Vienna.
    let (before, evening) = (WallTime(1_780_502_340.0), WallTime(1_780_502_400.0));
    assert_eq!((package.is_active(before), package.is_active(evening)), (false, true));
    assert!(cat.is_active(before) && cat.is_active(evening));
    assert_eq!((package.consensus.needed(), package.consensus.of()), (3, 5));
    assert_eq!((cat.consensus, package.shadow, cat.shadow), (Consensus::default(), false, true));
}

/// What was learnt of a camera's view is of no use once it shows something else, and only then.
#[test]
fn what_a_camera_shows_is_known_by_its_source_region_and_mask() {
    let shown = |lines: &str| {
        let text = format!("[mqtt]\nurl = \"mqtt://h\"\n[[camera]]\nid = \"c\"\n{lines}");
        let file = File { name: "a.toml", text: &text };
        let loaded = config::parse(&[file], &surroundings(Path::new("/"), BTreeMap::new()));
        loaded.unwrap_or_else(|problems| panic!("{problems}")).config.cameras[0].shown()
    };
    let usual = shown("source = \"rtsp://u:p@h/1\"");
    for same in [
        "source = \"rtsp://u:another@h/1\"",
        "source = \"rtsp://h/1\"",
        "source = \"rtsp://u:p@h/1\"\nevery = \"5s\"\nfit = \"pad\"\ntransport = \"udp\"",
        "source = \"rtsp://u:p@h/1\"\nregion = { x = 0, y = 0, width = 1, height = 1 }",
    ] {
        assert_eq!(shown(same), usual, "{same}");
    }
    let triangle = |corner| {
        format!("source = \"rtsp://h/1\"\nmask = [[[0.0, 0.0], [0.3, 0.0], [0.0, {corner}]]]")
    };
    let others = [
        "source = \"rtsp://h/2\"".to_owned(),
        "source = \"/clips/1.mp4\"".to_owned(),
        "source = \"test:\"".to_owned(),
        "source = \"rtsp://h/1\"\nregion = { x = 0, y = 0, width = 1, height = 0.5 }".to_owned(),
        triangle(0.4),
        triangle(0.5),
    ];
    let mut all: Vec<u64> = others.iter().map(|lines| shown(lines).0).collect();
    all.push(usual.0);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), others.len() + 1, "each shows something else");
}

#[test]
fn a_system_without_a_time_zone_is_named() {
    let path = Path::new(CONFIGS).join("good/rules.toml");
    let text = read(&path).replace("timezone = ", "# timezone = ");
    let warnings = |zone: TimeZone, variables: &[(&str, &str)]| -> Vec<String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = variables.iter().map(own).collect();
        let surroundings = Surroundings { zone, ..surroundings(Path::new("/"), variables) };
        let file = File { name: "a.toml", text: &text };
        let loaded = config::parse(&[file], &surroundings).expect("right");
        loaded.warnings.iter().map(ToString::to_string).collect()
    };
    let found = warnings(TimeZone::unknown(), &[]);
    assert!(
        matches!(&found[..], [one] if one.contains("timezone: this system has no")),
        "{found:?}"
    );
    assert_eq!(warnings(TimeZone::unknown(), &[("SEEWHEN_TIMEZONE", "Asia/Tokyo")]).len(), 0);
    assert_eq!(warnings(TimeZone::UTC, &[]).len(), 0);
}

#[test]
fn a_file_and_its_conf_d_are_read_from_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let main = folder.path().join("seewhen.toml");
    let missing = config::load(&main).expect_err("no file").to_string();
    assert!(missing.contains("seewhen.toml: cannot be read"), "{missing}");

    fs::write(&main, "[[camera]]\nid = \"porch\"\nsource = \"clip.mp4\"\n").expect("written");
    fs::create_dir(folder.path().join("conf.d")).expect("made");
    let drop_in = |name: &str, text: &str| {
        fs::write(folder.path().join("conf.d").join(name), text).expect("written");
    };
    drop_in("20.toml", "[mqtt]\nprefix = \"second\"\n");
    drop_in("10.toml", "[mqtt]\nprefix = \"first\"\noutbox = 5\n");
    drop_in("30.toml.bak", "not read");
    drop_in(".40.toml", "not read");
    let config = config::load(&main).expect("right").config;
    assert_eq!((config.mqtt.prefix.as_str(), config.mqtt.outbox), ("second", 5));
    assert_eq!(config.cameras[0].source, CameraSource::File(folder.path().join("clip.mp4")));

    drop_in("20.toml", "[mqtt]\nprefix = 5\n");
    let wrong = config::load(&main).expect_err("a wrong type").to_string();
    assert!(wrong.contains("20.toml:2:10: mqtt.prefix: found the number 5"), "{wrong}");
}

const SECRET: &str = "s3cr:t/@#%?&";

fn with_secrets() -> Loaded {
    let text = r#"
        mqtt.url = "mqtts://broker.example"
        mqtt.user = "file:user.txt"
        mqtt.password = "${S}"
        [[camera]]
        id = "a"
        source = "rtsp://us%40er:${S}@192.0.2.7:554/stream1?token=${S}"
        [[camera]]
        id = "b"
        source = "http://192.0.2.7/user=admin&password=${S}&channel=1"
        [[camera]]
        id = "c"
        source = "${WHOLE}"
    "#;
    let variables = [
        ("S".to_owned(), SECRET.to_owned()),
        ("WHOLE".to_owned(), "rtsps://viewer:s3cr@192.0.2.8/live".to_owned()),
    ];
    let mut surroundings = surroundings(Path::new("/etc"), variables.into());
    surroundings.read = |_| Ok("s3cr-user\n".to_owned());
    let file = File { name: "a.toml", text };
    config::parse(&[file], &surroundings).expect("right")
}

#[test]
fn secrets_arrive() {
    let loaded = with_secrets();
    let CameraSource::Rtsp { url, user, password } = &loaded.config.cameras[0].source else {
        panic!("{:?}", loaded.config.cameras[0])
    };
    assert_eq!(user.as_deref(), Some("us@er"));
    assert_eq!(password.as_ref().map(|password| password.reveal()), Some(SECRET));
    assert_eq!(url, "rtsp://192.0.2.7:554/stream1?token=s3cr%3At%2F%40%23%25%3F%26");
    let broker = &loaded.config.mqtt.broker;
    assert_eq!(broker.user.as_deref(), Some("s3cr-user"));
    assert_eq!(broker.password.as_ref().map(|password| password.reveal()), Some(SECRET));
    assert_eq!((broker.port, broker.tls.is_some()), (8883, true));
}

#[test]
fn secrets_never_show() {
    let loaded = with_secrets();
    let shown: Vec<String> =
        loaded.config.cameras.iter().map(|camera| camera.source.to_string()).collect();
    assert_eq!(
        shown,
        [
            "rtsp://***@192.0.2.7:554/stream1?***",
            "http://192.0.2.7/***",
            "rtsps://***@192.0.2.8/live"
        ]
    );
    let everything = format!("{loaded:?} {loaded:#?} {shown:?}");
    assert!(!everything.contains("s3cr"), "{everything}");
    assert!(!everything.contains("us@er"), "{everything}");
}

#[test]
fn problems_do_not_quote_secrets() {
    // Every one of these is wrong in its own way, and the first has no ${} to go by.
    for source in [
        "rtsp://u:s3cr/et@host/",
        "rtsp://u:s3cr%zz@host/",
        "rtp://u:s3cr@host/",
        "rtsp://u:s3cr@host:port/",
        "u:s3cr@host",
        "rtsp:u:s3cr@host",
        "rtsp://u:s3cr@ho st/",
        "http://host:x/?token=s3cr",
        "${WHOLE}",
    ] {
        let variables = [("WHOLE".to_owned(), "s3cr://x:${S}@".to_owned())];
        let text = format!(
            "mqtt.password = 53\nmqtt.user = \"${{S\"\nmqtt.url = {source:?}\n[[camera]]\nid = \"a\"\nsource = {source:?}\n"
        );
        let surroundings = surroundings(Path::new("/etc"), variables.into());
        let file = File { name: "a.toml", text: &text };
        let problems = config::parse(&[file], &surroundings).expect_err(source).to_string();
        assert!(problems.lines().count() >= 3, "{source}:\n{problems}");
        assert!(!problems.contains("s3cr") && !problems.contains("53"), "{problems}");
    }
}

#[test]
fn sources_of_the_command_line() {
    let parse = |text| config::parse_source(text, Path::new("/home"));
    let file = |path: &str| Ok(CameraSource::File(path.into()));
    assert_eq!(parse("clip.mp4"), file("/home/clip.mp4"));
    assert_eq!(parse("./a b/clip:1.mp4"), file("/home/./a b/clip:1.mp4"));
    assert_eq!(parse("file:clip.mp4"), file("/home/clip.mp4"));
    assert_eq!(parse("file:/clip.mp4"), file("/clip.mp4"));
    assert_eq!(parse("file:///clip.mp4"), file("/clip.mp4"));
    assert_eq!(parse("v4l2:/dev/video0"), Ok(CameraSource::V4l2("/dev/video0".into())));
    assert_eq!(parse("test:ball"), Ok(CameraSource::Test("ball".into())));
    let shown = parse("rtsp://u:p@[::1]:8554/x").map(|source| source.to_string());
    assert_eq!(shown.as_deref(), Ok("rtsp://***@[::1]:8554/x"));
    assert!(parse("rtspp://host/").expect_err("wrong").contains("did you mean \"rtsp\"?"));
    for bad in ["", "file:", "file://host/x", "v4l2:video0", "test:a b", "rtsp://", "http:host"] {
        parse(bad).expect_err(bad);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is cut out of the reference, there is a configuration or there are problems.
    #[test]
    fn broken_files_end_in_problems(start in 0.0..1.0, length in 0usize..60, added in "[\\[\\]{}=\"\n.a0-]{0,3}") {
        let reference = include_str!("../config/seewhen.toml");
        let start = (start * reference.len() as f64) as usize;
        let end = (start + length).min(reference.len());
        // The reference is ASCII, so any cut is one between characters.
        let text = format!("{}{added}{}", &reference[..start], &reference[end..]);
        let file = File { name: "a.toml", text: &text };
        let variables = [("PORCH_PASSWORD".to_owned(), "open".to_owned())];
        match config::parse(&[file], &surroundings(Path::new("/"), variables.into())) {
            Ok(loaded) => prop_assert!(loaded.config.cameras.len() <= 2),
            Err(problems) => prop_assert!(!problems.as_slice().is_empty()),
        }
    }
}
