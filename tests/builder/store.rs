//! The store: which paths an image gets, symlinks, and layers that are the same in every image.

use serde_json::Value;

use crate::lab::{Built, Lab, STORE, strings};

/// The store paths in the layers of an image.
fn paths(built: &Built) -> Vec<String> {
    let layers = built.summary["layers"].as_array().unwrap();
    let mut paths: Vec<String> = layers.iter().flat_map(|layer| strings(&layer["paths"])).collect();
    paths.sort();
    paths.iter().map(|path| path.replace("/nix/store/", "")).collect()
}

/// The diff ID of the layer with nothing but the store path `name`.
fn diff_id(built: &Built, name: &str) -> Value {
    let layers = built.summary["layers"].as_array().unwrap();
    let alone = |layer: &&Value| strings(&layer["paths"]) == [format!("/nix/store/{name}")];
    layers.iter().find(alone).unwrap_or_else(|| panic!("no layer has {name}"))["diff_id"].clone()
}

#[test]
fn roots_bring_their_closure_without_appearing_at_the_root() {
    let lab = Lab::with_store();
    let built = lab.build(&format!("name='x'\n{STORE}roots='/nix/store/b-zlib/bin/zlib'\n"));
    assert_eq!(paths(&built), ["b-zlib", "c-libc"]);
    assert!(built.member("bin/zlib").is_none());
    let message = lab.rejected(&format!("name='x'\n{STORE}roots=['/usr/bin']\n"));
    assert!(message.contains("store.roots: \"/usr/bin\" is not in the store"), "{message}");
    let message = lab.rejected(&format!("name='x'\n{STORE}roots=['/nix/store/z-gone']\n"));
    assert!(message.contains("store.roots refers to /nix/store/z-gone"), "{message}");
}

#[test]
fn excluded_paths_stay_out_and_what_they_need_stays_in() {
    let lab = Lab::new();
    lab.store(&[
        ("a-app", &["b-doc", "c-libc"]),
        ("b-doc", &["d-fonts", "c-libc"]),
        ("c-libc", &[]),
        ("d-fonts", &[]),
    ]);
    let recipe = |exclude: &str| {
        format!(
            "name='x'\ncontents='/nix/store/a-app'\n{STORE}exclude='/nix/store/{exclude}'\n\
             [config.Labels]\ndoc = '/nix/store/b-doc'\n"
        )
    };
    assert_eq!(paths(&lab.build(&recipe("b-doc"))), ["a-app", "c-libc", "d-fonts"]);
    let message = lab.rejected(&recipe("a-app"));
    assert!(message.contains("contents has /nix/store/a-app, which store.exclude"), "{message}");
    let message = lab.rejected(&recipe("z-gone"));
    assert!(message.contains("/nix/store/z-gone is not in the reference graph"), "{message}");
}

#[test]
fn text_in_the_config_that_only_looks_like_a_store_path_is_a_note() {
    let lab = Lab::with_store();
    let gone = format!("/nix/store/{}-gone", "0123456789abcdfghijklmnpqrsvwxyz");
    lab.file(
        "recipe.toml",
        format!("name='x'\n{STORE}[config]\nCmd=['{gone}/bin/x', '/nix/store/wherever']\n"),
    );
    let run = lab.seatrial(["build", "recipe.toml"]);
    let notes = run.stderr();
    run.ok();
    assert!(notes.contains(&format!("{gone} (Cmd)")), "{notes}");
    assert!(notes.contains("/nix/store/wherever (Cmd)"), "{notes}");
    assert_eq!(lab.seatrial(["build", "recipe.toml", "--quiet"]).stderr(), "");
    // Without a graph, a real store path is a sign that the graph was forgotten.
    let no_graph = "[store]\nsource='store'\n";
    lab.build(&format!("name='x'\n{no_graph}[config]\nCmd=['/nix/store/wherever']\n"));
    let message = lab.rejected(&format!("name='x'\n{no_graph}[config]\nCmd=['{gone}/bin/x']\n"));
    assert!(message.contains("has no closure"), "{message}");
}

