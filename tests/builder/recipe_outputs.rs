//! Outputs beside the files that a recipe reads: none of these is replaced, and what earlier builds
//! have written is in no image.

use std::collections::BTreeSet;
use std::fs;

use seatrial::build::Recipe;
use serde_json::Value;

use crate::lab::{Lab, Run, STORE, members};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";

/// A file of each kind that recipes name: its path, its content, the recipe's text, and the key
/// that an error names.
const NAMED: [(&str, &str, &str, &str); 8] = [
    ("conf.json", "{}", "[[path]]\npath='/etc/conf'\nsource='conf.json'\n", "path: source"),
    ("ca.pem", CERTIFICATE, "helpers=['ca-certificates=ca.pem']\n", "helpers: ca-certificates"),
    ("plan.json", "[[\"popularity_contest\"]]", "layering='plan.json'\n", "layering"),
    ("graph.json", "[]", "[store]\nclosure='graph.json'\n", "store.closure"),
    ("input", "x", "[[run]]\ncommand='true'\ninputs=['input']\n", "run: inputs"),
    ("file", "x", "contents=['file']\n", "contents"),
    ("files.tar", "", "contents=[{tar='files.tar'}]\n", "contents: tar"),
    ("base.tar", "", "from_image='base.tar'\n", "from_image"),
];

/// The names of the files in the folder.
fn listing(lab: &Lab) -> BTreeSet<String> {
    let names = fs::read_dir(lab.path("")).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs `seatrial`, which must exit with code 2 and neither write nor print anything. Returns the
/// message.
fn refused<'a>(lab: &Lab, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let before = listing(lab);
    let run = lab.seatrial(arguments);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert_eq!(run.stdout(), "");
    assert_eq!(listing(lab), before);
    run.stderr()
}

/// The reference that `build` prints.
fn built(run: Run) -> String {
    let summary: Value = serde_json::from_str(&run.ok()).unwrap();
    summary["reference"].as_str().unwrap().to_owned()
}

#[test]
fn no_output_replaces_a_file_that_a_recipe_names() {
    for (name, content, keys, key) in NAMED {
        let lab = Lab::new();
        lab.file(name, content);
        lab.file("app.toml", format!("name='app'\ntag='1'\n{keys}"));
        let paths = Recipe::read(&lab.path("app.toml")).unwrap().source_paths();
        assert!(paths.contains(&lab.path(name)), "{key}: {paths:?}");
        let message = refused(&lab, ["build", "app.toml", "-o", name]);
        let expected = format!("seatrial: failed to write {name}: it is ");
        assert!(message.starts_with(&expected), "{key}: {message}");
        assert_eq!(fs::read_to_string(lab.path(name)).unwrap(), content, "{key}");
        let bill = ["build", "app.toml", "--sbom", "spdx", "--sbom-file", name];
        assert!(refused(&lab, bill).starts_with(&expected), "{key}");
    }
}

