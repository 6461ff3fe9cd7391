//! Execution providers: how a session is given to one, and what is missing where one cannot be had.
//!
//! What the libraries say is passed on as it is; [`missing`](super::missing) looks for what people forget. Nothing
//! here falls back: a provider that cannot be had is an error, and what follows is decided by
//! [`super::choose`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider as _};
use ort::memory::DeviceType;
use ort::session::builder::SessionBuilder;

use super::{Preprocess, Runtime, missing};
use crate::config::{Device, Precision};

const OPENVINO_PLUGIN: &str = "libonnxruntime_providers_openvino_plugin.so";
const OPENVINO: &str = "libonnxruntime_providers_openvino.so";
const CUDA: &str = "libonnxruntime_providers_cuda.so";
const TENSORRT: &str = "libonnxruntime_providers_tensorrt.so";
/// Beside the library, where `scripts/setup` puts what CUDA's provider needs.
const CUDA_FOLDER: &str = "cuda";

/// What runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Cpu,
    OpenVino,
    Cuda(u32),
    TensorRt(u32),
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::OpenVino => write!(f, "openvino"),
            Self::Cuda(gpu) => write!(f, "cuda:{gpu}"),
            Self::TensorRt(gpu) => write!(f, "tensorrt:{gpu}"),
        }
    }
}

impl Provider {
    /// The one that `device` names; none for `auto`.
    pub fn of(device: Device) -> Option<Self> {
        match device {
            Device::Auto => None,
            Device::Cpu => Some(Self::Cpu),
            Device::OpenVino => Some(Self::OpenVino),
            Device::Cuda(gpu) => Some(Self::Cuda(gpu)),
            Device::TensorRt(gpu) => Some(Self::TensorRt(gpu)),
        }
    }

    /// Whether it prepares itself for each batch size: then there had better be few.
    pub fn plans_per_shape(self) -> bool {
        matches!(self, Self::Cuda(_) | Self::TensorRt(_))
    }

    /// Where pictures had better be preprocessed for it. TensorRT builds for the shapes of one input.
    pub(super) fn preprocesses(self) -> Preprocess {
        match self {
            Self::Cuda(_) => Preprocess::Device,
            Self::Cpu | Self::OpenVino | Self::TensorRt(_) => Preprocess::Host,
        }
    }

    /// Whether it has a memory and an end of its own.
    pub fn is_gpu(self) -> bool {
        self.plans_per_shape()
    }
}

/// What went wrong when a session was made.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The provider cannot be had.
    Device(String),
    /// The model cannot be used.
    Model(String),
}

impl Trouble {
    pub(super) fn text(self) -> String {
        match self {
            Self::Device(cause) | Self::Model(cause) => cause,
        }
    }
}

/// How a session runs on a provider.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) provider: Provider,
    pub(super) precision: Precision,
    /// Most bytes of a GPU's memory for what the model works with.
    pub(super) gpu_memory: Option<usize>,
    /// Where TensorRT keeps what it has built.
    pub(super) engines: Option<PathBuf>,
    /// `name:1x3x224x224`, and the same for the largest batch: what TensorRT builds for.
    pub(super) shapes: Option<[String; 2]>,
    pub(super) batch: Option<FixedBatch>,
}

/// The only batch that a session is to take.
#[derive(Debug, Clone)]
pub(super) struct FixedBatch {
    /// What the model calls it.
    pub(super) name: String,
    pub(super) size: usize,
    /// The model has no arithmetic on shapes.
    pub(super) folded: bool,
}

impl Plan {
    pub(super) fn cpu() -> Self {
        Self {
            provider: Provider::Cpu,
            precision: Precision::Original,
            gpu_memory: None,
            engines: None,
            shapes: None,
            batch: None,
        }
    }
}

impl Runtime {
    /// The folder that the library and its providers lie in.
    fn folder(&self) -> &Path {
        self.library().parent().unwrap_or(Path::new("."))
    }

