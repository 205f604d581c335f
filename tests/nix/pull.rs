//! `pullImage`, from a registry on this host.

use std::fs;

use crate::lab::Lab;
use crate::nix::{Image, case, nix_output, on_host};
use crate::service::{Registry, crane, json, recipe, seatrial};

#[test]
fn a_pulled_image_has_the_name_that_was_asked_for_and_can_be_a_base() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("app:1.0");
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    let crane = crane();
    let crane = crane.to_str().unwrap();
    let digest = lab.tool(crane, ["digest", "--insecure", &image]).trim().to_owned();
    let config = json(&lab.tool(crane, ["config", "--insecure", &image]));

    let name = format!("{}@{digest}", registry.name("app"));
    let new_name = ["--name", "final/app", "--tag", "2.0"];
    let pull = ["pull", &name, "--no-cache", "-o", "expected.tar"];
    seatrial(&lab, pull.into_iter().chain(new_name)).ok();
    let file = lab.path("expected.tar").display().to_string();
    let hash = nix_output(&["nix", "hash", "file", "--sri", "--type", "sha256", &file]);

    let address = registry.address.to_string();
    let built = |name: &str| {
        let case = case(name);
        let mut command = vec!["nix-build", "--no-out-link"];
        command.extend(case.iter().map(String::as_str));
        command.extend(["--argstr", "address", &address, "--argstr", "digest", &digest]);
        command.extend(["--argstr", "hash", &hash]);
        Image::read(&fs::read(on_host(&nix_output(&command))).unwrap())
    };
    let pulled = built("pulled");
    assert_eq!(pulled.reference(), "final/app:2.0");
    assert_eq!(pulled.config(), config);
    assert_eq!(pulled.tree()["etc/motd"].content, b"ahoy\n");
    let image = built("onPulled");
    assert_eq!(image.layers()[0], pulled.layers()[0]);
    assert!(image.tree().contains_key("bin/hello"));
}
