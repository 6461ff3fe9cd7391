//! Hardware that fails: once more, then software, and the status says so. The hardware is a fake
//! that is registered with GStreamer in this process only; the clip and the rest are real.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

#[path = "support/clip.rs"]
mod clip;
#[path = "support/frames.rs"]
mod frames;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use frames::{frames, opener};
use gstreamer::prelude::*;
use gstreamer::subclass::ElementMetadata;
use gstreamer::subclass::prelude::*;
use gstreamer::{self as gst, glib};
use seewhen::capture::gstreamer::{Decoders, Pace};
use seewhen::config::CameraSource;
use seewhen::model::{DecoderChoice, Every};

glib::wrapper! {
    pub struct Broken(ObjectSubclass<imp::Broken>) @extends gst::Element, gst::Object;
}

/// Whether it fails without a word.
static SILENT: AtomicBool = AtomicBool::new(false);

mod imp {
    use super::*;

    /// Takes every frame and fails, or gives nothing.
    #[derive(Default)]
    pub struct Broken;

    #[glib::object_subclass]
    impl ObjectSubclass for Broken {
        const NAME: &'static str = "BrokenHardware";
        type Type = super::Broken;
        type ParentType = gst::Element;
    }

    impl ObjectImpl for Broken {
        fn constructed(&self) {
            self.parent_constructed();
            let templates = <Self as ElementImpl>::pad_templates();
            let sink = gst::Pad::builder_from_template(&templates[0])
                .chain_function(|_, _, _| {
                    let silent = SILENT.load(Ordering::Relaxed);
                    if silent { Ok(gst::FlowSuccess::Ok) } else { Err(gst::FlowError::Error) }
                })
                .build();
            let source = gst::Pad::from_template(&templates[1]);
            self.obj().add_pad(&sink).unwrap();
            self.obj().add_pad(&source).unwrap();
        }
    }

    impl GstObjectImpl for Broken {}

    impl ElementImpl for Broken {
        fn metadata() -> Option<&'static ElementMetadata> {
            static METADATA: LazyLock<ElementMetadata> = LazyLock::new(|| {
                ElementMetadata::new("Broken", "Codec/Decoder/Video/Hardware", "Fails", "seewhen")
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let coded = gst::Caps::new_empty_simple("video/x-h264");
                let raw = gst::Caps::new_empty_simple("video/x-raw");
                let always = gst::PadPresence::Always;
                vec![
                    gst::PadTemplate::new("sink", gst::PadDirection::Sink, always, &coded).unwrap(),
                    gst::PadTemplate::new("src", gst::PadDirection::Src, always, &raw).unwrap(),
                ]
            });
            &TEMPLATES
        }
    }
}

#[test]
fn fails_twice_and_is_replaced_by_software() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.mp4");
    let line = "videotestsrc num-buffers=300 ! video/x-raw,width=64,height=64,framerate=10/1 \
                ! x264enc key-int-max=10 ! h264parse ! mp4mux";
    clip::write(line, &file);
    let rank = gst::Rank::NONE;
    gst::Element::register(None, "brokenhardware", rank, Broken::static_type()).unwrap();

    let mut opener = opener(CameraSource::File(file));
    let (pictures, work) = frames(&opener, 5).unwrap();
    assert_eq!(pictures.len(), 5);
    let (decoder, note) = (work.decoder.unwrap(), work.note.unwrap());
    assert_ne!(&*decoder, "brokenhardware");
    assert!(note.starts_with("hardware decoding failed, decoding in software: "), "{note}");
    // The next life remembers.
    let (_, work) = frames(&opener, 1).unwrap();
    assert!(work.note.is_some());

    // The same when it takes everything and gives nothing, even where few frames are decoded.
    SILENT.store(true, Ordering::Relaxed);
    opener.decoders = Decoders::new(DecoderChoice::Auto);
    opener.every = Every::KeyFrames;
    opener.pace = Pace::AsFastAsPossible;
    let (pictures, work) = frames(&opener, 5).unwrap();
    assert_eq!((pictures.len(), work.note.is_some()), (5, true));

    // Who asks for software gets it without a word, who insists on hardware that is not there
    // hears it.
    opener.decoders = Decoders::new(DecoderChoice::Software);
    assert!(frames(&opener, 1).unwrap().1.note.is_none());
    opener.decoders = Decoders::new(DecoderChoice::Nvcodec);
    let error = frames(&opener, 1).unwrap_err().to_string();
    assert!(error.starts_with("decoder = \"nvcodec\": there is no such decoder"), "{error}");
}
