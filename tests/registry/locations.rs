//! Images in registries as arguments of commands that read images.

use crate::lab::Lab;
use crate::service::{Registry, crane, json, recipe, seatrial, skopeo};

/// Pushes the image of the recipe, and returns it as `docker://` and as a reference.
fn pushed(lab: &Lab, registry: &Registry) -> (String, String) {
    recipe(lab, "");
    let image = registry.name("my/app:1.0");
    seatrial(lab, ["push", "app.toml", &image]).ok();
    (format!("docker://{image}"), image)
}

#[test]
fn inspect_fetches_no_layer_unless_it_verifies() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let (location, image) = pushed(&lab, &registry);
    // Another computer, without the cache of the first.
    let stranger = Lab::new();
    let shown = seatrial(&stranger, ["inspect", &location]).ok();
    assert!(shown.contains("layers were not fetched or verified"), "{shown}");
    assert_eq!(registry.count("GET", "/blobs/"), 1, "only the config is fetched");
    let quick = json(&seatrial(&stranger, ["inspect", &location, "--json"]).ok());
    let digest = stranger.tool(crane().to_str().unwrap(), ["digest", "--insecure", &image]);
    assert_eq!(quick["digest"], digest.trim());
    assert_eq!((&quick["verified"], &quick["layers"][0]["size"]), (&false.into(), &().into()));
    let theirs = skopeo(&stranger, ["inspect", "--tls-verify=false", "--raw", &location]);
    assert_eq!(quick["layers"][0]["stored_size"], json(&theirs)["layers"][0]["size"]);
    let full = json(&seatrial(&stranger, ["inspect", &location, "--verify", "--json"]).ok());
    assert_eq!((&full["verified"], &full["id"]), (&true.into(), &quick["id"]));
    assert!(full["layers"][0]["size"].as_u64().unwrap() > 300_000);
}

#[test]
fn export_and_diff_read_images_from_a_registry() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let (location, _) = pushed(&lab, &registry);
    seatrial(&lab, ["build", "app.toml", "-o", "app.tar"]).ok();
    seatrial(&lab, ["export", "app.tar", "-o", "file.tar"]).ok();
    seatrial(&lab, ["export", &location, "-o", "remote.tar"]).ok();
    let read = |name: &str| std::fs::read(lab.path(name)).unwrap();
    assert_eq!(read("file.tar"), read("remote.tar"));
    seatrial(&lab, ["diff", &location, "docker-archive:app.tar"]).ok();
    lab.file("root/etc/motd", "another\n");
    let changed = seatrial(&lab, ["diff", &location, "app.toml"]);
    assert_eq!(changed.output.status.code(), Some(1), "{}", changed.stderr());
    assert!(changed.stdout().contains("~ /etc/motd (content)"), "{}", changed.stdout());
}

#[test]
fn a_tag_after_the_path_selects_the_image_in_a_layout() {
    let lab = Lab::new();
    recipe(&lab, "");
    seatrial(&lab, ["build", "app.toml", "-o", "one.tar"]).ok();
    lab.file("root/etc/motd", "another\n");
    seatrial(&lab, ["build", "app.toml", "-o", "two.tar"]).ok();
    for (archive, tag) in [("one.tar", "one"), ("two.tar", "two")] {
        skopeo(
            &lab,
            ["copy", "-q", &format!("docker-archive:{archive}"), &format!("oci:all:{tag}")],
        );
    }
    let shown = json(&seatrial(&lab, ["inspect", "oci:all:two", "--json"]).ok());
    assert_eq!(shown["references"][0], "two");
    let unknown = seatrial(&lab, ["inspect", "oci:all:three"]).rejected(&lab, "x");
    assert!(unknown.contains("no image matches"), "{unknown}");
    let both = seatrial(&lab, ["inspect", "oci:all:two", "--tag", "one"]).rejected(&lab, "x");
    assert!(both.contains("--name and --tag"), "{both}");
}

#[test]
fn errors_suggest_the_right_spelling() {
    let lab = Lab::new();
    lab.file("folder/x", "");
    for (written, suggested) in [
        ("debian:12", "docker://debian:12"),
        ("docker:debian:12", "docker://debian:12"),
        ("https://registry.example/app", "docker://registry.example/app"),
        ("docker-archive:folder", "write oci:"),
        ("oci:folder/x", "write oci-archive:"),
        ("oci:", "write oci:PATH"),
        ("containers-storage:app", "docker-daemon:app"),
        ("docker://A B", "docker://A B"),
    ] {
        let message = seatrial(&lab, ["inspect", written]).rejected(&lab, "x");
        assert!(message.contains(suggested), "{written}: {message}");
    }
}

#[test]
fn merge_takes_images_of_a_registry() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let (location, image) = pushed(&lab, &registry);
    seatrial(&lab, ["build", "app.toml", "-o", "app.tar", "--tag", "2"]).ok();
    for format in ["docker", "oci"] {
        let merge = ["merge", "app.tar", &location, "-o", "all.tar", "--format", format];
        seatrial(&lab, merge).ok();
        for name in [image.as_str(), "my/app:2"] {
            let (repository, tag) = name.rsplit_once(':').unwrap();
            let select = ["inspect", "all.tar", "--name", repository, "--tag", tag];
            seatrial(&lab, select).ok();
        }
    }
    skopeo(&lab, ["copy", "-q", &format!("oci-archive:all.tar:{}", "1.0"), "dir:out"]);
    let named = ["merge", "app.tar", "docker-archive:app.tar:my/app:2", "-o", "x.tar"];
    let message = seatrial(&lab, named).rejected(&lab, "x.tar");
    assert!(message.contains("leave out the name"), "{message}");
}
