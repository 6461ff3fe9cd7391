//! Video as cameras and files have it: every codec, shape and way up comes out as it should be
//! seen. The clips are made here with real encoders.
#![expect(clippy::unwrap_used, reason = "a test, helpers included")]

#[path = "support/clip.rs"]
mod clip;
#[path = "support/frames.rs"]
mod frames;

use std::path::{Path, PathBuf};

use frames::{colour, frames, opener};
use gstreamer_video as _;
use seewhen::capture::gstreamer::Pace;
use seewhen::config::CameraSource;
use seewhen::model::Picture;

/// Ten frames of colour bars (white at the left, blue at the right) with `chain` behind the source.
fn bars(folder: &Path, name: &str, chain: &str) -> PathBuf {
    let file = folder.join(name);
    clip::write(&format!("videotestsrc num-buffers=10 pattern=smpte75 ! {chain}"), &file);
    file
}

fn first(file: PathBuf) -> Picture {
    let name = file.display().to_string();
    let (pictures, _) = frames(&opener(CameraSource::File(file)), 5)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    pictures.into_iter().next().unwrap()
}

/// Which of the bars' colours it is.
fn bar(rgb: [u8; 3]) -> &'static str {
    match rgb.map(|level| level > 95) {
        [true, true, true] => "white",
        [true, true, false] => "yellow",
        [false, false, true] => "blue",
        [false, false, false] => "black",
        _ => "other",
    }
}

#[test]
fn every_codec_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let size = "video/x-raw,format=I420,width=320,height=240,framerate=10/1";
    let bytes = "video/x-h264,stream-format=byte-stream,alignment=au";
    for (name, chain) in [
        ("h264.mp4", format!("{size} ! x264enc ! h264parse ! mp4mux")),
        ("h264-bframes.mkv", format!("{size} ! x264enc bframes=3 ! h264parse ! matroskamux")),
        ("h265.ts", format!("{size} ! x265enc ! h265parse ! mpegtsmux")),
        ("h264-raw.h264", format!("{size} ! x264enc ! h264parse config-interval=-1 ! {bytes}")),
        ("mjpeg.avi", format!("{size} ! jpegenc ! avimux")),
        ("vp9.webm", format!("{size} ! vp9enc deadline=1 ! webmmux")),
        ("av1.mkv", format!("{size} ! av1enc cpu-used=8 ! av1parse ! matroskamux")),
        (
            "h265-10bit.mkv",
            "video/x-raw,format=I420_10LE,width=320,height=240,framerate=10/1 ! x265enc \
             ! h265parse ! matroskamux"
                .to_owned(),
        ),
    ] {
        let picture = first(bars(folder.path(), name, &chain));
        assert_eq!((picture.width, picture.height), (320, 240), "{name}");
        assert_eq!(bar(colour(&picture, 0.05, 0.3)), "white", "{name}");
        assert_eq!(bar(colour(&picture, 0.93, 0.3)), "blue", "{name}");
    }
}

#[test]
fn odd_sizes_and_full_chroma() {
    let folder = tempfile::tempdir().unwrap();
    let chain = "video/x-raw,format=Y444,width=321,height=181,framerate=10/1 ! x264enc \
                 ! h264parse ! matroskamux";
    let picture = first(bars(folder.path(), "odd.mkv", chain));
    assert_eq!((picture.width, picture.height), (321, 181));
    assert_eq!(bar(colour(&picture, 0.93, 0.3)), "blue");
}

#[test]
fn pixels_that_are_not_square_are_made_so() {
    let folder = tempfile::tempdir().unwrap();
    for (par, width) in [("16/11", 512), ("1/2", 176), ("1000/1", 352)] {
        let chain = format!(
            "video/x-raw,format=I420,width=352,height=288,framerate=10/1,pixel-aspect-ratio={par} \
             ! x264enc ! h264parse ! matroskamux"
        );
        let picture = first(bars(folder.path(), &format!("{width}.mkv"), &chain));
        assert_eq!((picture.width, picture.height), (width, 288), "{par}");
        assert_eq!(bar(colour(&picture, 0.05, 0.3)), "white");
        assert_eq!(bar(colour(&picture, 0.93, 0.3)), "blue");
    }
}

