//! Reads an image from a docker-archive: `manifest.json` and the config, and the digests that name
//! files.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::MANIFEST;
use crate::archive::ArchiveError;
use crate::archive::image::{
    Image, ImageFormat, ImageSelector, StoredLayer, best_by_rank, check_digest, check_layer_count,
    pair_layers,
};
use crate::archive::image_files::ImageFiles;
use crate::archive::json;
use crate::archive::limits::Limits;
use crate::archive::members::inner_name;
use crate::image::manifest::{DockerManifest, OciPlatform};
use crate::image::{Digest, ImageConfig, schema};
use crate::text;

/// Reads the image in `files` that `selector` selects.
pub(crate) fn read(
    path: &Path,
    files: &ImageFiles,
    selector: &ImageSelector,
) -> Result<Image, ArchiveError> {
    let archive = DockerArchive { path, files };
    archive.image(archive.select(selector)?, selector.limits)
}

/// Reads all images in `files`.
pub(crate) fn read_all(
    path: &Path,
    files: &ImageFiles,
    limits: Limits,
) -> Result<Vec<Image>, ArchiveError> {
    let archive = DockerArchive { path, files };
    archive.listed()?.into_iter().map(|manifest| archive.image(manifest, limits)).collect()
}

/// A docker-archive that is read.
struct DockerArchive<'a> {
    path: &'a Path,
    files: &'a ImageFiles,
}

impl DockerArchive<'_> {
    fn invalid(&self, problem: impl Into<String>) -> ArchiveError {
        ArchiveError::invalid(self.path, problem)
    }

    /// The images that the archive lists.
    fn listed(&self) -> Result<Vec<DockerManifest>, ArchiveError> {
        let bytes = self.files.document(self.path, MANIFEST)?;
        let all: Option<Vec<DockerManifest>> =
            json::parse(self.path, MANIFEST, &bytes, schema::DOCKER_MANIFESTS)?;
        Ok(without_duplicates(all.unwrap_or_default()))
    }

    /// Reads the image of `manifest`.
    fn image(&self, manifest: DockerManifest, limits: Limits) -> Result<Image, ArchiveError> {
        let (name, raw_config) = self.config_file(&manifest)?;
        let config = self.parse_config(&name, &raw_config)?;
        let layers = pair_layers(self.path, &config, self.layers(&manifest)?)?;
        let (path, references) = (self.path.to_owned(), manifest.repo_tags);
        Ok(Image {
            path,
            format: ImageFormat::DockerArchive,
            config,
            raw_config,
            manifest: None,
            references,
            layers,
            limits,
            annotations: BTreeMap::new(),
            index_annotations: BTreeMap::new(),
            other_platforms: Vec::new(),
        })
    }

    /// Selects one of the images that the archive lists.
    fn select(&self, selector: &ImageSelector) -> Result<DockerManifest, ArchiveError> {
        let all = self.listed()?;
        let (named, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|manifest| has_name(manifest, selector));
        if named.is_empty() {
            return Err(self.invalid(match others.is_empty() {
                true => format!("{MANIFEST} lists no image"),
                false => format!("no image matches {selector}; the archive has {}", list(&others)),
            }));
        }
        let mut images = self.for_platform(named, selector)?;
        match (images.pop(), images.len()) {
            (Some(manifest), 0) => Ok(manifest),
            (last, _) => {
                images.extend(last);
                let matching = selector.describe_matching(images.len());
                let found = list(&images);
                let named = images.iter().all(|image| !image.repo_tags.is_empty());
                let how = selector.how_to_select(named, "docker-archive", self.path, "NAME:TAG");
                let problem = format!("{matching}; {how}: {found}");
                Err(self.invalid(problem))
            }
        }
    }

    /// Of several images, keeps those that suit the selected platform best, if there are any.
    fn for_platform(
        &self,
        images: Vec<DockerManifest>,
        selector: &ImageSelector,
    ) -> Result<Vec<DockerManifest>, ArchiveError> {
        let Some(wanted) = selector.platform.as_ref().filter(|_| images.len() > 1) else {
            return Ok(images);
        };
        let (mut ranks, mut ranks_of_configs) = (Vec::new(), BTreeMap::new());
        for manifest in &images {
            let rank = match ranks_of_configs.get(&manifest.config) {
                Some(rank) => *rank,
                None => {
                    let (name, config) = self.config_file(manifest)?;
                    let platform = OciPlatform::from(&self.parse_config(&name, &config)?);
                    platform.rank_for(wanted)
                }
            };
            ranks_of_configs.insert(&manifest.config, rank);
            ranks.push(rank);
        }
        Ok(best_by_rank(images, &ranks))
    }

    /// The name and the content of the config.
    fn config_file(&self, manifest: &DockerManifest) -> Result<(String, Vec<u8>), ArchiveError> {
        let name = self.member_name(&manifest.config)?;
        let content = self.files.document(self.path, &name)?;
        if let Some(digest) = digest_in(&name) {
            check_digest(self.path, &format!("the config {name}"), &content, digest)?;
        }
        Ok((name, content))
    }

    fn parse_config(&self, name: &str, content: &[u8]) -> Result<ImageConfig, ArchiveError> {
        json::parse(self.path, name, content, schema::CONFIG)
    }

    fn layers(&self, manifest: &DockerManifest) -> Result<Vec<StoredLayer>, ArchiveError> {
        check_layer_count(self.path, manifest.layers.len())?;
        let mut layers: Vec<StoredLayer> = Vec::new();
        for name in &manifest.layers {
            let name = self.member_name(name)?;
            let bytes = self.files.layer(self.path, &name)?;
            let digest = name.starts_with("blobs/").then(|| digest_in(&name)).flatten();
            // One file may be listed under several names: repeated layers can be links.
            let is_same = |layer: &&StoredLayer| {
                layer.bytes.is_same(&bytes) && (digest.is_none() || layer.digest == digest)
            };
            let known = layers.iter().find(is_same).cloned();
            let layer = StoredLayer { name, bytes, digest, media_type: None };
            layers.push(known.unwrap_or(layer));
        }
        Ok(layers)
    }

    /// The name of a member that the manifest names.
    fn member_name(&self, name: &str) -> Result<String, ArchiveError> {
        let inner = inner_name(name.as_bytes()).filter(|inner| !inner.is_empty());
        inner.ok_or_else(|| {
            self.invalid(format!(
                "{MANIFEST} names a file outside the archive: {}",
                text::quote(name)
            ))
        })
    }
}

