//! Signatures that cosign makes of what `seatrial push` prints, and images that have some.

use std::path::{Path, PathBuf};

use crate::lab::{Lab, Run};
use crate::service::{Registry, crane, json, recipe, seatrial};

/// Signing with a local key, without the public transparency log.
const OFFLINE: &str = "--key cosign.key --tlog-upload=false --use-signing-config=false";
/// The formats of signatures: a referrer of the image, and an image with a tag of its own.
const FORMATS: [&str; 2] = ["--new-bundle-format=true", "--new-bundle-format=false"];

fn cosign() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/cosign")
}

/// Runs a script in which `cosign` and `seatrial` are commands; it must succeed.
fn run(lab: &Lab, script: &str) -> String {
    let commands = "set -e; cosign() { \"$COSIGN\" \"$@\"; }; seatrial() { \"$SEATRIAL\" \"$@\"; }";
    let mut shell = lab.command("bash");
    shell.args(["-c", &format!("{commands}; {script}")]);
    shell.env("HOME", lab.path("home")).env("COSIGN_PASSWORD", "");
    shell.env("COSIGN", cosign()).env("SEATRIAL", env!("CARGO_BIN_EXE_seatrial"));
    Run::of(shell).ok()
}

/// Pushes an image and signs it in both formats, with the command of the manual.
fn signed(lab: &Lab, image: &str) {
    recipe(lab, "");
    run(lab, "cosign generate-key-pair");
    for format in FORMATS {
        let sign = "cosign sign --yes";
        run(lab, &format!("{sign} {OFFLINE} {format} \"$(seatrial push app.toml {image})\""));
    }
}

/// Verifies the signatures of `image` in both formats.
fn verify(lab: &Lab, image: &str) {
    for format in FORMATS {
        let key = "--key cosign.pub --insecure-ignore-tlog=true";
        let verified = run(lab, &format!("cosign verify {key} {format} {image}"));
        assert!(verified.contains("docker-manifest-digest"), "{verified}");
    }
}

#[test]
fn cosign_signs_and_verifies_what_push_prints() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let image = registry.name("my/app:1");
    signed(&lab, &image);
    verify(&lab, &image);
    // Another push changes nothing, and the signatures stay valid.
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    verify(&lab, &image);
    // Another image is not signed.
    recipe(&lab, "created = '@7'");
    let other = registry.name("my/other:1");
    seatrial(&lab, ["push", "app.toml", &other]).ok();
    let verify = format!("! cosign verify --key cosign.pub --insecure-ignore-tlog=true {other}");
    run(&lab, &verify);
}

#[test]
fn the_command_that_push_prints_signs_the_image_in_every_repository() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let (one, two) = (registry.name("my/app:1"), registry.name("other/app:1"));
    let pushed = seatrial(&lab, ["push", "app.toml", &one, &two]);
    let message = pushed.stderr();
    let command = message.lines().find_map(|line| line.strip_prefix("to sign: cosign sign --yes "));
    let names = command.unwrap();
    assert_eq!(names.split(' ').collect::<Vec<_>>(), pushed.ok().lines().collect::<Vec<_>>());
    run(&lab, "cosign generate-key-pair");
    run(&lab, &format!("cosign sign --yes {OFFLINE} {names}"));
    let check = "cosign verify --key cosign.pub --insecure-ignore-tlog=true";
    for image in [&one, &two] {
        run(&lab, &format!("{check} {image}"));
    }
    for arguments in [["--json", "--dry-run"], ["-q", "--dry-run"], ["-q", "--sbom=spdx"]] {
        let quiet = seatrial(&lab, [&["push", "app.toml", &one], &arguments[..]].concat());
        assert_eq!(quiet.stderr(), "", "{arguments:?}");
    }
}

#[test]
fn commands_skip_signatures_and_copy_them_by_their_tag() {
    let (lab, registry, target) = (Lab::new(), Registry::start(), Registry::start());
    let image = registry.name("my/app:1");
    signed(&lab, &image);
    let digest = lab.tool(crane().to_str().unwrap(), ["digest", "--insecure", &image]);
    let digest = digest.trim();
    let from = format!("docker://{image}");
    let inspected = json(&seatrial(&lab, ["inspect", &from, "--json"]).ok());
    assert_eq!(inspected["layers"].as_array().unwrap().len(), 1, "{inspected}");
    seatrial(&lab, ["pull", &image, "-o", "app.tar"]).ok();
    let pulled = json(&seatrial(&lab, ["inspect", "app.tar", "--json"]).ok());
    assert_eq!(pulled["id"], inspected["id"]);
    let copied = target.name("copied:1");
    let result = seatrial(&lab, ["copy", &from, &format!("docker://{copied}"), "--json"]).ok();
    assert_eq!(json(&result)["digest"], digest);
    assert_eq!(json(&result)["sent"], 2, "config and layer: {result}");
    let tag = digest.replace(':', "-");
    for (tag, problem) in [(tag.clone(), "lists no image"), (format!("{tag}.sig"), "only tars")] {
        // Neither is an image to run.
        let signature = format!("docker://{}", registry.name(&format!("my/app:{tag}")));
        let run = seatrial(&lab, ["inspect", &signature]);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(problem), "{}", run.stderr());
        let to = format!("docker://{}", target.name(&format!("copied:{tag}")));
        seatrial(&lab, ["copy", &signature, &to]).ok();
    }
    verify(&lab, &copied);
}
