//! From the decoder's pixels to RGB pictures: square pixels, and no comb of two moments.

use gstreamer as gst;
use gstreamer_video as video;

use super::broken;
use crate::capture::CaptureError;
use crate::model::{Picture, Region};

/// A pixel that is wider or narrower than this is a mistake of the file.
const ODDEST: f64 = 8.0;
/// Rows (or columns, of an upright picture) that what is analysed keeps at least: twice what most
/// encoders take, and enough for people to look at.
const DETAIL: f64 = 720.0;

/// From the decoder's format to RGB. What is finer than anyone needs is scaled down first, in the
/// decoder's format, which is less than half as many bytes.
pub(super) struct Converter {
    pub(super) from: video::VideoInfo,
    steps: Vec<Step>,
}

/// One conversion, with the buffer that its result is written to, frame after frame.
struct Step {
    convert: video::VideoConverter,
    from: video::VideoInfo,
    to: video::VideoInfo,
    result: gst::Buffer,
}

impl Step {
    fn new(
        from: &video::VideoInfo,
        format: video::VideoFormat,
        (width, height): (u32, u32),
    ) -> Result<Self, CaptureError> {
        let cannot = |why: gst::glib::BoolError| {
            let format = from.format();
            CaptureError::Source(format!("cannot convert {format} frames to RGB: {why}"))
        };
        // A converter refuses to change pace or interlacing.
        let mut to = video::VideoInfo::builder(format, width, height)
            .fps(from.fps())
            .par(gst::Fraction::new(1, 1))
            .interlace_mode(from.interlace_mode());
        let colorimetry = from.colorimetry();
        if format == from.format() {
            to = to.colorimetry(&colorimetry).chroma_site(from.chroma_site());
        }
        let to = to.build().map_err(cannot)?;
        let convert = video::VideoConverter::new(from, &to, None).map_err(cannot)?;
        let result = gst::Buffer::with_size(to.size()).map_err(cannot)?;
        Ok(Self { convert, from: from.clone(), to, result })
    }

    fn run(&mut self, buffer: &gst::BufferRef) -> Result<(), CaptureError> {
        let from = video::VideoFrameRef::from_buffer_ref_readable(buffer, &self.from)
            .map_err(|_| broken("that is smaller than its format says"))?;
        let result = self.result.get_mut().ok_or_else(|| broken("that is shared"))?;
        let mut to = video::VideoFrameRef::from_buffer_ref_writable(result, &self.to)
            .map_err(|_| broken("that cannot be written"))?;
        self.convert.frame_ref(&from, &mut to);
        Ok(())
    }
}

impl Converter {
    /// For frames of `from`, of which `region` is analysed.
    pub(super) fn new(
        from: video::VideoInfo,
        region: Option<Region>,
    ) -> Result<Self, CaptureError> {
        let size = shown_size(&from, region);
        let mut steps = Vec::new();
        if size.1 < from.height() {
            steps.push(Step::new(&from, from.format(), size)?);
        }
        let last = steps.last().map_or(&from, |step: &Step| &step.to).clone();
        steps.push(Step::new(&last, video::VideoFormat::Rgb, size)?);
        Ok(Self { from, steps })
    }

    pub(super) fn convert(&mut self, buffer: &gst::BufferRef) -> Result<Picture, CaptureError> {
        let mut done: Option<&Step> = None;
        for step in &mut self.steps {
            step.run(done.map_or(buffer, |before| &before.result))?;
            done = Some(step);
        }
        let done = done.ok_or_else(|| broken("without a conversion"))?;
        let mut picture = packed(done)?;
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
                let flags = video::VideoBufferFlags::from_bits_truncate(buffer.flags().bits());
                flags.contains(video::VideoBufferFlags::INTERLACED)
            }
            _ => true,
        }
    }
}

/// The pixels of a result, without what pads its rows.
fn packed(step: &Step) -> Result<Picture, CaptureError> {
    let (width, height) = (step.to.width(), step.to.height());
    let frame = video::VideoFrameRef::from_buffer_ref_readable(&step.result, &step.to)
        .map_err(|_| broken("that cannot be read"))?;
    let stride = usize::try_from(step.to.stride()[0]).unwrap_or(0);
    let row = width as usize * 3;
    let data = frame.plane_data(0).map_err(|_| broken("without pixels"))?;
    let mut rgb = Vec::with_capacity(row * height as usize);
    for line in data.chunks_exact(stride.max(1)).take(height as usize) {
        rgb.extend_from_slice(&line[..row]);
    }
    Ok(Picture { width, height, rgb })
}

/// The size at which pixels are square, and no larger than `region` needs. The rows of interlaced
/// frames are left alone: they belong to two fields.
fn shown_size(from: &video::VideoInfo, region: Option<Region>) -> (u32, u32) {
    let (numerator, denominator) = (from.par().numer(), from.par().denom());
    let par = f64::from(numerator) / f64::from(denominator);
    let sane = (1.0 / ODDEST..=ODDEST).contains(&par);
    let (width, height) = (f64::from(from.width()), f64::from(from.height()));
    let width = if sane { (width * par).max(1.0) } else { width };
    let progressive = from.interlace_mode() == video::VideoInterlaceMode::Progressive;
    let (across, down) = region.map_or((1.0, 1.0), |region| (region.width, region.height));
    let scale = if progressive { DETAIL / (width * across).min(height * down) } else { 1.0 };
    let shown = |side: f64| (side * scale.min(1.0)).round().max(1.0) as u32;
    (shown(width), shown(height))
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
