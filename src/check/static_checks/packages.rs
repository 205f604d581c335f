//! The packages of an image, in the databases of dpkg and apk.

use crate::archive::FileSystem;
use crate::check::CheckError;
use crate::check::expectations::{GossExpectations, GossSubject};
use crate::check::image::ImageUnderTest;
use crate::sbom::{Package, databases};

/// The packages of an image; `None` if it has no database, or if no test asks for packages.
pub(super) struct Packages(Option<Vec<Package>>);

impl Packages {
    /// Reads the packages of `image` if one of `tests` asks for them.
    pub(super) fn read(
        image: &ImageUnderTest,
        tests: &[GossExpectations],
    ) -> Result<Self, CheckError> {
        let asks = |test: &GossExpectations| matches!(test.subject, GossSubject::Package(_));
        if !tests.iter().any(|test| asks(test) && !test.skip) {
            return Ok(Self(None));
        }
        let files = FileSystem::read(&image.image, image.threads)?;
        Ok(Self(databases::packages(&files)?))
    }

    /// Returns the installed versions of the package `name`, which may end in a colon and an
    /// architecture; `None` if the image has no database.
    pub(super) fn versions(&self, name: &str) -> Option<Vec<String>> {
        let is_it = |package: &&Package| {
            let architecture = name.strip_prefix(&package.name).and_then(|it| it.strip_prefix(':'));
            package.name == name
                || architecture.is_some() && architecture == package.architecture.as_deref()
        };
        let packages = self.0.as_ref()?.iter().filter(is_it);
        Some(packages.map(|package| package.version.clone()).collect())
    }
}
