//! Windows give what Pillow gives; grafted files are what they were but for their input.
//!
//! The nodes themselves are run in `tests/resident.rs`; here their formulas are followed by hand.

use std::ops::Range;

use proptest::prelude::*;

use super::window::Window;
use super::*;
use crate::clip::preprocess::exact;
use crate::clip::preprocess::geometry::{Placement, Rounding, region_of};
use crate::clip::preprocess::tests::regions;
use crate::clip::proto::{Attribute, GRAPH_NODE, Graph, MODEL_GRAPH, Model, Node, OperatorSet};
use crate::model::{Fit, Picture, Region, View};

fn spec(size: u32, filter: Filter) -> PreprocessSpec {
    PreprocessSpec {
        size,
        mean: [0.5; 3],
        std: [0.25; 3],
        filter,
        fit: Fit::Crop,
        rounding: Rounding::Torchvision,
        fill: [1, 2, 3],
    }
}

fn noise(width: u32, height: u32) -> Picture {
    let byte = |n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8;
    Picture { width, height, rgb: (0..width * height * 3).map(byte).collect() }
}

/// The weights that the graph makes of one pixel's three values, for a window of `side` pixels.
fn weights(&[centre, sharpness, end]: &[f32; 3], side: usize, filter: Filter) -> Vec<f32> {
    let ramp = |from: f32, x: f32| (from - x).max(0.0);
    let kernel = |x: f32| match filter {
        Filter::Bilinear => ramp(1.0, x),
        _ => {
            let (u, v) = (ramp(2.0, x), ramp(1.0, x));
            u * u * (u * 0.5 - 0.5) + v * v * (1.0 - v * 2.0)
        }
    };
    let weight = |n: usize| {
        let there = (n as f32) < end;
        if there { kernel(((n as f32 - centre) * sharpness).abs()) } else { 0.0 }
    };
    let raw: Vec<f32> = (0..side).map(weight).collect();
    let total = if end > 0.0 { raw.iter().sum() } else { 1.0 };
    raw.iter().map(|weight| weight / total).collect()
}

/// The weights of all columns and of all rows, for a window with a few pixels to spare.
fn matrices(window: &Window, spec: &PreprocessSpec) -> [Vec<Vec<f32>>; 2] {
    let (mut across, mut down) = (Vec::new(), Vec::new());
    window.across(&mut across);
    window.down(&mut down);
    let size = spec.size as usize;
    assert_eq!((across.len(), down.len()), (size * 3, size * 3));
    let side = |range: Range<u32>| range.len() + 5;
    let of_column = |n: usize| [across[n], across[size + n], across[2 * size + n]];
    let (columns, rows) = (side(window.columns()), side(window.rows()));
    let (points, _) = down.as_chunks::<3>();
    [
        (0..size).map(|n| weights(&of_column(n), columns, spec.filter)).collect(),
        points.iter().map(|point| weights(point, rows, spec.filter)).collect(),
    ]
}

/// The square that the graph makes, and where it is not border; RGB.
fn resampled(picture: &Picture, window: &Window, spec: &PreprocessSpec) -> Vec<Option<[u8; 3]>> {
    let [across, down] = matrices(window, spec);
    let level = |sum: f32| (sum + 0.5).floor().clamp(0.0, 255.0);
    let (left, top) = (window.columns().start as usize, window.rows().start as usize);
    let pixel = |row: usize, column: usize, channel: usize| {
        let at = ((top + row) * picture.width as usize + left + column) * 3 + channel;
        // Beyond the picture there is anything in the buffer.
        f32::from(picture.rgb.get(at).copied().unwrap_or(77))
    };
    let product = |weights: &[f32], value: &dyn Fn(usize) -> f32| {
        level(
            weights.iter().enumerate().filter(|(_, w)| **w != 0.0).map(|(n, w)| w * value(n)).sum(),
        )
    };
    let narrow: Vec<Vec<[f32; 3]>> = (0..window.rows().len())
        .map(|row| {
            let value = |weights: &Vec<f32>| {
                [0, 1, 2].map(|channel| product(weights, &|n| pixel(row, n, channel)))
            };
            across.iter().map(value).collect()
        })
        .collect();
    let covered = |weights: &[f32]| weights.iter().sum::<f32>() > 0.5;
    let mut square = Vec::new();
    for weights in &down {
        for (column, across) in across.iter().enumerate() {
            let value = [0, 1, 2].map(|channel| {
                product(weights, &|n| narrow.get(n).map_or(77.0, |row| row[column][channel])) as u8
            });
            square.push(Some(value).filter(|_| covered(weights) && covered(across)));
        }
    }
    square
}

