//! Layers that the recipe names, of files and of store paths.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::lab::{Built, Lab, STORE, strings};

fn build(lab: &Lab, rest: &str) -> Built {
    lab.build(&format!("name='x'\ntag='1'\narchitecture='amd64'\n{rest}"))
}

fn diff_ids(built: &Built) -> Vec<String> {
    strings(&built.config()["rootfs"]["diff_ids"])
}

fn rejected(lab: &Lab, rest: &str) -> String {
    lab.rejected(&format!("name='x'\ntag='1'\n{rest}"))
}

/// An application with its dependencies.
fn app() -> Lab {
    let lab = Lab::new();
    lab.file("src/srv/app/vendor/lib.py", "lib");
    lab.file("src/srv/app/vendor/deep/er.py", "er");
    lab.file("src/srv/app/main.py", "main");
    lab.file("src/etc/app.conf", "conf");
    lab.mode("src/srv/app", 0o750);
    lab
}

const VENDOR_AND_CODE: &str = "contents='src'\n\
    [[layer]]\nname='dependencies'\npaths='/srv/app/vendor'\n\
    [[layer]]\nname='code'\npaths=['/srv/app']\n";

#[test]
fn files_go_to_the_first_layer_that_names_them_and_the_others_to_one_above() {
    let built = build(&app(), VENDOR_AND_CODE);
    assert_eq!(
        built.names(0),
        [
            "srv/",
            "srv/app/",
            "srv/app/vendor/",
            "srv/app/vendor/deep/",
            "srv/app/vendor/deep/er.py",
            "srv/app/vendor/lib.py"
        ]
    );
    assert_eq!(built.names(1), ["srv/", "srv/app/", "srv/app/main.py"]);
    assert_eq!(built.names(2), ["etc/", "etc/app.conf"]);
    assert_eq!(built.layers().len(), 3);
    // Directories are the same in all layers that have them.
    let layers = built.layers();
    for layer in &layers[..2] {
        let directory = layer.iter().find(|entry| entry.name == "srv/app/").unwrap();
        assert_eq!(directory.mode, 0o750);
    }
}

#[test]
fn the_files_are_the_same_as_in_one_layer() {
    let lab = app();
    lab.link("src/srv/app/current", "main.py");
    fs::create_dir(lab.path("src/empty")).unwrap();
    let one = build(&lab, "contents='src'\n");
    let split = build(&lab, VENDOR_AND_CODE);
    let names = |built: &Built| {
        let mut names: Vec<String> =
            (0..built.layers().len()).flat_map(|layer| built.names(layer)).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(&one), names(&split));
    assert!(split.names(2).contains(&"empty/".to_owned()));
}

#[test]
fn no_layer_is_made_of_other_files_if_there_are_none() {
    let lab = app();
    let built = build(
        &lab,
        "contents='src'\nmax_layers=2\n[[layer]]\nname='python'\npaths='*.py'\n\
         [[layer]]\nname='rest'\npaths='etc'\n",
    );
    assert_eq!(built.layers().len(), 2);
    assert_eq!(built.names(1), ["etc/", "etc/app.conf"]);
}

#[test]
fn a_change_in_one_layer_leaves_the_others_and_their_digests_in_the_cache() {
    let lab = app();
    let before = diff_ids(&build(&lab, VENDOR_AND_CODE));
    lab.file("src/srv/app/main.py", "changed");
    let after = diff_ids(&build(&lab, VENDOR_AND_CODE));
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    assert_eq!(before[2], after[2]);
}

#[test]
fn store_paths_go_to_the_layers_that_name_them() {
    let lab = Lab::with_store();
    let recipe = format!(
        "contents=['/nix/store/a-app']\n[[layer]]\nname='c'\nstore_paths='*-libc'\n\
         [[layer]]\nname='app'\nstore_paths=['/nix/store/a-app']\n{STORE}"
    );
    let built = build(&lab, &recipe);
    // zlib, which no layer names, is where the strategy puts it: below.
    let store_path = |layer: usize| built.names(layer)[2].clone();
    assert_eq!(store_path(0), "nix/store/b-zlib/");
    assert_eq!(store_path(1), "nix/store/c-libc/");
    assert_eq!(store_path(2), "nix/store/a-app/");
    assert_eq!(built.names(3), ["bin/", "bin/app"]);
    // A layer with one store path is the same layer in every image.
    let own = build(&lab, &format!("contents=['/nix/store/a-app']\n{STORE}"));
    let own = diff_ids(&own);
    assert!(diff_ids(&built)[..3].iter().all(|diff_id| own.contains(diff_id)));
}

