//! Picture files to pictures.
//!
//! Formats are told by content, never by the file's name. Of an animation the first frame is
//! taken; 16-bit pictures become 8-bit; transparency and palettes are kept for
//! [`Layered::fitted`], because CLIP's reference drops them after resizing. The EXIF orientation
//! is applied only by [`read_upright`]: CLIP's reference does not apply it. A picture that would take more than
//! [`MAX_BYTES`] decoded is refused before it is decoded.

mod pixels;

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};

use super::preprocess::layered::Layered;
use crate::model::Picture;
use pixels::{eight_bits, rgb, turned};

/// Most bytes of one decoded picture, as 8-bit RGB and as the file's own format: 89 megapixels.
pub const MAX_BYTES: u64 = 256 << 20;

/// Scans of a progressive JPEG; files with thousands of them only burn time.
const MOST_SCANS: u32 = 500;

/// Why a picture file cannot be used. The path is left to the caller.
#[derive(Debug, thiserror::Error)]
pub enum StillError {
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    #[error("not a picture in a known format (bmp, gif, jpeg, png, tiff, webp)")]
    Format,
    #[error("{width}x{height} needs {needed} MiB decoded; the limit is {} MiB", MAX_BYTES >> 20)]
    TooLarge { width: u32, height: u32, needed: u64 },
    #[error("cannot be decoded: {0}")]
    Decode(ImageError),
}

/// Reads the picture in `path` and turns it upright as its EXIF data say.
///
/// # Errors
/// As [`read`].
pub fn read_upright(path: &Path) -> Result<Layered, StillError> {
    let picture = read(path)?;
    // What cannot be read of the orientation is no orientation.
    let reader = ImageReader::open(path).ok().and_then(|reader| reader.with_guessed_format().ok());
    let decoder = reader.and_then(|reader| reader.into_decoder().ok());
    let orientation = decoder.and_then(|mut decoder| decoder.orientation().ok());
    Ok(match orientation {
        Some(orientation) => turned(picture, orientation),
        None => picture,
    })
}

/// Reads the picture in `path`.
///
/// # Errors
/// When the file cannot be read, is not a picture, is damaged or too large.
pub fn read(path: &Path) -> Result<Layered, StillError> {
    let file = File::open(path).map_err(StillError::Open)?;
    if file.metadata().map_err(StillError::Open)?.is_dir() {
        return Err(StillError::Open(io::ErrorKind::IsADirectory.into()));
    }
    let mut reader =
        ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(StillError::Open)?;
    if reader.format().is_none() {
        return Err(StillError::Format);
    }
    if reader.format() == Some(ImageFormat::Jpeg) {
        let mut file = reader.into_inner();
        if let Some(picture) = jpeg(&mut file)? {
            return Ok(picture);
        }
        reader = ImageReader::new(file);
    }
    let mut file = reader.into_inner();
    let has_palette = has_palette(&mut file).map_err(StillError::Open)?;
    let mut reader = ImageReader::new(file).with_guessed_format().map_err(StillError::Open)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(StillError::Decode)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes())?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(StillError::Decode)?;
    let decoded = eight_bits(decoded);
    Ok(if has_palette {
        Layered::Palette(rgb(decoded))
    } else if decoded.color().has_alpha() {
        let rgba = decoded.into_rgba8();
        Layered::Alpha { width: rgba.width(), height: rgba.height(), rgba: rgba.into_raw() }
    } else {
        Layered::Rgb(rgb(decoded))
    })
}

/// Whether this is a GIF, or a PNG whose header tells of a palette or of one bit a pixel:
/// Pillow interpolates neither. Leaves the file at its start.
fn has_palette(file: &mut BufReader<File>) -> io::Result<bool> {
    let mut header = Vec::with_capacity(26);
    file.rewind()?;
    file.by_ref().take(26).read_to_end(&mut header)?;
    file.rewind()?;
    let png = header.starts_with(b"\x89PNG\r\n\x1a\n");
    Ok(header.starts_with(b"GIF8") || png && matches!(header.get(24..26), Some([_, 3] | [1, 0])))
}