/// The same with Pillow's own arithmetic, on a copy of the region.
fn reference(picture: &Picture, view: View, spec: &PreprocessSpec) -> Vec<Option<[u8; 3]>> {
    let region = region_of(picture.width, picture.height, view.region);
    let lines = picture.rgb.chunks_exact(picture.width as usize * 3);
    let lines = lines.skip(region.top as usize).take(region.height as usize);
    let rgb: Vec<u8> = lines
        .flat_map(|line| &line[region.left as usize * 3..][..region.width as usize * 3])
        .copied()
        .collect();
    let sides = (region.width, region.height);
    let place = Placement::new(spec.size, sides, view.fit.unwrap_or(spec.fit), spec.rounding);
    let patch = exact::resample::<3>(&rgb, sides, &place, spec.filter).unwrap();
    let (pixels, _) = patch.as_chunks::<3>();
    let mut square = Vec::new();
    for row in 0..spec.size {
        for column in 0..spec.size {
            let at = |span: &crate::clip::preprocess::geometry::Span, n: u32| {
                n.checked_sub(span.offset).filter(|n| *n < span.pixels)
            };
            let found = at(&place.down, row).zip(at(&place.across, column));
            square.push(found.map(|(y, x)| pixels[(y * place.across.pixels + x) as usize]));
        }
    }
    square
}

fn fits() -> impl Strategy<Value = Fit> {
    prop_oneof![Just(Fit::Crop), Just(Fit::Pad), Just(Fit::Stretch)]
}

fn filters() -> impl Strategy<Value = Filter> {
    prop_oneof![Just(Filter::Bilinear), Just(Filter::Bicubic)]
}

fn sides() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![(1..200u32, 1..200u32), (1..=4000u32, 1..=3u32), (1..=3u32, 1..=4000u32)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// A sum that lies half-way between two levels may be rounded either way, after each of the two
    /// passes. Bicubic weights add up to more than 1 without their signs, so that a level in the first can
    /// be two in the end.
    #[test]
    fn any_window_is_resampled_as_pillow_does(
        (width, height) in sides(),
        size in 1..40u32,
        fit in fits(),
        filter in filters(),
        region in regions(),
    ) {
        let (spec, picture) = (spec(size, filter), noise(width, height));
        let view = View { region, fit: Some(fit), tiles: false };
        let window = Window::new(&spec, (width, height), view);
        let apart = if filter == Filter::Bicubic { 2 } else { 1 };
        let found = resampled(&picture, &window, &spec);
        for (found, wanted) in found.iter().zip(reference(&picture, view, &spec)) {
            prop_assert_eq!(found.is_some(), wanted.is_some());
            for (a, b) in found.unwrap_or_default().iter().zip(wanted.unwrap_or_default()) {
                prop_assert!(a.abs_diff(b) <= apart, "{} is not {}", a, b);
            }
        }
    }

    #[test]
    fn weights_are_whole_or_nothing((width, height) in sides(), size in 1..64u32, fit in fits(), filter in filters()) {
        let spec = spec(size, filter);
        let view = View { fit: Some(fit), ..View::default() };
        let window = Window::new(&spec, (width, height), view);
        let place = Placement::new(size, (width, height), fit, spec.rounding);
        let spans = [(&place.across, window.columns()), (&place.down, window.rows())];
        for (rows, (span, range)) in matrices(&window, &spec).iter().zip(spans) {
            for (pixel, row) in (0..).zip(rows) {
                let inside = (span.offset..span.offset + span.pixels).contains(&pixel);
                let wanted = if inside { 1.0 } else { 0.0 };
                prop_assert!((row.iter().sum::<f32>() - wanted).abs() < 1e-5);
                prop_assert!(row[range.len()..].iter().all(|weight| *weight == 0.0));
            }
        }
    }
}

#[test]
fn windows_are_no_larger_than_the_filter_reaches() {
    let spec = spec(224, Filter::Bicubic);
    let window = Window::new(&spec, (1920, 1080), View::default());
    assert_eq!(window.rows(), 0..1080);
    assert!(window.columns().len() < 1120, "{:?}", window.columns());
    let right = Region { x: 0.5, y: 0.5, width: 0.5, height: 0.5 };
    let view = View { region: Some(right), fit: Some(Fit::Stretch), tiles: false };
    let window = Window::new(&spec, (1920, 1080), view);
    assert_eq!((window.columns(), window.rows()), (960..1920, 540..1080));
}

#[test]
fn windows_are_alike_wherever_they_are() {
    let spec = spec(224, Filter::Bicubic);
    let half =
        |x| View { region: Some(Region { x, y: 0.0, width: 0.5, height: 1.0 }), ..View::default() };
    let window = |view| Window::new(&spec, (640, 480), view);
    assert!(window(half(0.0)).is_like(&window(half(0.5))));
    assert!(!window(half(0.0)).is_like(&window(View::default())));
    let padded = View { fit: Some(Fit::Pad), ..half(0.0) };
    assert!(!window(half(0.0)).is_like(&window(padded)));
}

