//! The image side of the ResNets: OpenAI's `ModifiedResNet`.
//!
//! Batch norms are folded into the convolutions before them: at inference both are one.

use super::ImportError;
use super::architecture::Vision;
use super::archive::Archive;
use super::builder::{Builder, Linear};
use super::transformer::{Sizes, attention, first_token, flat};
use crate::clip::proto::Attribute;

/// torch's BatchNorm2d.
const EPSILON: f64 = 1e-5;

/// One convolution and the batch norm behind it.
struct Conv<'a> {
    conv: &'a str,
    norm: &'a str,
    /// `[out, in, kernel, kernel]`
    shape: [usize; 4],
    stride: i64,
}

/// Picture `[batch, 3, size, size]` to features `[batch, embed_dim]`.
pub(super) fn resnet(
    builder: &mut Builder<'_>,
    picture: &str,
    vision: &Vision,
    (grid, embed_dim): (usize, usize),
) -> Result<String, ImportError> {
    let &Vision::ResNet { width, blocks, heads } = vision else {
        return Err(ImportError::Architecture("it is no ResNet".to_owned()));
    };
    let mut x = stem(builder, picture, width)?;
    let mut channels = width;
    for (stage, count) in blocks.into_iter().enumerate() {
        let planes = width << stage;
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let prefix = format!("visual.layer{}.{block}", stage + 1);
            x = bottleneck(builder, &x, &prefix, (channels, planes, stride))?;
            channels = planes * 4;
        }
    }
    let sizes = Sizes { width: channels, heads };
    attention_pool(builder, &x, sizes, (grid * grid + 1, embed_dim))
}

fn stem(builder: &mut Builder<'_>, picture: &str, width: usize) -> Result<String, ImportError> {
    let half = width / 2;
    let mut x = picture.to_owned();
    let shapes = [([half, 3, 3, 3], 2), ([half, half, 3, 3], 1), ([width, half, 3, 3], 1)];
    for (index, (shape, stride)) in shapes.into_iter().enumerate() {
        let (conv, norm) = (format!("visual.conv{}", index + 1), format!("visual.bn{}", index + 1));
        x = convolve(builder, &x, &Conv { conv: &conv, norm: &norm, shape, stride })?;
        x = builder.op("Relu", &[&x], vec![]);
    }
    Ok(average(builder, &x, 2))
}

fn bottleneck(
    builder: &mut Builder<'_>,
    x: &str,
    prefix: &str,
    (channels, planes, stride): (usize, usize, i64),
) -> Result<String, ImportError> {
    let wide = planes * 4;
    let name = |part: &str| format!("{prefix}.{part}");
    let conv = |builder: &mut Builder<'_>, x: &str, (conv, norm): (&str, &str), shape| {
        convolve(builder, x, &Conv { conv: &name(conv), norm: &name(norm), shape, stride: 1 })
    };
    let inner = conv(builder, x, ("conv1", "bn1"), [planes, channels, 1, 1])?;
    let inner = builder.op("Relu", &[&inner], vec![]);
    let inner = conv(builder, &inner, ("conv2", "bn2"), [planes, planes, 3, 3])?;
    let inner = builder.op("Relu", &[&inner], vec![]);
    let inner = average(builder, &inner, stride);
    let inner = conv(builder, &inner, ("conv3", "bn3"), [wide, planes, 1, 1])?;
    let beside = if stride > 1 || channels != wide {
        let pooled = average(builder, x, stride);
        conv(builder, &pooled, ("downsample.0", "downsample.1"), [wide, channels, 1, 1])?
    } else {
        x.to_owned()
    };
    let sum = builder.op("Add", &[&inner, &beside], vec![]);
    Ok(builder.op("Relu", &[&sum], vec![]))
}

/// The mean over squares of `side`, which takes the place of strides in this network.
fn average(builder: &mut Builder<'_>, x: &str, side: i64) -> String {
    if side == 1 {
        return x.to_owned();
    }
    let square = [side, side];
    let attributes =
        vec![Attribute::ints("kernel_shape", &square), Attribute::ints("strides", &square)];
    builder.op("AveragePool", &[x], attributes)
}

