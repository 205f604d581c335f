//! Opens images by their location: checks that the format is the one that the location says, and
//! suggests the right spelling.

use super::image::{Image, ImageFormat, ImageSelector};
use super::{ArchiveError, open};
use crate::image::Location;
use crate::image::location::looks_remote;
use crate::text;

/// Opens the image at `location`, which is a file or folder; `selector` selects one of several.
///
/// # Errors
/// Like [`open()`], and if the image has another format than `location` says, or is not in a file
/// or folder.
pub fn open_location(location: &Location, selector: &ImageSelector) -> Result<Image, ArchiveError> {
    check_spelling(location)?;
    let Some(path) = location.path() else {
        return Err(ArchiveError::invalid(location.to_string(), "the image is not in a file"));
    };
    let image = match location.name_in_file() {
        Some(name) => open(path, &selector.clone().named(name))?,
        None => open(path, selector)?,
    };
    match (location, image.format) {
        (Location::DockerArchive(_), ImageFormat::OciLayout) => Err(ArchiveError::invalid(
            location.to_string(),
            "it is an OCI layout, not a docker-archive; write oci-archive:",
        )),
        _ => Ok(image),
    }
}

/// Checks that the file or folder at `location` exists and is what its prefix says.
pub(crate) fn check_spelling(location: &Location) -> Result<(), ArchiveError> {
    let wrong = |problem: &str| Err(ArchiveError::invalid(location.to_string(), problem));
    let Some(path) = location.path() else { return Ok(()) };
    match location {
        Location::Path(path) if !path.exists() => match suggestion(&path.to_string_lossy()) {
            Some(suggested) => {
                let problem = format!("there is no such file; {suggested}");
                Err(ArchiveError::invalid(path, problem))
            }
            None => Ok(()),
        },
        Location::OciFolder(_) if path.exists() && !path.is_dir() => {
            wrong("it is not a folder; for an OCI layout in a tar, write oci-archive:")
        }
        Location::OciArchive(_) | Location::DockerArchive(_) if path.is_dir() => {
            wrong("it is a folder; for an OCI layout in a folder, write oci:")
        }
        _ => Ok(()),
    }
}

/// How to write the image that `text`, which names no file, probably means.
fn suggestion(text: &str) -> Option<String> {
    if let Some(reference) = text.strip_prefix("containers-storage:") {
        return Some(format!(
            "for an image in Podman, write docker-daemon:{reference}, with the address of Podman's \
             socket in DOCKER_HOST"
        ));
    }
    if looks_remote(text) {
        return Some(format!(
            "for the image in a registry, write docker://{text}; for one in a daemon, \
             docker-daemon:{text}"
        ));
    }
    let all = "docker://REFERENCE, oci:FOLDER, oci-archive:FILE, docker-archive:FILE, \
               docker-daemon:REFERENCE or a path";
    if let Some(reference) = text.strip_prefix("https://").or(text.strip_prefix("http://")) {
        return Some(format!(
            "for the image in a registry, write docker://{}",
            reference.trim_end_matches('/')
        ));
    }
    let (prefix, rest) = text.split_once(':')?;
    let rest = rest.trim_start_matches('/');
    match prefix {
        "docker" | "registry" | "docker-registry" => {
            Some(format!("for the image in a registry, write docker://{rest}"))
        }
        "dir" => Some(
            "a folder in skopeo's format dir: cannot be read; copy it to oci:FOLDER with \
                       skopeo copy"
                .to_owned(),
        ),
        "docker-image" | "daemon" => {
            Some(format!("for the image in a daemon, write docker-daemon:{rest}"))
        }
        "oci-layout" => Some(format!("for an OCI layout in a folder, write oci:{rest}")),
        _ if text.contains("://") => {
            Some(format!("unknown prefix {}; write {all}", text::quote(prefix)))
        }
        _ => None,
    }
}
