//! CycloneDX 1.5 as JSON (ECMA-424; CycloneDX specification, `bom-1.5.schema.json`).

use serde_json::{Value, json};

use super::bill::{Bill, ImageFacts};
use super::package::Package;
use super::spdx::image_purl;
use super::uuid;

/// Writes `bill` as a CycloneDX document, with a newline at its end.
pub fn cyclonedx(bill: &Bill) -> String {
    let mut component = image(&bill.image);
    let layers = bill.layers.iter().enumerate().map(|(index, layer)| {
        let origin = if layer.base { ":base" } else { "" };
        property(&format!("seatrial:layer:{}{origin}", index + 1), &layer.diff_id.to_string())
    });
    let facts = [
        property("seatrial:image-id", &bill.image.id.to_string()),
        property("seatrial:platform", &bill.image.platform),
    ];
    component["properties"] = facts.into_iter().chain(layers).collect();
    if let Some(base) = &bill.base {
        let name = base.reference.as_deref().unwrap_or("base image");
        let ancestor = json!({
            "type": "container", "name": name, "version": base.digest.to_string(),
        });
        component["pedigree"] = json!({ "ancestors": [ancestor] });
    }
    let components: Vec<Value> =
        bill.packages.iter().map(|package| component_of(package, bill)).collect();
    let content = json!({ "components": components, "component": component });
    let tool = json!({
        "type": "application", "name": "seatrial", "version": env!("CARGO_PKG_VERSION"),
    });
    let document = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": format!("urn:uuid:{}", uuid::of(&content.to_string())),
        "metadata": {
            "timestamp": bill.image.created, "tools": { "components": [tool] },
            "component": component,
        },
        "components": components,
    });
    format!("{document:#}\n")
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

fn image(image: &ImageFacts) -> Value {
    let mut component = json!({
        "type": "container", "bom-ref": "Image", "name": image.id.to_string(),
    });
    if let Some(name) = &image.name {
        component["name"] = name.name.as_str().into();
        if let Some(tag) = &name.tag {
            component["version"] = tag.as_str().into();
        }
    }
    if let Some(purl) = image_purl(image) {
        component["purl"] = purl.into();
    }
    component
}

fn component_of(package: &Package, bill: &Bill) -> Value {
    let mut component = json!({
        "type": "library", "bom-ref": package.identifier(), "name": package.name,
        "purl": package.purl(),
    });
    if !package.version.is_empty() {
        component["version"] = package.version.as_str().into();
    }
    if let Some(name) = package.maintainer_name() {
        component["supplier"] = json!({ "name": name });
    }
    if let Some(license) = &package.license {
        component["licenses"] = json!([{ "license": { "name": license } }]);
    }
    let mut properties = Vec::new();
    let layer = package.layer.and_then(|layer| bill.layers.get(layer));
    properties.extend(layer.map(|layer| property("seatrial:layer", &layer.diff_id.to_string())));
    properties.extend(package.path.as_deref().map(|path| property("seatrial:store-path", path)));
    let source = package.source.as_deref();
    properties.extend(source.map(|source| property("seatrial:source-package", source)));
    if !properties.is_empty() {
        component["properties"] = properties.into();
    }
    component
}
