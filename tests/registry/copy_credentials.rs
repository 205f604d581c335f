//! `seatrial copy` between registries that know different users.

use std::fs::File;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::lab::{Lab, Run};
use crate::service::{Registry, command, recipe, seatrial};

const SOURCE: (&str, &str) = ("captain", "hunter2:x");
const DESTINATION: (&str, &str) = ("pilot", "hunter3");

/// Two registries, of which the first has an image.
struct Places {
    lab: Lab,
    registries: [Registry; 2],
    from: String,
    to: String,
}

impl Places {
    fn new() -> Self {
        let lab = Lab::new();
        recipe(&lab, "");
        let registries = [SOURCE, DESTINATION].map(|(user, password)| {
            // The file of each registry for its own user.
            Registry::for_user(&lab, user, password)
        });
        let [from, to] = &registries;
        let (from, to) = (from.name("my/app:1"), to.name("copied/app:2"));
        lab.file("source.json", auths(&registries[0], SOURCE));
        lab.file("destination.json", auths(&registries[1], DESTINATION));
        let mut push = command(&lab, ["push", "app.toml", &from]);
        push.env("REGISTRY_AUTH_FILE", lab.path("source.json"));
        Run::of(push).ok();
        let [from, to] = [from, to].map(|name| format!("docker://{name}"));
        Self { lab, registries, from, to }
    }

    /// Copies without the blobs in the cache, so that both registries are asked.
    fn copy(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Run {
        let copy = ["copy", &*self.from, &*self.to, "--no-cache"];
        let mut command = command(&self.lab, [&copy, arguments].concat());
        command.envs(variables.iter().copied());
        let input = self.lab.file("input", input);
        command.stdin(File::open(input).unwrap());
        let run = Run::of(command);
        let shown = format!("{}{}", run.stdout(), run.stderr());
        assert!(!shown.contains("hunter"), "{shown}");
        run
    }
}

fn auths(registry: &Registry, (user, password): (&str, &str)) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{pair}\"}}}}}}", registry.address)
}

#[test]
fn each_registry_gets_the_credentials_of_its_side() {
    let places = Places::new();
    let (source, destination) =
        (("SEATRIAL_SRC_PASSWORD", SOURCE.1), ("SEATRIAL_DEST_PASSWORD", DESTINATION.1));
    let users = ["--src-creds", "captain", "--dest-creds", "pilot"];
    places.copy(&users, &[source, destination], "").ok();
    let input = [&users[..], &["--dest-password-stdin"]].concat();
    places.copy(&input, &[source], "hunter3\n").ok();
    let input = [&users[..], &["--src-password-stdin"]].concat();
    places.copy(&input, &[destination], "hunter2:x\n").ok();
    let files = ["--src-authfile", "source.json", "--dest-authfile", "destination.json"];
    places.copy(&files, &[], "").ok();
    // Credentials for all registries count for the side that has none of its own.
    let shared = ["--username", "captain", "--password-stdin", "--dest-authfile"];
    let shared = [&shared[..], &["destination.json"]].concat();
    places.copy(&shared, &[], "hunter2:x\n").ok();
    let stored = [("REGISTRY_AUTH_FILE", "source.json"), destination];
    places.copy(&["--dest-creds", "pilot"], &stored, "").ok();
}

#[test]
fn a_password_among_the_arguments_works_as_in_skopeo_and_is_warned_of() {
    let places = Places::new();
    let users = ["--src-creds", "captain:hunter2:x", "--dest-creds", "pilot:hunter3"];
    let run = places.copy(&users, &[], "");
    assert!(run.stderr().contains("can see the password in --src-creds"), "{}", run.stderr());
    run.ok();
    let run = places.copy(&users, &[("SEATRIAL_SRC_PASSWORD", "hunter4")], "");
    run.ok();
    let [from, to] = [&places.from, &places.to];
    let tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    places.lab.tool("skopeo", [&["copy", "-q"], &tls[..], &users, &[from, to]].concat());
}

#[test]
fn credentials_of_the_other_side_or_without_a_password_are_refused() {
    let places = Places::new();
    let swapped = ["--src-creds", "pilot:hunter3", "--dest-creds", "captain:hunter2:x"];
    for (arguments, expected) in [
        (&swapped[..], "denies access to my/app for the user pilot"),
        (&["--src-creds", "captain"], "set SEATRIAL_SRC_PASSWORD or use --src-password-stdin"),
        (&["--dest-creds", ":hunter3"], "--dest-creds has no user name"),
        (&["--src-creds", "a:hunter2", "--src-password-stdin"], "--src-creds has a password"),
        (&["--src-password-stdin"], "--src-creds"),
        (&["--src-authfile", "absent.json"], "absent.json: no such file"),
        (
            &[
                "--src-creds",
                "a",
                "--src-password-stdin",
                "--dest-creds",
                "b",
                "--dest-password-stdin",
            ],
            "cannot be used with",
        ),
        (&["--src-credentials=captain:hunter2"], "--src-credentials"),
    ] {
        let run = places.copy(arguments, &[], "");
        assert_eq!(run.output.status.code(), Some(2), "{arguments:?}: {}", run.stderr());
        assert!(run.stderr().contains(expected), "{arguments:?}: {}", run.stderr());
    }
    assert_eq!(places.registries[1].writes(), 0);
    let local = ["copy", "oci:layout", &places.to, "--src-creds", "a:b"];
    let run = seatrial(&places.lab, local);
    assert!(run.stderr().contains("only for images in registries"), "{}", run.stderr());
}