    fn openvino_plugin(&self) -> Option<PathBuf> {
        let folders = [self.folder().to_owned(), self.folder().join("openvino")];
        folders.map(|folder| folder.join(OPENVINO_PLUGIN)).into_iter().find(|path| path.is_file())
    }

    fn has(&self, library: &str) -> bool {
        self.folder().join(library).is_file()
    }

    /// The providers that `auto` tries, by what lies beside the library. Not TensorRT: it builds for
    /// minutes before its first picture.
    pub(super) fn providers(&self) -> Vec<Provider> {
        let mut providers = Vec::new();
        if self.has(CUDA) && Path::new(missing::DRIVER).exists() {
            providers.push(Provider::Cuda(0));
        }
        if self.has(OPENVINO) || self.openvino_plugin().is_some() {
            providers.push(Provider::OpenVino);
        }
        providers.push(Provider::Cpu);
        providers
    }

    /// Gives the session to the provider of `plan`.
    pub(super) fn give(
        &self,
        builder: SessionBuilder,
        plan: &Plan,
    ) -> Result<SessionBuilder, String> {
        match plan.provider {
            // A plan of its memory for each batch size keeps the room of each.
            Provider::Cpu => builder.with_memory_pattern(false).map_err(|error| error.to_string()),
            Provider::OpenVino if self.openvino_plugin().is_some() => self.plugged(builder),
            Provider::OpenVino => self.openvino(builder, plan),
            Provider::Cuda(gpu) => self.cuda(builder, gpu, plan),
            Provider::TensorRt(gpu) => self.tensorrt(builder, gpu, plan),
        }
    }

    /// OpenVINO as a plug-in, which a library of any version takes.
    fn plugged(&self, builder: SessionBuilder) -> Result<SessionBuilder, String> {
        static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
        let path = self.openvino_plugin().unwrap_or_default();
        let register = || self.environment.register_ep_library("OpenVINO", &path);
        REGISTERED.get_or_init(|| register().map_err(|error| error.to_string())).clone()?;
        let mut devices = self.environment.devices().filter(|device| {
            device.ep().is_ok_and(|name| name.contains("OpenVINO"))
                && device.hardware_device().ty() == DeviceType::CPU
        });
        let device = devices.next().ok_or(
            "OpenVINO's plug-in has nothing to run on here: it takes processors of Intel's only",
        )?;
        builder.with_devices([device], None).map_err(|error| error.to_string())
    }

