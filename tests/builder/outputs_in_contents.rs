//! Folders of contents with outputs of earlier builds in them: the image is the same as without.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::lab::{Lab, Run, members};
use crate::steps;

/// The image ID and the reference that `build` prints with `arguments`.
fn built(lab: &Lab, arguments: &[&str]) -> (String, String) {
    let arguments = ["build"].iter().chain(arguments).chain(&["--json"]);
    let summary: Value = serde_json::from_str(&lab.seatrial(arguments).ok()).unwrap();
    let text = |key: &str| summary[key].as_str().unwrap().to_owned();
    (text("id"), text("reference"))
}

fn reference(lab: &Lab, recipe: &str) -> String {
    lab.seatrial(["reference", recipe]).ok().trim().to_owned()
}

/// The names of the files in the layers of the archive.
fn files(archive: &[u8]) -> Vec<String> {
    let layers = members(archive).into_iter().filter(|one| one.name.ends_with("layer.tar"));
    layers.flat_map(|layer| members(&layer.content)).map(|one| one.name).collect()
}

#[test]
fn a_bill_of_200_packages_in_the_contents_is_left_out() {
    let lab = Lab::new();
    let package = |number: u32| {
        let status = "Status: install ok installed\nArchitecture: all\nVersion: 1\n";
        format!("Package: package-{number}\n{status}Maintainer: Some One <one@example.com>\n\n")
    };
    let status: String = (0..200).map(package).collect();
    lab.file("var/lib/dpkg/status", status);
    lab.file("big.toml", "name='big'\ncontents=['.']\n");
    for (format, file) in [("spdx", "big.spdx.json"), ("cyclonedx", "big.cdx.json")] {
        let first = built(&lab, &["big.toml", "--sbom", format]);
        assert!(fs::metadata(lab.path(file)).unwrap().len() > 64 << 10, "{file}");
        assert_eq!(built(&lab, &["big.toml", "--sbom", format]), first);
        assert_eq!(reference(&lab, "big.toml"), first.1, "{format}");
    }
}

#[test]
fn a_build_with_named_layers_is_the_same_if_its_output_is_in_the_contents() {
    let lab = Lab::new();
    lab.file("app/x", "x");
    lab.file("file", "y");
    let recipe =
        "name='a'\ncontents=['.']\n[[layer]]\nname='all'\npaths=['/app','/file','/a.toml']\n";
    lab.file("a.toml", recipe);
    let expected = reference(&lab, "a.toml");
    let first = built(&lab, &["a.toml", "-o", "out.tar"]);
    assert_eq!(first.1, expected);
    assert_eq!(built(&lab, &["a.toml", "-o", "out.tar"]), first);
    let with_output = lab.seatrial(["reference", "a.toml", "-o", "out.tar"]);
    assert_eq!(with_output.ok().trim(), expected);
    let archive = fs::read(lab.path("out.tar")).unwrap();
    fs::remove_file(lab.path("out.tar")).unwrap();
    // To a pipe, and to a file that the shell has created.
    assert!(lab.seatrial(["stream", "a.toml"]).output.stdout == archive);
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["stream", "a.toml"]).stdout(File::create(lab.path("s.tar")).unwrap());
    command.stderr(File::create(lab.path("log")).unwrap());
    assert!(command.status().unwrap().success());
    assert!(fs::read(lab.path("s.tar")).unwrap() == archive);
}

#[test]
fn an_unfinished_output_with_a_name_makes_no_layer() {
    let lab = Lab::new();
    lab.file("app/x", "x");
    let recipe = "name='a'\ncontents=['.']\n[[layer]]\nname='all'\npaths=['/app','/a.toml']\n";
    lab.file("a.toml", recipe);
    let archive = lab.seatrial(["stream", "a.toml"]).output.stdout;
    // Without /proc, an output has a name while it is written.
    let script = "mount -t tmpfs none /proc && exec \"$0\" build a.toml";
    let mut command: Command = lab.command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(env!("CARGO_BIN_EXE_seatrial"));
    let run = Run::of(command);
    run.ok();
    assert!(fs::read(lab.path("a.tar")).unwrap() == archive);
}

