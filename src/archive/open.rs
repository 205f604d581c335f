//! Opens an image of any supported format: docker-archive, OCI layout, or both in one file.
//! Archives may be compressed as a whole; OCI layouts may be folders.

use std::fs::File;
use std::io;
use std::path::Path;

use super::blob::FileSlice;
use super::decompress::{Codec, CountingReader, decompressed_limit};
use super::image::{Image, ImageSelector};
use super::image_files::ImageFiles;
use super::members::Members;
use super::tar::TarReader;
use super::{ArchiveError, docker, oci, write};

/// Opens the image at `path`; `selector` selects one of several.
///
/// # Errors
/// If `path` cannot be read, is not an image, or is a broken or hostile one, or if `selector`
/// matches no image or several.
pub fn open(path: &Path, selector: &ImageSelector) -> Result<Image, ArchiveError> {
    let metadata = std::fs::metadata(path).map_err(ArchiveError::read(path))?;
    if metadata.is_dir() {
        let files = ImageFiles::Folder(path.to_owned());
        return match files.get("oci-layout").map_err(ArchiveError::read(path))? {
            Some(_) => oci::read(path, &files, selector),
            None => Err(ArchiveError::invalid(
                path,
                "not an OCI layout: the folder has no file oci-layout",
            )),
        };
    }
    let file = File::open(path).map_err(ArchiveError::read(path))?;
    let stored = FileSlice::whole(file).map_err(ArchiveError::read(path))?;
    let archive = decompressed(path, stored)?;
    if !TarReader::new(archive.clone()).starts_with_header() {
        let problem = "not an image; expected a docker-archive or an OCI layout";
        return Err(ArchiveError::invalid(path, problem));
    }
    let members = Members::list(&archive).map_err(|e| not_an_image(path, &e))?;
    let (docker, oci) = (members.has("manifest.json"), members.has("oci-layout"));
    let files = ImageFiles::Archive(members);
    if docker {
        let image = docker::read(path, &files, selector)?;
        // A dual archive has images for other platforms in its OCI half only.
        let other_platform = selector
            .platform
            .as_ref()
            .is_some_and(|wanted| image.config.architecture != wanted.arch.goarch());
        if oci && other_platform { oci::read(path, &files, selector) } else { Ok(image) }
    } else if oci {
        oci::read(path, &files, selector)
    } else {
        Err(ArchiveError::invalid(
            path,
            "not an image: the archive has neither manifest.json nor oci-layout",
        ))
    }
}

fn not_an_image(path: &Path, error: &io::Error) -> ArchiveError {
    let problem = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the archive is truncated".to_owned(),
        _ => error.to_string(),
    };
    ArchiveError::invalid(path, problem)
}

/// The plain tar of an archive that may be compressed as a whole. Members are read out of order, so
/// a compressed archive is decompressed once, into an unnamed temporary file.
fn decompressed(path: &Path, stored: FileSlice) -> Result<FileSlice, ArchiveError> {
    let read_failed = |error: io::Error| not_an_image(path, &error);
    let write_failed =
        |source| ArchiveError::Write { target: "a temporary file".to_owned(), source };
    let codec = Codec::detect(&stored).map_err(read_failed)?;
    if codec == Codec::Plain {
        return Ok(stored);
    }
    let limit = decompressed_limit(stored.len());
    let mut plain = tempfile::tempfile().map_err(write_failed)?;
    let source = CountingReader::new(codec.decode(stored).map_err(read_failed)?, limit);
    write::copy(source, "", &mut plain, |_| ()).map_err(|error| match error {
        ArchiveError::Read { source, .. } => read_failed(source),
        ArchiveError::Write { source, .. } => write_failed(source),
        other => other,
    })?;
    FileSlice::whole(plain).map_err(write_failed)
}
