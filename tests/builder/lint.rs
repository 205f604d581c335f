//! Findings of `inspect`: each rule finds its problem, and an image without problems has no
//! findings.

use serde_json::{Value, json};

use crate::forge::{TarBuilder, config};
use crate::lab::{Lab, members};

/// The header of a little-endian 64-bit ELF program for `machine` (elf(5)).
fn elf(machine: u8) -> Vec<u8> {
    [&b"\x7fELF"[..], &[2, 1, 1], &[0; 9], &[2, 0], &[machine, 0], &[0; 44]].concat()
}

/// The rules of the findings of `inspect` for `image`.
fn rules(lab: &Lab, image: &str) -> Vec<String> {
    let summary: Value =
        serde_json::from_str(&lab.seatrial(["inspect", image, "--json"]).ok()).unwrap();
    let rules = summary["lint"].as_array().unwrap().iter();
    rules.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

/// Builds `recipe`, changes the image's config with `change` and its name to `reference`, and
/// writes `changed.tar`.
fn build_changed(lab: &Lab, recipe: &str, reference: &str, change: impl Fn(&mut Value)) {
    let built = lab.build(recipe);
    let mut config = built.config();
    change(&mut config);
    let layer_names = &built.manifest()["Layers"];
    let manifest = json!([
        { "Config": "config.json", "RepoTags": [reference], "Layers": layer_names }
    ]);
    let mut archive = tar::Builder::new(Vec::new());
    let documents = [
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
    ];
    let layers =
        members(&built.bytes).into_iter().filter(|member| member.name.ends_with("/layer.tar"));
    let layers = layers.map(|member| (member.name, member.content));
    for (name, content) in layers.chain(documents.map(|(name, content)| (name.to_owned(), content)))
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &content[..]).unwrap();
    }
    lab.file("changed.tar", archive.into_inner().unwrap());
}

/// The rules about an image with these layers, except for those about its user and health check.
fn rules_of_layers(lab: &Lab, layers: &[Vec<u8>]) -> Vec<String> {
    let references: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let config = config(&references).to_string();
    let names: Vec<String> = (0..layers.len()).map(|number| format!("{number}.tar")).collect();
    let manifest = json!([{ "Config": "c.json", "RepoTags": null, "Layers": names }]).to_string();
    let mut archive = TarBuilder::new()
        .file("c.json", config.as_bytes())
        .file("manifest.json", manifest.as_bytes());
    for (name, layer) in names.iter().zip(layers) {
        archive = archive.file(name, layer);
    }
    lab.file("layers.tar", archive.finish());
    let mut rules = rules(lab, "layers.tar");
    rules.retain(|rule| rule != "root-user" && rule != "no-healthcheck");
    rules
}

const CLEAN: &str = "name='app'\ntag='1'\narchitecture='amd64'\ncontents='root'\n\
     [config]\nUser='7'\nEnv=['A=1']\nHealthcheck={ Test=['NONE'] }\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("root/bin/app", elf(62));
    lab.mode("root/bin/app", 0o755);
    lab.file("root/etc/ssl/certs/ca-certificates.crt", "x");
    lab
}

#[test]
fn an_image_without_problems_has_no_findings() {
    let lab = lab();
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), [""; 0]);
    lab.seatrial(["inspect", "out.tar", "--deny", "notes"]).ok();
}

