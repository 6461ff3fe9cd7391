//! A small model with arithmetic on shapes, and ones that are left alone.

use super::*;
use crate::clip::proto::{Attribute, FLOAT, Graph, MODEL_GRAPH};

/// `nodes` over an image and the weights "one", which are of int64, and a field that nobody knows.
fn model(nodes: Vec<Node>, ir_version: i64) -> Vec<u8> {
    let input = vec![ValueInfo::batched("image", FLOAT, &[3, 4, 4])];
    let output = vec![ValueInfo::batched("embedding", FLOAT, &[48])];
    let graph = Graph { node: nodes, name: "g".to_owned(), input, output };
    let mut graph = graph.encode_to_vec();
    let one = Tensor::encoded(&[1], INT64, "one".to_owned(), &1_i64.to_le_bytes());
    field(&mut graph, GRAPH_INITIALIZER, &one);
    let mut model = Model { ir_version, ..Model::default() }.encode_to_vec();
    field(&mut model, MODEL_GRAPH, &graph);
    field(&mut model, 77, b"unknown");
    model
}

/// Reshapes to the batch and 48, by way of the shape.
fn flattened() -> Vec<Node> {
    vec![
        Node::plain("Constant", &[], "zero"),
        Node::plain("Relu", &["image"], "a"),
        Node::plain("Shape", &["a"], "shape"),
        Node::plain("Gather", &["shape", "zero"], "batch"),
        Node::plain("Unsqueeze", &["batch", "zero"], "batch_row"),
        Node::plain("Mul", &["batch_row", "one"], "batch_once"),
        Node::plain("Concat", &["batch_once", "one"], "to"),
        Node::plain("Reshape", &["a", "to"], "embedding"),
    ]
}

fn found(nodes: Vec<Node>) -> Option<Arithmetic> {
    Arithmetic::of(&model(nodes, 8)).unwrap()
}

/// Kinds of the nodes, and names of the weights and the outputs.
fn contents(model: &[u8]) -> [Vec<String>; 3] {
    let [mut kinds, mut weights, mut outputs] = [vec![], vec![], vec![]];
    for part in fields(graph(model).unwrap()).map(Result::unwrap) {
        match part.number {
            GRAPH_NODE => kinds.push(Node::decode(part.bytes).unwrap().op_type),
            GRAPH_INITIALIZER => weights.push(Tensor::decode(part.bytes).unwrap().name),
            GRAPH_OUTPUT => outputs.push(ValueInfo::decode(part.bytes).unwrap().name),
            _ => {}
        }
    }
    [kinds, weights, outputs]
}

#[test]
fn only_what_the_rest_uses_is_asked_for() {
    let model = model(flattened(), 8);
    let arithmetic = Arithmetic::of(&model).unwrap().unwrap();
    assert_eq!(arithmetic.wanted(), ["to"]);
    let asked = arithmetic.asked(&model).unwrap();
    let [kinds, _, outputs] = contents(&asked);
    assert_eq!(kinds.len(), flattened().len());
    assert_eq!(outputs, ["to"]);
    assert!(asked.ends_with(b"unknown"));
}

#[test]
fn answers_take_the_place_of_the_arithmetic() {
    let model = model(flattened(), 8);
    let arithmetic = Arithmetic::of(&model).unwrap().unwrap();
    let answer = Answer { dims: vec![2], values: vec![5, 48] };
    let answered = arithmetic.answered(&model, &[answer]).unwrap();
    let [kinds, weights, outputs] = contents(&answered);
    assert_eq!(kinds, ["Constant", "Relu", "Reshape"]);
    assert_eq!(weights, ["one", "to"]);
    assert_eq!(outputs, ["embedding"]);
    let raw: Vec<u8> = [5_i64, 48].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert!(answered.windows(raw.len()).any(|part| part == raw));
}

#[test]
fn what_is_reckoned_in_floats_stays() {
    let to = |kind| Node {
        attribute: vec![Attribute::int("to", kind)],
        ..Node::plain("Cast", &["s"], "c")
    };
    let nodes = |kind| {
        let rest = [
            Node::plain("Add", &["c", "one"], "d"),
            Node::plain("Mul", &["image", "d"], "embedding"),
        ];
        [Node::plain("Shape", &["image"], "s"), to(kind)].into_iter().chain(rest).collect()
    };
    assert_eq!(found(nodes(i64::from(INT64))).unwrap().wanted(), ["d"]);
    assert_eq!(found(nodes(i64::from(FLOAT))).unwrap().wanted(), ["s"]);
}

/// Rows of weights that a shape chooses are weights.
#[test]
fn what_is_chosen_by_a_shape_is_none() {
    let nodes = vec![
        Node::plain("Shape", &["image"], "s"),
        Node::plain("Gather", &["one", "s"], "embedding"),
    ];
    assert_eq!(found(nodes).unwrap().wanted(), ["s"]);
}

#[test]
fn models_that_are_left_alone() {
    assert!(found(vec![Node::plain("Relu", &["image"], "embedding")]).is_none());
    let mut branched = flattened();
    branched.push(Node::plain("If", &["zero"], "else"));
    assert!(found(branched).is_none());
    assert!(Arithmetic::of(&model(flattened(), 3)).unwrap().is_none());
    assert!(Arithmetic::of(b"no model").is_err());
}
