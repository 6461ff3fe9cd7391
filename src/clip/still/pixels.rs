//! Decoded pixels to what CLIP's reference has: Pillow's 8 bits, and upright where that is wished.

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, Pixel, RgbImage, RgbaImage};

use crate::clip::preprocess::layered::Layered;
use crate::model::Picture;

/// 16 bits to 8 as Pillow does it: colours lose their low byte. A grey value above 255 is white,
/// which is of little use and what `convert("RGB")` makes of Pillow's mode "I;16".
pub(super) fn eight_bits(decoded: DynamicImage) -> DynamicImage {
    match decoded {
        DynamicImage::ImageRgb16(image) => narrowed::<_, image::Rgb<u8>>(&image, high_byte).into(),
        DynamicImage::ImageRgba16(image) => {
            narrowed::<_, image::Rgba<u8>>(&image, high_byte).into()
        }
        DynamicImage::ImageLuma16(image) => narrowed::<_, image::Luma<u8>>(&image, clipped).into(),
        DynamicImage::ImageLumaA16(image) => {
            narrowed::<_, image::LumaA<u8>>(&image, high_byte).into()
        }
        other => other,
    }
}

fn high_byte(value: u16) -> u8 {
    (value >> 8) as u8
}

fn clipped(value: u16) -> u8 {
    value.min(255) as u8
}

fn narrowed<From, To>(
    image: &ImageBuffer<From, Vec<u16>>,
    narrow: fn(u16) -> u8,
) -> ImageBuffer<To, Vec<u8>>
where
    From: Pixel<Subpixel = u16>,
    To: Pixel<Subpixel = u8>,
{
    let values = image.as_raw().iter().map(|value| narrow(*value)).collect();
    // Both kinds have the same channels, so the length fits.
    ImageBuffer::from_raw(image.width(), image.height(), values)
        .unwrap_or_else(|| ImageBuffer::new(image.width(), image.height()))
}

pub(super) fn rgb(decoded: DynamicImage) -> Picture {
    let rgb = decoded.into_rgb8();
    Picture { width: rgb.width(), height: rgb.height(), rgb: rgb.into_raw() }
}

/// Turns a picture as its EXIF data say.
pub(super) fn turned(picture: Layered, orientation: Orientation) -> Layered {
    match picture {
        Layered::Rgb(picture) => Layered::Rgb(turned_rgb(picture, orientation)),
        Layered::Palette(picture) => Layered::Palette(turned_rgb(picture, orientation)),
        Layered::Alpha { width, height, rgba } => {
            let (width, height, rgba) = turned_four(width, height, rgba, orientation);
            Layered::Alpha { width, height, rgba }
        }
        Layered::Cmyk { width, height, cmyk } => {
            let (width, height, cmyk) = turned_four(width, height, cmyk, orientation);
            Layered::Cmyk { width, height, cmyk }
        }
    }
}

fn turned_rgb(picture: Picture, orientation: Orientation) -> Picture {
    let (width, height) = (picture.width, picture.height);
    let image = RgbImage::from_raw(width, height, picture.rgb).unwrap_or_default();
    let mut image = DynamicImage::from(image);
    image.apply_orientation(orientation);
    rgb(image)
}

fn turned_four(
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    orientation: Orientation,
) -> (u32, u32, Vec<u8>) {
    let image = RgbaImage::from_raw(width, height, pixels).unwrap_or_default();
    let mut image = DynamicImage::from(image);
    image.apply_orientation(orientation);
    let image = image.into_rgba8();
    (image.width(), image.height(), image.into_raw())
}
