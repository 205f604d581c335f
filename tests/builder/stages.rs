//! Base images that are recipes: they are built first, as the stages of a Dockerfile. The model is
//! the image of the same recipe that was built alone, as a file.

use std::fs;

use serde_json::Value;

use crate::lab::{Built, Lab, strings};
use crate::steps::{lab, read};

/// The recipe of the base in the folder `deps`: contents, and a step that leaves another file each
/// time it runs.
const DEPS: &str = "name='deps'\ntag='1'\ncontents=['../rootfs', 'packages']
    [config]\nEnv=['BASE=1', 'BOTH=base']\nCmd=['/bin/sh']\nLabels={ base = 'yes' }
    [[run]]\ncommand = 'cat /proc/sys/kernel/random/uuid > /etc/id; chown 1000:50 /etc/id'\n";

/// The recipe of the image above.
const APP: &str = "name='app'\ntag='1'\nfrom_image='deps/deps.toml'\ninherit='all'
    contents=[{ source='app', target='/srv/app', owner='app' }]
    [config]\nEnv=['BOTH=app']\nWorkingDir='/srv/app'\n";

/// A lab with both recipes and their contents.
pub fn stages() -> Lab {
    let lab = lab();
    lab.file("deps/packages/usr/lib/packages", "packages\n");
    lab.file("deps/deps.toml", DEPS);
    lab.file("app/main", "first\n");
    lab.file("app.toml", APP);
    lab
}

/// Builds the recipe `recipe` with `arguments`. Returns the image and the messages.
pub fn build(lab: &Lab, recipe: &str, arguments: &[&str]) -> (Built, String) {
    let run = lab.seatrial(["build", recipe, "--json", "-o", "out.tar"].iter().chain(arguments));
    let messages = run.stderr();
    let summary = serde_json::from_str(&run.ok()).unwrap();
    (Built { summary, ..read(lab, "out.tar") }, messages)
}

fn id(built: &Built) -> Vec<u8> {
    built.member("etc/id").unwrap().content
}

#[test]
fn the_image_is_that_on_the_same_base_in_a_file() {
    let lab = stages();
    let changes = "[accounts]\nusers=[{ name='web', uid=2000 }]
        [[path]]\npath='/usr/lib/packages'\nowner='web'\nmode='0600'
        [[run]]\ncommand='cat /etc/id /srv/app/main > /srv/both; rm /etc/motd'\n";
    for more in ["", changes] {
        let recipe = format!("{APP}{more}");
        lab.file("app.toml", &recipe);
        let (stages, _) = build(&lab, "app.toml", &[]);
        lab.seatrial(["build", "deps/deps.toml", "-o", "deps.tar"]).ok();
        let of_file = recipe.replace("deps/deps.toml", "deps.tar");
        lab.file("file.toml", of_file);
        let (expected, _) = build(&lab, "file.toml", &[]);
        assert_eq!(stages.config(), expected.config(), "{more}");
        assert!(stages.layer_files() == expected.layer_files(), "{more}");
        assert_eq!(stages.summary["layers"], expected.summary["layers"], "{more}");
        let streamed = lab.seatrial(["stream", "app.toml"]);
        assert!(streamed.output.stdout == stages.bytes, "{}", streamed.stderr());
        lab.seatrial(["diff", "app.toml", "file.toml"]).ok();
    }
}

