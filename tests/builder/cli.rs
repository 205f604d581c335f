//! Outputs, exit codes and messages of the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::lab::{Lab, Run};

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("tree/bin/app", vec![7; 3 << 20]);
    lab.file(
        "recipe.toml",
        "name='my/app'\ntag='1'\ncontents='tree'\n[config]\nEnv=['A=1']\nCmd=['/bin/app']\n",
    );
    lab
}

fn shell(lab: &Lab, script: &str) -> Run {
    let mut shell: Command = lab.command("bash");
    shell.args(["-c", script]).env("SEATRIAL", env!("CARGO_BIN_EXE_seatrial"));
    Run::of(shell)
}

#[test]
fn build_prints_the_file_and_the_image_within_80_columns() {
    let lab = lab();
    let run = lab.seatrial(["build", "recipe.toml"]);
    assert_eq!(run.stderr(), "", "progress is shown only on a terminal");
    let text = run.ok();
    for part in [
        "wrote app.tar",
        "my/app:1",
        "sha256:",
        "linux/",
        "A=1",
        "/bin/app",
        "1, 3.00 MiB",
        "contents",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The ID is printed in full, so that it can be copied; other lines are not wider.
    let wide: Vec<&str> =
        text.lines().filter(|line| line.len() > 80 && !line.contains("sha256:")).collect();
    assert!(wide.is_empty(), "{wide:?}");
    let seen = lab.seatrial(["inspect", "app.tar"]).ok();
    let (built, seen) = (text.split_once('\n').unwrap().1, seen.split_once('\n').unwrap().1);
    let findings = seen.strip_prefix(built).expect("build and inspect describe an image alike");
    assert!(findings.starts_with("note "), "{findings}");
}

#[test]
fn json_has_the_documented_fields_and_is_the_same_for_build_and_inspect() {
    let lab = lab();
    let built: Value =
        serde_json::from_str(&lab.seatrial(["build", "recipe.toml", "--json"]).ok()).unwrap();
    let fields: Vec<&str> = built.as_object().unwrap().keys().map(String::as_str).collect();
    let contract = [
        "architecture",
        "config",
        "created",
        "env",
        "id",
        "layers",
        "name",
        "os",
        "reference",
        "references",
        "tag",
        "variant",
    ];
    assert_eq!(fields, contract);
    let layer: Vec<&str> =
        built["layers"][0].as_object().unwrap().keys().map(String::as_str).collect();
    let contract = [
        "base",
        "created_by",
        "diff_id",
        "digest",
        "name",
        "packages",
        "paths",
        "size",
        "step",
        "stored_size",
    ];
    assert_eq!(layer, contract);
    assert_eq!(inspected(&lab, "app.tar"), built);
    for format in ["oci", "dual"] {
        let arguments = ["build", "recipe.toml", "--json", "--format", format, "-o", "other.tar"];
        let mut other: Value = serde_json::from_str(&lab.seatrial(arguments).ok()).unwrap();
        assert_eq!(inspected(&lab, "other.tar"), other, "{format}");
        // Layers are named by digest, which a docker-archive does not do.
        let layer = other["layers"][0].as_object_mut().unwrap();
        assert_eq!(layer["digest"], layer["diff_id"], "{format}");
        layer["digest"] = Value::Null;
        assert_eq!(other, built, "{format}");
    }
}

/// The output of `inspect`, without what `build` does not print: findings, and how the image is
/// stored.
fn inspected(lab: &Lab, image: &str) -> Value {
    let mut seen: Value =
        serde_json::from_str(&lab.seatrial(["inspect", image, "--json"]).ok()).unwrap();
    for field in ["lint", "digest", "manifest", "verified"] {
        seen.as_object_mut().unwrap().remove(field).unwrap();
    }
    for layer in seen["layers"].as_array_mut().unwrap() {
        assert!(layer["stored_size"].is_u64());
        layer["stored_size"] = Value::Null;
    }
    seen
}

#[test]
fn inspect_recognizes_the_base_layers_of_images_built_on_each_other() {
    let lab = lab();
    lab.seatrial(["build", "recipe.toml", "-o", "one.tar"]).ok();
    lab.file("more/x", "");
    for (base, next) in [("one", "two"), ("two", "three")] {
        let recipe = format!("name='{next}'\ntag='1'\nfrom_image='{base}.tar'\ncontents='more'\n");
        lab.file("next.toml", recipe.as_str());
        let output = format!("{next}.tar");
        let built: Value = serde_json::from_str(
            &lab.seatrial(["build", "next.toml", "--json", "-o", &output]).ok(),
        )
        .unwrap();
        assert_eq!(inspected(&lab, &output), built);
    }
}

#[test]
fn the_summary_goes_to_standard_error_if_the_archive_goes_to_standard_output() {
    let lab = lab();
    lab.seatrial(["build", "recipe.toml", "-o", "file.tar"]).ok();
    for format in ["docker", "oci", "dual"] {
        let arguments = ["build", "recipe.toml", "--format", format, "-o"];
        lab.seatrial(arguments.iter().chain(&["file.tar"])).ok();
        let run = lab.seatrial(arguments.iter().chain(&["-"]));
        assert!(run.stderr().contains("wrote standard output"));
        assert!(run.output.stdout == fs::read(lab.path("file.tar")).unwrap(), "{format}");
    }
}

#[test]
fn devices_and_pipes_are_written_to_and_not_replaced() {
    let lab = lab();
    lab.seatrial(["build", "recipe.toml", "-o", "/dev/null"]).ok();
    lab.seatrial(["build", "recipe.toml", "-o", "file.tar"]).ok();
    let script = "mkfifo pipe; cat pipe > copy.tar & $SEATRIAL build recipe.toml -o pipe; wait
                  cmp copy.tar file.tar";
    let run = shell(&lab, script);
    assert!(run.ok().contains("wrote pipe"));
    assert!(lab.exists("pipe"));
}

#[test]
fn an_output_file_respects_the_umask_and_replaces_an_existing_file() {
    let lab = lab();
    lab.file("app.tar", "before");
    shell(&lab, "umask 027; $SEATRIAL build recipe.toml").ok();
    assert_eq!(fs::metadata(lab.path("app.tar")).unwrap().permissions().mode() & 0o777, 0o640);
    lab.seatrial(["inspect", "app.tar"]).ok();
}

#[test]
fn a_failed_build_does_not_change_an_existing_output_file() {
    let lab = lab();
    lab.file("app.tar", "before");
    fs::remove_dir_all(lab.path("tree")).unwrap();
    let run = lab.seatrial(["build", "recipe.toml"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(lab.path("app.tar")).unwrap(), "before");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure_of_the_environment() {
    let lab = lab();
    for (output, expected) in [
        ("absent/x.tar", "failed to write absent/x.tar: No such file or directory (os error 2)\n"),
        ("tree", "failed to write tree: it is a "),
    ] {
        let run = lab.seatrial(["build", "recipe.toml", "-o", output]);
        assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
        assert!(run.stderr().contains(expected), "{}", run.stderr());
    }
    let run = shell(&lab, "$SEATRIAL stream recipe.toml > /dev/full");
    assert_eq!(run.output.status.code(), Some(3));
    assert!(
        run.stderr().contains("failed to write standard output: No space left"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_full_disk_leaves_no_partial_file() {
    let lab = lab();
    // A limit on file sizes makes a write fail as a full disk does, without root.
    let run =
        shell(&lab, "trap '' XFSZ; ulimit -f 1024; $SEATRIAL build recipe.toml; echo $?; ls -A");
    assert_eq!(run.stdout(), "3\nrecipe.toml\ntree\n");
    assert!(run.stderr().contains("failed to write app.tar"), "{}", run.stderr());
}

#[test]
fn a_killed_build_leaves_no_partial_file() {
    let lab = lab();
    lab.tool("mkfifo", ["blocked"]);
    // The build is killed when its output file, which has no name yet, is open.
    let script = "truncate -s 4G tree/big; $SEATRIAL build recipe.toml & pid=$!
                  is_open() { ls -l /proc/$pid/fd 2>/dev/null | grep -qE 'deleted|#'; }
                  for i in $(seq 500); do is_open && break; sleep 0.01; done
                  kill -9 $pid; wait $pid; rm tree/big; ls -A";
    let run = shell(&lab, script);
    assert_eq!(run.stdout(), "blocked\nrecipe.toml\ntree\n", "{}", run.stderr());
}

#[test]
fn a_broken_pipe_ends_the_program_silently_with_exit_code_3() {
    let lab = lab();
    let run =
        shell(&lab, "$SEATRIAL stream recipe.toml | head -c 1000 | wc -c; echo ${PIPESTATUS[0]}");
    assert_eq!(run.stdout(), "1000\n3\n");
    assert_eq!(run.stderr(), "");
}

#[test]
fn an_archive_is_not_written_to_a_terminal() {
    let lab = lab();
    let mut script = lab.command("script");
    let command = format!("{} stream recipe.toml; echo code=$?", env!("CARGO_BIN_EXE_seatrial"));
    script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::null());
    let text = Run::of(script).stdout();
    assert!(text.contains("standard output is a terminal") && text.contains("code=2"), "{text}");
}

#[test]
fn common_mistakes_are_explained_in_one_line() {
    let lab = lab();
    lab.file("typo.toml", "name = 'app'\ncontent = ['tree']\n");
    lab.file("renamed.toml", "name = 'app'\nlayout = 'single'\n");
    lab.file("nameless.toml", "contents = ['tree']\n");
    lab.file("name.toml", "name = 'My App'\n");
    lab.file("text.toml", "name = 'app'\n[config]\nCmd = '/bin/app'\n");
    lab.file("field.toml", "name = 'app'\n[config]\nCmdd = ['/bin/app']\n");
    lab.file("base.toml", "name = 'app'\nfrom_image = 'recipe.toml'\n");
    lab.file("absent.toml", "name = 'app'\ncontents = ['absent']\n");
    let platforms = "name = 'app'\ntag = '1'\nplatforms = ['linux/amd64', 'linux/arm64']\n";
    lab.file("platforms.toml", platforms);
    for (recipe, expected) in [
        ("typo.toml", "typo.toml:2: unknown key \"content\"; did you mean \"contents\"?"),
        ("renamed.toml", "renamed.toml:2: unknown key \"layout\"; it is now called \"layering\""),
        ("nameless.toml", "nameless.toml:1: missing key \"name\""),
        (
            "name.toml",
            "name.toml: invalid image name \"My App\": only letters, digits, '.', '_' and '-' \
             are allowed between slashes",
        ),
        (
            "text.toml",
            "text.toml: config.Cmd must be a list of strings, but is the string \"/bin/app\"; \
             write [\"/bin/app\"]",
        ),
        ("field.toml", "field.toml: config has no field \"Cmdd\"; did you mean \"Cmd\"?"),
        ("base.toml", "recipe.toml: not an image; expected a docker-archive or an OCI layout"),
        ("absent.toml", "failed to read absent: No such file or directory (os error 2)"),
        ("missing.toml", "failed to read missing.toml: No such file or directory (os error 2)"),
        (
            "platforms.toml",
            "platforms.toml: a docker-archive holds one platform, but the recipe has several; use \
             --format oci or dual",
        ),
    ] {
        let message = lab.seatrial(["build", recipe, "-o", "x.tar"]).rejected(&lab, "x.tar");
        assert_eq!(message, format!("seatrial: {expected}\n"));
    }
}

#[test]
fn a_recipe_can_be_read_from_standard_input() {
    let lab = lab();
    let run = shell(&lab, "$SEATRIAL build - < recipe.toml; $SEATRIAL build - < /dev/null");
    assert!(run.stdout().starts_with("wrote app.tar\n"), "{}", run.stderr());
    assert_eq!(run.stderr(), "seatrial: standard input:1: missing key \"name\"\n");
}

#[test]
fn an_image_that_inspect_does_not_find_is_an_error_that_lists_those_in_the_archive() {
    let lab = lab();
    lab.seatrial(["build", "recipe.toml"]).ok();
    let message = lab.seatrial(["inspect", "app.tar", "--name", "other"]).rejected(&lab, "x");
    let expected = "seatrial: app.tar: no image matches other:*; the archive has my/app:1\n";
    assert_eq!(message, expected);
}

#[test]
#[cfg(feature = "vm")]
fn mistakes_about_engines_are_found_before_a_vm_starts() {
    let lab = lab();
    lab.file("app.expect.toml", "[env]\nhas = { A = '1' }\n");
    let check = ["check", "recipe.toml", "--expect", "app.expect.toml", "--engine"];
    for (arguments, expected) in [
        (
            [&check[..], &["dokcer-28"]].concat(),
            "there is no guest \"dokcer-28\"; did you mean \"docker-28\"?",
        ),
        (
            [&check[..], &["debian"]].concat(),
            "there is no guest \"debian\"; `seatrial vm list` lists all",
        ),
        (vec!["check", "recipe.toml"], "there are no expectations; give --expect FILE"),
        (
            vec!["replay", "containerd-gone", "--engine", "docker-28", "--engine", "podman-5.4"],
            "scenario containerd-gone does not apply to podman-5.4; it applies to: docker",
        ),
        (
            vec!["load", "recipe.toml", "--host", "localhost"],
            "invalid engine address \"localhost\"; write unix:///PATH or tcp://HOST:PORT",
        ),
    ] {
        let message = lab.seatrial(arguments).rejected(&lab, "x");
        assert_eq!(message, format!("seatrial: {expected}\n"));
    }
    let run = lab.seatrial(["load", "recipe.toml", "--host", "unix:///nowhere/docker.sock"]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let expected = "seatrial: failed to use the daemon at unix:///nowhere/docker.sock (see --host \
                    and DOCKER_HOST): failed to connect to ";
    assert!(run.stderr().starts_with(expected), "{}", run.stderr());
    let arguments = [&check[..], &["docker-28"]].concat();
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(arguments).env("PATH", "/nowhere");
    let run = Run::of(command);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(
        run.stdout().contains("is not installed; install the Debian package "),
        "{}",
        run.stdout()
    );
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let lab = lab();
    let script = r#"
        eval "$("$SEATRIAL" completions bash)"
        complete() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _seatrial seatrial "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
            echo "${COMPREPLY[*]}"
        }
        complete seatrial refer
        complete seatrial build --comp
        complete seatrial build --compress z"#;
    assert_eq!(shell(&lab, script).ok(), "reference\n--compress\nzstd\n");
}

#[test]
fn usage_errors_have_exit_code_2() {
    let lab = lab();
    for arguments in [
        &["biuld"][..],
        &["build"],
        &["build", "recipe.toml", "--format", "zip"],
        &["stream", "--threads", "0", "x"],
    ] {
        assert_eq!(lab.seatrial(arguments).output.status.code(), Some(2), "{arguments:?}");
    }
    assert!(lab.seatrial(["biuld"]).stderr().contains("'build'"));
}

#[test]
fn every_command_has_a_summary_and_examples_within_80_columns() {
    let lab = lab();
    let mut commands = vec!["build", "stream", "reference", "inspect", "doctor"];
    if cfg!(feature = "vm") {
        commands.extend(["load", "check", "replay", "vm", "vm list", "vm prepare", "vm up"]);
        commands.extend(["vm exec", "vm logs", "vm down", "vm prune"]);
    }
    for command in commands {
        let help = lab.seatrial(command.split(' ').chain(["--help"])).ok();
        let verb = help.split(' ').next().unwrap();
        assert!(
            verb.trim_end_matches(',').ends_with('s'),
            "summaries begin with a verb in the third person: {help}"
        );
        assert!(help.contains("\nExample"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}

#[test]
#[cfg(feature = "vm")]
fn renamed_flags_are_errors_that_name_the_new_flags() {
    let lab = lab();
    for (arguments, old, new) in [
        (["replay", "original", "--policy=ready"], "--policy", "--wait"),
        (["replay", "original", "--patience=9"], "--patience", "--timeout"),
        (["vm", "prepare", "--no-template"], "--no-template", "--no-snapshot"),
    ] {
        let run = lab.seatrial(arguments);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        let expected = format!(
            "error: unexpected argument '{old}' found\n\n  tip: '{old}' was renamed; use '{new}'\n"
        );
        assert!(run.stderr().starts_with(&expected), "{}", run.stderr());
    }
}
