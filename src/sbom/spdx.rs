//! SPDX 2.3 as JSON (ISO/IEC 5962; SPDX specification 2.3, `spdx-schema.json`).

use serde_json::{Value, json};

use super::bill::{Bill, ImageFacts};
use super::package::Package;
use super::purl;
use super::uuid;

/// The tool in both formats.
pub(super) const TOOL: &str = concat!("seatrial-", env!("CARGO_PKG_VERSION"));

/// The value of fields about which nothing is known.
const UNKNOWN: &str = "NOASSERTION";

/// Writes `bill` as an SPDX document, with a newline at its end.
pub fn spdx(bill: &Bill) -> String {
    let mut packages = vec![image(&bill.image)];
    let mut relationships = vec![relationship("DOCUMENT", "DESCRIBES", "Image")];
    if let Some(base) = &bill.base {
        let name = base.reference.clone().unwrap_or_else(|| "base image".to_owned());
        packages.push(json!({
            "SPDXID": id("Base"), "name": name, "downloadLocation": UNKNOWN,
            "filesAnalyzed": false, "primaryPackagePurpose": "CONTAINER",
            "licenseConcluded": UNKNOWN, "licenseDeclared": UNKNOWN, "copyrightText": UNKNOWN,
            "versionInfo": base.digest.to_string(),
        }));
        relationships.push(relationship("Image", "DESCENDANT_OF", "Base"));
    }
    for (index, layer) in bill.layers.iter().enumerate() {
        let name = format!("Layer-{}", index + 1);
        let origin = if layer.base { "base image" } else { "image" };
        packages.push(json!({
            "SPDXID": id(&name), "name": format!("layer {} of the {origin}", index + 1),
            "downloadLocation": UNKNOWN, "filesAnalyzed": false,
            "primaryPackagePurpose": "ARCHIVE",
            "checksums": [{ "algorithm": "SHA256", "checksumValue": layer.diff_id.0.hex() }],
            "licenseConcluded": UNKNOWN, "licenseDeclared": UNKNOWN, "copyrightText": UNKNOWN,
        }));
        relationships.push(relationship("Image", "CONTAINS", &name));
        if layer.base && bill.base.is_some() {
            relationships.push(relationship("Base", "CONTAINS", &name));
        }
    }
    for found in &bill.packages {
        packages.push(package(found));
        let container = found.layer.map_or("Image".to_owned(), |n| format!("Layer-{}", n + 1));
        relationships.push(relationship(&container, "CONTAINS", &found.identifier()));
    }
    let content = json!({ "packages": packages, "relationships": relationships });
    let namespace = format!("urn:uuid:{}", uuid::of(&content.to_string()));
    let document = json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": id("DOCUMENT"),
        "name": name(&bill.image), "documentNamespace": namespace,
        "creationInfo": { "created": bill.image.created, "creators": [format!("Tool: {TOOL}")] },
        "packages": packages, "relationships": relationships,
    });
    format!("{document:#}\n")
}

fn id(name: &str) -> String {
    format!("SPDXRef-{name}")
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({
        "spdxElementId": id(from), "relationshipType": kind, "relatedSpdxElement": id(to),
    })
}

fn name(image: &ImageFacts) -> String {
    image.name.as_ref().map_or_else(|| image.id.to_string(), ToString::to_string)
}

fn purl_reference(purl: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl,
    }])
}

fn image(image: &ImageFacts) -> Value {
    let mut package = json!({
        "SPDXID": id("Image"), "name": name(image), "downloadLocation": UNKNOWN,
        "filesAnalyzed": false, "primaryPackagePurpose": "CONTAINER",
        "licenseConcluded": UNKNOWN, "licenseDeclared": UNKNOWN, "copyrightText": UNKNOWN,
        "comment": format!("image ID {}, platform {}", image.id, image.platform),
    });
    if let Some(name) = &image.name {
        package["name"] = name.name.as_str().into();
        if let Some(tag) = &name.tag {
            package["versionInfo"] = tag.as_str().into();
        }
    }
    if let Some(purl) = image_purl(image) {
        package["externalRefs"] = purl_reference(&purl);
    }
    package
}

/// The package URL of an image, if the digest of its manifest is known.
pub(super) fn image_purl(image: &ImageFacts) -> Option<String> {
    let (name, manifest) = (image.name.as_ref()?, image.manifest?);
    let qualifiers = [
        ("repository_url", name.repository.clone().unwrap_or_default()),
        ("tag", name.tag.clone().unwrap_or_default()),
    ];
    Some(purl::of("oci", None, name.base_name(), &manifest.to_string(), &qualifiers))
}

fn package(package: &Package) -> Value {
    let mut value = json!({
        "SPDXID": id(&package.identifier()), "name": package.name, "downloadLocation": UNKNOWN,
        "filesAnalyzed": false, "licenseConcluded": UNKNOWN, "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN, "externalRefs": purl_reference(&package.purl()),
    });
    if !package.version.is_empty() {
        value["versionInfo"] = package.version.as_str().into();
    }
    // The format has a mail address in parentheses at the end, so a name cannot have any.
    if let Some(name) = package.maintainer_name().filter(|name| !name.contains(['(', ')'])) {
        value["supplier"] = format!("Organization: {name}").into();
    }
    let mut remarks = Vec::new();
    remarks.extend(package.source.as_ref().map(|source| format!("source package {source}")));
    remarks.extend(package.path.clone());
    if !remarks.is_empty() {
        value["sourceInfo"] = remarks.join(", ").into();
    }
    if let Some(license) = &package.license {
        value["licenseComments"] = format!("declared as {license}").into();
    }
    value
}
