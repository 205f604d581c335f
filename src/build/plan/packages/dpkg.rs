//! The packages in the database of dpkg: `status` has the packages, and `info/PACKAGE.list` the
//! paths of each (dpkg-query(1), `--listfiles`); or in `status.d`.

use std::collections::BTreeMap;

use super::Package;
use crate::archive::entry::name_of;
use crate::build::place::ImagePath;
use crate::packages::dpkg::{Record, STATUS, STATUS_FOLDER, SUMS, file_lists, records};

const INFO: &[u8] = b"var/lib/dpkg/info/";
const LIST: &[u8] = b".list";

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
        for record in records(self.status.as_deref().unwrap_or_default()).filter(Record::has_files)
        {
            let lists = file_lists(record.name, record.architecture().unwrap_or_default());
            let list = lists.iter().rev().find_map(|path| self.lists.get(path.as_bytes()));
            let files = list.map(|list| list.lines().filter_map(image_path).collect());
            insert(&mut packages, &record, files.unwrap_or_default());
        }
        for (path, text) in self.parts.iter().filter(|(path, _)| !path.ends_with(SUMS.as_bytes())) {
            // All of these packages are installed.
            let Some(record) = records(text).next() else { continue };
            let sums_path: ImagePath = [path, SUMS.as_bytes()].concat().into();
            let sums = self.parts.get_key_value(&sums_path);
            let listed = sums.iter().flat_map(|(_, sums)| sums.lines().filter_map(summed_path));
            let own = [path].into_iter().chain(sums.map(|(path, _)| path)).cloned();
            insert(&mut packages, &record, listed.chain(own).collect());
        }
        add_info(&mut packages, &self.info);
        Some(packages.into_values().collect())
    }
}

/// Adds the package of `record` with these files.
fn insert(packages: &mut BTreeMap<String, Package>, record: &Record<'_>, files: Vec<ImagePath>) {
    let full = format!("{}:{}", record.name, record.architecture().unwrap_or_default());
    // One package may be installed for several architectures.
    let name = match packages.contains_key(record.name) {
        true => full.clone(),
        false => record.name.to_owned(),
    };
    let package = Package {
        name: name.clone(),
        version: record.version().to_owned(),
        source: record.source().unwrap_or(record.name).to_owned(),
        needs: record.needs(),
        provides: record.provides().chain([full]).collect(),
        files,
    };
    packages.insert(name, package);
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

/// The path of a line of `PACKAGE.md5sums`, which follows a checksum and two spaces.
fn summed_path(line: &str) -> Option<ImagePath> {
    image_path(line.split_once("  ")?.1)
}

/// The path of a line of a list, without slashes at either end; `None` for the root.
fn image_path(line: &str) -> Option<ImagePath> {
    let path = line.trim_matches('/');
    (!matches!(path, "" | ".")).then(|| path.as_bytes().into())
}
