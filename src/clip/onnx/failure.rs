//! What a failed run of a model means.

use crate::clip::EncodeError;

/// What a failed run means, by what the libraries say. A GPU that has failed in any way but for want
/// of memory does nothing more in this process.
pub(super) fn encode_error(batch: &str, cause: &str, gpu: bool) -> EncodeError {
    const MEMORY: [&str; 5] = [
        "out of memory",
        "failed to allocate memory",
        "alloc_failed",
        "bad_alloc",
        "bad allocation",
    ];
    const GPU: [&str; 5] = ["cuda", "cublas", "cudnn", "tensorrt", "device"];
    let text = cause.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let message = format!("{batch}: {cause}");
    match () {
        () if says(&MEMORY) => EncodeError::Memory(message),
        () if gpu && says(&GPU) => EncodeError::Lost(message),
        () => EncodeError::Failed(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ONNX Runtime 1.31 words them.
    #[test]
    fn what_a_failed_run_means() {
        let of = |cause: &str, gpu| encode_error("image batch 3", cause, gpu);
        let memory = "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer \
                      of size 268435456";
        assert!(matches!(of(memory, true), EncodeError::Memory(_)));
        assert!(matches!(
            of("CUDA failure 2: out of memory ; GPU=0", true),
            EncodeError::Memory(_)
        ));
        assert!(matches!(of("std::bad_alloc", false), EncodeError::Memory(_)));
        let lost = "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; \
                    hostname=gate ; file=gpu_data_transfer.cc";
        assert!(matches!(of(lost, true), EncodeError::Lost(_)));
        assert!(matches!(
            of("CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED", true),
            EncodeError::Lost(_)
        ));
        let shape = "Got invalid dimensions for input: image";
        let EncodeError::Failed(message) = of(shape, true) else {
            panic!("it is the input's fault")
        };
        assert_eq!(message, format!("image batch 3: {shape}"));
    }
}
