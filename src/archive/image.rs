//! An opened image, and the checks that all formats share.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::ArchiveError;
use super::blob::{FileSlice, LayerBlob};
use super::limits::Limits;
use crate::image::manifest::OciPlatform;
use crate::image::reference::familiar;
use crate::image::{DiffId, Digest, ImageConfig, Platform};
use crate::text;

/// An opened image: its config has been read, its layers have not.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file or folder that it was opened from.
    pub path: PathBuf,
    /// The format that it was read in.
    pub format: ImageFormat,
    /// The config.
    pub config: ImageConfig,
    /// The config as stored; its digest is the image ID.
    pub raw_config: Vec<u8>,
    /// The digest of its manifest; `None` in a docker-archive, which has no such manifest.
    pub manifest: Option<Digest>,
    /// The annotations of its manifest, as far as they can be read.
    pub annotations: BTreeMap<String, String>,
    /// The annotations of the index that lists it, likewise.
    pub index_annotations: BTreeMap<String, String>,
    /// The references that the archive has for it.
    pub references: Vec<String>,
    /// The layers, lowest first; as many as the config has diff IDs.
    pub layers: Vec<LayerBlob>,
    /// The limits within which it is read.
    pub limits: Limits,
    /// The platforms of other images of the same name, which were not selected. Those that cannot
    /// be read are left out.
    pub other_platforms: Vec<OciPlatform>,
}

impl Image {
    /// The image ID in Docker's classic image store: the digest of the config.
    pub fn id(&self) -> Digest {
        Digest::of(&self.raw_config)
    }

    /// Checks that the image runs on `selected`, if the user selected a platform. An image without
    /// a platform may be for any.
    ///
    /// # Errors
    /// If the image is for another platform.
    pub(crate) fn check_platform(&self, selected: Option<&Platform>) -> Result<(), ArchiveError> {
        let Some(selected) = selected else { return Ok(()) };
        let own = OciPlatform::from(&self.config);
        if !own.rules_out(selected) {
            return Ok(());
        }
        let own = own.to_string();
        let problem = format!("the image is for {}, not for {selected}", text::shorten(&own));
        Err(ArchiveError::invalid(&self.path, problem))
    }
}

/// The format of an image. A dual archive counts as a docker-archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// The format of `docker save`.
    DockerArchive,
    /// An OCI layout.
    OciLayout,
    /// An image in a registry.
    Registry,
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DockerArchive => "docker-archive",
            Self::OciLayout => "OCI layout",
            Self::Registry => "registry",
        })
    }
}

/// Selects one of several images in an archive.
#[derive(Clone, Debug, Default)]
pub struct ImageSelector {
    /// The name, as the archive has it.
    pub name: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The platform, for an index of several platforms.
    pub platform: Option<Platform>,
    /// The limits within which the image is read.
    pub limits: Limits,
}

impl ImageSelector {
    /// Selects the image that is listed as `name`: a tag, or name and tag.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (Some(name), tag),
            _ if name.contains('/') => (Some(name), "latest"),
            _ => (None, name),
        };
        Self { name: name.map(str::to_owned), tag: Some(tag.to_owned()), ..self }
    }

    /// Whether name and tag match `reference`.
    pub(crate) fn matches(&self, reference: &str) -> bool {
        let (name, tag) = match familiar(reference).rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (familiar(reference), "latest"),
        };
        self.name.as_deref().is_none_or(|wanted| familiar(wanted) == name)
            && self.tag.as_deref().is_none_or(|wanted| wanted == tag)
    }

    /// Says for a message that `count` images match.
    pub(crate) fn describe_matching(&self, count: usize) -> String {
        match self.has_name_or_tag() {
            true => format!("{count} images match {self}"),
            false => format!("there are {count} images"),
        }
    }

    /// Says for a message how one of several images is selected in the file or folder at `path`,
    /// in which all of them have a name if `named` is true.
    pub(crate) fn how_to_select(
        &self,
        named: bool,
        prefix: &str,
        path: &Path,
        name: &str,
    ) -> String {
        match named && !self.has_name_or_tag() {
            true => format!("write {prefix}:{}:{name} with one of", text::path(path)),
            false => "select one by platform".to_owned(),
        }
    }

    /// Whether a name or a tag is given.
    pub(crate) fn has_name_or_tag(&self) -> bool {
        self.name.is_some() || self.tag.is_some()
    }
}

impl fmt::Display for ImageSelector {
    /// Writes `NAME:TAG`, with `*` for what is not given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, tag) = (self.name.as_deref(), self.tag.as_deref());
        write!(f, "{}:{}", name.unwrap_or("*"), tag.unwrap_or("*"))
    }
}

/// Checks `bytes` against the digest that names them; `part` is what they are in the image.
pub(crate) fn check_digest(
    image: &Path,
    part: &str,
    bytes: &[u8],
    expected: Digest,
) -> Result<(), ArchiveError> {
    let found = Digest::of(bytes);
    if found == expected {
        return Ok(());
    }
    Err(ArchiveError::Corrupted { path: image.to_owned(), part: part.to_owned(), expected, found })
}

/// The most layers that an image may have: no engine runs more, since overlayfs takes at most 500
/// (Linux, `OVL_MAX_STACK`). Docker takes 125.
const LAYERS_MAX: usize = 500;

/// Checks the number of layers in the manifest of the image at `path`.
pub(crate) fn check_layer_count(path: &Path, count: usize) -> Result<(), ArchiveError> {
    if count <= LAYERS_MAX {
        return Ok(());
    }
    let problem = format!("the image has {count} layers; engines run at most {LAYERS_MAX}");
    Err(ArchiveError::invalid(path, problem))
}

/// A layer as a manifest lists it.
#[derive(Clone, Debug)]
pub(crate) struct StoredLayer {
    /// The name of its file in the image.
    pub(crate) name: String,
    pub(crate) bytes: FileSlice,
    /// The digest of its bytes, if the manifest or the name of its file contains it.
    pub(crate) digest: Option<Digest>,
    /// The media type, if the manifest has it.
    pub(crate) media_type: Option<String>,
}

/// Pairs the layers that a manifest lists with the diff IDs of the config.
pub(crate) fn pair_layers(
    path: &Path,
    config: &ImageConfig,
    stored: Vec<StoredLayer>,
) -> Result<Vec<LayerBlob>, ArchiveError> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != stored.len() {
        let problem = format!(
            "the manifest has {} layers, but the config has {} diff IDs",
            stored.len(),
            diff_ids.len()
        );
        return Err(ArchiveError::invalid(path, problem));
    }
    let pairs = stored.into_iter().zip(diff_ids);
    let layer = |(stored, diff_id): (_, &DiffId)| {
        let StoredLayer { name, bytes, digest, media_type } = stored;
        LayerBlob { bytes, digest, diff_id: *diff_id, name, media_type }
    };
    Ok(pairs.map(layer).collect())
}

/// Keeps the items with the lowest rank.
pub(crate) fn best_by_rank<T>(items: Vec<T>, ranks: &[Option<u32>]) -> Vec<T> {
    let best = ranks.iter().flatten().min();
    let ranked = items.into_iter().zip(ranks);
    ranked.filter(|(_, rank)| rank.as_ref() == best).map(|(item, _)| item).collect()
}