#[test]
fn problems_of_the_config_are_found() {
    let lab = lab();
    let rules_of = |reference: &str, change: &dyn Fn(&mut Value)| {
        build_changed(&lab, CLEAN, reference, change);
        rules(&lab, "changed.tar")
    };
    assert_eq!(rules_of("app:1", &|_| ()), [""; 0]);
    assert_eq!(
        rules_of("app:1", &|config| config["config"]["Env"] = json!(["A=1", "A=2"])),
        ["duplicate-env"]
    );
    assert_eq!(
        rules_of("app:1", &|config| config["config"]["Env"] = json!(["DB_PASSWORD=x"])),
        ["secret-in-env"]
    );
    assert_eq!(
        rules_of("app:1", &|config| config["config"]["Env"] = json!(["DB_PASSWORD_FILE=/x"])),
        [""; 0]
    );
    assert_eq!(rules_of("My/App:1", &|_| ()), ["upper-case-name"]);
    let foreign = rules_of("app:1", &|config| config["architecture"] = json!("x86_64"));
    assert_eq!(foreign, ["architecture-not-goarch", "architecture-of-files"]);
    assert_eq!(
        rules_of("app:1", &|config| config["config"]["User"] = json!("web")),
        ["user-without-passwd"]
    );
}

#[test]
fn values_of_the_config_that_engines_reject_are_found() {
    let lab = lab();
    let with = |field: &str, value: Value| {
        build_changed(&lab, CLEAN, "app:1", |config| config["config"][field] = value.clone());
        rules(&lab, "changed.tar")
    };
    // Podman before 5.8.4 takes the host's value of A, and of all variables for `*`
    // (CVE-2026-57231).
    for entry in ["A", "*", "=1", "", "A=\0"] {
        assert_eq!(with("Env", json!(["B=1", entry])), ["invalid-env"], "{entry:?}");
    }
    assert_eq!(with("Env", json!(["B=", "C=a=b"])), [""; 0]);

    // moby daemon/container.go, verifyContainerConfig and validateHealthCheck
    assert_eq!(with("WorkingDir", json!("app")), ["relative-working-dir"]);
    assert_eq!(with("WorkingDir", json!("/app")), [""; 0]);
    for signal in ["SIGNOTHING", "0", "TERM "] {
        assert_eq!(with("StopSignal", json!(signal)), ["unknown-stop-signal"], "{signal}");
    }
    assert_eq!(with("StopSignal", json!("SIGRTMIN+3")), [""; 0]);
    for healthcheck in [
        json!({ "Test": ["CMD", "x"], "Interval": 999_999 }),
        json!({ "Test": ["CMD", "x"], "Timeout": -1_000_000_000 }),
        json!({ "Test": ["CMD", "x"], "StartPeriod": 1 }),
        json!({ "Test": ["CMD", "x"], "StartInterval": -1 }),
        json!({ "Test": ["CMD", "x"], "Retries": -1 }),
        json!({ "Test": ["/bin/check"] }),
    ] {
        let rules = with("Healthcheck", healthcheck.clone());
        assert_eq!(rules, ["invalid-healthcheck"], "{healthcheck}");
    }
    let healthcheck =
        json!({ "Test": ["CMD-SHELL", "x"], "Interval": 1_000_000, "Timeout": 0, "Retries": 3 });
    assert_eq!(with("Healthcheck", healthcheck), [""; 0]);

    // docker/go-connections nat.ParsePortSpec
    for port in ["0", "65536/tcp", "http", "80/icmp", "90-80/tcp", "8080:80"] {
        assert_eq!(with("ExposedPorts", json!({ port: {} })), ["invalid-port"], "{port}");
    }
    assert_eq!(
        with("ExposedPorts", json!({ "80/tcp": {}, "53/udp": {}, "8000-8010": {} })),
        [""; 0]
    );
    for path in ["data", "/", "", "./data"] {
        assert_eq!(with("Volumes", json!({ path: {} })), ["invalid-volume"], "{path}");
    }
    assert_eq!(with("Volumes", json!({ "/data": {} })), [""; 0]);
}

#[test]
fn dates_that_engines_cannot_parse_are_found() {
    let lab = lab();
    let rules = |change: &dyn Fn(&mut Value)| {
        build_changed(&lab, CLEAN, "app:1", change);
        rules(&lab, "changed.tar")
    };
    // Go's encoding/json reads time.Time as RFC 3339 only.
    for date in ["yesterday", "", "2024-05-01", "2024-05-01 12:00:00Z"] {
        assert_eq!(rules(&|config| config["created"] = json!(date)), ["invalid-date"], "{date}");
    }
    assert_eq!(rules(&|config| config["history"][0]["created"] = json!("x")), ["invalid-date"]);
    // Docker writes this date into images without one.
    assert_eq!(rules(&|config| config["created"] = json!("0001-01-01T00:00:00Z")), [""; 0]);
}

