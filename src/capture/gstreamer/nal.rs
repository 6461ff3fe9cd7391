//! Which coded frames no other one builds on, read from the first bytes of H.264 and H.265.
//!
//! GStreamer's parsers do not say it. Source: ITU-T H.264 7.4.1 (`nal_ref_idc`), H.265 7.4.2.2
//! (sub-layer non-reference pictures).

use gstreamer as gst;

/// As much as parameter sets and messages before a frame's first slice take at most. A frame whose
/// slice comes later counts as one that is needed.
const HEAD: usize = 512;

/// Follows one stream.
#[derive(Debug, Default)]
pub(super) struct Nals {
    format: Option<(gst::Caps, Format)>,
    /// The highest temporal layer seen: H.265's frames below it may be needed by those in it.
    highest: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    H264(Framing),
    H265(Framing),
    Other,
}

/// How units are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    StartCodes,
    /// A length of so many bytes before each.
    Lengths(usize),
}

impl Nals {
    /// Whether a frame can be left out without harm to any other.
    pub(super) fn droppable(&mut self, buffer: &gst::BufferRef, caps: &gst::CapsRef) -> bool {
        let format = match &self.format {
            Some((known, format)) if **known == *caps => *format,
            _ => {
                let format = format_of(caps);
                self.format = Some((caps.to_owned(), format));
                format
            }
        };
        if format == Format::Other {
            return false;
        }
        let mut head = [0; HEAD];
        let head = &mut head[..buffer.size().min(HEAD)];
        buffer.copy_to_slice(0, head).is_ok() && self.unneeded(format, head)
    }

    fn unneeded(&mut self, format: Format, head: &[u8]) -> bool {
        match format {
            Format::H264(framing) => {
                let slice = units(framing, head).find(|unit| matches!(unit[0] & 0x1f, 1 | 5));
                slice.is_some_and(|unit| unit[0] & 0x60 == 0)
            }
            Format::H265(framing) => {
                let kind = |unit: &[u8]| (unit[0] >> 1) & 0x3f;
                let slice = units(framing, head).find(|unit| unit.len() > 1 && kind(unit) < 32);
                slice.is_some_and(|unit| {
                    let layer = unit[1] & 0x07;
                    self.highest = self.highest.max(layer);
                    // Up to 14, the even kinds are those that their own layer does not need.
                    kind(unit) <= 14 && kind(unit) % 2 == 0 && layer == self.highest
                })
            }
            Format::Other => false,
        }
    }
}

fn format_of(caps: &gst::CapsRef) -> Format {
    let Some(structure) = caps.structure(0) else { return Format::Other };
    let (make, at): (fn(Framing) -> Format, usize) = match structure.name().as_str() {
        "video/x-h264" => (Format::H264, 4),
        "video/x-h265" => (Format::H265, 21),
        _ => return Format::Other,
    };
    if structure.get::<&str>("stream-format") == Ok("byte-stream") {
        return make(Framing::StartCodes);
    }
    // The configuration record says how long a length is.
    let record = structure.get::<gst::Buffer>("codec_data").ok();
    let record = record.as_ref().and_then(|record| record.map_readable().ok());
    let byte = record.as_ref().and_then(|record| record.get(at));
    byte.map_or(Format::Other, |byte| make(Framing::Lengths(usize::from(byte & 3) + 1)))
}

/// The units of which at least the first byte is there.
fn units(framing: Framing, data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let unit = match framing {
            Framing::StartCodes => {
                let start = rest.windows(3).position(|three| three == [0, 0, 1])? + 3;
                rest = &rest[start..];
                rest
            }
            Framing::Lengths(size) => {
                let (length, after) = rest.split_at_checked(size)?;
                let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
                let unit = &after[..length.min(after.len())];
                rest = &after[unit.len()..];
                unit
            }
        };
        (!unit.is_empty()).then_some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h264_frames_that_nothing_builds_on() {
        let mut nals = Nals::default();
        let plain = Format::H264(Framing::StartCodes);
        // An access unit delimiter, then a slice with nal_ref_idc 0, 2 and 3 (a key frame).
        for (slice, expected) in [(0x01, true), (0x41, false), (0x65, false)] {
            let bytes = [0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, slice, 0x9a];
            assert_eq!(nals.unneeded(plain, &bytes), expected, "{slice:#x}");
        }
        let counted = Format::H264(Framing::Lengths(4));
        assert!(nals.unneeded(counted, &[0, 0, 0, 2, 0x06, 0, 0, 0, 1, 0, 0x01, 0x9a]));
        assert!(!nals.unneeded(counted, &[0, 0, 0, 2, 0x06, 0, 0, 0, 1, 0, 0x21, 0x9a]));
    }

    #[test]
    fn h265_frames_of_the_highest_layer_only() {
        let mut nals = Nals::default();
        let format = Format::H265(Framing::StartCodes);
        let slice = |kind: u8, layer: u8| [0, 0, 1, kind << 1, layer, 0];
        assert!(nals.unneeded(format, &slice(0, 1)), "TRAIL_N");
        assert!(nals.unneeded(format, &slice(8, 1)), "RASL_N");
        assert!(!nals.unneeded(format, &slice(1, 1)), "TRAIL_R");
        assert!(!nals.unneeded(format, &slice(19, 1)), "IDR");
        assert!(nals.unneeded(format, &slice(2, 2)), "TSA_N of a higher layer");
        assert!(!nals.unneeded(format, &slice(0, 1)), "the higher layer may build on it");
    }

    proptest::proptest! {
        /// Whatever the bytes: an answer.
        #[test]
        fn any_bytes_are_read(data: Vec<u8>, size in 1_usize..5) {
            let mut nals = Nals::default();
            for framing in [Framing::StartCodes, Framing::Lengths(size)] {
                nals.unneeded(Format::H264(framing), &data);
                nals.unneeded(Format::H265(framing), &data);
            }
        }
    }
}
