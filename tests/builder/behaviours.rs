//! The builder's main behaviours: layers, base images, environment, names, tags, reproducibility.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::lab::{Lab, STORE, strings};

/// A store in which an application depends on zlib and libc, and zlib on libc.
fn lab_with_store() -> Lab {
    let lab = Lab::new();
    lab.store(&[
        ("a-app", &["b-zlib", "c-libc", "a-app"]),
        ("b-zlib", &["c-libc"]),
        ("c-libc", &[]),
        ("d-unrelated", &[]),
    ]);
    lab
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[test]
fn a_single_layer_image_has_one_new_layer_with_contents_and_closure() {
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
    let lab = lab_with_store();
    lab.build_with(&format!("name='base'\ncontents='/nix/store/a-app'\n{STORE}"), "base.tar", &[]);
    let recipe = |max| {
        format!(
            "name='x'\nmax_layers={max}\nfrom_image='base.tar'\n\
             contents='/nix/store/d-unrelated'\n{STORE}"
        )
    };
    let message = lab.refused(&recipe(5));
    assert!(message.contains("max_layers is 5"), "{message}");
    assert!(
        message.contains("4 layers")
            && message.contains("2 more")
            && message.contains("at least 6"),
        "{message}"
    );
    assert_eq!(lab.build(&recipe(6)).layers().len(), 6);
    assert!(lab.refused(&recipe(0)).contains("between 1 and 125"));
    assert!(lab.refused(&recipe(126)).contains("between 1 and 125"));
}

#[test]
fn an_image_of_either_layering_can_be_the_base_of_the_other() {
    let lab = lab_with_store();
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
fn the_environment_is_merged_with_the_bases_and_has_each_name_once() {
    let lab = lab_with_store();
    let base = "name='base'\ncontents='store/c-libc'\n\
                [config]\nEnv=['PATH=/bin', 'LAST=base', 'PATH=/usr/bin']\n";
    assert_eq!(lab.build_with(base, "base.tar", &[]).env(), ["PATH=/usr/bin", "LAST=base"]);
    for layering in ["single", "popularity"] {
        let built = lab.build(&format!(
            "name='x'\nlayering='{layering}'\nfrom_image='base.tar'\ncontents='store/b-zlib'\n\
             [config]\nEnv=['NEW=1', 'LAST=child', 'NEW=2=3']\n"
        ));
        assert_eq!(built.env(), ["PATH=/usr/bin", "LAST=child", "NEW=2=3"], "{layering}");
    }
    let stream = lab.seatrial(["stream", "recipe.toml"]);
    assert!(
        String::from_utf8_lossy(&stream.output.stdout)
            .contains(r#"["PATH=/usr/bin","LAST=child","NEW=2=3"]"#)
    );
}

#[test]
fn a_name_may_have_a_registry_and_the_output_file_gets_the_last_component() {
    let lab = lab_with_store();
    for layering in ["single", "popularity"] {
        lab.file(
            "recipe.toml",
            format!("name='Registry.example:5000/My/Image'\ntag='1.0'\nlayering='{layering}'\n"),
        );
        lab.seatrial(["build", "recipe.toml"]).ok();
        assert!(lab.exists("image.tar"));
        let reference = lab.seatrial(["reference", "recipe.toml"]).ok();
        assert_eq!(reference, "registry.example:5000/my/image:1.0\n");
    }
    let built =
        lab.build("name='registry.example:5000/my/image'\ntag='1.0'\ncontents='store/c-libc'\n");
    assert_eq!(strings(&built.manifest()["RepoTags"]), ["registry.example:5000/my/image:1.0"]);
    let repositories: serde_json::Value =
        serde_json::from_slice(&built.files()["repositories"]).unwrap();
    assert!(repositories["registry.example:5000/my/image"]["1.0"].is_string());
}

#[test]
fn the_error_for_an_invalid_name_names_the_rule() {
    let lab = Lab::new();
    assert!(lab.refused("name='a//b'\n").contains("empty path component"));
    assert!(lab.refused("name='app:1'\n").contains("cannot contain a tag"));
    assert!(lab.refused("name='app'\ntag='.x'\n").contains("must begin with"));
}

#[test]
fn the_architecture_is_written_as_goarch_and_defaults_to_the_hosts() {
    let lab = Lab::new();
    let host = lab.tool("dpkg", ["--print-architecture"]).trim().replace("i386", "386");
    assert_eq!(lab.build("name='x'\n").config()["architecture"], host);
    for (written, architecture, variant) in [
        ("x86_64-linux", "amd64", None),
        ("aarch64", "arm64", None),
        ("armv7l", "arm", Some("v7")),
        ("i686", "386", None),
    ] {
        let config = lab.build(&format!("name='x'\narchitecture='{written}'\n")).config();
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config.get("variant").and_then(|v| v.as_str()), variant);
        assert_eq!(config["os"], "linux");
    }
    let config = lab.build("name='x'\narchitecture='arm'\nvariant='v6'\n").config();
    assert_eq!(config["variant"], "v6");
    assert!(lab.refused("name='x'\narchitecture='amd46'\n").contains("did you mean \"amd64\"?"));
}

#[test]
fn a_base_for_another_architecture_requires_the_architecture_key() {
    let lab = lab_with_store();
    lab.build_with("name='base'\narchitecture='s390x'\ncontents='store/c-libc'\n", "base.tar", &[]);
    let recipe = "name='x'\nfrom_image='base.tar'\n";
    let message = lab.refused(recipe);
    assert!(message.contains("s390x") && message.contains("set architecture"), "{message}");
    let built = lab.build(&format!("{recipe}architecture='s390x'\n"));
    assert_eq!(built.config()["architecture"], "s390x");
    let built = lab.build(&format!("{recipe}architecture='arm64'\n"));
    assert_eq!(built.config()["architecture"], "arm64");
}

#[test]
fn reference_prints_the_given_or_derived_tag_of_the_image() {
    let lab = lab_with_store();
    assert_eq!(lab.build("name='x'\ntag='1.0'\n").tag(), "1.0");
    for recipe in [
        "name='x'\ncontents='store/c-libc'\n".to_owned(),
        format!("name='x'\ncontents='/nix/store/a-app'\n{STORE}"),
        format!(
            "name='x'\nlayering='single'\n\
             contents=['/nix/store/a-app', 'store/../graph.json']\n{STORE}"
        ),
    ] {
        let built = lab.build(&recipe);
        let reference = lab.seatrial(["reference", "recipe.toml"]).ok();
        assert_eq!(reference.trim(), built.summary["reference"].as_str().unwrap());
        assert_eq!(strings(&built.manifest()["RepoTags"]), [reference.trim()]);
        assert_eq!(built.tag().len(), 32);
    }
}

#[test]
fn a_derived_tag_depends_on_the_inputs_alone() {
    let lab = lab_with_store();
    let tag = |lab: &Lab, recipe: &str| {
        lab.file("recipe.toml", recipe);
        lab.seatrial(["reference", "recipe.toml"]).ok()
    };
    let recipe = "name='x'\ncontents='tree'\n";
    lab.file("tree/a", "one");
    let first = tag(&lab, recipe);
    assert_eq!(tag(&lab, recipe), first);
    // The same files, in another folder and newer.
    let other = Lab::new();
    other.file("tree/a", "one");
    assert_eq!(tag(&other, recipe), first);
    let changed = [
        tag(&lab, "name='x'\ncontents='tree'\n[config]\nCmd=['a']\n"),
        tag(&lab, "name='x'\ncontents='tree'\nuid=1\n"),
        tag(&lab, "name='x'\ncontents='tree'\narchitecture='riscv64'\n"),
        tag(&lab, "name='x'\ncontents='tree'\ncreated='2024-01-01T00:00:00Z'\n"),
        {
            lab.file("tree/a", "two");
            tag(&lab, recipe)
        },
    ];
    let all: std::collections::BTreeSet<&String> = changed.iter().chain([&first]).collect();
    assert_eq!(all.len(), changed.len() + 1, "{all:?}");
    assert_eq!(tag(&lab, "name='x'\ncreated='now'\n"), tag(&lab, "name='x'\ncreated='now'\n"));
    assert!(lab.refused("name='x'\nmtime='now'\ncontents='tree'\n").contains("set a tag"));
}

#[test]
fn an_image_may_have_no_store_paths_or_no_contents() {
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
    let lab = lab_with_store();
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
            let other = lab_with_store();
            std::fs::create_dir_all(other.path("tree")).unwrap();
            std::fs::copy(lab.path("tree/big"), other.path("tree/big")).unwrap();
            other.mode("store/a-app/bin/app", 0o4755);
            assert!(one == build(&other, "2"), "{format} {compress}");
        }
    }
}

