//! From the decoder's pixels to RGB pictures: square pixels, and no comb of two moments.

use gstreamer as gst;
use gstreamer_video as video;
use gstreamer_video::prelude::*;

use super::halve::{half, halve, planes};
use super::trouble::broken;
use crate::capture::CaptureError;
use crate::model::{Picture, Region};

/// A pixel that is wider or narrower than this is a mistake of the file. Half the width of standard
/// definition, shown at 16:9, has 2.9.
const ODDEST: f64 = 3.0;
/// Rows (or columns, of an upright picture) that what is analysed keeps at least: more than twice
/// what most encoders take, and as much as any does.
const DETAIL: f64 = 512.0;

/// From the decoder's format to RGB. What is finer than any encoder needs is halved first, in the
/// decoder's format, which is half as many bytes.
pub(super) struct Converter {
    from: video::VideoInfo,
    /// Its pictures are turned on their side afterwards.
    turned: bool,
    /// Each with the buffer for its result.
    smaller: Vec<(Step, gst::Buffer)>,
    rgb: Step,
}

struct Step {
    how: How,
    from: video::VideoInfo,
    to: video::VideoInfo,
}

enum How {
    /// Bytes per pixel of each plane.
    Halve(&'static [usize]),
    Convert(video::VideoConverter),
}

impl Step {
    fn new(from: &video::VideoInfo, to: video::VideoInfo) -> Result<Self, CaptureError> {
        let how = match planes(from.format()) {
            Some(planes) if to.format() == from.format() => How::Halve(planes),
            _ => How::Convert(
                video::VideoConverter::new(from, &to, None).map_err(|why| cannot(from, &why))?,
            ),
        };
        Ok(Self { how, from: from.clone(), to })
    }

    fn run(&self, buffer: &gst::BufferRef, result: &mut gst::Buffer) -> Result<(), CaptureError> {
        let from = video::VideoFrameRef::from_buffer_ref_readable(buffer, &self.from)
            .map_err(|_| broken("that is smaller than its format says"))?;
        let result = result.get_mut().ok_or_else(|| broken("that is shared"))?;
        let mut to = video::VideoFrameRef::from_buffer_ref_writable(result, &self.to)
            .map_err(|_| broken("that cannot be written"))?;
        match &self.how {
            How::Halve(planes) => {
                halve(planes, &from, &mut to).ok_or_else(|| broken("that is too short"))?;
            }
            How::Convert(converter) => converter.frame_ref(&from, &mut to),
        }
        Ok(())
    }
}

impl Converter {
    /// For frames of `from`, of which `region` is analysed after they are `turned`.
    pub(super) fn new(
        from: video::VideoInfo,
        region: Option<Region>,
        turned: bool,
    ) -> Result<Self, CaptureError> {
        let mut smaller = Vec::new();
        let mut last = from.clone();
        for size in smaller_sizes(&from, region, turned) {
            let to = resized(&last, size).map_err(|why| cannot(&from, &why))?;
            let buffer = gst::Buffer::with_size(to.size()).map_err(|why| cannot(&from, &why))?;
            smaller.push((Step::new(&last, to.clone())?, buffer));
            last = to;
        }
        let to = rgb(&last).map_err(|why| cannot(&from, &why))?;
        Ok(Self { from, turned, smaller, rgb: Step::new(&last, to)? })
    }

    /// Whether it can go on with such frames.
    pub(super) fn takes(&self, from: &video::VideoInfo, turned: bool) -> bool {
        self.from == *from && self.turned == turned
    }

    pub(super) fn convert(&mut self, buffer: &gst::BufferRef) -> Result<Picture, CaptureError> {
        let mut source = buffer;
        for (step, result) in &mut self.smaller {
            step.run(source, result)?;
            source = result;
        }
        let to = &self.rgb.to;
        let mut result = gst::Buffer::from_mut_slice(vec![0_u8; to.size()]);
        self.rgb.run(source, &mut result)?;
        let rgb = result.try_into_inner().map_err(|_| broken("that cannot be read"))?;
        let mut picture = Picture { width: to.width(), height: to.height(), rgb };
        if self.interlaced(buffer) {
            one_moment(&mut picture.rgb, picture.width as usize * 3);
        }
        Ok(picture)
    }

