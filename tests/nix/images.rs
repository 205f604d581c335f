//! Names, tags, layers, bases and helpers.

use crate::nix::{Image, built, evaluated, refused, store_path, streamed};

#[test]
fn every_tag_is_known_without_building_the_image() {
    let references = evaluated("references");
    for (name, reference) in references.as_object().unwrap() {
        let reference = reference.as_str().unwrap();
        let image = match name.as_str() {
            "stream" | "dated" | "cross" | "owned" | "fakeRoot" | "shell" => Image::streamed(name),
            _ => Image::built(name),
        };
        assert_eq!(image.reference(), reference, "{name}");
    }
    assert_eq!(references["tagged"], "hello:1.0");
    let tag = references["layered"].as_str().unwrap().strip_prefix("hello:").unwrap();
    assert_eq!(tag.len(), 32, "the hash of a store path");
}

#[test]
fn a_second_build_has_nothing_to_do() {
    let first = store_path("layered");
    let modified = || std::fs::metadata(built("layered")).unwrap().modified().unwrap();
    let before = modified();
    assert_eq!(store_path("layered"), first);
    assert_eq!(modified(), before);
}

#[test]
fn images_with_every_compression_have_the_same_content() {
    let plain = Image::built("uncompressed");
    for (gzip, zstd) in [("layered", "tagged")] {
        for name in [gzip, zstd] {
            let image = Image::built(name);
            assert_eq!(image.config()["rootfs"], plain.config()["rootfs"], "{name}");
        }
    }
    let single = Image::built("single").config()["rootfs"].clone();
    assert_eq!(Image::built("singleZstd").config()["rootfs"], single);
}

#[test]
fn streams_have_the_name_that_they_are_called_with() {
    let named = |arguments: &[&str]| Image::read(&streamed("stream", arguments)).reference();
    assert_eq!(named(&["--repo_tag", "other:2"]), "other:2");
    assert_eq!(named(&["-t", "localhost:5000/a/b:3"]), "localhost:5000/a/b:3");
    assert_eq!(named(&["--repo_tag=c:4"]), "c:4");
    let tag = named(&[]).rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(named(&["-t", "localhost:5000/a/b"]), format!("localhost:5000/a/b:{tag}"));
    let bin = built("stream.bin");
    assert!(bin.join("bin/stream-hello").is_file(), "the executable has a folder of its own");
}

#[test]
fn only_the_paths_that_are_needed_are_in_the_store() {
    let needed = ["busybox-1.35", "hello-2.12", "libc-2.40"];
    for name in ["layered", "single"] {
        let mut paths = Image::built(name).store_paths();
        paths.sort();
        assert_eq!(paths, needed, "{name}");
    }
    assert!(Image::streamed("withoutStore").store_paths().is_empty());
    assert!(!Image::streamed("withoutStore").tree()["bin/hello"].link.is_empty());
}

#[test]
fn an_image_without_contents_has_what_its_config_names() {
    let image = Image::built("withoutContents");
    assert!(image.store_paths().contains(&"hello-2.12".to_owned()));
    assert!(!image.tree().contains_key("bin"));
}

#[test]
fn images_have_as_few_layers_as_they_may_and_every_path() {
    assert_eq!(Image::built("twoLayers").layers().len(), 2);
    let bulk = Image::built("bulk");
    assert!(bulk.layers().len() <= 5);
    let paths = bulk.store_paths();
    for number in 0..12 {
        assert!(paths.contains(&format!("lib{number}-1.{number}")), "{paths:?}");
    }
    let on_top = Image::built("onTop");
    assert!(on_top.layers().len() <= 8);
    let below = bulk.config()["rootfs"]["diff_ids"].as_array().unwrap().clone();
    let all = on_top.config()["rootfs"]["diff_ids"].as_array().unwrap().clone();
    assert_eq!(all[..below.len()], below, "the base's layers come first");
}

#[test]
fn the_environment_of_the_base_is_inherited_once() {
    assert_eq!(Image::built("child").config()["config"]["Env"], serde_json::json!(["A=1", "B=2"]));
}

