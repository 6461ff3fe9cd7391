//! Pictures that are more than RGB: with transparency, or with a palette.
//!
//! CLIP's reference converts to RGB after it has resized, so these are resized as they are:
//! transparency with colours weighted by it, palettes without interpolation (Pillow does both).
//! What comes out is an RGB picture that already has its final size, which [`super`] then
//! passes on unchanged. Only still pictures have layers; frames of cameras do not.

use fast_image_resize::images::ImageRef;
use fast_image_resize::{PixelType, ResizeAlg};

use super::geometry::{Placement, Span};
use super::resample::Resampler;
use super::{PreprocessError, PreprocessSpec, exact, resize_error};
use crate::model::{Fit, Picture};

/// A picture as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Layered {
    Rgb(Picture),
    /// The colours of a palette, looked up.
    Palette(Picture),
    /// Red, green, blue and alpha, 8 bits each.
    Alpha {
        width: u32,
        height: u32,
        rgba: Vec<u8>,
    },
    /// Four inks, 255 for all of it.
    Cmyk {
        width: u32,
        height: u32,
        cmyk: Vec<u8>,
    },
}

impl Layered {
    /// The colours alone, in the picture's own size.
    pub fn into_rgb(self) -> Picture {
        match self {
            Self::Rgb(picture) | Self::Palette(picture) => picture,
            Self::Alpha { width, height, rgba } => Picture { width, height, rgb: colours(&rgba) },
            Self::Cmyk { width, height, cmyk } => Picture { width, height, rgb: printed(&cmyk) },
        }
    }

    /// The picture as [`super::Preprocessor::run`] has to get it, with the same `fit` and
    /// without a region, to end where CLIP's reference does.
    ///
    /// # Errors
    /// For a picture without pixels.
    pub fn fitted(self, fit: Fit, spec: &PreprocessSpec) -> Result<Picture, PreprocessError> {
        let opaque = |rgba: &[u8]| rgba.chunks_exact(4).all(|pixel| pixel[3] == 255);
        match self {
            Self::Palette(picture) => nearest(&picture, fit, spec),
            Self::Alpha { width, height, mut rgba } if !opaque(&rgba) => {
                rgba.chunks_exact_mut(4).for_each(weight);
                let place = placement((width, height), fit, spec)?;
                let mut rgba =
                    match exact::resample::<4>(&rgba, (width, height), &place, spec.filter) {
                        Some(rgba) => rgba,
                        None => resized(&rgba, (width, height), spec.filter.algorithm(), &place)?,
                    };
                rgba.chunks_exact_mut(4).for_each(unweight);
                let (width, height) = (place.across.pixels, place.down.pixels);
                Ok(Picture { width, height, rgb: colours(&rgba) })
            }
            Self::Cmyk { width, height, cmyk } => {
                // Pillow resizes the inks, and mixes them afterwards.
                let place = placement((width, height), fit, spec)?;
                match exact::resample::<4>(&cmyk, (width, height), &place, spec.filter) {
                    Some(cmyk) => {
                        let (width, height) = (place.across.pixels, place.down.pixels);
                        Ok(Picture { width, height, rgb: printed(&cmyk) })
                    }
                    None => Ok(Picture { width, height, rgb: printed(&cmyk) }),
                }
            }
            other => exactly(other.into_rgb(), fit, spec),
        }
    }
}

/// Pillow's own result, or the picture as it is where that cannot be had.
fn exactly(picture: Picture, fit: Fit, spec: &PreprocessSpec) -> Result<Picture, PreprocessError> {
    let (width, height) = (picture.width, picture.height);
    let place = placement((width, height), fit, spec)?;
    Ok(match exact::resample::<3>(&picture.rgb, (width, height), &place, spec.filter) {
        Some(rgb) => Picture { width: place.across.pixels, height: place.down.pixels, rgb },
        None => picture,
    })
}

/// The kept part of `rgba` in its final width and height.
fn resized(
    rgba: &[u8],
    (width, height): (u32, u32),
    algorithm: ResizeAlg,
    place: &Placement,
) -> Result<Vec<u8>, PreprocessError> {
    let source = ImageRef::new(width, height, rgba, PixelType::U8x4).map_err(resize_error)?;
    Ok(Resampler::default().run(&source, algorithm, place)?.to_vec())
}

fn placement(
    (width, height): (u32, u32),
    fit: Fit,
    spec: &PreprocessSpec,
) -> Result<Placement, PreprocessError> {
    if width == 0 || height == 0 {
        return Err(PreprocessError::Empty { width, height });
    }
    Ok(Placement::new(spec.size, (width, height), fit, spec.rounding))
}

