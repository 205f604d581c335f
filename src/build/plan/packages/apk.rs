//! The database of apk: a file with lines `KEY:VALUE`, in a paragraph for each package, that end
//! with its directories (`F`) and the files in each (`R`) (Alpine Linux wiki, "Apk spec").

use std::collections::BTreeMap;

use super::Package;
use crate::archive::entry::join;

/// The packages in the text of a database, sorted.
pub(super) fn packages(text: &str) -> Vec<Package> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let mut package = Package::default();
        let mut folder = "";
        for line in paragraph.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            match key {
                "P" => package.name = value.to_owned(),
                "V" => package.version = value.to_owned(),
                "o" => package.source = value.to_owned(),
                // A conflict begins with an exclamation mark.
                "D" => {
                    let needs = value.split_whitespace().filter(|need| !need.starts_with('!'));
                    package.needs = needs.map(|need| vec![without_version(need)]).collect();
                }
                "p" => package.provides = value.split_whitespace().map(without_version).collect(),
                "F" => {
                    folder = value.trim_matches('/');
                    package.files.extend((!folder.is_empty()).then(|| folder.as_bytes().into()));
                }
                "R" => package.files.push(join(folder.as_bytes(), value.as_bytes())),
                _ => {}
            }
        }
        if package.name.is_empty() {
            continue;
        }
        if package.source.is_empty() {
            package.source.clone_from(&package.name);
        }
        // Dependencies may name a file.
        let files = package.files.iter().filter_map(|path| std::str::from_utf8(path).ok());
        let programs = files.filter(|path| path.starts_with("bin/") || path.contains("/bin/"));
        let programs: Vec<String> = programs.map(|path| format!("/{path}")).collect();
        package.provides.extend(programs);
        packages.insert(package.name.clone(), package);
    }
    packages.into_values().collect()
}

/// `so:libz.so.1` of `so:libz.so.1=1.3.1`.
fn without_version(text: &str) -> String {
    text.split(['=', '<', '>', '~']).next().unwrap_or_default().to_owned()
}
