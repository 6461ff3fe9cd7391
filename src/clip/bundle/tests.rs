//! Good bundles open, bad ones say what is wrong with which key of which file.

use std::fs;

use super::*;
use crate::clip::preprocess::Filter;
use crate::model::Fit;

const PREPROCESS_OK: &str = r#"{"size": 224, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}"#;

fn folder(config: &str, preprocess: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["visual", "textual"] {
        fs::create_dir(folder.path().join(part)).unwrap();
    }
    for (file, text) in
        [(CONFIG, config), (PREPROCESS, preprocess), (IMAGE_MODEL, "image"), (TOKENIZER, "{}")]
    {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn open(folder: &tempfile::TempDir) -> Result<Bundle, BundleError> {
    Bundle::open(folder.path().to_str().unwrap(), None)
}

#[track_caller]
fn refused(config: &str, preprocess: &str, parts: &[&str]) {
    let error = open(&folder(config, preprocess)).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{error:?} should contain {part:?}");
    }
}

#[cfg(feature = "embedded-bundle")]
#[test]
fn mini_is_part_of_the_program() {
    let nowhere = tempfile::tempdir().unwrap();
    let mini = Bundle::open("mini", Some(nowhere.path())).unwrap();
    assert_eq!((mini.name(), mini.place().as_str()), ("mini", "in the program"));
    assert_eq!((mini.info().logit_scale, mini.info().logit_bias), (20.0, 0.0));
    assert_eq!((mini.preprocess().size, mini.preprocess().filter), (224, Filter::Bicubic));
    assert_eq!((mini.embed_dim(), mini.context_length()), (Some(384), Some(77)));
    assert_eq!(mini.pad_token().as_deref(), Some("[PAD]"));
    let copy = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/mini"), None).unwrap();
    assert_eq!(copy.digest(), mini.digest(), "a copy in a folder uses the same cache");
}

#[test]
fn clips_defaults_hold_where_the_files_are_silent() {
    let bundle = open(&folder("{}", r#"{"size": [336, 336]}"#)).unwrap();
    assert_eq!((bundle.info().logit_scale, bundle.info().logit_bias), (100.0, 0.0));
    let spec = bundle.preprocess();
    assert_eq!((spec.size, spec.filter, spec.fit), (336, Filter::Bicubic, Fit::Crop));
    assert!((spec.mean[0] - 0.4815).abs() < 1e-4);
}

#[test]
fn siglip_settings_are_read() {
    let config =
        r#"{"model_cfg": {"logit_scale": 117.3, "logit_bias": -12.9, "init_logit_bias": -10}}"#;
    let preprocess = r#"{"size": 256, "mean": 0.5, "std": 0.5, "interpolation": "BILINEAR",
                         "resize_mode": "squash", "fill_color": [1, 2, 3]}"#;
    let bundle = open(&folder(config, preprocess)).unwrap();
    assert_eq!((bundle.info().logit_scale, bundle.info().logit_bias), (117.3, -12.9));
    let spec = bundle.preprocess();
    assert_eq!((spec.fit, spec.filter, spec.fill), (Fit::Stretch, Filter::Bilinear, [1, 2, 3]));
    assert!(bundle.notes().is_empty());
}

#[test]
fn values_from_before_training_are_not_taken() {
    let config = r#"{"init_logit_scale": 2.3, "init_logit_bias": -10}"#;
    let bundle = open(&folder(config, PREPROCESS_OK)).unwrap();
    assert_eq!(bundle.info().logit_scale, 100.0);
    assert!(bundle.notes()[0].contains("logit_bias"));
    let bundle = open(&folder(r#"{"logit_scale": 4.6052}"#, PREPROCESS_OK)).unwrap();
    assert!(bundle.notes()[0].contains("logarithm"));
}

#[test]
fn bad_values_are_named() {
    refused("{", PREPROCESS_OK, &["config.json is not JSON", "line 1 column 1"]);
    refused("[]", PREPROCESS_OK, &["config.json", "an object"]);
    refused(r#"{"logit_scale": "x"}"#, PREPROCESS_OK, &["logit_scale is \"x\"", "a number"]);
    refused(r#"{"logit_scale": 0}"#, PREPROCESS_OK, &["logit_scale is 0", "above 0"]);
    refused(
        r#"{"logit_scale": 10, "model_cfg": {"logit_scale": 20}}"#,
        PREPROCESS_OK,
        &["logit_scale is 10", "model_cfg.logit_scale, which is 20"],
    );
    refused("{}", "{}", &["preprocess_cfg.json", "size is absent"]);
    for size in ["[224, 336]", "0", "-1", "9999999", "\"224\"", "[]", "2.5"] {
        refused("{}", &format!(r#"{{"size": {size}}}"#), &["size is", "one whole number"]);
    }
    let bad = |key: &str, value: &str| format!(r#"{{"size": 224, "{key}": {value}}}"#);
    refused("{}", &bad("std", "[0.2, 0, 0.2]"), &["std is [0.2,0,0.2]", "above 0"]);
    refused("{}", &bad("mean", "[0.2, 0.2]"), &["mean is [0.2,0.2]", "three numbers"]);
    refused("{}", &bad("mode", "\"BGR\""), &["mode is \"BGR\"", "rgb"]);
    refused("{}", &bad("interpolation", "\"area\""), &["interpolation is", "bicubic, bilinear"]);
    refused("{}", &bad("resize_mode", "1"), &["resize_mode is 1", "shortest, longest, squash"]);
    refused("{}", &bad("fill_color", "300"), &["fill_color is 300", "0 to 255"]);
}

#[test]
fn missing_bundles_and_files_are_named() {
    let nowhere = tempfile::tempdir().unwrap();
    let error = Bundle::open("ViT-B-32", Some(nowhere.path())).unwrap_err().to_string();
    assert!(error.contains("ViT-B-32") && error.contains(nowhere.path().to_str().unwrap()));
    for name in ["", ".", "..", "./nothing-here"] {
        assert!(matches!(
            Bundle::open(name, Some(nowhere.path())),
            Err(BundleError::NotFound { .. })
        ));
    }
    let bundle = folder("{}", PREPROCESS_OK);
    fs::remove_file(bundle.path().join(IMAGE_MODEL)).unwrap();
    let error = open(&bundle).unwrap_err().to_string();
    assert!(error.contains("visual/model.onnx is missing"), "{error}");
}

#[test]
fn the_text_model_may_be_absent_and_does_not_change_the_digest() {
    let bundle = folder("{}", PREPROCESS_OK);
    let before = open(&bundle).unwrap();
    let error = before.text_model().unwrap_err().to_string();
    assert!(error.contains("textual/model.onnx is missing"), "{error}");
    fs::write(bundle.path().join(TEXT_MODEL), "text").unwrap();
    let after = open(&bundle).unwrap();
    assert!(after.text_model().is_ok());
    assert_eq!(before.digest(), after.digest());
    fs::write(bundle.path().join(TOKENIZER), "{} ").unwrap();
    assert_ne!(open(&bundle).unwrap().digest(), after.digest());
}
