//! The contents of a bill of materials, collected from an image.

use std::collections::BTreeMap;

use super::databases;
use super::package::{Ecosystem, Package};
use super::store_path;
use crate::archive::{ArchiveError, FileSystem, Image};
use crate::image::manifest::{BASE_DIGEST, BASE_NAME};
use crate::image::{DiffId, Digest, Reference, RemoteReference};
use crate::packages::dpkg;

/// A bill of materials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// The image.
    pub image: ImageFacts,
    /// The base image, if it is known.
    pub base: Option<BaseImage>,
    /// The layers, lowest first.
    pub layers: Vec<LayerFacts>,
    /// The packages, sorted.
    pub packages: Vec<Package>,
}

/// An image that a bill describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// The name, if it has one.
    pub name: Option<ImageName>,
    /// The image ID: the digest of its config.
    pub id: Digest,
    /// The digest of its manifest, if its format has one.
    pub manifest: Option<Digest>,
    /// The creation date, RFC 3339; that of the document, too.
    pub created: String,
    /// The platform: operating system, architecture and variant.
    pub platform: String,
}

/// The name of an image that a bill describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The repository as Docker shows it, or only its last component if the image is in several
    /// repositories.
    pub name: String,
    /// The repository with its registry, if the image is in a single one.
    pub repository: Option<String>,
    /// The tag, if the image has a single one.
    pub tag: Option<String>,
}

impl From<&Reference> for ImageName {
    fn from(reference: &Reference) -> Self {
        let normalized = reference.normalized();
        let repository = normalized.rsplit_once(':').map(|(name, _)| name.to_owned());
        let name = reference.name.as_str().to_owned();
        Self { name, repository, tag: Some(reference.tag.as_str().to_owned()) }
    }
}

impl ImageName {
    /// The name of an image that is pushed to `references`: what they have in common.
    pub fn common(references: &[RemoteReference]) -> Option<Self> {
        let (first, others) = references.split_first()?;
        let repository = first.name();
        if others.iter().all(|other| other.name() == repository) {
            let is_single = others.iter().all(|other| other.tag == first.tag);
            let tag = first.tag.as_ref().filter(|_| is_single).map(|tag| tag.as_str().to_owned());
            let familiar = first.familiar();
            let name = familiar.as_deref().and_then(|name| name.rsplit_once(':'));
            let name = name.map_or(&*repository, |(name, _)| name).to_owned();
            return Some(Self { name, repository: Some(repository), tag });
        }
        let name = last_component(first);
        let is_common = others.iter().all(|other| last_component(other) == name);
        is_common.then(|| Self { name: name.to_owned(), repository: None, tag: None })
    }

    /// Its last component.
    pub(super) fn base_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

fn last_component(reference: &RemoteReference) -> &str {
    let repository = reference.repository();
    repository.rsplit('/').next().unwrap_or(repository)
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
    }
}

/// The base image of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseImage {
    /// The reference, if it has one.
    pub reference: Option<String>,
    /// The digest of its manifest, or of its config if its format has no manifest.
    pub digest: Digest,
}

impl BaseImage {
    /// The base image that the annotations of a manifest name.
    pub fn of_annotations(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let digest = annotations.get(BASE_DIGEST)?.parse().ok()?;
        Some(Self { reference: annotations.get(BASE_NAME).cloned(), digest })
    }
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFacts {
    /// The diff ID: the digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Whether it is from the base image.
    pub base: bool,
}

/// The date of documents about images without a valid date.
const NO_DATE: &str = "1970-01-01T00:00:01Z";
/// The size of the largest `os-release` that is read, in bytes.
const OS_RELEASE_MAX: u64 = 64 << 10;
/// The length of the longest name and version of a distribution, which each package repeats.
const DISTRIBUTION_MAX: usize = 256;
/// The places of `os-release`, of which one may be a link to the other.
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

impl Bill {
    /// Collects the packages of `image`, whose files are `files`. The lowest `base_layers` layers
    /// are from `base`.
    ///
    /// # Errors
    /// If a file of the image cannot be read, or its databases of packages are too large.
    pub fn collect(
        image: &Image,
        files: &FileSystem,
        base: Option<BaseImage>,
        base_layers: usize,
    ) -> Result<Self, ArchiveError> {
        let mut packages = store_paths(image);
        packages.extend(distribution_packages(files)?);
        packages.sort();
        packages.dedup_by(|a, b| (a.purl(), &a.path) == (b.purl(), &b.path));
        let layers = image.layers.iter().enumerate();
        let layers = layers
            .map(|(index, layer)| LayerFacts { diff_id: layer.diff_id, base: index < base_layers });
        Ok(Self { image: facts(image), base, layers: layers.collect(), packages })
    }
}

/// The first of the image's references.
fn name(image: &Image) -> Option<ImageName> {
    let reference: Reference = image.references.first()?.parse().ok()?;
    Some(ImageName::from(&reference))
}

fn facts(image: &Image) -> ImageFacts {
    let config = &image.config;
    let variant = config.variant.as_deref().map(|variant| format!("/{variant}"));
    let created = config.created.as_deref().and_then(|text| text.parse().ok());
    ImageFacts {
        name: name(image),
        id: image.id(),
        manifest: image.manifest,
        created: created
            .map_or_else(|| NO_DATE.to_owned(), |time: crate::image::Timestamp| time.to_string()),
        platform: format!("{}/{}{}", config.os, config.architecture, variant.unwrap_or_default()),
    }
}

/// The store paths that the history of `image` lists.
fn store_paths(image: &Image) -> Vec<Package> {
    let history = image.config.layer_history().unwrap_or_default();
    let mut by_path: BTreeMap<String, usize> = BTreeMap::new();
    for (layer, step) in history.iter().enumerate() {
        for path in step.paths() {
            by_path.entry(path).or_insert(layer);
        }
    }
    by_path.iter().map(|(path, layer)| store_path::package(path, *layer)).collect()
}

/// The packages in the databases of package managers.
fn distribution_packages(files: &FileSystem) -> Result<Vec<Package>, ArchiveError> {
    let mut packages = databases::packages(files)?.unwrap_or_default();
    let distribution = os_release(files)?;
    for package in &mut packages {
        package.distribution.clone_from(&distribution);
        if package.ecosystem == Ecosystem::Debian {
            let architecture = package.architecture.as_deref().unwrap_or("all");
            let lists = dpkg::file_lists(&package.name, architecture);
            let installed = lists.iter().find_map(|list| files.layer_of(list.as_bytes()));
            package.layer = installed.or(package.layer);
        }
    }
    Ok(packages)
}

/// The distribution of the image.
fn os_release(files: &FileSystem) -> Result<Option<(String, String)>, ArchiveError> {
    for path in OS_RELEASE {
        let content = files.content(path.as_bytes(), OS_RELEASE_MAX)?;
        let content = content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let found = content.and_then(|text| distribution(&text));
        let is_short =
            |(id, version): &(String, String)| id.len() + version.len() <= DISTRIBUTION_MAX;
        if let Some(found) = found.filter(is_short) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// `ID` and `VERSION_ID` in the text of `os-release` (os-release(5)).
fn distribution(os_release: &str) -> Option<(String, String)> {
    let value = |name: &str| {
        let mut lines = os_release.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(key, _)| *key == name)?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    Some((value("ID").filter(|id| !id.is_empty())?, value("VERSION_ID").unwrap_or_default()))
}
