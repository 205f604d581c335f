//! An image with everything that it consists of: indexes, manifests, configs and layers, for
//! copying it byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::artifact::is_artifact_descriptor;
use super::documents::{annotations, is_index, is_manifest, parse_index, parse_manifest};
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::archive::image::check_layer_count;
use crate::image::manifest::{Descriptor, OciManifest};
use crate::image::{Digest, Platform};
use crate::text;

/// The most indexes and manifests of one image.
const DOCUMENTS_MAX: usize = 10_000;
/// The most bytes of all indexes and manifests of one image together.
const DOCUMENTS_SIZE_MAX: usize = 64 << 20;
/// The most configs and layers of one image.
const BLOBS_MAX: usize = 100_000;
/// The most levels of nested indexes from which a platform is selected.
const DEPTH_MAX: usize = 4;

/// The place where the parts of an image are.
pub(crate) trait BlobSource {
    /// Its errors.
    type Error: From<ArchiveError>;

    /// An index or manifest, with digest and size checked; `None` if it is missing.
    ///
    /// # Errors
    /// If it cannot be read, or does not match `descriptor`.
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Self::Error>;

    /// A config or layer, which need not be checked yet; `None` if it is missing.
    ///
    /// # Errors
    /// If it cannot be read.
    fn blob(&self, descriptor: &Descriptor) -> Result<Option<FileSlice>, Self::Error>;
}

/// An image, for one platform or several, or an artifact.
#[derive(Debug)]
pub(crate) struct ImageTree {
    /// The place of the image, for messages.
    pub(crate) path: PathBuf,
    /// The index or manifest that stands for the whole.
    pub(crate) root: Descriptor,
    /// All indexes and manifests, each after those that it lists; the root is the last.
    pub(crate) documents: Vec<TreeDocument>,
    /// All configs and layers, each once.
    pub(crate) blobs: Vec<TreeBlob>,
    /// The indexes and manifests that the source lists, but does not have.
    pub(crate) missing: Vec<Descriptor>,
    /// The index from which the root was selected by platform.
    pub(crate) selected_from: Option<Digest>,
}

/// An index or manifest.
#[derive(Debug)]
pub(crate) struct TreeDocument {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Vec<u8>,
    pub(super) manifest: Option<OciManifest>,
}

impl TreeDocument {
    /// The annotations, as far as they can be read.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        annotations(&self.bytes)
    }
}

/// A config or layer.
#[derive(Debug)]
pub(crate) struct TreeBlob {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: FileSlice,
}

/// A step of visiting all documents.
enum Step {
    /// Visit the documents that this one lists.
    Visit(Descriptor),
    /// Add this one, after those that it lists.
    Add(Box<TreeDocument>),
}

impl ImageTree {
    /// Reads the documents of the image `root`, or of the one in it for `platform`.
    ///
    /// # Errors
    /// If a document is missing or invalid, or there is no image for `platform`.
    pub(crate) fn read<S: BlobSource>(
        path: &Path,
        root: Descriptor,
        platform: Option<&Platform>,
        source: &S,
    ) -> Result<Self, S::Error> {
        let mut tree = Self {
            path: path.to_owned(),
            root,
            documents: Vec::new(),
            blobs: Vec::new(),
            missing: Vec::new(),
            selected_from: None,
        };
        if let Some(platform) = platform {
            tree.select(platform, source)?;
        }
        tree.visit_all(source)?;
        Ok(tree)
    }

    /// Replaces the root by the image in it for `platform`.
    fn select<S: BlobSource>(&mut self, platform: &Platform, source: &S) -> Result<(), S::Error> {
        let mut depth = 0;
        while is_index(&self.root.media_type) {
            depth += 1;
            if depth > DEPTH_MAX {
                let problem = format!("it has more than {DEPTH_MAX} levels of nested indexes");
                return Err(self.invalid(problem).into());
            }
            let bytes = source.document(&self.root)?.ok_or_else(|| self.lacks(&self.root))?;
            let name = self.root.digest.to_string();
            let entries = parse_index(&self.path, &name, &bytes)?.manifests;
            let selected = select_platform(&self.path, entries, platform)?;
            self.selected_from.get_or_insert(self.root.digest);
            self.root = Descriptor { annotations: None, ..selected };
        }
        Ok(())
    }

