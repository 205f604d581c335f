//! Layers that an engine has are not sent again by the next `seatrial check` of a recipe.

use std::fs;

use serde_json::Value;

use crate::each_engine::on_each_engine;
use crate::sample_image::{SampleImage, outcomes};
use crate::workbench::stdout;

/// More than the limit from which a VM is saved with layers.
const BASE_SIZE: u64 = 17 << 20;
const RECIPE: &str = r#"
name = "layered/app"
from_image = "base.tar"
contents = "app"
[config]
Env = ["PATH=/bin"]
Cmd = ["/bin/cat", "/word"]
"#;

/// Checks that the image prints `word`, after its file was changed, and returns the verdict.
fn check(sample: &SampleImage, engine: &str, word: &str) -> Value {
    fs::create_dir_all(sample.path("app")).unwrap();
    fs::write(sample.path("app/word"), word).unwrap();
    let expectations = format!("[[run]]\nname = 'prints'\nstdout = '{word}'\n");
    fs::write(sample.path("e.toml"), expectations).unwrap();
    let arguments = ["check", "app.toml", "--expect", "e.toml", "--json", "--engine", engine];
    let verdict: Value = serde_json::from_str(&stdout(&sample.seatrial(&arguments))).unwrap();
    assert!(outcomes(&verdict).contains(&("run prints", "passed")), "{verdict:#}");
    // The name under which a snapshot has the image.
    assert!(!verdict.to_string().contains("seatrial.invalid"), "{verdict:#}");
    verdict
}

fn a_second_check_of_a_changed_image_sends_only_new_layers(engine: &str) {
    let sample = SampleImage::new();
    // Random, so that no snapshot has it yet.
    let random = fs::File::open("/dev/urandom").unwrap();
    let mut file = fs::File::create(sample.path("rootfs/random")).unwrap();
    std::io::copy(&mut std::io::Read::take(random, BASE_SIZE), &mut file).unwrap();
    stdout(&sample.seatrial(&["build", "app.toml", "-o", "base.tar"]));
    fs::write(sample.path("app.toml"), RECIPE).unwrap();
    check(&sample, engine, "first");
    let verdict = check(&sample, engine, "second");
    // The base has one layer.
    assert_eq!(verdict["engine_runs"][0]["present_layers"], 1, "{verdict:#}");
}

#[test]
fn only_new_layers_of_a_changed_image_are_sent_on_each_engine() {
    on_each_engine(
        &["docker-20.10", "podman-5.4"],
        a_second_check_of_a_changed_image_sends_only_new_layers,
    );
}

#[test]
#[ignore = "needs the guests of Podman 4.3 and containerd 1.6; for the nightly run"]
fn older_podman_and_containerd_get_only_new_layers_of_a_changed_image() {
    a_second_check_of_a_changed_image_sends_only_new_layers("podman-4.3");
    a_second_check_of_a_changed_image_sends_only_new_layers("containerd-1.6");
}

#[test]
#[ignore = "needs the guests of Docker 26, Podman 5.8 and containerd 2.1; for the nightly run"]
fn newer_engines_get_only_new_layers_of_a_changed_image() {
    a_second_check_of_a_changed_image_sends_only_new_layers("docker-26");
    a_second_check_of_a_changed_image_sends_only_new_layers("podman-5.8");
    a_second_check_of_a_changed_image_sends_only_new_layers("containerd-2.1");
}
