//! `seatrial merge`: several images in one archive, read by skopeo.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::lab::{Lab, strings};

/// A folder with the recipes `one.toml` and `two.toml`, whose images share a base.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("shared/lib", "shared".repeat(500));
    for name in ["one", "two"] {
        lab.file(format!("{name}/bin/{name}"), name);
        let recipe =
            format!("name='my/{name}'\ntag='1'\ncontents='{name}'\nfrom_image='base.tar'\n");
        lab.file(format!("{name}.toml"), recipe);
    }
    lab.build_with("name='base'\ntag='1'\ncontents='shared'\n", "base.tar", &[]);
    lab
}

fn build(lab: &Lab, recipe: &str, output: &str, arguments: &[&str]) -> String {
    let fixed = ["build", recipe, "--json", "-o", output];
    let summary = lab.seatrial(fixed.iter().chain(arguments)).ok();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    summary["id"].as_str().unwrap_or_default().to_owned()
}

fn id(lab: &Lab, image: &str, name: &str) -> String {
    let inspected = lab.seatrial(["inspect", image, "--json", "--name", name]).ok();
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    inspected["id"].as_str().unwrap().to_owned()
}

fn merge(lab: &Lab, arguments: &[&str]) -> Value {
    let merged = lab.seatrial(["merge", "--json"].iter().chain(arguments)).ok();
    serde_json::from_str(&merged).unwrap()
}

