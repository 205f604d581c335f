//! Findings of `inspect`: each rule finds its problem, and an image without problems has no
//! findings.

use serde_json::{Value, json};

use crate::forge::{TarBuilder, config};
use crate::lab::{Lab, members};

/// The header of a little-endian 64-bit ELF program for `machine` (elf(5)).
pub fn elf(machine: u8) -> Vec<u8> {
    [&b"\x7fELF"[..], &[2, 1, 1], &[0; 9], &[2, 0], &[machine, 0], &[0; 44]].concat()
}

/// The rules of the findings of `inspect` for `image`.
pub fn rules(lab: &Lab, image: &str) -> Vec<String> {
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
pub fn rules_of_layers(lab: &Lab, layers: &[Vec<u8>]) -> Vec<String> {
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

pub const CLEAN: &str = "name='app'\ntag='1'\narchitecture='amd64'\ncontents='root'\n\
     [config]\nUser='7'\nEnv=['A=1']\nHealthcheck={ Test=['NONE'] }\n";

pub fn lab() -> Lab {
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
    for (variable, is_found) in [
        ("PATH=/opt/bin:$PATH", true),
        ("PATH=${PATH}:/opt/bin", true),
        ("LIBS=${LIBS:-}/x", true),
        ("PATH=/opt/bin", false),
        ("PATH=$PATHS:$HOME:$", false),
        ("PS1=$ ", false),
    ] {
        let found = rules_of("app:1", &|config| config["config"]["Env"] = json!([variable]));
        assert_eq!(found.contains(&"unexpanded-env".to_owned()), is_found, "{variable}");
    }
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
fn account_files_may_be_symlinks_within_the_image() {
    let lab = lab();
    // As in images by Nix; engines follow them within the root file system.
    lab.file("root/store/passwd", "root:x:0:0::/:/bin/sh\nweb:x:7:7::/:/bin/sh\n");
    std::fs::create_dir_all(lab.path("root/etc")).unwrap();
    std::os::unix::fs::symlink("/store/passwd", lab.path("root/etc/passwd")).unwrap();
    for (user, rule) in [("web", "user-by-name"), ("webb", "unknown-user")] {
        build_changed(&lab, CLEAN, "app:1", |config| config["config"]["User"] = json!(user));
        assert_eq!(rules(&lab, "changed.tar"), [rule], "{user}");
    }
}

#[test]
fn an_image_that_runs_as_root_or_has_no_health_check_is_found() {
    let lab = lab();
    lab.file(
        "root/etc/passwd",
        "root:x:0:0::/:/bin/sh\ntoor:x:00:0::/:/bin/sh\nweb:x:7:7::/:/bin/sh\n",
    );
    lab.file("root/etc/group", "root:x:0:\nweb:x:7:\n");
    let with = |field: &str, value: Value| {
        build_changed(&lab, CLEAN, "app:1", |config| config["config"][field] = value.clone());
        let mut rules = rules(&lab, "changed.tar");
        rules.retain(|rule| rule != "user-by-name");
        rules
    };
    for user in ["", "root", "0", "0:7", "root:web", "toor"] {
        assert_eq!(with("User", json!(user)), ["root-user"], "{user}");
    }
    for user in ["7", "7:0", "7:web", "web"] {
        assert_eq!(with("User", json!(user)), [""; 0], "{user}");
    }
    // Docker: "unable to find user webb: no matching entries in passwd file", and "unable to find
    // group webb: no matching entries in group file".
    for user in ["webb", "we", "webb:7", "web:webb", "7:we"] {
        assert_eq!(with("User", json!(user)), ["unknown-user"], "{user}");
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
fn findings_have_an_impact_and_a_fix_and_can_be_denied() {
    let lab = lab();
    build_changed(&lab, CLEAN, "app:1", |config| config["config"]["Env"] = json!(["A=1", "A=2"]));
    let output = lab.seatrial(["inspect", "changed.tar"]).ok();
    let expected = "warning duplicate-env: duplicate environment variables: A\n        \
                    impact: Docker uses the last value; Kubernetes does not specify which\n\
                    \x20               one it uses\n        \
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
