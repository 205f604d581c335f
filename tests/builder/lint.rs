//! What `inspect` notices: each rule on an image that breaks it, and none on one that is sound.

use serde_json::{Value, json};

use crate::lab::{Lab, members};

/// The head of an ELF program for the machine `machine` (elf(5)), 64 bits, little-endian.
fn elf(machine: u8) -> Vec<u8> {
    [&b"\x7fELF"[..], &[2, 1, 1], &[0; 9], &[2, 0], &[machine, 0], &[0; 44]].concat()
}

/// The rules that `inspect` names for `image`.
fn rules(lab: &Lab, image: &str) -> Vec<String> {
    let seen: Value =
        serde_json::from_str(&lab.seatrial(["inspect", image, "--json"]).ok()).unwrap();
    let rules = seen["lint"].as_array().unwrap().iter();
    rules.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

/// Builds `recipe` and lets `change` make of its config what no builder of ours would; `reference` is its new name.
fn changed(lab: &Lab, recipe: &str, reference: &str, change: impl Fn(&mut Value)) {
    let built = lab.build(recipe);
    let mut config = built.config();
    change(&mut config);
    let manifest = json!([{ "Config": "config.json", "RepoTags": [reference], "Layers": built.manifest()["Layers"] }]);
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

const SOUND: &str =
    "name='app'\ntag='1'\narchitecture='amd64'\ncontents='root'\n[config]\nUser='7'\nEnv=['A=1']\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("root/bin/app", elf(62));
    lab.mode("root/bin/app", 0o755);
    lab.file("root/etc/ssl/certs/ca-certificates.crt", "x");
    lab
}

#[test]
fn a_sound_image_gives_no_cause_for_complaint() {
    let lab = lab();
    lab.build(SOUND);
    assert_eq!(rules(&lab, "out.tar"), [""; 0]);
    lab.seatrial(["inspect", "out.tar", "--deny", "notes"]).ok();
}

#[test]
fn a_config_that_will_hurt_somebody_is_noticed() {
    let lab = lab();
    let named = |reference: &str, change: &dyn Fn(&mut Value)| {
        changed(&lab, SOUND, reference, change);
        rules(&lab, "changed.tar")
    };
    assert_eq!(named("app:1", &|_| ()), [""; 0]);
    assert_eq!(
        named("app:1", &|config| config["config"]["Env"] = json!(["A=1", "A=2"])),
        ["duplicate-env"]
    );
    assert_eq!(
        named("app:1", &|config| config["config"]["Env"] = json!(["DB_PASSWORD=x"])),
        ["secret-in-env"]
    );
    assert_eq!(
        named("app:1", &|config| config["config"]["Env"] = json!(["DB_PASSWORD_FILE=/x"])),
        [""; 0]
    );
    assert_eq!(named("My/App:1", &|_| ()), ["upper-case-name"]);
    let foreign = named("app:1", &|config| config["architecture"] = json!("x86_64"));
    assert_eq!(foreign, ["architecture-not-goarch", "architecture-of-files"]);
    assert_eq!(
        named("app:1", &|config| config["config"]["User"] = json!("web")),
        ["user-without-passwd"]
    );
}

#[test]
fn files_that_will_hurt_somebody_are_noticed() {
    let lab = lab();
    lab.file("root/bin/other", elf(183));
    lab.build(SOUND);
    assert_eq!(rules(&lab, "out.tar"), ["architecture-of-files"]);
    std::fs::remove_file(lab.path("root/bin/other")).unwrap();

    lab.file("root/tmp/open", "x");
    lab.mode("root/tmp", 0o1777);
    lab.build(SOUND);
    assert_eq!(rules(&lab, "out.tar"), [""; 0], "a sticky folder is for everybody");
    lab.mode("root/tmp/open", 0o666);
    lab.build(SOUND);
    assert_eq!(rules(&lab, "out.tar"), ["world-writable"]);
    std::fs::remove_file(lab.path("root/tmp/open")).unwrap();

    lab.file("root/etc/passwd", "web:x:7:7::/:/bin/sh\n");
    lab.build(&SOUND.replace("'7'", "'web'"));
    assert_eq!(rules(&lab, "out.tar"), ["user-by-name"]);

    lab.build(
        &SOUND
            .replace("tag=", "created='2024-05-01T12:00:00Z'\nmtime='2024-05-01T11:59:00Z'\ntag="),
    );
    assert_eq!(rules(&lab, "out.tar"), ["build-time-in-files"]);

    std::fs::remove_dir_all(lab.path("root/etc/ssl")).unwrap();
    lab.build(SOUND);
    assert_eq!(rules(&lab, "out.tar"), ["no-certificate-authorities"]);
}

#[test]
fn what_is_noticed_says_what_it_breaks_and_how_to_mend_it_and_can_be_denied() {
    let lab = lab();
    changed(&lab, SOUND, "app:1", |config| config["config"]["Env"] = json!(["A=1", "A=2"]));
    let said = lab.seatrial(["inspect", "changed.tar"]).ok();
    let expected = "warning duplicate-env: A more than once in the environment\n        \
                    breaks: Docker takes the last value; Kubernetes promises nothing\n        \
                    mend:   keep one; seatrial build does\n";
    assert!(said.ends_with(expected), "{said}");
    let denied = lab.seatrial(["inspect", "changed.tar", "--deny", "warnings"]);
    assert_eq!(denied.output.status.code(), Some(1));
    assert!(denied.stdout().ends_with(expected));
    std::fs::remove_dir_all(lab.path("root/etc/ssl")).unwrap();
    lab.build(SOUND);
    lab.seatrial(["inspect", "out.tar", "--deny", "warnings"]).ok();
    assert_eq!(
        lab.seatrial(["inspect", "out.tar", "--deny", "notes"]).output.status.code(),
        Some(1)
    );
}
