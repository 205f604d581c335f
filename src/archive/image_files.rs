//! The files of an image, in a folder or in a tar.

use std::io;
use std::path::Path;

use super::ArchiveError;
use super::blob::FileSlice;
use super::folder::Folder;
#[cfg(feature = "registry")]
use super::json;
use super::members::Members;
#[cfg(feature = "registry")]
use crate::image::{ImageConfig, schema};
use crate::text;

/// The most bytes that a config, manifest or index may have, as in Podman and skopeo
/// (containers/image, `iolimits`). Real ones have some KiB; a history with a thousand store paths
/// makes a few hundred.
pub(crate) const DOCUMENT_MAX: u64 = 4 << 20;

/// The files of an image by name.
#[derive(Debug)]
pub(crate) enum ImageFiles {
    Folder(Folder),
    Archive(Members),
}

impl ImageFiles {
    /// The content of the file `name`, if there is such a file.
    pub(crate) fn get(&self, name: &str) -> io::Result<Option<FileSlice>> {
        match self {
            Self::Archive(members) => Ok(members.get(name).cloned()),
            Self::Folder(folder) => folder.open(name)?.map(FileSlice::whole).transpose(),
        }
    }

    /// The layer in the file `name`; an error if `image` has no such file.
    pub(crate) fn layer(&self, image: &Path, name: &str) -> Result<FileSlice, ArchiveError> {
        let slice = self.get(name).map_err(failed(image, name))?;
        slice.ok_or_else(|| {
            ArchiveError::invalid(image, format!("layer {} is missing", text::shorten(name)))
        })
    }

    /// The content of the small file `name`; an error if `image` has no such file.
    pub(crate) fn document(&self, image: &Path, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let document = self.document_if_present(image, name)?;
        document.ok_or_else(|| {
            ArchiveError::invalid(image, format!("{} is missing", text::shorten(name)))
        })
    }

    /// The content of the small file `name`, if there is such a file.
    pub(crate) fn document_if_present(
        &self,
        image: &Path,
        name: &str,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(slice) = self.get(name).map_err(failed(image, name))? else {
            return Ok(None);
        };
        let content = slice.read_small(DOCUMENT_MAX).map_err(failed(image, name))?;
        content.map(Some).ok_or_else(|| {
            let problem =
                format!("{} is larger than {} MiB", text::shorten(name), DOCUMENT_MAX >> 20);
            ArchiveError::invalid(image, problem)
        })
    }
}

/// Parses the config `bytes` of the image at `image`.
#[cfg(feature = "registry")]
pub(crate) fn parse_config(image: &Path, bytes: &[u8]) -> Result<ImageConfig, ArchiveError> {
    json::parse(image, "the config", bytes, schema::CONFIG)
}

/// Maps a failure to read the file `name` of `image`.
fn failed(image: &Path, name: &str) -> impl FnOnce(io::Error) -> ArchiveError {
    move |error| match error.kind() {
        io::ErrorKind::InvalidData => ArchiveError::invalid(image, error.to_string()),
        io::ErrorKind::UnexpectedEof => {
            ArchiveError::invalid(image, format!("{name} is truncated"))
        }
        _ => ArchiveError::read(image.join(name))(error),
    }
}