/// A JPEG, decoded by libjpeg-turbo as CLIP's reference (Pillow) does it: other decoders round
/// differently by a few levels, which moved a probability by 0.02. Of a damaged one the part that
/// can be had; `None` when there is none.
fn jpeg(file: &mut BufReader<File>) -> Result<Option<Layered>, StillError> {
    let mut bytes = Vec::new();
    file.rewind().map_err(StillError::Open)?;
    file.by_ref().take(MAX_BYTES).read_to_end(&mut bytes).map_err(StillError::Open)?;
    file.rewind().map_err(StillError::Open)?;
    let Ok(mut decoder) = Decompressor::new() else { return Ok(None) };
    if decoder.set_scan_limit(MOST_SCANS).is_err() {
        return Ok(None);
    }
    let Ok(header) = decoder.read_header(&bytes) else { return Ok(None) };
    let four = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let (Ok(width), Ok(height)) = (u32::try_from(header.width), u32::try_from(header.height))
    else {
        return Ok(None);
    };
    check_size(width, height, u64::from(width) * u64::from(height) * 4)?;
    let format = if four { PixelFormat::CMYK } else { PixelFormat::RGB };
    let pitch = header.width * format.size();
    let mut values = vec![0; pitch * header.height];
    let (pixels, height_) = (values.as_mut_slice(), header.height);
    let out = Image { pixels, width: header.width, pitch, height: height_, format };
    // A warning counts as an error here, and leaves what was decoded.
    if decoder.decompress(&bytes, out).is_err() && values.iter().all(|value| *value == 0) {
        return Ok(None);
    }
    Ok(Some(if four {
        // Files have light where ink is meant (Adobe's way, which Pillow always assumes).
        values.iter_mut().for_each(|value| *value = 255 - *value);
        Layered::Cmyk { width, height, cmyk: values }
    } else {
        Layered::Rgb(Picture { width, height, rgb: values })
    }))
}

/// Refuses what would take more than [`MAX_BYTES`], as 8-bit RGB or as `own_bytes`.
fn check_size(width: u32, height: u32, own_bytes: u64) -> Result<(), StillError> {
    let needed = own_bytes.max(u64::from(width) * u64::from(height) * 3);
    if needed > MAX_BYTES {
        return Err(StillError::TooLarge { width, height, needed: needed >> 20 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{ImageFormat, Rgba, RgbaImage};

    use super::*;

    #[test]
    fn content_counts_not_the_name_and_transparency_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.jpg");
        let image = RgbaImage::from_pixel(2, 1, Rgba([10, 20, 30, 0]));
        image.save_with_format(&path, ImageFormat::Png).unwrap();
        let expected = [10, 20, 30, 0].repeat(2);
        let picture = read(&path).unwrap();
        assert_eq!(picture, Layered::Alpha { width: 2, height: 1, rgba: expected });
        assert_eq!(picture.into_rgb().rgb, [10, 20, 30].repeat(2));
    }

    #[test]
    fn what_is_not_a_picture_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        assert!(matches!(read(&path), Err(StillError::Open(_))));
        assert!(matches!(read(folder.path()), Err(StillError::Open(_))));
        fs::write(&path, "").unwrap();
        assert!(matches!(read(&path), Err(StillError::Format)));
        fs::write(&path, b"\x89PNG\r\n\x1a\nxxxx").unwrap();
        assert!(matches!(read(&path), Err(StillError::Decode(_))));
    }

    #[test]
    fn bombs_are_refused_by_their_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.bmp");
        // A BMP header of 30000 x 30000 pixels of 24 bits, and no pixels.
        let mut bytes = b"BM".to_vec();
        for field in [54_u32, 0, 54, 40, 30_000, 30_000, 1 | 24 << 16, 0, 0, 0, 0, 0, 0] {
            bytes.extend(field.to_le_bytes());
        }
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("30000x30000 needs 2574 MiB"), "{error}");
    }
}
