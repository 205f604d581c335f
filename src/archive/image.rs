//! An opened image, and the checks that all formats share.

use std::fmt;
use std::path::{Path, PathBuf};

use super::ArchiveError;
use super::blob::{FileSlice, LayerBlob};
use crate::image::reference::familiar;
use crate::image::{Digest, ImageConfig, Platform};

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
    /// The references that the archive has for it.
    pub references: Vec<String>,
    /// The layers, lowest first; as many as the config has diff IDs.
    pub layers: Vec<LayerBlob>,
}

impl Image {
    /// The image ID in Docker's classic image store: the digest of the config.
    pub fn id(&self) -> Digest {
        Digest::of(&self.raw_config)
    }
}

/// The format of an image. A dual archive counts as a docker-archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// The format of `docker save`.
    DockerArchive,
    /// An OCI layout.
    OciLayout,
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DockerArchive => "docker-archive",
            Self::OciLayout => "OCI layout",
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
}

impl ImageSelector {
    /// Whether name and tag match `reference`.
    pub(crate) fn matches(&self, reference: &str) -> bool {
        let (name, tag) = match familiar(reference).rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (familiar(reference), "latest"),
        };
        self.name.as_deref().is_none_or(|wanted| familiar(wanted) == name)
            && self.tag.as_deref().is_none_or(|wanted| wanted == tag)
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

/// Parses a JSON document of the image at `image`.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    image: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<T, ArchiveError> {
    serde_json::from_slice(bytes).map_err(|e| ArchiveError::invalid(image, format!("{name}: {e}")))
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

/// Pairs the layers that a manifest lists with the diff IDs of the config.
pub(crate) fn pair_layers(
    path: &Path,
    config: &ImageConfig,
    blobs: Vec<(String, FileSlice, Option<Digest>)>,
) -> Result<Vec<LayerBlob>, ArchiveError> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != blobs.len() {
        let problem = format!(
            "the manifest has {} layers, but the config has {} diff IDs",
            blobs.len(),
            diff_ids.len()
        );
        return Err(ArchiveError::invalid(path, problem));
    }
    let pairs = blobs.into_iter().zip(diff_ids);
    let blob = |((name, bytes, digest), diff_id): ((String, _, _), &_)| LayerBlob {
        bytes,
        digest,
        diff_id: *diff_id,
        name,
    };
    Ok(pairs.map(blob).collect())
}
