//! What a GPU's provider lacks on this machine: what people forget, each with what to do.
//!
//! Only looks, and only after a provider could not be had: what the libraries say themselves is often
//! the last of a chain of causes.

use std::fs;
use std::path::Path;

/// As the kernel's part of NVIDIA's driver tells it.
pub(super) const DRIVER: &str = "/proc/driver/nvidia/version";
const GPUS: &str = "/proc/driver/nvidia/gpus";
/// The oldest drivers for the CUDA that a provider was built with.
const OLDEST_DRIVERS: [(u32, u32); 2] = [(12, 525), (13, 580)];

/// What is missing of GPU number `gpu` for the provider in this file.
pub(super) fn of_gpu(gpu: u32, provider: &Path) -> Option<String> {
    let driver = fs::read_to_string(DRIVER).ok();
    let gpus = fs::read_dir(GPUS).map_or(0, Iterator::count);
    missing_gpu(gpu, driver.as_deref(), gpus, cuda_of(provider))
}

/// What is missing of GPU number `gpu`, by what the driver tells of itself.
fn missing_gpu(gpu: u32, driver: Option<&str>, gpus: usize, cuda: Option<u32>) -> Option<String> {
    let Some(driver) = driver else {
        return Some(format!(
            "NVIDIA's driver is not loaded (there is no {DRIVER}): install it; `nvidia-smi` shows \
             whether it works"
        ));
    };
    let version = driver_version(driver)?;
    let oldest = OLDEST_DRIVERS.iter().find(|(of, _)| Some(*of) == cuda);
    if let Some((cuda, oldest)) = oldest
        && driver_number(version) < *oldest
    {
        return Some(format!(
            "NVIDIA's driver is {version}, the provider was built for CUDA {cuda}, which takes {oldest} \
             or newer: update the driver"
        ));
    }
    (gpus > 0 && gpu as usize >= gpus).then(|| {
        format!("there is no GPU {gpu}: the driver knows {gpus}, and the first is number 0")
    })
}

/// `580.65.06` of `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  …`.
fn driver_version(text: &str) -> Option<&str> {
    text.lines()
        .next()?
        .split_whitespace()
        .find(|word| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn driver_number(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The CUDA that a provider was built for, by the runtime library that it names.
fn cuda_of(provider: &Path) -> Option<u32> {
    const NEEDED: &[u8] = b"libcudart.so.";
    let bytes = fs::read(provider).ok()?;
    let at = bytes.windows(NEEDED.len()).position(|window| window == NEEDED)?;
    let digits = bytes[at + NEEDED.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    std::str::from_utf8(&digits.copied().collect::<Vec<u8>>()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVER_TEXT: &str = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12\n\
        GCC version:  gcc version 12.2.0\n";

    #[test]
    fn what_is_missing_of_a_gpu_is_said_with_what_to_do() {
        let missing = |gpu, driver, gpus, cuda| missing_gpu(gpu, driver, gpus, cuda);
        assert!(missing(0, None, 0, Some(13)).unwrap().contains("driver is not loaded"));
        let old = missing(0, Some(DRIVER_TEXT), 1, Some(13)).unwrap();
        assert!(old.contains("535.183.01") && old.contains("580 or newer"), "{old}");
        assert_eq!(missing(0, Some(DRIVER_TEXT), 1, Some(12)), None);
        let index = missing(2, Some(DRIVER_TEXT), 2, Some(12)).unwrap();
        assert!(index.contains("no GPU 2") && index.contains("knows 2"), "{index}");
        // Where the driver does not list its GPUs nothing is known.
        assert_eq!(missing(2, Some(DRIVER_TEXT), 0, Some(12)), None);
    }

    #[test]
    fn a_providers_cuda_is_read_off_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("provider.so");
        fs::write(&file, b"\x7fELF\0libcublas.so.13\0libcudart.so.13\0").unwrap();
        assert_eq!(cuda_of(&file), Some(13));
        fs::write(&file, b"\x7fELF").unwrap();
        assert_eq!(cuda_of(&file), None);
        assert_eq!(cuda_of(folder.path()), None);
    }
}
