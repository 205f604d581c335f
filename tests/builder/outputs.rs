//! Outputs: files appear complete, symlinks and devices stay what they are, and an output in the
//! contents is not packed. The models are GNU tar, crane and skopeo.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::process::Stdio;

use crate::lab::{Lab, Run};
/// A recipe with a folder of the contents.
pub const RECIPE: &str = "name = 'x'\ntag = '1'\ncontents = 'tree'\n";

/// A lab with [`RECIPE`] and its contents.
pub fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("tree/file", "content\n");
    lab.file("recipe.toml", RECIPE);
    lab
}

#[test]
fn a_symlink_to_a_file_stays_and_the_file_is_replaced() {
    let lab = lab();
    let expected = lab.build(RECIPE).bytes;
    fs::create_dir(lab.path("releases")).unwrap();
    // An existing file, one that does not exist yet, and a chain of links.
    lab.file("releases/1.tar", "old");
    lab.link("latest.tar", "releases/1.tar");
    lab.link("next.tar", "releases/2.tar");
    lab.link("chain.tar", "latest.tar");
    for (link, file) in [
        ("latest.tar", "releases/1.tar"),
        ("next.tar", "releases/2.tar"),
        ("chain.tar", "releases/1.tar"),
    ] {
        lab.seatrial(["build", "recipe.toml", "-o", link]).ok();
        assert!(lab.path(link).is_symlink(), "{link}");
        let metadata = lab.path(file).symlink_metadata().unwrap();
        assert!(metadata.is_file(), "{file}");
        assert_eq!(metadata.permissions().mode() & 0o600, 0o600);
        assert_eq!(fs::read(lab.path(file)).unwrap(), expected, "{link}");
    }
    lab.link("loop.tar", "loop.tar");
    lab.seatrial(["build", "recipe.toml", "-o", "loop.tar"]);
    assert!(lab.path("loop.tar").is_symlink());
}

#[test]
fn a_device_is_written_to_and_stays() {
    let lab = lab();
    lab.link("null.tar", "/dev/null");
    for output in ["/dev/null", "null.tar"] {
        lab.seatrial(["build", "recipe.toml", "-o", output]).ok();
        lab.seatrial(["build", "recipe.toml", "--format", "oci", "-o", output]).ok();
        let metadata = fs::metadata(lab.path(output)).unwrap();
        assert!(metadata.file_type().is_char_device(), "{output}");
    }
    assert!(lab.path("null.tar").is_symlink());
}

#[test]
fn dev_stdout_is_standard_output_whether_it_is_a_pipe_or_a_file() {
    let lab = lab();
    let expected = lab.build(RECIPE).bytes;
    let before = fs::symlink_metadata("/dev/stdout").unwrap().file_type();
    for output in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let piped = lab.seatrial(["build", "recipe.toml", "-o", output]);
        assert_eq!(piped.output.stdout, expected, "{output}");
        let file = File::create(lab.path("redirected.tar")).unwrap();
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command.args(["build", "recipe.toml", "-o", output]).stdout(file);
        assert!(command.stderr(Stdio::null()).status().unwrap().success());
        assert_eq!(fs::read(lab.path("redirected.tar")).unwrap(), expected, "{output}");
    }
    assert_eq!(fs::symlink_metadata("/dev/stdout").unwrap().file_type(), before);
}

