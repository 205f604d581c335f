//! Bills of materials, validated by tools of SPDX and CycloneDX, which `ci/sbom-tools` installs.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::lab::{Lab, Run, STORE};

const VALIDATE: &str = r"
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
spdx, cdx = sys.argv[1:]
problems = [m.validation_message for m in validate_full_spdx_document(parse_file(spdx))]
text = open(cdx).read()
problems += filter(None, [JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)])
document = json.loads(text)
components = document['components'] + [document['metadata']['component']]
purls = [c['purl'] for c in components if 'purl' in c]
problems += [p for p in purls if PackageURL.from_string(p).to_string() != p]
refs = [r for p in json.load(open(spdx))['packages'] for r in p.get('externalRefs', [])]
refs = [r['referenceLocator'] for r in refs]
if sorted(refs) != sorted(purls): problems.append('different packages')
if problems: sys.exit('\n'.join(map(str, problems)))
";

/// Builds `recipe` with a bill in each format, validates both, and returns them.
fn bills(lab: &Lab, recipe: &str, arguments: &[&str]) -> (Value, Value) {
    lab.file("recipe.toml", recipe);
    for (format, file) in [("spdx", "x.spdx.json"), ("cyclonedx", "x.cdx.json")] {
        let fixed = ["build", "recipe.toml", "-o", "x.tar", "--sbom", format, "--sbom-file", file];
        lab.seatrial(fixed.iter().chain(arguments)).ok();
    }
    validate(lab, "x.spdx.json", "x.cdx.json");
    (read(lab, "x.spdx.json"), read(lab, "x.cdx.json"))
}

fn validate(lab: &Lab, spdx: &str, cdx: &str) {
    let mut python = lab.command("python3");
    python.args(["-c", VALIDATE, spdx, cdx]);
    python.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python"));
    Run::of(python).ok();
}

fn read(lab: &Lab, file: &str) -> Value {
    serde_json::from_slice(&fs::read(lab.path(file)).unwrap()).unwrap()
}

/// The values of `key` of the components in a CycloneDX document.
fn component(cdx: &Value, name: &str) -> Value {
    let mut components = cdx["components"].as_array().unwrap().iter();
    components.find(|component| component["name"] == name).unwrap().clone()
}

/// The value of a property of a component.
fn property<'v>(component: &'v Value, name: &str) -> &'v str {
    let mut properties = component["properties"].as_array().unwrap().iter();
    let property = properties.find(|property| property["name"] == name);
    property.map_or("", |property| property["value"].as_str().unwrap())
}

#[test]
fn debian_packages_are_those_that_dpkg_lists() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("tree/var/lib/dpkg/updates")).unwrap();
    fs::create_dir_all(lab.path("tree/etc")).unwrap();
    // The first packages of the host; validating all of them takes long.
    let first = "awk -v RS= -v ORS='\\n\\n' 'NR <= 120' /var/lib/dpkg/status";
    lab.tool("bash", ["-c", &format!("{first} >tree/var/lib/dpkg/status")]);
    lab.tool("cp", ["/etc/os-release", "tree/etc/os-release"]);
    let format = "-f=${Package} ${Version} ${Architecture} ${db:Status-Status}\n";
    let listed = lab.tool("dpkg-query", ["--admindir=tree/var/lib/dpkg", "-W", format]);
    let expected: BTreeSet<&str> =
        listed.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    let (_, cdx) = bills(&lab, "name='my/x'\ntag='1'\ncontents='tree'\n", &["--format", "oci"]);
    let found: BTreeSet<String> = cdx["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| {
            let purl = component["purl"].as_str().unwrap();
            let arch = purl.split("arch=").nth(1).unwrap().split('&').next().unwrap();
            let (name, version) = (&component["name"], &component["version"]);
            format!("{} {} {arch}", name.as_str().unwrap(), version.as_str().unwrap())
        })
        .collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    assert!(expected.len() > 50);
    let purl = cdx["metadata"]["component"]["purl"].as_str().unwrap();
    assert!(purl.starts_with("pkg:oci/x@sha256:") && purl.ends_with("/my/x&tag=1"), "{purl}");
}

