//! Keeps the C library from holding on to memory that is no longer used.
//!
//! glibc gives busy threads heaps of their own, up to eight a core, and what one thread frees is
//! of no use to another's. With GStreamer's half a dozen threads a camera the memory creeps up
//! for hours. Two heaps hold it flat and are no slower here: what is large and frequent are
//! frames, and those are few. And with each large piece that is freed it raises the size from which
//! pieces go back to the system at once, until what loading a model left behind stays. A threshold that is
//! set, be it to what it is anyway, does not move. Both are read from the environment when a
//! process begins, so the process begins again.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// glibc's name of each limit, and what it is set to.
const HEAPS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");
const KEPT: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "131072");

/// Starts this program anew, as the same process, with the limits set; returns when that of heaps is set
/// already, by us or by the user. Called before there are threads or open files.
pub(super) fn share(arguments: impl Iterator<Item = OsString>) {
    if !cfg!(target_env = "gnu") || std::env::var_os(HEAPS.0).is_some() {
        return;
    }
    let mut arguments = arguments;
    let name = arguments.next().unwrap_or_else(|| "seewhen".into());
    // By its path, not /proc/self/exe: that would be the name that `ps` and `pkill` see.
    let again =
        |program| Command::new(program).arg0(name).args(arguments).envs([HEAPS, KEPT]).exec();
    let error = match std::env::current_exe() {
        Ok(program) => again(program),
        Err(error) => error,
    };
    tracing::debug!(%error, "memory will grow a little with time: what the C library keeps could not be limited");
}
