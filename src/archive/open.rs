//! Opens an image in any format that it comes in: docker-archive (plain or compressed), OCI layout
//! (folder, tar or compressed tar), and what is both at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::blob::{LayerBlob, Slice};
use super::decompress::{Codec, Counted, bomb_limit};
use super::members::Members;
use super::{ArchiveError, docker, oci, sink};
use crate::image::reference::familiar;
use crate::image::{Digest, ImageConfig, Platform};

/// The most bytes that a config, manifest or index may have. Real ones are some KiB; history that lists a
/// thousand store paths makes a few hundred.
pub(crate) const DOCUMENT_MAX: u64 = 16 << 20;

/// An image that was opened: its config is read, its layers are where they were.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it was opened.
    pub path: PathBuf,
    /// What it came in, for people: `docker-archive`, `OCI layout`.
    pub format: &'static str,
    /// The config.
    pub config: ImageConfig,
    /// The config as stored: its digest is the image's id.
    pub raw_config: Vec<u8>,
    /// The references it is stored under.
    pub references: Vec<String>,
    /// The layers, bottom first; as many as the config has diff ids.
    pub layers: Vec<LayerBlob>,
}

/// Which image is meant, where a file holds several.
#[derive(Clone, Debug, Default)]
pub struct ImageSelector {
    /// The name, as stored.
    pub name: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The platform, for an index of several.
    pub platform: Option<Platform>,
}

impl ImageSelector {
    /// Whether the image called `reference` can be meant.
    pub(crate) fn fits(&self, reference: &str) -> bool {
        let (name, tag) = match familiar(reference).rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (familiar(reference), "latest"),
        };
        self.name.as_deref().is_none_or(|wanted| familiar(wanted) == name)
            && self.tag.as_deref().is_none_or(|wanted| wanted == tag)
    }

    /// Whether any name or tag was asked for.
    pub(crate) fn names(&self) -> bool {
        self.name.is_some() || self.tag.is_some()
    }

    /// What was asked for, for messages.
    pub(crate) fn shown(&self) -> String {
        format!("{}:{}", self.name.as_deref().unwrap_or("*"), self.tag.as_deref().unwrap_or("*"))
    }
}

impl Image {
    /// The image's id on Docker's classic store: the digest of its config.
    pub fn id(&self) -> Digest {
        Digest::of(&self.raw_config)
    }
}

/// The files of an image by name, wherever they lie.
pub(crate) enum Store {
    Folder(PathBuf),
    Archive(Members),
}

impl Store {
    /// The file called `name`; `None` where there is none.
    pub(crate) fn get(&self, name: &str) -> io::Result<Option<Slice>> {
        match self {
            Self::Archive(members) => Ok(members.get(name).cloned()),
            Self::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) if file.metadata()?.is_file() => Slice::whole(file).map(Some),
                Ok(_) => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// The small file called `name`, which must be there.
    pub(crate) fn document(&self, image: &Path, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let slice = self.get(name).map_err(ArchiveError::read(image))?;
        let slice =
            slice.ok_or_else(|| ArchiveError::invalid(image, format!("it has no {name}")))?;
        let read = slice.read_small(DOCUMENT_MAX).map_err(ArchiveError::read(image))?;
        read.ok_or_else(|| {
            let limit = DOCUMENT_MAX >> 20;
            ArchiveError::invalid(
                image,
                format!("{name} is larger than {limit} MiB, which no real one is"),
            )
        })
    }
}

/// Opens the image at `path`; where there are several, the one that `choice` means.
///
/// # Errors
/// When `path` cannot be read, is no image, is broken or hostile, or when the choice fits none or several.
pub fn open(path: &Path, choice: &ImageSelector) -> Result<Image, ArchiveError> {
    let metadata = std::fs::metadata(path).map_err(ArchiveError::read(path))?;
    if metadata.is_dir() {
        let store = Store::Folder(path.to_owned());
        return match store.get("oci-layout").map_err(ArchiveError::read(path))? {
            Some(_) => oci::read(path, &store, choice),
            None => Err(ArchiveError::invalid(
                path,
                "a folder without oci-layout; expected an OCI layout",
            )),
        };
    }
    let file = File::open(path).map_err(ArchiveError::read(path))?;
    let stored = Slice::whole(file).map_err(ArchiveError::read(path))?;
    let archive = unpacked(path, stored)?;
    let members = Members::list(&archive).map_err(|e| not_an_image(path, &e))?;
    let (docker, oci) = (members.has("manifest.json"), members.has("oci-layout"));
    let store = Store::Archive(members);
    if docker {
        let image = docker::read(path, &store, choice)?;
        // What is both at once has images for other platforms in its other half alone.
        let other = choice
            .platform
            .as_ref()
            .is_some_and(|wanted| image.config.architecture != wanted.arch.goarch());
        if oci && other { oci::read(path, &store, choice) } else { Ok(image) }
    } else if oci {
        oci::read(path, &store, choice)
    } else {
        Err(ArchiveError::invalid(path, "no image: it has neither manifest.json nor oci-layout"))
    }
}

fn not_an_image(path: &Path, error: &io::Error) -> ArchiveError {
    let problem = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut short".to_owned(),
        _ => error.to_string(),
    };
    ArchiveError::invalid(path, problem)
}

/// The plain tar of an archive that may be compressed as a whole. Members are read out of order, so what
/// is compressed is unpacked once, into a file that has no name and goes with the process.
fn unpacked(path: &Path, stored: Slice) -> Result<Slice, ArchiveError> {
    let read_failed = |error: io::Error| not_an_image(path, &error);
    let write_failed =
        |source| ArchiveError::Write { target: "a temporary file".to_owned(), source };
    let codec = Codec::detect(&stored).map_err(read_failed)?;
    if codec == Codec::Plain {
        return Ok(stored);
    }
    let limit = bomb_limit(stored.len());
    let mut plain = tempfile::tempfile().map_err(write_failed)?;
    let source = Counted::new(codec.decode(stored).map_err(read_failed)?, limit);
    sink::copy(source, "", &mut plain, |_| ()).map_err(|error| match error {
        ArchiveError::Read { source, .. } => read_failed(source),
        ArchiveError::Write { source, .. } => write_failed(source),
        other => other,
    })?;
    Slice::whole(plain).map_err(write_failed)
}

/// Reads a JSON document of the image at `image`.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    image: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<T, ArchiveError> {
    serde_json::from_slice(bytes).map_err(|e| ArchiveError::invalid(image, format!("{name}: {e}")))
}

/// Checks `bytes` against the digest that names them.
pub(crate) fn check_digest(
    image: &Path,
    what: &str,
    bytes: &[u8],
    expected: Digest,
) -> Result<(), ArchiveError> {
    let found = Digest::of(bytes);
    if found == expected {
        return Ok(());
    }
    Err(ArchiveError::Corrupted { path: image.to_owned(), what: what.to_owned(), expected, found })
}

/// Pairs the layers that a manifest lists with the config's diff ids.
pub(crate) fn pair_layers(
    path: &Path,
    config: &ImageConfig,
    blobs: Vec<(String, Slice, Option<Digest>)>,
) -> Result<Vec<LayerBlob>, ArchiveError> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != blobs.len() {
        let problem = format!(
            "the manifest has {} layers, the config {} diff ids",
            blobs.len(),
            diff_ids.len()
        );
        return Err(ArchiveError::invalid(path, problem));
    }
    let pairs = blobs.into_iter().zip(diff_ids);
    Ok(pairs
        .map(|((place, bytes, digest), diff_id)| LayerBlob {
            bytes,
            digest,
            diff_id: *diff_id,
            place,
        })
        .collect())
}
