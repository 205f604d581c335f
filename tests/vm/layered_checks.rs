//! Layers that an engine has are not sent again by the next `seatrial check` of a recipe.

use std::fs;

use serde_json::Value;

use crate::each_engine::on_each_engine;
use crate::forge::{TarBuilder, config, docker_archive};
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

/// Writes what the image of the recipe prints, and that it must print it.
fn write(sample: &SampleImage, word: &str) {
    fs::create_dir_all(sample.path("app")).unwrap();
    fs::write(sample.path("app/word"), word).unwrap();
    let expectations = format!("[[run]]\nname = 'prints'\nstdout = '{word}'\n");
    fs::write(sample.path("e.toml"), expectations).unwrap();
}

/// Checks that the image prints what it must, and returns the verdict.
fn check(sample: &SampleImage, engine: &str, image: &str) -> Value {
    let arguments = ["check", image, "--expect", "e.toml", "--json", "--engine", engine];
    let verdict: Value = serde_json::from_str(&stdout(&sample.seatrial(&arguments))).unwrap();
    assert!(outcomes(&verdict).contains(&("run prints", "passed")), "{verdict:#}");
    // The name under which a snapshot has the image.
    assert!(!verdict.to_string().contains("seatrial.invalid"), "{verdict:#}");
    verdict
}

fn a_second_check_of_a_changed_image_sends_only_new_layers(engine: &str) {
    let sample = SampleImage::new();
    write_random_file(&sample);
    stdout(&sample.seatrial(&["build", "app.toml", "-o", "base.tar"]));
    fs::write(sample.path("app.toml"), RECIPE).unwrap();
    let present = |verdict: Value| verdict["engine_runs"][0]["present_layers"].clone();
    // Its layers are sent, first for a snapshot.
    write(&sample, "first");
    assert_eq!(present(check(&sample, engine, "app.toml")), 0);
    // The base has one layer.
    write(&sample, "second");
    assert_eq!(present(check(&sample, engine, "app.toml")), 1);
    write(&sample, "third");
    stdout(&sample.seatrial(&["build", "app.toml", "--format", "oci", "-o", "oci.tar"]));
    assert_eq!(present(check(&sample, engine, "oci.tar")), 1);
}

/// Writes a large file that no snapshot has yet.
fn write_random_file(sample: &SampleImage) {
    let random = fs::File::open("/dev/urandom").unwrap();
    let mut file = fs::File::create(sample.path("rootfs/random")).unwrap();
    std::io::copy(&mut std::io::Read::take(random, BASE_SIZE), &mut file).unwrap();
}

#[test]
fn only_new_layers_of_a_changed_image_are_sent_on_each_engine() {
    on_each_engine(&["docker-20.10"], a_second_check_of_a_changed_image_sends_only_new_layers);
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

/// A hard link to a file that its layer does not have is one that no engine can make.
#[test]
#[ignore = "for the nightly run"]
fn a_large_image_that_the_engine_rejects_fails_like_a_small_one() {
    let sample = SampleImage::new();
    let layer = TarBuilder::new().member("link", tar::EntryType::Link, "absent", b"").finish();
    let base = docker_archive(config(&[&layer]).to_string().as_bytes(), &layer);
    fs::write(sample.path("base.tar"), base).unwrap();
    write_random_file(&sample);
    fs::write(sample.path("app.toml"), RECIPE.replace("\"app\"", "\"rootfs\"")).unwrap();
    write(&sample, "never");
    let check = ["check", "app.toml", "--expect", "e.toml", "--json", "--engine", "docker-20.10"];
    let output = sample.seatrial(&check);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcomes = outcomes(&verdict);
    assert!(outcomes.contains(&("loads with the expected name", "failed")), "{verdict:#}");
}
