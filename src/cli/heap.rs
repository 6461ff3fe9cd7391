//! Keeps the C library from making a heap for every few threads.
//!
//! glibc gives busy threads heaps of their own, up to eight a core, and what one thread frees is
//! of no use to another's. With GStreamer's half a dozen threads a camera the memory creeps up
//! for hours. Two heaps hold it flat and are no slower here: what is large and frequent are
//! frames, and those are few. The limit is read from the environment when a process begins, so
//! the process begins again.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const LIMIT: &str = "MALLOC_ARENA_MAX";

/// Starts this program anew, as the same process, with the limit set; returns when it is set
/// already, by us or by the user. Called before there are threads or open files.
pub(super) fn share(arguments: impl Iterator<Item = OsString>) {
    if !cfg!(target_env = "gnu") || std::env::var_os(LIMIT).is_some() {
        return;
    }
    let mut arguments = arguments;
    let name = arguments.next().unwrap_or_else(|| "seewhen".into());
    // By its path, not /proc/self/exe: that would be the name that `ps` and `pkill` see.
    let again = |program| Command::new(program).arg0(name).args(arguments).env(LIMIT, "2").exec();
    let error = match std::env::current_exe() {
        Ok(program) => again(program),
        Err(error) => error,
    };
    tracing::debug!(%error, "{LIMIT} could not be set: memory will grow a little with time");
}