    /// OpenVINO as a part of the library.
    fn openvino(&self, builder: SessionBuilder, plan: &Plan) -> Result<SessionBuilder, String> {
        let hint = if plan.precision == Precision::Bf16 { "bf16" } else { "f32" };
        // The code that it makes for chains of small operations does not take weights of 16 bits, which a
        // folded model still has.
        let folded = plan.batch.as_ref().is_some_and(|batch| batch.folded);
        let chains = if folded { "DISABLE" } else { "ENABLE" };
        let cpu =
            format!(r#"{{"INFERENCE_PRECISION_HINT": "{hint}", "SNIPPETS_MODE": "{chains}"}}"#);
        let provider = ep::OpenVINO::default()
            .with_device_type("CPU")
            .with_arbitrary_config("load_config", format!(r#"{{"CPU": {cpu}}}"#));
        self.register(builder, OPENVINO, provider.build())
    }

    fn cuda(
        &self,
        builder: SessionBuilder,
        gpu: u32,
        plan: &Plan,
    ) -> Result<SessionBuilder, String> {
        self.preload_cuda();
        self.register(builder, CUDA, cuda_options(gpu, plan).build())
    }

    fn tensorrt(
        &self,
        builder: SessionBuilder,
        gpu: u32,
        plan: &Plan,
    ) -> Result<SessionBuilder, String> {
        self.preload_cuda();
        let mut provider = ep::TensorRT::default()
            .with_device_id(gpu.cast_signed())
            .with_fp16(plan.precision != Precision::Original);
        if let Some(folder) = &plan.engines {
            let path = folder.display().to_string();
            provider = provider
                .with_engine_cache(true)
                .with_engine_cache_path(&path)
                .with_timing_cache(true)
                .with_timing_cache_path(path);
        }
        if let Some([least, most]) = &plan.shapes {
            provider = provider
                .with_profile_min_shapes(least)
                .with_profile_opt_shapes(most)
                .with_profile_max_shapes(most);
        }
        let builder = self.register(builder, TENSORRT, provider.build())?;
        // What TensorRT does not take should not go to the processor.
        self.register(builder, CUDA, cuda_options(gpu, plan).build())
    }

    fn register(
        &self,
        builder: SessionBuilder,
        library: &str,
        provider: ep::ExecutionProviderDispatch,
    ) -> Result<SessionBuilder, String> {
        if !self.has(library) {
            // The library's own word for it is a file that cannot be opened, which says less.
            return Err(format!("{library} is not in {}", self.folder().display()));
        }
        builder
            .with_execution_providers([provider.error_on_failure()])
            .map_err(|error| plain(&error.to_string()))
    }

    /// Loads the libraries of CUDA that lie beside ours, in place of what the system has. One that
    /// cannot be loaded shows when the provider is.
    fn preload_cuda(&self) {
        let folder = self.folder().join(CUDA_FOLDER);
        for name in ep::cuda::CUDA_DYLIBS.iter().chain(ep::cuda::CUDNN_DYLIBS) {
            let path = folder.join(name);
            if path.is_file()
                && let Err(error) = ort::util::preload_dylib(&path)
            {
                tracing::debug!(library = name, %error, "cannot be loaded");
            }
        }
    }

    /// What is not there of what `provider` needs, each with what to do.
    pub(super) fn missing(&self, provider: Provider) -> Vec<String> {
        let (library, option, gpu) = match provider {
            Provider::Cpu => return Vec::new(),
            Provider::OpenVino => (OPENVINO, "--openvino", None),
            Provider::Cuda(gpu) => (CUDA, "--cuda", Some(gpu)),
            Provider::TensorRt(gpu) => (TENSORRT, "--cuda", Some(gpu)),
        };
        let gpu = gpu.and_then(|gpu| missing::of_gpu(gpu, &self.folder().join(CUDA)));
        self.missing_library(library, option).into_iter().chain(gpu).collect()
    }

    fn missing_library(&self, library: &str, option: &str) -> Option<String> {
        let plugin = library == OPENVINO && self.openvino_plugin().is_some();
        (!plugin && !self.has(library)).then(|| {
            format!("this ONNX Runtime has no such provider: `scripts/setup {option}` gets one")
        })
    }
}

/// An error of the library's, without the place in its source and its code.
fn plain(error: &str) -> String {
    let text = error.split_once(" : FAIL : ").map_or(error, |(_, text)| text);
    text.trim().to_owned()
}

fn cuda_options(gpu: u32, plan: &Plan) -> ep::CUDA {
    let provider = ep::CUDA::default()
        .with_device_id(gpu.cast_signed())
        // The other way doubles at each growth.
        .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested);
    match plan.gpu_memory {
        Some(bytes) => provider.with_memory_limit(bytes),
        None => provider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_without_their_place_in_the_source() {
        let error = "/src/provider_bridge_ort.cc:2043 Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load \
                     library libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open\n";
        assert!(plain(error).starts_with("Failed to load library"));
        assert!(plain(error).ends_with("cannot open"));
        assert_eq!(plain("invalid device ordinal"), "invalid device ordinal");
    }

    #[test]
    fn providers_are_named_as_devices_are() {
        let named = [Device::Cpu, Device::OpenVino, Device::Cuda(1), Device::TensorRt(0)];
        let names = named.map(|device| Provider::of(device).unwrap().to_string());
        assert_eq!(names, ["cpu", "openvino", "cuda:1", "tensorrt:0"]);
        for (device, name) in named.into_iter().zip(names) {
            assert_eq!(crate::config::parse_device(&name), Ok(device));
        }
        assert_eq!(Provider::of(Device::Auto), None);
    }
}