/// The digest in a file name: `<hex>.json`, `sha256:<hex>` or `blobs/sha256/<hex>`.
fn digest_in(name: &str) -> Option<Digest> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let hex = base.strip_prefix("sha256:").unwrap_or(base);
    Digest::from_hex(hex.strip_suffix(".json").unwrap_or(hex)).ok()
}

/// Joins entries for the same image: some writers list it once for each of its names.
fn without_duplicates(all: Vec<DockerManifest>) -> Vec<DockerManifest> {
    let mut positions: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
    let mut unique: Vec<DockerManifest> = Vec::new();
    for manifest in all {
        let key = (manifest.config.clone(), manifest.layers.clone());
        match positions.get(&key).and_then(|position| unique.get_mut(*position)) {
            Some(known) => known.repo_tags.extend(manifest.repo_tags),
            None => {
                positions.insert(key, unique.len());
                unique.push(manifest);
            }
        }
    }
    unique
}

fn has_name(manifest: &DockerManifest, selector: &ImageSelector) -> bool {
    !selector.has_name_or_tag()
        || manifest.repo_tags.iter().any(|reference| selector.matches(reference))
}

/// The names of images, for messages.
fn list(images: &[DockerManifest]) -> String {
    text::list(images.iter().map(|image| match image.repo_tags.first() {
        Some(name) => name.clone(),
        None => format!("an unnamed one with the config {}", image.config),
    }))
}
