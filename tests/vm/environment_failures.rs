//! Errors when the environment fails: missing programs, an unreachable mirror, a full disk, a VM
//! whose engine does not become ready.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::Duration;

use seatrial::harness::Daemon;
use seatrial::vm::Options;
use tempfile::TempDir;

use crate::workbench::{GUEST, run, seatrial};

/// Runs the program with an empty cache and with `path` as `PATH`.
fn with_empty_cache(path: &str, arguments: &[&str]) -> (Output, TempDir) {
    let cache = TempDir::new().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    program.args(arguments).env("XDG_CACHE_HOME", cache.path()).env("PATH", path);
    let output = run(&mut program);
    (output, cache)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the names of files in the cache, except for lock files.
fn cached_files(cache: &TempDir) -> Vec<String> {
    let guests = std::fs::read_dir(cache.path().join("seatrial/guests")).unwrap().flatten();
    let names = guests.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[test]
fn an_error_about_a_missing_program_names_its_package() {
    let (output, _cache) = with_empty_cache("/nowhere", &["vm", "prepare", GUEST]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("install the Debian package"), "{}", stderr(&output));
}

#[test]
fn a_misspelt_guest_is_bad_input_before_any_guest_is_assembled() {
    let (output, cache) = with_empty_cache("/nowhere", &["vm", "prepare", GUEST, "podmann-5.4"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean \"podman-5.4\"?"), "{}", stderr(&output));
    assert!(!cache.path().join("seatrial").exists());
}

#[test]
fn an_unreachable_mirror_is_named_and_no_files_are_left_behind() {
    let path = std::env::var("PATH").unwrap();
    let source = "deb [trusted=yes] http://127.0.0.1:9/debian bookworm main";
    let (output, cache) = with_empty_cache(&path, &["vm", "prepare", GUEST, "--source", source]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("127.0.0.1"), "{}", stderr(&output));
    assert_eq!(cached_files(&cache), [""; 0]);
}

#[test]
fn an_assembly_removes_what_a_killed_one_left_and_nothing_of_guests_with_longer_names() {
    let source = "deb [trusted=yes] http://127.0.0.1:9/debian bookworm main";
    let cache = TempDir::new().unwrap();
    let guests = cache.path().join("seatrial/guests");
    let [killed, other] = ["docker-28-aBcDeF", "docker-28-arm64-aBcDeF"]
        .map(|name| guests.join(format!(".assembling-{name}")));
    std::fs::create_dir_all(killed.join("guest")).unwrap();
    std::fs::create_dir_all(other.join("guest")).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    program.args(["vm", "prepare", "docker-28", "--source", source]);
    run(program.env("XDG_CACHE_HOME", cache.path()));
    assert!(!killed.exists() && other.join("guest").exists());
}

#[test]
fn a_full_disk_is_an_error_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    let script = "mount -t tmpfs -o size=100M none \"$1\" && \
                  XDG_CACHE_HOME=$1 exec \"$2\" vm prepare \"$3\"";
    let mut small = Command::new("unshare");
    small.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    let output = run(small.arg(folder.path()).args([env!("CARGO_BIN_EXE_seatrial"), GUEST]));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        stderr(&output).contains("MiB free, but a guest needs 2048 MiB; free some space there"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_full_folder_for_temporary_files_is_named() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("tmp")).unwrap();
    std::fs::write(path("file"), vec![1; 2 << 20]).unwrap();
    let recipe = "name = 'x'\ntag = '1'\ncontents = 'file'\n";
    std::fs::write(path("recipe.toml"), recipe).unwrap();
    std::fs::write(path("step.toml"), format!("{recipe}[[run]]\ncommand = 'true'\n")).unwrap();
    std::fs::write(path("e.toml"), "[env]\nunique = true\n").unwrap();
    let script =
        "mount -t tmpfs -o size=1M none \"$1\" && export TMPDIR=$1 && shift && exec \"$@\"";
    for arguments in [
        &["check", "recipe.toml", "--expect", "e.toml", "--no-vm"][..],
        &["build", "step.toml", "-o", "out.tar", "--no-cache"],
    ] {
        let mut small = Command::new("unshare");
        small.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        small.arg(path("tmp")).arg(env!("CARGO_BIN_EXE_seatrial")).args(arguments);
        let output = run(small.current_dir(folder.path()));
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let expected = format!(
            "failed to write a temporary file in {} (set TMPDIR to use another folder): No space \
             left on device",
            path("tmp").display()
        );
        assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    }
}

#[test]
fn a_qemu_that_exits_at_once_is_shown_with_its_own_words() {
    let folder = TempDir::new().unwrap();
    let qemu = folder.path().join("qemu-system-x86_64");
    std::fs::write(&qemu, "#!/bin/sh\necho no memory >&2; exit 5\n").unwrap();
    std::fs::set_permissions(&qemu, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut up = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    let output = run(up.args(["vm", "up", GUEST, "--name", "exits", "--cold"]).env("PATH", path));
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(stderr(&output), "seatrial: QEMU exited (exit status: 5): no memory\n");
}

#[test]
fn an_unknown_guest_is_bad_input_and_the_nearest_name_is_suggested() {
    let output = seatrial(&["vm", "up", "docker-20.1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean \"docker-20.10\""), "{}", stderr(&output));
}

/// Returns the error of a VM that does not become ready with these kernel arguments.
async fn not_ready(kernel_arguments: &str) -> String {
    let options = Options {
        kernel_arguments: kernel_arguments.to_owned(),
        timeout: Some(Duration::from_secs(25)),
        ..Options::default()
    };
    Daemon::start(GUEST, options).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn the_error_tells_a_kernel_that_does_not_boot_from_an_engine_that_is_not_ready() {
    let error = not_ready("initcall_blacklist=serial8250_init loglevel=0").await;
    assert!(error.contains("\"first console output\" was not met"), "{error}");

    let error = not_ready("systemd.unit=sysinit.target").await;
    assert!(error.contains("\"API socket listens\" was not met"), "{error}");
    assert!(error.contains("guest agent responds"), "conditions that were met: {error}");
    assert!(error.contains("docker.service - Docker"), "units: {error}");
    assert!(error.contains("systemd[1]"), "journal: {error}");
}
