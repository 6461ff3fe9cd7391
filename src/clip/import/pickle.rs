//! A strict reader of the pickles that PyTorch writes: tensors and plain containers.
//!
//! A pickle is a program. This interprets the instructions that PyTorch's own writers use, and
//! of the calls in it only those that make a tensor, an ordered dictionary or a list: nothing is
//! ever run, and whatever else a file asks for is refused by name. Objects of TorchScript
//! classes are taken for what they are here, dictionaries of their attributes.
//!
//! Pure: bytes in, values out. Sources: Python's `pickletools`, and the two writers in
//! PyTorch, `torch.save` and `torch.jit.save`.

mod machine;

use std::rc::Rc;

use machine::Machine;

/// Instructions in one pickle; OpenAI's largest model has some thirty thousand.
const MOST_STEPS: usize = 4_000_000;

/// Element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    F16,
    BF16,
    F32,
    F64,
    I32,
    I64,
    U8,
    Bool,
}

impl Kind {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    fn of_storage(name: &str) -> Option<Self> {
        Some(match name {
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "IntStorage" => Self::I32,
            "LongStorage" => Self::I64,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }
}

/// A tensor that lies in a storage: the values are read later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRef {
    pub kind: Kind,
    /// Name of the storage, the file `data/<key>` of the archive.
    pub key: Rc<str>,
    /// Elements in the storage.
    pub stored: usize,
    /// First element, and steps between elements, in elements.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

/// What a pickle holds.
#[derive(Debug, Clone)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    /// Lists and tuples: an index for [`Document::list`].
    List(usize),
    /// Dictionaries, and the attributes of objects: an index for [`Document::dict`].
    Dict(usize),
    Tensor(Rc<TensorRef>),
    /// A name that a call refers to.
    Global(Rc<str>),
    Storage(Kind, Rc<str>, usize),
}

impl Value {
    fn text(&self) -> Option<Rc<str>> {
        if let Self::Text(text) = self { Some(text.clone()) } else { None }
    }

    fn count(&self) -> Option<usize> {
        if let Self::Int(value) = self { usize::try_from(*value).ok() } else { None }
    }
}

/// A read pickle. Containers lie side by side and refer to each other by index, so that
/// neither a file's loops nor its depth can hurt.
#[derive(Debug, Default)]
pub struct Document {
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

impl Document {
    pub fn list(&self, index: usize) -> &[Value] {
        self.lists.get(index).map_or(&[], Vec::as_slice)
    }

    pub fn dict(&self, index: usize) -> &[(Value, Value)] {
        self.dicts.get(index).map_or(&[], Vec::as_slice)
    }

    fn new_list(&mut self, items: Vec<Value>) -> Value {
        self.lists.push(items);
        Value::List(self.lists.len() - 1)
    }

    fn new_dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    fn items(&self, value: &Value) -> Option<&[Value]> {
        if let Value::List(index) = value { Some(self.list(*index)) } else { None }
    }

    fn counts(&self, value: &Value) -> Option<Vec<usize>> {
        self.items(value)?.iter().map(Value::count).collect()
    }
}

/// Reads a pickle: its containers, and the value at its top.
///
/// # Errors
/// When it is damaged, or asks for anything but tensors and plain containers.
pub fn read(bytes: &[u8]) -> Result<(Document, Value), String> {
    let mut machine = Machine::new(bytes);
    for _ in 0..MOST_STEPS {
        if let Some(value) = machine.step()? {
            return Ok((machine.into_made(), value));
        }
    }
    Err("it goes on for ever".to_owned())
}

#[cfg(test)]
mod tests;
