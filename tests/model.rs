//! `seewhen model` as its users run it, with a web server that behaves well and badly.
//!
//! Promise: what is visible under a name was found right; a pull that broke off goes on; nothing
//! outside the models folder is touched.

#![expect(clippy::unwrap_used, reason = "a test stops at once")]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use support::web::{Server, Trick};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clip").join(name)
}

fn model(arguments: &[&str], folder: &Path) -> Output {
    let mut command = support::command();
    command.arg("model").args(arguments).arg("--model-dir").arg(folder);
    command.env_remove("HTTP_PROXY").env_remove("http_proxy").env_remove("ALL_PROXY");
    command.output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[track_caller]
fn failed(output: &Output, part: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(part) && !said.contains("panicked"), "{said}");
}

/// A server with a bundle at /tiny, and the folder it is served from.
fn bundle_server() -> (tempfile::TempDir, Server) {
    let root = tempfile::tempdir().unwrap();
    done(&model(&["import", data("tiny-vit.pt").to_str().unwrap(), "--name", "tiny"], root.path()));
    let server = Server::start(root.path().to_owned());
    (root, server)
}

#[test]
fn a_bundle_is_pulled_verified_and_used() {
    let (_root, server) = bundle_server();
    let folder = tempfile::tempdir().unwrap();
    let url = server.url("tiny");
    assert!(done(&model(&["pull", &url], folder.path())).contains("tiny is here"));
    done(&model(&["verify", "tiny"], folder.path()));
    let asked = server.asked();
    assert!(done(&model(&["pull", &url], folder.path())).contains("already"));
    assert_eq!(server.asked(), asked, "the network was used for what was here");
    let list = model(&["list", "--json"], folder.path());
    let lines = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(lines.lines().any(|line| line.contains(r#""bundle":"tiny""#) && line.contains("true")));
    assert!(lines.lines().any(|line| line.contains("ViT-B/32") && line.contains("false")));
    fs::write(folder.path().join("tiny/visual/model.onnx"), "x").unwrap();
    let output = model(&["verify"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains("visual/model.onnx: SHA-256 is"), "{out}");
}

#[test]
fn a_pull_that_broke_off_goes_on() {
    let (_root, server) = bundle_server();
    let folder = tempfile::tempdir().unwrap();
    // Every answer ends after some bytes; each request goes on where the last ended.
    server.trick(Trick::CutAfter(60_000));
    done(&model(&["pull", &server.url("tiny")], folder.path()));
    done(&model(&["verify", "tiny"], folder.path()));
    assert!(server.ranges().iter().any(|range| range == "bytes=60000-"), "{:?}", server.ranges());
}

#[test]
fn a_server_that_cannot_resume_is_no_harm() {
    let (_root, server) = bundle_server();
    let folder = tempfile::tempdir().unwrap();
    let partial = folder.path().join(".tiny.part/visual");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("model.onnx"), "something old").unwrap();
    server.trick(Trick::NoRanges);
    done(&model(&["pull", &server.url("tiny")], folder.path()));
    done(&model(&["verify", "tiny"], folder.path()));
}

#[test]
fn a_wrong_file_is_refused_and_removed() {
    let (root, server) = bundle_server();
    let folder = tempfile::tempdir().unwrap();
    fs::write(root.path().join("tiny/config.json"), "{}").unwrap();
    let output = model(&["pull", &server.url("tiny")], folder.path());
    failed(&output, "config.json from http://127.0.0.1");
    failed(&output, "it was removed");
    assert!(!folder.path().join("tiny").exists());
    assert!(!folder.path().join(".tiny.part/config.json").exists());
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let (root, server) = bundle_server();
    let folder = tempfile::tempdir().unwrap();
    let sum = "0".repeat(64);
    fs::write(root.path().join("tiny/SHA256SUMS"), format!("{sum}  ../../evil\n")).unwrap();
    failed(&model(&["pull", &server.url("tiny")], folder.path()), "line 1");
    let refused = model(&["pull", &server.url("tiny"), "--name", "../evil"], folder.path());
    assert_eq!(refused.status.code(), Some(64));
    assert!(!folder.path().parent().unwrap().join("evil").exists());
}

#[test]
fn a_released_model_comes_from_the_mirror_and_must_be_the_real_one() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path().to_owned());
    let known = seewhen::clip::catalogue::find("RN50").unwrap();
    let place = root.path().join(known.digest);
    fs::create_dir(&place).unwrap();
    fs::copy(data("tiny-resnet.pt"), place.join("RN50.pt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = support::command();
    command.args(["model", "pull", "rn50", "--model-dir"]).arg(folder.path());
    let output = command.env("SEEWHEN_MODEL_MIRROR", server.url("")).output().unwrap();
    failed(&output, known.digest);
    assert!(
        fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .all(|entry| { entry.file_name().to_string_lossy().ends_with(".lock") })
    );
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let (_root, server) = bundle_server();
    let folder = tempfile::tempdir().unwrap();
    let mut children: Vec<_> = (0..2)
        .map(|_| {
            let mut command = support::command();
            command.args(["model", "pull", &server.url("tiny"), "--model-dir"]).arg(folder.path());
            command.spawn().unwrap()
        })
        .collect();
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let sums = server.paths().iter().filter(|path| path.ends_with("SHA256SUMS")).count();
    assert_eq!(sums, 1, "{:?}", server.paths());
    done(&model(&["verify", "tiny"], folder.path()));
}

#[test]
fn without_a_network_the_error_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}/tiny", support::free_port());
    failed(&model(&["pull", &url], folder.path()), "copy the bundle's folder");
    let unknown = model(&["pull", "ViT-Z/1"], folder.path());
    assert_eq!(unknown.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("ViT-B/32"));
}

#[test]
fn a_full_disk_is_said() {
    // A file system of 200 kB needs root and a mount of its own.
    let disk = tempfile::tempdir().unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=200k", "tmpfs"])
        .arg(disk.path())
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        drop(writeln!(std::io::stderr(), "skipped: may not mount a small file system"));
        return;
    }
    let (_root, server) = bundle_server();
    let output = model(&["pull", &server.url("tiny")], disk.path());
    let imported = model(&["import", data("tiny-vit.pt").to_str().unwrap()], disk.path());
    let left: Vec<_> =
        fs::read_dir(disk.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    let unmounted = std::process::Command::new("umount").arg(disk.path()).status();
    assert!(unmounted.unwrap().success());
    failed(&output, "No space left on device");
    failed(&output, "stays for the next try");
    failed(&imported, "No space left on device");
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}
