//! `SHA256SUMS` of a bundle: written when one is made, checked when one is fetched or verified.
//!
//! The format of `sha256sum`: 64 hex digits, two spaces, a path below the folder.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::draft::Draft;

/// The file's name.
pub const FILE: &str = "SHA256SUMS";

/// One line: a file and the digest that it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub file: String,
    /// 64 hex digits, lower case.
    pub digest: String,
}

/// Reads the lines. An error names the first one that is wrong.
pub fn parse(text: &str) -> Result<Vec<Sum>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            sum(line).ok_or_else(|| {
                let line: String = line.chars().take(100).collect();
                let wanted = "64 hex digits, two spaces and a path below the bundle";
                format!("line {}: found {line:?}; allowed: {wanted}", index + 1)
            })
        })
        .collect()
}

fn sum(line: &str) -> Option<Sum> {
    let (digest, file) = line.split_once(' ')?;
    // The second sign tells text from binary mode, which are the same here.
    let file = file.strip_prefix([' ', '*'])?;
    let digest = digest.to_ascii_lowercase();
    let good = is_digest(&digest) && is_below(file);
    good.then(|| Sum { file: file.to_owned(), digest })
}

/// Whether a text is a SHA-256 in lower-case hex.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a path stays below the folder it is joined to.
pub fn is_below(path: &str) -> bool {
    let parts = Path::new(path).components();
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && parts.into_iter().all(|part| matches!(part, Component::Normal(_)))
}

/// The digest of everything that `reader` gives, in hex.
pub fn digest(reader: impl io::Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    update(&mut hash, reader)?;
    Ok(hex(&hash.finalize()))
}

/// Adds everything that `reader` gives to `hash`; how many bytes that was.
pub fn update(hash: &mut Sha256, mut reader: impl io::Read) -> io::Result<u64> {
    let mut block = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        let read = reader.read(&mut block)?;
        if read == 0 {
            return Ok(length);
        }
        hash.update(&block[..read]);
        length += read as u64;
    }
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the file for everything in `folder`.
pub fn write(folder: &Path) -> io::Result<()> {
    let mut text = String::new();
    for file in files(folder)? {
        let digest = digest(File::open(folder.join(&file))?)?;
        text += &format!("{digest}  {}\n", file.display());
    }
    fs::write(folder.join(FILE), text)
}

/// Puts the digest of `file` into the sums of `folder`, where it has any; the others stay.
///
/// # Errors
/// When `file` cannot be read, or the sums cannot be written; they are as before then.
pub fn update_one(folder: &Path, file: &str) -> io::Result<()> {
    let text = match read(folder) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let other = |line: &&str| sum(line).is_none_or(|sum| sum.file != file);
    let digest = digest(File::open(folder.join(file))?)?;
    let lines = text.lines().filter(other).map(str::to_owned);
    let lines: Vec<String> = lines.chain([format!("{digest}  {file}\n")]).collect();
    Draft::write(&folder.join(FILE), lines.join("\n").as_bytes())?.keep()
}

/// Every file below `folder` but the sums, sorted.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut todo) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inner) = todo.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                todo.push(path);
            } else if path != Path::new(FILE) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is wrong with the files of `folder`, one line each; empty when all are as `sums` say.
pub fn differences(folder: &Path, sums: &[Sum]) -> Vec<String> {
    let mut wrong = Vec::new();
    for Sum { file, digest: wanted } in sums {
        match File::open(folder.join(file)).and_then(digest) {
            Ok(found) if found == *wanted => {}
            Ok(found) => wrong.push(format!("{file}: SHA-256 is {found}, {wanted} is expected")),
            Err(error) => wrong.push(format!("{file}: {error}")),
        }
    }
    wrong
}

/// Reads at most `most` bytes of a small file.
pub fn read(folder: &Path) -> io::Result<String> {
    const MOST: u64 = 1 << 20;
    let mut text = String::new();
    File::open(folder.join(FILE))?.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("visual")).unwrap();
        fs::write(folder.path().join("visual/model.onnx"), "abc").unwrap();
        write(folder.path()).unwrap();
        let text = read(folder.path()).unwrap();
        // The digest of "abc" in FIPS 180-2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(text, format!("{abc}  visual/model.onnx\n"));
        let sums = parse(&text).unwrap();
        assert!(differences(folder.path(), &sums).is_empty());
        fs::write(folder.path().join("visual/model.onnx"), "abd").unwrap();
        assert!(differences(folder.path(), &sums)[0].contains("is expected"));
    }

    #[test]
    fn one_sum_changes_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put("a", "a");
        update_one(folder.path(), "a").unwrap();
        assert!(!folder.path().join(FILE).exists(), "who has no sums gets none");
        write(folder.path()).unwrap();
        for text in ["new", "newer"] {
            put("b", text);
            update_one(folder.path(), "b").unwrap();
            let sums = parse(&read(folder.path()).unwrap()).unwrap();
            assert_eq!(sums.len(), 2);
            assert!(differences(folder.path(), &sums).is_empty());
        }
    }

    #[test]
    fn nothing_outside_the_folder_is_named() {
        let digest = "0".repeat(64);
        for path in ["../x", "/x", "a/../../x", "", "a\\b", "."] {
            assert!(parse(&format!("{digest}  {path}")).is_err(), "{path}");
        }
        assert!(parse("xyz  file").unwrap_err().starts_with("line 1"));
        assert_eq!(parse(&format!("{digest} *a/b\n\n")).unwrap()[0].file, "a/b");
    }
}
