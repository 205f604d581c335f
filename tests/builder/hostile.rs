//! Images that would take much time or memory are rejected within fixed limits.

use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::forge::{
    OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, OciFolder, TarBuilder, config, docker_archive,
    manifest, valid_layer, with,
};
use crate::lab::{Lab, Run};

/// The address space that the program may use: 256 MiB of memory, and what it maps but does not
/// use, such as stacks and its own code.
const MEMORY_KIB: u32 = 320 << 10;
/// The CPU time that the program may use, which does not depend on other work of the host; without
/// limits in the program, the inputs take minutes or forever.
pub const CPU_SECONDS: u32 = 60;
/// The time after which a program counts as one that waits forever.
const DEADLINE_SECONDS: &str = "900";

fn inspect_within_limits(lab: &Lab, image: &str) -> Run {
    within_limits(lab, &["inspect", image])
}

/// Runs the program within limits of CPU time and memory. It is killed if it exceeds them.
pub fn within_limits(lab: &Lab, arguments: &[&str]) -> Run {
    let script = format!("ulimit -v {MEMORY_KIB} -t {CPU_SECONDS}; exec \"$@\"");
    let mut command: Command = lab.command("timeout");
    command
        .args(["-s", "KILL", DEADLINE_SECONDS, "bash", "-c", &script, "-"])
        .arg(env!("CARGO_BIN_EXE_seatrial"))
        .args(arguments)
        .env("MALLOC_ARENA_MAX", "1");
    Run::of(command)
}

fn assert_rejected(lab: &Lab, image: &str, expected: &str) {
    let message = inspect_within_limits(lab, image).rejected(lab, "x");
    assert!(message.contains(expected), "{expected}: {message}");
    assert!(message.len() < 4000, "a message of {} bytes", message.len());
}

