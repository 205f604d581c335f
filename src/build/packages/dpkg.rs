//! The database of dpkg: `status` has the packages (deb822(5)), and `info/PACKAGE.list` the paths
//! of each (dpkg-query(1), `--listfiles`).

use std::collections::BTreeMap;

use super::Package;
use crate::archive::entry::name_of;
use crate::build::image_path::ImagePath;
use crate::sbom::{paragraphs, value};

pub(super) const STATUS: &[u8] = b"var/lib/dpkg/status";
const INFO: &[u8] = b"var/lib/dpkg/info/";

/// Whether `path` in the image is about a package: a list of files, a script and the like.
pub(super) fn is_info(path: &[u8]) -> bool {
    path.starts_with(INFO)
}

/// Whether `path` is a list of a package's files.
pub(super) fn is_list(path: &[u8]) -> bool {
    is_info(path) && path.ends_with(b".list")
}

/// The installed packages in the text of `status`, sorted, with the files in `lists`, by the path
/// of the list. `info` has the paths of all files about packages.
pub(super) fn packages(
    status: &str,
    lists: &BTreeMap<ImagePath, String>,
    info: &[ImagePath],
) -> Vec<Package> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for fields in paragraphs(status) {
        let state = fields.get("Status").copied().unwrap_or_default();
        let has_files = !matches!(
            state.split_whitespace().nth(2),
            None | Some("not-installed" | "config-files")
        );
        let (Some(name), true) = (value(&fields, "Package"), has_files) else { continue };
        let architecture = value(&fields, "Architecture").unwrap_or_default();
        let field = |key| fields.get(key).copied().unwrap_or_default();
        let needs = [field("Pre-Depends"), field("Depends")];
        let needs = needs.into_iter().flat_map(|list| list.split(','));
        let alternatives = |need: &str| need.split('|').filter_map(package_name).collect();
        let provides = field("Provides").split(',').filter_map(package_name);
        let full = format!("{name}:{architecture}");
        let mut package = Package {
            version: value(&fields, "Version").unwrap_or_default(),
            needs: needs.map(alternatives).collect(),
            provides: provides.chain([full.clone()]).collect(),
            files: Vec::new(),
            name: name.clone(),
        };
        let of_package = |stem: &str| lists.get(&list_path(stem));
        if let Some(list) = of_package(&full).or_else(|| of_package(&name)) {
            package.files = list.lines().filter_map(image_path).collect();
        }
        // One package may be installed for several architectures.
        let key = if packages.contains_key(&name) { full } else { name };
        packages.insert(key.clone(), Package { name: key, ..package });
    }
    add_info(&mut packages, info);
    packages.into_values().collect()
}

/// Gives each package the files about it.
fn add_info(packages: &mut BTreeMap<String, Package>, info: &[ImagePath]) {
    for path in info {
        let name = String::from_utf8_lossy(name_of(path));
        let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
        let short = stem.split_once(':').map_or(stem, |(name, _)| name);
        let key = if packages.contains_key(stem) { stem } else { short };
        if let Some(package) = packages.get_mut(key) {
            package.files.push(path.clone());
        }
    }
}

fn list_path(stem: &str) -> ImagePath {
    [INFO, stem.as_bytes(), b".list"].concat().into()
}

/// The name in a dependency: `libc6` of `libc6:any (>= 2.36)`.
fn package_name(text: &str) -> Option<String> {
    let name = text.split(['(', '[']).next()?.trim();
    let name = name.strip_suffix(":any").unwrap_or(name);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The path of a line of a list, without slashes at either end; `None` for the root.
fn image_path(line: &str) -> Option<ImagePath> {
    let path = line.trim_matches('/');
    (!matches!(path, "" | ".")).then(|| path.as_bytes().into())
}
