//! Where an image is: a file, a folder, a registry or a daemon, written as in skopeo
//! (containers-transports(5)).

use std::fmt;
use std::path::{Path, PathBuf};

use super::remote::RemoteReferenceError;
use super::{Reference, ReferenceError, RemoteReference};
use crate::text;

/// The place of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file or folder in any format, given by its path alone.
    Path(PathBuf),
    /// `docker-archive:FILE[:NAME:TAG]`.
    DockerArchive(ImagePath),
    /// `oci:FOLDER[:TAG]`: an OCI layout.
    OciFolder(ImagePath),
    /// `oci-archive:FILE[:TAG]`: an OCI layout in a tar.
    OciArchive(ImagePath),
    /// `docker://REFERENCE`: an image in a registry.
    Registry(RemoteReference),
    /// `docker-daemon:NAME:TAG`: an image in a daemon.
    Daemon(Reference),
}

/// A file or folder that may have several images, and which one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePath {
    /// The file or folder.
    pub path: PathBuf,
    /// The name of the image in it: a tag, or name and tag.
    pub name: Option<String>,
}

/// A text that does not name the place of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// The text is empty.
    #[error("the path is empty; give a file, a folder, or docker://REFERENCE")]
    Empty,
    /// The reference after `docker://` is invalid.
    #[error("{}: {source}", text::quote(.text))]
    Remote {
        /// The given text.
        text: String,
        /// The mistake.
        source: RemoteReferenceError,
    },
    /// The reference after `docker-daemon:` is invalid.
    #[error("{}: {source}", text::quote(.text))]
    Daemon {
        /// The given text.
        text: String,
        /// The mistake.
        source: ReferenceError,
    },
    /// There is no path after the prefix.
    #[error("{} has no path; write {}PATH", text::quote(.0), .0)]
    NoPath(String),
}

const REGISTRY: &str = "docker://";
const DAEMON: &str = "docker-daemon:";
const DOCKER_ARCHIVE: &str = "docker-archive:";
const OCI_FOLDER: &str = "oci:";
const OCI_ARCHIVE: &str = "oci-archive:";

impl Location {
    /// Parses a location; without a known prefix, `text` is a path.
    ///
    /// # Errors
    /// If the part after a prefix is invalid.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        if let Some(reference) = text.strip_prefix(REGISTRY) {
            let parsed = reference.parse().map(Self::Registry);
            return parsed
                .map_err(|source| LocationError::Remote { text: text.to_owned(), source });
        }
        if let Some(reference) = text.strip_prefix(DAEMON) {
            let parsed = reference.parse().map(Self::Daemon);
            return parsed
                .map_err(|source| LocationError::Daemon { text: text.to_owned(), source });
        }
        type Build = fn(ImagePath) -> Location;
        let kinds: [(&str, Build); 3] = [
            (DOCKER_ARCHIVE, Self::DockerArchive),
            (OCI_FOLDER, Self::OciFolder),
            (OCI_ARCHIVE, Self::OciArchive),
        ];
        for (prefix, build) in kinds {
            let Some(place) = text.strip_prefix(prefix) else { continue };
            // As in other tools, the path ends at the first colon.
            let (path, name) = place.split_once(':').unwrap_or((place, ""));
            if path.is_empty() {
                return Err(LocationError::NoPath(prefix.to_owned()));
            }
            let name = Some(name.to_owned()).filter(|name| !name.is_empty());
            return Ok(build(ImagePath { path: path.into(), name }));
        }
        Ok(Self::Path(text.into()))
    }

    /// Resolves a relative path in `folder`.
    #[must_use]
    pub fn in_folder(self, folder: &Path) -> Self {
        match self {
            Self::Path(path) => Self::Path(folder.join(path)),
            Self::DockerArchive(place) => Self::DockerArchive(place.in_folder(folder)),
            Self::OciFolder(place) => Self::OciFolder(place.in_folder(folder)),
            Self::OciArchive(place) => Self::OciArchive(place.in_folder(folder)),
            other => other,
        }
    }

    /// The path, if the image is in a file or folder.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::DockerArchive(place) | Self::OciFolder(place) | Self::OciArchive(place) => {
                Some(&place.path)
            }
            Self::Registry(_) | Self::Daemon(_) => None,
        }
    }

    /// The name of the image in the file or folder, if it is given: a tag, or name and tag.
    pub fn name_in_file(&self) -> Option<&str> {
        match self {
            Self::DockerArchive(place) | Self::OciFolder(place) | Self::OciArchive(place) => {
                place.name.as_deref()
            }
            Self::Path(_) | Self::Registry(_) | Self::Daemon(_) => None,
        }
    }
}

impl ImagePath {
    fn in_folder(self, folder: &Path) -> Self {
        Self { path: folder.join(self.path), ..self }
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.name.iter().try_for_each(|name| write!(f, ":{name}"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::DockerArchive(place) => write!(f, "{DOCKER_ARCHIVE}{place}"),
            Self::OciFolder(place) => write!(f, "{OCI_FOLDER}{place}"),
            Self::OciArchive(place) => write!(f, "{OCI_ARCHIVE}{place}"),
            Self::Registry(reference) => write!(f, "{REGISTRY}{reference}"),
            Self::Daemon(reference) => write!(f, "{DAEMON}{reference}"),
        }
    }
}

/// Whether `text`, which names no file, looks like an image in a registry: `debian:12`, a name that
/// begins with a host, or a single word.
pub(crate) fn looks_remote(text: &str) -> bool {
    let (first, rest) = text.split_once('/').unwrap_or((text, ""));
    let has_host = !rest.is_empty() && (first.contains([':', '.']) || first == "localhost");
    let has_tag = text
        .rsplit_once(':')
        .is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty() && !tag.contains('/'));
    let is_word = !text.contains(['/', '.']);
    let is_path = first.is_empty() || matches!(first, "." | "..");
    !is_path && (has_tag || has_host || is_word) && text.parse::<RemoteReference>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_selects_the_kind_and_everything_else_is_a_path() {
        for (text, shown) in [
            ("app.tar", "app.tar"),
            ("docker-archive:app.tar", "docker-archive:app.tar"),
            ("oci:layout", "oci:layout"),
            ("oci-archive:x.tar:1.0", "oci-archive:x.tar:1.0"),
            ("docker://debian:12", "docker://docker.io/library/debian:12"),
            ("docker-daemon:app:1", "docker-daemon:app:1"),
            ("debian:12", "debian:12"),
        ] {
            assert_eq!(Location::parse(text).unwrap().to_string(), shown);
        }
        assert!(matches!(Location::parse("debian:12"), Ok(Location::Path(_))));
        // containers-transports(5): docker-archive:path[:docker-reference], oci:path[:reference].
        let location = Location::parse("docker-archive:a.tar:my/app:1").unwrap();
        assert_eq!(location.path(), Some(Path::new("a.tar")));
        assert_eq!(location.name_in_file(), Some("my/app:1"));
        for text in ["docker://", "docker://a b", "oci:", "docker-daemon:A@1"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_word_or_a_name_with_a_tag_or_a_host_looks_like_an_image_in_a_registry() {
        for text in ["debian:12", "my/app:1", "reg.example/app", "localhost:5000/app", "debian"] {
            assert!(looks_remote(text), "{text}");
        }
        for text in ["app.tar", "./debian:12", "../a:1", "/a:1", "folder/app", "a b:1"] {
            assert!(!looks_remote(text), "{text}");
        }
    }
}
