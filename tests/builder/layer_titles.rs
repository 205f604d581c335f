//! Titles of layers for people, in the output of `build`, `inspect`, `layers` and `diff`.

use serde_json::{Value, json};

use crate::forge::{TarBuilder, config};
use crate::lab::{Lab, STORE, strings};
use crate::package_layers::{POPULAR, debian};

/// The titles of the layers in the output of a command that lists them as `NUMBER SIZE ... TITLE`.
fn titles(output: &str) -> Vec<String> {
    let is_layer =
        |line: &&str| line.split_whitespace().next().unwrap_or("").parse::<u32>().is_ok();
    let lines = output.lines().filter(is_layer);
    // Number, size, unit and digest or bar.
    let title = |line: &str| line.split_whitespace().skip(4).collect::<Vec<_>>().join(" ");
    lines.map(title).collect()
}

/// A base with a named layer and one of contents; and on it store paths, a named layer of files, a
/// named layer of store paths, and other contents.
fn on_a_base() -> Lab {
    let lab = Lab::with_store();
    lab.file("base/opt/tool", "tool");
    lab.file("base/etc/base.conf", "");
    let base = "name='base'\ntag='1'\ncontents='base'\n[[layer]]\nname='tools'\npaths='/opt'\n";
    lab.build_with(base, "base.tar", &[]);
    lab.file("src/srv/app.py", "app");
    lab.file("src/etc/app.conf", "conf");
    lab.file(
        "recipe.toml",
        format!(
            "name='x'\ntag='1'\nfrom_image='base.tar'\nmax_layers=7\n\
             contents=['src', '/nix/store/a-app']\n\
             [[layer]]\nname='my code; and more'\npaths='/srv'\n\
             [[layer]]\nname='libc'\nstore_paths='c-*'\n{STORE}"
        ),
    );
    lab
}

const ON_A_BASE: [&str; 7] =
    ["base layer 1: tools", "base layer 2", "zlib", "app", "my code; and more", "libc", "contents"];

#[test]
fn layers_have_the_names_of_recipes_packages_and_store_paths_in_the_output_of_build() {
    let lab = on_a_base();
    let output = lab.seatrial(["build", "recipe.toml", "-o", "x.tar"]).ok();
    assert_eq!(titles(&output), ON_A_BASE, "{output}");
    // The image's history has the names, which its other readers show, too.
    assert_eq!(titles(&lab.seatrial(["inspect", "x.tar"]).ok()), ON_A_BASE);
    let json: Value =
        serde_json::from_str(&lab.seatrial(["inspect", "x.tar", "--json"]).ok()).unwrap();
    let of = |key: &str| -> Vec<Value> {
        json["layers"].as_array().unwrap().iter().map(|layer| layer[key].clone()).collect()
    };
    assert_eq!(of("base"), [true, true, false, false, false, false, false].map(|base| json!(base)));
    assert_eq!(of("name")[4..], [json!("my code; and more"), json!("libc"), Value::Null]);
    assert_eq!(of("paths")[5], json!(["/nix/store/c-libc"]));
}

#[test]
fn layers_have_the_same_titles_before_they_are_built() {
    let lab = on_a_base();
    let output = lab.seatrial(["layers", "recipe.toml"]).ok();
    assert_eq!(titles(&output), ON_A_BASE, "{output}");
}

#[test]
fn layers_of_packages_are_called_by_their_first_package() {
    let lab = debian();
    lab.file("recipe.toml", format!("name='x'\ntag='1'\n{POPULAR}max_layers=3\n"));
    let expected = ["libc6", "editor and 2 more", "contents"];
    let output = lab.seatrial(["build", "recipe.toml", "-o", "x.tar"]).ok();
    assert_eq!(titles(&output), expected, "{output}");
    assert_eq!(titles(&lab.seatrial(["layers", "recipe.toml"]).ok()), expected);
    let json: Value =
        serde_json::from_str(&lab.seatrial(["inspect", "x.tar", "--json"]).ok()).unwrap();
    assert_eq!(strings(&json["layers"][1]["packages"]), ["editor", "libz", "web"]);
}

#[test]
fn diff_calls_layers_by_what_they_hold() {
    let lab = on_a_base();
    lab.seatrial(["build", "recipe.toml", "-o", "old.tar"]).ok();
    lab.file("src/srv/app.py", "new");
    lab.file("store/b-zlib/bin/zlib", "new");
    let run = lab.seatrial(["diff", "old.tar", "recipe.toml", "--report", "html=diff.html"]);
    let output = run.stdout();
    let changed: Vec<String> = output
        .lines()
        .filter_map(|line| line.strip_prefix("  new "))
        .map(|line| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(changed, ["zlib", "my code; and more"], "{output}");
    let page = std::fs::read_to_string(lab.path("diff.html")).unwrap();
    assert!(page.contains("my code; and more") && page.contains("base layer 1: tools"), "{page}");
}

#[test]
fn diff_shows_the_commands_that_made_the_layers_of_other_builders() {
    let lab = Lab::new();
    let archive = |layer: &[u8], history: Value| {
        let mut config = config(&[layer]);
        config["history"] = history;
        let manifest = json!([{ "Config": "c.json", "RepoTags": null, "Layers": ["l.tar"] }]);
        TarBuilder::new()
            .file("c.json", config.to_string().as_bytes())
            .file("l.tar", layer)
            .file("manifest.json", manifest.to_string().as_bytes())
            .finish()
    };
    let (one, two) = (
        TarBuilder::new().file("one", b"1").finish(),
        TarBuilder::new().file("two", b"2").finish(),
    );
    lab.file("one.tar", archive(&one, json!([{ "created_by": "COPY one /one # buildkit" }])));
    lab.file("two.tar", archive(&two, json!([{ "created_by": "\u{1b}[2J" }])));
    let output = lab.seatrial(["diff", "one.tar", "two.tar"]).stdout();
    assert!(output.contains("  COPY one /one\n"), "{output}");
    assert!(output.contains("  \\u{1b}[2J\n"), "{output}");
}
