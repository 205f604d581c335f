//! Examples of shell scripts in the pages.

use std::path::Path;
use std::process::Command;

use crate::read;

/// Runs the lines of the README that start a VM in a script, for a guest that does not exist.
fn run(options: &str, lines: &str) -> String {
    let script = lines.replace("docker-20.10", "nowhere-1.0") + "\necho goes on";
    let binary = Path::new(env!("CARGO_BIN_EXE_seatrial"));
    let path = std::env::join_paths([binary.parent().unwrap(), Path::new("/usr/bin")]).unwrap();
    let mut shell = Command::new("sh");
    let output = shell.args([options, &script]).env("PATH", path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_script_stops_if_its_vm_does_not_start() {
    let page = read("README.md");
    let (_, lines) = page.split_once("```sh\nvm=$(").unwrap();
    let lines = format!("vm=$({}", lines.split_once("```").unwrap().0);
    for options in ["-c", "-ec"] {
        assert_eq!(run(options, &lines), "", "{lines}");
        // A failed command in an argument does not stop a shell, as the README says.
        let unsafe_line = "eval \"$(seatrial vm up docker-20.10)\"";
        assert_eq!(run(options, unsafe_line), "goes on\n");
    }
}
