//! The nodes that turn pixels into a model's input.
//!
//! Shapes: B pictures of at most R x C pixels, K different views, a result of S x S. The filter's
//! weights are made once for each view: a camera's view does not change, and most cameras share
//! theirs. Products are batched and in Pillow's order, across and then down; of both orders that
//! is the one with fewer operations for pictures that are wide.

use super::Element;
use super::writer::Writer;
use crate::clip::preprocess::{Filter, PreprocessSpec};
use crate::clip::proto::{Attribute, FLOAT, FLOAT16, UINT8};

/// A filter that is made of products and sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    Bilinear,
    Bicubic,
}

impl Kernel {
    pub(super) fn of(filter: Filter) -> Option<Self> {
        match filter {
            Filter::Bilinear => Some(Self::Bilinear),
            Filter::Bicubic => Some(Self::Bicubic),
            _ => None,
        }
    }
}

/// Of the inputs; see [`super::Grafted`].
pub(super) struct Names {
    pub(super) pixels: String,
    pub(super) which: String,
    pub(super) down: String,
    pub(super) across: String,
}

/// What the model takes.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) element: Element,
}

/// One direction of all views.
struct Axis {
    /// Of the resampling; pixels of the result along one axis, of the window along the other.
    weights: String,
    /// Where the result is not border; the window's axis has length 1.
    inside: String,
}

/// Writes all nodes; the last one's output is `target`.
pub(super) fn write(
    w: &mut Writer,
    spec: &PreprocessSpec,
    kernel: Kernel,
    names: &Names,
    target: &Target<'_>,
) {
    let size = i64::from(spec.size);
    // Bytes are moved, not floats: a quarter of the traffic.
    let planes =
        w.node_with("Transpose", &[&names.pixels], vec![Attribute::ints("perm", &[0, 3, 1, 2])]);
    let planes = w.cast(&planes, FLOAT);
    let sides = w.node("Shape", &[&names.pixels]);
    let rows = ruler(w, &sides, 1);
    let columns = ruler(w, &sides, 2);
    let upright = w.ints(&[2], &[-1, 1]);
    let columns = w.node("Reshape", &[&columns, &upright]);
    // [K, S, R] and [K, C, S].
    let down = axis(w, &names.down, &rows, 2, kernel);
    let across = axis(w, &names.across, &columns, 1, kernel);

    let across_each = each(w, &across.weights, names, &[0, 1, -1, size]);
    let narrow = w.node("MatMul", &[&planes, &across_each]);
    let narrow = levels(w, &narrow);
    let down_each = each(w, &down.weights, names, &[0, 1, size, -1]);
    let patch = w.node("MatMul", &[&down_each, &narrow]);
    let patch = levels(w, &patch);

    let inside = w.node("And", &[&down.inside, &across.inside]);
    let inside = each(w, &inside, names, &[0, 1, size, size]);
    let fill = w.floats(&[1, 3, 1, 1], &spec.fill.map(f32::from));
    let image = w.node("Where", &[&inside, &patch, &fill]);
    finish(w, spec, &image, target);
}

/// 0, 1, 2 … as floats, as many as `sides[axis]`.
fn ruler(w: &mut Writer, sides: &str, axis: i64) -> String {
    let axis = w.ints(&[], &[axis]);
    let side = w.node("Gather", &[sides, &axis]);
    let side = w.cast(&side, FLOAT);
    let (start, step) = (w.number(0.0), w.number(1.0));
    w.node("Range", &[&start, &side, &step])
}

