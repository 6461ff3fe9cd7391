//! The page in a real browser: `scripts/page` with this build of seewhen, without the screenshots.
//!
//! Skipped where there is no browser; `scripts/setup page` gets one.
#![allow(clippy::print_stderr, reason = "why it is skipped is shown with --nocapture")]

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_page_works_in_a_browser() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/page");
    let mut page = Command::new("node");
    page.arg(script).args(["--short", "--seewhen", env!("CARGO_BIN_EXE_seewhen")]);
    let output = match page.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: node does not run ({error}); scripts/setup page installs it");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    assert!(said.contains("page: all well") || said.contains("page: skipped"), "{said}");
    eprint!("{said}");
}