/// The kept part of `picture`, each pixel taken from the source as it is.
fn nearest(picture: &Picture, fit: Fit, spec: &PreprocessSpec) -> Result<Picture, PreprocessError> {
    let place = placement((picture.width, picture.height), fit, spec)?;
    let columns = nearest_pixels(&place.across, picture.width);
    let mut rgb = Vec::with_capacity(columns.len() * place.down.pixels as usize * 3);
    for row in nearest_pixels(&place.down, picture.height) {
        let row = &picture.rgb[row * picture.width as usize * 3..];
        columns.iter().for_each(|column| rgb.extend_from_slice(&row[column * 3..][..3]));
    }
    Ok(Picture { width: place.across.pixels, height: place.down.pixels, rgb })
}

/// Which source pixel each pixel of `span` takes. Pillow adds step to step (`Geometry.c`,
/// `ImagingScaleAffine`); its rounding errors decide where a centre falls between two pixels,
/// which in common sizes is every few pixels, so they are made here too.
fn nearest_pixels(span: &Span, side: u32) -> Vec<usize> {
    let step = span.length / f64::from(span.pixels);
    let (scaled, start) = ((f64::from(side) / step).round(), (span.from / step).round());
    let step = f64::from(side) / scaled;
    let centres = std::iter::successors(Some(step * 0.5), |centre| Some(centre + step));
    let pixel = |centre: f64| (centre as usize).min(side as usize - 1);
    centres.skip(start as usize).take(span.pixels as usize).map(pixel).collect()
}

/// Pillow's RGBA to RGBa: colour * alpha / 255, rounded.
fn weight(pixel: &mut [u8]) {
    let alpha = u32::from(pixel[3]);
    for colour in &mut pixel[..3] {
        let product = u32::from(*colour) * alpha + 128;
        *colour = ((product + (product >> 8)) >> 8) as u8;
    }
}

/// Pillow's RGBa to RGBA: colour * 255 / alpha, rounded down, and unchanged without alpha.
fn unweight(pixel: &mut [u8]) {
    let alpha = u32::from(pixel[3]);
    for colour in &mut pixel[..3] {
        let whole = (u32::from(*colour) * 255).checked_div(alpha);
        *colour = whole.map_or(*colour, |whole| whole.min(255) as u8);
    }
}

/// Inks to colours as Pillow does it: black taken off, then each ink's share of what is left.
fn printed(cmyk: &[u8]) -> Vec<u8> {
    let share = |value: u32| ((value + 128 + ((value + 128) >> 8)) >> 8) as i32;
    let mix = |pixel: &[u8]| {
        let light = 255 - u32::from(pixel[3]);
        [0, 1, 2].map(|ink| {
            let ink = u32::from(pixel[ink]);
            (light as i32 - share(ink * light)).clamp(0, 255) as u8
        })
    };
    cmyk.chunks_exact(4).flat_map(mix).collect()
}

fn colours(rgba: &[u8]) -> Vec<u8> {
    rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::spec;
    use super::*;

    #[test]
    fn transparent_colours_do_not_bleed() {
        // Left half red, right half transparent green.
        let rgba: Vec<u8> =
            [[[255, 0, 0, 255]; 8], [[0, 255, 0, 0]; 8]].concat().concat().repeat(16);
        let picture = Layered::Alpha { width: 16, height: 16, rgba };
        let fitted = picture.fitted(Fit::Crop, &spec(5)).unwrap();
        assert_eq!((fitted.width, fitted.height), (5, 5));
        assert!(fitted.rgb.chunks_exact(3).all(|pixel| pixel[1] == 0), "{fitted:?}");
    }

    #[test]
    fn palettes_keep_their_colours() {
        let rgb: Vec<u8> = [[255, 0, 0], [0, 255, 0]].concat().repeat(50);
        let picture = Layered::Palette(Picture { width: 10, height: 10, rgb });
        let fitted = picture.fitted(Fit::Crop, &spec(7)).unwrap();
        let known = |pixel: &[u8]| pixel == [255, 0, 0] || pixel == [0, 255, 0];
        assert!(fitted.rgb.chunks_exact(3).all(known));
    }

    #[test]
    fn opaque_pictures_are_as_without_transparency() {
        let rgba = [1, 2, 3, 255].repeat(6);
        let picture = Layered::Alpha { width: 3, height: 2, rgba }.fitted(Fit::Pad, &spec(7));
        assert_eq!(picture.unwrap(), Picture { width: 7, height: 5, rgb: [1, 2, 3].repeat(35) });
    }
}
