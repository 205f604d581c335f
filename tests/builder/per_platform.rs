//! Keys that differ for one of a recipe's platforms: how they are merged, and mistakes in them.

use serde_json::Value;

use crate::platforms::{config, from_json, lab};
use crate::reading::inspect;

#[test]
fn mistakes_in_a_recipe_with_platforms_have_a_line_and_a_key() {
    let lab = lab();
    let platforms = "name='x'\ntag='1'\nplatforms=['linux/amd64', 'linux/arm64']\n";
    let arm64 = "[per_platform.\"linux/arm64\"]\n";
    for (keys, problem) in [
        ("max_layers='ten'\n", "4: max_layers: found the string \"ten\""),
        ("contnets='a'\n", "4: unknown key \"contnets\"; did you mean \"contents\"?"),
        (&format!("{arm64}mtime=1\n"), "5: mtime: found 1, expected a time"),
        (&format!("{arm64}\nstore={{dirr='/s'}}\n"), "6: unknown key \"dirr\""),
        (&format!("{arm64}Cmd=['/app']\n"), "5: unknown key \"Cmd\"; did you mean config.Cmd?"),
        ("per_platform=['a']\n", "4: per_platform: found a list, expected a table"),
    ] {
        let message = lab.rejected(&format!("{platforms}{keys}"));
        let expected = format!("seatrial: recipe.toml:{problem}");
        assert!(message.starts_with(&expected), "{keys}\n{message}");
    }
    let json = "{\n\"name\": \"x\", \"tag\": \"1\", \"platforms\": [\"linux/arm64\"],\n\
                \"per_platform\": {\"linux/arm64\": {\"uid\": \"root\"}}}";
    lab.file("recipe.json", json);
    let message = lab.seatrial(["build", "recipe.json", "-o", "x.tar"]).rejected(&lab, "x.tar");
    assert!(message.contains("recipe.json:3: uid: found the string \"root\""), "{message}");
}

#[test]
fn values_that_only_one_platform_has_are_errors_that_name_the_platform() {
    let lab = lab();
    let recipe = |config: &str, own: &str| {
        format!(
            "name='x'\ntag='1'\nplatforms=['linux/amd64', 'linux/arm64']\n{config}\n\
             [per_platform.'linux/arm64']\n{own}\n"
        )
    };
    let own = "per_platform.\"linux/arm64\": ";
    for (config, of_platform, problem) in [
        ("", "config.Cmd='/app x'", format!("{own}config.Cmd must be a list of strings")),
        ("", "config.Env=['A']", format!("{own}config.Env: env entry \"A\" has no '='")),
        ("", "uname=''\ncontents=''", format!("{own}contents: the path is empty")),
        ("", "clear='Cdm'", format!("{own}clear: config has no field \"Cdm\"")),
        ("config.Tty='yes'", "uid=1", "recipe.toml: config.Tty must be true or false".to_owned()),
        ("contents=''", "uid=1", "recipe.toml: contents: the path is empty".to_owned()),
    ] {
        let message = lab.rejected(&recipe(config, of_platform));
        assert!(message.contains(&problem), "{of_platform}\n{message}");
    }
}

