//! Outputs that do not fit: the message says what is full, and nothing half-written remains.

use crate::lab::{Lab, Run};

/// Runs `seatrial` with `arguments` where the folder `small` is a file system of 1 MiB, and lists
/// that folder afterwards; `None` if no file system can be mounted here.
fn on_small_disk(lab: &Lab, arguments: &str) -> Option<(Run, String)> {
    std::fs::create_dir_all(lab.path("small/folder")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=1M none small && mkdir small/folder && echo old > small/old.tar \
         || exit 99; {} {arguments}; code=$?; find small -type f -printf '%p %s\\n'; exit $code",
        env!("CARGO_BIN_EXE_seatrial")
    );
    let mut command = lab.command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let run = Run::of(command);
    if run.output.status.code() == Some(99) || run.stderr().starts_with("unshare:") {
        assert!(std::env::var_os("CI").is_none(), "{}", run.stderr());
        return None;
    }
    let left = run.stdout();
    Some((run, left))
}

#[test]
fn a_full_file_system_is_named_and_an_earlier_archive_stays() {
    let lab = Lab::new();
    let content: Vec<u8> = (0..3 << 20).map(|n: u32| (n ^ (n >> 9)) as u8).collect();
    lab.file("root/large", content);
    lab.file("recipe.toml", "name='x'\ntag='1'\ncontents='root'\n");
    lab.seatrial(["build", "recipe.toml", "-o", "whole.tar"]).ok();
    for arguments in [
        "build recipe.toml -o small/folder/out.tar",
        "build recipe.toml -o small/old.tar",
        "build recipe.toml -o small/old.tar --format oci",
        "export whole.tar -o small/old.tar",
        "merge whole.tar -o small/old.tar",
    ] {
        let Some((run, left)) = on_small_disk(&lab, arguments) else { return };
        assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
        let target = arguments.split(' ').nth(3).unwrap();
        let mount = lab.path("small").canonicalize().unwrap();
        let expected = format!("failed to write {target}");
        assert!(run.stderr().contains(&expected), "{arguments}: {}", run.stderr());
        let expected = format!(
            "No space left on device (os error 28): the file system at {} is full; make room there",
            mount.display()
        );
        assert!(run.stderr().contains(&expected), "{arguments}: {}", run.stderr());
        assert_eq!(left, "small/old.tar 4\n", "{arguments}");
    }
}

#[test]
fn results_that_cannot_be_printed_are_an_error() {
    let lab = Lab::new();
    lab.file("recipe.toml", "name='x'\ntag='1'\n");
    lab.seatrial(["build", "recipe.toml", "-o", "x.tar"]).ok();
    for command in ["inspect x.tar --json", "inspect x.tar", "reference recipe.toml"] {
        let script = format!("{} {command} > /dev/full", env!("CARGO_BIN_EXE_seatrial"));
        let mut shell = lab.command("sh");
        shell.args(["-c", &script]);
        let run = Run::of(shell);
        assert_eq!(run.output.status.code(), Some(3), "{command}: {}", run.stderr());
        let expected = "seatrial: failed to write to standard output: No space left on device";
        assert!(run.stderr().starts_with(expected), "{command}: {}", run.stderr());
        assert_eq!(run.stderr().lines().count(), 1, "{}", run.stderr());
    }
}