fn convolve(builder: &mut Builder<'_>, x: &str, part: &Conv<'_>) -> Result<String, ImportError> {
    let [outside, _, kernel, _] = part.shape;
    let weight = format!("{}.weight", part.conv);
    builder.expect(&weight, &part.shape)?;
    for kind in ["weight", "bias", "running_mean", "running_var"] {
        builder.expect(&format!("{}.{kind}", part.norm), &[outside])?;
    }
    let element = builder.element();
    let (source, norm) = (weight.clone(), part.norm.to_owned());
    let folded = builder.weight(&weight, &part.shape, element, move |archive| {
        let scales = scales(archive, &norm)?;
        let mut values = archive.values(&source)?;
        let length = (values.len() / scales.len().max(1)).max(1);
        for (kernel, scale) in values.chunks_mut(length).zip(scales) {
            kernel.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
        }
        Ok(values)
    });
    let norm = part.norm.to_owned();
    let bias =
        builder.weight(&format!("{}.bias", part.norm), &[outside], element, move |archive| {
            let scales = scales(archive, &norm)?;
            let means = archive.values(&format!("{norm}.running_mean"))?;
            let shifts = archive.values(&format!("{norm}.bias"))?;
            let pairs = scales.iter().zip(means).zip(shifts);
            Ok(pairs
                .map(|((s, mean), shift)| (f64::from(shift) - f64::from(mean) * s) as f32)
                .collect())
        });
    let edge = (kernel / 2) as i64;
    let attributes = vec![
        Attribute::ints("strides", &[part.stride, part.stride]),
        Attribute::ints("pads", &[edge, edge, edge, edge]),
    ];
    Ok(builder.op("Conv", &[x, &folded, &bias], attributes))
}

/// What a batch norm multiplies each channel with.
fn scales(archive: &mut Archive, norm: &str) -> Result<Vec<f64>, ImportError> {
    let weights = archive.values(&format!("{norm}.weight"))?;
    let variances = archive.values(&format!("{norm}.running_var"))?;
    let pairs = weights.into_iter().zip(variances);
    Ok(pairs.map(|(weight, var)| f64::from(weight) / (f64::from(var) + EPSILON).sqrt()).collect())
}

/// Attention with one query, the mean of all places.
fn attention_pool(
    builder: &mut Builder<'_>,
    x: &str,
    sizes: Sizes,
    (tokens, embed_dim): (usize, usize),
) -> Result<String, ImportError> {
    const POOL: &str = "visual.attnpool";
    let width = sizes.width;
    let rows = builder.ints(&[0, width as i64, -1]);
    let x = builder.op("Reshape", &[x, &rows], vec![]);
    let x = builder.op("Transpose", &[&x], vec![Attribute::ints("perm", &[0, 2, 1])]);
    let over = vec![Attribute::ints("axes", &[1]), Attribute::int("keepdims", 1)];
    let mean = builder.op("ReduceMean", &[&x], over);
    let x = builder.op("Concat", &[&mean, &x], vec![Attribute::int("axis", 1)]);
    let positions = builder.tensor(&format!("{POOL}.positional_embedding"), &[tokens, width])?;
    let x = builder.op("Add", &[&x, &positions], vec![]);
    let query = first_token(builder, &x);
    let project = |builder: &mut Builder<'_>, x: &str, part: &str, out: usize, scale: f64| {
        let (weight, bias) = (format!("{POOL}.{part}.weight"), format!("{POOL}.{part}.bias"));
        builder.linear(x, &Linear::whole(&weight, &bias, (width, out)).times(scale, scale))
    };
    let q = project(builder, &query, "q_proj", width, sizes.scale())?;
    let k = project(builder, &x, "k_proj", width, 1.0)?;
    let v = project(builder, &x, "v_proj", width, 1.0)?;
    let mixed = attention(builder, [&q, &k, &v], sizes, None);
    let mixed = flat(builder, &mixed, width);
    project(builder, &mixed, "c_proj", embed_dim, 1.0)
}
