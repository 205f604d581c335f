//! A package in an image.

use super::purl;
use crate::image::Digest;

/// The origin of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// A Debian package, of Debian or of a distribution made from it.
    Debian,
    /// An Alpine package.
    Alpine,
    /// A store path.
    Nix,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its origin.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its version; empty if it is not known.
    pub version: String,
    /// Its architecture, as its origin writes it.
    pub architecture: Option<String>,
    /// The distribution: `ID` and `VERSION_ID` of `/etc/os-release`.
    pub distribution: Option<(String, String)>,
    /// The source package, if it has another name.
    pub source: Option<String>,
    /// The maintainer: `Name <mail address>`.
    pub maintainer: Option<String>,
    /// The license, as its origin writes it.
    pub license: Option<String>,
    /// The store path.
    pub path: Option<String>,
    /// The layer that it was found in, as an index.
    pub layer: Option<usize>,
}

impl Ecosystem {
    /// Its type in package URLs.
    pub fn purl_type(&self) -> &'static str {
        match self {
            Self::Debian => "deb",
            Self::Alpine => "apk",
            Self::Nix => "nix",
        }
    }
}

impl Package {
    /// The package URL (purl-spec, "Package URL specification").
    pub fn purl(&self) -> String {
        let default = match self.ecosystem {
            Ecosystem::Debian => Some("debian"),
            Ecosystem::Alpine => Some("alpine"),
            Ecosystem::Nix => None,
        };
        let id = self.distribution.as_ref().map(|(id, _)| id.as_str());
        let distribution = self.distribution.as_ref().map(|(id, version)| match &**version {
            "" => id.clone(),
            version => format!("{id}-{version}"),
        });
        let qualifiers = [("arch", self.architecture.clone()), ("distro", distribution)];
        let qualifiers = qualifiers.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let namespace = default.map(|default| id.unwrap_or(default).to_ascii_lowercase());
        purl::of(
            self.ecosystem.purl_type(),
            namespace.as_deref(),
            &self.name,
            &self.version,
            &qualifiers.collect::<Vec<_>>(),
        )
    }

    /// An identifier that is unique in a bill and stays the same in the next: letters, digits, dots
    /// and dashes.
    pub(super) fn identifier(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        let unique = format!("{} {}", self.purl(), self.path.as_deref().unwrap_or_default());
        let digest = Digest::of(unique.as_bytes()).hex();
        format!("Package-{}-{name}-{}", self.ecosystem.purl_type(), &digest[..12])
    }

    /// The name of the maintainer, without the mail address.
    pub(super) fn maintainer_name(&self) -> Option<&str> {
        let name = self.maintainer.as_deref()?.split('<').next().unwrap_or_default().trim();
        Some(name.trim_matches('"')).filter(|name| !name.is_empty())
    }
}
