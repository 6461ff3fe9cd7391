//! A model file of PyTorch: a zip with a pickle and the values of its tensors.
//!
//! Reads what `torch.jit.save` writes (OpenAI's released models: objects in objects) and what
//! `torch.save` writes of a state dictionary. Tensors are found by their dotted names. Only
//! names inside the zip are ever used, as keys; nothing is unpacked to disk. Values are read
//! when they are asked for, one tensor at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::rc::Rc;

use half::{bf16, f16};
use zip::ZipArchive;

use super::ImportError;
use super::pickle::{self, Document, Kind, TensorRef, Value};

/// OpenAI's data.pkl have a few hundred kilobytes.
const MOST_PICKLE: u64 = 32 << 20;
/// OpenAI's largest model has some twelve hundred.
const MOST_TENSORS: usize = 20_000;
/// Objects in objects.
const MOST_DEPTH: usize = 32;

/// The named tensors of a file.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// Folder inside the zip that everything lies in, with its slash.
    root: String,
    tensors: BTreeMap<String, Rc<TensorRef>>,
    /// Whole numbers that are attributes themselves, not tensors.
    numbers: BTreeMap<String, i64>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let file = File::open(path).map_err(ImportError::Open)?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            ImportError::File(format!(
                "is not a zip as PyTorch writes it since version 1.6 ({error}); damaged, not a \
                 model, or older: load and save it again with torch.save"
            ))
        })?;
        let names = zip.file_names().filter_map(Result::ok);
        let mut roots = names.filter_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let root = roots.find(|root| root.matches('/').count() == 1);
        drop(roots);
        let root = root.ok_or_else(|| ImportError::File("has no data.pkl".to_owned()))?;
        let mut archive = Self { zip, root, tensors: BTreeMap::new(), numbers: BTreeMap::new() };
        archive.check_byte_order()?;
        let pickle = archive.bytes("data.pkl", MOST_PICKLE)?;
        let wrong = |cause| ImportError::File(format!("data.pkl: {cause}"));
        let (document, top) = pickle::read(&pickle).map_err(wrong)?;
        archive.collect(&document, &top).map_err(wrong)?;
        Ok(archive)
    }

    fn check_byte_order(&mut self) -> Result<(), ImportError> {
        match self.bytes("byteorder", 16) {
            Ok(order) if order.trim_ascii() != b"little" => {
                Err(ImportError::File("was written on a big-endian machine".to_owned()))
            }
            // Files from before PyTorch 2.1 do not say, and are little-endian.
            _ => Ok(()),
        }
    }

    /// The contents of one member of the zip, at most `most` bytes.
    fn bytes(&mut self, name: &str, most: u64) -> Result<Vec<u8>, ImportError> {
        let fault = |cause: String| ImportError::File(format!("{name}: {cause}"));
        let mut member = self
            .zip
            .by_name(&format!("{}{name}", self.root))
            .map_err(|error| fault(error.to_string()))?;
        if member.size() > most {
            return Err(fault(format!("has {} bytes, more than {most}", member.size())));
        }
        // What the directory says of the size may be a lie: neither trusted nor exceeded. Read
        // to the end, where the checksum is compared.
        let mut bytes = Vec::new();
        let read = member.by_ref().take(most.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| fault(error.to_string()))?;
        if bytes.len() as u64 > most {
            return Err(fault(format!("has more than {most} bytes")));
        }
        Ok(bytes)
    }

    /// Walks from the top of the pickle to its tensors and numbers.
    fn collect(&mut self, document: &Document, top: &Value) -> Result<(), String> {
        let mut todo = vec![(String::new(), top.clone(), 0)];
        let mut seen = 0;
        while let Some((path, value, depth)) = todo.pop() {
            seen += 1;
            if depth > MOST_DEPTH || seen > MOST_TENSORS * 16 || path.len() > 256 {
                return Err("its objects are nested without end".to_owned());
            }
            match value {
                Value::Tensor(tensor) => drop(self.tensors.insert(path, tensor)),
                Value::Int(number) => drop(self.numbers.insert(path, number)),
                Value::Dict(index) => {
                    for (key, value) in document.dict(index) {
                        let Value::Text(key) = key else { continue };
                        let inner = inner_name(&path, key);
                        todo.push((inner, value.clone(), depth + 1));
                    }
                }
                _ => {}
            }
        }
        if self.tensors.len() > MOST_TENSORS {
            return Err(format!("it has {} tensors", self.tensors.len()));
        }
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<&[usize], ImportError> {
        self.tensor(name).map(|tensor| tensor.shape.as_slice())
    }

    fn tensor(&self, name: &str) -> Result<&Rc<TensorRef>, ImportError> {
        self.tensors.get(name).ok_or_else(|| {
            ImportError::Architecture(format!("it has no {name}, which a CLIP of this kind has"))
        })
    }

    /// A whole number: an attribute, or a tensor with one value.
    pub(super) fn number(&mut self, name: &str) -> Option<i64> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        let tensor = self.tensors.get(name)?;
        if tensor.shape.iter().product::<usize>() != 1 {
            return None;
        }
        self.values(name).ok()?.first().map(|value| *value as i64)
    }

    /// The values of a tensor, row by row, as 32-bit floats.
    pub(super) fn values(&mut self, name: &str) -> Result<Vec<f32>, ImportError> {
        let tensor = self.tensor(name)?.clone();
        let wrong = |cause: &str| ImportError::File(format!("{name}: {cause}"));
        let size = tensor.kind.size();
        let whole = tensor.stored.checked_mul(size).ok_or_else(|| wrong("it is too large"))?;
        let bytes = self.bytes(&format!("data/{}", tensor.key), whole as u64)?;
        let indices = Indices::new(&tensor).ok_or_else(|| wrong("its shape is too large"))?;
        if indices.end.checked_mul(size).is_none_or(|end| end > bytes.len()) {
            return Err(wrong("it has fewer values than its shape says"));
        }
        // Bounded by the check above: no stride makes more values than there are bytes, but a
        // stride of zero.
        if indices.count > bytes.len() / size {
            return Err(wrong("its shape repeats values"));
        }
        let read = reader(tensor.kind);
        Ok(indices.map(|index| read(&bytes[index * size..][..size])).collect())
    }
}

