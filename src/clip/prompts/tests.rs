//! Templates, means and compiled watches, with made-up embeddings.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::config::{
    Broker, Camera, CameraSource, LabelConfig, LabelScore, ModelConfig, MqttConfig, MqttVersion,
};
use crate::model::Every;
use crate::model::{CameraId, LabelId, NodeId, View, WatchId};
use crate::watch::ScoreKind;

/// Embeds by table; fails for what it does not know.
struct Table(Vec<(&'static str, [f32; 2])>);

impl PromptSource for Table {
    fn embeddings(&mut self, prompts: &[Prompt]) -> Result<Vec<Embedding>, EncodeError> {
        let find = |prompt: &Prompt| {
            let text = prompt.text();
            let known = self.0.iter().find(|(name, _)| *name == text);
            known
                .map(|(_, e)| Embedding(e.to_vec()))
                .ok_or(EncodeError::Failed(format!("unknown {text}")))
        };
        prompts.iter().map(find).collect()
    }
}

fn no_snapshots() -> crate::config::SnapshotsConfig {
    crate::config::SnapshotsConfig {
        topic: false,
        dir: None,
        keep: Duration::ZERO,
        max_size: 10,
        quality: 85,
        zone: jiff::tz::TimeZone::UTC,
    }
}

fn no_embeddings() -> crate::config::EmbeddingsConfig {
    crate::config::EmbeddingsConfig {
        enabled: false,
        dir: None,
        keep: Duration::ZERO,
        max_size: 10,
        pictures: false,
        zone: jiff::tz::TimeZone::UTC,
    }
}

fn config() -> Config {
    let camera = CameraId::try_new("porch").unwrap();
    let label = |id: &str, prompts: &[&str]| LabelConfig {
        id: LabelId::try_new(id).unwrap(),
        prompts: prompts.iter().map(ToString::to_string).collect(),
        score: LabelScore::default(),
        rule: None,
    };
    Config {
        node: NodeId::try_new("n").unwrap(),
        model: ModelConfig { max_batch: 1, ..ModelConfig::default() },
        mqtt: MqttConfig {
            broker: Broker {
                host: "h".into(),
                port: 1,
                version: MqttVersion::V3,
                tls: None,
                user: None,
                password: None,
            },
            prefix: "p".into(),
            discovery: String::new(),
            outbox: 1,
        },
        history: crate::config::HistoryConfig { dir: None, keep: Duration::ZERO, max_size: 1 },
        snapshots: no_snapshots(),
        embeddings: no_embeddings(),
        taught: crate::config::TaughtConfig::default(),
        commands: crate::config::CommandsConfig {
            enabled: false,
            persist: false,
            file: PathBuf::new(),
        },
        web: crate::config::WebConfig::default(),
        cameras: vec![Camera {
            id: camera.clone(),
            source: CameraSource::File(PathBuf::from("x")),
            every: Every::Interval(Duration::from_secs(3)),
            view: View::default(),
            mask: Vec::new(),
            gate: None,
            decoder: crate::model::DecoderChoice::Auto,
            network: crate::config::Network::default(),
            repeat: false,
            connect_timeout: Duration::from_secs(1),
            stall_timeout: Duration::from_secs(10),
            enabled: true,
            view_check: true,
        }],
        watches: vec![WatchConfig {
            id: WatchId::try_new("w").unwrap(),
            cameras: vec![camera],
            templates: vec!["{}".into(), "a photo of {}".into()],
            score: ScoreKind::Softmax,
            publish_every: Duration::ZERO,
            enabled: true,
            labels: vec![label("a", &["x"]), label("b", &["y"])],
        }],
    }
}

fn info() -> ModelInfo {
    ModelInfo { name: "mini".into(), logit_scale: 20.0, logit_bias: 0.0 }
}

#[test]
fn templates_take_the_prompt_once() {
    let prompt = Prompt { template: "a photo of {}".into(), prompt: "a {} sign".into() };
    assert_eq!(prompt.text(), "a photo of a {} sign");
}

#[test]
fn a_label_is_the_normalised_mean_of_normalised_prompts() {
    // The longer embedding does not pull harder.
    let mean = mean(&[Embedding(vec![9.0, 0.0]), Embedding(vec![0.0, 1.0])]).unwrap();
    assert!(mean.0.iter().all(|v| (v - 0.5_f32.sqrt()).abs() < 1e-6), "{mean:?}");
}

#[test]
fn no_mean_without_direction() {
    assert_eq!(mean(&[]), None);
    assert_eq!(mean(&[Embedding(vec![1.0, 0.0]), Embedding(vec![-1.0, 0.0])]), None);
    assert_eq!(mean(&[Embedding(vec![1.0, 0.0]), Embedding(vec![1.0])]), None);
    assert_eq!(mean(&[Embedding(vec![f32::NAN, 0.0])]), None);
}

#[test]
fn a_configuration_becomes_matrices() {
    let mut table = Table(vec![
        ("x", [1.0, 0.0]),
        ("a photo of x", [1.0, 0.0]),
        ("y", [0.0, 1.0]),
        ("a photo of y", [1.0, 0.0]),
    ]);
    let set = compile(&config().cameras, &config().watches, &mut table, &info(), &Lessons::new())
        .unwrap();
    let half = 0.5_f32.sqrt();
    assert_eq!(set.watches[0].matrix.shape(), [2, 2]);
    assert_eq!(set.watches[0].matrix.row(0).to_vec(), [1.0, 0.0]);
    assert!((set.watches[0].matrix[[1, 0]] - half).abs() < 1e-6);
    assert_eq!(set.cameras[0].stale_after, Duration::from_secs(16));
    assert_eq!((&*set.model, set.logit_scale), ("mini", 20.0));
}

#[test]
fn errors_name_the_watch_and_the_label() {
    let opposite = vec![
        ("x", [1.0, 0.0]),
        ("a photo of x", [-1.0, 0.0]),
        ("y", [0.0, 1.0]),
        ("a photo of y", [0.0, 1.0]),
    ];
    let error = compile(
        &config().cameras,
        &config().watches,
        &mut Table(opposite),
        &info(),
        &Lessons::new(),
    )
    .unwrap_err()
    .to_string();
    assert!(error.starts_with("watch w, label a:"), "{error}");
    assert!(
        compile(&config().cameras, &config().watches, &mut Table(vec![]), &info(), &Lessons::new())
            .is_err()
    );
}

#[test]
fn cameras_with_examples_of_their_own_learn_for_themselves() {
    use crate::taught::{Example, Lesson, Source};
    let camera = |id: &str| CameraId::try_new(id).unwrap();
    let mut config = config();
    config.watches[0].cameras = ["a", "b", "c"].map(camera).to_vec();
    config.watches[0].labels[1].prompts.clear();
    let (watch, label) = (WatchId::try_new("w").unwrap(), LabelId::try_new("b").unwrap());
    let mut lesson = Lesson::new(watch.clone(), label.clone(), "mini", "d");
    let mut time = 0.0;
    let mut example = |of: &str, yes: bool, [x, y]: [f32; 2]| {
        time += 100.0;
        let embedding = Embedding(vec![x, y]);
        let (source, picture) = (Source::Camera(camera(of)), None);
        Example { yes, source, time, tile: 0, embedding, picture, act: 0, replaced: None }
    };
    let (east, north) = ([1.0, 0.0], [0.0, 1.0]);
    // What is one state for the first is the other for the second.
    let mut examples = Vec::new();
    for _ in 0..3 {
        examples.extend([example("a", true, east), example("a", false, north)]);
        examples.extend([example("b", true, north), example("b", false, east)]);
    }
    lesson.teach(examples[..2].to_vec(), false).unwrap();
    lesson.examples.extend(examples.into_iter().skip(2));
    let lessons = Lessons::from([((watch, label), lesson)]);
    let mut table = Table(vec![("x", east), ("a photo of x", east)]);
    let set = compile(&config.cameras, &config.watches, &mut table, &info(), &lessons).unwrap();
    let taught = &set.watches[0].taught;
    assert_eq!((taught.unworded.as_slice(), taught.groups.len()), (&[1][..], 3));
    let east_of = |id: &str| {
        let group = taught.on(&camera(id)).unwrap();
        assert_eq!(group.labels, [1]);
        group.directions[[0, 0]] + group.biases[0]
    };
    assert!(east_of("a") > 0.1 && east_of("b") < -0.1, "{} {}", east_of("a"), east_of("b"));
    // The third has none of its own: to it the two say nothing together.
    assert!(east_of("c").abs() < 0.1, "{}", east_of("c"));
}
