//! The flags for registries: every command that uses a registry has those that messages name.

use std::fs::File;

use crate::lab::{Lab, Run};
use crate::service::{Registry, command, recipe, seatrial};

const LOGIN: [&str; 3] = ["--username", "captain", "--password-stdin"];

/// A recipe in `app.toml` on a base image that only `captain` may pull.
fn protected_base() -> (Lab, Registry) {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = Registry::for_user(&lab, "captain", "hunter2");
    let base = registry.name("my/base:1");
    with_password(&lab, &["push", "app.toml", &base]).ok();
    lab.file("app.toml", format!("name = 'app'\nfrom_image = 'docker://{base}'\n"));
    lab.file("app.expect.toml", "[image]\narchitecture = 'amd64'\n");
    (lab, registry)
}

fn with_password(lab: &Lab, arguments: &[&str]) -> Run {
    let mut command = command(lab, [arguments, &LOGIN].concat());
    command.stdin(File::open(lab.file("password", "hunter2\n")).unwrap());
    Run::of(command)
}

#[test]
fn commands_that_take_a_recipe_log_in_to_the_registry_of_its_base() {
    let (lab, _registry) = protected_base();
    let mut commands = vec![
        vec!["build", "app.toml", "-o", "x.tar"],
        vec!["stream", "app.toml"],
        vec!["reference", "app.toml"],
        vec!["explain", "app.toml"],
        vec!["conf", "app.toml"],
        vec!["layers", "app.toml", "--with", "app.toml"],
        vec!["lock", "app.toml", "--update"],
        vec!["diff", "app.toml", "app.toml"],
    ];
    if cfg!(feature = "vm") {
        commands.push(vec!["expect", "app.toml"]);
        commands.push(vec!["check", "app.toml", "--expect", "app.expect.toml", "--no-vm"]);
    }
    for mut command in commands {
        command.push("--no-cache");
        let denied = seatrial(&lab, &command);
        assert_eq!(denied.output.status.code(), Some(2), "{command:?}: {}", denied.stderr());
        let hint = "or --username and --password-stdin";
        assert!(denied.stderr().contains(hint), "{command:?}: {}", denied.stderr());
        with_password(&lab, &command).ok();
    }
}

#[test]
fn the_recipe_of_a_further_container_is_built_with_the_flags_too() {
    if !cfg!(feature = "vm") {
        return;
    }
    let (lab, _registry) = protected_base();
    lab.file("other.toml", "name = 'other'\ntag = '1'\narchitecture = 'amd64'\n");
    lab.file(
        "app.expect.toml",
        "[container.db]\nrecipe = 'app.toml'\n[image]\narchitecture = 'amd64'\n",
    );
    let check = ["check", "other.toml", "--expect", "app.expect.toml", "--no-vm"];
    // Without an engine, further containers are not started.
    with_password(&lab, &check).ok();
    let mut empty = command(&lab, [&check[..], &LOGIN].concat());
    empty.stdin(File::open(lab.file("password", "")).unwrap());
    let empty = Run::of(empty).stderr();
    assert!(empty.contains("there is no password on standard input"), "{empty}");
}

#[test]
fn without_a_cache_nothing_is_kept_of_a_base_image() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = Registry::start();
    let base = registry.name("my/base:1");
    seatrial(&lab, ["push", "app.toml", &base, "--no-cache"]).ok();
    lab.file("own/own", "1");
    let text = format!("name = 'app'\ncontents = ['own']\nfrom_image = 'docker://{base}'\n");
    lab.file("app.toml", text);
    let kept = || -> usize {
        let folders = ["registry-blobs", "base-layers", "blobs"];
        folders.iter().map(|folder| lab.cached_files(folder).len()).sum()
    };
    for command in [
        vec!["build", "app.toml", "-o", "x.tar"],
        vec!["diff", "app.toml", "app.toml"],
        vec!["inspect", &format!("docker://{base}"), "--verify"],
        vec!["export", &format!("docker://{base}"), "-o", "x.tar"],
    ] {
        seatrial(&lab, [&command[..], &["--no-cache"]].concat()).ok();
        assert_eq!(kept(), 0, "{command:?}");
    }
    seatrial(&lab, ["build", "app.toml", "-o", "x.tar"]).ok();
    assert!(kept() > 0);
}

#[test]
fn a_copy_names_the_flags_of_the_side_that_denies_access() {
    let (lab, registry) = protected_base();
    let from = format!("docker://{}", registry.name("my/base:1"));
    let run = seatrial(&lab, ["copy", &from, "oci:layout"]);
    assert!(run.stderr().contains(", or --src-creds"), "{}", run.stderr());
    assert!(!run.stderr().contains("--username"), "{}", run.stderr());
    lab.file("own.toml", "name = 'own'\ntag = '1'\narchitecture = 'amd64'\n");
    seatrial(&lab, ["build", "own.toml", "-o", "own.tar"]).ok();
    let to = format!("docker://{}", registry.name("my/other:1"));
    let run = seatrial(&lab, ["copy", "own.tar", &to]);
    assert!(run.stderr().contains(", or --dest-creds"), "{}", run.stderr());
}

#[test]
fn a_push_names_no_flags_for_the_registry_of_the_base_that_are_for_the_target() {
    let (lab, _registry) = protected_base();
    let target = Registry::start();
    let run = seatrial(&lab, ["push", "app.toml", &target.name("app:1")]);
    assert!(run.stderr().contains("docker or podman login"), "{}", run.stderr());
    assert!(!run.stderr().contains("--username"), "{}", run.stderr());
}

#[test]
fn standard_input_cannot_be_the_recipe_and_the_password() {
    let lab = Lab::new();
    let run = with_password(&lab, &["build", "-", "-o", "x.tar"]);
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("both the recipe and the password"), "{}", run.stderr());
}

#[test]
fn every_command_that_uses_registries_has_the_flags_that_messages_name() {
    let lab = Lab::new();
    let mut commands = vec![
        "build",
        "stream",
        "reference",
        "explain",
        "conf",
        "inspect",
        "layers",
        "diff",
        "export",
        "merge",
        "lock",
        "pull",
        "push",
        "copy",
    ];
    if cfg!(feature = "vm") {
        commands.extend(["load", "check", "expect"]);
    }
    for command in commands {
        let help = lab.seatrial([command, "--help"]).ok();
        for flag in ["--username", "--password-stdin", "--plain-http", "--registry-timeout"] {
            assert!(help.contains(flag), "{command} has no {flag}");
        }
        assert!(help.contains("--no-cache"), "{command} has no --no-cache");
    }
}
