//! Recipes with several platforms: one archive with an index, from which readers select an image.

use serde_json::Value;

use crate::lab::{Lab, members};
use crate::reading::inspect;

const RECIPE: &str = r#"
name = "x/multi"
tag = "1"
platforms = ["linux/amd64", "linux/arm64"]
contents = "shared"
[config]
Cmd = ["/app"]
[per_platform."linux/amd64"]
contents = ["shared", "for-amd64"]
[per_platform."linux/arm64"]
contents = ["shared", "for-arm64"]
[per_platform."linux/arm64".config]
Cmd = ["/app", "--arm"]
"#;

pub fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("shared/etc/shared", "for all\n");
    lab.file("for-amd64/app", "amd64 program\n");
    lab.file("for-arm64/app", "arm64 program\n");
    lab
}

/// The architecture of the host, as GOARCH.
fn host() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" }
}

/// The JSON document in `bytes`, if there is one.
pub fn from_json(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// The config of the image for `architecture`, read by skopeo.
pub fn config(lab: &Lab, architecture: &str, image: &str) -> Value {
    let config =
        lab.tool("skopeo", ["--override-arch", architecture, "inspect", "--config", image]);
    serde_json::from_str(&config).unwrap()
}

#[test]
fn readers_select_the_image_for_their_platform() {
    let lab = lab();
    for format in ["oci", "dual"] {
        let built = lab.build_with(RECIPE, "multi.tar", &["--format", format]);
        assert_eq!(built.summary["images"].as_array().unwrap().len(), 2);
        for (architecture, words) in [("amd64", 1), ("arm64", 2)] {
            let summary = inspect(&lab, &["multi.tar", "--architecture", architecture]);
            assert_eq!(summary["architecture"], architecture, "{format}");
            let config = config(&lab, architecture, "oci-archive:multi.tar");
            assert_eq!(config["architecture"], architecture);
            assert_eq!(config["config"]["Cmd"].as_array().unwrap().len(), words);
            let copy = format!("dir:{format}-{architecture}");
            lab.tool(
                "skopeo",
                ["--override-arch", architecture, "copy", "-q", "oci-archive:multi.tar", &copy],
            );
        }
    }
    // A docker-archive holds one platform: a dual archive has the image for the host there.
    let config = config(&lab, host(), "docker-archive:multi.tar");
    assert_eq!(config["architecture"], host());
}

#[test]
fn a_layer_that_platforms_share_is_stored_once() {
    let lab = lab();
    let recipe = "name='x'\ntag='1'\ncontents='shared'\n\
                  platforms=['linux/amd64','linux/arm64','linux/s390x']\n";
    lab.build_with(recipe, "multi.tar", &["--format", "oci"]);
    let listed = lab.tool("tar", ["-tf", "multi.tar"]);
    let blobs = listed
        .lines()
        .filter(|name| name.starts_with("blobs/sha256/") && !name.ends_with('/'))
        .count();
    // One layer, a config and a manifest for each platform, and an index.
    assert_eq!(blobs, 1 + 3 * 2 + 1, "{listed}");
}

#[test]
fn a_platform_may_have_a_variant() {
    let lab = lab();
    let recipe = "name='x'\ntag='1'\ncontents='shared'\nplatforms=['linux/arm/v6','linux/arm/v7']\n\
                  [per_platform.\"linux/arm/v7\"]\nuid=7\n";
    let built = lab.build_with(recipe, "multi.tar", &["--format", "oci"]);
    let images = built.summary["images"].as_array().unwrap();
    let variants: Vec<_> = images.iter().map(|image| &image["variant"]).collect();
    assert_eq!(variants, ["v6", "v7"]);
    assert!(images.iter().all(|image| image["architecture"] == "arm" && image["os"] == "linux"));
    assert_ne!(images[0]["layers"][0]["diff_id"], images[1]["layers"][0]["diff_id"]);
}

#[test]
fn a_docker_archive_holds_one_platform() {
    let lab = lab();
    let message = lab.rejected(RECIPE);
    assert!(message.contains("the recipe has several; use --format oci or dual"), "{message}");
    // A stream is for the host's daemon.
    lab.file("recipe.toml", RECIPE);
    lab.tool(
        "bash",
        ["-c", &format!("{} stream recipe.toml > image.tar", env!("CARGO_BIN_EXE_seatrial"))],
    );
    assert_eq!(inspect(&lab, &["image.tar"])["architecture"], host());
}

#[test]
fn mistakes_in_platforms_are_explained() {
    let lab = lab();
    let platforms = "name='x'\ntag='1'\nplatforms=['linux/arm64']\n";
    for (recipe, problem) in [
        ("name='x'\ntag='1'\nplatforms=[]\n", "must be a list such as"),
        ("name='x'\nplatforms=['linux/amd64','linux/arm64']\n", "needs a tag"),
        (
            "name='x'\ntag='1'\nplatforms=['linux/amd64','linux/x86_64']\n",
            "lists linux/amd64 twice",
        ),
        ("name='x'\ntag='1'\nplatforms=['aarch64']\n", "did you mean \"linux/arm64\"?"),
        ("name='x'\ntag='1'\nplatforms=['linux/amd46']\n", "did you mean \"amd64\"?"),
        ("name='x'\ntag='1'\nplatforms=['windows/amd64']\n", "only images for linux are supported"),
        (
            "name='x'\ntag='1'\nplatforms=['linux/amd64']\narchitecture='arm64'\n",
            "platforms and architecture exclude each other",
        ),
        ("name='x'\n[per_platform.\"linux/arm64\"]\n", "per_platform needs a list of platforms"),
        (&format!("{platforms}[per_platform.\"linux/arm46\"]\n"), "did you mean \"linux/arm64\"?"),
        (&format!("{platforms}[per_platform.arm64]\n"), "did you mean \"linux/arm64\"?"),
        (
            &format!("{platforms}[per_platform.\"linux/arm64\"]\ntag='2'\n"),
            "per_platform.\"linux/arm64\": tag is the same for all platforms",
        ),
        (
            &format!("{platforms}[per_platform.\"linux/arm64\"]\nvariant='v8'\n"),
            "per_platform.\"linux/arm64\": variant is set by platforms",
        ),
        (
            &format!("{platforms}[per_platform.\"linux/arm64\"]\ncontnets='a'\n"),
            "did you mean \"contents\"?",
        ),
    ] {
        let message = lab.rejected(recipe);
        assert!(message.contains(problem), "{recipe}\n{message}");
    }
}

#[test]
fn what_is_about_one_of_several_platforms_says_so() {
    let lab = lab();
    lab.build_with(RECIPE, "multi.tar", &["--format", "oci"]);
    let other = if host() == "amd64" { "linux/arm64" } else { "linux/amd64" };
    let run = lab.seatrial(["inspect", "multi.tar", "--deny", "warnings"]);
    let expected = format!("note: the image for {other} was not checked; --platform selects it\n");
    assert_eq!(run.stderr(), expected);
    assert_eq!(lab.seatrial(["inspect", "multi.tar", "--platform", other]).stderr(), "");
    for command in ["layers", "explain"] {
        let run = lab.seatrial([command, "recipe.toml"]);
        let expected =
            format!("note: this is the image for linux/{}; --platform selects {other}\n", host());
        assert_eq!(run.stderr(), expected, "{command}");
        run.ok();
        let run = lab.seatrial([command, "recipe.toml", "--platform", other]);
        assert_eq!(run.stderr(), "", "{command}");
        run.ok();
    }
    let command = lab.seatrial(["explain", "recipe.toml", "Cmd", "--platform", "linux/arm64"]);
    assert!(command.ok().contains("--arm"));
    lab.file("one.toml", "name = 'one'\ntag = '1'\narchitecture = 'amd64'\n");
    let wrong = lab.seatrial(["layers", "one.toml", "--platform", "linux/arm64"]);
    assert_eq!(wrong.output.status.code(), Some(2));
    let expected = "one.toml: the image is for linux/amd64, not for linux/arm64; change or remove \
                    the recipe's architecture\n";
    assert!(wrong.stderr().ends_with(expected), "{}", wrong.stderr());
    assert_eq!(lab.seatrial(["layers", "one.toml"]).stderr(), "");
}

#[test]
fn build_makes_only_the_images_for_selected_platforms() {
    let lab = lab();
    lab.file("recipe.toml", RECIPE);
    // One platform has a place in a docker-archive, too.
    lab.seatrial(["build", "recipe.toml", "--platform", "aarch64", "-o", "arm.tar"]).ok();
    for image in ["docker-archive:arm.tar", "oci-archive:arm-oci.tar"] {
        let format = image.split('-').next().unwrap().trim_end_matches("-archive");
        let output = image.split_once(':').unwrap().1;
        let more = ["--platform", "linux/arm64", "--format", format, "-o", output];
        lab.seatrial(["build", "recipe.toml"].iter().chain(&more)).ok();
        let config = lab.tool("skopeo", ["--override-arch", "arm64", "inspect", "--config", image]);
        assert_eq!(from_json(config.as_bytes()).unwrap()["architecture"], "arm64");
    }
    let two = "platforms = [\"linux/amd64\", \"linux/arm64\"]";
    let three = "platforms = [\"linux/amd64\", \"linux/arm64\", \"linux/s390x\"]";
    let three = RECIPE.replace(two, three);
    lab.file("recipe.toml", three);
    for two in [
        &["--platform", "s390x,linux/amd64"][..],
        &["--platform", "s390x", "--platform", "amd64", "--platform", "linux/amd64"],
    ] {
        let fixed = ["build", "recipe.toml", "--format", "oci", "-o", "two.tar", "--json"];
        let built = lab.seatrial(fixed.iter().chain(two)).ok();
        let images = from_json(built.as_bytes()).unwrap()["images"].clone();
        let of = |image: &Value| image["architecture"].as_str().unwrap().to_owned();
        let built: Vec<String> = images.as_array().unwrap().iter().map(of).collect();
        assert_eq!(built, ["amd64", "s390x"], "in the order of the recipe");
    }
    let wrong = lab.seatrial(["build", "recipe.toml", "--platform", "ppc64le", "-o", "x.tar"]);
    let expected = "seatrial: recipe.toml: there is no image for linux/ppc64le; its platforms are \
                    linux/amd64, linux/arm64, linux/s390x\n";
    assert_eq!(wrong.rejected(&lab, "x.tar"), expected);
}

#[test]
fn a_selected_platform_is_that_of_a_recipe_without_one() {
    let lab = lab();
    lab.file("recipe.toml", "name='x'\ncontents='shared'\n");
    let platform = ["--platform", "linux/arm/v7"];
    let built = lab.seatrial(["build", "recipe.toml", "-o", "x.tar"].iter().chain(&platform));
    built.ok();
    let summary = inspect(&lab, &["x.tar"]);
    assert_eq!((&summary["architecture"], &summary["variant"]), (&"arm".into(), &"v7".into()));
    // The tag is derived from the platform as well.
    let reference = lab.seatrial(["reference", "recipe.toml"].iter().chain(&platform)).ok();
    assert_eq!(summary["reference"], reference.trim_end());
    assert_ne!(reference, lab.seatrial(["reference", "recipe.toml"]).ok());
    let stream = format!(
        "{} stream recipe.toml --platform linux/arm/v7 | cmp - x.tar",
        env!("CARGO_BIN_EXE_seatrial")
    );
    lab.tool("bash", ["-o", "pipefail", "-c", &stream]);
    let conf = lab.seatrial(["conf", "recipe.toml"].iter().chain(&platform)).ok();
    let conf = from_json(conf.as_bytes()).unwrap();
    assert_eq!((&conf["architecture"], &conf["variant"]), (&"arm".into(), &"v7".into()));
    let explained = lab.seatrial(["explain", "recipe.toml", "--json"].iter().chain(&platform));
    assert!(explained.ok().contains("linux/arm/v7"));
    let several = ["build", "recipe.toml", "-o", "y.tar", "--platform", "amd64,arm64"];
    let message = lab.seatrial(several).rejected(&lab, "y.tar");
    let expected = "write platforms = [\"linux/amd64\", \"linux/arm64\"] in it for several";
    assert!(message.contains(expected), "{message}");
    // The same platform twice is one.
    lab.seatrial(["build", "recipe.toml", "-o", "y.tar", "--platform", "amd64,linux/amd64"]).ok();
    std::fs::remove_file(lab.path("y.tar")).unwrap();
    lab.file("recipe.toml", "name='x'\ncontents='shared'\narchitecture='amd64'\n");
    let message = lab.seatrial(several).rejected(&lab, "y.tar");
    let expected = "the image is for linux/amd64, not for linux/arm64; for several, replace the \
                    recipe's architecture by platforms = [\"linux/amd64\", \"linux/arm64\"]";
    assert!(message.contains(expected), "{message}");
    // Another spelling of the recipe's own architecture is none of another one.
    lab.file("recipe.toml", "name='x'\ncontents='shared'\narchitecture='arm64'\n");
    let same = ["build", "recipe.toml", "-o", "y.tar", "--platform", "linux/arm64/v8"];
    lab.seatrial(same).ok();
    assert_eq!(inspect(&lab, &["y.tar"])["architecture"], "arm64");
    let message = lab.seatrial(["stream", "recipe.toml", "--platform", "amd64"]);
    assert!(message.stderr().contains("not for linux/amd64"), "{}", message.stderr());
}

// nixpkgs, `stream_layered_image.py`: `config` is copied into the image. Docker Image Specification
// v1.2: `Env` is a list, and durations are in nanoseconds.
#[test]
fn conf_has_the_keys_and_the_config_of_the_selected_platform() {
    let lab = lab();
    let config = "[config]\nEnv = { A = '1' }\nStopSignal = 'SIGINT'\n\
                  Healthcheck = { Test = ['CMD', '/app'], Interval = '30s' }\n";
    let own = "[per_platform.\"linux/arm64\"]\nclear = 'StopSignal'\n";
    let recipe = RECIPE.replace("[config]\n", config);
    let recipe = recipe.replace("[per_platform.\"linux/arm64\"]\n", own);
    lab.file("recipe.toml", recipe + "Env = { B = '2' }\n");
    for (architecture, env) in [("amd64", &["A=1"][..]), ("arm64", &["A=1", "B=2"])] {
        let platform = format!("linux/{architecture}");
        let selected = |command: &str, output: &[&str]| {
            let fixed = [command, "recipe.toml", "--platform", &platform];
            lab.seatrial(fixed.iter().chain(output)).ok()
        };
        let conf = from_json(selected("conf", &[]).as_bytes()).unwrap();
        assert_eq!(conf["architecture"], architecture);
        assert_eq!(conf["config"]["Env"], serde_json::json!(env));
        assert_eq!(conf["config"]["Healthcheck"]["Interval"], 30_000_000_000_u64);
        assert_eq!(conf["config"].get("StopSignal").is_some(), architecture == "amd64", "{conf}");
        lab.file("conf/conf.json", conf.to_string());
        lab.seatrial(["build", "conf/conf.json", "-o", "conf.tar"]).ok();
        selected("build", &["-o", "own.tar"]);
        let read = |name: &str| std::fs::read(lab.path(name)).unwrap();
        assert!(read("conf.tar") == read("own.tar"), "{architecture}");
    }
    // Without --platform, it is the host's.
    let conf = from_json(lab.seatrial(["conf", "recipe.toml"]).ok().as_bytes()).unwrap();
    assert_eq!(conf["architecture"], host());
    let missing = lab.seatrial(["conf", "recipe.toml", "--platform", "s390x"]);
    assert!(missing.stderr().contains("there is no image for linux/s390x"), "{}", missing.stderr());
}

#[test]
fn a_damaged_image_for_another_platform_does_not_change_the_exit_code_of_inspect() {
    let lab = lab();
    let (own, other) = match host() {
        "amd64" => ("linux/amd64", "linux/arm64"),
        _ => ("linux/arm64", "linux/amd64"),
    };
    let platforms = "platforms = [\"linux/amd64\", \"linux/arm64\"]";
    for (format, platforms_of_recipe) in [
        ("dual", [own, other]),
        ("dual", [other, own]),
        ("oci", [own, other]),
        ("oci", [other, own]),
    ] {
        let recipe = RECIPE.replace(platforms, &format!("platforms = {platforms_of_recipe:?}"));
        let mut image = lab.build_with(&recipe, "image.tar", &["--format", format]).bytes;
        let inspect = |more: &[&str]| {
            lab.seatrial(["inspect", "image.tar", "--deny", "notes"].iter().chain(more))
        };
        assert!(inspect(&[]).stderr().contains("was not checked"));
        assert_eq!(inspect(&[]).output.status.code(), Some(1));
        let manifest = manifest_for(&image, &|architecture| architecture != host());
        let start = image.windows(manifest.len()).position(|bytes| bytes == manifest).unwrap();
        image[start] = b'[';
        lab.file("image.tar", &image);
        for more in [&[][..], &["--platform", own]] {
            let run = inspect(more);
            assert_eq!(run.output.status.code(), Some(1), "{format}: {}", run.stderr());
            assert_eq!(run.stderr(), "", "the note is left out");
        }
        let damaged = inspect(&["--platform", other]);
        assert_eq!(damaged.output.status.code(), Some(2), "{format}: {}", damaged.stderr());
        assert!(damaged.stderr().contains("is corrupted"), "{}", damaged.stderr());
    }
}

/// The manifest in the archive `image` whose config is for a selected architecture.
fn manifest_for(image: &[u8], is_selected: &dyn Fn(&str) -> bool) -> Vec<u8> {
    let documents: Vec<(String, Vec<u8>, Value)> = members(image)
        .into_iter()
        .filter_map(|one| Some((one.name, one.content.clone(), from_json(&one.content)?)))
        .collect();
    let of = |digest: &str| {
        let name = format!("blobs/{}", digest.replace(':', "/"));
        documents.iter().find(|(known, ..)| *known == name).map(|(_, _, document)| document)
    };
    let is_for = |manifest: &Value| {
        let config = manifest["config"]["digest"].as_str().and_then(of);
        config.and_then(|config| config["architecture"].as_str()).is_some_and(is_selected)
    };
    let manifest = documents.iter().find(|(.., document)| is_for(document));
    manifest.unwrap().1.clone()
}
