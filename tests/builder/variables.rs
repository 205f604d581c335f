//! Environment variables with values that mean nothing.

use crate::lab::{Lab, Run};

/// Runs `seatrial` with the variable `name` set to `value`.
fn run(lab: &Lab, name: &str, value: &str, arguments: &[&str]) -> Run {
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(arguments).env(name, value);
    Run::of(command)
}

#[test]
fn a_variable_that_must_be_a_number_and_is_none_is_an_error() {
    let lab = Lab::new();
    lab.file("recipe.toml", "name='x'\n");
    let build = ["build", "recipe.toml", "-o", "out.tar"];
    for (name, value, expected) in [
        ("SEATRIAL_CACHE_MIB", "1G", "a number of MiB"),
        ("NIX_BUILD_CORES", "x", "a number of cores"),
    ] {
        let message = run(&lab, name, value, &build).rejected(&lab, "out.tar");
        assert_eq!(message, format!("seatrial: invalid {name} \"{value}\"; expected {expected}\n"));
        // An empty one counts as absent.
        for value in ["", "0", "5"] {
            run(&lab, name, value, &build).ok();
            std::fs::remove_file(lab.path("out.tar")).unwrap();
        }
    }
}

// XDG Base Directory Specification 0.8: "If an implementation encounters a relative path in any of
// these variables it should consider the path invalid and ignore it."
#[test]
fn a_cache_folder_that_is_not_absolute_is_a_warning() {
    let lab = Lab::new();
    lab.file("recipe.toml", "name='x'\n");
    let build = ["reference", "recipe.toml"];
    let warned = run(&lab, "XDG_CACHE_HOME", "rel", &build);
    let expected = "warning: ignored XDG_CACHE_HOME \"rel\"; expected an absolute path\n";
    assert!(warned.stderr().contains(expected), "{}", warned.stderr());
    warned.ok();
    assert!(!lab.exists("rel"));
}

#[test]
#[cfg(feature = "vm")]
fn a_number_of_vms_that_is_none_or_has_its_former_name_is_an_error_of_all_commands_for_vms() {
    let lab = Lab::new();
    for (name, value, expected) in [
        ("SEATRIAL_VMS", "x", "invalid SEATRIAL_VMS \"x\"; expected a number of VMs, at least 1"),
        (
            "SEATRIAL_MACHINES",
            "2",
            "SEATRIAL_MACHINES is now named SEATRIAL_VMS; set SEATRIAL_VMS instead",
        ),
    ] {
        let message = run(&lab, name, value, &["vm", "list"]).rejected(&lab, "none");
        assert_eq!(message, format!("seatrial: {expected}\n"));
    }
}

#[test]
fn a_number_as_an_argument_that_is_none_or_out_of_range_is_an_error_in_plain_words() {
    let lab = Lab::new();
    lab.file("recipe.toml", "name='x'\n");
    for (arguments, expected) in [
        (&["build", "recipe.toml", "--threads", "0"][..], "expected 1 to 256"),
        (&["build", "recipe.toml", "--threads", "x"], "expected 1 to 256"),
        #[cfg(feature = "vm")]
        (&["vm", "up", "docker-28", "--memory", "1G"], "expected a whole number, at least 256"),
        #[cfg(feature = "vm")]
        (&["vm", "up", "docker-28", "--timeout", "5s"], "expected 0 to 31536000"),
    ] {
        let run = lab.seatrial(arguments);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        let line = run.stderr().lines().next().unwrap_or_default().to_owned();
        assert!(line.ends_with(&format!(": {expected}")), "{line}");
    }
}
