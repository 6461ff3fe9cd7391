//! Any picture gives finite values of the right size; known pictures give known values; and,
//! where the shared references are at hand, OpenAI's own `_transform` is met.

use proptest::prelude::*;

use super::geometry::{Pixels, Placement, Rounding, region_of};
use super::*;
use crate::model::Region;

pub(in crate::clip) fn spec(size: u32) -> PreprocessSpec {
    PreprocessSpec {
        size,
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        filter: Filter::Bicubic,
        fit: Fit::Crop,
        rounding: Rounding::Torchvision,
        fill: [0; 3],
    }
}

fn flat(width: u32, height: u32, rgb: [u8; 3]) -> Picture {
    Picture { width, height, rgb: rgb.repeat(width as usize * height as usize) }
}

fn run(picture: &Picture, view: View, spec: &PreprocessSpec) -> Vec<f32> {
    let mut out = vec![f32::NAN; spec.len()];
    preprocess(picture, view, spec, &mut out).unwrap();
    out
}

#[test]
fn a_flat_picture_is_flat_and_normalised() {
    let spec = spec(8);
    for (width, height) in [(8, 8), (1, 1), (640, 3), (3, 640), (4000, 1), (100, 64)] {
        let out = run(&flat(width, height, [255, 0, 128]), View::default(), &spec);
        for (channel, value) in [255.0_f32, 0.0, 128.0].into_iter().enumerate() {
            let expected = (value / 255.0 - spec.mean[channel]) / spec.std[channel];
            assert!(out[channel * 64..][..64].iter().all(|v| *v == expected), "{width}x{height}");
        }
    }
}

#[test]
fn padding_has_the_fill_colour() {
    let spec = PreprocessSpec { fill: [10, 20, 30], ..spec(8) };
    let view = View { fit: Some(Fit::Pad), ..View::default() };
    let out = run(&flat(16, 8, [200; 3]), view, &spec);
    let value = |v: f32, c: usize| (v / 255.0 - spec.mean[c]) / spec.std[c];
    for channel in 0..3 {
        let plane = &out[channel * 64..][..64];
        let fill = value(f32::from(spec.fill[channel]), channel);
        assert!(plane[..16].iter().chain(&plane[48..]).all(|v| *v == fill));
        assert!(plane[16..48].iter().all(|v| *v == value(200.0, channel)));
    }
}

#[test]
fn the_filter_does_not_look_past_the_region() {
    let mut picture = flat(100, 100, [0; 3]);
    for row in picture.rgb.chunks_exact_mut(300) {
        row[150..].fill(255);
    }
    let region = Region { x: 0.5, y: 0.0, width: 0.5, height: 0.5 };
    let out =
        run(&picture, View { region: Some(region), fit: Some(Fit::Crop), tiles: false }, &spec(16));
    assert_eq!(out, run(&flat(50, 50, [255; 3]), View::default(), &spec(16)));
}

#[test]
fn regions_stay_inside() {
    let region = |x, width| Some(Region { x, y: 0.0, width, height: 1.0 });
    let pixels = |left, width| Pixels { left, top: 0, width, height: 5 };
    assert_eq!(region_of(10, 5, None), pixels(0, 10));
    assert_eq!(region_of(10, 5, region(0.1, 0.8)), pixels(1, 8));
    assert_eq!(region_of(10, 5, region(0.99, 0.01)), pixels(9, 1));
    assert_eq!(region_of(10, 5, region(0.5, 0.001)), pixels(5, 1));
    assert_eq!(region_of(10, 5, region(0.5, 9.0)), pixels(5, 5));
    assert_eq!(region_of(10, 5, region(f64::NAN, f64::NAN)), pixels(0, 1));
}

