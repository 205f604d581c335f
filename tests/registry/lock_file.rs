//! The lock file: the image is the same with it and without it.

use std::fs;

use crate::lab::Lab;
use crate::server::{Server, forward};
use crate::service::{Registry, json, recipe, seatrial, skopeo};
use crate::unreadable::confined;

/// Pushes a base image, and makes a recipe in `app.toml` whose base is `from` and which has
/// annotations. Returns the name of the base.
fn base(lab: &Lab, registry: &Registry) -> String {
    recipe(lab, "");
    let name = registry.name("base:1");
    seatrial(lab, ["push", "app.toml", &name]).ok();
    name
}

fn annotated(lab: &Lab, from_image: &str) {
    let recipe = "name='app'\ntag='1'\narchitecture='amd64'\n[annotations]\nx='1'\n";
    lab.file("app.toml", format!("from_image={from_image}\n{recipe}"));
}

/// Pushes `app.toml`. Returns the report, and the annotations of the manifest as skopeo reads it.
fn push(lab: &Lab, image: &str) -> (serde_json::Value, serde_json::Value) {
    let pushed = json(&seatrial(lab, ["push", "app.toml", image, "--json"]).ok());
    let name = format!("docker://{image}");
    let raw = json(&skopeo(lab, ["inspect", "--tls-verify=false", "--raw", &name]));
    (pushed["digest"].clone(), raw["annotations"].clone())
}

// OCI image-spec, annotations.md: `base.name` is a fully qualified reference.
const BASE_NAME: &str = "org.opencontainers.image.base.name";

#[test]
fn the_first_build_and_later_ones_make_the_same_image() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = base(&lab, &registry);
    annotated(&lab, &format!("'docker://{base}'"));
    let bill = |file: &str| {
        let build = ["build", "app.toml", "-o", "x.tar", "--format", "oci", "--sbom", "spdx"];
        seatrial(&lab, build.iter().chain(&["--sbom-file", file])).ok();
        fs::read_to_string(lab.path(file)).unwrap()
    };
    let (first, annotations) = push(&lab, &registry.name("app:1"));
    assert_eq!(annotations[BASE_NAME], base);
    assert!(lab.exists("seatrial.lock"));
    let (second, annotations) = push(&lab, &registry.name("app:1"));
    assert_eq!((&annotations[BASE_NAME], second), (&base.clone().into(), first));
    let with_lock = bill("a.json");
    assert!(with_lock.contains(&base), "{with_lock}");
    fs::remove_file(lab.path("seatrial.lock")).unwrap();
    assert_eq!(bill("b.json"), with_lock);
}

#[test]
fn a_base_that_another_process_locks_at_the_same_time_keeps_its_name() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let tagged = base(&lab, &registry);
    annotated(&lab, &format!("'docker://{tagged}'"));
    push(&lab, &registry.name("app:1"));
    let lock = fs::read_to_string(lab.path("seatrial.lock")).unwrap();
    fs::remove_file(lab.path("seatrial.lock")).unwrap();
    // While the tag is read, another process locks the base to an image that it had before.
    let other = json(&seatrial(&lab, ["push", "app.toml", &tagged, "--json"]).ok());
    assert!(!lock.contains(other["digest"].as_str().unwrap()));
    fs::remove_file(lab.path("seatrial.lock")).unwrap();
    let (upstream, path) = (registry.address, lab.path("seatrial.lock"));
    let address = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let own = std::sync::Arc::clone(&address);
    let racing = Server::before(upstream, move |request| {
        if request.method == "GET" && request.target.ends_with("/base/manifests/1") {
            let own = own.get().unwrap();
            fs::write(&path, lock.replace(&upstream.to_string(), own)).unwrap();
        }
        Some(forward(upstream, request))
    });
    address.set(racing.address.to_string()).unwrap();
    let base = format!("{}/base:1", racing.address);
    annotated(&lab, &format!("'docker://{base}'"));
    let (_, annotations) = push(&lab, &registry.name("app:2"));
    assert_eq!(annotations[BASE_NAME], base);
    assert_ne!(annotations["org.opencontainers.image.base.digest"], other["digest"]);
}

#[test]
fn a_base_with_a_digest_is_named_in_annotations() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = base(&lab, &registry);
    let raw = skopeo(
        &lab,
        ["inspect", "--tls-verify=false", "--format={{.Digest}}", &format!("docker://{base}")],
    );
    let digest = raw.trim();
    let name = registry.name("base");
    let by_digest = format!("{name}@{digest}");
    for from_image in [
        format!("'docker://{by_digest}'"),
        format!("{{ imageName = '{name}', imageDigest = '{digest}' }}"),
    ] {
        annotated(&lab, &from_image);
        let (_, annotations) = push(&lab, &registry.name("app:1"));
        assert_eq!(annotations[BASE_NAME], by_digest);
    }
    assert!(!lab.exists("seatrial.lock"));
}

