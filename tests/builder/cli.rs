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
fn a_build_says_what_it_wrote_within_80_columns() {
    let lab = lab();
    let run = lab.seatrial(["build", "recipe.toml"]);
    assert_eq!(run.stderr(), "", "nothing but results where no terminal is");
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
    // The id stays whole, to be copied; it alone may be wider.
    let wide: Vec<&str> =
        text.lines().filter(|line| line.len() > 80 && !line.contains("sha256:")).collect();
    assert!(wide.is_empty(), "{wide:?}");
    let seen = lab.seatrial(["inspect", "app.tar"]).ok();
    let (built, seen) = (text.split_once('\n').unwrap().1, seen.split_once('\n').unwrap().1);
    assert_eq!(built, seen, "build and inspect describe an image alike");
}

#[test]
fn json_has_the_fields_of_the_contract_and_inspect_agrees_with_build() {
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
        "tag",
        "variant",
    ];
    assert_eq!(fields, contract);
    let layer: Vec<&str> =
        built["layers"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(layer, ["base", "diff_id", "digest", "paths", "size"]);
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

/// What `inspect` says of an image, less what it noticed, which `build` does not tell.
fn inspected(lab: &Lab, image: &str) -> Value {
    let mut seen: Value =
        serde_json::from_str(&lab.seatrial(["inspect", image, "--json"]).ok()).unwrap();
    seen.as_object_mut().unwrap().remove("lint").unwrap();
    seen
}

#[test]
fn inspect_knows_the_base_layers_of_an_image_on_an_image() {
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
fn an_archive_on_standard_output_keeps_the_summary_out_of_it() {
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
fn a_device_or_pipe_is_written_into_and_stays() {
    let lab = lab();
    lab.seatrial(["build", "recipe.toml", "-o", "/dev/null"]).ok();
    lab.seatrial(["build", "recipe.toml", "-o", "file.tar"]).ok();
    let run = shell(
        &lab,
        "mkfifo pipe; cat pipe > copy.tar & $SEATRIAL build recipe.toml -o pipe; wait; cmp copy.tar file.tar",
    );
    assert!(run.ok().contains("wrote pipe"));
    assert!(lab.exists("pipe"));
}

#[test]
fn an_output_keeps_to_the_umask_and_replaces_what_was_there() {
    let lab = lab();
    lab.file("app.tar", "before");
    shell(&lab, "umask 027; $SEATRIAL build recipe.toml").ok();
    assert_eq!(fs::metadata(lab.path("app.tar")).unwrap().permissions().mode() & 0o777, 0o640);
    lab.seatrial(["inspect", "app.tar"]).ok();
}

#[test]
fn a_failed_build_leaves_the_old_output_as_it_was() {
    let lab = lab();
    lab.file("app.tar", "before");
    fs::remove_dir_all(lab.path("tree")).unwrap();
    let run = lab.seatrial(["build", "recipe.toml"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(lab.path("app.tar")).unwrap(), "before");
}

#[test]
fn outputs_that_cannot_be_written_are_the_environments_fault() {
    let lab = lab();
    for (output, expected) in
        [("absent/x.tar", "cannot write absent/x.tar: No such file"), ("tree", "is a directory")]
    {
        let run = lab.seatrial(["build", "recipe.toml", "-o", output]);
        assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
        assert!(run.stderr().contains(expected), "{}", run.stderr());
    }
    let run = shell(&lab, "$SEATRIAL stream recipe.toml > /dev/full");
    assert_eq!(run.output.status.code(), Some(3));
    assert!(
        run.stderr().contains("cannot write standard output: No space left"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_full_disk_leaves_no_partial_file() {
    let lab = lab();
    // A limit on file sizes stands for the full disk: the same failing write, without root.
    let run =
        shell(&lab, "trap '' XFSZ; ulimit -f 1024; $SEATRIAL build recipe.toml; echo $?; ls -A");
    assert_eq!(run.stdout(), "3\nrecipe.toml\ntree\n");
    assert!(run.stderr().contains("cannot write app.tar"), "{}", run.stderr());
}

#[test]
fn a_killed_build_leaves_no_partial_file() {
    let lab = lab();
    lab.tool("mkfifo", ["blocked"]);
    // The archive waits for its recipe's base; the kill comes in the middle of the build.
    let script = "truncate -s 4G tree/big; $SEATRIAL build recipe.toml & pid=$!
                  for i in $(seq 500); do [ -n \"$(ls -l /proc/$pid/fd 2>/dev/null | grep -E \"deleted|#\")\" ] && break; sleep 0.01; done
                  kill -9 $pid; wait $pid; rm tree/big; ls -A";
    let run = shell(&lab, script);
    assert_eq!(run.stdout(), "blocked\nrecipe.toml\ntree\n", "{}", run.stderr());
}

#[test]
fn a_broken_pipe_ends_quietly_with_a_code_that_is_not_zero() {
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
    assert!(text.contains("does not go to a terminal") && text.contains("code=2"), "{text}");
}

#[test]
fn usage_errors_have_code_2_and_help_has_examples() {
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
    for command in ["build", "stream", "reference", "inspect"] {
        let help = lab.seatrial([command, "--help"]).ok();
        assert!(
            help.contains("Example") && help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
    }
}
