//! Alpine packages, from the database of apk (apk-tools, "Alpine package format", `installed`).

use super::fields::{paragraphs, value};
use super::package::{Ecosystem, Package};

/// The database of apk, and its place in newer releases.
pub(crate) const INSTALLED: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// The packages in the text of a database.
pub(super) fn packages(text: &str) -> impl Iterator<Item = Package> {
    paragraphs(text).filter_map(|fields| {
        let name = value(&fields, "P")?;
        Some(Package {
            ecosystem: Ecosystem::Alpine,
            version: value(&fields, "V").unwrap_or_default(),
            architecture: value(&fields, "A"),
            distribution: None,
            source: value(&fields, "o").filter(|origin| *origin != name),
            maintainer: value(&fields, "m"),
            license: value(&fields, "L"),
            path: None,
            layer: None,
            name,
        })
    })
}
