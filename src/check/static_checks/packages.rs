//! The packages of an image, in the databases of dpkg and apk.

use crate::archive::tree::Node;
use crate::check::CheckError;
use crate::check::image::ImageUnderTest;
use crate::sbom::Package;
use crate::sbom::databases::{APK, DPKG, DPKG_FOLDER, apk_packages, dpkg_packages};

/// Returns the installed versions of the package `name`, which may end in a colon and an
/// architecture; `None` if the image has no database.
pub(super) fn versions(
    image: &ImageUnderTest,
    name: &str,
) -> Result<Option<Vec<String>>, CheckError> {
    let folder = image.tree.children(DPKG_FOLDER.trim_end_matches('/').as_bytes());
    let files = folder.into_iter().filter(|(_, node)| !matches!(node, Node::Directory(_)));
    let names = files.map(|(name, _)| String::from_utf8_lossy(&name).into_owned());
    let single = names.filter(|name| !name.ends_with(".md5sums"));
    let single = single.map(|name| format!("/{DPKG_FOLDER}{name}"));
    let dpkg: Vec<String> = single.chain([format!("/{DPKG}")]).collect();
    let apk: Vec<String> = APK.iter().map(|path| format!("/{path}")).collect();
    let mut packages: Option<Vec<Package>> = None;
    for (paths, parse) in [(dpkg, dpkg_packages as fn(&str) -> Vec<Package>), (apk, apk_packages)] {
        for content in image.find(&paths)?.into_values().filter_map(|file| file.content) {
            let found = parse(&String::from_utf8_lossy(&content));
            packages.get_or_insert_default().extend(found);
        }
    }
    let is_it = |package: &Package| {
        let with_architecture =
            package.architecture.as_ref().map(|it| format!("{}:{it}", package.name));
        package.name == name || with_architecture.as_deref() == Some(name)
    };
    let versions = |packages: Vec<Package>| {
        packages.into_iter().filter(is_it).map(|package| package.version).collect()
    };
    Ok(packages.map(versions))
}
