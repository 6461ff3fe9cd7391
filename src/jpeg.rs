//! Pictures to JPEG, whole or smaller. Pure.

use fast_image_resize::images::{Image as Resized, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use crate::model::Picture;

/// Of a small picture's longest side, pixels: enough to tell what it is.
const SMALL: u32 = 320;
const SMALL_QUALITY: u8 = 70;

/// A small picture, as it is kept beside what the model made of a frame.
///
/// # Errors
/// As [`encode`].
pub fn thumbnail(picture: &Picture) -> turbojpeg::Result<Vec<u8>> {
    let small = within(picture, SMALL);
    encode(small.as_ref().unwrap_or(picture), SMALL_QUALITY)
}

/// A JPEG with colours at half the resolution, as cameras send them. `quality`: 1 to 100.
///
/// # Errors
/// When the picture has no pixels, or more to a side than a JPEG can have.
pub fn encode(picture: &Picture, quality: u8) -> turbojpeg::Result<Vec<u8>> {
    let width = picture.width as usize;
    let image = Image {
        pixels: picture.rgb.as_slice(),
        width,
        pitch: width * 3,
        height: picture.height as usize,
        format: PixelFormat::RGB,
    };
    let mut compressor = Compressor::new()?;
    compressor.set_quality(i32::from(quality))?;
    compressor.set_subsamp(Subsamp::Sub2x2)?;
    compressor.compress_to_vec(image)
}

/// The pixels of a JPEG.
///
/// # Errors
/// When it is none.
pub fn decode(jpeg: &[u8]) -> turbojpeg::Result<Picture> {
    let image = turbojpeg::decompress(jpeg, PixelFormat::RGB)?;
    let row = image.width * 3;
    let rows = image.pixels.chunks(image.pitch.max(1)).take(image.height);
    let rgb = rows.flat_map(|pixels| pixels.iter().take(row).copied()).collect();
    // A JPEG has 65,500 pixels to a side at most.
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or_default();
    Ok(Picture { width: side(image.width), height: side(image.height), rgb })
}

/// The picture at most `width` pixels wide, in its proportions; `None` when it is no wider as it is.
pub fn narrower(picture: &Picture, width: u32) -> Option<Picture> {
    if picture.width <= width || width == 0 {
        return None;
    }
    scaled(picture, f64::from(width) / f64::from(picture.width))
}

/// The picture with no side longer than `most` pixels, in its proportions; `None` when it has none as it is.
pub fn within(picture: &Picture, most: u32) -> Option<Picture> {
    let longest = picture.width.max(picture.height);
    if longest <= most || most == 0 {
        return None;
    }
    scaled(picture, f64::from(most) / f64::from(longest))
}

fn scaled(picture: &Picture, share: f64) -> Option<Picture> {
    let side = |pixels: u32| ((f64::from(pixels) * share).round() as u32).max(1);
    let (width, height) = (side(picture.width), side(picture.height));
    let source =
        ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3).ok()?;
    let mut target = Resized::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).ok()?;
    Some(Picture { width, height, rgb: target.into_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_in_proportion() {
        let picture = Picture { width: 64, height: 36, rgb: [10, 200, 30].repeat(64 * 36) };
        let small = narrower(&picture, 32).expect("it is wider");
        assert_eq!((small.width, small.height, small.rgb.len()), (32, 18, 32 * 18 * 3));
        assert_eq!(small.rgb[..3], [10, 200, 30]);
        assert!(narrower(&picture, 64).is_none() && narrower(&picture, 0).is_none());
        let tall = Picture { width: 36, height: 64, rgb: [10, 200, 30].repeat(64 * 36) };
        let small = within(&tall, 32).expect("it is taller");
        assert_eq!((small.width, small.height), (18, 32));
        assert!(within(&tall, 64).is_none());
        let line = Picture { width: 1000, height: 1, rgb: vec![7; 3000] };
        assert_eq!(narrower(&line, 10).expect("it is wider").height, 1);
        assert!(encode(&tall, 80).expect("it has pixels").starts_with(&[0xff, 0xd8]));
        assert!(encode(&Picture { width: 0, height: 0, rgb: Vec::new() }, 80).is_err());
    }
}
