//! `preprocessor_config.json`, as Hugging Face's transformers write it.

use serde_json::Value;

use super::{MAX_SIZE, whole};
use crate::clip::bundle::BundleError;
use crate::clip::bundle::fields::Fields;
use crate::clip::preprocess::geometry::Rounding;
use crate::clip::preprocess::{Filter, PreprocessSpec};
use crate::model::Fit;

/// Reads the file. CLIP's has the shortest side and a centre crop, SigLIP's both sides.
pub(super) fn read(fields: &Fields, rounding: Rounding) -> Result<PreprocessSpec, BundleError> {
    let (size, fit) = size(fields)?;
    let mean = fields.three("image_mean")?.unwrap_or([0.5; 3]);
    let std = fields.three("image_std")?.unwrap_or([0.5; 3]);
    if let Some(value) = fields.get("image_std").filter(|_| std.iter().any(|v| *v <= 0.0)) {
        return Err(fields.wrong("image_std", value, "three numbers above 0"));
    }
    let filter = filter(fields)?;
    Ok(PreprocessSpec { size, mean, std, filter, fit, rounding, fill: [0; 3] })
}

/// `{"shortest_edge": 224}` with `crop_size`, a number alone, or `{"height": …, "width": …}`.
fn size(fields: &Fields) -> Result<(u32, Fit), BundleError> {
    let square = |name: &str| -> Option<u64> {
        let (height, width) = (format!("{name}.height"), format!("{name}.width"));
        let height = fields.get(&height).and_then(whole)?;
        fields.get(&width).and_then(whole).filter(|width| *width == height)
    };
    let number = |name: &str| fields.get(name).and_then(whole);
    let shortest = number("size.shortest_edge").or_else(|| number("size"));
    let crop = number("crop_size").or_else(|| square("crop_size"));
    let cropped = fields.get("do_center_crop") != Some(&Value::Bool(false));
    let (side, fit) = match (shortest, crop, square("size")) {
        (Some(shortest), Some(crop), _) if cropped && crop == shortest => (crop, Fit::Crop),
        (Some(shortest), None, _) => (shortest, Fit::Crop),
        (None, Some(crop), Some(size)) if cropped && crop == size => (size, Fit::Stretch),
        (None, _, Some(size)) if crop.is_none() || !cropped => (size, Fit::Stretch),
        _ => {
            let allowed = format!(
                "{{\"shortest_edge\": n}} with a crop_size of the same n, or {{\"height\": n, \
                 \"width\": n}}, n up to {MAX_SIZE}"
            );
            let found = fields.get("size").cloned().unwrap_or(Value::Null);
            return Err(fields.wrong("size", &found, &allowed));
        }
    };
    // `whole` has kept it far below.
    Ok((u32::try_from(side).unwrap_or(u32::MAX), fit))
}

/// Pillow's numbers.
fn filter(fields: &Fields) -> Result<Filter, BundleError> {
    let Some(value) = fields.get("resample") else { return Ok(Filter::Bicubic) };
    Ok(match value.as_u64() {
        Some(0) => Filter::Nearest,
        Some(1) => Filter::Lanczos,
        Some(2) => Filter::Bilinear,
        Some(3) => Filter::Bicubic,
        Some(4) => Filter::Box,
        Some(5) => Filter::Hamming,
        _ => return Err(fields.wrong("resample", value, "Pillow's number of a filter, 0 to 5")),
    })
}
