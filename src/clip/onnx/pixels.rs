//! A buffer of bytes that goes to a device, batch after batch.
//!
//! Where the provider gives memory that its device reads by itself, the bytes lie there: from other
//! memory the driver copies them once more, at a third of the speed.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{Session, SessionInputValue};
use ort::value::{Tensor, TensorRef};

use super::device::Provider;

/// See the module.
pub(super) struct Pixels {
    /// Gives the device's kind of memory.
    allocator: Option<Allocator>,
    memory: Memory,
    shape: [usize; 4],
}

enum Memory {
    Pinned(Tensor<u8>),
    Paged(Vec<u8>),
}

impl Pixels {
    /// Empty, for `session`, which `provider` runs.
    pub(super) fn new(session: &Session, provider: Provider) -> Self {
        Self {
            allocator: pinned(session, provider),
            memory: Memory::Paged(Vec::new()),
            shape: [0; 4],
        }
    }

    /// Makes it a tensor of `shape`; what is in it then is anything.
    pub(super) fn make_room(&mut self, shape: [usize; 4]) {
        if shape == self.shape {
            return;
        }
        self.shape = shape;
        self.memory = self
            .pinned_memory()
            .map_or_else(|| Memory::Paged(vec![0; shape.iter().product()]), Memory::Pinned);
    }

    fn pinned_memory(&mut self) -> Option<Tensor<u8>> {
        // What there was goes first: there may not be room for both.
        self.memory = Memory::Paged(Vec::new());
        let tensor = Tensor::<u8>::new(self.allocator.as_ref()?, self.shape);
        let refused = |error: &ort::Error| {
            tracing::warn!(%error, "no memory for pixels that the GPU reads by itself; it is slower now");
        };
        let tensor = tensor.inspect_err(refused).ok();
        if tensor.is_none() {
            self.allocator = None;
        }
        tensor
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Pinned(tensor) => tensor.extract_tensor_mut().1,
            Memory::Paged(bytes) => bytes,
        }
    }

    pub(super) fn tensor(&self) -> ort::Result<SessionInputValue<'_>> {
        match &self.memory {
            Memory::Pinned(tensor) => Ok(tensor.into()),
            Memory::Paged(bytes) => {
                Ok(TensorRef::from_array_view((self.shape, bytes.as_slice()))?.into())
            }
        }
    }
}

fn pinned(session: &Session, provider: Provider) -> Option<Allocator> {
    let (Provider::Cuda(gpu) | Provider::TensorRt(gpu)) = provider else { return None };
    let allocator = MemoryInfo::new(
        AllocationDevice::CUDA_PINNED,
        gpu.cast_signed(),
        AllocatorType::Device,
        MemoryType::CPUInput,
    )
    .and_then(|info| Allocator::new(session, info));
    allocator.inspect_err(|error| tracing::debug!(%error, "no pinned memory")).ok()
}