#[test]
fn the_config_of_a_platform_is_merged_field_by_field() {
    let lab = lab();
    let recipe = r#"
name = "x/multi"
tag = "1"
platforms = ["linux/amd64", "linux/arm64"]
clear = "StopSignal"
[config]
Cmd = ["/app"]
Entrypoint = ["/init"]
User = "1000"
WorkingDir = "/srv"
Env = ["A=1", "B=2"]
Labels = { a = "1", b = "2" }
ExposedPorts = { "80/tcp" = {} }
Volumes = { "/data" = {} }
Healthcheck = { Test = ["NONE"], Retries = 3 }
[per_platform."linux/arm64"]
clear = ["WorkingDir"]
[per_platform."linux/arm64".config]
Entrypoint = ["/init-arm"]
Env = { B = "3", C = "4" }
Labels = { b = "3" }
ExposedPorts = { "443/tcp" = {} }
Volumes = { "/more" = {} }
Healthcheck = { Test = ["CMD", "/check"] }
StopSignal = "SIGINT"
"#;
    lab.build_with(recipe, "multi.tar", &["--format", "oci"]);
    let expected = serde_json::json!({
        "Cmd": ["/app"],
        "Entrypoint": ["/init-arm"],
        "User": "1000",
        "Env": ["A=1", "B=3", "C=4"],
        "Labels": { "a": "1", "b": "3" },
        "ExposedPorts": { "80/tcp": {}, "443/tcp": {} },
        "Volumes": { "/data": {}, "/more": {} },
        "StopSignal": "SIGINT",
    });
    let config_of = |architecture: &str| {
        inspect(&lab, &["multi.tar", "--architecture", architecture])["config"].clone()
    };
    let read = config(&lab, "arm64", "oci-archive:multi.tar")["config"].clone();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    // skopeo knows no health checks.
    assert_eq!(read, expected);
    let own = config_of("arm64");
    assert_eq!(own["Healthcheck"], serde_json::json!({ "Test": ["CMD", "/check"] }));
    assert_eq!(keys(&own).len(), keys(&expected).len() + 1, "{own}");
    let other = config_of("amd64");
    assert_eq!(other["Env"], serde_json::json!(["A=1", "B=2"]));
    assert_eq!(other["WorkingDir"], "/srv");
    assert_eq!(other["Healthcheck"]["Retries"], 3);
    assert!(other.get("StopSignal").is_none());
}

#[test]
fn null_for_a_platform_drops_the_value_that_all_share() {
    let lab = lab();
    let recipe = serde_json::json!({
        "name": "x", "tag": "1", "platforms": ["linux/amd64", "linux/arm64"],
        "config": { "Cmd": ["/app"], "Env": ["A=1"], "User": "1" },
        "annotations": { "a": "1" },
        "per_platform": { "linux/arm64": {
            "config": { "Cmd": null, "Env": null }, "annotations": null,
        } },
    });
    lab.file("recipe.json", recipe.to_string());
    lab.seatrial(["build", "recipe.json", "-o", "multi.tar", "--format", "oci"]).ok();
    let config = config(&lab, "arm64", "oci-archive:multi.tar");
    assert_eq!(config["config"], serde_json::json!({ "User": "1" }));
}

#[test]
fn annotations_of_a_platform_are_merged_by_name() {
    let lab = lab();
    let recipe = "name='x'\ntag='1'\nplatforms=['linux/amd64', 'linux/arm64']\n\
                  annotations={a='1', b='2'}\n\
                  [per_platform.'linux/arm64'.annotations]\nb='3'\nc='4'\n";
    lab.build_with(recipe, "multi.tar", &["--format", "oci"]);
    for (architecture, expected) in [
        ("amd64", serde_json::json!({ "a": "1", "b": "2" })),
        ("arm64", serde_json::json!({ "a": "1", "b": "3", "c": "4" })),
    ] {
        let copy = format!("oci:{architecture}:x");
        let arguments = ["--override-arch", architecture, "copy", "-q", "oci-archive:multi.tar"];
        lab.tool("skopeo", arguments.into_iter().chain([copy.as_str()]));
        let manifest = lab.tool("skopeo", ["inspect", "--raw", &copy]);
        assert_eq!(from_json(manifest.as_bytes()).unwrap()["annotations"], expected);
        let seen = inspect(&lab, &["multi.tar", "--platform", architecture]);
        assert_eq!(seen["annotations"], expected);
        assert_eq!(seen["index_annotations"], serde_json::json!({ "a": "1" }));
    }
}

#[test]
fn a_key_of_a_platform_replaces_the_same_key_under_another_name() {
    let lab = lab();
    for (shared, own) in [
        ("contents = 'shared'", "copyToRoot = 'for-arm64'"),
        ("copy_to_root = 'shared'", "contents = 'for-arm64'"),
        ("max_layers = 1\ncontents = 'shared'", "maxLayers = 5\ncontents = 'for-arm64'"),
    ] {
        let recipe = format!(
            "name='x'\ntag='1'\nplatforms=['linux/amd64', 'linux/arm64']\n{shared}\n\
             [per_platform.'linux/arm64']\n{own}\n"
        );
        let built = lab.build_with(&recipe, "multi.tar", &["--format", "oci"]);
        let images = built.summary["images"].as_array().unwrap();
        assert_ne!(images[0]["layers"], images[1]["layers"], "{own}");
    }
}