#[test]
fn a_bill_that_contents_names_is_in_the_image() {
    let lab = Lab::new();
    lab.file("tree/q", "q");
    lab.file("app.toml", "name='app'\ncontents=['tree']\n");
    // A bill that seatrial has made of another image, and an archive.
    lab.seatrial(["build", "app.toml", "--sbom", "spdx"]).ok();
    for name in ["app.spdx.json", "app.tar"] {
        lab.file("app.toml", format!("name='app'\ncontents=['tree', '{name}']\n"));
        let stream = lab.seatrial(["stream", "app.toml"]);
        assert!(files(&stream.output.stdout).contains(&name.to_owned()), "{}", stream.stderr());
        let expected = reference(&lab, "app.toml");
        assert!(stream.stderr().contains(&expected), "{}", stream.stderr());
        lab.seatrial(["layers", "app.toml"]).ok();
        lab.seatrial(["explain", "app.toml", &format!("/{name}")]).ok();
        let before = fs::read(lab.path(name)).unwrap();
        let run = lab.seatrial(["build", "app.toml", "--sbom", "spdx"]);
        assert_eq!(run.output.status.code(), Some(2));
        assert!(run.stderr().contains("it is an input of the recipe"), "{}", run.stderr());
        assert!(fs::read(lab.path(name)).unwrap() == before);
    }
}

#[test]
fn the_image_is_the_same_in_any_working_directory() {
    let lab = Lab::new();
    lab.file("p/file", "content\n");
    lab.file("p/app.toml", "name='app'\ncontents='.'\n");
    let run = |folder: &str, arguments: &[&str]| {
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command.args(arguments).current_dir(lab.path(folder));
        Run::of(command).ok().trim().to_owned()
    };
    let first = reference(&lab, "p/app.toml");
    run("p", &["build", "app.toml", "--sbom", "cyclonedx"]);
    assert_eq!(run("p", &["reference", "app.toml"]), first);
    assert_eq!(reference(&lab, "p/app.toml"), first);
    let archive = fs::read(lab.path("p/app.tar")).unwrap();
    assert!(lab.seatrial(["stream", "p/app.toml"]).output.stdout == archive);
    lab.seatrial(["build", "p/app.toml"]).ok();
    assert!(fs::read(lab.path("app.tar")).unwrap() == archive);
}

#[test]
fn only_what_seatrial_has_written_counts_as_an_output_of_an_earlier_build() {
    let lab = Lab::new();
    // What docker save writes: a layer in a folder that is named by a digest. GNU tar makes it.
    let digest = "a".repeat(64);
    lab.file(format!("saved/{digest}/layer.tar"), "");
    lab.tool("tar", ["-cf", "saved.tar", "-C", "saved", &format!("{digest}/layer.tar")]);
    lab.file("other/n.toml", "name='n'\ntag='1'\n");
    lab.seatrial(
        ["build", "other/n.toml", "-o", "image.tar", "--sbom", "spdx", "--sbom-file"]
            .iter()
            .chain(&["bill.json"]),
    )
    .ok();
    lab.seatrial(["build", "other/n.toml", "-o", "oci.tar", "--format", "oci"]).ok();
    let foreign_bill = r#"{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT"}"#;
    for (content, is_output) in [
        (Vec::new(), true),
        (b"garbage".to_vec(), false),
        (fs::read(lab.path("saved.tar")).unwrap(), false),
        (foreign_bill.into(), false),
        (fs::read(lab.path("image.tar")).unwrap(), true),
        (fs::read(lab.path("oci.tar")).unwrap(), true),
        (fs::read(lab.path("bill.json")).unwrap(), true),
    ] {
        let shown = String::from_utf8_lossy(&content[..content.len().min(40)]).into_owned();
        let lab = Lab::new();
        lab.file("n.toml", "name='n'\ncontents='.'\n");
        let without = reference(&lab, "n.toml");
        lab.file("n.tar", &content);
        assert_eq!(reference(&lab, "n.toml") == without, is_output, "{shown}");
        let run = lab.seatrial(["build", "n.toml"]);
        let expected = if is_output { 0 } else { 2 };
        assert_eq!(run.output.status.code(), Some(expected), "{shown}: {}", run.stderr());
        if !is_output {
            assert!(fs::read(lab.path("n.tar")).unwrap() == content, "{shown}");
            let reason = "n.tar: it is one of the contents, and not an output of an earlier build;";
            assert!(run.stderr().contains(reason), "{}", run.stderr());
            assert!(run.stderr().ends_with("choose another file for --output\n"));
        }
    }
    // An empty file that the user names, as mktemp makes it, may be replaced.
    let lab = Lab::new();
    lab.file("n.toml", "name='n'\ncontents='.'\n");
    lab.file("made", "");
    lab.seatrial(["build", "n.toml", "-o", "made"]).ok();
}

