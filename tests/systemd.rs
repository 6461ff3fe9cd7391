//! The unit file: systemd accepts it, and it stays as closed as it is meant to be.
//!
//! Needs `systemd-analyze`; says so and passes where there is none.
#![expect(clippy::print_stderr, reason = "a skipped test has to say so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Highest exposure that `systemd-analyze security` may report, in tenths.
const MOST_EXPOSED: &str = "25";

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/seewhen.service")
}

/// None where systemd-analyze is missing.
fn analyze(args: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(args).arg(unit).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: systemd-analyze: {error}");
            None
        }
    }
}

#[test]
fn exposure_is_low() {
    let threshold = format!("--threshold={MOST_EXPOSED}");
    let args = ["security", "--offline=yes", "--no-pager", &threshold];
    let Some(output) = analyze(&args, &unit()) else { return };
    let report = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "more exposed than {MOST_EXPOSED}:\n{report}{complaint}");
}

#[test]
fn systemd_accepts_it() {
    let text = std::fs::read_to_string(unit()).unwrap();
    // systemd looks whether the programs exist, so let it find the one just built.
    let text = text.replace("/usr/bin/seewhen", env!("CARGO_BIN_EXE_seewhen"));
    let folder = tempfile::tempdir().unwrap();
    let installed = folder.path().join("seewhen.service");
    std::fs::write(&installed, text).unwrap();
    let Some(output) = analyze(&["verify", "--man=no"], &installed) else { return };
    let complaints = String::from_utf8_lossy(&output.stderr);
    // It may also complain about other units of this machine.
    let ours: Vec<&str> = complaints.lines().filter(|line| line.contains("seewhen")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