#[test]
fn problems_of_files_are_found() {
    let lab = lab();
    lab.file("root/bin/other", elf(183));
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["architecture-of-files"]);
    std::fs::remove_file(lab.path("root/bin/other")).unwrap();

    lab.file("root/tmp/open", "x");
    lab.mode("root/tmp", 0o1777);
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), [""; 0], "a sticky folder may be world-writable");
    lab.mode("root/tmp/open", 0o666);
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["world-writable"]);
    std::fs::remove_file(lab.path("root/tmp/open")).unwrap();

    lab.file("root/etc/passwd", "web:x:7:7::/:/bin/sh\n");
    lab.build(&CLEAN.replace("'7'", "'web'"));
    assert_eq!(rules(&lab, "out.tar"), ["user-by-name"]);

    lab.build(
        &CLEAN
            .replace("tag=", "created='2024-05-01T12:00:00Z'\nmtime='2024-05-01T11:59:00Z'\ntag="),
    );
    assert_eq!(rules(&lab, "out.tar"), ["build-time-in-files"]);

    std::fs::remove_dir_all(lab.path("root/etc/ssl")).unwrap();
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["no-certificate-authorities"]);
}

#[test]
fn a_path_that_occurs_twice_in_a_layer_is_found() {
    // vbatts/tar-split, which Docker and Podman use, compares the paths as filepath.Clean gives
    // them.
    let lab = Lab::new();
    let rules_of = |paths: &[&str]| {
        let mut layer = TarBuilder::new();
        for path in paths {
            let kind = match path.ends_with('/') {
                true => tar::EntryType::Directory,
                false => tar::EntryType::Regular,
            };
            layer = layer.member(path, kind, "", b"");
        }
        rules_of_layers(&lab, &[layer.finish()])
    };
    assert_eq!(rules_of(&["a", "b", "d/", "d/a"]), [""; 0]);
    for paths in [["a", "a"], ["a", "./a"], ["d/", "d/"], ["d/", "./d"], ["a/b", "a//b"]] {
        assert_eq!(rules_of(&paths), ["duplicate-path"], "{paths:?}");
    }
}

#[test]
fn an_image_that_runs_as_root_or_has_no_health_check_is_found() {
    let lab = lab();
    lab.file(
        "root/etc/passwd",
        "root:x:0:0::/:/bin/sh\ntoor:x:00:0::/:/bin/sh\nweb:x:7:7::/:/bin/sh\n",
    );
    let with = |field: &str, value: Value| {
        build_changed(&lab, CLEAN, "app:1", |config| config["config"][field] = value.clone());
        let mut rules = rules(&lab, "changed.tar");
        rules.retain(|rule| rule != "user-by-name");
        rules
    };
    for user in ["", "root", "0", "0:7", "root:web", "toor"] {
        assert_eq!(with("User", json!(user)), ["root-user"], "{user}");
    }
    for user in ["7", "7:0", "web"] {
        assert_eq!(with("User", json!(user)), [""; 0], "{user}");
    }
    for healthcheck in [Value::Null, json!({}), json!({ "Test": [] })] {
        assert_eq!(with("Healthcheck", healthcheck.clone()), ["no-healthcheck"], "{healthcheck}");
    }
    assert_eq!(with("Healthcheck", json!({ "Test": ["CMD", "x"] })), [""; 0]);
}