/// A lab with a store in which `l-link` is a symlink to a folder of `a-tool`, `f-link` one to a
/// file there, and both are in the graph.
fn lab_with_links() -> Lab {
    let lab = Lab::new();
    lab.store(&[("a-tool", &[]), ("l-link", &["a-tool"]), ("f-link", &["a-tool"])]);
    for name in ["l-link", "f-link"] {
        std::fs::remove_dir_all(lab.path(format!("store/{name}"))).unwrap();
    }
    lab.link("store/l-link", "/nix/store/a-tool");
    lab.link("store/f-link", "/nix/store/a-tool/bin/tool");
    lab
}

#[test]
fn a_store_path_that_is_a_symlink_is_in_the_image_as_such() {
    for layering in ["popularity", "single"] {
        let lab = lab_with_links();
        let recipe = |name: &str| {
            format!("name='x'\nlayering='{layering}'\ncontents='/nix/store/{name}'\n{STORE}")
        };
        let folder = lab.build(&recipe("l-link"));
        assert_eq!(folder.member("nix/store/l-link").unwrap().link, "/nix/store/a-tool");
        assert!(folder.member("nix/store/a-tool/bin/tool").is_some());
        assert!(folder.member("bin/tool").is_some(), "{layering}: the folder's files are at /");
        let file = lab.build(&recipe("f-link"));
        let target = "/nix/store/a-tool/bin/tool";
        assert_eq!(file.member("nix/store/f-link").unwrap().link, target);
        let at_root = if layering == "single" { target } else { "/nix/store/f-link" };
        assert_eq!(file.member("f-link").unwrap().link, at_root);
        // A symlink to the store path means the store path.
        lab.link("result", "store/l-link");
        assert_eq!(
            paths(&lab.build(&recipe("l-link").replace("/nix/store/l-link", "result"))),
            ["a-tool", "l-link"]
        );
    }
}

#[test]
fn a_relocated_store_resolves_symlinks_within_itself_in_every_layering() {
    let lab = Lab::with_store();
    // Two symlinks in a row, each by its path in the image.
    lab.file("store/c-libc/share/doc/text", "text\n");
    lab.link("store/b-zlib/share", "/nix/store/c-libc/share");
    lab.link("store/a-app/share", "/nix/store/b-zlib/share/doc");
    for layering in ["popularity", "single"] {
        let layering = format!("layering='{layering}'\n");
        let recipe = format!("name='x'\n{layering}contents='/nix/store/a-app/share'\n{STORE}");
        let built = lab.build(&recipe);
        assert!(built.member("text").is_some(), "{layering}");
    }
    let single = format!("name='x'\nlayering='single'\ncontents='/nix/store/a-app'\n{STORE}");
    assert_eq!(lab.build(&single).member("share/text").unwrap().content, b"text\n");
}

#[test]
fn a_store_path_gives_the_same_layer_in_every_image() {
    let lab = Lab::with_store();
    lab.file("tree/etc/motd", "hello\n");
    // A base that has the store's folders with other owners, modes and owner names.
    lab.file("base/nix/store/z-old/file", "old\n");
    lab.mode("base/nix", 0o700);
    lab.mode("base/nix/store", 0o1775);
    let base = "name='base'\ncontents='base'\nuid=7\ngid=8\nuname='u'\ngname='g'\n";
    lab.build_with(base, "base.tar", &[]);
    let alone = lab.build(&format!("name='x'\ncontents='/nix/store/a-app'\n{STORE}"));
    for other in [
        "contents='/nix/store/a-app'\nfrom_image='base.tar'\n",
        "contents=['tree', '/nix/store/a-app']\nmax_layers=50\ncreated='now'\n",
        "contents=['tree', '/nix/store/b-zlib']\nfrom_image='base.tar'\nreplace='/nix'\n",
    ] {
        let built = lab.build(&format!("name='y'\n{other}{STORE}"));
        for path in ["b-zlib", "c-libc"] {
            assert_eq!(diff_id(&built, path), diff_id(&alone, path), "{other} {path}");
        }
    }
    let recipe = format!("name='y'\ncontents='/nix/store/a-app'\nfrom_image='base.tar'\n{STORE}");
    lab.file("recipe.toml", recipe);
    let notes = lab.seatrial(["build", "recipe.toml"]).stderr();
    assert!(notes.contains("get mode 0755, uid 0 and gid 0: /nix, /nix/store"), "{notes}");
}
