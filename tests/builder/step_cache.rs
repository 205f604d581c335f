//! When steps run again, and what the derived tag depends on.

use std::fs;
use std::io::Write;
use std::net::TcpListener;

use crate::lab::Run;
use crate::steps::{CHANGES, build, lab, read, recipe, with_command};

#[test]
fn a_step_runs_again_only_if_something_that_it_sees_has_changed() {
    let lab = lab();
    let recipe = with_command("cat /inputs/input.txt > /copy", "inputs = 'input.txt'");
    let runs = |recipe: &str, expected: bool, why: &str| {
        let run = build(&lab, recipe, &[]);
        let begins = run.stderr();
        run.ok();
        assert_eq!(!begins.contains("(cached)"), expected, "{why}: {begins}");
        read(&lab, "out.tar").bytes
    };
    let first = runs(&recipe, true, "nothing is cached");
    assert!(first == runs(&recipe, false, "nothing has changed"));
    lab.file("input.txt", "other\n");
    assert!(first != runs(&recipe, true, "the input has changed"));
    lab.file("rootfs/etc/motd", "new\n");
    runs(&recipe, true, "the contents have changed");
    runs(&recipe.replace("[[run]]", "[[run]]\nenv = { A = '1' }"), true, "the environment");
    runs(&recipe.replace("[[run]]", "mtime = '2020-01-01T00:00:00Z'\n[[run]]"), true, "the time");
}

#[test]
fn the_tag_is_known_without_running_a_step_and_depends_on_what_it_sees() {
    let lab = lab();
    let tag = |command: &str| {
        let recipe = with_command(command, "inputs = 'input.txt'").replace("tag='1'\n", "");
        lab.file("recipe.toml", recipe);
        lab.seatrial(["reference", "recipe.toml"]).ok()
    };
    let first = tag("exit 1");
    assert_eq!(first, tag("exit 1"));
    assert_ne!(first, tag("exit 2"));
    lab.file("input.txt", "other\n");
    assert_ne!(first, tag("exit 1"));
    let built = tag("mkdir /made");
    build(&lab, &fs::read_to_string(lab.path("recipe.toml")).unwrap(), &[]).ok();
    let names = read(&lab, "out.tar").manifest()["RepoTags"][0].as_str().unwrap().to_owned();
    assert_eq!(names, built.trim());
}

#[test]
fn verify_names_the_files_that_differ_between_two_runs() {
    let lab = lab();
    let command = "cat /proc/sys/kernel/random/uuid > /etc/id; mkdir /same; rm /etc/motd";
    let run = build(&lab, &with_command(command, ""), &["--verify"]);
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    let message = run.stderr();
    assert!(message.contains("is not reproducible: two runs differ in /etc/id;"), "{message}");
    assert!(!lab.exists("out.tar"));
    build(&lab, &with_command(CHANGES, "inputs = 'input.txt'"), &["--verify"]).ok();
}

#[test]
fn a_step_that_is_not_reproducible_keeps_its_layer_when_it_is_verified() {
    let lab = lab();
    let recipe = with_command("cat /proc/sys/kernel/random/uuid > /etc/id", "");
    build(&lab, &recipe, &[]).ok();
    let before = fs::read(lab.path("out.tar")).unwrap();
    let verified = build(&lab, &recipe, &["--verify"]);
    assert_eq!(verified.output.status.code(), Some(1), "{}", verified.stderr());
    build(&lab, &recipe, &[]).ok();
    assert!(fs::read(lab.path("out.tar")).unwrap() == before, "the tag names another image");
}

#[test]
fn verify_compares_with_the_layer_of_an_earlier_build_too() {
    let lab = lab();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    // The first build gets another answer than the two runs of the second one.
    std::thread::spawn(move || {
        for answer in ["1", "2", "2", "2"] {
            server.accept().unwrap().0.write_all(answer.as_bytes()).unwrap();
        }
    });
    let fetch = format!("/bin/busybox nc localhost {port} < /dev/null > /answer");
    let recipe = with_command(&fetch, "network = true");
    build(&lab, &recipe, &[]).ok();
    let verified = build(&lab, &recipe, &["--verify"]);
    assert_eq!(verified.output.status.code(), Some(1), "{}", verified.stderr());
    let message = verified.stderr();
    assert!(message.contains("than the one in the cache, which differs in /answer:"), "{message}");
    assert!(message.contains("build with --refresh to replace that layer"), "{message}");
    // That makes a layer which later builds use.
    let answer = || read(&lab, "out.tar").member("answer").unwrap().content;
    build(&lab, &recipe, &[]).ok();
    assert_eq!(answer(), b"1");
    build(&lab, &recipe, &["--refresh"]).ok();
    assert_eq!(answer(), b"2");
    build(&lab, &recipe, &[]).ok();
    assert_eq!(answer(), b"2");
}

#[test]
fn without_a_cache_that_can_be_written_a_step_runs_in_the_folder_for_temporary_files() {
    let lab = lab();
    let steps = "[[run]]\ncommand = 'echo 1 > /etc/one'\n[[run]]\ncommand = 'cat /etc/one'\n";
    lab.file("recipe.toml", recipe(steps));
    lab.seatrial(["build", "recipe.toml", "-o", "cached.tar"]).ok();
    let folder = lab.path("temporary");
    fs::create_dir(&folder).unwrap();
    for cache in ["/proc", "/dev/null/x"] {
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command.args(["build", "recipe.toml", "-o", "out.tar"]);
        command.env("XDG_CACHE_HOME", cache).env("TMPDIR", &folder);
        let run = Run::of(command);
        let note = format!(
            "(unpacking the layers below into {}, without a cache: the cache folder {cache}",
            folder.display()
        );
        assert!(run.stderr().contains(&note), "{}", run.stderr());
        run.ok();
        assert!(read(&lab, "out.tar").bytes == read(&lab, "cached.tar").bytes);
        assert_eq!(fs::read_dir(lab.path("temporary")).unwrap().count(), 0, "nothing is left");
    }
}
