//! Recipes whose base is a recipe, which itself builds on an image in a registry.

use std::fs;

use crate::lab::Lab;
use crate::service::{Registry, json, seatrial};

/// Pushes a base image, and makes a recipe in the folder `deps` that builds on it, and the recipe
/// `app.toml` above. Returns the name of the base.
fn stages(lab: &Lab, registry: &Registry) -> String {
    lab.file("base/version", "1");
    lab.file("base.toml", "name='base'\ntag='1'\narchitecture='amd64'\ncontents='base'\n");
    let base = registry.name("base:1");
    seatrial(lab, ["push", "base.toml", &base]).ok();
    let deps = format!("name='deps'\nfrom_image='docker://{base}'\ncontents='own'\n");
    lab.file("deps/own/deps", "deps");
    lab.file("deps/deps.toml", deps);
    lab.file("app/app", "app");
    let app = "name='app'\narchitecture='amd64'\nfrom_image='deps/deps.toml'\ncontents='app'\n";
    lab.file("app.toml", app);
    base
}

#[test]
fn the_lock_file_is_beside_the_recipe_that_names_the_image() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = stages(&lab, &registry);
    let locked = || fs::read_to_string(lab.path("deps/seatrial.lock"));
    // Commands that only read write none.
    for arguments in
        [&["reference", "app.toml"][..], &["layers", "app.toml"], &["diff", "app.toml", "app.toml"]]
    {
        seatrial(&lab, arguments).ok();
        assert!(locked().is_err(), "{arguments:?}");
    }
    let message = seatrial(&lab, ["build", "app.toml", "--locked", "-o", "x.tar"]);
    let message = message.rejected(&lab, "x.tar");
    assert!(message.contains(&format!("does not lock {base} for linux/amd64")), "{message}");
    assert!(message.contains("run seatrial lock deps/deps.toml"), "{message}");
    seatrial(&lab, ["build", "app.toml", "-o", "a.tar"]).ok();
    let first = locked().unwrap();
    assert!(first.contains(&base), "{first}");
    assert!(!lab.exists("seatrial.lock"));
    seatrial(&lab, ["build", "app.toml", "--locked", "-o", "b.tar"]).ok();
    assert!(fs::read(lab.path("a.tar")).unwrap() == fs::read(lab.path("b.tar")).unwrap());
    // The tag changes, and the lock file of the base is what counts.
    lab.file("base/version", "2");
    seatrial(&lab, ["push", "base.toml", &base]).ok();
    seatrial(&lab, ["build", "app.toml", "-o", "c.tar"]).ok();
    assert!(fs::read(lab.path("a.tar")).unwrap() == fs::read(lab.path("c.tar")).unwrap());
    let updated = seatrial(&lab, ["lock", "app.toml", "--update"]).ok();
    assert!(updated.contains("(was sha256:"), "{updated}");
    assert_ne!(locked().unwrap(), first);
    seatrial(&lab, ["build", "app.toml", "-o", "d.tar"]).ok();
    assert!(fs::read(lab.path("a.tar")).unwrap() != fs::read(lab.path("d.tar")).unwrap());
    // Everything that is needed is in the cache.
    drop(registry);
    seatrial(&lab, ["build", "app.toml", "--locked", "-o", "e.tar"]).ok();
    assert!(fs::read(lab.path("d.tar")).unwrap() == fs::read(lab.path("e.tar")).unwrap());
}

#[test]
fn a_build_that_fails_locks_nothing_and_the_lock_file_is_in_no_image() {
    let (lab, registry) = (Lab::new(), Registry::start());
    stages(&lab, &registry);
    let deps = fs::read_to_string(lab.path("deps/deps.toml")).unwrap();
    lab.file("deps/deps.toml", deps.replace("'own'", "'.'"));
    let app = fs::read_to_string(lab.path("app.toml")).unwrap();
    lab.file("app.toml", app.replace("contents='app'", "contents=['app', 'deps']"));
    lab.file("app/version", "own\n");
    lab.file("fails.toml", format!("{app}[[path]]\npath='/app'\nowner='nobody-knows'\n"));
    let run = seatrial(&lab, ["build", "fails.toml", "-o", "x.tar"]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(!lab.exists("deps/seatrial.lock"));
    let first = seatrial(&lab, ["reference", "app.toml"]).ok();
    let built = json(&seatrial(&lab, ["build", "app.toml", "-o", "x.tar", "--json"]).ok());
    assert_eq!(built["reference"], first.trim());
    assert!(lab.exists("deps/seatrial.lock"));
    assert_eq!(seatrial(&lab, ["reference", "app.toml"]).ok(), first);
    let files = seatrial(&lab, ["export", "x.tar", "-o", "files.tar"]);
    files.ok();
    let listed = lab.tool("tar", ["-tf", "files.tar"]);
    assert!(listed.contains("deps.toml") && !listed.contains("seatrial.lock"), "{listed}");
}

#[test]
fn a_push_sends_the_layers_of_the_base_as_a_push_of_its_own_image() {
    let (lab, registry) = (Lab::new(), Registry::start());
    stages(&lab, &registry);
    let digests = |recipe: &str, image: &str| -> Vec<String> {
        let image = registry.name(image);
        seatrial(&lab, ["push", recipe, &image]).ok();
        let image = format!("docker://{image}");
        let inspected = crate::service::skopeo(&lab, ["inspect", "--tls-verify=false", &image]);
        let layers = json(&inspected)["Layers"].clone();
        layers.as_array().unwrap().iter().map(|layer| layer.to_string()).collect()
    };
    let deps = digests("deps/deps.toml", "deps:1");
    let app = digests("app.toml", "app:1");
    assert_eq!(deps.len(), 2);
    assert_eq!(app.len(), 3);
    assert!(app.starts_with(&deps), "{app:?} {deps:?}");
}

#[test]
fn images_of_contents_are_locked_for_the_platform_and_read_once() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let base = stages(&lab, &registry);
    let copy = format!("contents={{ image='docker://{base}', source='/version', target='/v' }}\n");
    lab.file("copy.toml", format!("name='copy'\ntag='1'\narchitecture='amd64'\n{copy}"));
    let build = |output: &str| seatrial(&lab, ["build", "copy.toml", "-o", output]);
    let locked = ["build", "copy.toml", "--locked", "-o", "x.tar"];
    let message = seatrial(&lab, locked).rejected(&lab, "x.tar");
    assert!(message.contains(&format!("does not lock {base} for linux/amd64")), "{message}");
    build("a.tar").ok();
    let lock = fs::read_to_string(lab.path("seatrial.lock")).unwrap();
    assert!(lock.contains(&base) && lock.contains("linux/amd64"), "{lock}");
    lab.file("base/version", "2");
    seatrial(&lab, ["push", "base.toml", &base]).ok();
    build("b.tar").ok();
    assert!(fs::read(lab.path("a.tar")).unwrap() == fs::read(lab.path("b.tar")).unwrap());
    seatrial(&lab, ["lock", "copy.toml", "--update"]).ok();
    build("c.tar").ok();
    let archive = fs::read(lab.path("c.tar")).unwrap();
    let layer = crate::lab::members(&archive).remove(0).content;
    assert_eq!(crate::lab::members(&layer)[0].content, b"2");
    // Everything that is needed is in the cache.
    drop(registry);
    seatrial(&lab, locked).ok();
    assert!(fs::read(lab.path("x.tar")).unwrap() == archive);
}
