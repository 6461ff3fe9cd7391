//! A small JPEG of a frame.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use turbojpeg::{Compressor, PixelFormat, Subsamp};

use crate::model::Picture;

/// Of the longest side, pixels: enough to tell what it is.
const LONGEST: u32 = 320;
const QUALITY: i32 = 70;

/// # Errors
/// In words, when the picture is none.
pub(super) fn encode(picture: &Picture) -> Result<Vec<u8>, String> {
    let (width, height) = size(picture.width, picture.height);
    let source = ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3)
        .map_err(|error| error.to_string())?;
    let mut small = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
    Resizer::new().resize(&source, &mut small, &options).map_err(|error| error.to_string())?;
    jpeg(width as usize, height as usize, small.buffer()).map_err(|error| error.to_string())
}

/// The longest side becomes [`LONGEST`]; small pictures stay.
fn size(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= LONGEST {
        return (width, height);
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(LONGEST) / u64::from(longest)).max(1);
    (scaled(width) as u32, scaled(height) as u32)
}

fn jpeg(width: usize, height: usize, rgb: &[u8]) -> turbojpeg::Result<Vec<u8>> {
    let format = PixelFormat::RGB;
    let image = turbojpeg::Image { pixels: rgb, width, pitch: width * 3, height, format };
    let mut compressor = Compressor::new()?;
    compressor.set_quality(QUALITY)?;
    compressor.set_subsamp(Subsamp::Sub2x2)?;
    compressor.compress_to_vec(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_side_is_small_and_colours_stay() {
        for ((width, height), wanted) in
            [((960, 540), (320, 180)), ((100, 1280), (25, 320)), ((64, 48), (64, 48))]
        {
            let rgb = [200, 40, 90].repeat((width * height) as usize);
            let jpeg = encode(&Picture { width, height, rgb }).unwrap();
            let image = image::load_from_memory(&jpeg).unwrap().to_rgb8();
            assert_eq!(image.dimensions(), wanted);
            let far = |pixel: &image::Rgb<u8>| {
                pixel.0.iter().zip([200_u8, 40, 90]).map(|(a, b)| a.abs_diff(b)).max().unwrap()
            };
            assert!(image.pixels().map(far).max().unwrap() < 8);
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        encode(&Picture { width: 0, height: 0, rgb: Vec::new() }).unwrap_err();
        encode(&Picture { width: 9, height: 9, rgb: vec![0; 5] }).unwrap_err();
    }
}
