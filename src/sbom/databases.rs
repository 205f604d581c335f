//! The databases of package managers in an image.

use super::alpine;
use super::debian;
use super::package::Package;
use crate::archive::{ArchiveError, FileSystem};

/// The size of the largest database, and of all databases of an image together, in bytes. That of
/// a full desktop has 10 MB.
const BYTES_MAX: u64 = 64 << 20;
/// The largest number of packages in an image. Debian has fewer altogether.
const PACKAGES_MAX: usize = 100_000;

/// Reads the packages in the databases of package managers, each with the layer of its database;
/// `None` if the image has no database.
///
/// # Errors
/// If a file of the image cannot be read, or the databases have more bytes or packages than those
/// of any real image.
pub(crate) fn packages(files: &FileSystem) -> Result<Option<Vec<Package>>, ArchiveError> {
    let mut databases = Databases { files, bytes: 0, packages: None };
    let single = files.paths().filter(|path| {
        path.starts_with(debian::STATUS_FOLDER.as_bytes()) && !path.ends_with(b".md5sums")
    });
    for path in [debian::STATUS.as_bytes().into()].into_iter().chain(single) {
        if let Some(text) = databases.read(&path)? {
            databases.add(&path, debian::packages(&text))?;
        }
    }
    for path in alpine::INSTALLED.map(str::as_bytes) {
        if let Some(text) = databases.read(path)? {
            databases.add(path, alpine::packages(&text))?;
        }
    }
    Ok(databases.packages)
}

/// The databases that were read so far.
struct Databases<'f> {
    files: &'f FileSystem,
    /// The size of all together.
    bytes: u64,
    packages: Option<Vec<Package>>,
}

impl Databases<'_> {
    /// Reads the database at `path`; `None` if there is none, or it is too large to be one.
    fn read(&mut self, path: &[u8]) -> Result<Option<String>, ArchiveError> {
        let Some(content) = self.files.content(path, BYTES_MAX)? else { return Ok(None) };
        self.bytes = self.bytes.saturating_add(content.len() as u64);
        if self.bytes > BYTES_MAX {
            return Err(self.too_large(&format!("{} MiB", BYTES_MAX >> 20)));
        }
        Ok(Some(String::from_utf8_lossy(&content).into_owned()))
    }

    /// Adds the packages of the database at `path`.
    fn add(
        &mut self,
        path: &[u8],
        packages: impl Iterator<Item = Package>,
    ) -> Result<(), ArchiveError> {
        let layer = self.files.layer_of(path);
        let known = self.packages.get_or_insert_default();
        let room = PACKAGES_MAX - known.len();
        known.extend(packages.take(room + 1).map(|package| Package { layer, ..package }));
        match known.len() > PACKAGES_MAX {
            true => Err(self.too_large(&format!("{PACKAGES_MAX} packages"))),
            false => Ok(()),
        }
    }

    fn too_large(&self, limit: &str) -> ArchiveError {
        ArchiveError::Invalid {
            path: self.files.image().to_owned(),
            problem: format!("its databases of dpkg and apk have more than {limit}"),
        }
    }
}
