//! Bills of materials that are attached to pushed images.

use std::fs;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::server::{Reply, Request, Server, forward};
use crate::service::{self, Registry, crane, recipe, seatrial};

/// Pushes the recipe.
pub fn push(lab: &Lab, image: &str, arguments: &[&str]) -> Value {
    service::json(&seatrial(lab, [&["push", "app.toml", image, "--json"], arguments].concat()).ok())
}

/// The output of crane.
pub fn read(lab: &Lab, command: &str, name: &str) -> String {
    lab.tool(crane().to_str().unwrap(), [command, "--insecure", name])
}

/// The index with the tag in which clients look for what is attached to `digest`.
pub fn attached(lab: &Lab, repository: &str, digest: &Value) -> Value {
    let tag = digest.as_str().unwrap().replace(':', "-");
    service::json(&read(lab, "manifest", &format!("{repository}:{tag}")))
}

#[test]
fn a_bill_of_materials_is_attached_to_the_image() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let repository = registry.name("my/app");
    let image = format!("{repository}:1.0");
    let pushed = push(&lab, &image, &["--sbom", "spdx"]);
    let index = attached(&lab, &repository, &pushed["digest"]);
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let entry = &index["manifests"][0];
    assert_eq!(entry["artifactType"], "application/spdx+json");
    assert_eq!(entry["digest"], pushed["attached"][0]["digest"]);
    let name = |value: &Value| format!("{repository}@{}", value["digest"].as_str().unwrap());
    let manifest = service::json(&read(&lab, "manifest", &name(entry)));
    assert_eq!(manifest["artifactType"], "application/spdx+json");
    assert_eq!(manifest["subject"]["digest"], pushed["digest"]);
    let subject = read(&lab, "manifest", &image);
    assert_eq!(manifest["subject"]["size"], subject.len());
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    // oras pulls what has a title.
    let title = &manifest["layers"][0]["annotations"]["org.opencontainers.image.title"];
    assert_eq!(title, "sbom.spdx.json");
    let content = read(&lab, "blob", &name(&manifest["layers"][0]));

    // The same document as beside an OCI layout of the same name.
    let build = ["build", "app.toml", "--format", "oci", "--compress", "gzip", "-o", "x.tar"];
    let named = ["--name", &repository, "--sbom", "spdx", "--sbom-file", "x.json"];
    seatrial(&lab, build.iter().chain(&named)).ok();
    assert_eq!(content, fs::read_to_string(lab.path("x.json")).unwrap());

    // inspect shows it, and finds no list where nothing is attached.
    let location = format!("docker://{image}");
    let shown = seatrial(&lab, ["inspect", &location]).ok();
    assert!(shown.contains("\n  attached    application/spdx+json\n"), "{shown}");
    let inspected = service::json(&seatrial(&lab, ["inspect", &location, "--json"]).ok());
    let expected = json!([{
        "digest": pushed["attached"][0]["digest"], "artifact_type": "application/spdx+json",
    }]);
    assert_eq!(inspected["referrers"], expected);
    push(&lab, &registry.name("plain:1"), &[]);
    let plain = format!("docker://{}", registry.name("plain:1"));
    let plain = service::json(&seatrial(&lab, ["inspect", &plain, "--json"]).ok());
    assert_eq!(plain["referrers"], json!([]));

    // It is attached once; another format is another artifact.
    let writes = registry.count("PUT", "/manifests/sha256-");
    let again = push(&lab, &image, &["--sbom", "spdx"]);
    assert_eq!(again["attached"], pushed["attached"]);
    assert_eq!(registry.count("PUT", "/manifests/sha256-"), writes);
    push(&lab, &image, &["--sbom", "cyclonedx"]);
    let index = attached(&lab, &repository, &pushed["digest"]);
    let kinds: Vec<&Value> =
        index["manifests"].as_array().unwrap().iter().map(|entry| &entry["artifactType"]).collect();
    assert_eq!(kinds, ["application/spdx+json", "application/vnd.cyclonedx+json"]);
    seatrial(&lab, ["pull", &image, "-o", "pulled.tar"]).ok();
}

