//! Checks of license files, as container-structure-test has them.

use super::file;
use crate::archive::tree::Node;
use crate::check::CheckError;
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
    let paths: Vec<String> = names.iter().map(|name| image.target_of(name)).collect();
    let found = image.find(&paths)?;
    let mut checks = Checks::default();
    if expected.debian && image.tree.get(DEBIAN_FOLDER.as_bytes()).is_none() {
        let folder = format!("/{DEBIAN_FOLDER}");
        checks.record(&folder, "exists", "does not exist", false);
    }
    for (name, path) in names.iter().zip(&paths) {
        let content = found.get(path).map(|file| file::content(path, file)).transpose()?.flatten();
        check_file(name, content, &mut checks);
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

fn check_file(name: &str, content: Option<&[u8]>, checks: &mut Checks) {
    let Some(content) = content else {
        return checks.record(name, "a license file", "nothing", false);
    };
    let content = String::from_utf8_lossy(content).to_uppercase();
    let denied: Vec<&str> = DENIED.into_iter().filter(|word| content.contains(word)).collect();
    let shown = if denied.is_empty() { "neither".to_owned() } else { denied.join(" and ") };
    let expected = format!("mentions neither {}", DENIED.join(" nor "));
    checks.record(name, expected, shown, denied.is_empty());
}