#[test]
fn an_output_is_no_input_of_a_step() {
    let lab = steps::lab();
    // Modes, owners, kinds, names, targets and contents.
    let command = "cd /in; /bin/busybox find . -exec /bin/busybox stat -c '%A %u:%g %N' {} + |
        /bin/busybox sort > /list; cat link sub/deep/file >> /list";
    let recipe = format!(
        "name='s'\narchitecture='amd64'\ncontents=['rootfs']\n[[run]]\ncommand='''{command}'''\n\
         inputs=[{{ source='project', target='/in' }}]\n"
    );
    lab.file("s.toml", recipe);
    lab.file("project/sub/deep/file", "x");
    lab.file("project/other/file", "other");
    lab.mode("project/other/file", 0o640);
    lab.link("project/link", "other/file");
    fs::set_permissions(
        lab.path("project/sub"),
        std::os::unix::fs::PermissionsExt::from_mode(0o750),
    )
    .unwrap();
    let stream = || {
        let run = lab.seatrial(["stream", "s.toml", "--no-cache"]);
        assert!(run.output.status.success(), "{}", run.stderr());
        run.output.stdout
    };
    let (expected, archive) = (reference(&lab, "s.toml"), stream());
    for output in ["project/s.tar", "project/sub/deep/s.tar"] {
        for _ in 0..2 {
            // Not from the cache, so that the command sees its inputs.
            let arguments = ["s.toml", "--no-cache", "-o", output];
            assert_eq!(built(&lab, &arguments).1, expected);
            assert!(fs::read(lab.path(output)).unwrap() == archive, "{output}");
        }
        fs::remove_file(lab.path(output)).unwrap();
    }
    // By default, from the folder of the inputs; with a log there, too.
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["build", "../s.toml"]).current_dir(lab.path("project")).stdout(Stdio::null());
    command.stderr(File::create(lab.path("project/log")).unwrap());
    assert!(command.status().unwrap().success());
    assert!(fs::read(lab.path("project/s.tar")).unwrap() == archive);
    // A file that no build has written is not replaced.
    let run = lab.seatrial(["build", "s.toml", "-o", "project/other/file"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert!(
        run.stderr().contains("it is an input of a step, and not an output"),
        "{}",
        run.stderr()
    );
}

#[test]
fn an_input_with_thousands_of_files_and_an_output_is_seen_without_the_output() {
    let lab = steps::lab();
    (0..3200).for_each(|number| drop(lab.file(format!("in/{number}"), "")));
    let command = "ls /in | /bin/busybox wc -l; ls /in/out.tar || true";
    for user in ["root", "app"] {
        let more = format!("user = '{user}'\ninputs = [{{ source = 'in', target = '/in' }}]");
        lab.file("s.toml", steps::with_command(command, &more));
        for _ in 0..2 {
            let run = lab.seatrial(["build", "s.toml", "-o", "in/out.tar", "--no-cache"]);
            assert!(run.stderr().contains("\n  3200\n"), "{}", run.stderr());
            let missing = "ls: /in/out.tar: No such file or directory";
            assert!(run.stderr().contains(missing), "{}", run.stderr());
            run.ok();
        }
        fs::remove_file(lab.path("in/out.tar")).unwrap();
    }
}

#[test]
fn a_step_that_keeps_the_times_of_its_inputs_is_reproducible_with_an_output_among_them() {
    let lab = steps::lab();
    lab.file("in/sub/deep/file", "x");
    lab.file("in/other/file", "x");
    lab.link("in/sub/link", "deep/file");
    let paths = ["in/sub/link", "in/sub/deep/file", "in/other/file", "in/other", "in/sub", "in"];
    lab.tool("touch", ["-h", "-d", "2019-01-01T00:00:00Z"].into_iter().chain(paths));
    // This program does not keep the times of symlinks.
    let command = "/bin/busybox cp -a /in /copy; /bin/busybox stat -c %Y /in/sub/link > /time";
    let recipe = steps::with_command(command, "inputs = [{ source = 'in', target = '/in' }]");
    lab.file("s.toml", recipe.replace("tag='1'", "tag='1'\nmtime='2020-01-01'"));
    let build = |arguments: &[&str]| {
        let run = ["build", "s.toml", "-o", "in/sub/deep/out.tar"];
        lab.seatrial(run.iter().chain(arguments)).ok();
        fs::read(lab.path("in/sub/deep/out.tar")).unwrap()
    };
    let first = build(&[]);
    assert!(build(&["--verify"]) == first);
    assert!(build(&["--no-cache"]) == first);
    let layer = steps::read(&lab, "in/sub/deep/out.tar").layers().pop().unwrap();
    let time = |name: &str| {
        let named = layer.iter().find(|member| member.name.trim_end_matches('/') == name);
        named.unwrap().mtime
    };
    for name in ["copy", "copy/other", "copy/other/file", "copy/sub"] {
        // `date -d 2019-01-01 +%s`
        assert_eq!(time(name), 1_546_300_800, "{name}");
    }
    let link = layer.iter().find(|member| member.name == "time").unwrap();
    assert_eq!(link.content, b"1546300800\n");
}

#[test]
fn what_a_shell_leaves_of_a_stream_that_fails_does_not_change_the_image() {
    let lab = Lab::new();
    lab.file("app/x", "x");
    let recipe = "name='a'\ncontents=['.']\n";
    lab.file("a.toml", recipe);
    let expected = reference(&lab, "a.toml");
    lab.file("a.toml", format!("{recipe}from_image='missing.tar'\n"));
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["stream", "a.toml"]).stdout(File::create(lab.path("a.tar")).unwrap());
    assert_eq!(command.status().unwrap().code(), Some(2));
    assert_eq!(fs::metadata(lab.path("a.tar")).unwrap().len(), 0);
    lab.file("a.toml", recipe);
    assert_eq!(reference(&lab, "a.toml"), expected);
    assert_eq!(built(&lab, &["a.toml"]).1, expected);
}