#[test]
fn a_named_pipe_is_written_to() {
    let lab = lab();
    let expected = lab.build(RECIPE).bytes;
    lab.tool("mkfifo", ["pipe"]);
    let path = lab.path("pipe");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    });
    lab.seatrial(["build", "recipe.toml", "-o", "pipe"]).ok();
    assert_eq!(reader.join().unwrap(), expected);
    assert!(fs::symlink_metadata(lab.path("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn an_output_in_the_contents_is_left_out_as_by_gnu_tar() {
    let lab = Lab::new();
    lab.file("file", "content\n");
    lab.file("recipe.toml", "name = 'app'\ntag = '1'\ncontents = '.'\n");
    let build = |output: &[&str]| {
        let run = lab.seatrial(["build", "recipe.toml"].iter().chain(output));
        let stderr = run.stderr();
        run.ok();
        stderr
    };
    assert!(!build(&[]).contains("left"));
    let first = fs::read(lab.path("app.tar")).unwrap();
    for output in [&[][..], &["-o", "app.tar"]] {
        let message = build(output);
        assert!(message.contains("app.tar") && message.contains("left"), "{message}");
        assert_eq!(fs::read(lab.path("app.tar")).unwrap(), first);
    }
    // GNU tar leaves its own archive out as well.
    lab.tool("tar", ["-cf", "gnu.tar", "--exclude=app.tar", "."]);
    assert!(!lab.tool("tar", ["-tf", "gnu.tar"]).contains("gnu.tar"));
    fs::remove_file(lab.path("gnu.tar")).unwrap();

    // Redirected standard output.
    fs::remove_file(lab.path("app.tar")).unwrap();
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["stream", "recipe.toml"]).stdout(File::create(lab.path("app.tar")).unwrap());
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(fs::read(lab.path("app.tar")).unwrap(), first);
}

#[test]
fn an_output_in_the_contents_does_not_change_the_derived_tag() {
    let lab = Lab::new();
    lab.file("file", "content\n");
    lab.file("recipe.toml", "name = 'app'\ncontents = '.'\n");
    let reference = |more: &[&str]| {
        lab.seatrial(["reference", "recipe.toml"].iter().chain(more)).ok().trim().to_owned()
    };
    let build = |more: &[&str]| {
        let summary = lab.seatrial(["build", "recipe.toml", "--json"].iter().chain(more)).ok();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        summary["reference"].as_str().unwrap().to_owned()
    };
    let first = reference(&[]);
    assert_eq!(build(&[]), first);
    assert_eq!(reference(&[]), first);
    fs::rename(lab.path("app.tar"), lab.path("other.tar")).unwrap();
    assert_ne!(reference(&[]), first, "it is a file of the contents now");
    assert_eq!(reference(&["-o", "other.tar"]), first);
    assert_eq!(build(&["-o", "other.tar"]), first);
}

#[test]
fn an_output_that_is_one_of_the_contents_is_an_error() {
    let lab = Lab::new();
    lab.file("data.tar", "precious");
    lab.file("recipe.toml", "name = 'app'\ntag = '1'\ncontents = 'data.tar'\n");
    let run = lab.seatrial(["build", "recipe.toml", "-o", "data.tar"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("data.tar"), "{}", run.stderr());
    assert_eq!(fs::read(lab.path("data.tar")).unwrap(), b"precious");
}

#[test]
fn an_image_is_built_without_proc() {
    let lab = lab();
    let expected = lab.build(RECIPE).bytes;
    // An empty folder over /proc, in a mount namespace of its own.
    let script = "mount -t tmpfs none /proc && exec \"$0\" build recipe.toml -o without.tar";
    let mut command = lab.command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(env!("CARGO_BIN_EXE_seatrial"));
    let run = Run::of(command);
    if !run.output.status.success() && !lab.exists("without.tar") {
        let message = run.stderr();
        let no_namespace = message.contains("unshare") || message.contains("mount");
        assert!(no_namespace && !message.contains("seatrial: "), "{message}");
        return;
    }
    assert_eq!(fs::read(lab.path("without.tar")).unwrap(), expected);
}

#[test]
fn a_uid_that_does_not_apply_to_a_folder_of_the_base_is_noted_once() {
    let lab = Lab::new();
    lab.file("base/srv/data/keep", "");
    lab.file("base/etc/x", "");
    lab.build_with("name='base'\ntag='1'\ncontents='base'\n", "base.tar", &[]);
    lab.file("tree/srv/data/file", "");
    let recipe = "name='x'\ntag='1'\nfrom_image='base.tar'\ncontents='tree'\n";
    let notes = |recipe: &str| {
        lab.file("recipe.toml", recipe);
        let run = lab.seatrial(["build", "recipe.toml", "-o", "out.tar"]);
        let stderr = run.stderr();
        run.ok();
        stderr
    };
    assert_eq!(notes(recipe), "");
    let with_owner = notes(&format!("{recipe}uid = 1000\ngid = 1000\n"));
    assert_eq!(with_owner.lines().count(), 1, "{with_owner}");
    assert!(with_owner.contains("/srv, /srv/data"), "{with_owner}");
    assert_eq!(notes(&format!("{recipe}uid = 1000\ngid = 1000\nreplace = ['/srv']\n")), "");
}

#[test]
fn a_name_that_stands_for_another_compression_than_the_file_has_is_noted() {
    let lab = lab();
    lab.build_with(RECIPE, "image.tar", &[]);
    let gzip = ["--compress", "gzip"];
    let none: [&str; 0] = [];
    for (command, output, more, expected) in [
        ("build", "x.tar.gz", &none[..], "x.tar.gz is not compressed with gzip; use --compress"),
        ("build", "x.tgz", &gzip[..], ""),
        ("build", "x.tar.zst", &gzip[..], "x.tar.zst is not compressed with zstd; use --compress"),
        ("build", "x.tar", &gzip[..], ""),
        (
            "build",
            "o.tar.gz",
            &["--compress", "gzip", "--format", "oci"][..],
            "o.tar.gz is not compressed with gzip; --compress compresses its layers",
        ),
        ("export", "e.tar.xz", &none[..], "e.tar.xz is not compressed with xz; write to standard"),
    ] {
        let input = if command == "build" { "recipe.toml" } else { "image.tar" };
        let run = lab.seatrial([command, input, "-o", output].iter().chain(more));
        let notes = run.stderr();
        run.ok();
        match expected {
            "" => assert!(!notes.contains("note:"), "{notes}"),
            _ => assert!(notes.contains(&format!("note: {expected}")), "{notes}"),
        }
        let magic: &[u8] = match fs::read(lab.path(output)).unwrap()[..2] {
            [0x1f, 0x8b] => b"gzip",
            _ => b"",
        };
        let is_compressed = more.len() == 2;
        assert_eq!(magic.is_empty(), !is_compressed, "{output}");
    }
}

/// Asserts that a dash as the file of an argument writes to standard output what `file` gets
/// otherwise, and that the results go to standard error then.
#[track_caller]
fn dash_is_standard_output(lab: &Lab, arguments: &[&str], prefix: &str) {
    let run = |file: &str| {
        let output = format!("{prefix}{file}");
        lab.seatrial(arguments.iter().copied().chain([output.as_str()]))
    };
    let results = run("file").stdout();
    let written = fs::read_to_string(lab.path("file")).unwrap();
    for stream in ["-", "/dev/stdout"] {
        let streamed = run(stream);
        assert_eq!(streamed.stdout(), written, "{stream}");
        assert_eq!(streamed.stderr(), results, "{stream}");
    }
    assert!(!lab.exists("-"));
}

#[test]
fn reports_can_be_written_to_standard_output() {
    let lab = lab();
    lab.build_with(RECIPE, "first.tar", &[]);
    lab.build_with(&format!("{RECIPE}[config]\nUser = 'x'\n"), "second.tar", &[]);
    for kind in ["html=", "json="] {
        dash_is_standard_output(&lab, &["diff", "first.tar", "second.tar", "--report"], kind);
    }
}

#[cfg(feature = "vm")]
#[test]
fn a_verdict_can_be_written_to_standard_output() {
    let lab = lab();
    lab.build_with(RECIPE, "image.tar", &[]);
    lab.file("expect.json", r#"{ "image": { "tag": "1" } }"#);
    let check = ["check", "image.tar", "--no-vm", "--expect", "expect.json", "--report", "md=-"];
    let run = lab.seatrial(check);
    assert!(run.stdout().starts_with("## Passed: "), "{}", run.stdout());
    assert!(run.stderr().contains(" passed"), "{}", run.stderr());
    assert!(!lab.exists("-"));
}

#[test]
fn a_proposed_plan_can_be_written_to_standard_output() {
    let lab = Lab::with_store();
    let recipe = format!("name='x'\ncontents='/nix/store/a-app'\n{}", crate::lab::STORE);
    lab.file("recipe.toml", recipe);
    let layers = ["layers", "recipe.toml", "--history", "recipe.toml", "--write-plan"];
    dash_is_standard_output(&lab, &layers, "");
}
