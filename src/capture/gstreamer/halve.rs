//! Frames at half their size, in the decoder's own format: each pixel is the mean of four.
//!
//! A scaler that can do any size gathers its pixels one by one, which takes several times as long.

use gstreamer as gst;
use gstreamer_video as video;
use gstreamer_video::VideoFormat as Format;
use gstreamer_video::prelude::*;

/// Bytes per pixel of each plane, where every one of them is a value of its own.
pub(super) fn planes(format: Format) -> Option<&'static [usize]> {
    Some(match format {
        Format::I420 | Format::Yv12 | Format::Y42b | Format::Y444 => &[1; 3],
        Format::Nv12 | Format::Nv21 | Format::Nv16 => &[1, 2],
        Format::Gray8 => &[1],
        _ => return None,
    })
}

/// A side at half its length. An odd one's last pixel is there twice, as in chroma planes.
pub(super) fn half(side: u32) -> u32 {
    side.div_ceil(2)
}

/// Halves a frame of a format that [`planes`] knows. `None` when a plane is too short.
pub(super) fn halve(
    planes: &[usize],
    from: &video::VideoFrameRef<&gst::BufferRef>,
    to: &mut video::VideoFrameRef<&mut gst::BufferRef>,
) -> Option<()> {
    for (number, bytes) in (0..).zip(planes) {
        let wide = from.comp_width(number) as usize * bytes;
        let strides = (stride(from.plane_stride(), number)?, stride(to.plane_stride(), number)?);
        let source = Plane { data: from.plane_data(number).ok()?, stride: strides.0 };
        let high = from.comp_height(number) as usize;
        let result = to.plane_data_mut(number).ok()?.chunks_exact_mut(strides.1);
        for (y, to) in result.take(high.div_ceil(2)).enumerate() {
            let (above, below) =
                (source.row(y * 2, wide)?, source.row((y * 2 + 1).min(high - 1), wide)?);
            match bytes {
                1 => halve_rows::<1>(above, below, to),
                _ => halve_rows::<2>(above, below, to),
            }
        }
    }
    Some(())
}

fn stride(all: &[i32], plane: u32) -> Option<usize> {
    usize::try_from(*all.get(plane as usize)?).ok().filter(|stride| *stride > 0)
}

struct Plane<'a> {
    data: &'a [u8],
    stride: usize,
}

impl<'a> Plane<'a> {
    fn row(&self, y: usize, length: usize) -> Option<&'a [u8]> {
        self.data.get(y * self.stride..)?.get(..length)
    }
}

/// Two rows to one of half the length, with `N` bytes a pixel.
fn halve_rows<const N: usize>(above: &[u8], below: &[u8], to: &mut [u8]) {
    let mean = |values: [u8; 4]| {
        let sum: u16 = values.into_iter().map(u16::from).sum();
        ((sum + 2) >> 2) as u8
    };
    let pairs = above.chunks_exact(2 * N).zip(below.chunks_exact(2 * N));
    for (to, (above, below)) in to.chunks_exact_mut(N).zip(pairs) {
        for i in 0..N {
            to[i] = mean([above[i], above[N + i], below[i], below[N + i]]);
        }
    }
    let (above, below) = (above.chunks_exact(2 * N), below.chunks_exact(2 * N));
    let whole = above.len() * N;
    for (i, (above, below)) in above.remainder().iter().zip(below.remainder()).enumerate() {
        to[whole + i] = above.midpoint(*below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_is_the_mean_of_four() {
        let mut row = [0; 3];
        halve_rows::<1>(&[0, 10, 255, 255, 7], &[20, 30, 255, 255, 9], &mut row);
        assert_eq!(row, [15, 255, 8]);
        let mut row = [0; 4];
        halve_rows::<2>(&[0, 100, 10, 110, 1, 2], &[20, 120, 30, 130, 3, 4], &mut row);
        assert_eq!(row, [15, 115, 2, 3]);
    }

    #[test]
    fn every_format_that_is_known_is_halved_plane_by_plane() {
        gst::init().unwrap();
        for format in [Format::I420, Format::Y42b, Format::Y444, Format::Nv12, Format::Gray8] {
            for (width, height) in [(8, 6), (9, 7), (10, 2), (1, 1)] {
                let info = |w, h| video::VideoInfo::builder(format, w, h).build().unwrap();
                let (from, to) = (info(width, height), info(half(width), half(height)));
                let source = gst::Buffer::from_mut_slice(vec![77; from.size()]);
                let mut result = gst::Buffer::from_mut_slice(vec![0; to.size()]);
                let source =
                    video::VideoFrameRef::from_buffer_ref_readable(&source, &from).unwrap();
                let into = result.get_mut().unwrap();
                let mut into = video::VideoFrameRef::from_buffer_ref_writable(into, &to).unwrap();
                halve(planes(format).unwrap(), &source, &mut into).unwrap();
                for plane in 0..into.n_planes() {
                    let wide = into.comp_width(plane) as usize;
                    let row = &into.plane_data(plane).unwrap()[..wide];
                    assert!(row.iter().all(|value| *value == 77), "{format} {width}x{height}");
                }
            }
        }
    }
}
