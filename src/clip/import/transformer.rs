//! Transformers: the text side, the image side of the ViTs, and attention for both.

use super::ImportError;
use super::architecture::{Text, Vision};
use super::builder::{Builder, Linear, transposed};
use crate::clip::proto::Attribute;

/// Sizes of one Transformer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) width: usize,
    pub(super) heads: usize,
}

impl Sizes {
    /// What queries are multiplied with before attention: an eighth, as heads are 64 wide. It is
    /// a power of two, so the weights that it is multiplied into keep their digits; in 16 bits
    /// the very smallest lose some, which is less than what the others are rounded by.
    pub(super) fn scale(self) -> f64 {
        ((self.width / self.heads) as f64).sqrt().recip()
    }
}

/// Which tokens a block gives, and which ones they see.
#[derive(Debug, Clone, Copy)]
enum Reach<'a> {
    /// All of them see all.
    All,
    /// All, with this added to the scores.
    Masked(&'a str),
    /// The first alone, which sees all.
    First,
}

/// A residual attention block over `x`, `[batch, tokens, width]`.
fn block(
    builder: &mut Builder<'_>,
    x: &str,
    prefix: &str,
    sizes: Sizes,
    reach: Reach<'_>,
) -> Result<String, ImportError> {
    let width = sizes.width;
    let normed = builder.layer_norm(x, &format!("{prefix}.ln_1"), width)?;
    let attended = self_attention(builder, &normed, &format!("{prefix}.attn"), sizes, reach)?;
    let x = if matches!(reach, Reach::First) { first_token(builder, x) } else { x.to_owned() };
    let x = builder.op("Add", &[&x, &attended], vec![]);
    let normed = builder.layer_norm(&x, &format!("{prefix}.ln_2"), width)?;
    let mlp = |part: &str, kind: &str| format!("{prefix}.mlp.{part}.{kind}");
    let (weight, bias) = (mlp("c_fc", "weight"), mlp("c_fc", "bias"));
    // Four times the width in OpenAI's models; open_clip has others.
    let inner = builder.shape(&bias)?.first().copied().unwrap_or(0);
    let slope = builder.slope();
    let expand = Linear::whole(&weight, &bias, (width, inner)).times(slope, slope);
    let hidden = builder.linear(&normed, &expand)?;
    let hidden = builder.activation(&hidden);
    let (weight, bias) = (mlp("c_proj", "weight"), mlp("c_proj", "bias"));
    let shrink = Linear::whole(&weight, &bias, (inner, width)).times(slope.recip(), 1.0);
    let out = builder.linear(&hidden, &shrink)?;
    Ok(builder.op("Add", &[&x, &out], vec![]))
}

fn self_attention(
    builder: &mut Builder<'_>,
    x: &str,
    prefix: &str,
    sizes: Sizes,
    reach: Reach<'_>,
) -> Result<String, ImportError> {
    let width = sizes.width;
    let (weight, bias) = (format!("{prefix}.in_proj_weight"), format!("{prefix}.in_proj_bias"));
    let (mask, asking) = match reach {
        Reach::All => (None, x.to_owned()),
        Reach::Masked(mask) => (Some(mask), x.to_owned()),
        Reach::First => (None, first_token(builder, x)),
    };
    // Three products are faster than one and a Split, which copies everything.
    let mut project = |x: &str, name: &str, part: usize, scale: f64| {
        let name = format!("{prefix}.{name}");
        let rows = part * width..(part + 1) * width;
        let linear = Linear::whole(&weight, &bias, (width, 3 * width)).part(&name, rows);
        builder.linear(x, &linear.times(scale, scale))
    };
    let q = project(&asking, "q_proj", 0, sizes.scale())?;
    let (k, v) = (project(x, "k_proj", 1, 1.0)?, project(x, "v_proj", 2, 1.0)?);
    let joined = attention(builder, [&q, &k, &v], sizes, mask);
    let (weight, bias) = (format!("{prefix}.out_proj.weight"), format!("{prefix}.out_proj.bias"));
    builder.linear(&joined, &Linear::whole(&weight, &bias, (width, width)))
}

