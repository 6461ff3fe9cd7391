//! What `config.json` and `preprocess_cfg.json` say, checked.

use serde_json::Value;

use super::BundleError;
use super::fields::Fields;
use crate::clip::preprocess::geometry::Rounding;
use crate::clip::preprocess::{Filter, PreprocessSpec};
use crate::model::Fit;

mod processor;

/// OpenAI's CLIP: the multiplier that its training ended at, and no bias.
const CLIP_SCALE: f32 = 100.0;
const CLIP_BIAS: f32 = 0.0;

/// Tokens that SigLIP's text model reads, where `config.json` leaves it to the default.
const SIGLIP_CONTEXT: usize = 64;

/// Larger inputs than this are mistakes; the largest public CLIP has 1024.
const MAX_SIZE: u64 = 4096;

/// Of `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) logit_scale: f32,
    pub(super) logit_bias: f32,
    pub(super) context_length: Option<usize>,
    pub(super) embed_dim: Option<usize>,
    pub(super) rounding: Rounding,
    pub(super) notes: Vec<String>,
}

/// How `model_name` of the bundle `mini` begins. It was trained, and its reference values were
/// made, with sizes rounded to the nearest pixel; every other known bundle follows torchvision,
/// and `preprocess_cfg.json` has no key for it.
const ROUNDS_TO_NEAREST: &str = "mini-";

impl Settings {
    /// Keys are looked for at the top and, as open_clip nests them, under `model_cfg`.
    pub(super) fn read(fields: &Fields) -> Result<Self, BundleError> {
        let mut notes = Vec::new();
        let scale = agreed(fields, "logit_scale")?;
        if scale.is_some_and(|scale| scale <= 0.0) {
            let found = Value::from(scale);
            return Err(fields.wrong("logit_scale", &found, "a multiplier above 0, 100 for CLIP"));
        }
        if scale.is_some_and(|scale| scale < 5.0) {
            notes.push(
                "logit_scale is small: it is the multiplier itself (100 for CLIP), not its \
                 logarithm (4.6)"
                    .to_owned(),
            );
        }
        let bias = agreed(fields, "logit_bias")?;
        // `init_logit_scale` and `init_logit_bias` say where training began, not where it
        // ended: they cannot stand in for the trained values.
        let starts = ["init_logit_bias", "model_cfg.init_logit_bias"];
        let kind = fields.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let siglip = kind.starts_with("siglip");
        if bias.is_none() && (siglip || starts.iter().any(|key| fields.get(key).is_some())) {
            notes.push(
                "this is a SigLIP model, but config.json has no trained logit_scale and \
                 logit_bias: add both for score = \"sigmoid\""
                    .to_owned(),
            );
        }
        let name = fields.get("model_name").and_then(Value::as_str).unwrap_or_default();
        let nearest = name.starts_with(ROUNDS_TO_NEAREST);
        Ok(Self {
            rounding: if nearest { Rounding::Nearest } else { Rounding::Torchvision },
            logit_scale: scale.unwrap_or(CLIP_SCALE),
            logit_bias: bias.unwrap_or(CLIP_BIAS),
            context_length: first_count(
                fields,
                &[
                    "text_cfg.context_length",
                    "context_length",
                    "model_cfg.text_cfg.context_length",
                    "text_config.max_position_embeddings",
                ],
            )?
            .or(siglip.then_some(SIGLIP_CONTEXT)),
            embed_dim: first_count(
                fields,
                &["embed_dim", "model_cfg.embed_dim", "projection_dim"],
            )?,
            notes,
        })
    }
}

/// The number at `key` or `model_cfg.key`; both may be there when they agree.
fn agreed(fields: &Fields, key: &str) -> Result<Option<f32>, BundleError> {
    let nested_key = format!("model_cfg.{key}");
    match (fields.number(key)?, fields.number(&nested_key)?) {
        (Some(top), Some(nested)) if top != nested => {
            let allowed = format!("the same number as {nested_key}, which is {nested}");
            Err(fields.wrong(key, &Value::from(top), &allowed))
        }
        (top, nested) => Ok(top.or(nested)),
    }
}

fn first_count(fields: &Fields, keys: &[&str]) -> Result<Option<usize>, BundleError> {
    for key in keys {
        if let Some(count) = fields.count(key, 1 << 20)? {
            return Ok(Some(count as usize));
        }
    }
    Ok(None)
}

/// Reads `preprocess_cfg.json`. What is absent is as in OpenAI's CLIP, except the size, which
/// differs from model to model.
pub(super) fn preprocess(
    fields: &Fields,
    rounding: Rounding,
) -> Result<PreprocessSpec, BundleError> {
    if fields.get("image_mean").is_some() || fields.get("do_resize").is_some() {
        return processor::read(fields, rounding);
    }
    fields.word("mode", &[("rgb", ())])?;
    let mean = fields.three("mean")?.unwrap_or([0.481_454_66, 0.457_827_5, 0.408_210_73]);
    let std = fields.three("std")?.unwrap_or([0.268_629_54, 0.261_302_6, 0.275_777_1]);
    if let Some(value) = fields.get("std").filter(|_| std.iter().any(|v| *v <= 0.0)) {
        return Err(fields.wrong(
            "std",
            value,
            "three numbers above 0 (values are divided by them)",
        ));
    }
    let filters = [
        ("bicubic", Filter::Bicubic),
        ("bilinear", Filter::Bilinear),
        ("nearest", Filter::Nearest),
        ("box", Filter::Box),
        ("hamming", Filter::Hamming),
        ("lanczos", Filter::Lanczos),
    ];
    let fits = [("shortest", Fit::Crop), ("longest", Fit::Pad), ("squash", Fit::Stretch)];
    Ok(PreprocessSpec {
        size: size(fields)?,
        mean,
        std,
        filter: fields.word("interpolation", &filters)?.unwrap_or(Filter::Bicubic),
        fit: fields.word("resize_mode", &fits)?.unwrap_or(Fit::Crop),
        rounding,
        fill: fill(fields)?,
    })
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().filter(|v| (1..=MAX_SIZE).contains(v))
}

/// `224`, `[224, 224]` or `[224]`.
fn size(fields: &Fields) -> Result<u32, BundleError> {
    const ALLOWED: &str = "one whole number up to 4096, or [height, width] with both the same";
    let value = fields.get("size").ok_or_else(|| fields.absent("size", ALLOWED))?;
    let side = match value.as_array().map(Vec::as_slice) {
        None => whole(value),
        Some([side]) => whole(side),
        Some([height, width]) if height == width => whole(height),
        Some(_) => None,
    };
    let side = side.and_then(|side| u32::try_from(side).ok());
    side.ok_or_else(|| fields.wrong("size", value, ALLOWED))
}

/// One number for all channels, or three, 0 to 255.
fn fill(fields: &Fields) -> Result<[u8; 3], BundleError> {
    let Some(value) = fields.get("fill_color") else { return Ok([0; 3]) };
    let channels = fields.three("fill_color")?.unwrap_or_default();
    let is_byte = |v: &f32| (0.0..=255.0).contains(v) && v.fract() == 0.0;
    if !channels.iter().all(is_byte) {
        return Err(fields.wrong("fill_color", value, "one or three whole numbers, 0 to 255"));
    }
    Ok(channels.map(|v| v as u8))
}
