//! Pictures to the image model's input, with CLIP's own arithmetic.
//!
//! Region crop, then the fit (crop, pad or stretch) with Pillow's antialiased resampling on
//! 8-bit values, then `(value / 255 - mean) / std` per channel, laid out channels first. Pure:
//! it reads pixels and writes floats. [`Preprocessor`] owns the buffers that are reused from
//! frame to frame. Decoding and choosing the view are left to others; the geometry is in
//! [`geometry`].
//!
//! Source: openai/CLIP `clip.py::_transform` (torchvision `Resize`, `CenterCrop`, `ToTensor`,
//! `Normalize` on Pillow images); open_clip `transform.py` for padding.

pub(super) mod exact;
pub mod geometry;
pub mod layered;
mod resample;

use fast_image_resize::images::{CroppedImage, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg};
use half::f16;

use crate::model::{Fit, Picture, View};
use geometry::{Placement, Rounding, region_of};
use resample::Resampler;

/// How pixels are interpolated; the names are Pillow's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Nearest,
    Box,
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos,
}

impl Filter {
    fn algorithm(self) -> ResizeAlg {
        ResizeAlg::Convolution(match self {
            Self::Nearest => return ResizeAlg::Nearest,
            Self::Box => FilterType::Box,
            Self::Bilinear => FilterType::Bilinear,
            Self::Hamming => FilterType::Hamming,
            // Catmull-Rom is the cubic with a = -0.5, which is Pillow's BICUBIC.
            Self::Bicubic => FilterType::CatmullRom,
            Self::Lanczos => FilterType::Lanczos3,
        })
    }
}

/// What a bundle's `preprocess_cfg.json` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct PreprocessSpec {
    /// Width and height of the model's input, pixels.
    pub size: u32,
    /// Per channel (red, green, blue), of values 0 to 1.
    pub mean: [f32; 3],
    /// Per channel, never zero.
    pub std: [f32; 3],
    pub filter: Filter,
    /// The fit that the model was trained with: `resize_mode` of the file.
    pub fit: Fit,
    /// How sizes become whole pixels when cropping.
    pub rounding: Rounding,
    /// Colour of the border that [`Fit::Pad`] leaves.
    pub fill: [u8; 3],
}

impl PreprocessSpec {
    /// Floats in one preprocessed picture: `3 * size * size`.
    pub fn len(&self) -> usize {
        3 * self.plane()
    }

    /// Never: a bundle with size 0 is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn plane(&self) -> usize {
        self.size as usize * self.size as usize
    }
}

/// Why a picture could not be preprocessed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreprocessError {
    #[error("the picture is empty ({width}x{height})")]
    Empty { width: u32, height: u32 },
    #[error("the picture is {width}x{height} but has {found} bytes, not width * height * 3")]
    Pixels { width: u32, height: u32, found: usize },
    #[error("the output has room for {found} values, {expected} are needed (3 x size x size)")]
    Output { found: usize, expected: usize },
    #[error("resizing failed: {0}")]
    Resize(String),
}

/// What a model takes as a value of a channel.
pub trait Level: Copy + Default + std::fmt::Debug + Send + 'static {
    /// From the level of the pixel, 0 to 255, and the same normalised.
    fn of(level: u8, normalised: f32) -> Self;
}

impl Level for f32 {
    fn of(_level: u8, normalised: f32) -> Self {
        normalised
    }
}

impl Level for f16 {
    fn of(_level: u8, normalised: f32) -> Self {
        Self::from_f32(normalised)
    }
}

/// For models that normalise by themselves.
impl Level for u8 {
    fn of(level: u8, _normalised: f32) -> Self {
        level
    }
}

/// Preprocesses pictures for one model, reusing its buffers.
pub struct Preprocessor<T = f32> {
    spec: PreprocessSpec,
    resampler: Resampler,
    levels: Levels<T>,
}

impl<T: Level> Preprocessor<T> {
    pub fn new(spec: PreprocessSpec) -> Self {
        let levels = Levels::new(&spec);
        Self { spec, resampler: Resampler::default(), levels }
    }