#[test]
fn a_file_that_a_recipe_names_and_that_is_missing_is_reported_with_recipe_and_key() {
    for (name, _, keys, key) in NAMED {
        let lab = Lab::new();
        let message = lab.rejected(&format!("name='app'\ntag='1'\n{keys}"));
        let expected = format!(
            "seatrial: recipe.toml: {key}: failed to read {name}: there is no such file; paths are \
             relative to the recipe's folder\n"
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn no_output_replaces_a_file_in_a_folder_of_inputs_or_in_the_store() {
    let lab = Lab::with_store();
    lab.file("inputs/x", "precious");
    lab.file(
        "app.toml",
        format!("name='app'\n[[run]]\ncommand='true'\ninputs=['inputs']\n{STORE}"),
    );
    for (name, role) in
        [("inputs/x", "an input of a step"), ("store/a-app/bin/app", "in the store")]
    {
        let before = fs::read(lab.path(name)).unwrap();
        let message = refused(&lab, ["build", "app.toml", "-o", name]);
        let expected = format!("it is {role}, and not an output of an earlier build");
        assert!(message.contains(&expected), "{message}");
        assert_eq!(fs::read(lab.path(name)).unwrap(), before);
    }
}

#[test]
fn a_layer_plan_is_written_over_the_plan_that_the_recipe_names() {
    let lab = Lab::with_store();
    lab.file("plan.json", "[[\"popularity_contest\"]]");
    let recipe = "name='x'\ntag='1'\nlayering='plan.json'\ncontents='/nix/store/a-app'\n";
    lab.file("recipe.toml", format!("{recipe}{STORE}"));
    let layers = ["layers", "recipe.toml", "--history", "recipe.toml", "--write-plan", "plan.json"];
    lab.seatrial(layers).ok();
    let plan: Value = serde_json::from_slice(&fs::read(lab.path("plan.json")).unwrap()).unwrap();
    assert!(plan["layers"].is_array(), "{plan}");
    lab.seatrial(["build", "recipe.toml"]).ok();
}

#[test]
fn a_recipe_for_two_platforms_with_a_bill_in_its_contents_is_built_the_same_twice() {
    let lab = Lab::new();
    let recipe = "name='m'\ntag='1'\ncontents=['.']\nplatforms=['linux/amd64','linux/arm64']\n";
    lab.file("m.toml", recipe);
    let build = ["build", "m.toml", "--format", "oci", "-o", "m.tar", "--json", "--sbom"];
    let build = |format| {
        let images = lab.seatrial(build.iter().chain(&[format])).ok();
        (images, fs::read(lab.path("m.tar")).unwrap())
    };
    let first = build("spdx");
    for format in ["spdx", "cyclonedx", "spdx"] {
        assert!(build(format) == first, "{format}");
    }
    assert!(lab.exists("m.linux-arm64.spdx.json") && lab.exists("m.linux-amd64.cdx.json"));
}

#[test]
fn every_command_makes_the_image_of_the_build_whose_outputs_are_in_the_contents() {
    let lab = Lab::new();
    lab.file("file", "content\n");
    lab.file("app.toml", "name='app'\ncontents='.'\n");
    let reference = || lab.seatrial(["reference", "app.toml"]).ok().trim().to_owned();
    let first = reference();
    for more in [&[][..], &["--sbom", "spdx"], &["--compress", "gzip", "--sbom", "cyclonedx"]] {
        assert_eq!(built(lab.seatrial(["build", "app.toml", "--json"].iter().chain(more))), first);
        assert_eq!(reference(), first, "{more:?}");
    }
    let archive = fs::read(lab.path("app.tar")).unwrap();
    let stream = lab.seatrial(["stream", "app.toml"]);
    assert!(stream.output.stdout == archive);
    let notes = stream.stderr();
    assert!(notes.contains("app.tar.gz") && notes.contains("they are outputs"), "{notes}");
    assert!(lab.seatrial(["build", "app.toml", "-o", "-"]).output.stdout == archive);
    lab.seatrial(["diff", "app.tar", "app.toml"]).ok();
    let explain = lab.seatrial(["explain", "app.toml", "/app.tar"]);
    assert_eq!(explain.output.status.code(), Some(2), "{}", explain.stdout());
    lab.seatrial(["explain", "app.toml", "/file"]).ok();
    #[cfg(feature = "vm")]
    {
        let outside = Lab::new();
        let absent = "[[file]]\npath='/app.tar'\nexists=false\n";
        let expect = outside.file("expect.toml", absent);
        let check = ["check", "app.toml", "--no-vm", "--expect", expect.to_str().unwrap()];
        lab.seatrial(check).ok();
    }
}

#[test]
fn a_file_with_the_name_of_an_output_that_no_build_has_written_is_in_the_image() {
    let lab = Lab::new();
    lab.file("tree/file", "content\n");
    lab.tool("tar", ["-czf", "tree/app.tar.gz", "-C", "tree", "file"]);
    fs::copy(lab.path("tree/app.tar.gz"), lab.path("app.tar.gz")).unwrap();
    lab.file("tree/app.spdx.json", "{}");
    lab.file("app.toml", "name='app'\ntag='1'\ncontents='.'\n");
    lab.seatrial(["build", "app.toml"]).ok();
    let archive = members(&fs::read(lab.path("app.tar")).unwrap());
    let layer = archive.iter().find(|member| member.name.ends_with("layer.tar")).unwrap();
    let names: Vec<String> = members(&layer.content).into_iter().map(|one| one.name).collect();
    for name in ["app.tar.gz", "tree/app.tar.gz", "tree/app.spdx.json"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    let message = refused(&lab, ["build", "app.toml", "--compress", "gzip"]);
    assert!(message.contains("app.tar.gz: it is one of the contents, and not"), "{message}");
}

#[test]
fn outputs_are_checked_before_anything_is_fetched_or_written() {
    let lab = Lab::new();
    // There is no registry: its error has exit code 3.
    lab.file("app.toml", "name='app'\ntag='1'\nfrom_image='docker://localhost:1/base'\n");
    lab.file("seatrial.lock", "");
    fs::create_dir(lab.path("folder")).unwrap();
    for (output, problem) in [
        ("app.toml", "it is the recipe"),
        ("seatrial.lock", "it is the recipe's lock file"),
        ("missing/app.tar", "there is no folder missing"),
        ("folder", "it is a directory"),
    ] {
        let message = refused(&lab, ["build", "app.toml", "-o", output]);
        assert!(message.contains(problem), "{message}");
        let bill = ["build", "app.toml", "--sbom", "spdx", "--sbom-file", output];
        let message = refused(&lab, bill);
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn a_bill_that_cannot_be_written_leaves_no_bill_of_another_platform() {
    let lab = Lab::new();
    lab.file("m.toml", "name='m'\ntag='1'\nplatforms=['linux/amd64','linux/arm64']\n");
    fs::create_dir(lab.path("m.linux-arm64.spdx.json")).unwrap();
    let message = refused(&lab, ["build", "m.toml", "--format", "oci", "--sbom", "spdx"]);
    assert!(message.contains("m.linux-arm64.spdx.json: it is a directory"), "{message}");
    fs::remove_dir(lab.path("m.linux-arm64.spdx.json")).unwrap();
    let to_stdout =
        ["build", "m.toml", "--format", "oci", "--sbom", "spdx", "--sbom-file", "-", "-o", "x.tar"];
    let message = refused(&lab, to_stdout);
    assert!(message.contains("--sbom-file - is for one image"), "{message}");
}

#[test]
fn only_one_report_goes_to_standard_output() {
    let lab = Lab::new();
    lab.build("name='x'\ntag='1'\n");
    for other in ["-", "/dev/stdout"] {
        let (json, html) = ("json=-", format!("html={other}"));
        let diff = ["diff", "out.tar", "out.tar", "--report", json, "--report", &html];
        let message = refused(&lab, diff);
        let expected = "only one of --report json and --report html can be -";
        assert!(message.contains(expected), "{message}");
        #[cfg(feature = "vm")]
        {
            lab.file("x.toml", "[image]\nos='linux'\n");
            let check = ["check", "out.tar", "--no-vm", "--expect", "x.toml", "--report", json];
            let message = refused(&lab, check.into_iter().chain(["--report", &html]));
            assert!(message.contains(expected), "{message}");
        }
    }
    assert!(!lab.exists("-"));
}
