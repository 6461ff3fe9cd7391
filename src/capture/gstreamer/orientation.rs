//! Pictures the right way up: what the file says about how its camera was held.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use image::imageops::{flip_horizontal, rotate90, rotate180, rotate270};
use image::{ImageBuffer, Rgb};

use crate::model::Picture;

type Image = ImageBuffer<Rgb<u8>, Vec<u8>>;

/// What to do to a picture before it is shown: mirror it, then turn it clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Orientation {
    mirrored: bool,
    quarters: u8,
}

/// What the stream that reaches `sink` says about itself.
pub(super) fn of(sink: &AppSink) -> Orientation {
    let Some(pad) = sink.static_pad("sink") else { return Orientation::default() };
    let tags = (0..).map_while(|index| pad.sticky_event::<gst::event::Tag>(index));
    let texts = tags.filter_map(|event| {
        event.tag().get::<gst::tags::ImageOrientation>().map(|value| value.get().to_owned())
    });
    texts.last().map_or_else(Orientation::default, |text| Orientation::read(&text))
}

impl Orientation {
    /// Reads GStreamer's words for it; unknown ones change nothing.
    fn read(text: &str) -> Self {
        let (mirrored, turned) = match text.strip_prefix("flip-") {
            Some(turned) => (true, turned),
            None => (false, text),
        };
        let quarters = match turned {
            "rotate-0" => 0,
            "rotate-90" => 1,
            "rotate-180" => 2,
            "rotate-270" => 3,
            _ => return Self::default(),
        };
        Self { mirrored, quarters }
    }

    /// Whether width and height change places.
    pub(super) fn is_sideways(self) -> bool {
        self.quarters % 2 == 1
    }

    pub(super) fn apply(self, picture: Picture) -> Picture {
        if self == Self::default() {
            return picture;
        }
        let Picture { width, height, rgb } = picture;
        let Some(mut image) = Image::from_raw(width, height, rgb) else {
            return Picture { width: 0, height: 0, rgb: Vec::new() };
        };
        if self.mirrored {
            image = flip_horizontal(&image);
        }
        let image = match self.quarters {
            1 => rotate90(&image),
            2 => rotate180(&image),
            3 => rotate270(&image),
            _ => image,
        };
        Picture { width: image.width(), height: image.height(), rgb: image.into_raw() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_clockwise_after_mirroring() {
        let turned = |text: &str| {
            let rgb = [b'a', b'b'].into_iter().flat_map(|pixel| [pixel; 3]).collect();
            let picture = Orientation::read(text).apply(Picture { width: 2, height: 1, rgb });
            let pixels = picture.rgb.chunks_exact(3).map(|pixel| char::from(pixel[0]));
            (picture.width, pixels.collect::<String>())
        };
        assert_eq!(turned("rotate-0"), (2, "ab".into()));
        assert_eq!(turned("rotate-90"), (1, "ab".into()));
        assert_eq!(turned("rotate-180"), (2, "ba".into()));
        assert_eq!(turned("rotate-270"), (1, "ba".into()));
        assert_eq!(turned("flip-rotate-0"), (2, "ba".into()));
        assert_eq!(turned("flip-rotate-90"), (1, "ba".into()));
        assert_eq!(turned("upside-down"), (2, "ab".into()));
    }
}