#[test]
fn a_base_has_the_layers_of_its_own_image_in_each_format() {
    let lab = stages();
    let blobs = |built: &Built| -> Vec<Value> {
        let layers = built.summary["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["digest"].clone()).collect()
    };
    for arguments in [
        &["--format", "docker"][..],
        &["--format", "oci", "--compress", "gzip"],
        &["--format", "oci", "--compress", "zstd", "--no-cache"],
    ] {
        // Without a cache, the step would make another layer.
        if arguments.contains(&"--no-cache") {
            lab.file("deps/deps.toml", DEPS.split("[[run]]").next().unwrap());
        }
        let (alone, _) = build(&lab, "deps/deps.toml", arguments);
        let (above, _) = build(&lab, "app.toml", arguments);
        let diff_ids = |built: &Built| -> Vec<Value> {
            let layers = built.summary["layers"].as_array().unwrap().iter();
            layers.map(|layer| layer["diff_id"].clone()).collect()
        };
        assert!(diff_ids(&above).starts_with(&diff_ids(&alone)), "{arguments:?}");
        assert!(blobs(&above).starts_with(&blobs(&alone)), "{arguments:?}");
        let base = above.summary["layers"].as_array().unwrap().iter();
        let base: Vec<bool> = base.map(|layer| layer["base"] == true).collect();
        let expected = alone.summary["layers"].as_array().unwrap().len();
        assert_eq!(base.iter().filter(|base| **base).count(), expected, "{base:?}");
    }
    // skopeo checks every digest.
    lab.tool("skopeo", ["copy", "-q", "oci-archive:out.tar", "dir:copied"]);
}

#[test]
fn a_changed_file_of_the_app_does_not_run_the_steps_of_its_base() {
    let lab = stages();
    let (first, messages) = build(&lab, "app.toml", &[]);
    assert!(messages.contains("steps of deps/deps.toml\nstep 1/1: cat "), "{messages}");
    lab.file("app/main", "second\n");
    let (second, messages) = build(&lab, "app.toml", &[]);
    assert!(messages.contains("step 1/1 (cached): cat "), "{messages}");
    assert_eq!(second.member("srv/app/main").unwrap().content, b"second\n");
    assert_eq!(id(&first), id(&second));
    lab.file("deps/packages/usr/lib/packages", "other\n");
    let (third, _) = build(&lab, "app.toml", &[]);
    assert_ne!(id(&first), id(&third));
    assert_ne!(id(&third), id(&build(&lab, "app.toml", &["--no-cache"]).0));
}

#[test]
fn verify_runs_the_steps_of_a_base_twice() {
    let lab = stages();
    let run = lab.seatrial(["build", "app.toml", "--verify", "-o", "out.tar"]);
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    let message = run.stderr();
    assert!(message.contains("seatrial: failed to build deps/deps.toml: "), "{message}");
    assert!(message.contains("two runs differ in /etc/id;"), "{message}");
    assert!(!lab.exists("out.tar"));
}

#[test]
fn recipes_build_on_each_other_over_several_folders() {
    let lab = stages();
    lab.file("deps/middle/middle", "name='m'\nfrom_image='../deps.toml'\ncontents='own'\n");
    lab.file("deps/middle/own/opt/middle", "middle");
    let app = APP.replace("deps/deps.toml", "recipe:deps/middle/middle");
    lab.file("app.toml", app);
    let (built, _) = build(&lab, "app.toml", &[]);
    let layers = built.layers();
    let names: Vec<Vec<&str>> =
        layers.iter().map(|layer| layer.iter().map(|m| m.name.as_str()).collect()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names[1].contains(&"etc/id"), "{names:?}");
    assert!(names[2].contains(&"opt/middle"), "{names:?}");
    assert!(names[3].contains(&"srv/app/main"), "{names:?}");
    // The environment of each base is inherited; the rest only if `inherit` says so.
    assert_eq!(built.env(), ["BASE=1", "BOTH=app"]);
    assert!(built.config()["config"].get("Cmd").is_none(), "{}", built.config());
}

#[test]
fn a_circle_of_recipes_is_an_error_that_shows_it() {
    let lab = Lab::new();
    lab.file("a.toml", "name='a'\nfrom_image='sub/b.json'\n");
    lab.file("sub/b.json", r#"{ "name": "b", "from_image": "../c.toml" }"#);
    lab.file("c.toml", "name='c'\nfrom_image='recipe:./a.toml'\n");
    let message = lab.seatrial(["build", "a.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
    let circle = "a.toml -> sub/b.json -> sub/../c.toml -> sub/.././a.toml";
    assert!(message.contains(circle), "{message}");
    // A recipe above that is not part of it is left out.
    lab.file("top.toml", "name='top'\nfrom_image='sub/b.json'\n");
    let message = lab.seatrial(["reference", "top.toml"]).stderr();
    assert!(!message.contains("top.toml ->"), "{message}");
    lab.file("self.toml", "name='self'\nfrom_image='self.toml'\n");
    let message = lab.rejected("name='x'\nfrom_image='self.toml'\n");
    assert!(message.contains("self.toml -> self.toml"), "{message}");
}

#[test]
fn the_number_of_recipes_that_build_on_each_other_has_a_limit() {
    let lab = Lab::new();
    lab.file("0.toml", "name='x'\n");
    for number in 1..=16 {
        let recipe = format!("name='x'\nfrom_image='{}.toml'\n", number - 1);
        lab.file(format!("{number}.toml"), recipe);
    }
    lab.seatrial(["build", "15.toml", "-o", "x.tar"]).ok();
    let message = lab.seatrial(["build", "16.toml", "-o", "y.tar"]).rejected(&lab, "y.tar");
    assert!(message.contains("more than 16 recipes"), "{message}");
}

#[test]
fn errors_say_in_which_recipe_they_are() {
    let lab = stages();
    for (change, problem) in [
        ("packages=1\n", "deps/deps.toml:1: "),
        ("xattrs='keep'\npath=[{ path='/none', mode='0644' }]\n", "failed to build deps/deps.toml"),
        ("run=[{ command='exit 3' }]\n", "failed to build deps/deps.toml: "),
        ("max_layers=0\n", "deps/deps.toml"),
    ] {
        let deps = DEPS.split("[[run]]").next().unwrap();
        lab.file("deps/deps.toml", format!("{change}{deps}"));
        let message = lab.seatrial(["build", "app.toml", "-o", "x.tar", "-q"]);
        let message = message.rejected(&lab, "x.tar");
        assert!(message.contains(problem), "{message}");
    }
    fs::remove_dir_all(lab.path("deps")).unwrap();
    let message = lab.seatrial(["build", "app.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
    let expected = "app.toml: from_image: failed to read deps/deps.toml: there is no such file";
    assert!(message.contains(expected), "{message}");
    fs::create_dir_all(lab.path("deps/deps.toml")).unwrap();
    let message = lab.seatrial(["build", "app.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
    let expected = "app.toml: from_image: failed to read deps/deps.toml: it is a folder, not a";
    assert!(message.contains(expected), "{message}");
    for (key, problem) in [
        ("from_image='recipe:'", "recipe: has no path; write recipe:FILE"),
        ("from_image='a.toml'\nfrom_image_tag='1'", "a recipe makes only one"),
    ] {
        let message = lab.rejected(&format!("name='x'\n{key}\n"));
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn outputs_of_the_build_are_in_no_layer_of_the_base() {
    let lab = stages();
    let contents = "contents={ source='.', include=['*.tar', '*.json', 'x'] }";
    lab.file("deps.toml", format!("name='deps'\n{contents}\n"));
    lab.file("x", "x");
    lab.file("app.toml", "name='app'\nfrom_image='deps.toml'\ncontents='app'\n");
    let reference = || lab.seatrial(["reference", "app.toml"]).ok();
    let first = reference();
    let sbom = ["build", "app.toml", "--sbom", "spdx"];
    for arguments in [&sbom[..], &sbom, &["build", "app.toml", "-o", "other.tar"]] {
        lab.seatrial(arguments).ok();
        let output = if arguments.contains(&"-o") { "other.tar" } else { "app.tar" };
        let names = read(&lab, output).names(0);
        assert_eq!(names, ["x"], "{arguments:?}");
        fs::remove_file(lab.path("other.tar")).unwrap_or_default();
    }
    assert_eq!(first, reference());
    // An output never replaces a file that the base reads, or the recipe of the base.
    for output in ["x", "deps.toml"] {
        let run = lab.seatrial(["build", "app.toml", "-o", output]);
        assert_eq!(run.output.status.code(), Some(2), "{output}: {}", run.stderr());
    }
    assert_eq!(fs::read(lab.path("x")).unwrap(), b"x");
}

#[test]
fn a_base_is_built_for_the_platform_of_the_image() {
    let lab = Lab::new();
    lab.file("deps/amd64/arch", "amd64");
    lab.file("deps/arm64/arch", "arm64");
    let deps = "name='deps'\ntag='1'\nplatforms=['linux/amd64', 'linux/arm64']\ncontents='amd64'
        [per_platform.'linux/arm64']\ncontents='arm64'\n";
    lab.file("deps/deps.toml", deps);
    let app = "name='app'\ntag='1'\nfrom_image='deps/deps.toml'\n";
    for arch in ["amd64", "arm64"] {
        lab.file("app.toml", format!("{app}architecture='{arch}'\n"));
        let (built, _) = build(&lab, "app.toml", &[]);
        assert_eq!(built.member("arch").unwrap().content, arch.as_bytes());
        assert_eq!(built.config()["architecture"], arch);
    }
    lab.file("app.toml", format!("{app}platforms=['linux/arm64', 'linux/amd64']\n"));
    lab.seatrial(["build", "app.toml", "--format", "oci", "-o", "all.tar"]).ok();
    for arch in ["amd64", "arm64"] {
        let platform = format!("linux/{arch}");
        lab.seatrial(["export", "all.tar", "--platform", &platform, "-o", "files.tar"]).ok();
        assert_eq!(lab.tool("tar", ["-xOf", "files.tar", "arch"]), arch);
    }
    // A base without platforms is for that of the image, too.
    lab.file("deps/deps.toml", "name='deps'\ncontents='amd64'\n");
    let run = lab.seatrial(["build", "app.toml", "--format", "oci", "-o", "all.tar"]);
    assert!(!run.stderr().contains("its base is for"), "{}", run.stderr());
    run.ok();
    lab.file("app.toml", format!("{app}architecture='s390x'\n"));
    lab.file("deps/deps.toml", deps);
    let message = lab.seatrial(["build", "app.toml", "-o", "x.tar"]).rejected(&lab, "x.tar");
    let expected = "deps/deps.toml: none of its platforms is for linux/s390x";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_derived_tag_depends_on_what_the_steps_of_the_base_see_and_not_on_what_they_make() {
    let lab = stages();
    let tag = |deps: &str, arguments: &[&str]| {
        lab.file("deps/deps.toml", deps);
        lab.file("app.toml", APP.replace("tag='1'\n", ""));
        lab.seatrial(["reference", "app.toml"].iter().chain(arguments)).ok()
    };
    let first = tag(DEPS, &[]);
    // Each run makes another layer.
    assert_eq!(first, tag(DEPS, &["--no-cache"]));
    assert_eq!(first.trim(), build(&lab, "app.toml", &[]).0.summary["reference"]);
    assert_ne!(first, tag(&DEPS.replace("cat /proc", "cat  /proc"), &[]));
    assert_ne!(first, tag(&DEPS.replace("BASE=1", "BASE=2"), &[]));
    let now = format!("mtime='now'\n{DEPS}");
    lab.file("deps/deps.toml", now);
    let message = lab.seatrial(["build", "app.toml", "-q", "-o", "x.tar"]).rejected(&lab, "x.tar");
    // It is the recipe above that lacks a tag.
    let expected = "seatrial: app.toml: mtime = \"now\" in deps/deps.toml, from which the image is";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("no tag can be derived"), "{message}");
}

#[test]
fn all_commands_that_read_recipes_know_the_base() {
    let lab = stages();
    let layers = lab.seatrial(["layers", "app.toml", "--json"]).ok();
    let layers: Value = serde_json::from_str(&layers).unwrap();
    assert_eq!(layers["layers"].as_array().unwrap().len(), 3, "{layers}");
    let explained = lab.seatrial(["explain", "app.toml", "/etc/id", "--json"]).ok();
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert!(explained.to_string().contains("\"from\":\"base\""), "{explained}");
    let conf = lab.seatrial(["conf", "app.toml"]).ok();
    let conf: Value = serde_json::from_str(&conf).unwrap();
    let recipe = format!("recipe:{}", lab.path("deps/deps.toml").display());
    assert_eq!(conf["from_image"], recipe);
    lab.file("conf.json", conf.to_string());
    lab.seatrial(["build", "app.toml", "-o", "app.tar"]).ok();
    let changed = lab.seatrial(["diff", "app.tar", "conf.json", "--json"]);
    let changed: Value = serde_json::from_str(&changed.stdout()).unwrap();
    assert_eq!(changed["layers"].as_array().map(Vec::len), Some(3), "{changed}");
    lab.seatrial(["build", "app.toml", "-o", "a.tar", "--sbom", "spdx"]).ok();
    let bill = fs::read_to_string(lab.path("app.spdx.json")).unwrap();
    assert!(bill.contains("deps:1"), "{bill}");
    let notes = lab.seatrial(["build", "app.toml", "-o", "a.tar"]).stderr();
    assert!(!notes.contains("note: "), "{notes}");
    let deps = DEPS.replacen("contents=", "replace='/none'\ncontents=", 1);
    lab.file("deps/deps.toml", deps);
    let notes = lab.seatrial(["build", "app.toml", "-o", "a.tar"]).stderr();
    let note = "note: deps/deps.toml: replace has no effect without from_image";
    assert!(notes.contains(note), "{notes}");
}

#[test]
fn annotations_name_a_base_that_is_a_recipe() {
    let lab = stages();
    lab.file("app.toml", format!("annotations={{}}\n{APP}"));
    lab.seatrial(["build", "app.toml", "--format", "oci", "-o", "out.tar"]).ok();
    let raw = lab.tool("skopeo", ["inspect", "--raw", "oci-archive:out.tar"]);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    let name = &manifest["annotations"]["org.opencontainers.image.base.name"];
    assert!(strings(&Value::from(vec![name.clone()]))[0].ends_with("deps:1"), "{manifest}");
}
