//! Mirrors and insecure registries from the settings of Podman and Docker.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::lab::{Lab, Run};
use crate::server::{Reply, Server, forward};
use crate::service::{Registry, command, recipe, seatrial};

/// Writes the user's `registries.conf`.
fn podman(lab: &Lab, settings: &str) {
    lab.file("home/.config/containers/registries.conf", settings);
}

/// A registry with the image `name`.
fn registry_with(lab: &Lab, name: &str) -> Registry {
    let registry = Registry::start();
    recipe(lab, "");
    seatrial(lab, ["push", "app.toml", &registry.name(name)]).ok();
    registry
}

fn pull(lab: &Lab, image: &str) -> Run {
    seatrial(lab, ["pull", image, "--format", "oci", "-o", "x.tar", "--no-cache"])
}

#[test]
fn an_image_is_pulled_from_a_mirror_as_skopeo_pulls_it() {
    let lab = Lab::new();
    let mirror = registry_with(&lab, "copies/my/app:1");
    podman(
        &lab,
        &format!(
            "unqualified-search-registries = ['docker.io']\n\
             [[registry]]\nlocation = 'registry.invalid'\n\
             [[registry.mirror]]\nlocation = '{}/copies'\ninsecure = true\n",
            mirror.address
        ),
    );
    pull(&lab, "registry.invalid/my/app:1").ok();
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "docker://registry.invalid/my/app:1"]);
    let raw = Run::of({
        skopeo.env("HOME", lab.path("home")).env_remove("XDG_CONFIG_HOME");
        skopeo
    });
    let skopeo_saw = raw.ok();
    let own = seatrial(&lab, ["inspect", "docker://registry.invalid/my/app:1", "--json"]).ok();
    let config: serde_json::Value = serde_json::from_str(&skopeo_saw).unwrap();
    assert!(own.contains(config["config"]["digest"].as_str().unwrap()), "{own}");
}

#[test]
fn the_registry_itself_is_asked_if_a_mirror_fails() {
    let lab = Lab::new();
    let registry = registry_with(&lab, "my/app:1");
    let empty = Registry::start();
    let broken = Server::start(|_| Reply::new(403, &[], ""));
    let lying = Server::before(registry.address, |request| {
        request.target.contains("/blobs/").then(|| Reply::new(200, &[], "something else"))
    });
    for mirror in [empty.address, broken.address, lying.address] {
        podman(
            &lab,
            &format!(
                "[[registry]]\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{mirror}'\n",
                registry.address
            ),
        );
        pull(&lab, &registry.name("my/app:1")).ok();
    }
    assert!(empty.count("GET", "/manifests/") > 0, "the mirror was not asked");
    // After that, it is left alone: for the manifest alone, there are two requests.
    assert!(broken.requests().len() <= 2, "{:?}", broken.requests());
    assert_eq!(lying.count("GET", "/blobs/"), 1);
}

#[test]
fn the_failures_of_mirrors_are_in_the_error_if_the_registry_fails_too() {
    let lab = Lab::new();
    let (mirror, other) = (Registry::start(), Server::start(|_| Reply::new(403, &[], "")));
    podman(
        &lab,
        &format!(
            "[[registry]]\nlocation = 'registry.invalid'\n[[registry.mirror]]\nlocation = '{}'\n\
             [[registry.mirror]]\nlocation = '{}'\n",
            mirror.address, other.address
        ),
    );
    let run = pull(&lab, "registry.invalid/my/app:1");
    // That the registry cannot be reached decides.
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    for expected in [
        format!("the mirrors failed (the registry {} has no my/app:1", mirror.address),
        format!("{} denies access to my/app", other.address),
        "and so did the registry: failed to reach the registry registry.invalid".to_owned(),
    ] {
        assert!(run.stderr().contains(&expected), "{expected}: {}", run.stderr());
    }
}

#[test]
fn mirrors_get_no_pushes() {
    let lab = Lab::new();
    let registry = registry_with(&lab, "my/app:1");
    let mirror = Server::start(|_| Reply::new(500, &[], ""));
    podman(
        &lab,
        &format!(
            "[[registry]]\nprefix = '{0}/my'\nlocation = '{0}/elsewhere'\n\
             [[registry.mirror]]\nlocation = '{1}'\n",
            registry.address, mirror.address
        ),
    );
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:2"), "--no-cache"]).ok();
    assert_eq!(mirror.requests().len(), 0);
    // What is pulled is at the other location.
    let run = pull(&lab, &registry.name("my/app:2"));
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("elsewhere/app:2"), "{}", run.stderr());
}

#[test]
fn a_mirror_for_digests_is_not_asked_for_tags() {
    let lab = Lab::new();
    let registry = registry_with(&lab, "my/app:1");
    let mirror = Server::before(registry.address, |_| None);
    podman(
        &lab,
        &format!(
            "[[registry]]\nlocation = '{}'\nmirror-by-digest-only = true\n\
             [[registry.mirror]]\nlocation = '{}'\n",
            registry.address, mirror.address
        ),
    );
    pull(&lab, &registry.name("my/app:1")).ok();
    assert_eq!(mirror.count("GET", "/manifests/1"), 0);
    let run = seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    pull(&lab, run.trim()).ok();
    assert_eq!(mirror.count("GET", "/manifests/sha256:"), 1);
}

