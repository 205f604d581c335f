//! Layers: how files are split into them, base layers, order, owner, reproducibility.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::lab::{Lab, STORE, strings};

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[test]
fn a_single_layer_image_has_one_new_layer_with_contents_and_closure() {
    let lab = Lab::with_store();
    let built =
        lab.build(&format!("name='x'\nlayering='single'\ncontents=['/nix/store/a-app']\n{STORE}"));
    assert_eq!(
        built.names(0),
        [
            "bin/",
            "bin/app",
            "nix/",
            "nix/store/",
            "nix/store/a-app/",
            "nix/store/a-app/bin/",
            "nix/store/a-app/bin/app",
            "nix/store/b-zlib/",
            "nix/store/b-zlib/bin/",
            "nix/store/b-zlib/bin/zlib",
            "nix/store/c-libc/",
            "nix/store/c-libc/bin/",
            "nix/store/c-libc/bin/libc",
        ]
    );
    assert_eq!(built.layers().len(), 1);
    // In a single layer, contents are copies, not links.
    assert_eq!(built.member("bin/app").unwrap().content, b"program app\n");
}

#[test]
fn store_paths_of_the_base_are_not_added_again() {
    let lab = Lab::with_store();
    lab.build_with(
        &format!("name='base'\ncontents=['/nix/store/b-zlib']\n{STORE}"),
        "base.tar",
        &[],
    );
    for layering in ["single", "popularity"] {
        let built = lab.build(&format!(
            "name='x'\nlayering='{layering}'\nfrom_image='base.tar'\n\
             contents=['/nix/store/a-app']\n{STORE}"
        ));
        let added: Vec<String> =
            built.layers().into_iter().skip(3).flatten().map(|m| m.name).collect();
        assert!(added.contains(&"nix/store/a-app/bin/app".to_owned()), "{added:?}");
        assert!(
            !added.iter().any(|name| name.contains("libc") || name.contains("zlib")),
            "{added:?}"
        );
    }
}