#[test]
fn of_files_that_several_contents_have_one_is_in_the_image() {
    let shared = Image::streamed("shared").tree();
    assert!(shared["bin/hello"].link.contains("-hello-2.12/"), "the first one is linked");
    assert!(shared["share/doc/MORE"].link.contains("-other-1.0/"));
    let single = Image::built("sharedSingle").tree();
    assert!(single["bin/hello"].content.ends_with(b"echo other\n"), "the last one is copied");
    assert!(single.contains_key("bin/hi"));
}

#[test]
fn names_have_a_registry_and_are_lowered() {
    for name in ["registry", "registrySingle"] {
        let reference = Image::built(name).reference();
        assert!(reference.starts_with("registry-1.docker.io/image:"), "{reference}");
    }
    assert!(Image::built("layered").reference().starts_with("hello:"));
}

#[test]
fn dates_architectures_and_owners_are_as_given() {
    assert_eq!(Image::built("layered").config()["created"], "1970-01-01T00:00:01Z");
    assert_eq!(Image::streamed("dated").config()["created"], "2024-05-06T00:00:00Z");
    assert!(Image::built("now").config()["created"].as_str().unwrap() > "2025");
    assert_eq!(Image::streamed("cross").config()["architecture"], "arm64");
    assert_eq!(Image::built("layered").config()["architecture"], "amd64");
    let owned = Image::streamed("owned").tree();
    let hello = owned.iter().find(|(path, _)| path.ends_with("-hello-2.12/bin/hello")).unwrap();
    assert_eq!(hello.1.owner, (1000, 100));
    assert_eq!(owned["bin/hello"].owner, (0, 0), "the owner is that of store paths");
    assert_eq!(evaluated("owned.extra"), 1);
}

#[test]
fn a_pipeline_splits_the_store_paths() {
    let layers = Image::streamed("pipeline").layers();
    let has = |layer: usize, name: &str| layers[layer].keys().any(|path| path.ends_with(name));
    assert!(has(0, "-hello-2.12") && has(0, "-libc-2.40"), "what hello needs is one layer");
    assert_eq!(layers.len(), 1 + 3 + 1);
}

#[test]
fn symlinks_in_the_store_are_kept() {
    let tree = Image::streamed("link").tree();
    let link = tree.iter().find(|(path, _)| path.ends_with("-link-to-folder")).unwrap();
    assert!(link.1.link.ends_with("-hello-2.12"));
    let hi = tree.iter().find(|(path, _)| path.ends_with("-hello-2.12/bin/hi")).unwrap();
    assert_eq!(hi.1.link, "hello");
}

#[test]
fn a_path_of_the_expression_is_a_content() {
    let linked = Image::streamed("barePath").tree();
    assert!(linked["hello.txt"].link.ends_with("-files/hello.txt"));
    assert_eq!(Image::built("barePathSingle").tree()["hello.txt"].content, b"hello\n");
}

#[test]
fn helpers_give_files_that_programs_expect() {
    let tree = Image::streamed("helpers").tree();
    for path in [
        "etc/passwd",
        "etc/group",
        "etc/nsswitch.conf",
        "var/empty",
        "bin/sh",
        "usr/bin/env",
        "etc/ssl/certs/ca-bundle.crt",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/pki/tls/certs/ca-bundle.crt",
    ] {
        assert!(tree.contains_key(path), "{path}");
    }
    let passwd = tree.iter().find(|(path, _)| path.ends_with("-passwd/etc/passwd")).unwrap();
    let text = String::from_utf8_lossy(&passwd.1.content).into_owned();
    let users: Vec<&str> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(users, ["root", "user", "nobody"]);
}

#[test]
fn what_cannot_be_built_is_refused_with_a_reason() {
    for (name, reason) in [
        ("both", "contents is the old name of copyToRoot"),
        ("maxLayers", "maxLayers must be greater than 1, not 1"),
        ("compressor", "compressor must be none, gz or zstd, not xz"),
        ("pullImage", "pullImage needs the hash of its archive"),
    ] {
        let message = refused(&format!("refused.{name}"));
        assert!(message.contains(reason), "{name}: {message}");
    }
}