    /// Whether odd and even rows were taken at different moments.
    fn interlaced(&self, buffer: &gst::BufferRef) -> bool {
        match self.from.interlace_mode() {
            video::VideoInterlaceMode::Progressive => false,
            video::VideoInterlaceMode::Mixed => {
                buffer.video_flags().contains(video::VideoBufferFlags::INTERLACED)
            }
            _ => true,
        }
    }
}

fn cannot(from: &video::VideoInfo, why: &gst::glib::BoolError) -> CaptureError {
    CaptureError::Source(format!("cannot convert {} frames to RGB: {why}", from.format()))
}

/// The same format at another size.
fn resized(
    from: &video::VideoInfo,
    (width, height): (u32, u32),
) -> Result<video::VideoInfo, gst::glib::BoolError> {
    video::VideoInfo::builder(from.format(), width, height)
        .fps(from.fps())
        .par(from.par())
        .interlace_mode(from.interlace_mode())
        .colorimetry(&from.colorimetry())
        .chroma_site(from.chroma_site())
        .build()
}

/// Square pixels of three bytes, with nothing between their rows.
fn rgb(from: &video::VideoInfo) -> Result<video::VideoInfo, gst::glib::BoolError> {
    let (width, height) = square(from);
    let row = i32::try_from(width * 3).unwrap_or(i32::MAX);
    video::VideoInfo::builder(video::VideoFormat::Rgb, width, height)
        .stride(&[row])
        .size(width as usize * 3 * height as usize)
        // A converter refuses to change pace or interlacing.
        .fps(from.fps())
        .par(gst::Fraction::new(1, 1))
        .interlace_mode(from.interlace_mode())
        .build()
}

/// The sizes to go through, each half of the one before, while `region` is finer than needed. The
/// rows of interlaced frames are left alone: they belong to two fields.
fn smaller_sizes(from: &video::VideoInfo, region: Option<Region>, turned: bool) -> Vec<(u32, u32)> {
    let mut sizes = Vec::new();
    if from.interlace_mode() != video::VideoInterlaceMode::Progressive {
        return sizes;
    }
    let (across, down) = region.map_or((1.0, 1.0), |region| (region.width, region.height));
    let (across, down) = if turned { (down, across) } else { (across, down) };
    let (width, height) = square(from);
    let mut least = (f64::from(width) * across).min(f64::from(height) * down);
    let mut size = (from.width(), from.height());
    while least >= DETAIL * 2.0 {
        least /= 2.0;
        size = (half(size.0), half(size.1));
        sizes.push(size);
    }
    if planes(from.format()).is_none() {
        // GStreamer scales to any size at once.
        sizes.drain(..sizes.len().saturating_sub(1));
    }
    sizes
}

/// The size at which pixels are square.
fn square(from: &video::VideoInfo) -> (u32, u32) {
    let par = f64::from(from.par().numer()) / f64::from(from.par().denom());
    let sane = (1.0 / ODDEST..=ODDEST).contains(&par);
    let width = f64::from(from.width()) * if sane { par } else { 1.0 };
    (width.round().max(1.0) as u32, from.height())
}

/// Puts the mean of its neighbours into every second row.
fn one_moment(pixels: &mut [u8], row: usize) {
    let rows = pixels.len() / row.max(1);
    for y in (1..rows).step_by(2) {
        let (above, rest) = pixels.split_at_mut(y * row);
        let above = &above[(y - 1) * row..];
        let (this, below) = rest.split_at_mut(row);
        let below = if below.is_empty() { above } else { &below[..row] };
        for (value, (above, below)) in this.iter_mut().zip(above.iter().zip(below)) {
            *value = above.midpoint(*below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(width: u32, height: u32, mode: video::VideoInterlaceMode) -> video::VideoInfo {
        gst::init().unwrap();
        video::VideoInfo::builder(video::VideoFormat::I420, width, height)
            .interlace_mode(mode)
            .build()
            .unwrap()
    }

    #[test]
    fn halved_while_the_region_stays_fine_enough() {
        let sizes = |width, height, region, turned| {
            let from = info(width, height, video::VideoInterlaceMode::Progressive);
            smaller_sizes(&from, region, turned)
        };
        assert_eq!(sizes(1280, 720, None, false), []);
        assert_eq!(sizes(1920, 1080, None, false), [(960, 540)]);
        assert_eq!(sizes(3840, 2160, None, false), [(1920, 1080), (960, 540)]);
        let part = Region { x: 0.0, y: 0.0, width: 0.3, height: 1.0 };
        assert_eq!(sizes(3840, 2160, Some(part), false), [(1920, 1080)]);
        assert_eq!(sizes(3840, 2160, Some(part), true), [], "648 columns when upright");
        let woven = info(1920, 1080, video::VideoInterlaceMode::Interleaved);
        assert_eq!(smaller_sizes(&woven, None, false), []);
    }

    #[test]
    fn mixed_video_says_frame_by_frame() {
        let from = info(64, 48, video::VideoInterlaceMode::Mixed);
        let converter = Converter::new(from.clone(), None, false).unwrap();
        let mut buffer = gst::Buffer::with_size(from.size()).unwrap();
        assert!(!converter.interlaced(&buffer));
        buffer.get_mut().unwrap().set_video_flags(video::VideoBufferFlags::INTERLACED);
        assert!(converter.interlaced(&buffer));
    }
}
