//! Where ONNX Runtime's library is.
//!
//! Only looks: loading it is left to [`super::onnx`]. The order goes from what somebody asked
//! for to what happens to be there.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

const NAME: &str = "libonnxruntime.so";
/// Where packages put the library.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/lib/seewhen", "/usr/local/lib/seewhen"];

/// The library, and the places that were looked at before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// A path, or the bare name, which the system's loader then looks for.
    pub library: PathBuf,
    /// For error messages, in order.
    pub looked: Vec<String>,
}

/// Finds the library: `ORT_DYLIB_PATH` and nothing else where that is set; next to the
/// program; `.runtime` of the folders above the program (where `scripts/setup` puts it); the
/// package's folders; the system's loader. Never the current folder: a library is code, and
/// who starts seewhen somewhere does not mean to run what lies there.
pub fn find() -> Found {
    let asked = env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty());
    find_in(asked, env::current_exe().ok().as_deref())
}

fn find_in(asked: Option<OsString>, program: Option<&Path>) -> Found {
    if let Some(library) = asked.map(PathBuf::from) {
        let looked = vec![format!("ORT_DYLIB_PATH={}", library.display())];
        return Found { library, looked };
    }
    let mut looked = Vec::new();
    for folder in folders(program) {
        if let Some(library) = newest_in(&folder) {
            return Found { library, looked };
        }
        looked.push(folder.display().to_string());
    }
    looked.push("the system's library folders".to_owned());
    Found { library: PathBuf::from(NAME), looked }
}

fn folders(program: Option<&Path>) -> Vec<PathBuf> {
    let beside = program.and_then(Path::parent);
    let above = beside.into_iter().flat_map(Path::ancestors);
    let runtimes = above.map(|folder| folder.join(".runtime"));
    let known = SYSTEM_FOLDERS.map(PathBuf::from);
    beside.map(Path::to_owned).into_iter().chain(runtimes).chain(known).collect()
}

/// `libonnxruntime.so` itself, else the highest of `libonnxruntime.so.*`.
fn newest_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| {
            name.strip_prefix(NAME).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
        .collect();
    names.sort_by_key(|name| (name.len() > NAME.len(), std::cmp::Reverse(version(name))));
    names.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn version(name: &str) -> Vec<u32> {
    name[NAME.len()..].split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    #[track_caller]
    fn check(files: &[&str], expected: &str) {
        let root = tree(files);
        let program = root.path().join("target/debug/seewhen");
        let found = find_in(None, Some(&program));
        assert_eq!(found.library, root.path().join(expected));
    }

    #[test]
    fn the_nearest_folder_and_the_newest_version_win() {
        check(
            &[".runtime/libonnxruntime.so.1.9.0", ".runtime/libonnxruntime.so.1.32.0"],
            ".runtime/libonnxruntime.so.1.32.0",
        );
        check(
            &[".runtime/libonnxruntime.so", ".runtime/libonnxruntime.so.1.32.0"],
            ".runtime/libonnxruntime.so",
        );
        check(
            &[".runtime/libonnxruntime.so", ".runtime/libonnxruntime_providers_shared.so"],
            ".runtime/libonnxruntime.so",
        );
        check(
            &["target/debug/libonnxruntime.so.1", ".runtime/libonnxruntime.so"],
            "target/debug/libonnxruntime.so.1",
        );
    }

    #[test]
    fn what_was_asked_for_is_taken_or_fails() {
        let root = tree(&[".runtime/libonnxruntime.so"]);
        let found = find_in(Some("/nowhere/x.so".into()), Some(&root.path().join("seewhen")));
        assert_eq!(found.library, PathBuf::from("/nowhere/x.so"));
    }

    #[test]
    fn the_search_can_be_told() {
        let root = tree(&[]);
        let found = find_in(None, Some(&root.path().join("bin/seewhen")));
        assert_eq!(found.library, PathBuf::from(NAME));
        let runtime = root.path().join(".runtime").display().to_string();
        assert!(found.looked.contains(&runtime));
        assert!(found.looked.contains(&"/usr/lib/seewhen".to_owned()));
    }
}
