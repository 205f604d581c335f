//! The database of dpkg (dpkg-query(1), deb822(5)), and the files that images without dpkg, such as
//! Distroless, have in its place.

use super::fields::{Paragraph, paragraphs};

/// The database.
pub(crate) const STATUS: &str = "var/lib/dpkg/status";
/// A folder with a file for each package, in images without dpkg. Beside that file,
/// `PACKAGE.md5sums` has the package's regular files (deb-md5sums(5)).
pub(crate) const STATUS_FOLDER: &str = "var/lib/dpkg/status.d/";
/// The ending of the names of these lists.
pub(crate) const SUMS: &str = ".md5sums";

/// A package in a database.
pub(crate) struct Record<'t> {
    pub(crate) name: &'t str,
    fields: Paragraph<'t>,
}

/// The packages in the text of a database.
pub(crate) fn records(text: &str) -> impl Iterator<Item = Record<'_>> {
    paragraphs(text).filter_map(|fields| Some(Record { name: fields.value("Package")?, fields }))
}

impl<'t> Record<'t> {
    /// The version; empty if it has none.
    pub(crate) fn version(&self) -> &'t str {
        self.fields.get("Version").unwrap_or_default()
    }

    /// The architecture, as Debian names it.
    pub(crate) fn architecture(&self) -> Option<&'t str> {
        self.fields.value("Architecture")
    }

    /// The source package, if the record names one.
    pub(crate) fn source(&self) -> Option<&'t str> {
        // It may have the version in parentheses.
        self.fields.get("Source")?.split_whitespace().next()
    }

    /// The maintainer: `Name <mail address>`.
    pub(crate) fn maintainer(&self) -> Option<&'t str> {
        self.fields.value("Maintainer")
    }

    /// Whether the package is completely installed. The files for single packages have no status:
    /// these packages are.
    pub(crate) fn is_installed(&self) -> bool {
        self.fields.get("Status").is_none() || self.state() == Some("installed")
    }

    /// Whether the image has files of the package, which may be only partly installed.
    pub(crate) fn has_files(&self) -> bool {
        !matches!(self.state(), None | Some("not-installed" | "config-files"))
    }

    fn state(&self) -> Option<&'t str> {
        self.fields.get("Status")?.split_whitespace().nth(2)
    }

    /// The alternatives for each thing that the package needs.
    pub(crate) fn needs(&self) -> Vec<Vec<String>> {
        let lists = ["Pre-Depends", "Depends"].map(|name| self.fields.get(name));
        let needs = lists.into_iter().flatten().flat_map(|list| list.split(','));
        needs.map(|need| need.split('|').filter_map(package_name).collect()).collect()
    }

    /// The names that the package provides in addition to its own.
    pub(crate) fn provides(&self) -> impl Iterator<Item = String> {
        self.fields
            .get("Provides")
            .into_iter()
            .flat_map(|list| list.split(','))
            .filter_map(package_name)
    }
}

/// The lists of files of the package `name`, one of which dpkg writes when it installs the package.
pub(crate) fn file_lists(name: &str, architecture: &str) -> [String; 2] {
    [
        format!("var/lib/dpkg/info/{name}.list"),
        format!("var/lib/dpkg/info/{name}:{architecture}.list"),
    ]
}

/// The name in a dependency: `libc6` of `libc6:any (>= 2.36)`.
fn package_name(text: &str) -> Option<String> {
    let name = text.split(['(', '[']).next()?.trim();
    let name = name.strip_suffix(":any").unwrap_or(name);
    (!name.is_empty()).then(|| name.to_owned())
}
