//! References to images in registries, with the rules of Docker and containerd for names without a
//! registry (distribution `reference/normalize.go`).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::name_rules::split_registry;
use super::{Digest, DigestError, Name, Reference, ReferenceError, Tag};

/// An image in a registry: `[registry/]repository[:tag][@digest]`. Names with the default registry
/// and without it are equal.
#[derive(Clone, Debug)]
pub struct RemoteReference {
    registry: String,
    repository: String,
    /// The tag, if one is given or if there is no digest.
    pub tag: Option<Tag>,
    /// The digest of the image's manifest or index.
    pub digest: Option<Digest>,
    /// Whether the user wrote no registry.
    #[cfg_attr(not(feature = "registry"), expect(dead_code))]
    is_short: bool,
}

/// A text that is not the reference of an image in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteReferenceError {
    /// Its name or tag is invalid.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// Its digest is invalid.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// The registry of names without one.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Other names of it.
const DEFAULT_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// The host on which that registry serves its API.
const DEFAULT_HOST: &str = "registry-1.docker.io";

impl RemoteReference {
    /// The registry as users write it: a host, with a port if it is not the usual one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host, and the port if there is one, that serve the registry's API.
    pub fn host(&self) -> &str {
        if self.registry == DEFAULT_REGISTRY { DEFAULT_HOST } else { &self.registry }
    }

    /// Whether the default registry is meant because no registry is written.
    #[cfg(feature = "registry")]
    pub(crate) fn is_short(&self) -> bool {
        self.is_short
    }

    /// All that distinguishes images.
    fn key(&self) -> (&str, &str, Option<&Tag>, Option<&Digest>) {
        (&self.registry, &self.repository, self.tag.as_ref(), self.digest.as_ref())
    }

    /// The repository within the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository with only `digest`.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same reference with `digest`: the tag stays, but the digest decides.
    #[cfg(feature = "registry")]
    #[must_use]
    pub(crate) fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The path component of the API for the image: its digest, or else its tag.
    pub fn manifest_name(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Parses a reference that begins with a registry, even if that has no dot and no port.
    #[cfg(feature = "registry")]
    pub(crate) fn with_registry(text: &str) -> Result<Self, RemoteReferenceError> {
        let (registry, rest) = text.split_once('/').unwrap_or((text, ""));
        // The host stands for any.
        let parsed: Self = format!("host.example/{rest}").parse()?;
        Ok(Self { registry: registry.to_owned(), is_short: false, ..parsed })
    }

    /// Name and tag as Docker shows them, if there is a tag.
    pub fn familiar(&self) -> Option<String> {
        let tag = self.tag.as_ref()?;
        let name = self.name();
        Some(format!("{}:{tag}", super::reference::familiar(&name)))
    }
}

impl From<&Reference> for RemoteReference {
    fn from(reference: &Reference) -> Self {
        let (registry, repository) = match split_registry(reference.name.as_str()) {
            (Some(registry), path) if DEFAULT_ALIASES.contains(&registry) => (None, path),
            (Some(registry), path) => (Some(registry), path),
            (None, path) => (None, path),
        };
        let is_default = registry.is_none_or(|registry| registry == DEFAULT_REGISTRY);
        let repository = match is_default && !repository.contains('/') {
            true => format!("library/{repository}"),
            false => repository.to_owned(),
        };
        Self {
            registry: registry.unwrap_or(DEFAULT_REGISTRY).to_owned(),
            repository,
            tag: Some(reference.tag.clone()),
            digest: None,
            is_short: split_registry(reference.name.as_str()).0.is_none(),
        }
    }
}

impl PartialEq for RemoteReference {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for RemoteReference {}

impl PartialOrd for RemoteReference {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RemoteReference {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for RemoteReference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl FromStr for RemoteReference {
    type Err = RemoteReferenceError;

    /// Parses `[registry/]repository[:tag][@digest]`. Without tag and digest, the tag is `latest`.
    fn from_str(text: &str) -> Result<Self, RemoteReferenceError> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse()?)),
            None => (text, None),
        };
        let has_tag = named.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/'));
        let reference = match has_tag {
            true => named.parse()?,
            false => Reference { name: named.parse::<Name>()?, tag: "latest".parse()? },
        };
        let parsed = Self::from(&reference);
        // A registry's host may have any case. Docker rejects repositories that are not lower-case.
        let name =
            if has_tag { named.rsplit_once(':').map_or(named, |(name, _)| name) } else { named };
        let path = split_registry(name).1;
        if path.chars().any(char::is_uppercase) {
            let rule = "upper-case letters are not allowed";
            return Err(ReferenceError { part: "name", text: name.to_owned(), rule }.into());
        }
        let tag = parsed.tag.clone().filter(|_| has_tag || digest.is_none());
        Ok(Self { tag, digest, ..parsed })
    }
}

impl fmt::Display for RemoteReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // distribution/reference, normalize_test.go; Docker's documentation of `docker image tag`.
    #[test]
    fn names_without_a_registry_mean_docker_hub() {
        for (text, registry, repository, shown) in [
            ("debian", "docker.io", "library/debian", "docker.io/library/debian:latest"),
            ("my/app:1", "docker.io", "my/app", "docker.io/my/app:1"),
            (
                "index.docker.io/debian:12",
                "docker.io",
                "library/debian",
                "docker.io/library/debian:12",
            ),
            ("localhost/app", "localhost", "app", "localhost/app:latest"),
            ("localhost:5000/app:2", "localhost:5000", "app", "localhost:5000/app:2"),
            ("reg.example/a/b/c", "reg.example", "a/b/c", "reg.example/a/b/c:latest"),
            ("[::1]:5000/app", "[::1]:5000", "app", "[::1]:5000/app:latest"),
        ] {
            let parsed: RemoteReference = text.parse().unwrap();
            assert_eq!(parsed.registry(), registry, "{text}");
            assert_eq!(parsed.repository(), repository, "{text}");
            assert_eq!(parsed.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn a_digest_replaces_the_default_tag() {
        let digest = Digest::of(b"abc");
        let parsed: RemoteReference = format!("reg.example/app@{digest}").parse().unwrap();
        assert_eq!((parsed.tag.clone(), parsed.digest), (None, Some(digest)));
        assert_eq!(parsed.manifest_name(), digest.to_string());
        let both: RemoteReference = format!("reg.example:5/app:1@{digest}").parse().unwrap();
        assert_eq!(both.to_string(), format!("reg.example:5/app:1@{digest}"));
        assert_eq!(both.familiar().as_deref(), Some("reg.example:5/app:1"));
        for text in ["reg.example/app@sha256:12", "reg.example/app@", "reg.example/App:x y", ""] {
            assert!(text.parse::<RemoteReference>().is_err(), "{text}");
        }
    }
}
