//! Picture files to pictures.
//!
//! Formats are told by content, never by the file's name. Of an animation the first frame is
//! taken; transparency is dropped, as Pillow's `convert("RGB")` drops it; 16-bit and palette
//! pictures become 8-bit RGB. The EXIF orientation is not applied, because CLIP's reference
//! preprocessing does not apply it either. A picture that would take more than
//! [`MAX_BYTES`] decoded is refused before it is decoded.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use crate::model::Picture;

/// Most bytes of one decoded picture, as 8-bit RGB and as the file's own format: 89 megapixels.
pub const MAX_BYTES: u64 = 256 << 20;

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

/// Reads the picture in `path` as 8-bit RGB.
///
/// # Errors
/// When the file cannot be read, is not a picture, is damaged or too large.
pub fn read(path: &Path) -> Result<Picture, StillError> {
    let file = File::open(path).map_err(StillError::Open)?;
    if file.metadata().map_err(StillError::Open)?.is_dir() {
        return Err(StillError::Open(io::ErrorKind::IsADirectory.into()));
    }
    let mut reader =
        ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(StillError::Open)?;
    if reader.format().is_none() {
        return Err(StillError::Format);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(StillError::Decode)?;
    let (width, height) = decoder.dimensions();
    let needed = decoder.total_bytes().max(u64::from(width) * u64::from(height) * 3);
    if needed > MAX_BYTES {
        return Err(StillError::TooLarge { width, height, needed: needed >> 20 });
    }
    let decoded = DynamicImage::from_decoder(decoder).map_err(StillError::Decode)?;
    let rgb = decoded.into_rgb8();
    Ok(Picture { width: rgb.width(), height: rgb.height(), rgb: rgb.into_raw() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{ImageFormat, Rgba, RgbaImage};

    use super::*;

    #[test]
    fn content_counts_not_the_name_and_transparency_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.jpg");
        let image = RgbaImage::from_pixel(2, 1, Rgba([10, 20, 30, 0]));
        image.save_with_format(&path, ImageFormat::Png).unwrap();
        let picture = read(&path).unwrap();
        assert_eq!((picture.width, picture.height), (2, 1));
        assert_eq!(picture.rgb, [10, 20, 30, 10, 20, 30]);
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