/// Attention of projected queries, keys and values, each `[batch, tokens, width]`; the queries
/// have their scale already ([`Sizes::scale`]).
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
    let tokens = patches(builder, picture, (grid, patch), width)?;
    // The class embedding is put in front: a row of zeros, to which it is added with the
    // positions, so that no shape has to be computed at run time.
    let row = builder.ints(&[0, 1, 0, 0, 0, 0]);
    let tokens = builder.op("Pad", &[&tokens, &row], vec![]);
    let positions = positions(builder, grid * grid + 1, width)?;
    let tokens = builder.op("Add", &[&tokens, &positions], vec![]);
    let normed = builder.layer_norm(&tokens, "visual.ln_pre", width)?;
    let sizes = Sizes { width, heads };
    let prefix = |layer: usize| format!("visual.transformer.resblocks.{layer}");
    // Of the last block no more is used than the class token.
    let Some(last) = layers.checked_sub(1) else {
        return Err(ImportError::Architecture("its image side has no layers".to_owned()));
    };
    let mut x = normed;
    for layer in 0..last {
        x = block(builder, &x, &prefix(layer), sizes, Reach::All)?;
    }
    let class = block(builder, &x, &prefix(last), sizes, Reach::First)?;
    let class = flat(builder, &class, width);
    let normed = builder.layer_norm(&class, "visual.ln_post", width)?;
    let projection = builder.tensor("visual.proj", &[width, embed_dim])?;
    Ok(builder.op("MatMul", &[&normed, &projection], vec![]))
}

/// Picture to tokens `[batch, grid * grid, width]`, one of each square of `patch` pixels.
///
/// The kernel of the convolution is as wide as its stride, so it is a product of matrices, which
/// is faster, and which can be quantised.
fn patches(
    builder: &mut Builder<'_>,
    picture: &str,
    (grid, patch): (usize, usize),
    width: usize,
) -> Result<String, ImportError> {
    const KERNEL: &str = "visual.conv1.weight";
    builder.expect(KERNEL, &[width, 3, patch, patch])?;
    let inside = 3 * patch * patch;
    let element = builder.element();
    let kernel = builder.weight(KERNEL, &[inside, width], element, move |archive| {
        Ok(transposed(&archive.values(KERNEL)?, inside))
    });
    let (side, step) = (grid as i64, patch as i64);
    let apart = builder.ints(&[0, 3, side, step, side, step]);
    let squares = builder.op("Reshape", &[picture, &apart], vec![]);
    let axes = vec![Attribute::ints("perm", &[0, 2, 4, 1, 3, 5])];
    let squares = builder.op("Transpose", &[&squares], axes);
    let rows = builder.ints(&[0, side * side, inside as i64]);
    let squares = builder.op("Reshape", &[&squares, &rows], vec![]);
    Ok(builder.op("MatMul", &[&squares, &kernel], vec![]))
}

/// The first of `[batch, tokens, width]`, as `[batch, 1, width]`.
pub(super) fn first_token(builder: &mut Builder<'_>, tokens: &str) -> String {
    let (start, end, axis) = (builder.ints(&[0]), builder.ints(&[1]), builder.ints(&[1]));
    builder.op("Slice", &[tokens, &start, &end, &axis], vec![])
}

/// `[batch, 1, width]` as `[batch, width]`.
pub(super) fn flat(builder: &mut Builder<'_>, token: &str, width: usize) -> String {
    let shape = builder.ints(&[-1, width as i64]);
    builder.op("Reshape", &[token, &shape], vec![])
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
    let sizes = Sizes { width, heads };
    let mut x = tokens;
    for layer in 0..layers {
        let prefix = format!("transformer.resblocks.{layer}");
        x = block(builder, &x, &prefix, sizes, Reach::Masked(&mask))?;
    }
    let normed = builder.layer_norm(&x, "ln_final", width)?;
    let last = vec![Attribute::int("axis", 1), Attribute::int("keepdims", 1)];
    let end = builder.op("ArgMax", &[ids], last);
    let pooled = builder.op("GatherND", &[&normed, &end], vec![Attribute::int("batch_dims", 1)]);
    let projection = builder.tensor("text_projection", &[width, embed_dim])?;
    Ok(builder.op("MatMul", &[&pooled, &projection], vec![]))
}
