//! Reading keys of a bundle's JSON file, with errors that name bundle, file, key and value.

use serde_json::Value;

use super::BundleError;

/// The top object of one JSON file.
pub(super) struct Fields {
    bundle: String,
    file: &'static str,
    root: Value,
}

impl Fields {
    pub(super) fn new(bundle: &str, file: &'static str, bytes: &[u8]) -> Result<Self, BundleError> {
        // Some editors on Windows start files with a byte order mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let root: Value = serde_json::from_slice(bytes).map_err(|cause| BundleError::Json {
            bundle: bundle.to_owned(),
            file: file.to_owned(),
            cause,
        })?;
        let fields = Self { bundle: bundle.to_owned(), file, root };
        if fields.root.is_object() {
            Ok(fields)
        } else {
            Err(fields.wrong("the file", &fields.root, "an object: { \"key\": value, ... }"))
        }
    }

    /// The value at `path` ("text_cfg.context_length"); `None` when absent or null.
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.root, |value, key| value.get(key)).filter(|v| !v.is_null())
    }

    pub(super) fn number(&self, path: &str) -> Result<Option<f32>, BundleError> {
        let convert = |value: &Value| {
            let number = value.as_f64().map(|v| v as f32).filter(|v| v.is_finite());
            number.ok_or_else(|| self.wrong(path, value, "a number"))
        };
        self.get(path).map(convert).transpose()
    }

    /// A whole number from `1` to `most`.
    pub(super) fn count(&self, path: &str, most: u64) -> Result<Option<u32>, BundleError> {
        let convert = |value: &Value| {
            let number = value.as_u64().filter(|v| (1..=most).contains(v));
            let number = number.and_then(|v| u32::try_from(v).ok());
            number.ok_or_else(|| self.wrong(path, value, &format!("a whole number, 1 to {most}")))
        };
        self.get(path).map(convert).transpose()
    }

    /// Three numbers, or one for all three.
    pub(super) fn three(&self, path: &str) -> Result<Option<[f32; 3]>, BundleError> {
        let Some(value) = self.get(path) else { return Ok(None) };
        let wrong = || self.wrong(path, value, "three numbers, for red, green and blue");
        let number = |v: &Value| v.as_f64().map(|v| v as f32).filter(|v| v.is_finite());
        if let Some(single) = number(value) {
            return Ok(Some([single; 3]));
        }
        let list = value.as_array().ok_or_else(wrong)?;
        let numbers: Option<Vec<f32>> = list.iter().map(number).collect();
        numbers.and_then(|v| v.try_into().ok()).map(Some).ok_or_else(wrong)
    }

    /// One of the words in `allowed`, lower case, to what stands beside it.
    pub(super) fn word<T: Copy>(
        &self,
        path: &str,
        allowed: &[(&str, T)],
    ) -> Result<Option<T>, BundleError> {
        let convert = |value: &Value| {
            let word = value.as_str().map(str::to_lowercase);
            let found = allowed.iter().find(|(name, _)| word.as_deref() == Some(name));
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
                self.wrong(path, value, &names.join(", "))
            })
        };
        self.get(path).map(convert).transpose()
    }

    pub(super) fn absent(&self, key: &str, allowed: &str) -> BundleError {
        self.wrong(key, &Value::String("absent".to_owned()), allowed)
    }

    pub(super) fn wrong(&self, key: &str, found: &Value, allowed: &str) -> BundleError {
        const SHOWN: usize = 80;
        let mut found = match found {
            Value::String(text) if text == "absent" => text.clone(),
            other => other.to_string(),
        };
        if let Some((cut, _)) = found.char_indices().nth(SHOWN) {
            found.truncate(cut);
            found.push('…');
        }
        BundleError::Value {
            bundle: self.bundle.clone(),
            file: self.file.to_owned(),
            key: key.to_owned(),
            found,
            allowed: allowed.to_owned(),
        }
    }
}
