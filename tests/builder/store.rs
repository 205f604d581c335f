//! The store: which paths an image gets, symlinks, and layers that are the same in every image.

use serde_json::Value;

use crate::lab::{Built, Lab, Run, STORE, strings};

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

#[test]
fn layers_of_store_paths_may_be_listed() {
    let lab = Lab::with_store();
    let recipe = |more: &str, layers: &str| {
        format!("name='x'\n{more}[store]\nsource='store'\nlayers=[{layers}]\n")
    };
    let (app, zlib, libc) = ("/nix/store/a-app", "/nix/store/b-zlib", "/nix/store/c-libc");
    let listed = format!("['{libc}'], ['{app}', '{zlib}'], []");
    let built = lab.build(&recipe(&format!("contents='{app}'\n"), &listed));
    let layers = built.summary["layers"].as_array().unwrap();
    let paths: Vec<String> =
        layers.iter().map(|layer| strings(&layer["paths"]).join(" ")).collect();
    assert_eq!(paths, [libc.to_owned(), format!("{app} {zlib}"), String::new()]);
    for (more, layers, problem) in [
        (
            String::new(),
            format!("['{app}'], ['{app}']"),
            "store.layers lists /nix/store/a-app twice",
        ),
        (
            format!("contents='{app}'\n"),
            format!("['{libc}']"),
            "contents has /nix/store/a-app, which neither store.layers nor the base image has",
        ),
        ("max_layers=1\n".to_owned(), format!("['{app}'], ['{libc}']"), "raise max_layers"),
        (
            String::new(),
            "['/usr/bin']".to_owned(),
            "store.layers: \"/usr/bin\" is not in the store",
        ),
    ] {
        let message = lab.rejected(&recipe(&more, &layers));
        assert!(message.contains(problem), "{message}");
    }
    let both = recipe("", &listed) + "closure='graph.json'\n";
    assert!(lab.rejected(&both).contains("store.layers and store.closure exclude each other"));
}

#[test]
fn listed_layers_need_no_store_path_that_the_base_has() {
    let lab = Lab::with_store();
    lab.build_with(&format!("name='base'\ncontents='/nix/store/a-app'\n{STORE}"), "base.tar", &[]);
    let built = lab.build(
        "name='x'\nfrom_image='base.tar'\ncontents='/nix/store/a-app'\n\
         [store]\nsource='store'\nlayers=[]\n",
    );
    let layers = built.summary["layers"].as_array().unwrap();
    assert_eq!(layers.iter().filter(|layer| layer["base"] == false).count(), 1);
    assert!(built.member("bin/app").is_some());
}

#[test]
fn a_configuration_for_streaming_gives_the_image_of_its_recipe() {
    let lab = Lab::with_store();
    lab.file("tree/etc/motd", "hello\n");
    lab.file("ca.pem", "-----BEGIN CERTIFICATE-----\n");
    lab.build_with("name='base'\ncontents='tree'\n", "base.tar", &[]);
    // The store has the same path here and in the image.
    let dir = lab.path("store").canonicalize().unwrap().display().to_string();
    let graph = std::fs::read_to_string(lab.path("graph.json")).unwrap();
    lab.file("graph.json", graph.replace("/nix/store/", &format!("{dir}/")));
    let recipe = format!(
        "name='registry.example:5000/x'\ncontents=['{dir}/a-app', 'tree']\nuid=7\n\
         layering='popularity'\nmax_layers=4\nfrom_image='base.tar'\nreplace='/etc'\n\
         created='@99'\nmtime='@77'\nhelpers='ca-certificates=ca.pem'\n\
         [store]\ndir='{dir}'\nclosure='graph.json'\n[config]\nCmd=['/bin/app']\n\
         [[path]]\npath='/srv/ca'\nsource='ca.pem'\n"
    );
    let built = lab.build(&recipe);
    let conf = lab.seatrial(["conf", "recipe.toml"]).ok();
    let parsed: Value = serde_json::from_str(&conf).unwrap();
    assert_eq!(parsed["repo_tag"], built.summary["reference"]);
    assert_eq!(parsed["store_layers"].as_array().unwrap().len(), 2);
    let times = [&parsed["created"], &parsed["mtime"]];
    assert_eq!(times, ["1970-01-01T00:01:39Z", "1970-01-01T00:01:17Z"], "as Python reads them");
    lab.file("elsewhere/conf.json", &conf);
    lab.seatrial(["build", "elsewhere/conf.json", "-o", "y.tar"]).ok();
    assert_eq!(std::fs::read(lab.path("y.tar")).unwrap(), built.bytes);
    lab.file("steps.toml", "name='x'\n[[run]]\nargs=['x']\ninputs=['ca.pem']\n");
    let conf: Value = serde_json::from_str(&lab.seatrial(["conf", "steps.toml"]).ok()).unwrap();
    let input = lab.path("ca.pem").display().to_string();
    assert!(conf["run"][0]["inputs"][0].as_str().unwrap().ends_with(&input), "{conf}");
    lab.file("single.toml", "name='x'\nlayering='single'\ncontents='tree'\n");
    let message = lab.seatrial(["conf", "single.toml"]).rejected(&lab, "x");
    assert!(message.contains("has layers of store paths"), "{message}");
}

#[test]
fn links_of_two_contents_to_the_folders_they_are_in_are_a_conflict() {
    let lab = Lab::new();
    lab.store(&[("a-one", &["a-one"]), ("b-two", &["b-two"])]);
    lab.link("store/a-one/bin/up", "../../a-one");
    lab.link("store/b-two/bin/up", "../../b-two");
    let recipe = format!("name='x'\ncontents=['/nix/store/a-one', '/nix/store/b-two']\n{STORE}");
    lab.file("recipe.toml", recipe);
    let mut command = lab.command("timeout");
    command.args([
        "-s",
        "KILL",
        "60",
        env!("CARGO_BIN_EXE_seatrial"),
        "build",
        "recipe.toml",
        "-o",
        "x",
    ]);
    let message = Run::of(command).rejected(&lab, "x");
    assert!(message.contains("conflict at /bin/up/bin/up: a symlink in"), "{message}");
}