// The arguments of nixpkgs' `dockerTools.pullImage`.
#[test]
fn all_arguments_of_pull_image_are_understood() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = base(&lab, &registry);
    let raw = ["inspect", "--tls-verify=false", "--format={{.Digest}}"];
    let base = format!("docker://{base}");
    let digest = skopeo(&lab, raw.into_iter().chain([&*base]));
    let (name, digest) = (registry.name("base"), digest.trim());
    let table =
        |more: &str| format!("{{ imageName = '{name}', imageDigest = '{digest}', {more} }}");
    annotated(
        &lab,
        &table(
            "name = 'docker-image-base.tar', outputHash = 'sha256-AAAA', \
             outputHashAlgo = 'sha256', tlsVerify = true",
        ),
    );
    seatrial(&lab, ["build", "app.toml", "-o", "x.tar"]).ok();
    annotated(&lab, &table("tlsVerify = false"));
    let message = seatrial(&lab, ["build", "app.toml", "-o", "y.tar"]).rejected(&lab, "y.tar");
    assert!(message.contains("insecure = true for the registry in registries.conf"), "{message}");
}

#[test]
fn references_on_standard_output_are_whole() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let repository = registry.name(&["x"; 100].join("/"));
    let pushed = seatrial(&lab, ["push", "app.toml", &format!("{repository}:1")]);
    let stderr = pushed.stderr();
    let printed = pushed.ok();
    let digest = printed.trim().strip_prefix(&format!("{repository}@sha256:"));
    assert_eq!(digest.map(str::len), Some(64), "{printed}");
    assert!(stderr.contains(&format!("cosign sign --yes {}", printed.trim())), "{stderr}");
    annotated(&lab, &format!("'docker://{repository}:1'"));
    let locked = seatrial(&lab, ["lock", "app.toml"]).ok();
    assert!(locked.starts_with(&format!("{repository}:1 linux/amd64 sha256:")), "{locked}");
}

/// A recipe without a tag, whose base is `base`.
fn untagged(lab: &Lab, base: &str) {
    lab.file("own/file", "1");
    let recipe = "name='app'\narchitecture='amd64'\ncontents=['own']\n";
    lab.file("app.toml", format!("from_image='docker://{base}'\n{recipe}"));
}

#[test]
fn commands_that_only_read_write_no_lock_file() {
    let (lab, registry) = (Lab::new(), Registry::start());
    untagged(&lab, &base(&lab, &registry));
    lab.file("seatrial.lock", "version = 1\n");
    let image = registry.name("app:1");
    for arguments in [
        &["reference", "app.toml"][..],
        &["explain", "app.toml"],
        &["layers", "app.toml"],
        &["conf", "app.toml"],
        &["diff", "app.toml", "app.toml"],
        &["expect", "app.toml"],
        &["push", "app.toml", &image, "--dry-run"],
    ] {
        seatrial(&lab, arguments).ok();
        let lock = fs::read_to_string(lab.path("seatrial.lock")).unwrap();
        assert_eq!(lock, "version = 1\n", "{arguments:?}");
    }
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    assert!(fs::read_to_string(lab.path("seatrial.lock")).unwrap().contains("[[image]]"));
}

#[test]
fn a_base_must_be_locked_already_if_the_user_says_so() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = base(&lab, &registry);
    untagged(&lab, &base);
    let build = ["build", "app.toml", "--locked", "-o", "x.tar"];
    let message = seatrial(&lab, build).rejected(&lab, "x.tar");
    assert!(message.contains(&format!("does not lock {base} for linux/amd64")), "{message}");
    assert!(message.contains("run seatrial lock app.toml"), "{message}");
    let message = seatrial(&lab, ["reference", "app.toml", "--locked"]).rejected(&lab, "x.tar");
    assert!(message.contains("run seatrial lock app.toml"), "{message}");
    assert!(!lab.exists("seatrial.lock"));
    seatrial(&lab, ["lock", "app.toml"]).ok();
    seatrial(&lab, build).ok();
}

#[test]
fn a_folder_that_cannot_be_written_has_a_hint() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = base(&lab, &registry);
    lab.file("recipe/own/file", "1");
    let recipe = "name='app'\narchitecture='amd64'\ncontents=['own']\n";
    lab.file("recipe/app.toml", format!("from_image='docker://{base}'\n{recipe}"));
    lab.mode("recipe", 0o555);
    confined(&lab, &["reference", "recipe/app.toml"], &[]).ok();
    let run = confined(&lab, &["build", "recipe/app.toml", "-o", "x.tar"], &[]);
    lab.mode("recipe", 0o755);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let hint = "run seatrial lock recipe/app.toml where the folder can be written, or pin the base \
                image with @sha256:...";
    assert!(run.stderr().contains(hint), "{}", run.stderr());
    assert!(!lab.exists("recipe/seatrial.lock"));
}