#[test]
fn a_content_that_is_called_like_standard_output_is_in_the_image() {
    let lab = Lab::new();
    lab.file("-", "x");
    lab.file("a.toml", "name='a'\ncontents=['.']\n");
    let archive = lab.seatrial(["build", "a.toml", "-o", "-"]).output.stdout;
    assert!(files(&archive).contains(&"-".to_owned()));
    assert!(lab.seatrial(["stream", "a.toml"]).output.stdout == archive);
}

#[test]
fn unfinished_outputs_of_killed_builds_are_not_in_the_image_and_are_removed() {
    let lab = steps::lab();
    let command = "ls -a /in /in/sub";
    let step = "inputs=[{ source='project', target='/in' }]";
    let recipe = steps::with_command(command, step);
    lab.file("s.toml", recipe.replace("['rootfs']", "['rootfs', 'project']"));
    lab.file("project/file", "x");
    lab.file("project/sub/file", "x");
    let build = |output: &str| {
        let run = lab.seatrial(["build", "s.toml", "--no-cache", "-o", output]);
        let messages = run.stderr();
        run.ok();
        (fs::read(lab.path(output)).unwrap(), messages)
    };
    let (archive, messages) = build("out.tar");
    assert!(!messages.contains("left"), "{messages}");
    // As a killed process leaves it, and as another process is writing it.
    let left = ["project/.seatrial-unfinished-aB3dE5", "project/sub/.seatrial-unfinished-aB3dE5"];
    left.iter().for_each(|name| drop(lab.file(name, "part")));
    let written = lab.file("project/.seatrial-unfinished-xxxxxx", "part");
    let mut lock = lab.command("flock");
    lock.arg(&written).args(["-c", "echo locked; read end"]);
    let mut lock = lock.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut locked = String::new();
    BufReader::new(lock.stdout.take().unwrap()).read_line(&mut locked).unwrap();
    let (again, messages) = build("out.tar");
    assert!(again == archive);
    for name in left.into_iter().chain(["project/.seatrial-unfinished-xxxxxx"]) {
        assert!(messages.contains(name), "{name} is left out without a note: {messages}");
    }
    assert!(build("project/s.tar").0 == archive);
    assert!(!lab.exists(left[0]));
    assert!(lab.exists(left[1]), "only the folder of the output is swept");
    assert!(written.exists(), "another process is writing it");
    drop(lock.stdin.take());
    lock.wait().unwrap();
    // Other names are those of contents.
    for name in ["project/.seatrial-config", "project/.seatrial-unfinished-settings"] {
        let before = build("project/s.tar").0;
        lab.file(name, "x");
        assert!(build("project/s.tar").0 != before, "{name} is not in the image");
        assert!(lab.exists(name), "{name} was removed");
    }
}

#[test]
fn an_image_with_another_name_does_not_contain_the_default_output() {
    let lab = Lab::new();
    lab.file("app/x", "x");
    lab.file("a.toml", "name='a'\ntag='1'\ncontents=['.']\n");
    let stream = || lab.seatrial(["stream", "a.toml", "--name", "b"]).output.stdout;
    let expected = stream();
    lab.seatrial(["build", "a.toml"]).ok();
    assert!(stream() == expected);
}
