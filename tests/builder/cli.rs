//! Outputs, exit codes and messages of the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::lab::{Lab, Run};

pub fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("tree/bin/app", vec![7; 3 << 20]);
    lab.file(
        "recipe.toml",
        "name='my/app'\ntag='1'\ncontents='tree'\n[config]\nEnv=['A=1']\nCmd=['/bin/app']\n",
    );
    lab
}

pub fn shell(lab: &Lab, script: &str) -> Run {
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
    let fields = seen.as_object_mut().unwrap();
    for field in ["lint", "digest", "manifest", "verified", "annotations", "index_annotations"] {
        fields.remove(field).unwrap();
    }
    fields.remove("referrers");
    for layer in seen["layers"].as_array_mut().unwrap() {
        assert!(layer["stored_size"].is_u64());
        layer["stored_size"] = Value::Null;
    }
    seen
}

#[test]
fn inspect_shows_how_a_container_runs_within_80_columns() {
    let lab = Lab::new();
    lab.file(
        "recipe.toml",
        "name='x'\ntag='1'\narchitecture='amd64'\nannotations={ 'org.example.team'='harbour' }\n\
         [config]\nStopSignal='SIGQUIT'\nStopTimeout=30\nVolumes={ '/data'={} }\n\
         ExposedPorts={ '80/tcp'={}, '443/tcp'={} }\n\
         Labels={ a='1', long='LONG' }\n\
         Healthcheck={ Test=['CMD', '/check'], Interval='30s', Timeout='500ms', Retries=3 }\n"
            .replace("LONG", &"l".repeat(64)),
    );
    lab.seatrial(["build", "recipe.toml", "-o", "x.tar", "--format", "oci"]).ok();
    let shown = lab.seatrial(["inspect", "x.tar"]).ok();
    let expected = "\
  created     1970-01-01T00:00:01Z
  ports       443/tcp, 80/tcp
  volumes     /data
  healthcheck [\"CMD\",\"/check\"]
              interval 30 s, timeout 0.5 s, retries 3
  stop        SIGQUIT, timeout 30 s
  label       a=1
              long=llllllllllllllllllllllllllllllllllllllllllllllllllllllllll...
  annotation  org.example.team=harbour
  layers      0, 0 B
";
    assert!(shown.contains(expected), "{shown}");
    let id = |line: &&str| line.starts_with("  id ");
    let long = shown.lines().filter(|line| line.chars().count() > 80 && !id(line));
    assert_eq!(long.count(), 0, "{shown}");
    let json: Value =
        serde_json::from_str(&lab.seatrial(["inspect", "x.tar", "--json"]).ok()).unwrap();
    assert_eq!(json["annotations"], serde_json::json!({ "org.example.team": "harbour" }));
    assert_eq!(json["index_annotations"], serde_json::json!({}));
}

#[test]
fn inspect_limits_how_many_lines_of_a_kind_it_shows() {
    let lab = Lab::new();
    let labels: Vec<String> = (100..200).map(|n| format!("l{n}='x'")).collect();
    let recipe = format!("name='x'\ntag='1'\nconfig.Labels={{ {} }}\n", labels.join(", "));
    lab.build_with(&recipe, "x.tar", &[]);
    let shown = lab.seatrial(["inspect", "x.tar"]).ok();
    assert_eq!(shown.lines().filter(|line| line.contains("=x")).count(), 40);
    assert!(shown.contains("  l139=x\n              (60 more; --json lists all)\n"), "{shown}");
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
fn an_output_that_cannot_exist_is_bad_input() {
    let lab = lab();
    for (output, expected) in [
        ("absent/x.tar", "absent/x.tar: there is no folder absent; create it first\n"),
        ("recipe.toml/x.tar", "recipe.toml/x.tar: recipe.toml is not a folder\n"),
        ("absent/", "absent/: it ends with a slash; name a file\n"),
        ("tree", "tree: it is a directory; name a file\n"),
    ] {
        let run = lab.seatrial(["build", "recipe.toml", "-o", output]);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        let expected = format!("seatrial: failed to write {expected}");
        assert_eq!(run.stderr(), expected);
    }
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure_of_the_environment() {
    let lab = lab();
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