/// `path.key`. TorchScript's wrappers of state dictionaries and data-parallel models add words
/// in front, which are left out.
fn inner_name(path: &str, key: &str) -> String {
    match (path, key) {
        ("", "state_dict" | "model" | "module") => String::new(),
        ("", key) => key.strip_prefix("module.").unwrap_or(key).to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

/// Turns the bytes of one value into a number.
fn reader(kind: Kind) -> fn(&[u8]) -> f32 {
    fn bytes<const N: usize>(value: &[u8]) -> [u8; N] {
        value.try_into().unwrap_or([0; N])
    }
    match kind {
        Kind::F16 => |value| f16::from_le_bytes(bytes(value)).to_f32(),
        Kind::BF16 => |value| bf16::from_le_bytes(bytes(value)).to_f32(),
        Kind::F32 => |value| f32::from_le_bytes(bytes(value)),
        Kind::F64 => |value| f64::from_le_bytes(bytes(value)) as f32,
        Kind::I32 => |value| i32::from_le_bytes(bytes(value)) as f32,
        Kind::I64 => |value| i64::from_le_bytes(bytes(value)) as f32,
        Kind::U8 | Kind::Bool => |value| f32::from(value.first().copied().unwrap_or(0)),
    }
}

/// Where in its storage each value of a tensor lies, row by row.
struct Indices {
    shape: Vec<usize>,
    stride: Vec<usize>,
    at: Vec<usize>,
    next: usize,
    left: usize,
    /// Values in all.
    count: usize,
    /// One past the last element that is used.
    end: usize,
}

impl Indices {
    fn new(tensor: &TensorRef) -> Option<Self> {
        let (shape, stride) = (tensor.shape.clone(), tensor.stride.clone());
        let count = shape.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim))?;
        let mut end = tensor.offset;
        for (dim, step) in shape.iter().zip(&stride) {
            end = end.checked_add(dim.saturating_sub(1).checked_mul(*step)?)?;
        }
        let end = if count == 0 { 0 } else { end.checked_add(1)? };
        let at = vec![0; shape.len()];
        Some(Self { shape, stride, at, next: tensor.offset, left: count, count, end })
    }
}

impl Iterator for Indices {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let index = self.next;
        for axis in (0..self.shape.len()).rev() {
            self.at[axis] += 1;
            self.next += self.stride[axis];
            if self.at[axis] < self.shape[axis] {
                break;
            }
            self.next -= self.at[axis] * self.stride[axis];
            self.at[axis] = 0;
        }
        Some(index)
    }
}
