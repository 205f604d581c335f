//! The database of dpkg: `status` has the packages (deb822(5)), and `info/PACKAGE.list` the paths
//! of each (dpkg-query(1), `--listfiles`).
//!
//! Images without dpkg, such as Distroless, have a file for each package in `status.d` in its
//! place, and beside it `PACKAGE.md5sums` with the package's regular files (deb-md5sums(5)).

use std::collections::BTreeMap;

use super::Package;
use crate::archive::entry::name_of;
use crate::build::place::ImagePath;
use crate::sbom::debian::{STATUS, STATUS_FOLDER, file_lists, source};
use crate::sbom::{Paragraph, paragraphs, value};

const INFO: &[u8] = b"var/lib/dpkg/info/";
const LIST: &[u8] = b".list";
const SUMS: &[u8] = b".md5sums";

/// The files of a database.
#[derive(Default)]
pub(super) struct Database {
    status: Option<String>,
    /// The files in `status.d`, by path.
    parts: BTreeMap<ImagePath, String>,
    /// The lists of files, by path.
    lists: BTreeMap<ImagePath, String>,
    /// The paths of all files about packages: lists, scripts and the like.
    info: Vec<ImagePath>,
}

impl Database {
    /// Adds the file at `path`, if it belongs to a database. Those that have packages or lists are
    /// read by `text`.
    pub(super) fn add<E>(
        &mut self,
        path: &ImagePath,
        text: impl FnOnce() -> Result<String, E>,
    ) -> Result<(), E> {
        if path.starts_with(INFO) {
            self.info.push(path.clone());
            if path.ends_with(LIST) {
                self.lists.insert(path.clone(), text()?);
            }
        } else if **path == *STATUS.as_bytes() {
            self.status = Some(text()?);
        } else if path.starts_with(STATUS_FOLDER.as_bytes()) {
            self.parts.insert(path.clone(), text()?);
        }
        Ok(())
    }

    /// The installed packages, sorted; `None` if there is no database.
    pub(super) fn packages(&self) -> Option<Vec<Package>> {
        if self.status.is_none() && self.parts.is_empty() {
            return None;
        }
        let mut packages = BTreeMap::new();
        for fields in paragraphs(self.status.as_deref().unwrap_or_default()) {
            let state = fields.get("Status").copied().unwrap_or_default();
            let has_files = !matches!(
                state.split_whitespace().nth(2),
                None | Some("not-installed" | "config-files")
            );
            let (Some(name), true) = (value(&fields, "Package"), has_files) else { continue };
            let architecture = value(&fields, "Architecture").unwrap_or_default();
            let lists = file_lists(&name, &architecture);
            let list = lists.iter().rev().find_map(|path| self.lists.get(path.as_bytes()));
            let files = list.map(|list| list.lines().filter_map(image_path).collect());
            insert(&mut packages, name, &fields, files.unwrap_or_default());
        }
        for (path, text) in self.parts.iter().filter(|(path, _)| !path.ends_with(SUMS)) {
            // All of these packages are installed.
            let Some(fields) = paragraphs(text).next() else { continue };
            let Some(name) = value(&fields, "Package") else { continue };
            let sums_path: ImagePath = [path, SUMS].concat().into();
            let sums = self.parts.get_key_value(&sums_path);
            let listed = sums.iter().flat_map(|(_, sums)| sums.lines().filter_map(summed_path));
            let own = [path].into_iter().chain(sums.map(|(path, _)| path)).cloned();
            insert(&mut packages, name, &fields, listed.chain(own).collect());
        }
        add_info(&mut packages, &self.info);
        Some(packages.into_values().collect())
    }
}

/// Adds the package `name` with these fields and files.
fn insert(
    packages: &mut BTreeMap<String, Package>,
    name: String,
    fields: &Paragraph<'_>,
    files: Vec<ImagePath>,
) {
    let field = |key| fields.get(key).copied().unwrap_or_default();
    let needs = [field("Pre-Depends"), field("Depends")];
    let needs = needs.into_iter().flat_map(|list| list.split(','));
    let alternatives = |need: &str| need.split('|').filter_map(package_name).collect();
    let provides = field("Provides").split(',').filter_map(package_name);
    let full = format!("{name}:{}", field("Architecture"));
    let package = Package {
        version: field("Version").to_owned(),
        source: source(fields).unwrap_or_else(|| name.clone()),
        needs: needs.map(alternatives).collect(),
        provides: provides.chain([full.clone()]).collect(),
        files,
        name: String::new(),
    };
    // One package may be installed for several architectures.
    let name = if packages.contains_key(&name) { full } else { name };
    packages.insert(name.clone(), Package { name, ..package });
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

/// The name in a dependency: `libc6` of `libc6:any (>= 2.36)`.
fn package_name(text: &str) -> Option<String> {
    let name = text.split(['(', '[']).next()?.trim();
    let name = name.strip_suffix(":any").unwrap_or(name);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The path of a line of `PACKAGE.md5sums`, which follows a checksum and two spaces.
fn summed_path(line: &str) -> Option<ImagePath> {
    image_path(line.split_once("  ")?.1)
}

/// The path of a line of a list, without slashes at either end; `None` for the root.
fn image_path(line: &str) -> Option<ImagePath> {
    let path = line.trim_matches('/');
    (!matches!(path, "" | ".")).then(|| path.as_bytes().into())
}