    pub fn spec(&self) -> &PreprocessSpec {
        &self.spec
    }

    /// Writes `picture`, seen through `view`, to `out`: shape `[3, size, size]`.
    ///
    /// # Errors
    /// For a picture without pixels or with the wrong number of bytes, and an `out` of the
    /// wrong length. Any other picture, however thin, works.
    pub fn run(
        &mut self,
        picture: &Picture,
        view: View,
        out: &mut [T],
    ) -> Result<(), PreprocessError> {
        check(picture)?;
        let (found, expected) = (out.len(), self.spec.len());
        if found != expected {
            return Err(PreprocessError::Output { found, expected });
        }
        let region = region_of(picture.width, picture.height, view.region);
        let place = Placement::new(
            self.spec.size,
            (region.width, region.height),
            view.fit.unwrap_or(self.spec.fit),
            self.spec.rounding,
        );
        let source = ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3)
            .map_err(resize_error)?;
        // The filter must not look past the region, so it gets a view, not a crop box.
        let cut = CroppedImage::new(&source, region.left, region.top, region.width, region.height)
            .map_err(resize_error)?;
        let patch = self.resampler.run(&cut, self.spec.filter.algorithm(), &place)?;
        self.levels.place(&self.spec, &place, patch, out);
        Ok(())
    }
}

/// `tables[channel][level]` is the model's value: 768 divisions instead of one a pixel.
struct Levels<T>([[T; 256]; 3]);

impl<T: Level> Levels<T> {
    fn new(spec: &PreprocessSpec) -> Self {
        Self(std::array::from_fn(|channel| {
            let (mean, std) = (spec.mean[channel], spec.std[channel]);
            let mut table = [T::default(); 256];
            for (level, value) in (0..=u8::MAX).zip(&mut table) {
                *value = T::of(level, (f32::from(level) / 255.0 - mean) / std);
            }
            table
        }))
    }

    /// Writes the resized `patch` (RGB) to `out`, with the fill colour around it.
    fn place(&self, spec: &PreprocessSpec, place: &Placement, patch: &[u8], out: &mut [T]) {
        let size = spec.size as usize;
        let (left, top) = (place.across.offset as usize, place.down.offset as usize);
        let (columns, lines) = (place.across.pixels as usize, place.down.pixels as usize);
        for (channel, plane) in out.chunks_exact_mut(spec.plane()).enumerate() {
            let table = &self.0[channel];
            if columns < size || lines < size {
                plane.fill(table[spec.fill[channel] as usize]);
            }
            for (line, pixels) in patch.chunks_exact(columns * 3).enumerate() {
                let start = (top + line) * size + left;
                let row = &mut plane[start..start + columns];
                for (value, pixel) in row.iter_mut().zip(pixels.chunks_exact(3)) {
                    *value = table[pixel[channel] as usize];
                }
            }
        }
    }
}

/// One picture, for callers without a [`Preprocessor`] to keep. See [`Preprocessor::run`].
///
/// # Errors
/// As [`Preprocessor::run`].
pub fn preprocess(
    picture: &Picture,
    view: View,
    spec: &PreprocessSpec,
    out: &mut [f32],
) -> Result<(), PreprocessError> {
    Preprocessor::new(spec.clone()).run(picture, view, out)
}

/// Checks that `picture` has pixels, and as many bytes as they take.
///
/// # Errors
/// [`PreprocessError::Empty`] and [`PreprocessError::Pixels`].
pub(super) fn check(picture: &Picture) -> Result<(), PreprocessError> {
    let &Picture { width, height, .. } = picture;
    if width == 0 || height == 0 {
        return Err(PreprocessError::Empty { width, height });
    }
    if u64::from(width) * u64::from(height) * 3 != picture.rgb.len() as u64 {
        return Err(PreprocessError::Pixels { width, height, found: picture.rgb.len() });
    }
    Ok(())
}

fn resize_error(error: impl std::fmt::Display) -> PreprocessError {
    PreprocessError::Resize(error.to_string())
}

#[cfg(test)]
pub(in crate::clip) mod tests;