/// A docker-archive with one layer and this config.
fn image(config: &Value) -> Vec<u8> {
    docker_archive(config.to_string().as_bytes(), &valid_layer())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn configs_with_very_many_values_are_rejected() {
    let lab = Lab::new();
    let names = |count: usize| (0..count).map(|n| format!("V{n}=")).collect::<Vec<_>>();
    let ports: serde_json::Map<String, Value> =
        (0..210_000).map(|n| (format!("{n}"), json!({}))).collect();
    let history = vec![json!({ "created_by": "x" }); 110_000];
    for more in [
        json!({ "config": { "Env": names(210_000) } }),
        json!({ "config": { "ExposedPorts": ports } }),
        json!({ "history": history }),
        json!({ "unknown": vec![0; 1_500_000] }),
        json!({ "config": { "unknown": vec![json!([]); 900_000] } }),
    ] {
        let config = with(config(&[&valid_layer()]), more);
        lab.file("base.tar", image(&config));
        assert_rejected(&lab, "base.tar", "more than 200000 values");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = config(&[&valid_layer()]).to_string();
    let text = format!("{},\"deep\":{deep}}}", text.strip_suffix('}').unwrap());
    lab.file("base.tar", docker_archive(text.as_bytes(), &valid_layer()));
    assert_rejected(&lab, "base.tar", "recursion limit exceeded");
    let config = with(config(&[&valid_layer()]), json!({ "author": "x".repeat(5 << 20) }));
    lab.file("base.tar", image(&config));
    assert_rejected(&lab, "base.tar", "c.json is larger than 4 MiB");
}

#[test]
fn configs_below_the_limits_take_little_time() {
    let lab = Lab::new();
    let names: Vec<String> = (0..190_000).map(|n| format!("V{n}=")).collect();
    let config = with(config(&[&valid_layer()]), json!({ "config": { "Env": names } }));
    lab.file("base.tar", image(&config));
    inspect_within_limits(&lab, "base.tar").ok();
    // Merging the environments of base and recipe once took time in the square of their size.
    lab.file("r.toml", "name='x'\ntag='1'\nfrom_image='base.tar'\narchitecture='amd64'\n");
    within_limits(&lab, &["build", "r.toml"]).ok();
}

#[test]
fn long_values_are_shortened_in_messages() {
    let lab = Lab::new();
    let long = "x".repeat(3 << 20);
    let base = config(&[&valid_layer()]);
    for config in [
        with(base.clone(), json!({ "rootfs": { "type": "layers", "diff_ids": [long] } })),
        with(base.clone(), json!({ "history": long })),
        with(base, json!({ "config": long })),
    ] {
        lab.file("base.tar", image(&config));
        assert_rejected(&lab, "base.tar", "more bytes");
    }
    let item = |n: usize| {
        let name = format!("n{n}:1");
        json!({ "Config": "c", "RepoTags": [name], "Layers": [n.to_string()] })
    };
    let many: Vec<Value> = (0..30_000).map(item).collect();
    let archive = TarBuilder::new()
        .file("manifest.json", Value::from(many).to_string().as_bytes())
        .file("c", config(&[]).to_string().as_bytes());
    lab.file("base.tar", archive.finish());
    assert_rejected(&lab, "base.tar", "and 29990 more");
    let message = lab.seatrial(["inspect", "base.tar", "--name", "absent"]).rejected(&lab, "x");
    assert!(message.contains("and 29990 more"), "{message}");
}

#[test]
fn a_very_long_architecture_takes_little_memory() {
    let lab = Lab::new();
    let config = with(config(&[&valid_layer()]), json!({ "architecture": "x".repeat(3 << 20) }));
    lab.file("base.tar", image(&config));
    inspect_within_limits(&lab, "base.tar").ok();
}

#[test]
fn archives_with_very_many_images_are_rejected() {
    let lab = Lab::new();
    let many = Value::from(vec![json!({}); 300_000]).to_string();
    let archive = TarBuilder::new().file("manifest.json", many.as_bytes());
    lab.file("base.tar.gz", gzip(&archive.finish()));
    assert_rejected(&lab, "base.tar.gz", "more than 200000 values");
}

#[test]
fn a_layer_that_is_listed_very_often_is_rejected() {
    let lab = Lab::new();
    let layer = valid_layer();
    let layers = vec!["l"; 20_000];
    let archive = TarBuilder::new()
        .file("manifest.json", manifest("c", &layers).to_string().as_bytes())
        .file("c", config(&vec![&layer[..]; 20_000]).to_string().as_bytes())
        .file("l", &layer);
    lab.file("base.tar.gz", gzip(&archive.finish()));
    assert_rejected(&lab, "base.tar.gz", "the image has 20000 layers; engines run at most 500");
    let oci = OciFolder::new(&lab, "oci");
    let descriptor = oci.blob(&layer, OCI_LAYER);
    let config = oci.document(OCI_CONFIG, &config(&[&layer]));
    oci.index(&[oci.manifest(config, &vec![descriptor; 501])]);
    assert_rejected(&lab, "oci", "the image has 501 layers");
}

#[test]
fn a_layer_that_is_listed_through_many_links_is_read_once() {
    let lab = Lab::new();
    let layer = TarBuilder::new().file("zeros", &vec![0; 64 << 20]).finish();
    let names: Vec<String> = (0..200).map(|n| format!("l{n}")).collect();
    let layers: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut archive = TarBuilder::new()
        .file("manifest.json", manifest("c", &layers).to_string().as_bytes())
        .file("c", config(&vec![&layer[..]; 200]).to_string().as_bytes())
        .file("l", &gzip(&layer));
    for name in &layers {
        archive = archive.member(name, tar::EntryType::Symlink, "l", b"");
    }
    lab.file("base.tar", archive.finish());
    inspect_within_limits(&lab, "base.tar").ok();
}

#[test]
fn indexes_that_fan_out_are_rejected() {
    let lab = Lab::new();
    let oci = OciFolder::new(&lab, "oci");
    let index = |entries: Vec<Value>| {
        oci.document(OCI_INDEX, &json!({ "schemaVersion": 2, "manifests": entries }))
    };
    let named = |descriptor: &Value, n: usize| {
        let annotations = json!({ "org.opencontainers.image.ref.name": n.to_string() });
        with(descriptor.clone(), json!({ "annotations": annotations }))
    };
    let fan_out = |descriptor: &Value| (0..1000).map(|n| named(descriptor, n)).collect::<Vec<_>>();
    let image = oci.image(&config(&[&valid_layer()]));
    for lowest in [index(vec![image]), index(Vec::new())] {
        let (one, two) = (index(fan_out(&lowest)), &fan_out(&lowest));
        let two = index([fan_out(&one), two.clone()].concat());
        oci.index(&fan_out(&two));
        assert_rejected(&lab, "oci", "its indexes list more than 50000 images");
    }
    let mut nested = index(Vec::new());
    for _ in 0..5 {
        nested = index(vec![nested]);
    }
    oci.index(&[nested]);
    assert_rejected(&lab, "oci", "more than 4 levels of nested indexes");
    // The same in an archive of a few kilobytes.
    lab.tool("tar", ["-C", "oci", "-czf", "oci.tar.gz", "."]);
    assert_rejected(&lab, "oci.tar.gz", "more than 4 levels of nested indexes");
}

#[test]
fn long_texts_in_indexes_take_little_memory() {
    let lab = Lab::new();
    let layout = |entries: &dyn Fn(&OciFolder<'_>, Value) -> Vec<Value>| {
        let _ = std::fs::remove_dir_all(lab.path("oci"));
        let oci = OciFolder::new(&lab, "oci");
        let image = oci.image(&config(&[&valid_layer()]));
        oci.index(&entries(&oci, image));
        lab.tool("tar", ["-C", "oci", "-czf", "oci.tar.gz", "."]);
    };
    let index = |oci: &OciFolder<'_>, entries: &[Value]| {
        oci.document(OCI_INDEX, &json!({ "schemaVersion": 2, "manifests": entries }))
    };
    let long = "x".repeat(3 << 20);
    layout(&|oci, image| {
        let nested = |n: usize| {
            let more = json!({ "annotations": { "x": long, "n": n.to_string() } });
            index(oci, &[with(image.clone(), more)])
        };
        (0..50).map(nested).collect()
    });
    inspect_within_limits(&lab, "oci.tar.gz").ok();
    layout(&|oci, _| {
        let image = |n: usize| oci.blob(n.to_string().as_bytes(), OCI_MANIFEST);
        let images: Vec<Value> = (0..500).map(image).collect();
        let name = json!({ "annotations": { "org.opencontainers.image.ref.name": long } });
        vec![with(index(oci, &images), name)]
    });
    assert_rejected(&lab, "oci.tar.gz", "a name or platform of 3145728 bytes");
    layout(&|oci, _| {
        let image = |n: usize| {
            let more = json!({ "architecture": long, "author": n.to_string() });
            oci.image(&with(config(&[&valid_layer()]), more))
        };
        (0..50).map(image).collect()
    });
    assert_rejected(&lab, "oci.tar.gz", "no image is for linux/");
}

#[test]
fn archives_with_very_long_names_are_rejected() {
    let lab = Lab::new();
    // 10 000 names of 4 000 bytes, which compress well.
    let mut builder = tar::Builder::new(Vec::new());
    for n in 0..10_000 {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        let name = format!("{}{n}", "d/".repeat(2000));
        builder.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    lab.file("base.tar.gz", gzip(&builder.into_inner().unwrap()));
    assert_rejected(&lab, "base.tar.gz", "not an image archive");
}

#[test]
fn layers_with_large_windows_are_not_decompressed_at_the_same_time() {
    let lab = Lab::new();
    let layer = |n: u8| TarBuilder::new().file("zeros", &vec![n; 130 << 20]).finish();
    let layers: Vec<Vec<u8>> = (0..4).map(layer).collect();
    let image = |compress: &str| {
        let mut archive = TarBuilder::new();
        for (n, layer) in layers.iter().enumerate() {
            lab.file("layer", layer);
            lab.tool("bash", ["-c", &format!("{compress} <layer >compressed")]);
            let compressed = std::fs::read(lab.path("compressed")).unwrap();
            archive = archive.file(&n.to_string(), &compressed);
        }
        let config = config(&layers.iter().map(|layer| &layer[..]).collect::<Vec<_>>());
        let archive = archive
            .file("manifest.json", manifest("c", &["0", "1", "2", "3"]).to_string().as_bytes())
            .file("c", config.to_string().as_bytes());
        lab.file("base.tar", archive.finish());
    };
    image("zstd -qc -1 --long=27 --zstd=wlog=27");
    inspect_within_limits(&lab, "base.tar").ok();
    image("zstd -qc -1 --long=28");
    assert_rejected(&lab, "base.tar", "takes 256 MiB of memory, and at most 128 are allowed");
}

/// Writes a docker-archive, `base.tar`, whose layer has the folder `tree`, in which `script` makes
/// files. Holes in them take no room.
fn image_of(lab: &Lab, script: &str) {
    lab.tool("bash", ["-c", &format!("rm -rf tree && mkdir tree && cd tree && {script}")]);
    lab.tool("tar", ["-C", "tree", "--format=gnu", "-cSf", "layer.tar", "."]);
    let layer = std::fs::read(lab.path("layer.tar")).unwrap();
    lab.file("base.tar", docker_archive(config(&[&layer]).to_string().as_bytes(), &layer));
}

#[test]
fn databases_of_packages_that_are_larger_than_any_real_ones_are_rejected() {
    let lab = Lab::new();
    let commands = |lab: &Lab| {
        let recipe = "name='x'\ntag='1'\nfrom_image='base.tar'\narchitecture='amd64'\n";
        lab.file("r.toml", recipe);
        let mut commands = vec![vec!["build", "r.toml", "-o", "x", "--sbom", "spdx"]];
        if cfg!(feature = "vm") {
            lab.file("goss.yaml", "package: { nginx: { installed: true } }");
            commands.push(vec!["check", "base.tar", "--expect", "goss.yaml", "--no-vm"]);
        }
        commands
    };
    for (script, expected) in [
        (
            "mkdir -p var/lib/dpkg/status.d && truncate -s 60M var/lib/dpkg/status.d/{1..5}",
            "more than 64 MiB",
        ),
        (
            "mkdir -p lib/apk/db && yes $'P:x\\n' | head -n 12000000 >lib/apk/db/installed",
            "more than 100000 packages",
        ),
    ] {
        image_of(&lab, script);
        for command in commands(&lab) {
            let message = within_limits(&lab, &command).rejected(&lab, "x");
            assert!(message.contains(expected), "{command:?}: {message}");
        }
    }
}
