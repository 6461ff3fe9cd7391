//! Small models put together by hand, and broken ones.

use prost::Message as _;

use super::weights::{Content, Header};
use super::*;
use crate::clip::proto::{FLOAT, Graph, Node, OperatorSet};

fn weights(name: &str, dims: [usize; 2], value: impl Fn(usize) -> f32) -> Vec<u8> {
    let values = (0..dims[0] * dims[1]).flat_map(|index| value(index).to_le_bytes());
    let dims = dims.map(|dim| dim as i64);
    Header::encoded(&dims, FLOAT, name.to_owned(), &values.collect::<Vec<u8>>())
}

/// `nodes` over weights "w" of 64 x 64, and a field that nobody knows.
fn model(nodes: Vec<Node>, version: i64) -> Vec<u8> {
    let graph = Graph { node: nodes, name: "g".to_owned(), ..Graph::default() };
    let mut graph = graph.encode_to_vec();
    field(&mut graph, 5, &weights("w", [64, 64], |index| index as f32 / 4096.0 - 0.5));
    let mut model = Vec::new();
    field(&mut model, 8, &OperatorSet { domain: String::new(), version }.encode_to_vec());
    field(&mut model, 7, &graph);
    field(&mut model, 77, b"unknown");
    model
}

fn quantized(nodes: Vec<Node>) -> Result<Quantized, QuantizeError> {
    quantize(&model(nodes, 17), Path::new("."))
}

/// The kinds of all nodes, and the names of all weights.
fn contents(model: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut kinds, mut names) = (Vec::new(), Vec::new());
    for part in fields(model).map(Result::unwrap).filter(|part| part.number == GRAPH) {
        for part in fields(part.bytes).map(Result::unwrap) {
            match part.number {
                1 => kinds.push(Node::decode(part.bytes).unwrap().op_type),
                5 => names.push(Header::decode(part.bytes).unwrap().name),
                _ => {}
            }
        }
    }
    (kinds, names)
}

#[test]
fn products_of_one_input_share_its_integers() {
    let nodes = vec![
        Node::plain("MatMul", &["x", "w"], "a"),
        Node::plain("Relu", &["a"], "b"),
        Node::plain("MatMul", &["x", "w"], "c"),
    ];
    let result = quantized(nodes).unwrap();
    assert_eq!(result.products, 2);
    let (kinds, names) = contents(&result.bytes);
    let product = ["MatMulInteger", "Cast", "Mul", "Mul"];
    let wanted = [&["DynamicQuantizeLinear"], &product[..], &["Relu"], &product[..]].concat();
    assert_eq!(kinds, wanted);
    assert_eq!(names, ["w_int8", "w_int8_scale", "w_int8_zero"]);
    let last = fields(&result.bytes).last().unwrap().unwrap();
    assert_eq!((last.number, last.bytes), (77, &b"unknown"[..]));
}

#[test]
fn weights_that_others_use_stay() {
    let nodes = vec![Node::plain("MatMul", &["x", "w"], "a"), Node::plain("Add", &["a", "w"], "b")];
    let (_, names) = contents(&quantized(nodes).unwrap().bytes);
    assert_eq!(names, ["w", "w_int8", "w_int8_scale", "w_int8_zero"]);
}

#[test]
fn columns_have_scales_of_their_own() {
    let graph = weights("w", [64, 64], |index| if index % 64 == 0 { 100.0 } else { 0.01 });
    let mut model = Vec::new();
    field(&mut model, 8, &OperatorSet { domain: String::new(), version: 17 }.encode_to_vec());
    let mut inner =
        Graph { node: vec![Node::plain("MatMul", &["x", "w"], "a")], ..Graph::default() }
            .encode_to_vec();
    field(&mut inner, 5, &graph);
    field(&mut model, 7, &inner);
    let result = quantize(&model, Path::new(".")).unwrap();
    let graph = fields(&result.bytes).map(Result::unwrap).find(|part| part.number == 7).unwrap();
    let tensors = fields(graph.bytes).map(Result::unwrap).filter(|part| part.number == 5);
    let integers = Content::decode(tensors.map(|part| part.bytes).next().unwrap()).unwrap();
    assert!(integers.raw.iter().all(|value| *value == 127), "each column uses its whole range");
}

#[test]
fn what_cannot_be_quantised_says_so() {
    let product = || vec![Node::plain("MatMul", &["x", "w"], "a")];
    let nothing = quantized(vec![Node::plain("Relu", &["x"], "a")]).unwrap_err();
    assert!(matches!(nothing, QuantizeError::Nothing));
    let old = quantize(&model(product(), 10), Path::new(".")).unwrap_err();
    assert!(matches!(old, QuantizeError::TooOld(10)));
    assert!(quantize(b"<html>", Path::new(".")).is_err());
    // Cut anywhere, and with any bit turned: an answer, never a panic.
    let whole = model(product(), 17);
    for end in 0..whole.len() {
        drop(quantize(&whole[..end], Path::new(".")));
    }
    for _ in 0..500 {
        let mut broken = whole.clone();
        let place = fastrand::usize(..broken.len().min(300));
        broken[place] ^= 1 << fastrand::u8(..8);
        drop(quantize(&broken, Path::new(".")));
    }
}