#[test]
fn what_was_filmed_on_its_side_is_turned() {
    let folder = tempfile::tempdir().unwrap();
    // The left edge, which is white, goes to the top when turned clockwise.
    let chain = "video/x-raw,format=I420,width=320,height=240,framerate=10/1 ! x264enc \
                 ! h264parse ! mp4mux";
    for (matrix, size, white, blue) in [
        ([0, 1, -1, 0], (240, 320), (0.7, 0.05), (0.7, 0.93)),
        ([-1, 0, 0, -1], (320, 240), (0.93, 0.7), (0.05, 0.7)),
        ([0, -1, 1, 0], (240, 320), (0.3, 0.93), (0.3, 0.05)),
    ] {
        let file = bars(folder.path(), "turned.mp4", chain);
        clip::turn(&file, matrix);
        let picture = first(file);
        assert_eq!((picture.width, picture.height), size, "{matrix:?}");
        assert_eq!(bar(colour(&picture, white.0, white.1)), "white", "{matrix:?}");
        assert_eq!(bar(colour(&picture, blue.0, blue.1)), "blue", "{matrix:?}");
    }
}

#[test]
fn interlaced_rows_show_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    // A white frame and a black one woven into one: a comb of white and black rows.
    let chain = "video/x-raw,format=I420,width=320,height=240,framerate=20/1 \
                 ! interlace field-pattern=1:1 top-field-first=true \
                 ! x264enc interlaced=true quantizer=10 pass=quant ! h264parse ! matroskamux";
    let made = bars(folder.path(), "bars.mkv", chain);
    let file = folder.path().join("comb.mkv");
    clip::write(&format!("videotestsrc num-buffers=20 pattern=blink ! {chain}"), &file);
    assert_eq!(bar(colour(&first(made), 0.93, 0.3)), "blue");
    let (pictures, _) = frames(&opener(CameraSource::File(file)), 6).unwrap();
    for picture in &pictures {
        let row = |y: usize| i16::from(picture.rgb[y * 320 * 3 + 480]);
        let comb = (100..140).map(|y| (row(y) - row(y + 1)).abs()).max().unwrap();
        assert!(comb < 30, "neighbouring rows differ by {comb}");
    }
}

/// Two clips in one file, the second of another size and with time stamps that begin again.
#[test]
fn what_changes_on_the_way_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    for mux in ["mpegtsmux", "video/x-h264,stream-format=byte-stream"] {
        let part = |width: u32, height: u32| {
            let chain = format!(
                "video/x-raw,format=I420,width={width},height={height},framerate=10/1 ! x264enc \
                 bframes=0 ! h264parse config-interval=-1 ! {mux}"
            );
            std::fs::read(bars(folder.path(), "part", &chain)).unwrap()
        };
        let file = folder.path().join("both");
        std::fs::write(&file, [part(320, 240), part(640, 480)].concat()).unwrap();
        let mut opener = opener(CameraSource::File(file));
        opener.pace = Pace::AsFastAsPossible;
        let (pictures, _) = frames(&opener, 20).unwrap();
        let sizes = [320, 640].map(|width| pictures.iter().filter(|p| p.width == width).count());
        assert_eq!(sizes, [10, 10], "{mux}");
        assert_eq!(bar(colour(&pictures[19], 0.93, 0.3)), "blue", "{mux}");
    }
}

/// Subtitles that nothing here can show end neither the video nor the file's end.
#[test]
fn what_nobody_needs_is_left_aside() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("subtitles.mkv");
    clip::write(
        "videotestsrc num-buffers=20 ! video/x-raw,width=320,height=240,framerate=10/1 ! x264enc \
         ! h264parse ! matroskamux name=mux fakesrc num-buffers=2 sizetype=fixed sizemax=8 \
         format=time ! application/x-usf ! mux. mux.",
        &file,
    );
    let mut opener = opener(CameraSource::File(file));
    opener.pace = Pace::AsFastAsPossible;
    let (pictures, _) = frames(&opener, 21).unwrap();
    assert_eq!(pictures.len(), 20, "the file ends as a file does");
}