#[test]
fn single_layering_puts_what_no_layer_names_into_one_layer() {
    let lab = Lab::with_store();
    lab.file("src/srv/main.py", "main");
    let built = build(
        &lab,
        &format!(
            "contents=['/nix/store/a-app', 'src']\nlayering='single'\n\
             [[layer]]\nname='libraries'\nstore_paths=['*-zlib', '*-libc']\n\
             [[layer]]\nname='code'\npaths='/srv'\n{STORE}"
        ),
    );
    assert_eq!(built.layers().len(), 3);
    assert!(built.names(0).contains(&"nix/store/b-zlib/bin/zlib".to_owned()));
    assert_eq!(built.names(1), ["srv/", "srv/main.py"]);
    assert!(built.names(2).contains(&"nix/store/a-app/bin/app".to_owned()));
    assert!(built.names(2).contains(&"bin/app".to_owned()));
}

#[test]
fn one_layer_may_have_files_and_store_paths() {
    let lab = Lab::with_store();
    lab.file("src/srv/main.py", "main");
    let built = build(
        &lab,
        &format!(
            "contents=['/nix/store/a-app', 'src']\n\
             [[layer]]\nname='both'\nstore_paths='a-app'\npaths='/srv'\n{STORE}"
        ),
    );
    let both = built.names(built.layers().len() - 2);
    assert!(both.contains(&"nix/store/a-app/bin/app".to_owned()), "{both:?}");
    assert!(both.contains(&"srv/main.py".to_owned()), "{both:?}");
    assert_eq!(built.names(built.layers().len() - 1), ["bin/", "bin/app"]);
}

#[test]
fn a_file_with_hard_links_is_in_the_first_layer_that_names_any_of_its_names() {
    let lab = Lab::new();
    lab.file("root/a/first", "content");
    lab.file("root/a/own", "own");
    lab.file("root/b/own", "own");
    fs::hard_link(lab.path("root/a/first"), lab.path("root/b/second")).unwrap();
    assert_eq!(fs::metadata(lab.path("root/a/first")).unwrap().nlink(), 2);
    lab.tool("tar", ["-cf", "root.tar", "-C", "root", "a", "b"]);
    let layers = |layers: &str| build(&lab, &format!("contents=[{{tar='root.tar'}}]\n{layers}"));
    let both = ["a/", "a/first", "b/", "b/second"];
    let only_second = layers("[[layer]]\nname='second'\npaths='/b/second'\n");
    assert_eq!(only_second.names(0), both);
    assert_eq!(only_second.names(1), ["a/", "a/own", "b/", "b/own"]);
    let first = "[[layer]]\nname='first'\npaths='/a'\n";
    let second = "[[layer]]\nname='second'\npaths='/b'\n";
    let built = layers(&format!("{second}{first}"));
    assert_eq!(built.names(0), ["a/", "a/first", "b/", "b/own", "b/second"]);
    assert_eq!(built.names(1), ["a/", "a/own"]);
    let built = layers(&format!("{first}{second}"));
    assert_eq!(built.names(0), ["a/", "a/first", "a/own", "b/", "b/second"]);
    assert_eq!(built.names(1), ["b/", "b/own"]);
}

