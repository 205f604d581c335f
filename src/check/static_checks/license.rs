//! Checks of license files, as container-structure-test has them.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::tree::Node;
use crate::check::CheckError;
use crate::check::comparison;
use crate::check::expectations::LicenseExpectations;
use crate::check::image::ImageUnderTest;
use crate::check::verdict::Checks;

/// Words that a license file must not contain, in any case.
const DENIED: [&str; 2] = ["AGPL", "WTFPL"];
/// A package whose copyright file names a denied license without being under it.
const EXEMPT: &str = "libgnutls30";
/// The folder that has a folder with a copyright file for each Debian package.
const DEBIAN_FOLDER: &str = "usr/share/doc";

/// Checks the license files that `expected` names.
pub(super) fn check(
    image: &ImageUnderTest,
    expected: &LicenseExpectations,
) -> Result<Checks, CheckError> {
    let mut names: Vec<String> = expected.files.clone();
    if expected.debian {
        names.extend(debian_files(image));
    }
    let paths: Vec<Option<String>> = names.iter().map(|name| image.target_of(name)).collect();
    let mut checks = Checks::default();
    if expected.debian && image.tree.get(DEBIAN_FOLDER.as_bytes()).is_none() {
        let folder = format!("/{DEBIAN_FOLDER}");
        checks.record(&folder, "exists", "does not exist", false);
    }
    let mut found = BTreeMap::new();
    let wanted: BTreeSet<&str> = paths.iter().flatten().map(String::as_str).collect();
    image.for_each_found(wanted.into_iter().map(|path| (path, true)), |path, file| {
        found
            .insert(path, comparison::content(path, file).map(|content| content.map(denied_words)));
    })?;
    for (name, path) in names.iter().zip(&paths) {
        match path.as_deref().and_then(|path| found.get(path)) {
            Some(Ok(Some(denied))) => record(name, denied, &mut checks),
            Some(Err(problem)) => checks.problem(problem.clone()),
            Some(Ok(None)) | None => checks.record(name, "a license file", "nothing", false),
        }
    }
    Ok(checks)
}

/// Returns the copyright file of each Debian package, which need not exist.
fn debian_files(image: &ImageUnderTest) -> Vec<String> {
    let folders = image.tree.children(DEBIAN_FOLDER.as_bytes());
    let is_folder = |(_, node): &(Box<[u8]>, &Node)| matches!(node, Node::Directory(_));
    let packages = folders.into_iter().filter(is_folder);
    let names = packages.map(|(name, _)| String::from_utf8_lossy(&name).into_owned());
    let checked = names.filter(|name| name != EXEMPT);
    checked.map(|name| format!("/{DEBIAN_FOLDER}/{name}/copyright")).collect()
}

/// Returns the denied words in the content of a file.
fn denied_words(content: &[u8]) -> Vec<&'static str> {
    let content = String::from_utf8_lossy(content).to_uppercase();
    DENIED.into_iter().filter(|word| content.contains(word)).collect()
}

fn record(name: &str, denied: &[&str], checks: &mut Checks) {
    let shown = if denied.is_empty() { "neither".to_owned() } else { denied.join(" and ") };
    let expected = format!("mentions neither {}", DENIED.join(" nor "));
    checks.record(name, expected, shown, denied.is_empty());
}