#[test]
fn popular_store_paths_get_a_layer_each_and_the_rest_share_one() {
    let lab = Lab::with_store();
    // The popularity of libc is 6, of zlib 3, of app 1. One layer is for the contents.
    let recipe =
        |max| format!("name='x'\nmax_layers={max}\ncontents=['/nix/store/a-app']\n{STORE}");
    let paths = |max| {
        let built = lab.build(&recipe(max));
        let layers = built.summary["layers"].as_array().unwrap().clone();
        layers
            .iter()
            .map(|layer| strings(&layer["paths"]).join(" ").replace("/nix/store/", ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(9), ["c-libc", "b-zlib", "a-app", ""]);
    assert_eq!(paths(4), ["c-libc", "b-zlib", "a-app", ""]);
    assert_eq!(paths(3), ["c-libc", "a-app b-zlib", ""]);
    assert_eq!(paths(2), ["a-app b-zlib c-libc", ""]);
}

#[test]
fn the_layer_with_contents_links_into_the_store() {
    let lab = Lab::with_store();
    let built = lab
        .build(&format!("name='x'\ncontents=['/nix/store/a-app', '/nix/store/b-zlib']\n{STORE}"));
    let top = built.layers().pop().unwrap();
    let seen: Vec<_> = top.iter().map(|m| (m.name.as_str(), m.kind, m.link.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("bin/", '5', ""),
            ("bin/app", '2', "/nix/store/a-app/bin/app"),
            ("bin/zlib", '2', "/nix/store/b-zlib/bin/zlib"),
        ]
    );
}

#[test]
fn a_stream_equals_the_archive_and_needs_no_temporary_file() {
    let lab = Lab::with_store();
    let built = lab.build(&format!("name='x'\ncontents=['/nix/store/a-app']\n{STORE}"));
    let mut stream = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    // Without a folder for temporary files, creating one would fail.
    stream.args(["stream", "recipe.toml"]).env("TMPDIR", lab.path("absent"));
    let stream = stream.output().unwrap();
    assert!(stream.status.success(), "{}", String::from_utf8_lossy(&stream.stderr));
    assert!(stream.stdout == built.bytes);
    assert!(String::from_utf8_lossy(&stream.stderr).contains(&built.tag()));
}

#[test]
fn base_layers_come_first_and_are_copied_byte_for_byte() {
    let lab = Lab::with_store();
    let base = lab.build_with("name='base'\ncontents='store/d-unrelated'\n", "base.tar", &[]);
    for layering in ["single", "popularity"] {
        let recipe = format!(
            "name='x'\nlayering='{layering}'\nfrom_image='base.tar'\ncontents='store/c-libc'\n"
        );
        for format in ["docker", "dual"] {
            let built = lab.build_with(&recipe, "out.tar", &["--format", format]);
            assert_eq!(built.layer_files()[..1], base.layer_files()[..], "{layering} {format}");
            assert_eq!(built.layers().len(), 2);
            assert_eq!(built.summary["layers"][0]["base"], true);
            assert_eq!(built.summary["layers"][1]["base"], false);
        }
    }
    let stream = lab.seatrial(["stream", "recipe.toml"]);
    assert!(stream.output.status.success());
    assert!(stream.output.stdout.windows(512).any(|w| *w == base.layer_files()[0][..512]));
}

#[test]
fn a_max_layers_that_is_too_low_is_an_error_with_the_numbers() {
    let lab = Lab::with_store();
    lab.build_with(&format!("name='base'\ncontents='/nix/store/a-app'\n{STORE}"), "base.tar", &[]);
    let recipe = |max| {
        format!(
            "name='x'\nmax_layers={max}\nfrom_image='base.tar'\n\
             contents='/nix/store/d-unrelated'\n{STORE}"
        )
    };
    let message = lab.rejected(&recipe(5));
    assert!(message.contains("max_layers is 5"), "{message}");
    assert!(
        message.contains("4 layers")
            && message.contains("2 more")
            && message.contains("at least 6"),
        "{message}"
    );
    assert_eq!(lab.build(&recipe(6)).layers().len(), 6);
    lab.build_with(
        "name='base'\ntag='1'\n[[path]]\npath='/d'\ntype='directory'\n",
        "base.tar",
        &[],
    );
    lab.file("new", "");
    let one = lab.rejected("name='x'\nmax_layers=1\nfrom_image='base.tar'\ncontents='new'\n");
    assert!(
        one.contains("has 1 layer and 1 more is needed; raise max_layers to at least 2"),
        "{one}"
    );
    assert!(lab.rejected(&recipe(0)).contains("between 1 and 125"));
    assert!(lab.rejected(&recipe(126)).contains("between 1 and 125"));
}

#[test]
fn an_image_of_either_layering_can_be_the_base_of_the_other() {
    let lab = Lab::with_store();
    let (single, popularity) = ("layering='single'", "layering='popularity'");
    for (lower, upper) in
        [(popularity, single), (single, popularity), (popularity, popularity), (single, single)]
    {
        let base = format!(
            "name='base'\n{lower}\ncontents='/nix/store/b-zlib'\n\
             [config]\nEnv=['LAYER=base']\n{STORE}"
        );
        let base = lab.build_with(&base, "base.tar", &[]);
        let built = format!(
            "name='x'\n{upper}\nfrom_image='base.tar'\ncontents='/nix/store/a-app'\n{STORE}"
        );
        let built = lab.build(&built);
        let below = base.layers().len();
        assert_eq!(built.layer_files()[..below], base.layer_files()[..], "{upper} on {lower}");
        assert_eq!(built.env(), ["LAYER=base"]);
        assert!(built.member("bin/app").is_some() && built.member("bin/zlib").is_some());
    }
}

#[test]
fn an_image_may_have_no_store_paths_or_no_contents() {
    let lab = Lab::with_store();
    for layering in ["single", "popularity"] {
        let empty =
            lab.build(&format!("name='x'\nlayering='{layering}'\n[config]\nCmd=['/bin/app']\n"));
        assert_eq!(empty.manifest()["Layers"], json!([]));
        assert_eq!(empty.config()["rootfs"], json!({"type": "layers", "diff_ids": []}));
        let plain = lab
            .build(&format!("name='x'\nlayering='{layering}'\ncontents='store/c-libc'\n{STORE}"));
        // A path into the store's folder is a store path too.
        assert_eq!(plain.names(0)[0], if layering == "single" { "bin/" } else { "nix/" });
        lab.file("tree/a", "");
        let plain =
            lab.build(&format!("name='x'\nlayering='{layering}'\ncontents='tree'\n{STORE}"));
        assert_eq!(plain.names(0), ["a"]);
        assert_eq!(plain.layers().len(), 1);
    }
}

#[test]
fn store_paths_can_be_left_out() {
    let lab = Lab::with_store();
    for key in ["include_store_paths=false", "includeStorePaths=false"] {
        let built = lab.build(&format!("name='x'\n{key}\ncontents='/nix/store/a-app'\n{STORE}"));
        assert_eq!(built.layers().len(), 1);
        assert_eq!(built.member("bin/app").unwrap().link, "/nix/store/a-app/bin/app");
    }
    let built =
        lab.build(&format!("name='x'\ncontents='/nix/store/a-app'\n{STORE}include=false\n"));
    assert_eq!(built.layers().len(), 1);
}

#[test]
fn layers_diff_ids_and_history_are_in_the_same_order() {
    let lab = Lab::with_store();
    let built = lab.build(&format!("name='x'\ncontents='/nix/store/a-app'\n{STORE}"));
    let config = built.config();
    let files = built.layer_files();
    let diff_ids: Vec<String> = files.iter().map(|layer| sha256(layer)).collect();
    assert_eq!(strings(&config["rootfs"]["diff_ids"]), diff_ids);
    let history = config["history"].as_array().unwrap();
    assert_eq!(history.len(), files.len());
    for (step, path) in history.iter().zip(["c-libc", "b-zlib", "a-app"]) {
        assert_eq!(step["comment"], format!("store paths: /nix/store/{path}"));
        assert_eq!(step["created"], "1970-01-01T00:00:01Z");
    }
    // The config is named by its digest, which is the image ID.
    let name = built.manifest()["Config"].as_str().unwrap().to_owned();
    assert_eq!(sha256(&built.files()[&name]), format!("sha256:{}", name.trim_end_matches(".json")));
    assert_eq!(built.summary["id"], sha256(&built.files()[&name]));
}

#[test]
fn the_output_does_not_depend_on_threads_time_or_folder() {
    let lab = Lab::with_store();
    let big: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 8) as u8).collect();
    lab.file("tree/big", big);
    lab.mode("store/a-app/bin/app", 0o4755);
    let recipe = format!("name='x'\ncontents=['/nix/store/a-app', 'tree']\n{STORE}");
    for format in ["docker", "oci", "dual"] {
        for compress in ["none", "gzip", "zstd"] {
            let build = |lab: &Lab, threads| {
                let arguments = ["--format", format, "--compress", compress, "--threads", threads];
                lab.build_with(&recipe, "out.tar", &arguments).bytes
            };
            let one = build(&lab, "1");
            assert!(one == build(&lab, "7"), "{format} {compress}");
            // A copy in another folder, with newer files.
            let other = Lab::with_store();
            std::fs::create_dir_all(other.path("tree")).unwrap();
            std::fs::copy(lab.path("tree/big"), other.path("tree/big")).unwrap();
            other.mode("store/a-app/bin/app", 0o4755);
            assert!(one == build(&other, "2"), "{format} {compress}");
        }
    }
}

#[test]
fn every_file_has_the_owner_of_the_recipe() {
    let lab = Lab::with_store();
    let built = lab.build(
        "name='x'\nuid=1000\ngid=100\nuname='user'\ngname='users'\ncontents='store/c-libc'\n",
    );
    let layer = built.layer_files().remove(0);
    assert!(built.layers()[0].iter().all(|member| member.owner == (1000, 100)));
    // ustar: user name at 265, group name at 297.
    assert_eq!((&layer[265..270], &layer[297..303]), (&b"user\0"[..], &b"users\0"[..]));
}
