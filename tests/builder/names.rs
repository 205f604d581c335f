//! Several tags, names from the command line, and annotations.

use serde_json::{Value, json};

use crate::lab::{Lab, strings};

const RECIPE: &str = "name='example.com/my/app'\ntags=['1.0', 'latest']\ncontents='tree'\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("tree/file", "x");
    lab
}

/// The raw manifest or index of an image, read by skopeo.
fn raw(lab: &Lab, image: &str) -> Value {
    serde_json::from_str(&lab.tool("skopeo", ["inspect", "--raw", image])).unwrap()
}

#[test]
fn an_archive_has_each_tag_of_the_recipe() {
    let lab = lab();
    for format in ["docker", "oci", "dual"] {
        let output = format!("{format}.tar");
        let built = lab.build_with(RECIPE, &output, &["--format", format]);
        let names = ["example.com/my/app:1.0", "example.com/my/app:latest"];
        assert_eq!(built.summary["reference"], names[0]);
        assert_eq!(strings(&built.summary["references"]), names);
        if format != "oci" {
            assert_eq!(strings(&built.manifest()["RepoTags"]), names);
            for name in names {
                let image = format!("docker-archive:{output}:{name}");
                lab.tool("skopeo", ["inspect", &image]);
            }
        }
        if format != "docker" {
            for tag in ["1.0", "latest"] {
                lab.tool("skopeo", ["inspect", &format!("oci-archive:{output}:{tag}")]);
            }
        }
        let inspected: Value =
            serde_json::from_str(&lab.seatrial(["inspect", "--json", &output]).ok()).unwrap();
        assert_eq!(strings(&inspected["references"]), names, "{format}");
        let text = lab.seatrial(["inspect", &output]).ok();
        assert!(text.contains("example.com/my/app:1.0\n              example.com"), "{text}");
    }
    let built = lab.build_with(RECIPE, "docker.tar", &[]);
    let repositories: Value = serde_json::from_slice(&built.files()["repositories"]).unwrap();
    assert_eq!(repositories, json!({ "example.com/my/app": { "1.0": "001", "latest": "001" } }));
    assert_eq!(
        lab.seatrial(["reference", "recipe.toml"]).ok(),
        "example.com/my/app:1.0\nexample.com/my/app:latest\n"
    );
}

#[test]
fn umoci_lists_each_tag_of_a_layout() {
    let lab = lab();
    lab.build_with(RECIPE, "oci.tar", &["--format", "oci"]);
    std::fs::create_dir(lab.path("layout")).unwrap();
    lab.tool("tar", ["-xf", "oci.tar", "-C", "layout"]);
    assert_eq!(lab.tool("umoci", ["list", "--layout", "layout"]), "1.0\nlatest\n");
}

#[test]
fn one_tag_in_a_list_gives_the_same_bytes_as_a_tag() {
    let lab = lab();
    for format in ["docker", "oci", "dual"] {
        let flags = ["--format", format];
        let one = lab.build_with("name='x'\ntag='1'\ncontents='tree'\n", "one.tar", &flags);
        let list = lab.build_with("name='x'\ntags='1'\ncontents='tree'\n", "list.tar", &flags);
        assert_eq!(one.bytes, list.bytes, "{format}");
    }
}

#[test]
fn the_command_line_replaces_name_and_tags() {
    let lab = lab();
    lab.file("recipe.toml", RECIPE);
    let flags = ["--name", "Other/App", "--tag", "2", "--tag", "2-slim", "--tag", "2"];
    let reference = lab.seatrial(["reference", "recipe.toml"].iter().chain(&flags)).ok();
    assert_eq!(reference, "other/app:2\nother/app:2-slim\n");
    lab.seatrial(["build", "recipe.toml"].iter().chain(&flags)).ok();
    let by_flags = std::fs::read(lab.path("app.tar")).unwrap();
    let by_recipe = lab.build("name='other/app'\ntags=['2', '2-slim']\ncontents='tree'\n");
    assert_eq!(by_flags, by_recipe.bytes);
    lab.file("recipe.toml", RECIPE);
    let stream = lab.seatrial(["stream", "recipe.toml"].iter().chain(&flags));
    assert_eq!(stream.output.stdout, by_recipe.bytes);
    // A tag is derived from the inputs, whatever the name.
    lab.file("derived.toml", "name='x'\ncontents='tree'\n");
    let derived = lab.seatrial(["reference", "derived.toml"]).ok();
    let renamed = lab.seatrial(["reference", "derived.toml", "--name", "y"]).ok();
    assert_eq!(renamed, derived.replace("x:", "y:"));
    for (flags, problem) in [
        (["--tag", "my/app:1"], "only letters, digits, '_', '.' and '-' are allowed"),
        (["--name", "my/app:1"], "a name cannot contain a tag"),
    ] {
        let run = lab.seatrial(["build", "recipe.toml", "-o", "no.tar"].iter().chain(&flags));
        assert_eq!(run.output.status.code(), Some(2));
        assert!(run.stderr().contains(problem), "{}", run.stderr());
    }
}