/// The names of the layers in an archive, sorted.
fn names(lab: &Lab, archive: &str, part: &str) -> Vec<String> {
    let listed = lab.tool("tar", ["-tf", archive]);
    let mut names: Vec<String> =
        listed.lines().filter(|name| name.contains(part)).map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn images_of_any_format_and_compression_become_one_docker_archive() {
    let lab = lab();
    let one = build(&lab, "one.toml", "one.tar.gz", &["--compress", "gzip"]);
    let two = build(&lab, "two.toml", "two.tar", &["--format", "oci", "--compress", "zstd"]);
    lab.tool("xz", ["-0", "base.tar"]);
    let merged = merge(&lab, &["one.tar.gz", "two.tar", "base.tar.xz", "-o", "all.tar"]);
    assert_eq!((&merged["layers"], &merged["shared_layers"]), (&3.into(), &2.into()));
    assert_eq!(names(&lab, "all.tar", "layer.tar").len(), 3);
    assert_eq!(id(&lab, "all.tar", "my/one"), one);
    assert_eq!(id(&lab, "all.tar", "my/two"), two);
    for name in ["my/one:1", "my/two:1", "base:1"] {
        let (image, copy) =
            (format!("docker-archive:all.tar:{name}"), format!("dir:{}", &name[3..]));
        lab.tool("skopeo", ["copy", "-q", &image, &copy]);
    }
    // Every layer of a docker-archive is plain or gzip, which every Docker reads.
    fs::create_dir(lab.path("all")).unwrap();
    lab.tool("tar", ["-xf", "all.tar", "-C", "all"]);
    let kinds = lab.tool("bash", ["-c", "for f in all/*/layer.tar; do head -c4 $f | xxd -p; done"]);
    assert!(!kinds.contains("28b52ffd"), "{kinds}");
}

#[test]
fn images_of_any_format_and_compression_become_one_layout() {
    let lab = lab();
    let one = build(&lab, "one.toml", "one.tar.gz", &["--compress", "gzip"]);
    build(&lab, "two.toml", "two.tar", &["--format", "oci", "--compress", "zstd"]);
    let raw = |image: &str| lab.tool("skopeo", ["inspect", "--raw", image]);
    let before = raw("oci-archive:two.tar:1");
    let inputs = ["one.tar.gz", "two.tar", "--format", "oci"];
    lab.seatrial(["merge", "-o", "all.tar"].iter().chain(&inputs)).ok();
    fs::create_dir(lab.path("layout")).unwrap();
    lab.tool("tar", ["-xf", "all.tar", "-C", "layout"]);
    let index: Value =
        serde_json::from_slice(&fs::read(lab.path("layout/index.json")).unwrap()).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let digest = |entry: &Value| entry["digest"].as_str().unwrap()["sha256:".len()..].to_owned();
    let copied =
        fs::read_to_string(lab.path(format!("layout/blobs/sha256/{}", digest(&entries[1]))));
    assert_eq!(copied.unwrap(), before, "an OCI manifest stays as it is");
    assert_eq!(id(&lab, "all.tar", "my/one"), one);
    // The tag is the same, so skopeo needs the full names, which containers-storage would have.
    for name in ["my/one", "my/two"] {
        lab.seatrial(["inspect", "layout", "--name", name]).ok();
    }
    assert!(lab.tool("umoci", ["list", "--layout", "layout"]).contains('1'));
    let blobs = names(&lab, "all.tar", "blobs/sha256/");
    assert_eq!(blobs.iter().collect::<BTreeSet<_>>().len(), blobs.len(), "each blob once");
}

#[test]
fn an_index_for_several_platforms_stays_as_it_is() {
    let lab = lab();
    lab.file(
        "multi.toml",
        "name='my/multi'\ntag='2'\nplatforms=['linux/amd64','linux/arm64']\ncontents='one'\n",
    );
    build(&lab, "multi.toml", "multi.tar", &["--format", "dual"]);
    build(&lab, "two.toml", "two.tar", &[]);
    merge(&lab, &["two.tar", "multi.tar", "--format", "oci", "-o", "all.tar"]);
    let raw = |image: &str| lab.tool("skopeo", ["inspect", "--raw", image]);
    assert_eq!(raw("oci-archive:all.tar:2"), raw("oci-archive:multi.tar:2"));
    for architecture in ["amd64", "arm64"] {
        let arguments = ["--override-arch", architecture, "copy", "-q", "oci-archive:all.tar:2"];
        lab.tool("skopeo", arguments.into_iter().chain([&*format!("dir:{architecture}")]));
    }
    // A docker-archive gets the image for one platform.
    lab.file("arm.toml", "name='my/arm'\ntag='1'\narchitecture='arm64'\ncontents='one'\n");
    build(&lab, "arm.toml", "arm.tar", &[]);
    let merged = merge(&lab, &["multi.tar", "arm.tar", "--platform", "arm64", "-o", "docker.tar"]);
    assert_eq!(merged["images"][0]["platform"], "linux/arm64");
    let config =
        lab.tool("skopeo", ["inspect", "--config", "docker-archive:docker.tar:my/multi:2"]);
    assert!(config.contains("\"arm64\""), "{config}");
    // Only a platform that is selected rules out others.
    lab.seatrial(["merge", "multi.tar", "arm.tar", "-o", "any.tar"]).ok();
    let single = ["merge", "multi.tar", "arm.tar", "--platform", "amd64", "-o", "no.tar"];
    let message = lab.seatrial(single).rejected(&lab, "no.tar");
    assert!(message.contains("the image is for linux/arm64, not for linux/amd64"), "{message}");
    let run = lab.seatrial(["merge", "multi.tar", "--platform", "s390x", "-o", "no.tar"]);
    let message = run.rejected(&lab, "no.tar");
    assert!(message.contains("but none for linux/s390x"), "{message}");
}

#[test]
fn different_images_of_one_name_are_an_error() {
    let lab = lab();
    build(&lab, "one.toml", "one.tar", &[]);
    build(&lab, "two.toml", "other.tar", &["--name", "my/one"]);
    build(&lab, "two.toml", "other-oci.tar", &["--name", "my/one", "--format", "oci"]);
    for format in ["docker", "oci"] {
        for other in ["other.tar", "other-oci.tar"] {
            let run = lab.seatrial(["merge", "one.tar", other, "-o", "no.tar", "--format", format]);
            let message = run.rejected(&lab, "no.tar");
            let expected = format!(
                "{other}: it has \"my/one:1\", which is another image in one.tar; leave one of \
                 them out, or give it another name or tag"
            );
            assert!(message.contains(&expected), "{message}");
        }
    }
}

#[test]
fn the_same_image_may_be_in_several_inputs_under_different_names() {
    let lab = lab();
    build(&lab, "one.toml", "one.tar", &[]);
    build(&lab, "one.toml", "renamed.tar", &["--name", "other", "--tag", "x", "--format", "oci"]);
    for format in ["docker", "oci"] {
        let inputs = ["one.tar", "renamed.tar", "one.tar", "--format", format, "-o", "all.tar"];
        let merged = merge(&lab, &inputs);
        let images = merged["images"].as_array().unwrap();
        assert_eq!(images.len(), 1, "{format}");
        assert_eq!(strings(&images[0]["references"]), ["my/one:1", "other:x"]);
        assert_eq!(id(&lab, "all.tar", "other"), id(&lab, "all.tar", "my/one"));
        // Merging again changes nothing.
        merge(&lab, &["all.tar", "--format", format, "-o", "again.tar"]);
        let bytes = |name: &str| fs::read(lab.path(name)).unwrap();
        assert!(bytes("again.tar") == bytes("all.tar"), "{format}");
        let stream = lab.seatrial(["merge", "all.tar", "--format", format, "-o", "-"]);
        assert!(stream.output.stdout == bytes("all.tar"), "{format}");
        assert!(stream.stderr().starts_with("wrote to standard output\n"), "{}", stream.stderr());
    }
}

#[test]
fn an_input_that_is_corrupted_writes_no_file() {
    let lab = lab();
    build(&lab, "one.toml", "one.tar", &[]);
    build(&lab, "one.toml", "layout.tar", &["--format", "oci"]);
    for (archive, problem) in [("one.tar", "is corrupted"), ("layout.tar", "is corrupted")] {
        let mut bytes = fs::read(lab.path(archive)).unwrap();
        let position = bytes.windows(12).position(|part| part == b"sharedshared").unwrap();
        bytes[position] = b'S';
        lab.file("bad.tar", bytes);
        for format in ["docker", "oci"] {
            let run = lab.seatrial(["merge", "bad.tar", "-o", "no.tar", "--format", format]);
            let message = run.rejected(&lab, "no.tar");
            assert!(message.contains(problem), "{archive} {format}: {message}");
        }
    }
}
