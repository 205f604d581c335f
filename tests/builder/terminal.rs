//! Text that others chose is escaped and shortened in everything that is printed: names, paths,
//! labels, tags, environment variables and messages of daemons.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::forge::{TarBuilder, config, with};
use crate::lab::{Lab, Run};

/// Commands to a terminal (ECMA-48: erase the line, back to its start; CSI as one character, BEL,
/// DEL), line breaks, and characters that are invisible or reverse text (UAX #9).
pub const HOSTILE: &str =
    "e\u{1b}[2K\u{1b}[1G\n\r\tfine\u{7}\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200f}\u{200b}\u{61c}";

/// Asserts that `text` has no character that a terminal obeys or does not show.
#[track_caller]
pub fn assert_safe(text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap();
    let unsafe_char = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2066}'..='\u{2069}' | '\u{61c}')
    };
    assert!(!text.contains(unsafe_char), "{text:?}");
}

/// Asserts that the output of a run is safe, and returns the run.
#[track_caller]
pub fn safe(run: Run) -> Run {
    assert_safe(&run.output.stdout);
    assert_safe(&run.output.stderr);
    run
}

/// Asserts that a run fails with a safe message of one line and at most some KiB.
#[track_caller]
pub fn fails(run: Run) -> String {
    let run = safe(run);
    let message = run.stderr();
    assert!(!run.output.status.success(), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message:?}");
    assert!(message.len() < 10_000, "{} bytes: {}", message.len(), &message[..1000]);
    message
}

/// Writes a docker-archive with one layer, whose only file is called `file`.
pub fn archive(lab: &Lab, name: &str, references: Value, file: &str, change: impl Fn(&mut Value)) {
    let layer = TarBuilder::new().file(file, b"x").finish();
    let mut config = with(config(&[&layer]), json!({ "config": {} }));
    change(&mut config);
    let layer_name = format!("layer{HOSTILE}.tar");
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": references, "Layers": [layer_name] }]);
    let archive = TarBuilder::new()
        .file("manifest.json", manifest.to_string().as_bytes())
        .file("config.json", config.to_string().as_bytes())
        .file(&layer_name, &layer);
    lab.file(name, archive.finish());
}

pub fn hostile_config(config: &mut Value) {
    config["architecture"] = json!(HOSTILE);
    config["created"] = json!(HOSTILE);
    config["author"] = json!(HOSTILE);
    config["config"] = json!({
        "Env": [format!("A={HOSTILE}"), format!("A{HOSTILE}=1"), format!("A{HOSTILE}=2")],
        "User": HOSTILE, "WorkingDir": HOSTILE, "Cmd": [HOSTILE], "Entrypoint": [HOSTILE],
        "Labels": { HOSTILE: HOSTILE }, "StopSignal": HOSTILE,
        "ExposedPorts": { HOSTILE: {} }, "Volumes": { HOSTILE: {} },
    });
}

#[test]
fn inspect_escapes_names_and_values_of_an_image() {
    let lab = Lab::new();
    let references = json!([format!("a:{HOSTILE}"), HOSTILE]);
    archive(&lab, "a.tar", references, HOSTILE, hostile_config);
    let output = safe(lab.seatrial(["inspect", "a.tar"])).ok();
    assert!(output.contains(r"A=e\u{1b}[2K\u{1b}[1G\n\r\tfine"), "{output}");
    let output = safe(lab.seatrial(["inspect", "a.tar", "--json"])).ok();
    let image: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(image["config"]["User"], HOSTILE, "JSON has the exact value");
    assert_eq!(image["config"]["Labels"][HOSTILE], HOSTILE);
}