#[test]
fn the_package_is_the_same_from_every_file_and_has_every_function() {
    let packages = evaluated("packages");
    let package = &packages["default"];
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
    for file in package["src"].as_array().unwrap() {
        let file = file.as_str().unwrap();
        assert!(std::path::Path::new(file).exists(), "{file}");
    }
    for other in ["overlay", "flake", "flakeOverlay"] {
        assert_eq!(&packages[other], package, "{other}");
    }
    assert_eq!(packages["flakeFunctions"], package["functions"]);
    let functions = serde_json::json!([
        "binSh",
        "buildImage",
        "buildImageWithNixDb",
        "buildLayeredImage",
        "buildLayeredImageWithNixDb",
        "buildNixShellImage",
        "caCertificates",
        "exportImage",
        "fakeNss",
        "mergeImages",
        "pullImage",
        "shadowSetup",
        "streamLayeredImage",
        "streamNixShellImage",
        "usrBinEnv",
    ]);
    assert_eq!(package["functions"], functions);
}

#[test]
fn links_to_folders_become_folders_unless_they_are_to_be_kept_whatever_makes_the_layer() {
    for made_by in ["", "ByCommands", "AsRoot"] {
        // As `rsync -rlk` copies them, which nixpkgs uses: links to folders above would not end.
        let copied = Image::built(&format!("linksCopied{made_by}")).tree();
        for (path, link) in
            [("link", ""), ("outside", ""), ("real/up", ".."), ("file", "real/sub/file")]
        {
            assert_eq!(copied[path].link, link, "{made_by} {path}");
        }
        assert_eq!(copied["link/sub/file"].content, b"content\n", "{made_by}");
        assert!(copied["outside/hello"].content.ends_with(b"world!\"\n"), "{made_by}");
        assert_eq!(copied.contains_key("made"), !made_by.is_empty());
        let kept = Image::built(&format!("linksKept{made_by}")).tree();
        assert_eq!(kept["link"].link, "real", "{made_by}");
        assert!(kept["outside"].link.ends_with("-hello-2.12/bin"), "{made_by}");
    }
}

#[test]
fn the_owner_of_an_image_of_one_layer_is_that_of_contents_but_not_of_store_paths() {
    for name in ["ownedSingle", "ownedByCommands"] {
        let tree = Image::built(name).tree();
        assert_eq!(tree["real/sub/file"].owner, (7, 8), "{name}");
        let hello = tree.iter().find(|(path, _)| path.ends_with("-hello-2.12/bin/hello")).unwrap();
        assert_eq!(hello.1.owner, (0, 0), "{name}");
    }
}

#[test]
fn an_image_on_a_base_with_some_of_its_contents_gets_the_others() {
    let image = Image::built("onTopOfSame");
    assert!(image.layers().len() <= 4);
    let paths = image.store_paths();
    for name in ["app-1.0", "hello-2.12", "libc-2.40"] {
        assert_eq!(paths.iter().filter(|path| *path == name).count(), 1, "{name}: {paths:?}");
    }
    let tree = image.tree();
    assert!(tree["bin/app"].link.ends_with("-app-1.0/bin/app"));
    assert!(tree["bin/hello"].link.ends_with("-hello-2.12/bin/hello"));
}

#[test]
fn images_can_be_overridden() {
    assert_eq!(Image::built("overridden").reference(), "overridden:2.0");
    assert_eq!(evaluated("overridden.imageTag"), "2.0");
}

#[test]
fn etc_of_nixos_is_in_images_with_all_that_it_links_to() {
    for name in ["etcAsContent", "etcActivated"] {
        let image = Image::streamed(name);
        let paths = image.store_paths();
        for needed in ["etc", "hosts", "pam-login", "nss-cacert"] {
            assert!(paths.iter().any(|path| path == needed), "{name} {needed}: {paths:?}");
        }
    }
    let content = Image::streamed("etcAsContent").tree();
    assert!(content["etc/pam.d/login"].link.ends_with("-etc/etc/pam.d/login"));
    let single = Image::built("etcAsSingle").tree();
    assert!(single["etc/pam.d/login"].link.ends_with("-pam-login"));
    let certificates = &single["etc/ssl/certs/ca-certificates.crt"].link;
    assert!(single.contains_key(certificates.trim_start_matches('/')), "{certificates}");
    let activated = Image::streamed("etcActivated").tree();
    assert!(activated["etc/static"].link.ends_with("-etc/etc"));
    assert_eq!(activated["etc/hosts"].link, "/etc/static/hosts");
    let copied = &activated["etc/login"];
    assert_eq!((copied.owner, copied.mode), ((1, 2), 0o600));
    assert_eq!(copied.content, b"auth required pam_unix.so\n");
}
