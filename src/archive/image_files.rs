//! The files of an image, in a folder or in a tar.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::ArchiveError;
use super::blob::FileSlice;
use super::members::Members;

/// The most bytes that a config, manifest or index may have. Real ones have some KiB; a history
/// with a thousand store paths makes a few hundred.
const DOCUMENT_MAX: u64 = 16 << 20;

/// The files of an image by name.
pub(crate) enum ImageFiles {
    Folder(PathBuf),
    Archive(Members),
}

impl ImageFiles {
    /// The content of the file `name`, if there is such a file.
    pub(crate) fn get(&self, name: &str) -> io::Result<Option<FileSlice>> {
        match self {
            Self::Archive(members) => Ok(members.get(name).cloned()),
            Self::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) if file.metadata()?.is_file() => FileSlice::whole(file).map(Some),
                Ok(_) => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// The layer in the file `name`; an error if `image` has no such file.
    pub(crate) fn layer(&self, image: &Path, name: &str) -> Result<FileSlice, ArchiveError> {
        let slice = self.get(name).map_err(ArchiveError::read(image))?;
        slice.ok_or_else(|| ArchiveError::invalid(image, format!("layer {name} is missing")))
    }

    /// The content of the small file `name`; an error if `image` has no such file.
    pub(crate) fn document(&self, image: &Path, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let slice = self.get(name).map_err(ArchiveError::read(image))?;
        let slice =
            slice.ok_or_else(|| ArchiveError::invalid(image, format!("{name} is missing")))?;
        let content = slice.read_small(DOCUMENT_MAX).map_err(ArchiveError::read(image))?;
        content.ok_or_else(|| {
            let problem = format!("{name} is larger than {} MiB", DOCUMENT_MAX >> 20);
            ArchiveError::invalid(image, problem)
        })
    }
}