#[test]
fn a_blocked_registry_is_not_used() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let address = &registry.address;
    let version_1 = format!("[registries.block]\nregistries = ['{address}']\n");
    let version_2 = format!("[[registry]]\nlocation = '{address}'\nblocked = true\n");
    let image = registry.name("my/app:1");
    for settings in [version_1, version_2] {
        podman(&lab, &settings);
        for arguments in [vec!["push", "app.toml", &image], vec!["pull", &image, "-o", "x.tar"]] {
            let run = seatrial(&lab, arguments);
            assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
            assert!(run.stderr().contains("is blocked in"), "{}", run.stderr());
            assert!(run.stderr().contains("containers/registries.conf"), "{}", run.stderr());
        }
    }
    // A file that is read later has another opinion.
    let open = format!("[[registry]]\nlocation = '{}'\n", registry.address);
    lab.file("home/.config/containers/registries.conf.d/50-open.conf", open);
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    podman(&lab, "[[registry]\n");
    let run = pull(&lab, &image);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("registries.conf"), "{}", run.stderr());
}

// containers-registries.conf(5): a prefix `*.example.com` stands for all subdomains.
// `refMatchingSubdomainPrefix` of containers/image accepts a port behind them.
#[test]
fn a_blocked_domain_is_blocked_with_and_without_a_port() {
    let lab = Lab::new();
    podman(&lab, "[[registry]]\nprefix = '*.registry.invalid'\nblocked = true\n");
    for registry in ["a.registry.invalid", "a.registry.invalid:5000", "a.b.registry.invalid:5000"] {
        let run = pull(&lab, &format!("{registry}/my/app:1"));
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains("is blocked in"), "{}", run.stderr());
    }
    // The domain itself is not among its subdomains.
    let run = pull(&lab, "registry.invalid:5000/my/app:1");
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
}

#[test]
fn mirrors_of_docker_hub_in_daemon_json_are_used() {
    let lab = Lab::new();
    let mirror = registry_with(&lab, "library/app:1");
    let settings = format!(r#"{{"registry-mirrors": ["http://{}/"]}}"#, mirror.address);
    lab.file("home/.config/docker/daemon.json", settings);
    pull(&lab, "app:1").ok();
    lab.file("base.toml", "name = 'x'\ntag = '1'\nfrom_image = 'docker://app:1'\n");
    seatrial(&lab, ["build", "base.toml", "-o", "y.tar"]).ok();
}

#[test]
fn the_password_of_a_command_is_not_sent_to_a_mirror() {
    let lab = Lab::new();
    let registry = registry_with(&lab, "my/app:1");
    let mirror =
        Server::start(|_| Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], ""));
    let upstream = registry.address;
    let asked = Server::start(move |request| match request.header("authorization") {
        Some(_) => forward(upstream, request),
        None => Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], ""),
    });
    podman(
        &lab,
        &format!(
            "[[registry]]\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}'\n",
            asked.address, mirror.address
        ),
    );
    let image = format!("{}/my/app:1", asked.address);
    let arguments =
        ["pull", &image, "-o", "x.tar", "--no-cache", "--username", "me", "--password-stdin"];
    let mut child = command(&lab, arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!mirror.requests().is_empty());
    let with_password = mirror.requests();
    let mut with_password = with_password.iter().filter_map(|one| one.header("authorization"));
    assert_eq!(with_password.next(), None);
    assert!(asked.requests().iter().any(|one| one.header("authorization").is_some()));
}

#[test]
fn the_lock_file_names_the_mirror_and_a_missing_image_says_how_to_lock_again() {
    let lab = Lab::new();
    let mirror = registry_with(&lab, "my/app:1");
    let other = Registry::start();
    let settings = format!(
        "[[registry]]\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}'\n",
        other.address, mirror.address
    );
    podman(&lab, &settings);
    let base = other.name("my/app:1");
    let recipe = format!("name = 'x'\ntag = '1'\nfrom_image = 'docker://{base}'\n");
    lab.file("app.toml", recipe);
    let build = ["build", "app.toml", "-o", "x.tar"];
    seatrial(&lab, build).ok();
    let lock = std::fs::read_to_string(lab.path("seatrial.lock")).unwrap();
    assert!(lock.contains(&format!("from = \"{}\"", mirror.address)), "{lock}");
    std::fs::remove_file(lab.path("x.tar")).unwrap();
    let start = lock.find("digest = \"sha256:").unwrap() + 17;
    let absent = format!("{}{}{}", &lock[..start], "0".repeat(64), &lock[start + 64..]);
    lab.file("seatrial.lock", absent);
    let message = seatrial(&lab, build).rejected(&lab, "x.tar");
    assert!(message.contains("the mirrors failed"), "{message}");
    assert!(message.contains("seatrial lock --update app.toml"), "{message}");
}