/// The weights of one direction. `table` has the three values of each pixel along `along`, which
/// is where `ruler` runs.
fn axis(w: &mut Writer, table: &str, ruler: &str, along: i64, kernel: Kernel) -> Axis {
    let mut column = |number: i64| {
        let index = w.ints(&[1], &[number]);
        w.node_with("Gather", &[table, &index], vec![Attribute::int("axis", along)])
    };
    let (centre, sharpness, end) = (column(0), column(1), column(2));
    let distance = w.node("Sub", &[ruler, &centre]);
    let distance = w.node("Mul", &[&distance, &sharpness]);
    let distance = w.node("Abs", &[&distance]);
    let weights = match kernel {
        Kernel::Bilinear => ramp(w, 1.0, &distance),
        Kernel::Bicubic => cubic(w, &distance),
    };
    let (zero, one) = (w.number(0.0), w.number(1.0));
    let there = w.node("Less", &[ruler, &end]);
    let weights = w.node("Where", &[&there, &weights, &zero]);
    let inside = w.node("Greater", &[&end, &zero]);
    let total = w.sum(&weights, along);
    let total = w.node("Where", &[&inside, &total, &one]);
    Axis { weights: w.node("Div", &[&weights, &total]), inside }
}

/// The cubic with a = -0.5, as powers of two ramps u = max(2 - x, 0) and v = max(1 - x, 0):
/// u² (u - 1) / 2 + v² (1 - 2 v).
fn cubic(w: &mut Writer, distance: &str) -> String {
    let half = w.number(0.5);
    let outer = ramp(w, 2.0, distance);
    let square = w.node("Mul", &[&outer, &outer]);
    let line = w.node("Mul", &[&outer, &half]);
    let line = w.node("Sub", &[&line, &half]);
    let outer = w.node("Mul", &[&square, &line]);

    let inner = ramp(w, 1.0, distance);
    let square = w.node("Mul", &[&inner, &inner]);
    let (one, two) = (w.number(1.0), w.number(2.0));
    let line = w.node("Mul", &[&inner, &two]);
    let line = w.node("Sub", &[&one, &line]);
    let inner = w.node("Mul", &[&square, &line]);
    w.node("Add", &[&outer, &inner])
}

/// max(`from` - x, 0).
fn ramp(w: &mut Writer, from: f32, distance: &str) -> String {
    let from = w.number(from);
    let ramp = w.node("Sub", &[&from, distance]);
    w.node("Relu", &[&ramp])
}

/// What belongs to each picture, of what was made for each view, in another shape.
fn each(w: &mut Writer, views: &str, names: &Names, shape: &[i64]) -> String {
    let pictures = w.node("Gather", &[views, &names.which]);
    let shape = w.ints(&[shape.len() as i64], shape);
    w.node("Reshape", &[&pictures, &shape])
}

/// Whole levels from 0 to 255, halves upwards, as Pillow keeps them between its passes.
fn levels(w: &mut Writer, values: &str) -> String {
    let half = w.number(0.5);
    let (least, most) = (w.number(0.0), w.number(255.0));
    let values = w.node("Add", &[values, &half]);
    let values = w.node("Floor", &[&values]);
    w.node("Clip", &[&values, &least, &most])
}

/// (level / 255 - mean) / std in the model's type, or levels as they are.
fn finish(w: &mut Writer, spec: &PreprocessSpec, image: &str, target: &Target<'_>) {
    let to = |element: i32| vec![Attribute::int("to", i64::from(element))];
    if target.element == Element::Uint8 {
        return w.node_named("Cast", &[image], target.name, to(UINT8));
    }
    let scale = std::array::from_fn::<_, 3, _>(|channel| 1.0 / (255.0 * spec.std[channel]));
    let shift = std::array::from_fn::<_, 3, _>(|channel| -spec.mean[channel] / spec.std[channel]);
    let (scale, shift) = (w.floats(&[1, 3, 1, 1], &scale), w.floats(&[1, 3, 1, 1], &shift));
    let scaled = w.node("Mul", &[image, &scale]);
    if target.element == Element::Float32 {
        return w.node_named("Add", &[&scaled, &shift], target.name, vec![]);
    }
    let shifted = w.node("Add", &[&scaled, &shift]);
    w.node_named("Cast", &[&shifted], target.name, to(FLOAT16));
}