fn node(kind: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.to_owned()],
        op_type: kind.to_owned(),
        attribute: vec![Attribute::float("alpha", 0.5)],
        ..Node::default()
    }
}

/// A model of one node and one weight, with fields that nobody knows.
fn model(inputs: Vec<ValueInfo>, version: i64) -> Vec<u8> {
    let graph = Graph {
        node: vec![node("Mul", &["image", "w"], "resident/out")],
        name: "g".to_owned(),
        input: inputs,
        output: vec![ValueInfo::batched("resident/out", FLOAT, &[3, 8, 8])],
    };
    let mut graph = graph.encode_to_vec();
    field(&mut graph, GRAPH_INITIALIZER, &Tensor::encoded(&[1], FLOAT, "w".into(), &[0; 4]));
    field(&mut graph, 77, b"unknown");
    let operators = vec![OperatorSet { domain: String::new(), version }];
    let head = Model { ir_version: 8, producer_name: "p".to_owned(), opset_import: operators };
    let mut model = head.encode_to_vec();
    field(&mut model, MODEL_GRAPH, &graph);
    field(&mut model, 78, b"unknown too");
    model
}

fn image() -> ValueInfo {
    ValueInfo::batched("image", FLOAT, &[3, 8, 8])
}

/// The fields of a message, each with its number.
fn parts(message: &[u8]) -> Vec<(u32, &[u8])> {
    fields(message).map(Result::unwrap).map(|part| (part.number, part.raw)).collect()
}

fn graph(model: &[u8]) -> &[u8] {
    fields(model).map(Result::unwrap).find(|part| part.number == MODEL_GRAPH).unwrap().bytes
}

fn around_graph(model: &[u8]) -> Vec<(u32, &[u8])> {
    let mut all = parts(model);
    all.retain(|(number, _)| *number != MODEL_GRAPH);
    all
}

#[test]
fn all_but_the_input_stays_as_it_is() {
    // Older exporters list weights among the inputs.
    let old = model(vec![image(), ValueInfo::batched("w", FLOAT, &[])], 17);
    let grafted = graft(&old, &spec(8, Filter::Bicubic)).unwrap();
    assert_eq!(around_graph(&old), around_graph(&grafted.bytes));
    let has = |raw: &[u8], text: &[u8]| raw.windows(text.len()).any(|part| part == text);
    let mut kept = parts(graph(&grafted.bytes));
    let first = kept.iter().position(|(_, raw)| has(raw, b"alpha")).unwrap();
    for (number, raw) in kept.drain(..first) {
        assert!(number == GRAPH_NODE && has(raw, b"_resident/"), "new nodes come first");
    }
    kept.retain(|(_, raw)| !has(raw, b"_resident/"));
    let mut wanted = parts(graph(&old));
    wanted.retain(|(number, raw)| *number != GRAPH_INPUT || !has(raw, b"image"));
    assert_eq!(kept, wanted);

    assert_eq!(grafted.replaced.name, "image");
    assert_eq!(grafted.replaced.shape, [-1, 3, 8, 8]);
    assert_eq!((grafted.pixels.as_str(), grafted.external), ("_resident/pixels", false));
}

#[test]
fn what_cannot_be_grafted_is_said() {
    let refused = |model: &[u8], filter| graft(model, &spec(8, filter)).unwrap_err().to_string();
    let good = model(vec![image()], 17);
    assert!(refused(&good, Filter::Lanczos).contains("Lanczos"));
    assert!(refused(&model(vec![image()], 10), Filter::Bicubic).contains("version 10"));
    for inputs in [
        vec![],
        vec![image(), ValueInfo::batched("mask", FLOAT, &[1])],
        vec![ValueInfo::batched("image", INT64, &[3, 8, 8])],
        vec![ValueInfo::batched("image", FLOAT, &[3, 9, 9])],
        vec![ValueInfo::batched("image", FLOAT, &[8, 8, 3])],
        vec![ValueInfo::batched("image", FLOAT, &[3, 8])],
    ] {
        assert!(refused(&model(inputs, 17), Filter::Bicubic).contains("[batch, 3, 8, 8]"));
    }
    assert!(refused(b"", Filter::Bicubic).contains("no graph"));
    for end in 1..good.len() {
        // Somewhere in the middle fields may happen to end; there is no panic, though.
        drop(graft(&good[..end], &spec(8, Filter::Bicubic)));
    }
}