#[test]
fn a_recipe_with_platforms_needs_a_tag_from_itself_or_from_the_command_line() {
    let lab = lab();
    let recipe = "name='x'\nplatforms=['linux/amd64', 'linux/arm64']\ncontents='tree'\n";
    assert!(lab.rejected(recipe).contains("needs a tag"));
    let flags = ["--format", "oci", "--tag", "1", "--tag", "2"];
    let built = lab.build_with(recipe, "multi.tar", &flags);
    for image in built.summary["images"].as_array().unwrap() {
        assert_eq!(strings(&image["references"]), ["x:1", "x:2"]);
    }
    for tag in ["1", "2"] {
        let index = raw(&lab, &format!("oci-archive:multi.tar:{tag}"));
        assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    }
    let listed = format!("tags=['3', '4']\n{recipe}");
    lab.build_with(&listed, "listed.tar", &["--format", "dual"]);
    lab.tool("skopeo", ["inspect", "docker-archive:listed.tar:x:4"]);
}

#[test]
fn mistakes_in_tags_and_annotations_are_errors() {
    let lab = lab();
    for (recipe, problem) in [
        ("tag='1'\ntags=['2']\n", "tag and tags exclude each other"),
        ("tags=[]\n", "tags is empty; remove it to get a derived tag"),
        ("tags=['1', '2', '1']\n", "tags lists 1 twice"),
        ("tags=['1', 'a b']\n", "only letters"),
        ("annotations={'' = 'x'}\n", "an empty name"),
        ("annotations={'org.opencontainers.image.ref.name' = '1'}\n", "follows from name and tag"),
        ("annotations={a = 1}\n", "recipe.toml:2: a: found 1, expected a string"),
    ] {
        let message = lab.rejected(&format!("name='x'\n{recipe}"));
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn annotations_are_in_the_manifest_and_in_the_index_of_several_platforms() {
    let lab = lab();
    let annotated = "annotations={'org.example.team' = 'harbour', 'a' = 'b'}\n";
    let expected = json!({ "a": "b", "org.example.team": "harbour" });
    for format in ["oci", "dual"] {
        lab.build_with(&format!("{annotated}{RECIPE}"), "one.tar", &["--format", format]);
        let manifest = raw(&lab, "oci-archive:one.tar:1.0");
        assert_eq!(manifest["annotations"], expected);
        let several = format!(
            "{annotated}{RECIPE}platforms=['linux/amd64', 'linux/arm64']\n\
             [per_platform.'linux/arm64'.annotations]\na='b'\n'org.example.team'='dock'\n"
        );
        lab.build_with(&several, "several.tar", &["--format", format]);
        let index = raw(&lab, "oci-archive:several.tar:1.0");
        assert_eq!(index["annotations"], json!({ "a": "b" }), "those of all platforms");
        for (architecture, team) in [("amd64", "harbour"), ("arm64", "dock")] {
            let copy = format!("oci:{format}-{architecture}:x");
            let image = "oci-archive:several.tar:1.0";
            lab.tool("skopeo", ["--override-arch", architecture, "copy", "-q", image, &copy]);
            assert_eq!(raw(&lab, &copy)["annotations"]["org.example.team"], team);
        }
    }
    lab.file("recipe.toml", format!("{annotated}{RECIPE}"));
    let run = lab.seatrial(["build", "recipe.toml", "-o", "docker.tar"]);
    assert!(run.stderr().contains("note: left out the annotations"), "{}", run.stderr());
    run.ok();
}

#[test]
fn annotations_may_come_from_labels_and_name_the_base_image() {
    let lab = lab();
    let base = "name='debian'\ntag='12'\ncontents='tree'\n\
                [config.Labels]\n'org.opencontainers.image.vendor'='base vendor'\n\
                'org.opencontainers.image.base.name'='scratch'\n";
    lab.build_with(base, "base.tar", &["--format", "oci"]);
    let digest =
        lab.tool("skopeo", ["inspect", "--format", "{{.Digest}}", "oci-archive:base.tar:12"]);
    lab.file("more/other", "y");
    let annotations = |from: &str, more: &str| {
        let recipe = format!(
            "name='x'\ntag='1'\ncontents='more'\nfrom_image='{from}'\n{more}\n\
             [config.Labels]\n'org.opencontainers.image.source'='https://a.example/x'\nother='y'\n"
        );
        lab.build_with(&recipe, "x.tar", &["--format", "oci"]);
        raw(&lab, "oci-archive:x.tar:1")["annotations"].clone()
    };
    assert_eq!(annotations("base.tar", ""), Value::Null, "only if the recipe asks for them");
    let base_only = json!({
        "org.opencontainers.image.base.digest": digest.trim(),
        "org.opencontainers.image.base.name": "docker.io/library/debian:12",
    });
    assert_eq!(annotations("base.tar", "annotations={}"), base_only);
    let more = "inherit='all'\nannotations_from_labels=true\n\
                annotations={'org.opencontainers.image.vendor'='own vendor'}";
    let mut expected = base_only;
    expected["org.opencontainers.image.source"] = json!("https://a.example/x");
    expected["org.opencontainers.image.vendor"] = json!("own vendor");
    assert_eq!(annotations("base.tar", more), expected);
    // A docker-archive has no manifest whose digest could be named.
    lab.build_with(base, "docker-base.tar", &[]);
    assert_eq!(
        annotations("docker-base.tar", "annotations={}"),
        json!({ "org.opencontainers.image.base.name": "docker.io/library/debian:12" })
    );
}

#[test]
fn annotations_count_in_a_derived_tag() {
    let lab = lab();
    let tag = |more: &str| lab.build(&format!("name='x'\ncontents='tree'\n{more}")).tag();
    let plain = tag("");
    assert_ne!(tag("annotations={a='1'}\n"), plain);
    assert_ne!(tag("annotations={a='1'}\n"), tag("annotations={a='2'}\n"));
    assert_eq!(tag("annotations_from_labels=false\n"), plain);
}