#[test]
fn the_tag_latest_is_found() {
    let lab = lab();
    for (reference, rules) in [
        ("app:latest", &["latest-tag"][..]),
        ("registry.example:5000/app:latest", &["latest-tag"]),
        ("app:latest-1", &[]),
        ("latest:1", &[]),
    ] {
        build_changed(&lab, CLEAN, reference, |_| ());
        assert_eq!(self::rules(&lab, "changed.tar"), rules, "{reference}");
    }
}

#[test]
fn empty_passwords_and_shared_numbers_of_accounts_are_found() {
    let lab = Lab::new();
    let rules_of = |path: &str, text: &str| {
        rules_of_layers(&lab, &[TarBuilder::new().file(path, text.as_bytes()).finish()])
    };
    // passwd(5), shadow(5): an empty password field means that no password is required.
    assert_eq!(rules_of("etc/passwd", "a::7:7::/:/bin/sh\n"), ["empty-password"]);
    assert_eq!(rules_of("etc/shadow", "root:::0:::::\n"), ["empty-password"]);
    assert_eq!(rules_of("etc/shadow", "root:*::0:::::\n# x::\nb:!::0:::::\n"), [""; 0]);
    assert_eq!(rules_of("etc/passwd", "a:x:7:7::/:\nb:x:7:8::/:\n"), ["duplicate-id"]);
    assert_eq!(rules_of("etc/group", "a:x:7:\nb:x:7:a\n"), ["duplicate-id"]);
    assert_eq!(rules_of("etc/passwd", "a:x:7:7::/:\nb:x:8:7::/:\na:x:7:7::/:\n"), [""; 0]);
}

#[test]
fn files_that_should_not_be_in_an_image_are_found_where_a_container_sees_them() {
    let lab = Lab::new();
    let file = |path: &str, content: &[u8]| TarBuilder::new().file(path, content).finish();
    let rules_of = |layers: &[Vec<u8>]| rules_of_layers(&lab, layers);
    for (path, rule) in [
        ("var/cache/apt/archives/a_1_amd64.deb", "package-cache"),
        ("var/lib/apt/lists/deb.example_dists_x_InRelease", "package-cache"),
        ("root/.cache/pip/http/a", "package-cache"),
        ("srv/app/.git/HEAD", "vcs-folder"),
        (".hg/store", "vcs-folder"),
    ] {
        assert_eq!(rules_of(&[file(path, b"x")]), [rule], "{path}");
        let (folder, name) = path.rsplit_once('/').unwrap();
        let removed = file(&format!("{folder}/.wh.{name}"), b"");
        assert_eq!(rules_of(&[file(path, b"x"), removed]), [""; 0], "{path}");
    }
    for path in ["var/lib/apt/lists/lock", "var/cache/fontconfig/a", "srv/.github/x", "srv/a.git/x"]
    {
        assert_eq!(rules_of(&[file(path, b"x")]), [""; 0], "{path}");
    }
    assert_eq!(rules_of(&[file("var/cache/apt/archives/lock", b"")]), [""; 0]);
    let program = |mode| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(mode);
        builder.append_data(&mut header, "bin/su", &b""[..]).unwrap();
        builder.into_inner().unwrap()
    };
    assert_eq!(rules_of(&[program(0o4755)]), ["setuid-file"]);
    assert_eq!(rules_of(&[program(0o2755)]), ["setuid-file"]);
    // A chmod in a step repeats the file in a layer above.
    assert_eq!(rules_of(&[program(0o4755), program(0o755)]), [""; 0]);
    assert_eq!(rules_of(&[program(0o755), program(0o4755)]), ["setuid-file"]);
}

