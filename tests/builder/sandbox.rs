//! Builds in sandboxes, such as Nix', where much is missing that other hosts have.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::lab::{Lab, Run};

const SEATRIAL: &str = env!("CARGO_BIN_EXE_seatrial");

/// A lab with a recipe.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("root/file", "content\n");
    lab.file("recipe.toml", "name = 'x'\ncontents = 'root'\n");
    lab
}

/// `program` with `arguments` and then those of a build.
fn build(lab: &Lab, program: &str, arguments: &[&str]) -> Command {
    let mut command = lab.command(program);
    command.args(arguments).args(["build", "recipe.toml", "-o", "x.tar"]);
    command
}

#[test]
fn a_home_that_does_not_exist_is_not_created() {
    let lab = lab();
    let mut command = build(&lab, SEATRIAL, &[]);
    command.env_remove("XDG_CACHE_HOME").env("HOME", lab.path("homeless-shelter"));
    let run = Run::of(command);
    assert_eq!(run.stderr(), "");
    run.ok();
    assert!(!lab.exists("homeless-shelter"));
}

#[test]
fn a_cache_that_cannot_be_written_changes_nothing() {
    let lab = lab();
    Run::of(build(&lab, SEATRIAL, &[])).ok();
    let expected = fs::read(lab.path("x.tar")).unwrap();
    // Not even root can write here.
    let mut command = build(&lab, SEATRIAL, &[]);
    command.env("XDG_CACHE_HOME", "/proc/self/fdinfo");
    let run = Run::of(command);
    assert_eq!(run.stderr(), "");
    run.ok();
    let cache = lab.cache_path("read-only");
    fs::create_dir_all(cache.join("seatrial/layers")).unwrap();
    fs::set_permissions(cache.join("seatrial/layers"), fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = build(&lab, SEATRIAL, &[]);
    command.env("XDG_CACHE_HOME", &cache);
    Run::of(command).ok();
    assert_eq!(fs::read(lab.path("x.tar")).unwrap(), expected);
}

#[test]
fn neither_proc_nor_a_user_of_that_name_is_needed() {
    let lab = lab();
    Run::of(build(&lab, SEATRIAL, &[])).ok();
    let expected = fs::read(lab.path("x.tar")).unwrap();
    let hidden = format!("mount -t tmpfs none /proc && exec {SEATRIAL} \"$@\"");
    let in_namespace = ["--user", "--map-root-user", "--mount", "sh", "-c", &hidden, "sh"];
    let as_nobody_known = ["--user", "--map-user=54321", "--map-group=54321", SEATRIAL];
    for arguments in [&in_namespace[..], &as_nobody_known] {
        fs::remove_file(lab.path("x.tar")).unwrap();
        Run::of(build(&lab, "unshare", arguments)).ok();
        assert_eq!(fs::read(lab.path("x.tar")).unwrap(), expected, "{arguments:?}");
    }
}

#[test]
fn nothing_but_text_is_written_to_terminals_that_cannot_show_progress() {
    let lab = lab();
    lab.file("root/large", vec![7; 64 << 20]);
    let output = |variables: &[(&str, &str)], flags: &str| {
        let mut command = lab.command("script");
        let build = format!("{SEATRIAL} build recipe.toml -o x.tar --no-cache {flags}");
        command.args(["-qec", &build, "/dev/null"]);
        command.env("TERM", "xterm").env_remove("NIX_BUILD_TOP").env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        Run::of(command).ok()
    };
    assert!(output(&[], "").contains('\u{1b}'), "progress is shown on a usual terminal");
    for variable in [("TERM", "dumb"), ("NIX_BUILD_TOP", "/build")] {
        let text = output(&[variable], "");
        assert!(text.contains("wrote x.tar") && !text.contains('\u{1b}'), "{text:?}");
    }
    assert_eq!(output(&[], "--quiet"), "");
}

#[test]
fn the_number_of_cores_that_nix_gives_a_build_is_the_default_number_of_threads() {
    let lab = lab();
    lab.file("root/large", vec![7; 32 << 20]);
    // Threads take address space for their stacks and heaps.
    let fits = |cores: &str| {
        let script = format!("ulimit -v 1000000; exec {SEATRIAL} \"$@\"");
        let mut command = build(&lab, "sh", &["-c", &script, "sh"]);
        command.args(["--no-cache", "--format", "oci", "--compress", "zstd"]);
        Run::of({
            command.env("NIX_BUILD_CORES", cores);
            command
        })
        .output
        .status
        .success()
    };
    assert!(fits("1"));
    assert!(!fits("256"));
    assert!(!fits("many"), "a value that is not a number is an error");
}
