use std::process::{Command, Output};
use std::time::Duration;

use seatrial::harness::Daemon;
use seatrial::vm::Options;
use tempfile::TempDir;

use crate::dock::{GUEST, seatrial};

/// Runs the program with a cache of its own and with `path` in the place of the PATH.
fn elsewhere(path: &str, arguments: &[&str]) -> (Output, TempDir) {
    let cache = TempDir::new().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let output = program
        .args(arguments)
        .env("XDG_CACHE_HOME", cache.path())
        .env("PATH", path)
        .output()
        .unwrap();
    (output, cache)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What is in the cache, lock files aside.
fn left(cache: &TempDir) -> Vec<String> {
    let guests = std::fs::read_dir(cache.path().join("seatrial/guests")).unwrap().flatten();
    let names = guests.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let (output, _cache) = elsewhere("/nowhere", &["vm", "prepare", GUEST]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("install Debian's package"), "{}", said(&output));
}

#[test]
fn a_mirror_that_cannot_be_reached_is_said_and_nothing_is_left() {
    let path = std::env::var("PATH").unwrap();
    let source = "deb [trusted=yes] http://127.0.0.1:9/debian bookworm main";
    let (output, cache) = elsewhere(&path, &["vm", "prepare", GUEST, "--source", source]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("127.0.0.1"), "{}", said(&output));
    assert_eq!(left(&cache), [""; 0]);
}

#[test]
fn a_disk_without_room_is_said_before_anything_is_done() {
    let folder = TempDir::new().unwrap();
    let script = "mount -t tmpfs -o size=100M none \"$1\" && XDG_CACHE_HOME=$1 exec \"$2\" vm prepare \"$3\"";
    let mut small = Command::new("unshare");
    small.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    let output =
        small.arg(folder.path()).args([env!("CARGO_BIN_EXE_seatrial"), GUEST]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        said(&output).contains("MiB free, and a guest needs 2048; make room there"),
        "{}",
        said(&output)
    );
}

#[test]
fn an_unknown_guest_is_the_users_mistake() {
    let output = seatrial(&["vm", "up", "docker-20.1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("did you mean \"docker-20.10\""), "{}", said(&output));
}

async fn not_ready(kernel_arguments: &str) -> String {
    let options = Options {
        kernel_arguments: kernel_arguments.to_owned(),
        timeout: Some(Duration::from_secs(25)),
        ..Options::default()
    };
    Daemon::start(GUEST, options).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_that_never_speaks_is_told_from_a_daemon_that_never_gets_ready() {
    let said = not_ready("initcall_blacklist=serial8250_init loglevel=0").await;
    assert!(said.contains("\"the kernel speaks\" was not met"), "{said}");

    let said = not_ready("systemd.unit=sysinit.target").await;
    assert!(said.contains("\"the API's socket listens\" was not met"), "{said}");
    assert!(said.contains("the guest agent answers"), "what was met: {said}");
    assert!(said.contains("docker.service - Docker"), "the units: {said}");
    assert!(said.contains("systemd[1]"), "the journal: {said}");
}