#[test]
fn bytes_that_layers_above_hide_are_found_with_their_paths() {
    let lab = Lab::new();
    let large = vec![0; 700 << 10];
    let two = TarBuilder::new().file("srv/a", &large).file("srv/b", &large).finish();
    let file = |path: &str| TarBuilder::new().file(path, b"x").finish();
    let rules_of = |layers: &[Vec<u8>]| rules_of_layers(&lab, layers);
    let replaced = TarBuilder::new().file("srv/a", b"x").file("srv/b", b"x").finish();
    let whiteouts = TarBuilder::new().file("srv/.wh.a", b"").file("srv/.wh.b", b"").finish();
    for above in [&replaced, &whiteouts, &file(".wh.srv"), &file("srv/.wh..wh..opq"), &file("srv")]
    {
        assert_eq!(rules_of(&[two.clone(), above.clone()]), ["wasted-bytes"]);
        let shown = lab.seatrial(["inspect", "layers.tar"]).ok();
        let expected = "1433600 bytes in lower layers are replaced or removed by layers above: \
                        /srv/a (716800), /srv/b (716800)";
        assert!(shown.contains(expected), "{shown}");
    }
    // Less than 1 MiB, and files beside those that layers above have.
    assert_eq!(rules_of(&[two.clone(), file("srv/a")]), [""; 0]);
    assert_eq!(rules_of(&[two.clone(), file("srv/c"), file("srv/.wh.c")]), [""; 0]);
}

#[test]
fn a_path_may_occur_in_several_layers() {
    let lab = Lab::new();
    let layer = TarBuilder::new().file("a", b"").finish();
    assert_eq!(rules_of_layers(&lab, &[layer.clone(), layer]), [""; 0]);
}

#[test]
fn file_capabilities_are_found() {
    let lab = Lab::new();
    // vfs_cap_data of revision 2 (capabilities(7)): cap_net_raw, and cap_linux_immutable with
    // cap_net_broadcast, whose bits contain a newline.
    for permitted in [0x2000_u32, 0x0a00] {
        let data = [0x0200_0001, permitted, 0, 0, 0].map(u32::to_le_bytes).concat();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("SCHILY.xattr.security.capability", &data[..])]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o755);
        builder.append_data(&mut header, "ping", &b""[..]).unwrap();
        let layer = builder.into_inner().unwrap();
        assert_eq!(rules_of_layers(&lab, &[layer]), ["file-capabilities"]);
    }
}

#[test]
fn programs_that_the_architecture_runs_too_are_not_foreign() {
    let lab = lab();
    let elf_32_bit = |machine: u8| {
        let mut elf = elf(machine);
        elf[4] = 1;
        elf
    };
    lab.file("root/bin/other", elf_32_bit(3)); // i386
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), [""; 0]);
    lab.file("root/bin/other", elf_32_bit(40)); // arm
    lab.build(CLEAN);
    assert_eq!(rules(&lab, "out.tar"), ["architecture-of-files"]);
    lab.file("root/bin/app", elf(183));
    lab.build(&CLEAN.replace("amd64", "arm64"));
    assert_eq!(rules(&lab, "out.tar"), ["32-bit-arm"]);
    lab.seatrial(["inspect", "out.tar", "--deny", "warnings"]).ok();
}

#[test]
fn findings_have_an_impact_and_a_fix_and_can_be_denied() {
    let lab = lab();
    build_changed(&lab, CLEAN, "app:1", |config| config["config"]["Env"] = json!(["A=1", "A=2"]));
    let output = lab.seatrial(["inspect", "changed.tar"]).ok();
    let expected = "warning duplicate-env: duplicate environment variables: A\n        \
                    impact: Docker uses the last value; \
                    Kubernetes does not specify which one it uses\n        \
                    fix:    set each variable once, as seatrial build does\n";
    assert!(output.ends_with(expected), "{output}");
    let denied = lab.seatrial(["inspect", "changed.tar", "--deny", "warnings"]);
    assert_eq!(denied.output.status.code(), Some(1));
    assert!(denied.stdout().ends_with(expected));
    std::fs::remove_dir_all(lab.path("root/etc/ssl")).unwrap();
    lab.build(CLEAN);
    lab.seatrial(["inspect", "out.tar", "--deny", "warnings"]).ok();
    assert_eq!(
        lab.seatrial(["inspect", "out.tar", "--deny", "notes"]).output.status.code(),
        Some(1)
    );
}