#[test]
fn packages_are_in_the_layer_that_installed_them() {
    let lab = Lab::new();
    let package = |name: &str, more: &str| {
        format!("Package: {name}\nVersion: 1:2.0+b1\nArchitecture: amd64\n{more}\n")
    };
    let status = "Status: install ok installed\nMaintainer: \"Some One\" <one@example.com>\n";
    let removed = package("gone", "Status: deinstall ok config-files\n");
    let one = package("one", &format!("Source: src (1.9)\n{status}"));
    let two = package("two", &format!("{status}Description: text\n Package: no\n"));
    lab.file("base/var/lib/dpkg/status", format!("{one}{removed}"));
    lab.file("base/var/lib/dpkg/info/one.list", "/bin/one\n");
    lab.file("base/usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    lab.link("base/etc/os-release", "../usr/lib/os-release");
    lab.file("more/var/lib/dpkg/status", format!("{one}{removed}{two}"));
    lab.file("more/var/lib/dpkg/info/two:amd64.list", "/bin/two\n");
    lab.build_with("name='debian'\ntag='12'\ncontents='base'\n", "base.tar", &["--format", "oci"]);
    let recipe = "name='x'\ncontents='more'\nfrom_image='base.tar'\n";
    let (spdx, cdx) = bills(&lab, recipe, &[]);
    assert_eq!(cdx["components"].as_array().unwrap().len(), 2);
    let (one, two) = (component(&cdx, "one"), component(&cdx, "two"));
    assert_eq!(one["purl"], "pkg:deb/debian/one@1:2.0%2Bb1?arch=amd64&distro=debian-12");
    assert_eq!(one["supplier"]["name"], "Some One");
    assert_eq!(property(&one, "seatrial:source-package"), "src");
    let image = &cdx["metadata"]["component"];
    assert_eq!(property(image, "seatrial:layer:1:base"), property(&one, "seatrial:layer"));
    assert_eq!(property(image, "seatrial:layer:2"), property(&two, "seatrial:layer"));
    let digest =
        lab.tool("skopeo", ["inspect", "--format", "{{.Digest}}", "oci-archive:base.tar:12"]);
    let ancestor = &image["pedigree"]["ancestors"][0];
    assert_eq!(
        (&ancestor["name"], &ancestor["version"]),
        (&"debian:12".into(), &digest.trim().into())
    );
    let related: BTreeSet<String> = spdx["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            let text =
                |key: &str| r[key].as_str().unwrap().trim_start_matches("SPDXRef-").to_owned();
            let to = text("relatedSpdxElement");
            let to = to.rsplit_once('-').filter(|_| to.len() > 20).map_or(&*to, |(name, _)| name);
            format!("{} {} {to}", text("spdxElementId"), text("relationshipType"))
        })
        .collect();
    let expected = [
        "Base CONTAINS Layer-1",
        "DOCUMENT DESCRIBES Image",
        "Image CONTAINS Layer-1",
        "Image CONTAINS Layer-2",
        "Image DESCENDANT_OF Base",
        "Layer-1 CONTAINS Package-deb-one",
        "Layer-2 CONTAINS Package-deb-two",
    ];
    assert_eq!(related.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn store_paths_and_alpine_packages_are_listed_with_versions() {
    let lab = Lab::new();
    lab.store(&[
        ("abc-hello-2.12.1", &["def-glibc-2.38-44", "ghi-openssl-3.0.13-dev"]),
        ("def-glibc-2.38-44", &[]),
        ("ghi-openssl-3.0.13-dev", &[]),
        ("jkl-source", &[]),
    ]);
    let installed = "C:Q1abc=\nP:musl\nV:1.2.4_git20230717-r4\nA:x86_64\nL:MIT AND BSD-2-Clause\n\
                     o:musl\nm:Some One <one@example.com>\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
                     P:ssl_client\nV:1.36.1-r15\nA:x86_64\nL:GPL-2.0-only\no:busybox\n";
    lab.file("tree/lib/apk/db/installed", installed);
    lab.file("tree/etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\n");
    let recipe = format!(
        "name='x'\n\
         contents=['/nix/store/abc-hello-2.12.1', '/nix/store/jkl-source', 'tree']\n{STORE}"
    );
    let (_, cdx) = bills(&lab, &recipe, &[]);
    let purls: Vec<&str> =
        cdx["components"].as_array().unwrap().iter().map(|c| c["purl"].as_str().unwrap()).collect();
    assert_eq!(
        purls,
        [
            "pkg:apk/alpine/musl@1.2.4_git20230717-r4?arch=x86_64&distro=alpine-3.19.1",
            "pkg:apk/alpine/ssl_client@1.36.1-r15?arch=x86_64&distro=alpine-3.19.1",
            "pkg:nix/glibc@2.38-44",
            "pkg:nix/hello@2.12.1",
            "pkg:nix/openssl@3.0.13",
            "pkg:nix/source",
        ]
    );
    assert_eq!(component(&cdx, "musl")["licenses"][0]["license"]["name"], "MIT AND BSD-2-Clause");
    let openssl = component(&cdx, "openssl");
    assert_eq!(property(&openssl, "seatrial:store-path"), "/nix/store/ghi-openssl-3.0.13-dev");
    assert!(property(&openssl, "seatrial:layer").starts_with("sha256:"));
}

#[test]
fn the_same_image_gives_the_same_document_on_every_way_out() {
    let lab = Lab::new();
    lab.file("tree/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\n");
    lab.file("tree/var/lib/dpkg/status.d/base.md5sums", "0123 etc/x\n");
    lab.file("recipe.toml", "name='my/x'\ntag='1'\ncontents='tree'\n");
    lab.seatrial(["build", "recipe.toml", "--sbom", "spdx"]).ok();
    let first = fs::read(lab.path("x.spdx.json")).unwrap();
    for flags in [vec!["--compress", "gzip"], vec!["--threads", "1", "--no-cache"]] {
        let fixed = ["build", "recipe.toml", "-o", "x.tar", "--sbom", "spdx"];
        lab.seatrial(fixed.into_iter().chain(flags)).ok();
        assert!(fs::read(lab.path("x.spdx.json")).unwrap() == first);
    }
    let fixed = ["build", "recipe.toml", "--sbom", "spdx", "--sbom-file"];
    let to_stdout = lab.seatrial(fixed.iter().chain(&["-", "-o", "y.tar"]));
    assert!(to_stdout.output.stdout == first);
    assert!(to_stdout.stderr().contains("wrote - with 1 package\n"), "{}", to_stdout.stderr());
    let stream = lab.seatrial(fixed.iter().chain(&["z.json", "-o", "-"]));
    assert!(fs::read(lab.path("z.json")).unwrap() == first);
    assert!(stream.output.stdout == fs::read(lab.path("y.tar")).unwrap());
}

#[test]
fn each_platform_has_a_document() {
    let lab = Lab::new();
    lab.file("tree/x", "x");
    let recipe = "name='x'\ntag='1'\ncontents='tree'\nplatforms=['linux/amd64','linux/arm/v7']\n";
    lab.file("recipe.toml", recipe);
    for format in ["spdx", "cyclonedx"] {
        lab.seatrial(["build", "recipe.toml", "--format", "oci", "--sbom", format]).ok();
    }
    for platform in ["linux-amd64", "linux-arm-v7"] {
        let names = [format!("x.{platform}.spdx.json"), format!("x.{platform}.cdx.json")];
        validate(&lab, &names[0], &names[1]);
        let cdx = read(&lab, &names[1]);
        let written =
            property(&cdx["metadata"]["component"], "seatrial:platform").replace('/', "-");
        assert_eq!(written, platform);
    }
}

#[test]
fn a_bill_that_cannot_be_written_leaves_no_archive() {
    let lab = Lab::new();
    lab.file("recipe.toml", "name='x'\n");
    let fixed = ["build", "recipe.toml", "-o", "x.tar", "--sbom", "spdx", "--sbom-file"];
    let run = lab.seatrial(fixed.iter().chain(&["missing/x.json"]));
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("failed to write missing/x.json"), "{}", run.stderr());
    assert!(!lab.exists("x.tar"));
    let run =
        lab.seatrial(["build", "recipe.toml", "-o", "-", "--sbom", "spdx", "--sbom-file", "-"]);
    let message = run.rejected(&lab, "x.tar");
    assert!(message.contains("only one of --output and --sbom-file can be -"), "{message}");
    let run = lab.seatrial(["build", "recipe.toml", "--sbom-file", "x.json"]);
    assert_eq!(run.output.status.code(), Some(2), "it needs a format");
}

#[test]
fn an_error_about_a_package_database_names_the_archive_by_its_path() {
    let lab = Lab::new();
    let records: String = (0..=100_000).map(|n| format!("P:p{n}\nV:1\nA:noarch\n\n")).collect();
    lab.file("tree/lib/apk/db/installed", records);
    lab.file("recipe.toml", "name='x'\ncontents='tree'\n");
    for (output, name) in [("out.tar", "out.tar"), ("-", "standard output")] {
        let fixed = ["build", "recipe.toml", "-o", output];
        let more = ["--sbom", "spdx", "--sbom-file", "x.json"];
        let run = lab.seatrial(fixed.iter().chain(&more));
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        let problem = "its databases of dpkg and apk have more than 100000 packages";
        let expected = format!("{name}: {problem}");
        assert!(run.stderr().contains(&expected), "{}", run.stderr());
        assert!(!lab.exists("out.tar") && !lab.exists("x.json"));
    }
}