    /// Visits everything that the root leads to, without recursion.
    fn visit_all<S: BlobSource>(&mut self, source: &S) -> Result<(), S::Error> {
        let (mut seen, mut size) = (BTreeSet::new(), 0);
        let mut blobs = BTreeSet::new();
        let mut todo = vec![Step::Visit(self.root.clone())];
        while let Some(step) = todo.pop() {
            let descriptor = match step {
                Step::Add(document) => {
                    self.add_blobs(&document, &mut blobs, source)?;
                    self.documents.push(*document);
                    continue;
                }
                Step::Visit(descriptor) => descriptor,
            };
            if !seen.insert(descriptor.digest) {
                continue;
            }
            let too_many = || {
                self.invalid(format!(
                    "it has more than {DOCUMENTS_MAX} manifests, or they have more than {} MiB",
                    DOCUMENTS_SIZE_MAX >> 20
                ))
            };
            if seen.len() > DOCUMENTS_MAX {
                return Err(too_many().into());
            }
            let Some(bytes) = source.document(&descriptor)? else {
                if descriptor.digest == self.root.digest {
                    return Err(self.lacks(&descriptor).into());
                }
                self.missing.push(descriptor);
                continue;
            };
            size += bytes.len();
            if size > DOCUMENTS_SIZE_MAX {
                return Err(too_many().into());
            }
            let (document, children) = self.document(descriptor, bytes)?;
            todo.push(Step::Add(Box::new(document)));
            todo.extend(children.into_iter().rev().map(Step::Visit));
        }
        Ok(())
    }

    /// Parses a document, and returns the documents that it lists too.
    fn document(
        &self,
        descriptor: Descriptor,
        bytes: Vec<u8>,
    ) -> Result<(TreeDocument, Vec<Descriptor>), ArchiveError> {
        let name = descriptor.digest.to_string();
        let (mut manifest, mut children) = (None, Vec::new());
        if is_index(&descriptor.media_type) {
            let index = parse_index(&self.path, &name, &bytes)?;
            if let Some(other) = index.unsupported.first() {
                let digest = text::quote(&other.digest);
                let problem = format!(
                    "an index lists an image by the digest {digest}; only digests of SHA-256 are \
                     supported"
                );
                return Err(self.invalid(problem));
            }
            children = index.manifests;
        } else if is_manifest(&descriptor.media_type) {
            let parsed = parse_manifest(&self.path, &name, &bytes)?;
            check_layer_count(&self.path, parsed.layers.len())?;
            manifest = Some(parsed);
        }
        Ok((TreeDocument { descriptor, bytes, manifest }, children))
    }

    /// Adds the config and the layers of a manifest.
    fn add_blobs<S: BlobSource>(
        &mut self,
        document: &TreeDocument,
        seen: &mut BTreeSet<Digest>,
        source: &S,
    ) -> Result<(), S::Error> {
        let Some(manifest) = &document.manifest else { return Ok(()) };
        for descriptor in std::iter::once(&manifest.config).chain(&manifest.layers) {
            if is_foreign(descriptor) || !seen.insert(descriptor.digest) {
                continue;
            }
            if seen.len() > BLOBS_MAX {
                let problem = format!("it has more than {BLOBS_MAX} configs and layers");
                return Err(self.invalid(problem).into());
            }
            let bytes = source.blob(descriptor)?.ok_or_else(|| self.lacks(descriptor))?;
            let Descriptor { media_type, digest, size, .. } = descriptor;
            let descriptor = Descriptor::new(media_type, *digest, *size);
            self.blobs.push(TreeBlob { descriptor, bytes });
        }
        Ok(())
    }

    pub(super) fn invalid(&self, problem: impl Into<String>) -> ArchiveError {
        ArchiveError::invalid(&self.path, problem)
    }

    pub(super) fn lacks(&self, descriptor: &Descriptor) -> ArchiveError {
        self.invalid(format!("{} is missing", descriptor.digest))
    }
}

/// Whether a layer is only to be fetched from elsewhere, as those of Windows.
pub(crate) fn is_foreign(descriptor: &Descriptor) -> bool {
    ["foreign", "nondistributable"].iter().any(|word| descriptor.media_type.contains(word))
}

/// Selects the entry of the index of the image at `path` that suits `platform` best.
pub(crate) fn select_platform(
    path: &Path,
    entries: Vec<Descriptor>,
    platform: &Platform,
) -> Result<Descriptor, ArchiveError> {
    let is_image = |entry: &Descriptor| {
        let known = is_index(&entry.media_type) || is_manifest(&entry.media_type);
        known && !is_artifact_descriptor(entry, None)
    };
    let mut images: Vec<Descriptor> = entries.into_iter().filter(is_image).collect();
    if images.is_empty() {
        return Err(ArchiveError::invalid(path, "its index lists no image"));
    }
    let rank = |entry: &Descriptor| match &entry.platform {
        Some(named) => named.rank_for(platform),
        None => Some(u32::MAX),
    };
    let ranks = images.iter().enumerate().filter_map(|(at, entry)| Some((rank(entry)?, at)));
    match ranks.min() {
        Some((_, at)) => Ok(images.swap_remove(at)),
        None => {
            let platforms = images.iter().filter_map(|entry| entry.platform.as_ref());
            let found = text::list(platforms.map(ToString::to_string));
            let problem = format!("no image is for {platform}; it has {found}");
            Err(ArchiveError::invalid(path, problem))
        }
    }
}
