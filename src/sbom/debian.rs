//! Debian packages, from the database of dpkg (dpkg-query(1), `Status`), or from the files that
//! images without dpkg have in its place.

use super::fields::{Paragraph, paragraphs, value};
use super::package::{Ecosystem, Package};

/// The database of dpkg.
pub(crate) const STATUS: &str = "var/lib/dpkg/status";
/// A folder with a file for each package, in images without dpkg.
pub(crate) const STATUS_FOLDER: &str = "var/lib/dpkg/status.d/";

/// The installed packages in the text of a database.
pub(super) fn packages(text: &str) -> impl Iterator<Item = Package> {
    paragraphs(text).filter_map(|fields| {
        // The files for single packages have no status.
        let status = fields.get("Status").copied().unwrap_or("install ok installed");
        let is_installed = status.split_whitespace().nth(2) == Some("installed");
        let name = value(&fields, "Package").filter(|_| is_installed)?;
        Some(Package {
            ecosystem: Ecosystem::Debian,
            version: value(&fields, "Version").unwrap_or_default(),
            architecture: value(&fields, "Architecture"),
            distribution: None,
            source: source(&fields),
            maintainer: value(&fields, "Maintainer"),
            license: None,
            path: None,
            layer: None,
            name,
        })
    })
}

/// The source package that the package with these fields names.
pub(crate) fn source(fields: &Paragraph<'_>) -> Option<String> {
    // It may have the version in parentheses.
    value(fields, "Source")?.split_whitespace().next().map(str::to_owned)
}

/// The lists of files of the package `name`, one of which dpkg writes when it installs the package.
pub(crate) fn file_lists(name: &str, architecture: &str) -> [String; 2] {
    [
        format!("var/lib/dpkg/info/{name}.list"),
        format!("var/lib/dpkg/info/{name}:{architecture}.list"),
    ]
}
