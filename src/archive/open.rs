//! Opens an image of any supported format: docker-archive, OCI layout, or both in one file.
//! Archives may be compressed as a whole; OCI layouts may be folders.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::blob::FileSlice;
use super::decoder_memory::decoder_memory;
use super::decompress::Codec;
use super::folder::Folder;
use super::image::{Image, ImageSelector};
use super::image_files::ImageFiles;
use super::limits::{Budget, Limits};
use super::members::{Listing, Members};
use super::not_an_image::{self, not_a_file, not_found};
use super::tar::TarReader;
use super::{ArchiveError, docker, oci, write};
use crate::image::manifest::OciPlatform;

/// Opens the image at `path`; `selector` selects one of several.
///
/// # Errors
/// If `path` cannot be read, is not an image, or is a broken or hostile one, or if `selector`
/// matches no image or several.
pub fn open(path: &Path, selector: &ImageSelector) -> Result<Image, ArchiveError> {
    select(path, open_files(path, selector.limits)?, selector)
}

/// Opens an image in `file`, which messages call `name`.
///
/// # Errors
/// Like [`open`].
pub fn open_file(file: File, name: &Path, selector: &ImageSelector) -> Result<Image, ArchiveError> {
    let stored = FileSlice::whole(file).map_err(ArchiveError::read(name))?;
    select(name, archive_files(name, stored, selector.limits)?, selector)
}

/// Opens the image in `opened` that `selector` selects.
pub(crate) fn select(
    path: &Path,
    opened: OpenFiles,
    selector: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let OpenFiles { files, docker, oci, limits } = opened;
    let selector = &ImageSelector { limits, ..selector.clone() };
    if !docker {
        return oci::read(path, &files, selector);
    }
    let image = docker::read(path, &files, selector)?;
    if !oci {
        return Ok(image);
    }
    let other_platforms = oci::check_lists(path, &files, &image)?;
    let image = Image { other_platforms, ..image };
    // A dual archive has images for other platforms in its OCI half only.
    let platform = OciPlatform::from(&image.config);
    if selector.platform.as_ref().is_none_or(|wanted| platform.rank_for(wanted) == Some(0)) {
        return Ok(image);
    }
    let best = oci::read(path, &files, selector)?;
    Ok(if best.id() == image.id() { image } else { best })
}

/// Opens the image in the docker-archive half of `opened`, and checks that the other half lists it.
#[cfg(feature = "registry")]
pub(crate) fn select_docker(
    path: &Path,
    opened: &OpenFiles,
    selector: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let image = docker::read(path, &opened.files, selector)?;
    oci::check_lists(path, &opened.files, &image)?;
    Ok(image)
}

/// The files of a file or folder that is an image or has several.
pub(crate) struct OpenFiles {
    pub(crate) files: ImageFiles,
    /// Whether they are a docker-archive.
    pub(crate) docker: bool,
    /// Whether they are an OCI layout; a dual archive is both.
    pub(crate) oci: bool,
    pub(crate) limits: Limits,
}

/// Opens the file or folder at `path`.
pub(crate) fn open_files(path: &Path, limits: Limits) -> Result<OpenFiles, ArchiveError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Err(not_found(path, error)),
    };
    if metadata.is_dir() {
        let files = open_folder(path)?;
        return Ok(OpenFiles { files, docker: false, oci: true, limits });
    }
    if !metadata.is_file() {
        return Err(not_a_file(path, metadata.file_type()));
    }
    archive_files(path, open_regular(path)?, limits)
}

/// Opens the archive in `file`, which messages call `name`.
#[cfg(all(feature = "registry", feature = "vm"))]
pub(crate) fn open_saved(
    name: &Path,
    file: File,
    limits: Limits,
) -> Result<OpenFiles, ArchiveError> {
    let stored = FileSlice::whole(file).map_err(ArchiveError::read(name))?;
    archive_files(name, stored, limits)
}

