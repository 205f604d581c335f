//! VMs of another architecture than the host's: emulated, and with images of their own.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::sample_image::SampleImage;
use crate::workbench::{run, seatrial, stdout};

const GUEST: &str = "docker-28-arm64";
const RECIPE: &str = r#"
name = "sample/multi"
tag = "1"
platforms = ["linux/amd64", "linux/arm64"]
[config]
Env = ["PATH=/bin", "LAST_LAYER=child"]
Cmd = ["/bin/busybox", "uname", "-m"]
[per_platform."linux/amd64"]
contents = "rootfs"
[per_platform."linux/arm64"]
contents = "arm64"
"#;
const STEP: &str = r#"
name = "sample/step"
tag = "1"
architecture = "arm64"
contents = "rootfs"
[[run]]
command = """
busybox uname -m >/machine
busybox chmod 640 /machine; busybox chown 1000:1001 /machine"""
"#;
const EXPECTED: &str = "[env]\nhas = { LAST_LAYER = 'child' }\n[[run]]\nname = 'machine'\n";

/// Puts a static arm64 program into `folder`, from the initial RAM disk of the guest.
pub fn extract_busybox(folder: &Path) {
    stdout(&seatrial(&["vm", "prepare", GUEST]));
    let list: Value = serde_json::from_str(&stdout(&seatrial(&["vm", "list", "--json"]))).unwrap();
    let mut cache = list["cache"].as_array().unwrap().iter();
    let guest = cache
        .find(|item| item["kind"] == "guest" && item["guest"] == GUEST && item["current"] == true);
    let initrd = Path::new(guest.unwrap()["folder"].as_str().unwrap()).join("initrd");
    std::fs::create_dir_all(folder).unwrap();
    let unpack = format!("busybox cpio -i -d bin/busybox <'{}'", initrd.display());
    let output = run(Command::new("sh").args(["-c", &unpack]).current_dir(folder));
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "takes minutes; for the nightly run"]
fn each_engine_runs_the_image_for_its_own_architecture_from_every_kind_of_archive() {
    let sample = SampleImage::new();
    extract_busybox(&sample.path("arm64"));
    std::fs::write(sample.path("multi.toml"), RECIPE).unwrap();
    stdout(&sample.seatrial(&["build", "multi.toml", "--format", "dual", "-o", "dual.tar"]));
    stdout(&sample.seatrial(&["build", "multi.toml", "--format", "oci", "-o", "app.tar"]));
    std::fs::write(sample.path("e.toml"), EXPECTED).unwrap();
    for (image, engines) in
        [("multi.toml", &["docker-28", GUEST][..]), ("app.tar", &[GUEST]), ("dual.tar", &[GUEST])]
    {
        let mut words = vec!["check", image, "--expect", "e.toml", "--json"];
        engines.iter().for_each(|engine| words.extend(["--engine", engine]));
        let verdict: Value = serde_json::from_str(&stdout(&sample.seatrial(&words))).unwrap();
        for (engine, machine) in [("docker-28", "x86_64\n"), (GUEST, "aarch64\n")] {
            let cases = verdict["cases"].as_array().unwrap();
            let case =
                cases.iter().find(|case| case["engine"] == engine && case["name"] == "run machine");
            let result = case.map(|case| (case["outcome"].as_str(), case["output"].as_str()));
            let expected = engines.contains(&engine).then_some((Some("passed"), Some(machine)));
            assert_eq!(result, expected, "{image} on {engine}");
        }
    }
}

#[test]
#[ignore = "takes minutes; for the nightly run"]
fn an_image_for_another_architecture_loads_but_its_runs_are_skipped() {
    let sample = SampleImage::new();
    let (output, verdict) = sample.check("[[run]]\nname='x'\n", &["--engine", GUEST]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let last = verdict["cases"].as_array().unwrap().last().unwrap();
    assert_eq!(last["outcome"], "skipped");
    assert_eq!(last["reason"], "the image is for amd64, the VM is arm64");
}

#[test]
#[ignore = "takes minutes; for the nightly run"]
fn a_step_makes_the_same_layer_in_a_vm_and_in_a_namespace_of_its_architecture() {
    let folder = TempDir::new().unwrap();
    extract_busybox(&folder.path().join("rootfs"));
    std::os::unix::fs::symlink("busybox", folder.path().join("rootfs/bin/sh")).unwrap();
    let layers = ["where = 'vm'", "where = 'namespace'"].map(|place| {
        let recipe = format!("{STEP}{place}\n");
        std::fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
        let mut build = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        // Guests are in the cache; the results of steps must not be.
        build.args(["build", "recipe.toml", "-o", "out.tar", "--no-cache"]);
        stdout(&run(build.current_dir(folder.path())));
        let mut layer = Command::new("sh");
        layer.args(["-c", "tar -xOf out.tar 002/layer.tar | tar -xvvO --numeric-owner 2>&1"]);
        stdout(&run(layer.current_dir(folder.path())))
    });
    let expected = "-rw-r----- 1000/1001         8 1970-01-01 00:00 machine\naarch64\n";
    assert_eq!(layers, [expected; 2]);
}
