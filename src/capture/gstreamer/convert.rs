//! From the decoder's pixels to RGB pictures: square pixels, and no comb of two moments.

use gstreamer as gst;
use gstreamer_video as video;

use crate::capture::CaptureError;
use crate::model::Picture;

/// A pixel that is wider or narrower than this is a mistake of the file.
const ODDEST: f64 = 8.0;

/// From the decoder's format to RGB, as high as it was and as wide as it is shown.
pub(super) struct Converter {
    pub(super) from: video::VideoInfo,
    to: video::VideoInfo,
    convert: video::VideoConverter,
}

impl Converter {
    pub(super) fn new(from: video::VideoInfo) -> Result<Self, CaptureError> {
        let cannot = |why: String| {
            let format = from.format();
            CaptureError::Source(format!("cannot convert {format} frames to RGB: {why}"))
        };
        // A converter refuses to change pace or interlacing.
        let to =
            video::VideoInfo::builder(video::VideoFormat::Rgb, shown_width(&from), from.height())
                .fps(from.fps())
                .par(gst::Fraction::new(1, 1))
                .interlace_mode(from.interlace_mode())
                .build()
                .map_err(|error| cannot(error.to_string()))?;
        let convert = video::VideoConverter::new(&from, &to, None)
            .map_err(|error| cannot(error.to_string()))?;
        Ok(Self { from, to, convert })
    }

    pub(super) fn convert(&self, buffer: &gst::BufferRef) -> Result<Picture, CaptureError> {
        let broken = |what: &str| CaptureError::Source(format!("a frame {what}"));
        let from = video::VideoFrameRef::from_buffer_ref_readable(buffer, &self.from)
            .map_err(|_| broken("that is smaller than its format says"))?;
        let mut rgb =
            gst::Buffer::with_size(self.to.size()).map_err(|_| broken("too large for memory"))?;
        {
            let rgb = rgb.get_mut().ok_or_else(|| broken("that is shared"))?;
            let mut to = video::VideoFrameRef::from_buffer_ref_writable(rgb, &self.to)
                .map_err(|_| broken("that cannot be written"))?;
            self.convert.frame_ref(&from, &mut to);
        }
        let to = video::VideoFrameRef::from_buffer_ref_readable(&rgb, &self.to)
            .map_err(|_| broken("that cannot be read"))?;
        let stride = usize::try_from(self.to.stride()[0]).unwrap_or(0);
        let row = self.to.width() as usize * 3;
        let data = to.plane_data(0).map_err(|_| broken("without pixels"))?;
        let mut pixels = Vec::with_capacity(row * self.to.height() as usize);
        for line in data.chunks_exact(stride.max(1)).take(self.to.height() as usize) {
            pixels.extend_from_slice(&line[..row]);
        }
        if self.interlaced(buffer) {
            one_moment(&mut pixels, row);
        }
        Ok(Picture { width: self.to.width(), height: self.to.height(), rgb: pixels })
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

/// The width at which pixels are square. Rows are left alone: they may belong to two fields.
fn shown_width(from: &video::VideoInfo) -> u32 {
    let (numerator, denominator) = (from.par().numer(), from.par().denom());
    let par = f64::from(numerator) / f64::from(denominator);
    let width = (f64::from(from.width()) * par).round();
    let sane = (1.0 / ODDEST..=ODDEST).contains(&par) && width >= 1.0;
    if sane { width as u32 } else { from.width() }
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