// purl-spec, "oci": the name is the last component of the repository, `repository_url` the
// repository, and `tag` the tag.
#[test]
fn a_bill_names_the_image_as_it_was_pushed() {
    let lab = Lab::new();
    recipe(&lab, "");
    seatrial(&lab, ["build", "app.toml", "--format", "oci", "-o", "x.tar"]).ok();
    for (references, purl_name, qualifiers, shown) in [
        (&["R/a/place:7"][..], "place", "?repository_url=R/a/place&tag=7", "R/a/place"),
        (&["R/a/place:7", "R/a/place:8"], "place", "?repository_url=R/a/place", "R/a/place"),
        (&["R/a/place:7", "R/b/place:7"], "place", "", "place"),
        (&["R/a/place:7", "R/b:7"], "", "", "sha256:"),
    ] {
        for from in ["app.toml", "x.tar"] {
            let registry = Registry::start();
            let to = |text: &str| text.replace("R/", &registry.name(""));
            let references: Vec<String> = references.iter().map(|text| to(text)).collect();
            let mut push = vec!["push", from, "--json", "--sbom", "spdx"];
            push.extend(references.iter().map(String::as_str));
            let pushed = service::json(&seatrial(&lab, push).ok());
            let digest = pushed["digest"].as_str().unwrap();
            let repository = registry.name("a/place");
            let index = attached(&lab, &repository, &pushed["digest"]);
            let bill =
                format!("{repository}@{}", index["manifests"][0]["digest"].as_str().unwrap());
            let manifest = service::json(&read(&lab, "manifest", &bill));
            let layer = manifest["layers"][0]["digest"].as_str().unwrap();
            let document = service::json(&read(&lab, "blob", &format!("{repository}@{layer}")));
            let image = &document["packages"][0];
            let purl = &image["externalRefs"][0]["referenceLocator"];
            match purl_name {
                "" => assert_eq!(*purl, Value::Null, "{references:?}"),
                _ => assert_eq!(*purl, to(&format!("pkg:oci/{purl_name}@{digest}{qualifiers}"))),
            }
            let found = image["name"].as_str().unwrap();
            assert!(found.starts_with(&to(shown)), "{found} {references:?}");
        }
    }
}

#[test]
fn the_image_of_each_platform_gets_its_bill() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let recipe = fs::read_to_string(lab.path("app.toml")).unwrap();
    let several = "platforms = ['linux/amd64', 'linux/arm64']";
    lab.file("app.toml", recipe.replace("architecture = 'amd64'", several));
    let repository = registry.name("multi");
    let pushed = push(&lab, &format!("{repository}:1"), &["--sbom", "cyclonedx"]);
    let index = service::json(&read(&lab, "manifest", &format!("{repository}:1")));
    for (number, entry) in index["manifests"].as_array().unwrap().iter().enumerate() {
        let bills = attached(&lab, &repository, &entry["digest"]);
        assert_eq!(bills["manifests"][0]["digest"], pushed["attached"][number]["digest"]);
    }
}

fn has_subject(request: &Request) -> bool {
    let is_manifest = request.method == "PUT" && request.target.contains("/manifests/");
    is_manifest && String::from_utf8_lossy(&request.body).contains("\"subject\"")
}

#[test]
fn a_registry_that_lists_referrers_gets_no_tag_for_them() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let upstream = registry.address;
    let modern = Server::before(upstream, move |request| {
        if !has_subject(request) {
            return None;
        }
        let Reply::Answer { status, mut headers, body } = forward(upstream, request) else {
            return None;
        };
        headers.push(("OCI-Subject".to_owned(), "sha256:0".to_owned()));
        Some(Reply::Answer { status, headers, body })
    });
    push(&lab, &format!("{}/my/app:1", modern.address), &["--sbom", "spdx"]);
    assert_eq!(modern.count("PUT", "/manifests/sha256-"), 0);
    let puts: Vec<String> = modern
        .requests()
        .into_iter()
        .filter(|request| request.method == "PUT" && request.target.contains("/manifests/"))
        .map(|request| request.target)
        .collect();
    assert_eq!(puts.len(), 3, "the image, the bill and the tag: {puts:?}");
    assert!(puts[2].ends_with("/manifests/1"), "the tag is last: {puts:?}");
}