/// The files of an archive.
fn archive_files(
    path: &Path,
    stored: FileSlice,
    limits: Limits,
) -> Result<OpenFiles, ArchiveError> {
    let (archive, limits) = decompressed(path, stored, limits)?;
    let members = members(path, &archive)?;
    let (docker, oci) = (members.has(docker::MANIFEST), members.has(oci::LAYOUT));
    Ok(OpenFiles { files: ImageFiles::Archive(members), docker, oci, limits })
}

fn open_folder(path: &Path) -> Result<ImageFiles, ArchiveError> {
    let folder = Folder::open_root(path).map_err(ArchiveError::read(path))?;
    let files = ImageFiles::Folder(folder);
    if files.document_if_present(path, oci::LAYOUT)?.is_some() {
        return Ok(files);
    }
    let hint = match files.document_if_present(path, docker::MANIFEST)? {
        Some(_) => "; it has a manifest.json: pack its files into a tar to make a docker-archive",
        None => "",
    };
    let problem = format!("not an OCI layout: the folder has no file {}{hint}", oci::LAYOUT);
    Err(ArchiveError::invalid(path, problem))
}

/// Opens a regular file, without waiting if it has been replaced by a pipe.
fn open_regular(path: &Path) -> Result<FileSlice, ArchiveError> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(ArchiveError::read(path))?;
    let file_type = file.metadata().map_err(ArchiveError::read(path))?.file_type();
    if !file_type.is_file() {
        return Err(not_a_file(path, file_type));
    }
    FileSlice::whole(file).map_err(ArchiveError::read(path))
}

/// The members of an image archive.
fn members(path: &Path, archive: &FileSlice) -> Result<Members, ArchiveError> {
    let listing = Listing::read(archive);
    let is_image = listing.members.has(docker::MANIFEST) || listing.members.has(oci::LAYOUT);
    let problem = match listing.problem {
        None if is_image => return Ok(listing.members),
        Some(error) if is_image => read_problem(&error),
        error => {
            let is_tar = TarReader::new(archive.clone()).starts_with_header();
            if !is_tar || archive.is_empty() {
                not_an_image::file(archive).map_err(ArchiveError::read(path))?
            } else if let Some(problem) = not_an_image::tar(&listing.root_directories) {
                problem
            } else if let Some(error) = error {
                read_problem(&error)
            } else {
                "not an image: the archive has neither manifest.json nor oci-layout".to_owned()
            }
        }
    };
    Err(ArchiveError::invalid(path, problem))
}

fn read_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the archive is truncated".to_owned(),
        _ => error.to_string(),
    }
}

/// The plain tar of an archive that may be compressed as a whole. Members are read out of order, so
/// a compressed archive is decompressed once, into an unnamed temporary file.
fn decompressed(
    path: &Path,
    stored: FileSlice,
    limits: Limits,
) -> Result<(FileSlice, Limits), ArchiveError> {
    let read_failed = |error: io::Error| ArchiveError::invalid(path, read_problem(&error));
    let codec = Codec::detect(&stored).map_err(read_failed)?;
    if codec == Codec::Plain {
        return Ok((stored, limits));
    }
    decoder_memory(codec, &stored).map_err(read_failed)?;
    // What is compressed within counts against the size of the file, not of what it contains.
    let limits = Limits { size: Some(limits.decompressed(stored.len())), ..limits };
    let budget = Budget::new(&limits, stored.len());
    let mut plain: File = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let source = budget.reader(codec.decode(stored).map_err(read_failed)?);
    write::copy(source, "", &mut plain, |_| ()).map_err(|error| match error {
        ArchiveError::Read { source, .. } => read_failed(source),
        ArchiveError::Write { source, .. } => ArchiveError::temporary_file(source),
        other => other,
    })?;
    Ok((FileSlice::whole(plain).map_err(ArchiveError::temporary_file)?, limits))
}
