//! Transformers: the text side, the image side of the ViTs, and attention for both.

use super::ImportError;
use super::architecture::{Text, Vision};
use super::builder::Builder;
use crate::clip::proto::Attribute;

/// Sizes of one Transformer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
}

/// Residual attention blocks over `x`, `[batch, tokens, width]`; `mask` is added to the scores.
fn blocks(
    builder: &mut Builder<'_>,
    mut x: String,
    prefix: &str,
    sizes: Sizes,
    mask: Option<&str>,
) -> Result<String, ImportError> {
    let width = sizes.width;
    for layer in 0..sizes.layers {
        let prefix = format!("{prefix}.resblocks.{layer}");
        let normed = builder.layer_norm(&x, &format!("{prefix}.ln_1"), width)?;
        let attended = self_attention(builder, &normed, &format!("{prefix}.attn"), sizes, mask)?;
        x = builder.op("Add", &[&x, &attended], vec![]);
        let normed = builder.layer_norm(&x, &format!("{prefix}.ln_2"), width)?;
        let mlp = |part: &str, kind: &str| format!("{prefix}.mlp.{part}.{kind}");
        let (weight, bias) = (mlp("c_fc", "weight"), mlp("c_fc", "bias"));
        // Four times the width in OpenAI's models; open_clip has others.
        let inner = builder.shape(&bias)?.first().copied().unwrap_or(0);
        let hidden = builder.linear(&normed, &weight, &bias, (width, inner))?;
        let hidden = builder.activation(&hidden);
        let (weight, bias) = (mlp("c_proj", "weight"), mlp("c_proj", "bias"));
        let out = builder.linear(&hidden, &weight, &bias, (inner, width))?;
        x = builder.op("Add", &[&x, &out], vec![]);
    }
    Ok(x)
}

fn self_attention(
    builder: &mut Builder<'_>,
    x: &str,
    prefix: &str,
    sizes: Sizes,
    mask: Option<&str>,
) -> Result<String, ImportError> {
    let width = sizes.width;
    let (weight, bias) = (format!("{prefix}.in_proj_weight"), format!("{prefix}.in_proj_bias"));
    let together = builder.linear(x, &weight, &bias, (width, 3 * width))?;
    let [q, k, v] = builder.split3(&together);
    let joined = attention(builder, [&q, &k, &v], sizes, mask);
    let (weight, bias) = (format!("{prefix}.out_proj.weight"), format!("{prefix}.out_proj.bias"));
    builder.linear(&joined, &weight, &bias, (width, width))
}

/// Scaled dot-product attention of projected queries, keys and values, each
/// `[batch, tokens, width]`.
pub(super) fn attention(
    builder: &mut Builder<'_>,
    [q, k, v]: [&str; 3],
    sizes: Sizes,
    mask: Option<&str>,
) -> String {
    let head = sizes.width / sizes.heads;
    // 0 keeps a dimension as it is, -1 is what is left.
    let apart = builder.ints(&[0, 0, sizes.heads as i64, head as i64]);
    let together = builder.ints(&[0, 0, sizes.width as i64]);
    let mut heads = |x: &str, axes: &[i64]| {
        let split = builder.op("Reshape", &[x, &apart], vec![]);
        builder.op("Transpose", &[&split], vec![Attribute::ints("perm", axes)])
    };
    let (q, k, v) = (heads(q, &[0, 2, 1, 3]), heads(k, &[0, 2, 3, 1]), heads(v, &[0, 2, 1, 3]));
    let scale = builder.constant(&format!("scale_{head}"), &[], vec![(head as f32).powf(-0.5)]);
    let q = builder.op("Mul", &[&q, &scale], vec![]);
    let mut scores = builder.op("MatMul", &[&q, &k], vec![]);
    if let Some(mask) = mask {
        scores = builder.op("Add", &[&scores, mask], vec![]);
    }
    let weights = builder.op("Softmax", &[&scores], vec![Attribute::int("axis", -1)]);
    let mixed = builder.op("MatMul", &[&weights, &v], vec![]);
    let mixed = builder.op("Transpose", &[&mixed], vec![Attribute::ints("perm", &[0, 2, 1, 3])]);
    builder.op("Reshape", &[&mixed, &together], vec![])
}

