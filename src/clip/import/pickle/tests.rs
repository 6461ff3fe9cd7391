//! Pickles, written by hand instruction by instruction.

use super::*;

/// "cmodule\nname\n".
fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x8c, u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes
}

fn pickle(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x80, 2];
    bytes.extend(parts.concat());
    bytes.push(b'.');
    bytes
}

#[track_caller]
fn refused(parts: &[&[u8]], part: &str) {
    let error = read(&pickle(parts)).unwrap_err();
    assert!(error.contains(part), "{error}");
}

/// A float tensor of 2 x 3 in storage "7".
fn tensor() -> Vec<u8> {
    [
        global("torch._utils", "_rebuild_tensor_v2"),
        b"((".to_vec(),
        text("storage"),
        global("torch", "FloatStorage"),
        text("7"),
        text("cpu"),
        b"K\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89}tR".to_vec(),
    ]
    .concat()
}

#[test]
fn a_state_dictionary_is_read() {
    let parts = [global("collections", "OrderedDict"), b")R".to_vec(), text("a.b"), tensor()];
    let (document, top) = read(&pickle(&[&parts.concat(), b"s"])).unwrap();
    let Value::Dict(index) = top else { panic!("{top:?}") };
    let [(Value::Text(name), Value::Tensor(tensor))] = document.dict(index) else {
        panic!("{document:?}")
    };
    assert_eq!(&**name, "a.b");
    let expected = TensorRef {
        kind: Kind::F32,
        key: "7".into(),
        stored: 6,
        offset: 0,
        shape: vec![2, 3],
        stride: vec![3, 1],
    };
    assert_eq!(**tensor, expected);
}

#[test]
fn objects_of_torchscript_are_dictionaries() {
    let class = global("__torch__.model", "CLIP");
    let (document, top) = read(&pickle(&[&class, b")\x81}", &text("x"), b"K\x05sb"])).unwrap();
    let Value::Dict(index) = top else { panic!("{top:?}") };
    assert!(matches!(document.dict(index), [(Value::Text(_), Value::Int(5))]));
}

#[test]
fn nothing_is_ever_called() {
    for (module, name) in [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("", "")] {
        refused(&[&global(module, name)], "only tensors and plain containers");
    }
    refused(&[&text("posix"), &text("system"), b"\x93"], "posix.system");
    refused(&[&global("collections", "OrderedDict"), b")\x81"], "makes an object of");
    refused(&[&global("__torch__", "A"), b")R"], "in a way that is not known");
    // INST, OBJ, EXT1, REDUCE of a text, BINPERSID of a text.
    refused(&[b"(ios\nsystem\n"], "0x69");
    refused(&[b"(o"], "0x6f");
    refused(&[b"\x82\x01"], "0x82");
    refused(&[&text("os.system"), b")R"], "no function");
    refused(&[&text("x"), b"Q"], "no storage");
}

#[test]
fn bombs_stay_small() {
    // An object that swallows itself, again and again.
    let bomb = [global("__torch__", "A"), b")\x81}q\x00".to_vec(), text("x"), b"Ns".to_vec()];
    let doubling: Vec<u8> = b"h\x00b".repeat(64);
    let error = read(&pickle(&[&bomb.concat(), b"0h\x00", &doubling])).unwrap_err();
    assert!(error.contains("too many attributes"), "{error}");
    // A list in a list in a list, a hundred thousand deep.
    let deep: Vec<u8> = b"]".repeat(100_000).into_iter().chain(b"a".repeat(99_999)).collect();
    assert!(read(&pickle(&[&deep])).is_ok());
    refused(&[b"Nr\xff\xff\xff\xff"], "out of order");
    refused(&[b"X\xff\xff\xff\xffabc"], "ends too early");
}

#[test]
fn damage_is_an_error() {
    let whole = pickle(&[&tensor()]);
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err());
    }
    refused(&[b"t"], "mark");
    refused(&[b"0"], "there is none");
    refused(&[b"K\x00K\x01K\x02s"], "no dictionary");
    refused(&[b"K\x01K\x02a"], "no list");
    refused(&[b"}(K\x01u"], "no value");
    refused(&[b"h\x05"], "not remembered");
    refused(&[b"\x8a\x09123456789"], "64 bits");
}
