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
    /// `docker-archive:FILE`.
    DockerArchive(PathBuf),
    /// `oci:FOLDER`: an OCI layout.
    OciFolder(PathBuf),
    /// `oci-archive:FILE`: an OCI layout in a tar.
    OciArchive(PathBuf),
    /// `docker://REFERENCE`: an image in a registry.
    Registry(RemoteReference),
    /// `docker-daemon:NAME:TAG`: an image in a daemon.
    Daemon(Reference),
}

/// A text that does not name the place of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
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
        type Build = fn(PathBuf) -> Location;
        let kinds: [(&str, Build); 3] = [
            (DOCKER_ARCHIVE, Self::DockerArchive),
            (OCI_FOLDER, Self::OciFolder),
            (OCI_ARCHIVE, Self::OciArchive),
        ];
        for (prefix, build) in kinds {
            match text.strip_prefix(prefix) {
                Some("") => return Err(LocationError::NoPath(prefix.to_owned())),
                Some(path) => return Ok(build(path.into())),
                None => {}
            }
        }
        Ok(Self::Path(text.into()))
    }

    /// Resolves a relative path in `folder`.
    #[must_use]
    pub fn in_folder(self, folder: &Path) -> Self {
        match self {
            Self::Path(path) => Self::Path(folder.join(path)),
            Self::DockerArchive(path) => Self::DockerArchive(folder.join(path)),
            Self::OciFolder(path) => Self::OciFolder(folder.join(path)),
            Self::OciArchive(path) => Self::OciArchive(folder.join(path)),
            other => other,
        }
    }

    /// The path, if the image is in a file or folder.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path)
            | Self::DockerArchive(path)
            | Self::OciFolder(path)
            | Self::OciArchive(path) => Some(path),
            Self::Registry(_) | Self::Daemon(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::DockerArchive(path) => write!(f, "{DOCKER_ARCHIVE}{}", path.display()),
            Self::OciFolder(path) => write!(f, "{OCI_FOLDER}{}", path.display()),
            Self::OciArchive(path) => write!(f, "{OCI_ARCHIVE}{}", path.display()),
            Self::Registry(reference) => write!(f, "{REGISTRY}{reference}"),
            Self::Daemon(reference) => write!(f, "{DAEMON}{reference}"),
        }
    }
}

/// Whether `text`, which names no file, looks like an image in a registry: `debian:12`, or a name
/// that begins with a host.
pub(crate) fn looks_remote(text: &str) -> bool {
    let (first, rest) = text.split_once('/').unwrap_or((text, ""));
    let has_host = !rest.is_empty() && (first.contains([':', '.']) || first == "localhost");
    let has_tag = text
        .rsplit_once(':')
        .is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty() && !tag.contains('/'));
    let is_path = first.is_empty() || matches!(first, "." | "..");
    !is_path && (has_tag || has_host) && text.parse::<RemoteReference>().is_ok()
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
            ("oci-archive:x.tar", "oci-archive:x.tar"),
            ("docker://debian:12", "docker://docker.io/library/debian:12"),
            ("docker-daemon:app:1", "docker-daemon:app:1"),
            ("debian:12", "debian:12"),
        ] {
            assert_eq!(Location::parse(text).unwrap().to_string(), shown);
        }
        assert!(matches!(Location::parse("debian:12"), Ok(Location::Path(_))));
        for text in ["docker://", "docker://a b", "oci:", "docker-daemon:A@1"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_with_a_tag_or_a_host_looks_like_an_image_in_a_registry() {
        for text in ["debian:12", "my/app:1", "reg.example/app", "localhost:5000/app"] {
            assert!(looks_remote(text), "{text}");
        }
        for text in ["app.tar", "./debian:12", "../a:1", "/a:1", "folder/app", "a b:1"] {
            assert!(!looks_remote(text), "{text}");
        }
    }
}
