//! Secrets of the process that started seatrial, which a step must not get.

use std::fs::File;
use std::process::Command;

use crate::lab::Run;
use crate::steps::{lab, plain_user_command, with_command};

/// Prints the environment and the open files of every process that the step sees.
const LOOK: &str = "for process in /proc/[0-9]*; do
    cat $process/environ; echo; ls $process/fd
    for file in $process/fd/*; do case $file in */[012]) ;; *) cat <$file 2>&1 & ;; esac; done
done || true";

/// The output of a build with such a step by `command`, which inherits a variable and a file with
/// secrets.
fn seen(mut command: Command, folder: &crate::lab::Lab) -> String {
    let secret = File::open(folder.file("secret", "secret of a file\n")).unwrap();
    // A descriptor that programs inherit.
    let secret = rustix::io::dup(secret).unwrap();
    command.env("TOKEN", "secret of the environment");
    let run = Run::of(command);
    drop(secret);
    let output = run.stderr();
    run.ok();
    output
}

#[test]
fn a_step_gets_neither_the_environment_nor_open_files_of_the_process_that_started_seatrial() {
    let lab = lab();
    lab.file("recipe.toml", with_command(LOOK, ""));
    let arguments = ["build", "recipe.toml", "-o", "out.tar", "--no-cache"];
    let mut own = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    own.args(arguments);
    let arguments = ["build", "recipe.toml", "-o", "home/out.tar", "--no-cache"];
    let plain = plain_user_command(&lab, &arguments, "");
    for command in [own, plain] {
        let output = seen(command, &lab);
        assert!(output.contains("PATH=/usr/local/sbin"), "{output}");
        for secret in ["secret of the environment", "secret of a file"] {
            assert!(!output.contains(secret), "{output}");
        }
    }
}