#[test]
fn the_creation_date_changes_no_layer() {
    let lab = lab_with_store();
    let build =
        |more: &str| lab.build(&format!("name='x'\ntag='1'\ncontents='store/c-libc'\n{more}"));
    let fixed = build("");
    assert_eq!(fixed.config()["created"], "1970-01-01T00:00:01Z");
    let given = build("created='2024-05-01T12:00:00.75+02:00'\n");
    assert_eq!(given.config()["created"], "2024-05-01T10:00:00Z");
    assert_eq!(given.layer_files(), fixed.layer_files());
    let now = build("created='now'\n");
    let year = lab.tool("date", ["-u", "+%Y"]);
    assert!(now.config()["created"].as_str().unwrap().starts_with(year.trim()));
    assert_eq!(now.layer_files(), fixed.layer_files());
    assert!(
        build("mtime='2024-05-01T10:00:00Z'\n").layers()[0]
            .iter()
            .all(|m| m.mtime == 1_714_557_600)
    );
    assert!(fixed.layers()[0].iter().all(|m| m.mtime == 1 && m.owner == (0, 0)));
}

#[test]
fn source_date_epoch_is_the_default_creation_date() {
    let lab = Lab::new();
    let created = |recipe: &str, epoch: &str| {
        lab.file("recipe.toml", recipe);
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command
            .args(["build", "recipe.toml", "--json", "-o", "x.tar"])
            .env("SOURCE_DATE_EPOCH", epoch);
        let run = crate::lab::Run::of(command);
        if run.output.status.success() { run.ok() } else { run.refused(&lab, "refused.tar") }
    };
    assert!(created("name='x'\n", "1714557600").contains("2024-05-01T10:00:00Z"));
    assert!(
        created("name='x'\ncreated='2020-01-01T00:00:00Z'\n", "1714557600")
            .contains("2020-01-01T00:00:00Z")
    );
    assert!(created("name='x'\n", "yesterday").contains("SOURCE_DATE_EPOCH"));
}

#[test]
fn every_file_has_the_owner_of_the_recipe() {
    let lab = lab_with_store();
    let built = lab.build(
        "name='x'\nuid=1000\ngid=100\nuname='user'\ngname='users'\ncontents='store/c-libc'\n",
    );
    let layer = built.layer_files().remove(0);
    assert!(built.layers()[0].iter().all(|member| member.owner == (1000, 100)));
    // ustar: user name at 265, group name at 297.
    assert_eq!((&layer[265..270], &layer[297..303]), (&b"user\0"[..], &b"users\0"[..]));
}
