//! Packages, in the databases of dpkg and apk.

use crate::check::comparison::Unread;
use crate::sbom::Package;

/// The packages of an image or a container; `None` if it has no database. Or the reason why the
/// databases are not read.
pub(in crate::check) struct Packages(Result<Option<Vec<Package>>, Unread>);

impl Default for Packages {
    fn default() -> Self {
        Self(Ok(None))
    }
}

impl Packages {
    pub(in crate::check) fn new(packages: Result<Option<Vec<Package>>, Unread>) -> Self {
        Self(packages)
    }

    /// Returns the installed versions of the package `name`, which may end in a colon and an
    /// architecture; `None` if there is no database.
    pub(super) fn versions(&self, name: &str) -> Result<Option<Vec<String>>, Unread> {
        let is_it = |package: &&Package| {
            let architecture = name.strip_prefix(&package.name).and_then(|it| it.strip_prefix(':'));
            package.name == name
                || architecture.is_some() && architecture == package.architecture.as_deref()
        };
        let Some(packages) = self.0.as_ref().map_err(Clone::clone)? else { return Ok(None) };
        Ok(Some(packages.iter().filter(is_it).map(|package| package.version.clone()).collect()))
    }
}