#[test]
fn removals_are_in_the_lowest_layer_so_that_they_do_not_remove_files_of_the_image() {
    let lab = app();
    lab.file("old/srv/app/vendor/old.py", "old");
    lab.file("recipe.toml", "name='base'\ntag='1'\narchitecture='amd64'\ncontents='old'\n");
    lab.seatrial(["build", "recipe.toml", "-o", "base.tar"]).ok();
    let built = build(
        &lab,
        &format!(
            "from_image='base.tar'\n{VENDOR_AND_CODE}\
             [[path]]\npath='/srv/app/vendor/old.py'\nremove=true\n"
        ),
    );
    assert!(built.names(1).contains(&"srv/app/vendor/.wh.old.py".to_owned()));
}

#[test]
fn mistakes_in_layers_are_explained_before_anything_is_written() {
    let lab = app();
    let with = |layers: &str| rejected(&lab, &format!("contents='src'\n{layers}"));
    for (layers, expected) in [
        (
            "[[layer]]\nname='code'\npaths=['/srv/app', '/opt']\n",
            "layer \"code\": paths: \"/opt\" matches no file of the contents",
        ),
        (
            "[[layer]]\nname='code'\npaths='/srv/app'\n[[layer]]\nname='deps'\n\
             paths='/srv/app/vendor'\n",
            "layer \"deps\" would be empty: layers before it have all that its patterns match",
        ),
        ("[[layer]]\nname='code'\n", "layer \"code\" has neither paths nor store_paths"),
        (
            "[[layer]]\nname='a'\npaths='etc'\n[[layer]]\nname='a'\npaths='srv'\n",
            "two layers have the name \"a\"",
        ),
        ("[[layer]]\nname=''\npaths='etc'\n", "a name must have 1 to 100 bytes"),
        ("[[layer]]\nname='a'\npath='etc'\n", "did you mean \"paths\"?"),
        ("[[layer]]\nname='a'\npaths='[etc'\n", "layer \"a\": paths: \"[etc\" is not a pattern"),
        (
            "[[layer]]\nname='a'\nstore_paths='*-libc'\n",
            "layer \"a\": store_paths: \"*-libc\" matches no store path of the image",
        ),
        (
            "[[layer]]\nname='a'\nstore_paths='/nix/store/x-libc/bin'\n",
            "\"/nix/store/x-libc/bin\" is not the name of a store path",
        ),
    ] {
        let error = with(layers);
        assert!(error.contains(expected), "{layers}: {error}");
    }
    let error = rejected(&lab, &format!("max_layers=1\n{VENDOR_AND_CODE}"));
    assert!(error.contains("raise max_layers to at least 2"), "{error}");
    let error = rejected(&lab, &format!("max_layers=2\n{VENDOR_AND_CODE}"));
    assert!(error.contains("raise max_layers to at least 3"), "{error}");
}

#[test]
fn the_table_of_layers_and_explain_show_their_names() {
    let lab = app();
    lab.file("recipe.toml", format!("name='x'\ntag='1'\narchitecture='amd64'\n{VENDOR_AND_CODE}"));
    let table = lab.seatrial(["layers", "recipe.toml"]).ok();
    assert!(table.contains("dependencies") && table.contains("code"), "{table}");
    let json: Value =
        serde_json::from_str(&lab.seatrial(["layers", "recipe.toml", "--json"]).ok()).unwrap();
    assert_eq!(json["layers"][1]["name"], "code");
    let explained = lab.seatrial(["explain", "recipe.toml"]).ok();
    assert!(explained.contains("the layer \"dependencies\""), "{explained}");
}

#[test]
fn a_derived_tag_is_that_of_the_split_into_layers() {
    let lab = app();
    let reference = |rest: &str| {
        lab.file("recipe.toml", format!("name='x'\narchitecture='amd64'\n{rest}"));
        lab.seatrial(["reference", "recipe.toml"]).ok()
    };
    assert_ne!(reference("contents='src'\n"), reference(VENDOR_AND_CODE));
    let renamed = VENDOR_AND_CODE.replace("dependencies", "other");
    // The image's history has the names.
    assert_ne!(reference(&renamed), reference(VENDOR_AND_CODE));
    let built = lab.seatrial(["build", "recipe.toml", "-o", "x.tar"]).ok();
    assert!(built.contains(reference(VENDOR_AND_CODE).trim()), "{built}");
}
