//! Bundles from the network: one of OpenAI's models by name, or any bundle by its address.
//!
//! A released model is fetched as OpenAI's file and imported; a bundle's address is a folder
//! with a `SHA256SUMS` that names its files. Nothing is visible under its name before its
//! checksums were found right; what is there already is not asked for again. One pull at a time
//! works on a name: another waits for its lock.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::catalogue::{ORIGIN, Released};
use super::checksums::{self, Sum};
use super::fetch::{Client, FetchError, Progress, shown};
use super::import::{self, ImportError};

/// A variable with the address of a mirror, to use in place of OpenAI's.
pub const MIRROR: &str = "SEEWHEN_MODEL_MIRROR";
/// Most bytes of one file; the largest known model has 1.3 GB.
const MOST_BYTES: u64 = 16 << 30;
/// Most bytes of a list of checksums.
const MOST_SUMS: u64 = 1 << 20;

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error(
        "{0}; without a network, copy the bundle's folder from a machine that has one, or use \
         `seewhen model import` with the file"
    )]
    Fetch(#[from] FetchError),
    #[error(
        "{file} from {url} has SHA-256 {found}, but {wanted} is expected; it was removed. A \
         proxy that changes files, or a wrong mirror, does this"
    )]
    Checksum { file: String, url: String, found: String, wanted: String },
    #[error("{url}: {cause}")]
    Sums { url: String, cause: String },
    #[error("{path} cannot be used: {cause}")]
    Folder { path: String, cause: io::Error },
    #[error("the fetched model {0}")]
    Import(#[from] ImportError),
}

/// What is told while it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another process pulls the same bundle.
    Waiting,
    Fetching {
        file: String,
        progress: Progress,
    },
    Checking {
        file: String,
    },
    Importing,
}

/// Whether anything had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    New,
    /// It was there.
    Already,
}

/// Fetches and imports one of OpenAI's models as the bundle `folder`, from the mirror that
/// `origin` names or from OpenAI.
///
/// # Errors
/// When it cannot be fetched, is not what it should be, or cannot be written.
pub fn released(
    model: &Released,
    origin: Option<&str>,
    folder: &Path,
    options: import::Options,
    tell: &mut dyn FnMut(Step),
) -> Result<Pulled, PullError> {
    let _lock = lock(folder, tell)?;
    if folder.exists() {
        return Ok(Pulled::Already);
    }
    let file = folder.with_file_name(format!(".{}.part", model.file));
    let url = model.url(origin.unwrap_or(ORIGIN));
    let sum = Sum { file: model.file.to_owned(), digest: model.digest.to_owned() };
    file_with_sum(&Client::default(), &url, &file, &sum, tell)?;
    tell(Step::Importing);
    import::import(&file, folder, options)?;
    fs::remove_file(&file).map_err(|cause| unusable(&file, cause))?;
    Ok(Pulled::New)
}

/// Fetches the bundle at `address`, a folder on a web server, as the bundle `folder`.
///
/// # Errors
/// As [`released`].
pub fn bundle(
    address: &str,
    folder: &Path,
    tell: &mut dyn FnMut(Step),
) -> Result<Pulled, PullError> {
    let _lock = lock(folder, tell)?;
    if folder.exists() {
        return Ok(Pulled::Already);
    }
    let partial = beside(folder, "part");
    let made = fs::create_dir_all(&partial);
    made.map_err(|cause| unusable(&partial, cause))?;
    let client = Client::default();
    let base = address.trim_end_matches('/');
    let sums = sums(&client, base, &partial, tell)?;
    for sum in &sums {
        let file = partial.join(&sum.file);
        let inner = file.parent().unwrap_or(&partial);
        fs::create_dir_all(inner).map_err(|cause| unusable(inner, cause))?;
        file_with_sum(&client, &format!("{base}/{}", sum.file), &file, sum, tell)?;
    }
    fs::rename(&partial, folder).map_err(|cause| unusable(folder, cause))?;
    Ok(Pulled::New)
}

/// The list of files, always fetched anew: what was there may be of an older bundle.
fn sums(
    client: &Client,
    base: &str,
    partial: &Path,
    tell: &mut dyn FnMut(Step),
) -> Result<Vec<Sum>, PullError> {
    let (url, file) = (format!("{base}/{}", checksums::FILE), partial.join(checksums::FILE));
    if let Err(cause) = fs::remove_file(&file)
        && cause.kind() != io::ErrorKind::NotFound
    {
        return Err(unusable(&file, cause));
    }
    client.fetch(&url, &file, MOST_SUMS, &mut fetching(checksums::FILE, tell))?;
    let text = fs::read_to_string(&file).map_err(|cause| unusable(&file, cause))?;
    let wrong = |cause| PullError::Sums { url: shown(&url), cause };
    let sums = checksums::parse(&text).map_err(wrong)?;
    if !sums.iter().any(|sum| sum.file == "config.json") {
        return Err(wrong("names no config.json, so this is no bundle".to_owned()));
    }
    Ok(sums)
}

/// Fetches one file unless it is there and right; a wrong one is removed.
fn file_with_sum(
    client: &Client,
    url: &str,
    file: &Path,
    sum: &Sum,
    tell: &mut dyn FnMut(Step),
) -> Result<(), PullError> {
    if digest(file).is_some_and(|found| found == sum.digest) {
        return Ok(());
    }
    client.fetch(url, file, MOST_BYTES, &mut fetching(&sum.file, tell))?;
    tell(Step::Checking { file: sum.file.clone() });
    let found = digest(file).unwrap_or_default();
    if found == sum.digest {
        return Ok(());
    }
    fs::remove_file(file).map_err(|cause| unusable(file, cause))?;
    let (file, wanted) = (sum.file.clone(), sum.digest.clone());
    Err(PullError::Checksum { file, url: shown(url), found, wanted })
}

fn digest(file: &Path) -> Option<String> {
    File::open(file).and_then(checksums::digest).ok()
}

fn fetching(file: &str, tell: &mut dyn FnMut(Step)) -> impl FnMut(Progress) {
    move |progress| tell(Step::Fetching { file: file.to_owned(), progress })
}

/// Held while a bundle is pulled; the system lets go of it when the process ends.
fn lock(folder: &Path, tell: &mut dyn FnMut(Step)) -> Result<File, PullError> {
    let path = beside(folder, "lock");
    let file = File::create(&path).map_err(|cause| unusable(&path, cause))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => tell(Step::Waiting),
        Err(TryLockError::Error(cause)) => return Err(unusable(&path, cause)),
    }
    file.lock().map_err(|cause| unusable(&path, cause))?;
    Ok(file)
}

/// A hidden neighbour of the bundle's folder.
fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{what}"))
}

fn unusable(path: &Path, cause: io::Error) -> PullError {
    PullError::Folder { path: path.display().to_string(), cause }
}