/// Picture `[batch, 3, size, size]` to features `[batch, embed_dim]`.
pub(super) fn vit(
    builder: &mut Builder<'_>,
    picture: &str,
    vision: &Vision,
    (grid, embed_dim): (usize, usize),
) -> Result<String, ImportError> {
    let &Vision::Vit { width, layers, heads, patch } = vision else {
        return Err(ImportError::Architecture("it is no ViT".to_owned()));
    };
    let kernel = builder.tensor("visual.conv1.weight", &[width, 3, patch, patch])?;
    let step = patch as i64;
    let patches =
        builder.op("Conv", &[picture, &kernel], vec![Attribute::ints("strides", &[step, step])]);
    let flat = builder.ints(&[0, width as i64, -1]);
    let patches = builder.op("Reshape", &[&patches, &flat], vec![]);
    let tokens = builder.op("Transpose", &[&patches], vec![Attribute::ints("perm", &[0, 2, 1])]);
    // The class embedding is put in front: a row of zeros, to which it is added with the
    // positions, so that no shape has to be computed at run time.
    let row = builder.ints(&[0, 1, 0, 0, 0, 0]);
    let tokens = builder.op("Pad", &[&tokens, &row], vec![]);
    let positions = positions(builder, grid * grid + 1, width)?;
    let tokens = builder.op("Add", &[&tokens, &positions], vec![]);
    let normed = builder.layer_norm(&tokens, "visual.ln_pre", width)?;
    let sizes = Sizes { width, layers, heads };
    let out = blocks(builder, normed, "visual.transformer", sizes, None)?;
    let class = first_token(builder, &out, width);
    let normed = builder.layer_norm(&class, "visual.ln_post", width)?;
    let projection = builder.tensor("visual.proj", &[width, embed_dim])?;
    Ok(builder.op("MatMul", &[&normed, &projection], vec![]))
}

/// The first of `[batch, tokens, width]`, as `[batch, width]`.
pub(super) fn first_token(builder: &mut Builder<'_>, tokens: &str, width: usize) -> String {
    let (start, end, axis) = (builder.ints(&[0]), builder.ints(&[1]), builder.ints(&[1]));
    let first = builder.op("Slice", &[tokens, &start, &end, &axis], vec![]);
    let flat = builder.ints(&[-1, width as i64]);
    builder.op("Reshape", &[&first, &flat], vec![])
}

fn positions(
    builder: &mut Builder<'_>,
    tokens: usize,
    width: usize,
) -> Result<String, ImportError> {
    const POSITIONS: &str = "visual.positional_embedding";
    const CLASS: &str = "visual.class_embedding";
    builder.expect(POSITIONS, &[tokens, width])?;
    builder.expect(CLASS, &[width])?;
    let element = builder.element();
    Ok(builder.weight(POSITIONS, &[tokens, width], element, |archive| {
        let mut values = archive.values(POSITIONS)?;
        let class = archive.values(CLASS)?;
        values.iter_mut().zip(class).for_each(|(value, class)| *value += class);
        Ok(values)
    }))
}

/// Token ids `[batch, context]` to features `[batch, embed_dim]`, taken at the end-of-text
/// token, which has the highest id.
pub(super) fn text(
    builder: &mut Builder<'_>,
    ids: &str,
    text: &Text,
    embed_dim: usize,
) -> Result<String, ImportError> {
    let &Text { width, layers, heads, context, vocabulary } = text;
    let table = builder.tensor("token_embedding.weight", &[vocabulary, width])?;
    let tokens = builder.op("Gather", &[&table, ids], vec![]);
    let positions = builder.tensor("positional_embedding", &[context, width])?;
    let tokens = builder.op("Add", &[&tokens, &positions], vec![]);
    let rows = (0..context).flat_map(|row| (0..context).map(move |column| (row, column)));
    let hidden = rows.map(|(row, column)| if column > row { f32::NEG_INFINITY } else { 0.0 });
    let mask = builder.constant("causal_mask", &[context, context], hidden.collect());
    let sizes = Sizes { width, layers, heads };
    let out = blocks(builder, tokens, "transformer", sizes, Some(&mask))?;
    let normed = builder.layer_norm(&out, "ln_final", width)?;
    let last = vec![Attribute::int("axis", 1), Attribute::int("keepdims", 1)];
    let end = builder.op("ArgMax", &[ids], last);
    let pooled = builder.op("GatherND", &[&normed, &end], vec![Attribute::int("batch_dims", 1)]);
    let projection = builder.tensor("text_projection", &[width, embed_dim])?;
    Ok(builder.op("MatMul", &[&pooled, &projection], vec![]))
}
