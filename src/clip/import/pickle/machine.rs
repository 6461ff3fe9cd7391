//! The stack machine that a pickle is a program for.

use std::rc::Rc;

use super::{Document, Kind, TensorRef, Value};
use crate::clip::import::reader::Reader;

/// Attributes of one object; a module has a few dozen.
const MOST_ATTRIBUTES: usize = 1 << 20;

enum Slot {
    Mark,
    Value(Value),
}

pub(super) struct Machine<'a> {
    input: Reader<'a>,
    stack: Vec<Slot>,
    memo: Vec<Option<Value>>,
    made: Document,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let input = Reader::new(bytes);
        Self { input, stack: Vec::new(), memo: Vec::new(), made: Document::default() }
    }

    pub(super) fn into_made(self) -> Document {
        self.made
    }

    /// One instruction; the value when it was the last one. The names are those of
    /// `pickletools`.
    pub(super) fn step(&mut self) -> Result<Option<Value>, String> {
        let code = self.input.u8()?;
        match code {
            0x80 => self.protocol()?,            // PROTO
            0x95 => drop(self.input.take(8)?),   // FRAME
            b'.' => return self.pop().map(Some), // STOP
            b'(' => self.stack.push(Slot::Mark), // MARK
            b'0' => drop(self.pop()?),           // POP
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' | b'K' | b'M' | 0x8a => self.int(code)?,
            b'G' => {
                let value = self.input.array::<8>()?;
                self.push(Value::Float(f64::from_be_bytes(value)));
            }
            b'X' | 0x8c => self.text(code)?,
            b'}' => self.push_dict(),
            b']' | b')' => self.push_list(Vec::new()),
            b't' => self.tuple_from_mark()?,
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b'e' | b'a' => self.append(code == b'e')?,
            b'u' | b's' => self.set_items(code == b'u')?,
            b'q' | b'r' | 0x94 => self.remember(code)?,
            b'h' | b'j' => self.recall(code)?,
            b'c' => self.global()?,
            0x93 => self.stack_global()?,
            b'R' => self.call()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            other => return Err(format!("instruction {other:#04x} has no place in a model")),
        }
        Ok(None)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(Slot::Value(value));
    }

    fn push_list(&mut self, items: Vec<Value>) {
        let list = self.made.new_list(items);
        self.push(list);
    }

    fn push_dict(&mut self) {
        let dict = self.made.new_dict();
        self.push(dict);
    }

    fn pop(&mut self) -> Result<Value, String> {
        match self.stack.pop() {
            Some(Slot::Value(value)) => Ok(value),
            _ => Err("it takes a value where there is none".to_owned()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mut values = Vec::new();
        loop {
            match self.stack.pop() {
                Some(Slot::Value(value)) => values.push(value),
                Some(Slot::Mark) => break,
                None => return Err("it looks for a mark that is not there".to_owned()),
            }
        }
        values.reverse();
        Ok(values)
    }

    fn top(&self) -> Result<&Value, String> {
        match self.stack.last() {
            Some(Slot::Value(value)) => Ok(value),
            _ => Err("it takes a value where there is none".to_owned()),
        }
    }

    fn protocol(&mut self) -> Result<(), String> {
        let version = self.input.u8()?;
        if version > 5 {
            return Err(format!("pickle protocol {version} is newer than any known one"));
        }
        Ok(())
    }

    fn int(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'J' => i64::from(i32::from_le_bytes(self.input.array()?)),
            b'K' => i64::from(self.input.u8()?),
            b'M' => i64::from(u16::from_le_bytes(self.input.array()?)),
            _ => self.long()?,
        };
        self.push(Value::Int(value));
        Ok(())
    }

    /// LONG1: up to eight bytes, two's complement.
    fn long(&mut self) -> Result<i64, String> {
        let length = usize::from(self.input.u8()?);
        let bytes = self.input.take(length)?;
        let fill = if bytes.last().is_some_and(|last| *last >= 0x80) { 0xff } else { 0 };
        let mut wide = [fill; 8];
        let room = wide.get_mut(..length).ok_or("a number is larger than 64 bits")?;
        room.copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    fn text(&mut self, code: u8) -> Result<(), String> {
        let length = match code {
            b'X' => u32::from_le_bytes(self.input.array()?) as usize,
            _ => usize::from(self.input.u8()?),
        };
        let text = std::str::from_utf8(self.input.take(length)?);
        let text = text.map_err(|_| "a text is not UTF-8".to_owned())?;
        self.push(Value::Text(text.into()));
        Ok(())
    }

    fn tuple_from_mark(&mut self) -> Result<(), String> {
        let items = self.pop_to_mark()?;
        self.push_list(items);
        Ok(())
    }

    fn tuple(&mut self, length: usize) -> Result<(), String> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push_list(items);
        Ok(())
    }

    fn append(&mut self, many: bool) -> Result<(), String> {
        let items = if many { self.pop_to_mark()? } else { vec![self.pop()?] };
        let Value::List(list) = *self.top()? else {
            return Err("it appends to what is no list".to_owned());
        };
        self.made.lists[list].extend(items);
        Ok(())
    }

    fn set_items(&mut self, many: bool) -> Result<(), String> {
        let items = if many {
            self.pop_to_mark()?
        } else {
            let value = self.pop()?;
            vec![self.pop()?, value]
        };
        let Value::Dict(dict) = *self.top()? else {
            return Err("it sets items of what is no dictionary".to_owned());
        };
        for pair in items.chunks(2) {
            let [key, value] = pair else { return Err("a key has no value".to_owned()) };
            self.made.dicts[dict].push((key.clone(), value.clone()));
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), String> {
        let index = match code {
            b'q' => usize::from(self.input.u8()?),
            b'r' => u32::from_le_bytes(self.input.array()?) as usize,
            _ => self.memo.len(),
        };
        // Writers count up; a gap of a few is no harm, a huge index only eats memory.
        if index > self.memo.len() + 256 {
            return Err("it remembers values out of order".to_owned());
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = Some(self.top()?.clone());
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), String> {
        let index = match code {
            b'h' => usize::from(self.input.u8()?),
            _ => u32::from_le_bytes(self.input.array()?) as usize,
        };
        let value = self.memo.get(index).cloned().flatten();
        self.push(value.ok_or("it recalls what it has not remembered")?);
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let module = self.input.line()?.to_owned();
        let name = self.input.line()?;
        let global = allowed(&module, name)?;
        self.push(global);
        Ok(())
    }

    fn stack_global(&mut self) -> Result<(), String> {
        let (name, module) = (self.pop()?.text(), self.pop()?.text());
        let (Some(name), Some(module)) = (name, module) else {
            return Err("a name is not a text".to_owned());
        };
        self.push(allowed(&module, &name)?);
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Global(function) = function else {
            return Err("it calls what is no function".to_owned());
        };
        let given = self.made.items(&arguments).unwrap_or(&[]);
        let made = match &*function {
            "collections.OrderedDict" if given.is_empty() => Some(self.made.new_dict()),
            "torch._utils._rebuild_tensor_v2" => tensor(&self.made, given),
            "torch._utils._rebuild_parameter" => given.first().cloned(),
            name if name.starts_with("torch.jit._pickle.build_") => given.first().cloned(),
            _ => None,
        };
        self.push(made.ok_or_else(|| format!("it calls {function} in a way that is not known"))?);
        Ok(())
    }

    fn new_object(&mut self) -> Result<(), String> {
        let (_, class) = (self.pop()?, self.pop()?);
        match class {
            Value::Global(name) if name.starts_with("__torch__.") => self.push_dict(),
            Value::Global(name) => return Err(format!("it makes an object of {name}")),
            _ => return Err("it makes an object of what is no class".to_owned()),
        }
        Ok(())
    }

    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        let (Value::Dict(object), Value::Dict(state)) = (self.top()?.clone(), state) else {
            return Err("it gives attributes to what is no object".to_owned());
        };
        let state = self.made.dict(state).to_vec();
        // A file can have an object swallow itself, and double each time.
        if self.made.dicts[object].len() + state.len() > MOST_ATTRIBUTES {
            return Err("an object has too many attributes".to_owned());
        }
        self.made.dicts[object].extend(state);
        Ok(())
    }

    /// BINPERSID: ("storage", kind, key, device, elements).
    fn persistent(&mut self) -> Result<(), String> {
        let unknown = || "it refers to something that is no storage".to_owned();
        let id = self.pop()?;
        let Some([word, Value::Global(class), key, _device, stored, ..]) = self.made.items(&id)
        else {
            return Err(unknown());
        };
        let kind = class.strip_prefix("torch.").and_then(Kind::of_storage);
        let (Some("storage"), Some(kind)) = (word.text().as_deref(), kind) else {
            return Err(unknown());
        };
        let (Some(key), Some(stored)) = (key.text(), stored.count()) else {
            return Err(unknown());
        };
        self.push(Value::Storage(kind, key, stored));
        Ok(())
    }
}

/// The names that a model may use.
fn allowed(module: &str, name: &str) -> Result<Value, String> {
    let class = module == "__torch__" || module.starts_with("__torch__.");
    let known = match module {
        "collections" => name == "OrderedDict",
        "torch._utils" => matches!(name, "_rebuild_tensor_v2" | "_rebuild_parameter"),
        "torch" => Kind::of_storage(name).is_some(),
        "torch.jit._pickle" => name.starts_with("build_"),
        _ => class,
    };
    if known {
        return Ok(Value::Global(format!("{module}.{name}").into()));
    }
    let name: String = format!("{module}.{name}").chars().take(80).collect();
    Err(format!("it asks for {name:?}; only tensors and plain containers are read"))
}

/// `_rebuild_tensor_v2(storage, offset, shape, stride, …)`.
fn tensor(made: &Document, arguments: &[Value]) -> Option<Value> {
    let [Value::Storage(kind, key, stored), offset, shape, stride, ..] = arguments else {
        return None;
    };
    let (offset, shape, stride) = (offset.count()?, made.counts(shape)?, made.counts(stride)?);
    if shape.len() != stride.len() || shape.len() > 8 {
        return None;
    }
    let (kind, key, stored) = (*kind, key.clone(), *stored);
    Some(Value::Tensor(Rc::new(TensorRef { kind, key, stored, offset, shape, stride })))
}