#[test]
fn sizes_are_torchvisions() {
    // 640x427 at 224: int(224 * 640 / 427) = 335, crop at round(111 / 2) = 56 (half to even).
    let across = Placement::new(224, (640, 427), Fit::Crop, Rounding::Torchvision).across;
    assert!((across.from - 56.0 * 640.0 / 335.0).abs() < 1e-9, "{across:?}");
    assert!((across.length - 224.0 * 640.0 / 335.0).abs() < 1e-9, "{across:?}");
    // 500x375: 298.67 is 298 for torchvision and 299 for the nearest.
    for (rounding, scaled) in [(Rounding::Torchvision, 298.0), (Rounding::Nearest, 299.0)] {
        let across = Placement::new(224, (500, 375), Fit::Crop, rounding).across;
        assert!((across.from - 37.0 * 500.0 / scaled).abs() < 1e-9, "{across:?}");
    }
}

#[test]
fn wrong_pictures_are_refused() {
    let spec = spec(8);
    let mut out = vec![0.0; spec.len()];
    let empty = Picture { width: 0, height: 4, rgb: vec![] };
    let short = Picture { width: 4, height: 4, rgb: vec![0; 47] };
    let mut refused = |picture: &Picture| preprocess(picture, View::default(), &spec, &mut out);
    assert!(matches!(refused(&empty), Err(PreprocessError::Empty { .. })));
    assert!(matches!(refused(&short), Err(PreprocessError::Pixels { found: 47, .. })));
    let fault = preprocess(&flat(4, 4, [0; 3]), View::default(), &spec, &mut [0.0; 3]);
    assert!(matches!(fault, Err(PreprocessError::Output { found: 3, expected: 192 })));
}

fn fits() -> impl Strategy<Value = Fit> {
    prop_oneof![Just(Fit::Crop), Just(Fit::Pad), Just(Fit::Stretch)]
}

fn filters() -> impl Strategy<Value = Filter> {
    use Filter::{Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
    prop_oneof![
        Just(Nearest),
        Just(Box),
        Just(Bilinear),
        Just(Hamming),
        Just(Bicubic),
        Just(Lanczos)
    ]
}

fn sides() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![(1..300u32, 1..300u32), (1..=4000u32, 1..=3u32), (1..=3u32, 1..=4000u32)]
}

/// Any part of a picture, or none; it may stick out.
pub(in crate::clip) fn regions() -> impl Strategy<Value = Option<Region>> {
    let unit = || 0.0..1.0_f64;
    proptest::option::of(
        (unit(), unit(), unit(), unit()).prop_map(|(x, y, width, height)| Region {
            x,
            y,
            width,
            height,
        }),
    )
}

proptest! {
    #[test]
    fn any_picture_gives_finite_values(
        (width, height) in sides(),
        size in 1..64u32,
        fit in fits(),
        filter in filters(),
        region in regions(),
        seed in any::<u8>(),
    ) {
        let mut rgb = vec![0; width as usize * height as usize * 3];
        rgb.iter_mut().zip(0_u32..).for_each(|(b, i)| *b = (i * 37) as u8 ^ seed);
        let spec = PreprocessSpec { filter, ..spec(size) };
        let out = run(&Picture { width, height, rgb }, View { region, fit: Some(fit), tiles: false }, &spec);
        prop_assert!(out.iter().all(|v| v.is_finite() && v.abs() < 3.0));
    }

    #[test]
    fn a_used_preprocessor_gives_what_a_new_one_gives((width, height) in sides(), fit in fits()) {
        let spec = spec(16);
        let mut used = Preprocessor::new(spec.clone());
        let mut out = vec![0.0; spec.len()];
        used.run(&flat(333, 77, [9, 99, 199]), View::default(), &mut out).unwrap();
        let rgb = (0..width * height * 3).map(|i| (i % 251) as u8).collect();
        let picture = Picture { width, height, rgb };
        let view = View { fit: Some(fit), ..View::default() };
        used.run(&picture, view, &mut out).unwrap();
        prop_assert_eq!(out, run(&picture, view, &spec));
    }
}