#[test]
fn errors_about_an_image_escape_its_names() {
    let lab = Lab::new();
    let archive = |name, references, file: &str| archive(&lab, name, references, file, |_| ());
    archive("outside.tar", json!(["a:1"]), &format!("../{HOSTILE}"));
    fails(lab.seatrial(["inspect", "outside.tar"]));
    archive("named.tar", json!([HOSTILE]), "x");
    fails(lab.seatrial(["inspect", "named.tar", "--name", "other"]));
    fails(lab.seatrial(["inspect", "named.tar", "--name", HOSTILE, "--tag", HOSTILE]));
    fails(lab.seatrial(["inspect", &format!("no-{HOSTILE}.tar")]));
    fails(lab.seatrial(["inspect", &format!("named.tar/{HOSTILE}")]));
    safe(lab.seatrial(["inspect", "named.tar", HOSTILE]));
    let usage = safe(lab.seatrial(["inspect", "named.tar", "--deny", HOSTILE])).stderr();
    assert!(usage.contains(r"'e\u{1b}[2K\u{1b}[1G\n\r\tfine"), "{usage}");
    let manifests = [
        json!([{ "Config": format!("../{HOSTILE}"), "RepoTags": [], "Layers": [] }]),
        json!([{ "Config": HOSTILE, "RepoTags": [], "Layers": [] }]),
        json!([{ "Config": "c.json", "RepoTags": HOSTILE, "Layers": [] }]),
        json!({ HOSTILE: HOSTILE }),
    ];
    for manifest in manifests {
        let archive = TarBuilder::new().file("manifest.json", manifest.to_string().as_bytes());
        lab.file("manifest.tar", archive.finish());
        fails(lab.seatrial(["inspect", "manifest.tar"]));
    }
}

#[test]
fn errors_about_an_oci_layout_escape_its_names() {
    let lab = Lab::new();
    lab.file("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let zeros = format!("sha256:{}", "0".repeat(64));
    let named = |name: &str| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": zeros, "size": 2,
            "annotations": { "org.opencontainers.image.ref.name": name },
            "platform": { "os": HOSTILE, "architecture": HOSTILE },
        })
    };
    for index in [
        json!({ "schemaVersion": 2, "manifests": [named(HOSTILE)] }),
        json!({ "schemaVersion": 2, "manifests": [named(HOSTILE), named("b")] }),
        json!({ "schemaVersion": 2, "manifests": [{ "digest": HOSTILE, "size": 1 }] }),
        json!({ "schemaVersion": 2, "manifests": [{ "digest": zeros, "size": HOSTILE }] }),
    ] {
        lab.file("layout/index.json", index.to_string());
        fails(lab.seatrial(["inspect", "layout"]));
        fails(lab.seatrial(["inspect", "layout", "--name", "x"]));
    }
}

#[test]
fn builds_escape_names_of_files_and_values_of_recipes() {
    let lab = Lab::new();
    let toml = toml_string(HOSTILE);
    for recipe in [
        format!("name = {toml}\n"),
        format!("name = 'x'\n{toml} = 1\n"),
        format!("name = 'x'\ntag = {toml}\n"),
        format!("name = 'x'\narchitecture = {toml}\n"),
        format!("name = 'x'\ncreated = {toml}\n"),
        format!("name = 'x'\nlayering = {toml}\n"),
        format!("name = 'x'\nplatforms = [{toml}]\n"),
        format!("name = 'x'\nreplace = [{toml}, '..']\n"),
        format!("name = 'x'\ncontents = [{toml}]\n"),
        format!("name = 'x'\nfrom_image = {toml}\n"),
        format!("name = 'x'\nuname = {toml}\n"),
        format!("name = 'x'\n[store]\ndir = {toml}\n"),
        format!("name = 'x'\n[store]\nclosure = {toml}\n"),
        format!("name = 'x'\n[config]\nEnv = [{toml}]\n"),
        format!("name = 'x'\n[config]\n{toml} = 1\n"),
        format!("name = 'x'\n[config]\nCmd = {toml}\n"),
        format!("name = 'x'\n[config.Labels]\n{toml} = 1\n"),
        format!("name = 'x'\n[config]\nExposedPorts = [{toml}]\n"),
        format!("name = {HOSTILE}\n"),
    ] {
        lab.file("recipe.toml", &recipe);
        for command in ["build", "stream", "reference"] {
            let run = safe(lab.seatrial([command, "recipe.toml"]));
            if command == "build" {
                fails(run);
            }
        }
    }

    lab.file(format!("wh/{}/.wh.x", HOSTILE.replace('/', "")), "x");
    lab.file("recipe.toml", "name = 'x'\ncontents = 'wh'\n");
    fails(lab.seatrial(["build", "recipe.toml"]));
    lab.file(format!("a/{HOSTILE}"), "1");
    lab.file(format!("b/{HOSTILE}"), "2");
    lab.file("recipe.toml", "name = 'x'\ncontents = ['a', 'b']\n");
    fails(lab.seatrial(["build", "recipe.toml"]));
    let raw = OsStr::from_bytes(b"bytes\xff\xfe\x1b");
    std::fs::create_dir(lab.path(raw)).unwrap();
    std::fs::create_dir(lab.path("c")).unwrap();
    let socket = lab.path("c").join(raw);
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    lab.file("recipe.toml", "name = 'x'\ncontents = 'c'\n");
    let message = fails(lab.seatrial(["build", "recipe.toml"]));
    assert!(message.contains(r"bytes\xff\xfe\u{1b}"), "{message}");
}