// OCI distribution-spec v1.1, "Listing Referrers".
#[test]
fn inspect_shows_what_the_registry_lists_as_attached() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    push(&lab, &registry.name("my/app:1"), &[]);
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let listed = json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": manifest, "digest": digest("a"), "size": 1, "artifactType": kind },
        { "mediaType": manifest, "digest": digest("b"), "size": 1, "artifactType": kind },
        { "mediaType": manifest, "digest": digest("c"), "size": 1 },
        { "mediaType": manifest, "digest": "sha256:short", "size": 1 },
    ] });
    let modern = Server::before(registry.address, move |request| {
        let is_list = request.target.starts_with("/v2/my/app/referrers/sha256:");
        is_list.then(|| Reply::new(200, &[], listed.to_string()))
    });
    let image = format!("docker://{}/my/app:1", modern.address);
    let shown = seatrial(&lab, ["inspect", &image]).ok();
    let expected = format!("  attached    {kind} (2)\n              {manifest}\n");
    assert!(shown.contains(&expected), "{shown}");
    assert_eq!(modern.count("GET", "/referrers/"), 1);
    // A name with a digest whose manifest is cached asks the registry for nothing.
    let inspected = service::json(&seatrial(&lab, ["inspect", &image, "--json"]).ok());
    let by_digest = format!("{image}@{}", inspected["digest"].as_str().unwrap());
    let before = modern.requests().len();
    let cached = service::json(&seatrial(&lab, ["inspect", &by_digest, "--json"]).ok());
    assert_eq!(cached["referrers"], Value::Null);
    assert_eq!(modern.requests().len(), before);
}

#[test]
fn nothing_is_tagged_if_the_bill_cannot_be_attached() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let strict = Server::before(registry.address, |request| {
        has_subject(request).then(|| Reply::new(400, &[], ""))
    });
    let image = format!("{}/my/app:1", strict.address);
    let run = seatrial(&lab, ["push", "app.toml", &image, "--sbom", "spdx"]);
    assert!(matches!(run.output.status.code(), Some(2 | 3)), "{}", run.stderr());
    assert!(run.stderr().contains("answers 400"), "{}", run.stderr());
    assert_eq!(strict.count("PUT", "/manifests/1"), 0);
}

#[test]
fn a_dry_run_says_what_would_be_attached() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1");
    let dry = push(&lab, &image, &["--sbom", "spdx", "--dry-run"]);
    assert_eq!(registry.writes(), 0);
    assert_eq!(dry["attached"], push(&lab, &image, &["--sbom", "spdx"])["attached"]);
}

fn is_list(request: &Request) -> bool {
    request.target.contains("/manifests/sha256-")
}

/// Another client's request at the same time: the list has its entry in the place of the new one.
fn others_list(request: &Request) -> Request {
    let mut list = service::json(std::str::from_utf8(&request.body).unwrap());
    let entries = list["manifests"].as_array_mut().unwrap();
    let mut other = entries.pop().unwrap();
    other["artifactType"] = "application/other".into();
    // The registry must have what it lists.
    let image = request.target.rsplit('/').next().unwrap().replace('-', ":");
    other["digest"] = image.into();
    entries.push(other);
    let body = list.to_string().into_bytes();
    let mut changed = Request { body, ..request.clone() };
    let length = changed.body.len().to_string();
    for (name, value) in &mut changed.headers {
        if name.eq_ignore_ascii_case("content-length") {
            value.clone_from(&length);
        }
    }
    changed.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("if-match"));
    changed
}

#[test]
fn a_list_that_another_client_changes_at_the_same_time_loses_nothing() {
    for checks_versions in [true, false] {
        let (lab, registry) = (Lab::new(), Registry::start());
        recipe(&lab, "");
        let image = registry.name("my/app:1");
        let pushed = push(&lab, &image, &["--sbom", "cyclonedx"]);
        let (upstream, raced) = (registry.address, std::sync::atomic::AtomicBool::new(false));
        let racing = Server::before(upstream, move |request| {
            let is_first = request.method == "PUT"
                && is_list(request)
                && !raced.swap(true, std::sync::atomic::Ordering::Relaxed);
            if !is_first {
                return None;
            }
            let own = match checks_versions {
                true => Reply::new(412, &[], ""),
                false => forward(upstream, request),
            };
            forward(upstream, &others_list(request));
            Some(own)
        });
        let through = format!("{}/my/app:1", racing.address);
        push(&lab, &through, &["--sbom", "spdx"]);
        let index = attached(&lab, &registry.name("my/app"), &pushed["digest"]);
        let kinds: Vec<&str> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["artifactType"].as_str().unwrap())
            .collect();
        let expected =
            ["application/vnd.cyclonedx+json", "application/other", "application/spdx+json"];
        assert_eq!(kinds, expected);
        let puts = racing.requests();
        let mut puts = puts.iter().filter(|one| one.method == "PUT" && is_list(one));
        assert!(puts.all(|one| one.header("if-match").is_some()), "the version is named");
    }
}
