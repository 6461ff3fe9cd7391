//! Pillow's resampling of the part of a picture that is kept.
//!
//! First across and then down, with rounding to 8 bits in between, as Pillow does it: that
//! rounding is part of the reference. Owns the buffers, which grow and are reused.

use fast_image_resize::images::Image;
use fast_image_resize::{IntoImageView, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::geometry::Placement;
use super::{PreprocessError, resize_error};

#[derive(Default)]
pub(super) struct Resampler {
    resizer: Resizer,
    /// After the horizontal pass.
    middle: Vec<u8>,
    /// After both.
    patch: Vec<u8>,
}

impl Resampler {
    /// The kept part of `source` in its final size, rows of `place.across.pixels` pixels.
    pub(super) fn run(
        &mut self,
        source: &impl IntoImageView,
        algorithm: ResizeAlg,
        place: &Placement,
    ) -> Result<&mut [u8], PreprocessError> {
        let pixel = source.pixel_type().unwrap_or(PixelType::U8x3);
        let options = ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
        let (columns, lines) = (place.across.pixels, place.down.pixels);
        // Rows outside the reach of the vertical filter are not resized at all.
        let rows = place.down.reach(source.height());
        let (first, height) = (f64::from(rows.start), rows.end - rows.start);
        let across = options.crop(place.across.from, first, place.across.length, f64::from(height));
        let mut middle = image(&mut self.middle, columns, height, pixel)?;
        self.resizer.resize(source, &mut middle, &across).map_err(resize_error)?;

        let from = (place.down.from - first).max(0.0);
        let down = options.crop(0.0, from, f64::from(columns), place.down.length);
        let mut patch = image(&mut self.patch, columns, lines, pixel)?;
        self.resizer.resize(&middle, &mut patch, &down).map_err(resize_error)?;
        Ok(&mut self.patch)
    }
}

/// An image in `bytes`, which get exactly the length that it needs.
fn image(
    bytes: &mut Vec<u8>,
    width: u32,
    height: u32,
    pixel: PixelType,
) -> Result<Image<'_>, PreprocessError> {
    bytes.resize(width as usize * height as usize * pixel.size(), 0);
    Image::from_slice_u8(width, height, bytes, pixel).map_err(resize_error)
}
