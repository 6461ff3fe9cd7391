//! `node`, `timezone` and `[model]`: who this is, where, and what runs the model.

use std::fmt;
use std::path::{MAIN_SEPARATOR, PathBuf};
use std::time::Duration;

use ::config::Value;
use jiff::tz::TimeZone;

use super::keys;
use super::secret::Surroundings;
use super::section::Section;
use super::value::{count, duration, text, words};
use crate::model::NodeId;

/// `[model]`
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// A name under the models folder, or a path (anything with a '/').
    pub bundle: String,
    pub device: Device,
    pub precision: Precision,
    /// Where bundles are looked for; `--model-dir` and `SEEWHEN_MODEL_DIR` mean the same.
    pub dir: Option<PathBuf>,
    /// Where prompt embeddings are kept; `None` for the default place.
    pub prompt_cache: Option<PathBuf>,
    /// Most frames encoded in one run of the model.
    pub max_batch: usize,
    /// Most of a GPU's memory that the model may work with, MiB; 0 for no limit.
    pub gpu_memory: usize,
    /// How long a batch that is not full waits for more frames.
    pub max_wait: Duration,
}

/// What the command line starts from when there is no configuration file.
impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            bundle: "mini".to_owned(),
            device: Device::Auto,
            precision: Precision::Auto,
            dir: None,
            prompt_cache: None,
            max_batch: 16,
            gpu_memory: 0,
            max_wait: Duration::ZERO,
        }
    }
}

/// What runs the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    #[default]
    Auto,
    Cpu,
    OpenVino,
    Cuda(u32),
    TensorRt(u32),
}

/// Which of a bundle's image models runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The fastest that the bundle has and the device likes.
    #[default]
    Auto,
    /// The bundle's own, as it was exported.
    Original,
    /// 8-bit integers, on the processor: `seewhen model quantize` makes them.
    Int8,
    /// 16-bit floats, on a GPU.
    Fp16,
    /// The bundle's own model, computed in the other kind of 16-bit floats, by OpenVINO.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Original => "original",
            Self::Int8 => "int8",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
        })
    }
}

/// Reads a precision as configuration and command line name it.
pub fn parse_precision(text: &str) -> Result<Precision, String> {
    match text {
        "auto" => Ok(Precision::Auto),
        "original" => Ok(Precision::Original),
        "int8" => Ok(Precision::Int8),
        "fp16" => Ok(Precision::Fp16),
        "bf16" => Ok(Precision::Bf16),
        _ => Err(format!(
            "found {text:?}; allowed are \"auto\", \"original\", \"int8\", \"fp16\" and \"bf16\""
        )),
    }
}

/// Reads a device as configuration and command line name it.
pub fn parse_device(text: &str) -> Result<Device, String> {
    let (name, number) = text.split_once(':').map_or((text, None), |(n, gpu)| (n, Some(gpu)));
    let gpu = || number.map_or(Ok(0), |digits| digits.parse().map_err(drop));
    let found = match (name, number) {
        ("auto", None) => Ok(Device::Auto),
        ("cpu", None) => Ok(Device::Cpu),
        ("openvino", None) => Ok(Device::OpenVino),
        ("cuda", _) => gpu().map(Device::Cuda),
        ("tensorrt", _) => gpu().map(Device::TensorRt),
        _ => Err(()),
    };
    // No guess here: the nearest word to "gpu" is "cpu".
    found.map_err(|()| {
        format!(
            "found {text:?}; allowed are \"auto\", \"cpu\", \"openvino\", \"cuda:N\" and \
             \"tensorrt:N\", N being the GPU's number"
        )
    })
}

/// `None` when it was wrong and has been reported.
pub(super) fn node(root: &Section<'_>, surroundings: &Surroundings) -> Option<NodeId> {
    if root.has("node") {
        return root.get("node", |value| {
            NodeId::try_new(&text(value)?).map_err(|error| error.to_string())
        });
    }
    // A host name is no mistake of the user's: what cannot be in an id is replaced.
    let host = surroundings.host.split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = host.chars().map(plain).take(64).collect();
    NodeId::try_new(&name).or_else(|_| NodeId::try_new("seewhen")).ok()
}

/// What schedules go by; `None` when it was wrong and has been reported. Names are looked up in
/// the system's database, or else in the one that the binary has.
pub(super) fn timezone(root: &Section<'_>, surroundings: &Surroundings) -> Option<TimeZone> {
    root.get_or("timezone", surroundings.zone.clone(), |value| {
        let name = text(value)?;
        TimeZone::get(&name).map_err(|_| {
            format!(
                "found {name:?}, which is no time zone; write the name of one, such as \
                 \"Europe/Vienna\" or \"UTC\""
            )
        })
    })
}

/// `None` when anything in it was wrong and has been reported.
pub(super) fn model(root: &Section<'_>, surroundings: &Surroundings) -> Option<ModelConfig> {
    let model = root.section("model", keys::MODEL)?;
    let path = |value: &Value| words(value).map(|path| surroundings.folder.join(path));
    let bundle = model.get("bundle", |value| {
        let name = words(value)?;
        // A path is meant from the configuration's folder, like every other one in it.
        let is_path = name.contains('/') || name.contains(MAIN_SEPARATOR);
        let joined = || surroundings.folder.join(&name).to_string_lossy().into_owned();
        Ok(if is_path { joined() } else { name })
    });
    let device = model.get("device", |value| parse_device(&text(value)?));
    let precision = model.get("precision", |value| parse_precision(&text(value)?));
    let max_batch = model.get("max_batch", |value| count(value, 1..=256));
    let gpu_memory = model.get("gpu_memory", |value| count(value, 0..=1_000_000));
    let longest = Duration::from_secs(10);
    let max_wait = model.get("max_wait", |value| duration(value, Duration::ZERO..=longest));
    Some(ModelConfig {
        dir: model.get("dir", path),
        prompt_cache: model.get("prompt_cache", path),
        bundle: bundle?,
        device: device?,
        precision: precision?,
        max_batch: max_batch?,
        gpu_memory: gpu_memory?,
        max_wait: max_wait?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name_and_number() {
        assert_eq!(parse_device("auto"), Ok(Device::Auto));
        assert_eq!(parse_device("openvino"), Ok(Device::OpenVino));
        assert_eq!(parse_device("cuda"), Ok(Device::Cuda(0)));
        assert_eq!(parse_device("tensorrt:3"), Ok(Device::TensorRt(3)));
        for bad in ["", "gpu", "cpu:1", "cuda:", "cuda:-1", "CUDA:0"] {
            assert!(parse_device(bad).expect_err(bad).contains("allowed are"), "{bad}");
        }
    }
}
