//! Arguments that name an image in a registry: mistakes in them do not lead to another registry or
//! repository.

use crate::lab::{Lab, Run};
use crate::service::{Registry, command, json, recipe, seatrial, skopeo};

/// The message of a command that must fail because of its arguments.
fn rejected(lab: &Lab, arguments: &[&str]) -> String {
    let run = seatrial(lab, arguments);
    assert_eq!(run.output.status.code(), Some(2), "{arguments:?}: {}", run.stderr());
    run.stderr()
}

#[test]
fn a_name_or_tag_in_addition_to_a_reference_is_an_error() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("app");
    let writes = registry.writes();
    for (flags, written) in [
        (&["--tag", "3"][..], format!("{image}:3")),
        (&["--tag", "3", "--tag", "4"], format!("{image}:3 {image}:4")),
        (&["--name", "other"], format!("{image}:latest")),
    ] {
        let message = rejected(&lab, &[&["push", "app.toml", &image], flags].concat());
        let expected = format!("--name and --tag do not apply to a REFERENCE; write {written}\n");
        assert!(message.ends_with(&expected), "{message}");
    }
    assert_eq!(registry.writes(), writes);
    seatrial(&lab, ["push", "app.toml", &format!("{image}:3")]).ok();
    // Without a REFERENCE, they are the recipe's name and tag.
    seatrial(&lab, ["push", "app.toml", "--name", &registry.name("own"), "--tag", "4"]).ok();
    let own = format!("docker://{}", registry.name("own"));
    let tags = skopeo(&lab, ["list-tags", "--tls-verify=false", &own]);
    assert_eq!(json(&tags)["Tags"], serde_json::json!(["4"]));
}

#[test]
fn an_image_in_another_place_is_not_a_reference() {
    let lab = Lab::new();
    recipe(&lab, "");
    let push = rejected(&lab, &["push", "app.toml", "oci:dir"]);
    let expected = "it is not an image in a registry; use seatrial copy SOURCE oci:dir";
    assert!(push.contains("'oci:dir'") && push.contains(expected), "{push}");
    let pull = rejected(&lab, &["pull", "docker-daemon:app:1", "-o", "x"]);
    let expected = "use seatrial copy docker-daemon:app:1 docker-archive:FILE";
    assert!(pull.contains(expected), "{pull}");
}

#[test]
fn a_reference_to_docker_hub_by_mistake_is_named_with_its_registry() {
    let lab = Lab::new();
    recipe(&lab, "");
    for (arguments, reference) in [
        (&["pull", "app.tar", "-o", "x"][..], Some("docker.io/library/app.tar:latest")),
        (&["push", "app.toml", "127.0.0.1:5791"], Some("docker.io/library/127.0.0.1:5791")),
        (&["inspect", "docker://alpine"], Some("docker.io/library/alpine:latest")),
        (&["inspect", "docker://docker.io/library/alpine"], None),
        (&["pull", "index.docker.io/alpine", "-o", "x"], None),
    ] {
        let mut command = command(&lab, arguments.iter().copied());
        // Nothing listens there.
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env_remove("NO_PROXY");
        let run = Run::of(command);
        assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
        let hint = match reference {
            Some(reference) => format!(" (for {reference}; the name of an "),
            None => ": ".to_owned(),
        };
        let expected = format!("docker.io through the proxy 127.0.0.1:1{hint}");
        assert!(run.stderr().contains(&expected), "{}", run.stderr());
    }
}

#[test]
fn docker_hub_is_not_named_if_another_registry_cannot_be_reached() {
    let lab = Lab::new();
    lab.file("app.toml", "name = 'x'\ntag = '1'\nfrom_image = 'docker://localhost:1/base'\n");
    for arguments in [&["push", "app.toml", "me/app"][..], &["pull", "localhost:1/a", "-o", "x"]] {
        let run = seatrial(&lab, arguments);
        assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
        assert!(run.stderr().contains("reach the registry localhost:1: "), "{}", run.stderr());
        assert!(!run.stderr().contains("docker.io"), "{}", run.stderr());
    }
}

#[test]
fn upper_case_letters_in_a_repository_are_an_error_as_for_skopeo() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("My/app");
    lab.file("based.toml", format!("name = 'x'\nfrom_image = 'docker://{image}:1'\n"));
    let rule = format!("invalid image name \"{image}\": upper-case letters are not allowed");
    let location = format!("docker://{image}:1");
    for arguments in [
        &["push", "app.toml", &format!("{image}:1")][..],
        &["pull", &image, "-o", "x.tar"],
        &["inspect", &location],
        &["build", "based.toml"],
    ] {
        let message = rejected(&lab, arguments);
        assert!(message.contains(&rule), "{arguments:?}: {message}");
    }
    let mut skopeo = lab.command("skopeo");
    skopeo.args(["inspect", "--tls-verify=false", &location]);
    let message = Run::of(skopeo).stderr();
    assert!(message.contains("must be lowercase"), "{message}");
    // Hosts have no case, and the names of recipes are in lower case, as in dockerTools.
    seatrial(&lab, ["push", "app.toml", "--name", &image]).ok();
    let upper = registry.name("my/app").replace("127.0.0.1", "LOCALHOST");
    seatrial(&lab, ["inspect", &format!("docker://{upper}:1.0")]).ok();
}
