//! The packages in the database of apk.

use std::collections::BTreeMap;

use super::Package;
use crate::packages::apk::records;

/// The packages in the text of a database, sorted.
pub(super) fn packages(text: &str) -> Vec<Package> {
    let mut packages: BTreeMap<&str, Package> = BTreeMap::new();
    for record in records(text) {
        let files: Vec<_> = record.files().collect();
        // Dependencies may name a file.
        let paths = files.iter().filter_map(|path| std::str::from_utf8(path).ok());
        let programs = paths.filter(|path| path.starts_with("bin/") || path.contains("/bin/"));
        let programs = programs.map(|path| format!("/{path}"));
        let package = Package {
            name: record.name.to_owned(),
            version: record.version().to_owned(),
            source: record.origin().unwrap_or(record.name).to_owned(),
            needs: record.needs().map(|need| vec![need]).collect(),
            provides: record.provides().chain(programs).collect(),
            files,
        };
        packages.insert(record.name, package);
    }
    packages.into_values().collect()
}