#[test]
fn builds_escape_paths_of_recipes_closures_and_outputs() {
    let lab = Lab::new();
    let recipe = format!("{HOSTILE}.toml");
    lab.file(&recipe, "name = 'x'\nunknown = 1\n");
    fails(lab.seatrial(["build", &recipe]));
    lab.file(&recipe, "name = 'x'\ntag = '1'\n");
    let output = format!("{HOSTILE}.tar");
    let text = safe(lab.seatrial(["build", &recipe, "-o", &output])).ok();
    assert!(text.starts_with(r"wrote e\u{1b}[2K\u{1b}[1G\n\r\tfine"), "{text}");
    safe(lab.seatrial(["inspect", &output])).ok();
    fails(lab.seatrial(["build", &recipe, "-o", &format!("no/{output}")]));
    safe(lab.seatrial(["build", &recipe, "--format", HOSTILE]));
    safe(lab.seatrial(["build", &recipe, HOSTILE]));
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["build", &recipe]).env("SOURCE_DATE_EPOCH", HOSTILE);
    fails(Run::of(command));

    lab.file("recipe.toml", "name = 'x'\n[store]\nsource = 'store'\nclosure = 'graph.json'\n");
    let path = format!("/nix/store/a-{HOSTILE}");
    for graph in [
        json!([{ "path": HOSTILE, "references": [] }]),
        json!([{ "path": path, "references": [] }, { "path": path, "references": [] }]),
        json!([{ "path": path, "references": [format!("{path}2")] }]),
        json!([{ "path": path, "references": HOSTILE }]),
        json!({ HOSTILE: [{ "path": path }], format!("{HOSTILE}2"): [{ "path": path }] }),
    ] {
        lab.file("graph.json", graph.to_string());
        fails(lab.seatrial(["build", "recipe.toml"]));
    }
}

#[test]
fn values_of_megabytes_and_long_lists_are_cut() {
    let lab = Lab::new();
    let long = "x".repeat(3 << 20);
    archive(&lab, "a.tar", json!([long]), "f", |config| {
        config["config"]["User"] = json!(long);
        config["config"]["Env"] = (0..60_000).map(|n| json!(format!("A{}=1", n / 2))).collect();
    });
    let output = lab.seatrial(["inspect", "a.tar", "--name", "other"]);
    assert!(fails(output).len() < 1000);
    let digest = json!({ "manifests": [{ "digest": long, "size": 1 }] }).to_string();
    lab.file("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    lab.file("layout/index.json", digest);
    fails(lab.seatrial(["inspect", "layout"]));
    for recipe in [
        format!("name = '{long}'\n"),
        format!("name = 'x'\n{long} = 1\n"),
        format!("name = 'x'\ncontents = '{long}'\n"),
        format!("name = 'x'\n[config]\nEnv = ['{long}']\n"),
    ] {
        lab.file("recipe.toml", recipe);
        fails(lab.seatrial(["build", "recipe.toml"]));
    }

    archive(&lab, "many.tar", (0..60_000).map(|n| json!(format!("a:{n}"))).collect(), "f", |_| ());
    let message = fails(lab.seatrial(["inspect", "many.tar", "--name", "b"]));
    assert!(message.len() < 500, "{message}");
    let output = lab.seatrial(["inspect", "many.tar"]).ok();
    assert!(output.len() < 5000, "{} bytes", output.len());
}

/// `text` as a TOML string.
pub fn toml_string(text: &str) -> String {
    let escape = |c: char| match c.is_control() || matches!(c, '"' | '\\') {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}
