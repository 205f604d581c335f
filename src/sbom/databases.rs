//! The databases of package managers in an image or a container.

use super::package::{Ecosystem, Package};
use crate::archive::{ArchiveError, FileSystem};
use crate::packages::{apk, dpkg};

/// The size of the largest database, and of all databases of an image together, in bytes. That of
/// a full desktop has 10 MB.
const BYTES_MAX: u64 = 64 << 20;
/// The largest number of packages in an image. Debian has fewer altogether.
const PACKAGES_MAX: usize = 100_000;

/// Adds the packages of a database with this content, which is in this layer, if it is of an image.
type Add = fn(&mut Databases, &[u8], Option<usize>) -> Result<(), String>;

/// The databases that are one file, and how each is read.
pub(crate) const FILES: [(&str, Add); 3] = [
    (dpkg::STATUS, Databases::add_debian),
    (apk::INSTALLED[0], Databases::add_alpine),
    (apk::INSTALLED[1], Databases::add_alpine),
];

/// Files of databases that are not read, with their package managers.
#[cfg(feature = "vm")]
pub(crate) const UNREAD: [(&str, &str); 7] = [
    ("var/lib/rpm/rpmdb.sqlite", "rpm"),
    ("var/lib/rpm/Packages", "rpm"),
    ("var/lib/rpm/Packages.db", "rpm"),
    ("usr/lib/sysimage/rpm/rpmdb.sqlite", "rpm"),
    ("usr/lib/sysimage/rpm/Packages", "rpm"),
    ("usr/lib/sysimage/rpm/Packages.db", "rpm"),
    ("var/lib/pacman/local/ALPM_DB_VERSION", "pacman"),
];

/// The reason why packages are not known, if the only database is that of this package manager.
#[cfg(feature = "vm")]
pub(crate) fn is_unread(manager: &str) -> String {
    format!("the packages are in a database of {manager}; seatrial reads those of dpkg and apk")
}

/// The folder with a file for each Debian package.
pub(crate) const FOLDER: &str = dpkg::STATUS_FOLDER;

/// Whether the file at `path` in the folder is about a package.
pub(crate) fn is_of_package(path: &[u8]) -> bool {
    !path.ends_with(dpkg::SUMS.as_bytes())
}

/// Reads the packages in the databases of package managers, each with the layer of its database;
/// `None` if the image has no database.
///
/// # Errors
/// If a file of the image cannot be read, or the databases have more bytes or packages than those
/// of any real image.
pub(crate) fn packages(files: &FileSystem) -> Result<Option<Vec<Package>>, ArchiveError> {
    let mut databases = Databases::default();
    let [status, others @ ..] = FILES.map(|(path, add)| (path.as_bytes().into(), add));
    let is_single = |path: &[u8]| path.starts_with(FOLDER.as_bytes()) && is_of_package(path);
    let single = files
        .paths()
        .filter(|path| is_single(path))
        .map(|path| (path, Databases::add_debian as Add));
    for (path, add) in [status].into_iter().chain(single).chain(others) {
        // A larger one is not a database.
        if let Some(content) = files.content(&path, BYTES_MAX)? {
            add(&mut databases, &content, files.layer_of(&path)).map_err(|problem| {
                ArchiveError::Invalid { path: files.image().to_owned(), problem }
            })?;
        }
    }
    Ok(databases.packages())
}

/// Says which database an image has that is not read, if it has any.
#[cfg(feature = "vm")]
pub(crate) fn unread(files: &FileSystem) -> Option<String> {
    let is_there = |wanted: &str| files.paths().any(|path| *path == *wanted.as_bytes());
    let (_, manager) = UNREAD.iter().find(|(path, _)| is_there(path))?;
    Some(is_unread(manager))
}

/// The packages of the databases that were read so far.
#[derive(Default)]
pub(crate) struct Databases {
    /// The size of all together.
    bytes: u64,
    packages: Option<Vec<Package>>,
}

impl Databases {
    /// Adds the packages of a database of dpkg, or of a file about a single package.
    ///
    /// # Errors
    /// If there are more bytes or packages than those of any real image.
    pub(crate) fn add_debian(
        &mut self,
        content: &[u8],
        layer: Option<usize>,
    ) -> Result<(), String> {
        self.count(content)?;
        let text = String::from_utf8_lossy(content);
        let installed = dpkg::records(&text).filter(dpkg::Record::is_installed);
        self.add(installed.map(|record| debian(&record)), layer)
    }

    /// Adds the packages of a database of apk.
    ///
    /// # Errors
    /// If there are more bytes or packages than those of any real image.
    pub(crate) fn add_alpine(
        &mut self,
        content: &[u8],
        layer: Option<usize>,
    ) -> Result<(), String> {
        self.count(content)?;
        let text = String::from_utf8_lossy(content);
        self.add(apk::records(&text).map(|record| alpine(&record)), layer)
    }

    /// The packages; `None` if there was no database.
    pub(crate) fn packages(self) -> Option<Vec<Package>> {
        self.packages
    }

    fn count(&mut self, content: &[u8]) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(content.len() as u64);
        match self.bytes > BYTES_MAX {
            true => Err(too_large(&format!("{} MiB", BYTES_MAX >> 20))),
            false => Ok(()),
        }
    }

    fn add(
        &mut self,
        packages: impl Iterator<Item = Package>,
        layer: Option<usize>,
    ) -> Result<(), String> {
        let known = self.packages.get_or_insert_default();
        let room = PACKAGES_MAX - known.len();
        known.extend(packages.take(room + 1).map(|package| Package { layer, ..package }));
        match known.len() > PACKAGES_MAX {
            true => Err(too_large(&format!("{PACKAGES_MAX} packages"))),
            false => Ok(()),
        }
    }
}

fn too_large(limit: &str) -> String {
    format!("its databases of dpkg and apk have more than {limit}")
}

fn debian(record: &dpkg::Record<'_>) -> Package {
    Package {
        ecosystem: Ecosystem::Debian,
        name: record.name.to_owned(),
        version: record.version().to_owned(),
        architecture: record.architecture().map(str::to_owned),
        distribution: None,
        source: record.source().map(str::to_owned),
        maintainer: record.maintainer().map(str::to_owned),
        license: None,
        path: None,
        layer: None,
    }
}

fn alpine(record: &apk::Record<'_>) -> Package {
    Package {
        ecosystem: Ecosystem::Alpine,
        name: record.name.to_owned(),
        version: record.version().to_owned(),
        architecture: record.architecture().map(str::to_owned),
        distribution: None,
        source: record.origin().filter(|origin| *origin != record.name).map(str::to_owned),
        maintainer: record.maintainer().map(str::to_owned),
        license: record.license().map(str::to_owned),
        path: None,
        layer: None,
    }
}
