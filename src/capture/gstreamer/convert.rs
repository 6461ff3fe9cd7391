//! From the decoder's pixels to RGB pictures.

use gstreamer as gst;
use gstreamer_video as video;

use crate::capture::CaptureError;
use crate::model::Picture;

/// From the decoder's format to RGB of the same size.
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
        // Only the format may differ: a converter refuses to change pace or interlacing.
        let to = video::VideoInfo::builder(video::VideoFormat::Rgb, from.width(), from.height())
            .fps(from.fps())
            .par(from.par())
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
        Ok(Picture { width: self.to.width(), height: self.to.height(), rgb: pixels })
    }
}
