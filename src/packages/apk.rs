//! The database of apk: a file with lines `KEY:VALUE`, in a paragraph for each package, that end
//! with its directories (`F`) and the files in each (`R`) (Alpine Linux wiki, "Apk spec").

use super::fields::{Paragraph, paragraphs};
use crate::archive::entry::join;

/// The database, and its place in newer releases.
pub(crate) const INSTALLED: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// A package in a database.
pub(crate) struct Record<'t> {
    pub(crate) name: &'t str,
    fields: Paragraph<'t>,
}

/// The packages in the text of a database.
pub(crate) fn records(text: &str) -> impl Iterator<Item = Record<'_>> {
    paragraphs(text).filter_map(|fields| Some(Record { name: fields.value("P")?, fields }))
}

impl<'t> Record<'t> {
    /// The version; empty if it has none.
    pub(crate) fn version(&self) -> &'t str {
        self.fields.get("V").unwrap_or_default()
    }

    /// The architecture, as Alpine names it.
    pub(crate) fn architecture(&self) -> Option<&'t str> {
        self.fields.value("A")
    }

    /// The name of what the package is built from, if the record has one.
    pub(crate) fn origin(&self) -> Option<&'t str> {
        self.fields.value("o")
    }

    /// The maintainer: `Name <mail address>`.
    pub(crate) fn maintainer(&self) -> Option<&'t str> {
        self.fields.value("m")
    }

    /// The license, as an SPDX expression.
    pub(crate) fn license(&self) -> Option<&'t str> {
        self.fields.value("L")
    }

    /// The names that the package needs.
    pub(crate) fn needs(&self) -> impl Iterator<Item = String> {
        let needs = self.fields.get("D").unwrap_or_default().split_whitespace();
        // A conflict begins with an exclamation mark.
        needs.filter(|need| !need.starts_with('!')).map(without_version)
    }

    /// The names that the package provides in addition to its own, such as libraries.
    pub(crate) fn provides(&self) -> impl Iterator<Item = String> {
        self.fields.get("p").unwrap_or_default().split_whitespace().map(without_version)
    }

    /// The paths of the package's directories and files.
    pub(crate) fn files(&self) -> impl Iterator<Item = Box<[u8]>> {
        let mut folder = "";
        self.fields.lines().filter_map(move |(key, value)| match key {
            "F" => {
                folder = value.trim_matches('/');
                (!folder.is_empty()).then(|| folder.as_bytes().into())
            }
            "R" => Some(join(folder.as_bytes(), value.as_bytes())),
            _ => None,
        })
    }
}

/// `so:libz.so.1` of `so:libz.so.1=1.3.1`.
fn without_version(text: &str) -> String {
    text.split(['=', '<', '>', '~']).next().unwrap_or_default().to_owned()
}
